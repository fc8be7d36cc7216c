import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.clock import its_ms_from_unix_ns, unix_ns_from_its_ms
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, HazardMessage, Header, StationMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import decode, encode
from v2x.codecs.door import decode_pdu, encode_pdu
from v2x.codecs.etsi_station import ellipse_covariance, ellipse_of
from v2x.codecs.uncertainty import SIGMAS_95

NOW_NS = 1_790_000_000_000_000_000
PLACE = GeoPoint(48.0, 11.0, 500.0)
HEADER = Header("a1", "", NOW_NS, NOW_NS, 0, 1, b"")


def car(speed_mps: float = 10.0, yaw_rad: float = 0.5, length_m: float = 4.5, backward: bool = False) -> StationMessage:
    velocity_mps = speed_mps * (-1 if backward else 1) * np.array([[math.cos(yaw_rad), math.sin(yaw_rad)]])
    boxes = Boxes3D("reference", np.zeros((1, 3)), np.array([[length_m, 1.8, 0.0]]), np.array([yaw_rad]))
    objects = ObjectList.build(
        boxes, "a1", NOW_NS, np.array([ObjectClass.CAR], np.uint8), velocity_mps=velocity_mps,
        yaw_rate_radps=np.array([0.1]), covariance=np.diag([0.25, 0.09, 1.0, 1e-4, 0.01, 0.01])[None])
    return StationMessage(HEADER, 7, PLACE, objects)


def sent(message: StationMessage) -> StationMessage:
    back = decode(encode(message, "etsi-cam-1.4.1"), received_ns=NOW_NS + 50_000_000)
    assert isinstance(back, StationMessage)
    return back


def test_a_cam_worked_by_hand_says_what_it_says():
    pdu, _ = decode_pdu(encode(car(), "etsi-cam-1.4.1"))
    parameters = pdu["cam"]["camParameters"]
    parameters["basicContainer"]["referencePosition"] |= {
        "positionConfidenceEllipse": {"semiMajorConfidence": 245, "semiMinorConfidence": 122, "semiMajorOrientation": 900}}
    parameters["highFrequencyContainer"]["value"] |= {
        "heading": {"headingValue": 900, "headingConfidence": 10}, "speed": {"speedValue": 1250, "speedConfidence": 20},
        "yawRate": {"yawRateValue": -500, "yawRateConfidence": "unavailable"}, "driveDirection": "forward"}
    message = decode(encode_pdu(pdu, "etsi-cam-1.4.1"), received_ns=NOW_NS)
    assert isinstance(message, StationMessage)
    objects, covariance = message.objects, message.objects.covariance[0]
    assert ObjectClass(objects.label[0]) == ObjectClass.CAR
    np.testing.assert_allclose(objects.boxes.yaw_rad, 0.0, atol=1e-12)  # East
    np.testing.assert_allclose(objects.velocity_mps, [[12.5, 0.0]], atol=1e-12)
    np.testing.assert_allclose(objects.boxes.center_m, [[-2.25, 0.0, 0.0]], atol=1e-12)  # its front is the reference
    np.testing.assert_allclose(objects.yaw_rate_radps, math.radians(-5.0))
    np.testing.assert_allclose(np.sqrt(covariance[0, 0]), 2.45 / 2.4477, rtol=1e-4)  # the ellipse's long axis lies East
    np.testing.assert_allclose(np.sqrt(covariance[1, 1]), 1.22 / 2.4477, rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(covariance[3, 3]), math.radians(1.0) / SIGMAS_95)
    np.testing.assert_allclose(np.sqrt(covariance[4, 4]), 0.2 / SIGMAS_95)


@given(st.floats(0.1, 60.0), st.floats(-math.pi, math.pi), st.floats(1.0, 18.0), st.booleans())
def test_a_station_comes_back_from_a_cam_within_the_units_of_the_wire(speed_mps, yaw_rad, length_m, backward):
    message = car(speed_mps, yaw_rad, length_m, backward)
    objects, back = message.objects, sent(message)
    assert abs(math.remainder(float(back.objects.boxes.yaw_rad[0]) - yaw_rad, 2 * math.pi)) <= math.radians(0.0501)
    assert abs(float(np.hypot(*back.objects.velocity_mps[0])) - speed_mps) <= 0.00501
    assert float(back.objects.velocity_mps[0] @ objects.velocity_mps[0]) > 0.0
    assert abs(float(back.objects.boxes.size_lwh_m[0, 0]) - length_m) <= 0.0501
    assert abs(back.header.generated_ns - NOW_NS) < 1_000_000
    grown = np.diagonal(back.objects.covariance[0])[:2] / np.array([0.25, 0.09])
    assert (grown > 0.999).all() and (grown < 1.1).all()


