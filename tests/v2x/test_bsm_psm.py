import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, StationMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import bsm, decode, encode, psm

NOON_NS = 1_748_001_600_250_000_000
CORE = {
    "msgCnt": 1, "id": "0000002a", "secMark": 250, "lat": 423_000_000, "long": -836_000_000, "elev": 2500,
    "accuracy": {"semiMajor": 20, "semiMinor": 10, "orientation": 0}, "transmission": "forwardGears", "speed": 500,
    "heading": 7200, "angle": 127, "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 1000},
    "brakes": {"wheelBrakes": {"hex": "80", "length": 5}, "traction": "unavailable", "abs": "unavailable",
               "scs": "unavailable", "brakeBoost": "unavailable", "auxBrakes": "unavailable"},
    "size": {"width": 180, "length": 450},
}
PERSON = {
    "basicType": "aPEDALCYCLIST", "secMark": 59_990, "msgCnt": 1, "id": "0000002a",
    "position": {"lat": 423_000_000, "long": -836_000_000}, "accuracy": {"semiMajor": 255, "semiMinor": 255, "orientation": 0},
    "speed": 250, "heading": 0,
}


def decoded_bsm(*parts, received_ns=NOON_NS, **core) -> StationMessage:
    value = {"coreData": CORE | core} | ({"partII": list(parts)} if parts else {})
    message = decode(bsm.encode_pdu({"messageId": 20, "value": value}), received_ns=received_ns)
    assert isinstance(message, StationMessage)
    return message


def test_a_bsm_tells_place_motion_size_and_accuracy():
    message = decoded_bsm(received_ns=NOON_NS + 20_000_000)
    got = message.objects
    assert (message.station_id, message.position) == (42, GeoPoint(42.3, -83.6, 250.0))
    assert message.header.generated_ns == got.measured_ns[0] == NOON_NS
    np.testing.assert_allclose(got.velocity_mps[0], [10.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(got.boxes.size_lwh_m[0], [4.5, 1.8, 0.0])
    np.testing.assert_allclose(np.degrees(got.yaw_rate_radps), [-10.0])
    np.testing.assert_allclose(np.sqrt(np.diagonal(got.covariance[0])[:2]), [0.5, 1.0])  # the major axis points North
    assert got.label.tolist() == [ObjectClass.UNKNOWN]


def test_a_vehicle_in_reverse_gear_moves_against_its_heading():
    got = decoded_bsm(transmission="reverseGears").objects
    np.testing.assert_allclose(got.boxes.yaw_rad, 0.0, atol=1e-9)
    np.testing.assert_allclose(got.velocity_mps[0], [-10.0, 0.0], atol=1e-9)


def test_class_and_height_stand_in_part_two():
    part = {"partII-Id": 2, "partII-Value": {"classification": 54, "vehicleData": {"height": 60}}}
    got = decoded_bsm(part).objects
    assert got.label.tolist() == [ObjectClass.BUS] and got.boxes.size_lwh_m[0, 2] == 3.0


def test_what_a_bsm_does_not_know_is_unmeasured():
    got = decoded_bsm(speed=8191, heading=28_800, accuracy={"semiMajor": 255, "semiMinor": 255, "orientation": 65_535},
                      accelSet={"long": 2001, "lat": 2001, "vert": -127, "yaw": 0}).objects
    assert np.isnan(got.velocity_mps).all() and np.isnan(got.covariance).all() and np.isnan(got.yaw_rate_radps).all()


def test_an_unavailable_latitude_is_refused_at_its_bit():
    with pytest.raises(DecodeError, match="an unavailable position") as caught:
        decoded_bsm(lat=900_000_001)
    assert caught.value.offset_bits == 24 + 3 + 7 + 32 + 16


def test_a_psm_tells_who_moves_where():
    message = decode(psm.encode_pdu({"messageId": 32, "value": PERSON}), received_ns=NOON_NS)
    assert isinstance(message, StationMessage)
    assert message.header.generated_ns == NOON_NS - 260_000_000
    assert message.objects.label.tolist() == [ObjectClass.BICYCLE] and np.isnan(message.position.altitude_m)
    np.testing.assert_allclose(message.objects.velocity_mps[0], [0.0, 5.0], atol=1e-9)


def station(label, speed=10.0, yaw=0.3, center_m=(0.0, 0.0, 0.0), sigma_m=1.0, yaw_rate=0.1):
    covariance = np.full((1, 6, 6), np.nan)
    covariance[0, :2, :2] = np.diag([sigma_m**2, sigma_m**2])
    objects = ObjectList.build(
        Boxes3D("reference", np.array([center_m]), np.array([[4.5, 1.8, 1.5]]), np.array([yaw])), "42", NOON_NS,
        np.array([label]), velocity_mps=speed * np.array([[np.cos(yaw), np.sin(yaw)]]), covariance=covariance,
        track_id=np.array([42]), yaw_rate_radps=np.array([yaw_rate]))
    return StationMessage(Header("42", "", NOON_NS, NOON_NS, 0, 1, b""), 42, GeoPoint(42.3, -83.6, 250.0), objects)


@pytest.mark.parametrize("wire_format, label", [("sae-bsm", ObjectClass.TRUCK), ("sae-psm", ObjectClass.PEDESTRIAN)])
@settings(max_examples=30)
@given(st.floats(-60.0, 60.0), st.floats(-3.1, 3.1), st.floats(0.05, 12.0), st.floats(-3.0, 3.0))
def test_what_is_written_is_read_back_within_the_units_of_the_wire(wire_format, label, speed, yaw, sigma_m, yaw_rate):
    message = station(label, abs(speed) if wire_format == "sae-psm" else speed, yaw, sigma_m=sigma_m, yaw_rate=yaw_rate)
    back = decode(encode(message, wire_format), received_ns=NOON_NS + 10_000_000_000)
    assert isinstance(back, StationMessage)
    got, sent = back.objects, message.objects
    assert (back.header.generated_ns, back.station_id, got.label[0]) == (NOON_NS, 42, label)
    np.testing.assert_allclose(got.velocity_mps, sent.velocity_mps, atol=0.01 + 60.0 * np.radians(0.00625) + 1e-9)
    np.testing.assert_allclose(got.yaw_rate_radps, sent.yaw_rate_radps, atol=np.radians(0.015) + 1e-9)
    np.testing.assert_allclose(back.position.latitude_deg, message.position.latitude_deg, atol=5e-8)
    sigma = np.sqrt(np.diagonal(got.covariance[0])[:2])
    assert (sigma >= sigma_m - 1e-6).all() and (sigma <= sigma_m + 0.05 + 1e-6).all()


def test_a_station_away_from_its_position_is_refused():
    with pytest.raises(SpecError, match=r"box is at \[1\.0, 0\.0, 0\.0\]"):
        encode(station(ObjectClass.CAR, center_m=(1.0, 0.0, 0.0)), "sae-bsm")
