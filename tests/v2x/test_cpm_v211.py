import contextlib
import random
import tracemalloc

import numpy as np
import pytest

from data_specs.errors import DecodeError, SpecError, UnknownFormat
from data_specs.messages import RoadsideMessage
from data_specs.objects import ObjectClass
from tests.v2x.golden import vectors, without_novelties
from v2x.codecs import decode
from v2x.codecs.cpm_v211 import FORMS, WIRE_FORMAT, decode_pdu, encode_pdu
from v2x.codecs.uncertainty import SIGMAS_95

GOOD = vectors("vectors_dev")
FORM_OF_KEY = dict(zip(("uper_hex", "uper_hex_cdd241", "uper_hex_listext", "uper_hex_cdd241_listext"), FORMS))


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_a_valid_message_decodes_to_its_values_and_encodes_to_its_octets(vector):
    octets = bytes.fromhex(vector["uper_hex"])
    assert decode_pdu(octets) == (vector["value"], WIRE_FORMAT)
    assert encode_pdu(vector["value"]) == octets


@pytest.mark.parametrize("vector", vectors("vectors_dev_bad"), ids=lambda v: v["name"])
def test_a_broken_message_is_refused(vector):
    octets = bytes.fromhex(vector["uper_hex"])
    with pytest.raises(DecodeError) as caught:
        decode_pdu(octets)
    assert 0 <= caught.value.offset_bits <= 8 * len(octets)


@pytest.mark.parametrize("vector", vectors("forward"), ids=lambda v: v["name"])
def test_what_a_newer_sender_adds_is_passed_over_and_kept(vector):
    octets = bytes.fromhex(vector["uper_hex"])
    value, form = decode_pdu(octets)
    assert without_novelties(value) == vector["value"]
    assert encode_pdu(value, form) == octets


@pytest.mark.parametrize("vector", vectors("variants"), ids=lambda v: v["name"])
def test_each_of_the_four_forms_is_recognised(vector):
    for key, form in FORM_OF_KEY.items():
        octets = bytes.fromhex(vector[key])
        assert decode_pdu(octets) == (vector["value"], form)
        assert encode_pdu(vector["value"], form) == octets


def test_a_form_asked_for_by_name_is_the_only_one_tried():
    vector = next(v for v in vectors("variants") if len({v[key] for key in FORM_OF_KEY}) == 4)
    octets = bytes.fromhex(vector["uper_hex_listext"])
    assert decode_pdu(octets, f"{WIRE_FORMAT}+list-extension")[0] == vector["value"]
    with pytest.raises(DecodeError):
        decode_pdu(octets, f"{WIRE_FORMAT}-cdd2.4.1")
    with pytest.raises(UnknownFormat, match="form 'etsi-cpm-9'"):
        decode_pdu(octets, "etsi-cpm-9")


def test_the_door_takes_every_valid_message_that_says_where_it_is():
    for vector in GOOD:
        position = vector["value"]["payload"]["managementContainer"]["referencePosition"]
        octets = bytes.fromhex(vector["uper_hex"])
        if position["latitude"] == 900_000_001 or position["longitude"] == 1_800_000_001:
            with pytest.raises(DecodeError, match="an unavailable position"):
                decode(octets)
            continue
        message = decode(octets, publisher="a1", received_ns=5)
        assert isinstance(message, RoadsideMessage)
        assert (message.header.publisher, message.header.received_ns, message.header.raw) == ("a1", 5, octets)
        assert message.station_id == vector["value"]["header"]["stationId"]
        measured = np.where(np.isnan(message.objects.covariance), 0.0, message.objects.covariance)
        assert (np.linalg.eigvalsh(measured) > -1e-9 * (1 + np.abs(measured).max(initial=0.0))).all()


def test_the_message_of_the_published_example_says_what_it_says():
    octets = bytes.fromhex(
        "020e000012670286a080100ea7969e839a3a1680190140000ca0d2a103601350209004022406417704b1041b0080580b0008bec204d201d7f7"
        "2407680ee4dfee13bb8000208350")
    message = decode(octets)
    assert isinstance(message, RoadsideMessage)
    assert message.header.generated_ns == 1_767_225_600_123_000_000  # 2026-01-01T00:00:00.123Z
    assert (message.position.latitude_deg, message.position.longitude_deg) == (52.520008, 13.405)
    assert message.position.altitude_m == pytest.approx(34.5)
    objects = message.objects
    assert objects.track_id.tolist() == [17]
    assert objects.label.tolist() == [ObjectClass.PEDESTRIAN]
    assert objects.measured_ns[0] - message.header.generated_ns == -40_000_000
    np.testing.assert_allclose(objects.boxes.center_m[0, :2], [12.34, -5.67])
    np.testing.assert_allclose(objects.velocity_mps[0], [1.2, -0.35])
    assert np.sqrt(objects.covariance[0, 0, 0]) == pytest.approx(0.30 / SIGMAS_95)
    assert np.isnan(objects.covariance[0, 2]).all() and np.isnan(objects.covariance[0, 3]).all()
    (lidar,) = message.sensors
    assert (lidar.sensor_id, lidar.kind, lidar.range_m) == (1, "lidar", 80.0)
    assert np.degrees([lidar.opening_rad, lidar.heading_rad]) == pytest.approx([120.0, 0.0])


def test_polar_velocity_brings_its_doubts_along_and_across_the_motion():
    vector = next(v for v in GOOD if v["name"] == "cpm_dev_001_station_max")
    value = vector["value"]
    seen = value["payload"]["cpmContainers"][0]["containerData"]["perceivedObjects"][0]
    seen.pop("lowerTriangularCorrelationMatrices")
    seen["velocity"] = {"choice": "polarVelocity", "value": {
        "velocityMagnitude": {"speedValue": 1000, "speedConfidence": 98}, "velocityDirection": {"value": 900, "confidence": 20}}}
    message = decode(encode_pdu(value))
    assert isinstance(message, RoadsideMessage)
    np.testing.assert_allclose(message.objects.velocity_mps[0], [0.0, 10.0], atol=1e-12)
    sigma = np.sqrt(np.diagonal(message.objects.covariance[0]))[4:]
    np.testing.assert_allclose(sigma, [10.0 * np.radians(2.0) / SIGMAS_95, 0.98 / SIGMAS_95])


def test_what_the_standard_cannot_say_is_refused_when_encoding():
    value = GOOD[0]["value"] | {"header": {"protocolVersion": 1, "messageId": 14, "stationId": 1}}
    with pytest.raises(SpecError, match=r"CPM\.header\.protocolVersion: value 1, expected 2"):
        encode_pdu(value)


def mutated(octets: bytes, rng: random.Random) -> bytes:
    """Bit flips, cuts, insertions, repeated pieces: one to three of them."""
    data = bytearray(octets)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 | 1 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 2:
                del data[place:place + rng.randint(1, 8)]
            case 3:
                data[place:place] = rng.randbytes(rng.randint(1, 4))
            case _:
                data[place:place + 4] = b"\xff" * 4
    return bytes(data)


def test_no_count_or_length_takes_memory_for_octets_that_are_not_there():
    rng = random.Random(1)
    longest = max((bytes.fromhex(v["uper_hex"]) for v in GOOD), key=len)
    hostile = [mutated(longest, rng) for _ in range(40)] + [longest[:place] + b"\xff" * 40 for place in range(28, 60)]
    tracemalloc.start()
    for octets in hostile:
        with contextlib.suppress(DecodeError):
            decode(octets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20
