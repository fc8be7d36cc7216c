import numpy as np
import pytest

from data_specs.errors import DecodeError
from data_specs.messages import RoadsideMessage
from data_specs.objects import ObjectClass
from v2x.codecs import decode
from v2x.codecs.cpm_tr103562 import encode_pdu

RSU = {"choice": "originatingRSUContainer", "value": {"choice": "intersectionReferenceId", "value": {"id": 7}}}


def vehicle(heading):
    return {"choice": "originatingVehicleContainer", "value": {
        "heading": {"headingValue": heading, "headingConfidence": 1}, "speed": {"speedValue": 0, "speedConfidence": 1}}}


def seen(**fields):
    return {
        "objectID": 3, "timeOfMeasurement": 120,
        "xDistance": {"value": 1000, "confidence": 98}, "yDistance": {"value": 200, "confidence": 49},
        "xSpeed": {"value": 500, "confidence": 98}, "ySpeed": {"value": 0, "confidence": 98},
        "yawAngle": {"value": 300, "confidence": 10}, "planarObjectDimension1": {"value": 18, "confidence": 5},
        "planarObjectDimension2": {"value": 42, "confidence": 5}, "verticalObjectDimension": {"value": 15, "confidence": 102},
    } | fields


def decoded(station, *objects) -> RoadsideMessage:
    value = {"header": {"protocolVersion": 1, "messageId": 14, "stationId": 1}, "cpm": {
        "generationTime": 598_088_943_337, "cpmParameters": {
            "managementContainer": {"stationType": 15, "referencePosition": {
                "latitude": 359_032_597, "longitude": 1_399_343_755,
                "positionConfidenceEllipse": {"semiMajorConfidence": 0, "semiMinorConfidence": 0, "semiMajorOrientation": 0},
                "altitude": {"altitudeValue": 0, "altitudeConfidence": "alt-000-01"}}},
            "stationDataContainer": station, "perceivedObjectContainer": list(objects),
            "numberOfPerceivedObjects": len(objects)}}}
    message = decode(encode_pdu(value))
    assert isinstance(message, RoadsideMessage)
    return message


def test_objects_of_a_roadside_unit_stand_east_and_north_of_it():
    message = decoded(RSU, seen())
    got = message.objects
    np.testing.assert_allclose(got.boxes.center_m[0], [10.0, 2.0, 0.0])
    np.testing.assert_allclose(got.boxes.size_lwh_m[0], [4.2, 1.8, 1.5])
    np.testing.assert_allclose(np.degrees(got.boxes.yaw_rad), [30.0])
    np.testing.assert_allclose(np.sqrt(np.diagonal(got.covariance[0])[:2]), [0.5, 0.25], rtol=1e-3)
    assert np.isnan(got.size_sigma_m[0, 2]) and np.isnan(got.covariance[0, 2, 2])
    assert message.header.generated_ns - got.measured_ns[0] == 120_000_000


def test_objects_of_a_vehicle_turn_with_its_heading():
    """Heading 0 is North: forward becomes North, left becomes West."""
    got = decoded(vehicle(0), seen()).objects
    np.testing.assert_allclose(got.boxes.center_m[0, :2], [-2.0, 10.0], atol=1e-9)
    np.testing.assert_allclose(got.velocity_mps[0], [0.0, 5.0], atol=1e-9)
    np.testing.assert_allclose(np.degrees(got.boxes.yaw_rad), [120.0])
    np.testing.assert_allclose(np.sqrt(np.diagonal(got.covariance[0])[:2]), [0.25, 0.5], rtol=1e-3)


def test_a_turn_that_is_not_square_correlates_unequal_doubts():
    covariance = decoded(vehicle(450), seen()).objects.covariance[0, :2, :2]
    assert covariance[0, 1] > 0.0
    np.testing.assert_allclose(np.sqrt(np.linalg.eigvalsh(covariance)), [0.25, 0.5], rtol=1e-3)


def test_a_vehicle_that_does_not_know_its_heading_is_refused():
    with pytest.raises(DecodeError, match="an unavailable heading"):
        decoded(vehicle(3601), seen())


@pytest.mark.parametrize("place, center_m", [
    (0, (10.0, 2.0)), (5, (7.9, 2.0)), (4, (12.1, 2.0)), (2, (10.0, 1.1)), (8, (7.9, 2.9)),
])
def test_a_reference_point_on_the_object_is_brought_to_its_centre(place, center_m):
    got = decoded(RSU, seen(objectRefPoint=place, yawAngle={"value": 0, "confidence": 10})).objects
    np.testing.assert_allclose(got.boxes.center_m[0, :2], center_m)


def test_the_likeliest_class_counts():
    classes = [
        {"confidence": 30, "class": {"choice": "vehicle", "value": {"type": 6}}},
        {"confidence": 60, "class": {"choice": "person", "value": {"type": 3}}},
        {"confidence": 101, "class": {"choice": "animal", "value": {}}},
    ]
    got = decoded(RSU, seen(classification=classes, objectConfidence=80), seen()).objects
    assert got.label.tolist() == [ObjectClass.BICYCLE, ObjectClass.UNKNOWN]
    np.testing.assert_allclose(got.score, [0.6, 1.0])
    np.testing.assert_allclose(got.existence, [0.8, 1.0])
