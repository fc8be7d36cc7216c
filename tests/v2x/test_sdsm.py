import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import decode, encode
from v2x.codecs.sdsm import encode_pdu
from v2x.codecs.uncertainty import SIGMAS_95

NOON_NS = 1_748_001_600_250_000_000  # 2025-05-23T12:00:00.250Z


def seen(**fields):
    return {"detObjCommon": {
        "objType": "vehicle", "objTypeCfd": 90, "objectID": 7, "measurementTime": -120, "timeConfidence": "unavailable",
        "pos": {"offsetX": 100, "offsetY": -20, "offsetZ": 5}, "posConfidence": {"pos": "a50cm", "elevation": "elev-001-00"},
        "speed": 500, "speedConfidence": "prec1ms", "heading": 7200, "headingConf": "prec05deg"} | fields}


def decoded(*objects, stamp=None, **fields) -> RoadsideMessage:
    message = {
        "msgCnt": 1, "sourceID": "0000002a", "equipmentType": "rsu", "sDSMTimeStamp": stamp or {
            "year": 2025, "month": 5, "day": 23, "hour": 12, "minute": 0, "second": 250},
        "refPos": {"lat": 423_000_000, "long": -836_000_000, "elevation": 2500},
        "refPosXYConf": {"semiMajor": 255, "semiMinor": 255, "orientation": 65_535}, "objects": list(objects)} | fields
    found = decode(encode_pdu({"messageId": 41, "value": message}), received_ns=NOON_NS + 30_000_000)
    assert isinstance(found, RoadsideMessage)
    return found