def test_what_was_decoded_encodes_to_the_same_motion_and_place_again():
    once = sent(car())
    twice = sent(once)
    assert once.position == twice.position
    np.testing.assert_allclose(once.objects.boxes.center_m, twice.objects.boxes.center_m)
    np.testing.assert_allclose(once.objects.velocity_mps, twice.objects.velocity_mps)


def test_what_a_station_does_not_know_is_sent_as_unavailable_and_stays_unknown():
    boxes = Boxes3D("reference", np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
    unknown = ObjectList.build(boxes, "a1", NOW_NS, np.array([ObjectClass.UNKNOWN], np.uint8))
    back = sent(StationMessage(HEADER, 7, GeoPoint(48.0, 11.0, math.nan), unknown))
    assert np.isnan(back.objects.velocity_mps).all() and np.isnan(back.objects.covariance).all()
    assert np.isnan(back.objects.yaw_rate_radps).all() and math.isnan(back.position.altitude_m)


def test_a_cam_without_a_time_of_arrival_cannot_be_dated():
    with pytest.raises(DecodeError, match="bit 48: 16 bits of a time"):
        decode(encode(car(), "etsi-cam-1.4.1"), received_ns=0)


@given(st.floats(0.02, 15.0), st.floats(0.05, 1.0), st.floats(0.0, math.pi))
def test_an_ellipse_comes_back_no_smaller_and_little_larger(major_m, share, along_rad):
    c, s = math.cos(along_rad), math.sin(along_rad)
    turn = np.array([[c, -s], [s, c]])
    covariance = turn @ np.diag([major_m**2, (share * major_m) ** 2]) @ turn.T
    grown_m2 = ellipse_covariance(ellipse_of(covariance)) - covariance
    assert np.linalg.eigvalsh(grown_m2).min() > -2e-3 * major_m**2  # the orientation is rounded
    assert np.sqrt(np.trace(grown_m2 + covariance)) - np.sqrt(np.trace(covariance)) < 0.02


def hazard() -> HazardMessage:
    detected_ns = unix_ns_from_its_ms(its_ms_from_unix_ns(NOW_NS))
    return HazardMessage(HEADER, 7, PLACE, 94, 2, detected_ns, detected_ns + 120_000_000_000, False)


@given(st.integers(1, 255), st.integers(0, 255), st.integers(0, 86_400), st.booleans())
def test_a_hazard_comes_back_from_a_denm(cause, sub_cause, validity_s, cancelled):
    message = hazard()
    message = replace(message, cause=cause, sub_cause=sub_cause, cancelled=cancelled,
                      valid_until_ns=message.detected_ns + validity_s * 1_000_000_000)
    back = decode(encode(message, "etsi-denm-1.3.1"), publisher="a1", received_ns=NOW_NS)
    assert isinstance(back, HazardMessage)
    assert replace(back, header=HEADER) == message
    assert back.header.generated_ns == NOW_NS


def test_a_cancellation_names_the_event_that_it_ends():
    told, ended = (decode_pdu(encode(message, "etsi-denm-1.3.1"))[0]["denm"]["management"]
                   for message in (hazard(), replace(hazard(), cancelled=True)))
    assert told["actionID"] == ended["actionID"]
    assert ended["termination"] == "isCancellation" and "termination" not in told


def test_a_hazard_that_a_denm_cannot_say_is_refused():
    with pytest.raises(SpecError, match="valid_until_ns: 86401 s after detected_ns, expected 0 to 86400"):
        encode(replace(hazard(), valid_until_ns=hazard().detected_ns + 86_401_000_000_000), "etsi-denm-1.3.1")
    with pytest.raises(SpecError, match="cause: 256, expected 0 to 255"):
        encode(replace(hazard(), cause=256), "etsi-denm-1.3.1")
    with pytest.raises(SpecError, match="station_id: -1"):
        encode(replace(hazard(), station_id=-1), "etsi-denm-1.3.1")
