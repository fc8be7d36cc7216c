"""The collective perception message of ETSI TR 103 562 V2.1.1 (2019-12) as tables, in the two forms seen in the field.

The report's own text dates a message with generationDeltaTime (16 bits, milliseconds that wrap every 65 s); roadside units
recorded at Kashiwa send a whole 42-bit time stamp in its place. Pieces of TS 102 894-2 V1.3.1 keep the widths they have
in V2.1.1. A field with a DEFAULT is shown as optional, so that octets which send the default explicitly come back the same.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v211 as cdd
from v2x.codecs.schema import (
    Boolean,
    Choice,
    Contained,
    Enumerated,
    Field,
    Integer,
    Sequence,
    SequenceOf,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-cpm-tr103562"
DELTA_FORM = f"{WIRE_FORMAT}+delta-time"
PROTOCOL_VERSION, MESSAGE_ID = 1, 14
SENSOR_TYPES = (
    "undefined", "radar", "lidar", "monovideo", "stereovision", "nightvision", "ultrasonic", "pmd", "fusion",
    "inductionloop", "sphericalCamera", "itssaggregation",
)

_METRE_CENTI = Integer(-132_768, 132_767, cdd.CENTIMETRE)
_CONFIDENCE_102 = Integer(0, 102, cdd.CENTIMETRE, {0: "unavailable", 101: "out of range", 102: "unavailable"})
_RANGE = Integer(0, 10_000, cdd.DECIMETRE)
_PERCENT = Integer(0, 101, "%", {0: "unknown", 101: "unavailable"})

# Offsets of a point, in six widths (SAE J2735 Offset-B10 to -B16).
_WIDTHS = (("1", 10), ("2", 11), ("3", 12), ("4", 13), ("5", 14), ("6", 16))


def _offset(bits: int) -> Integer:
    return Integer(-(1 << bits - 1), (1 << bits - 1) - 1, cdd.CENTIMETRE)


_POINT = Sequence("OffsetPoint", (
    Field("nodeOffsetPointxy", Choice("NodeOffsetPointXY", (
        *(Field(f"node-XY{n}", Sequence(f"Node-XY-{2 * bits}b", (Field("x", _offset(bits)), Field("y", _offset(bits)))))
          for n, bits in _WIDTHS),
        Field("node-LatLon", Sequence("Node-LLmD-64b", (
            Field("lon", Integer(-1_799_999_999, 1_800_000_001)), Field("lat", Integer(-900_000_000, 900_000_001)),
        ))),
        Field("regional", Sequence("RegionalExtension", (
            Field("regionId", cdd.OCTET), Field("regExtValue", Contained("regionId", {})),
        ))),
    ))),
    optional("nodeOffsetPointZ", Choice("NodeOffsetPointZ", tuple(Field(f"node-Z{n}", _offset(bits)) for n, bits in _WIDTHS))),
))
_NODE_CENTER = optional("nodeCenterPoint", _POINT)
_POLYGON = Sequence("AreaPolygon", (Field("polyPointList", SequenceOf(_POINT, 3, 16, extensible=True)),))
_CIRCULAR = Sequence("AreaCircular", (_NODE_CENTER, Field("radius", _RANGE)))
_ELLIPSE = Sequence("AreaEllipse", (
    _NODE_CENTER, Field("semiMinorRangeLength", _RANGE), Field("semiMajorRangeLength", _RANGE),
    Field("semiMajorRangeOrientation", cdd.ANGLE_VALUE), optional("semiHeight", _RANGE),
))
_RECTANGLE = Sequence("AreaRectangle", (
    _NODE_CENTER, Field("semiMajorRangeLength", _RANGE), Field("semiMinorRangeLength", _RANGE),
    Field("semiMajorRangeOrientation", cdd.ANGLE_VALUE), optional("semiHeight", _RANGE),
))
_VERTICAL_OPENING = (
    optional("verticalOpeningAngleStart", cdd.ANGLE_VALUE), optional("verticalOpeningAngleEnd", cdd.ANGLE_VALUE),
)
_SENSOR_IDS = SequenceOf(cdd.OCTET, 1, 128, extensible=True)
_VEHICLE_SENSOR = Sequence("VehicleSensor", (
    optional("refPointId", cdd.OCTET),
    Field("xSensorOffset", Integer(-5000, 0, cdd.CENTIMETRE)),
    Field("ySensorOffset", Integer(-1000, 1000, cdd.CENTIMETRE)),
    optional("zSensorOffset", Integer(0, 1000, cdd.CENTIMETRE)),
    Field("vehicleSensorPropertyList", SequenceOf(Sequence("VehicleSensorProperties", (
        Field("range", _RANGE),
        Field("horizontalOpeningAngleStart", cdd.ANGLE_VALUE),
        Field("horizontalOpeningAngleEnd", cdd.ANGLE_VALUE),
        *_VERTICAL_OPENING,
    ), extensible=True), 1, 10)),
), extensible=True)
_RADIAL = Sequence("AreaRadial", (
    Field("range", _RANGE),
    Field("stationaryHorizontalOpeningAngleStart", cdd.ANGLE_VALUE),
    Field("stationaryHorizontalOpeningAngleEnd", cdd.ANGLE_VALUE),
    *_VERTICAL_OPENING,
    optional("sensorPositionOffset", _POINT),
    optional("sensorHeight", Integer(-5000, 5000, cdd.CENTIMETRE)),
), extensible=True)
_SENSOR = Sequence("SensorInformation", (
    Field("sensorID", cdd.OCTET),
    Field("type", Integer(0, 15, "", dict(enumerate(SENSOR_TYPES)))),
    Field("detectionArea", Choice("DetectionArea", (
        Field("vehicleSensor", _VEHICLE_SENSOR),
        Field("stationarySensorRadial", _RADIAL),
        Field("stationarySensorPolygon", _POLYGON),
        Field("stationarySensorCircular", _CIRCULAR),
        Field("stationarySensorEllipse", _ELLIPSE),
        Field("stationarySensorRectangle", _RECTANGLE),
    ), extensible=True)),
    optional("freeSpaceConfidence", _PERCENT),
), extensible=True)
_FREE_SPACE = Sequence("FreeSpaceAddendum", (
    Field("freeSpaceConfidence", _PERCENT),
    Field("freeSpaceArea", Choice("FreeSpaceArea", (
        Field("freeSpacePolygon", _POLYGON), Field("freeSpaceCircular", _CIRCULAR),
        Field("freeSpaceEllipse", _ELLIPSE), Field("freeSpaceRectangle", _RECTANGLE),
    ), extensible=True)),
    optional("sensorIDList", _SENSOR_IDS),
    optional("shadowingApplies", Boolean()),
), extensible=True)

_DISTANCE = Sequence("ObjectDistanceWithConfidence", (Field("value", _METRE_CENTI), Field("confidence", _CONFIDENCE_102)))
_SPEED = Sequence("SpeedExtended", (
    Field("value", Integer(-16_383, 16_383, "0.01 m/s", {16_383: "unavailable"})), Field("confidence", cdd.SPEED_CONFIDENCE),
))
_DIMENSION = Sequence("ObjectDimension", (
    Field("value", Integer(0, 1023, cdd.DECIMETRE)), Field("confidence", _CONFIDENCE_102),
))
_ACCELERATION = Sequence("Acceleration", (
    Field("value", Integer(-160, 161, "0.1 m/s2", {161: "unavailable"})), Field("confidence", cdd.ACCELERATION_CONFIDENCE),
))


def _subclass(name: str) -> Sequence:
    return Sequence(name, (optional("type", cdd.OCTET), optional("confidence", _PERCENT)))


_CLASS = Sequence("ObjectClass", (
    Field("confidence", _PERCENT),
    Field("class", Choice("ObjectClassClass", (
        Field("vehicle", _subclass("VehicleSubclass")), Field("person", _subclass("PersonSubclass")),
        Field("animal", _subclass("AnimalSubclass")), Field("other", _subclass("OtherSubclass")),
    ))),
))
_OBJECT = Sequence("PerceivedObject", (
    Field("objectID", cdd.OCTET),
    optional("sensorIDList", _SENSOR_IDS),
    Field("timeOfMeasurement", Integer(-1500, 1500, "ms")),
    optional("objectAge", Integer(0, 1500, "ms", {1500: "1.5 s or more"})),
    optional("objectConfidence", _PERCENT),
    Field("xDistance", _DISTANCE),
    Field("yDistance", _DISTANCE),
    optional("zDistance", _DISTANCE),
    Field("xSpeed", _SPEED),
    Field("ySpeed", _SPEED),
    optional("zSpeed", _SPEED),
    optional("xAcceleration", _ACCELERATION),
    optional("yAcceleration", _ACCELERATION),
    optional("zAcceleration", _ACCELERATION),
    optional("yawAngle", cdd.CARTESIAN_ANGLE),
    optional("planarObjectDimension1", _DIMENSION),
    optional("planarObjectDimension2", _DIMENSION),
    optional("verticalObjectDimension", _DIMENSION),
    optional("objectRefPoint", Integer(0, 8)),
    optional("dynamicStatus", Integer(0, 2)),
    optional("classification", SequenceOf(_CLASS, 1, 8)),
    optional("matchedPosition", Sequence("MatchedPosition", (
        optional("laneID", cdd.OCTET),
        optional("longitudinalLanePosition", Sequence("LongitudinalLanePosition", (
            Field("longitudinalLanePositionValue", Integer(0, 32_767, cdd.DECIMETRE)),
            Field("longitudinalLanePositionConfidence", _CONFIDENCE_102),
        ))),
    ), extensible=True)),
), extensible=True)

_ROAD_REFERENCE = (optional("region", cdd.IDENTIFIER_2B), Field("id", cdd.IDENTIFIER_2B))
_STATION_DATA = Choice("StationDataContainer", (
    Field("originatingVehicleContainer", Sequence("OriginatingVehicleContainer", (
        Field("heading", Sequence("Heading", (
            Field("headingValue", cdd.ANGLE_VALUE), Field("headingConfidence", cdd.ANGLE_CONFIDENCE)))),
        Field("speed", Sequence("Speed", (
            Field("speedValue", Integer(0, 16_383, "0.01 m/s", {16_383: "unavailable"})),
            Field("speedConfidence", cdd.SPEED_CONFIDENCE)))),
        optional("vehicleOrientationAngle", cdd.WGS84_ANGLE),
        optional("driveDirection", Enumerated(("forward", "backward", "unavailable"))),
        optional("longitudinalAcceleration", _ACCELERATION),
        optional("lateralAcceleration", _ACCELERATION),
        optional("verticalAcceleration", _ACCELERATION),
        optional("yawRate", Sequence("YawRate", (
            Field("yawRateValue", Integer(-32_766, 32_767, "0.01 degree/s", {32_767: "unavailable"})),
            Field("yawRateConfidence", Enumerated((
                "degSec-000-01", "degSec-000-05", "degSec-000-10", "degSec-001-00", "degSec-005-00", "degSec-010-00",
                "degSec-100-00", "outOfRange", "unavailable"))),
        ))),
        optional("pitchAngle", cdd.CARTESIAN_ANGLE),
        optional("rollAngle", cdd.CARTESIAN_ANGLE),
        optional("vehicleLength", Sequence("VehicleLength", (
            Field("vehicleLengthValue", Integer(1, 1023, cdd.DECIMETRE, {1022: "out of range", 1023: "unavailable"})),
            Field("vehicleLengthConfidenceIndication", Enumerated((
                "noTrailerPresent", "trailerPresentWithKnownLength", "trailerPresentWithUnknownLength",
                "trailerPresenceIsUnknown", "unavailable"))),
        ))),
        optional("vehicleWidth", Integer(1, 62, cdd.DECIMETRE, {61: "out of range", 62: "unavailable"})),
        optional("vehicleHeight", Integer(0, 127, "0.05 m")),
        optional("trailerDataContainer", SequenceOf(Sequence("TrailerData", (
            Field("refPointId", cdd.OCTET),
            Field("hitchPointOffset", Integer(0, 100, cdd.DECIMETRE)),
            Field("frontOverhang", Integer(0, 50, cdd.DECIMETRE)),
            Field("rearOverhang", Integer(0, 150, cdd.DECIMETRE)),
            optional("trailerWidth", Integer(1, 62, cdd.DECIMETRE)),
            optional("hitchAngle", cdd.CARTESIAN_ANGLE),
        ), extensible=True), 1, 2)),
    ), extensible=True)),
    Field("originatingRSUContainer", Choice("OriginatingRSUContainer", (
        Field("intersectionReferenceId", Sequence("IntersectionReferenceID", _ROAD_REFERENCE)),
        Field("roadSegmentReferenceId", Sequence("RoadSegmentReferenceID", _ROAD_REFERENCE)),
    ), extensible=True)),
), extensible=True)
_PARAMETERS = Sequence("CpmParameters", (
    Field("managementContainer", Sequence("CpmManagementContainer", (
        Field("stationType", cdd.OCTET),
        optional("perceivedObjectContainerSegmentInfo", Sequence("PerceivedObjectContainerSegmentInfo", (
            Field("totalMsgSegments", Integer(1, 127)), Field("thisSegmentNum", Integer(1, 127)),
        ))),
        Field("referencePosition", cdd.REFERENCE_POSITION),
    ), extensible=True)),
    optional("stationDataContainer", _STATION_DATA),
    optional("sensorInformationContainer", SequenceOf(_SENSOR, 1, 128, extensible=True)),
    optional("perceivedObjectContainer", SequenceOf(_OBJECT, 1, 128, extensible=True)),
    optional("freeSpaceAddendumContainer", SequenceOf(_FREE_SPACE, 1, 128, extensible=True)),
    Field("numberOfPerceivedObjects", cdd.OCTET),
), extensible=True)


def message_table(time_field: Field) -> Sequence:
    """The whole message, dated by the field given."""
    return Sequence("CPM", (
        Field("header", cdd.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
        Field("cpm", Sequence("CollectivePerceptionMessage", (time_field, Field("cpmParameters", _PARAMETERS)))),
    ))


FORMS = Forms("CPM", {
    WIRE_FORMAT: message_table(Field("generationTime", cdd.TIMESTAMP_ITS)),
    DELTA_FORM: message_table(Field("generationDeltaTime", Integer(0, 65_535, "ms of ITS time, modulo 65536"))),
})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message and the form it has; DecodeError at the first bit that the recorded form forbids."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the report does not allow."""
    return FORMS[form].encode(value)
