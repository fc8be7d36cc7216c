import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, StationMessage
from data_specs.objects import ObjectClass, ObjectList
from tests.v2x.any_value import any_value
from v2x.codecs import decode, encode
from v2x.codecs.door import decode_pdu as decode_any
from v2x.codecs.uncertainty import SIGMAS_95
from v2x.codecs.vam_v231 import TABLE, WIRE_FORMAT, decode_pdu, encode_pdu

NOW_NS = 1_790_000_000_000_000_000
GOOD = [json.loads(line) for line in (Path(__file__).parent / "vectors" / "vam.jsonl").read_text().splitlines()]


def cyclist(speed_mps=5.0, yaw_rad=0.5, label=ObjectClass.BICYCLE, **changes) -> StationMessage:
    velocity_mps = speed_mps * np.array([[math.cos(yaw_rad), math.sin(yaw_rad)]])
    objects = ObjectList.build(
        Boxes3D("reference", np.zeros((1, 3)), np.zeros((1, 3)), np.array([yaw_rad])), "a1", NOW_NS, np.array([label], np.uint8),
        velocity_mps=velocity_mps, covariance=np.diag([0.25, 0.09, 1.0, 1e-2, 0.01, 0.01])[None])
    message = StationMessage(Header("a1", "", NOW_NS, NOW_NS, 0, 1, b""), 7, GeoPoint(48.0, 11.0, 500.0), objects)
    return replace(message, **changes)


def sent(message: StationMessage) -> StationMessage:
    back = decode(encode(message, WIRE_FORMAT), received_ns=NOW_NS + 50_000_000)
    assert isinstance(back, StationMessage)
    return back


def test_the_octets_of_the_golden_messages_are_read_and_written_again():
    for line in GOOD:
        octets = bytes.fromhex(line["uper_hex"])
        assert decode_pdu(octets) == line["value"]
        assert encode_pdu(line["value"]) == octets


def test_any_value_of_the_table_comes_back_from_its_octets():
    rng = random.Random(8)
    for _ in range(150):
        value = any_value(TABLE, rng)
        assert decode_pdu(encode_pdu(value)) == value


def test_its_first_octets_tell_it_apart():
    pdu, form = decode_any(encode(cyclist(), WIRE_FORMAT))
    assert form == WIRE_FORMAT and pdu["header"]["messageId"] == 16


def test_the_least_message_takes_34_octets():
    assert len(encode(cyclist(), WIRE_FORMAT)) == 34


def test_a_cyclist_arrives_as_sent():
    message, back = cyclist(), sent(cyclist())
    got, want = back.objects, message.objects
    assert (back.station_id, back.position, back.header.generated_ns) == (7, message.position, NOW_NS)
    assert ObjectClass(got.label[0]) == ObjectClass.BICYCLE and got.track_id.tolist() == [7]
    np.testing.assert_allclose(got.velocity_mps, want.velocity_mps, atol=0.011)
    np.testing.assert_allclose(got.boxes.yaw_rad, want.boxes.yaw_rad, atol=math.radians(0.06))
    sigma, said = (np.sqrt(np.diagonal(objects.covariance[0])[:2]) for objects in (got, want))
    assert (sigma >= said - 1e-9).all() and (sigma <= said + 0.01).all()


def test_a_road_user_who_turns_the_back_points_where_the_message_says():
    value, _ = decode_any(encode(cyclist(yaw_rad=0.0), WIRE_FORMAT))
    fast = value["vam"]["vamParameters"]["vruHighFrequencyContainer"]
    fast |= {"orientation": {"value": 0, "confidence": 20}, "yawRate": {"yawRateValue": -500, "yawRateConfidence": "unavailable"}}
    got = decode(encode_pdu(value), received_ns=NOW_NS).objects
    np.testing.assert_allclose(got.boxes.yaw_rad, math.pi / 2)
    np.testing.assert_allclose(got.velocity_mps, [[5.0, 0.0]], atol=0.01)
    np.testing.assert_allclose(np.sqrt(got.covariance[0, 3, 3]), math.radians(2.0) / SIGMAS_95)
    np.testing.assert_allclose(got.yaw_rate_radps, math.radians(-5.0))


def test_a_reversing_rider_keeps_yaw_and_velocity():
    message = cyclist()
    backward = replace(message, objects=replace(message.objects, velocity_mps=-message.objects.velocity_mps))
    got = sent(backward).objects
    np.testing.assert_allclose(got.velocity_mps, backward.objects.velocity_mps, atol=0.02)
    np.testing.assert_allclose(got.boxes.yaw_rad, 0.5, atol=math.radians(0.06))


@pytest.mark.parametrize(("station_type", "label"), [
    (1, ObjectClass.PEDESTRIAN), (2, ObjectClass.BICYCLE), (3, ObjectClass.MOTORCYCLE), (12, ObjectClass.BICYCLE),
    (13, ObjectClass.ANIMAL), (0, ObjectClass.UNKNOWN),
])
def test_classes_follow_the_station_type(station_type, label):
    value, _ = decode_any(encode(cyclist(), WIRE_FORMAT))
    value["vam"]["vamParameters"]["basicContainer"]["stationType"] = station_type
    assert decode(encode_pdu(value), received_ns=NOW_NS).objects.label.tolist() == [label]


def test_a_message_without_a_position_or_a_time_of_arrival_is_refused_with_the_place():
    value, _ = decode_any(encode(cyclist(), WIRE_FORMAT))
    with pytest.raises(DecodeError, match="generationDeltaTime"):
        decode(encode_pdu(value), received_ns=0)
    value["vam"]["vamParameters"]["basicContainer"]["referencePosition"]["latitude"] = 900_000_001
    with pytest.raises(DecodeError, match="referencePosition") as caught:
        decode(encode_pdu(value), received_ns=NOW_NS)
    assert caught.value.offset_bits == 78


def test_a_station_id_that_does_not_fit_is_refused():
    with pytest.raises(SpecError, match="station_id"):
        encode(cyclist(station_id=1 << 32), WIRE_FORMAT)


def test_every_prefix_of_a_message_is_refused():
    octets = bytes.fromhex(GOOD[5]["uper_hex"])
    for size in range(2, len(octets) - 1):
        with pytest.raises(DecodeError):
            decode_pdu(octets[:size])