def test_offsets_are_north_east_down_and_headings_clockwise_from_north():
    message = decoded(seen())
    got = message.objects
    np.testing.assert_allclose(got.boxes.center_m[0], [-2.0, 10.0, -0.5])
    np.testing.assert_allclose(got.velocity_mps[0], [10.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(got.boxes.yaw_rad, 0.0, atol=1e-9)
    assert (message.station_id, message.position) == (42, GeoPoint(42.3, -83.6, 250.0))
    assert message.header.generated_ns == NOON_NS
    assert got.measured_ns[0] == NOON_NS - 120_000_000
    assert (got.label[0], got.score[0], got.track_id[0]) == (ObjectClass.CAR, 0.9, 7)


def test_confidences_are_half_widths_of_the_95_percent_interval():
    covariance = decoded(seen()).objects.covariance[0]
    sigma = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(sigma[:4] * SIGMAS_95, [0.5, 0.5, 1.0, np.radians(5.0)])
    np.testing.assert_allclose(sigma[4:] * SIGMAS_95, [1.0, 10.0 * np.radians(5.0)], rtol=1e-6)  # along and across


def test_what_is_not_said_is_unmeasured():
    unsaid = seen(pos={"offsetX": 0, "offsetY": 0}, speed=8191, heading=28_800, headingConf="unavailable",
                  posConfidence={"pos": "unavailable", "elevation": "elev-001-00"}, objTypeCfd=101)
    got = decoded(unsaid).objects
    assert np.isnan(got.velocity_mps).all() and np.isnan(got.covariance).all() and np.isnan(got.yaw_rate_radps).all()
    assert got.score[0] == 1.0 and (got.boxes.size_lwh_m == 0.0).all() and np.isnan(got.size_sigma_m).all()


@pytest.mark.parametrize("kind, more, label", [
    ("vehicle", None, ObjectClass.CAR),
    ("vru", None, ObjectClass.PEDESTRIAN),
    ("animal", None, ObjectClass.ANIMAL),
    ("unknown", None, ObjectClass.UNKNOWN),
    ("vehicle", {"choice": "detVeh", "value": {"vehicleClass": 54}}, ObjectClass.BUS),
    ("vehicle", {"choice": "detVeh", "value": {"vehicleClass": 29}}, ObjectClass.TRUCK),
    ("vehicle", {"choice": "detVeh", "value": {"vehicleClass": 0}}, ObjectClass.CAR),
    ("vru", {"choice": "detVRU", "value": {"basicType": "aPEDALCYCLIST"}}, ObjectClass.BICYCLE),
    ("unknown", {"choice": "detObst", "value": {
        "obstSize": {"width": 5, "length": 10}, "obstSizeConfidence": {
            "widthConfidence": "size-000-10", "lengthConfidence": "size-000-20"}}}, ObjectClass.OTHER),
])
def test_classes_follow_the_optional_data_where_they_tell_more(kind, more, label):
    item = seen(objType=kind) | ({} if more is None else {"detObjOptData": more})
    assert decoded(item).objects.label.tolist() == [label]


def test_sizes_come_in_centimetres_and_in_decimetres():
    vehicle = seen() | {"detObjOptData": {"choice": "detVeh", "value": {
        "size": {"width": 180, "length": 450}, "height": 30, "vehicleSizeConfidence": {
            "vehicleWidthConfidence": "size-000-10", "vehicleLengthConfidence": "size-000-50"}}}}
    thing = seen() | {"detObjOptData": {"choice": "detObst", "value": {
        "obstSize": {"width": 5, "length": 10}, "obstSizeConfidence": {
            "widthConfidence": "size-000-10", "lengthConfidence": "unavailable"}}}}
    got = decoded(vehicle, thing).objects
    np.testing.assert_allclose(got.boxes.size_lwh_m, [[4.5, 1.8, 1.5], [1.0, 0.5, 0.0]])
    np.testing.assert_allclose(got.size_sigma_m * SIGMAS_95, [[0.5, 0.1, np.nan], [np.nan, 0.1, np.nan]])


def test_yaw_rates_are_positive_clockwise():
    turning = seen(accel4way={"long": 2001, "lat": 2001, "vert": -127, "yaw": 1000})
    np.testing.assert_allclose(np.degrees(decoded(turning).objects.yaw_rate_radps), [-10.0])


def test_an_unavailable_place_is_refused():
    with pytest.raises(DecodeError, match=r"SDSM\.refPos.*an unavailable position"):
        decoded(seen(), refPos={"lat": 900_000_001, "long": 0})


def message_of(objects, generated_ns=NOON_NS, station_id=42):
    header = Header("rsu", "sae-sdsm", generated_ns, generated_ns, 0, 1, b"")
    return RoadsideMessage(header, station_id, GeoPoint(42.3, -83.6, 250.0), objects, (), ())


sigma_m = st.floats(0.006, 200.0)


@st.composite
def object_lists(draw):
    rows = draw(st.integers(1, 4))
    column = lambda low, high: np.array([draw(st.floats(low, high)) for _ in range(rows)])  # noqa: E731
    variances = np.stack([np.array([draw(sigma_m) for _ in range(rows)]) ** 2 for _ in range(6)], axis=1)
    speed, direction = column(0.6, 60.0), column(-3.1, 3.1)
    return ObjectList.build(
        Boxes3D("reference", np.stack([column(-3000, 3000), column(-3000, 3000), column(-20, 20)], axis=1),
                np.stack([column(0.1, 20), column(0.1, 5), column(0.1, 5)], axis=1), direction),
        "rsu", NOON_NS + np.array([draw(st.integers(-1500, 1500)) for _ in range(rows)]) * 1_000_000,
        np.full(rows, ObjectClass.CAR), score=column(0.0, 1.0), track_id=np.arange(rows),
        velocity_mps=np.stack([speed * np.cos(direction), speed * np.sin(direction)], axis=1),
        yaw_rate_radps=column(-2.0, 2.0), covariance=variances[:, :, None] * np.eye(6),
    )


@settings(max_examples=40)
@given(object_lists())
def test_what_is_written_is_read_back_within_the_units_of_the_wire(objects):
    message = message_of(objects)
    back = decode(encode(message, "sae-sdsm"))
    assert isinstance(back, RoadsideMessage)
    assert (back.header.generated_ns, back.station_id) == (NOON_NS, 42)
    got = back.objects
    np.testing.assert_allclose(got.boxes.center_m, objects.boxes.center_m, atol=0.05 + 1e-9)
    np.testing.assert_allclose(np.hypot(*got.velocity_mps.T), np.hypot(*objects.velocity_mps.T), atol=0.01 + 1e-9)
    turn = np.angle(np.exp(1j * (got.boxes.yaw_rad - objects.boxes.yaw_rad)))
    assert (np.abs(np.degrees(turn)) <= 0.00625 + 1e-9).all()
    np.testing.assert_allclose(got.boxes.size_lwh_m, objects.boxes.size_lwh_m, atol=0.025 + 1e-9)
    np.testing.assert_allclose(got.yaw_rate_radps, objects.yaw_rate_radps, atol=np.radians(0.015) + 1e-9)
    np.testing.assert_allclose(got.score, objects.score, atol=0.005 + 1e-9)
    np.testing.assert_array_equal(got.measured_ns, objects.measured_ns)
    np.testing.assert_array_equal(got.label, objects.label)
    before, after = (np.diagonal(part.covariance, axis1=1, axis2=2)[:, :3] for part in (objects, got))
    assert ((after >= before * (1 - 1e-6)) | np.isnan(after)).all()


def objects_at(**fields):
    return ObjectList.build(Boxes3D("reference", np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1)), "rsu", NOON_NS,
                            np.array([ObjectClass.UNKNOWN]), track_id=np.array([1]), **fields)


def test_an_object_without_velocity_or_heading_stays_without():
    got = decode(encode(message_of(objects_at()), "sae-sdsm"))
    assert isinstance(got, RoadsideMessage)
    assert np.isnan(got.objects.velocity_mps).all() and np.isnan(got.objects.covariance).all()


@pytest.mark.parametrize("message, words", [
    (message_of(ObjectList.empty("reference", "rsu")), "objects: 0, expected 1 to 256"),
    (message_of(objects_at(), station_id=-1), "station_id: -1"),
    (message_of(objects_at(), generated_ns=NOON_NS + 2_000_000_000), "milliseconds from the message's time -2000 at row 0"),
])
def test_what_the_standard_cannot_say_is_refused(message, words):
    with pytest.raises(SpecError, match=words):
        encode(message, "sae-sdsm")
