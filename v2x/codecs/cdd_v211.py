"""Pieces of the common data dictionary that CPM v2.1.1 is made of, as tables.

Source: ETSI TS 102 894-2 V2.1.1 (2023-10), "Common Data Dictionary". Confidences are half widths of the 95 % interval.
"""
from __future__ import annotations

from collections.abc import Callable

from v2x.codecs.schema import (
    Boolean,
    Checked,
    Choice,
    Enumerated,
    Field,
    Integer,
    Kind,
    NamedInteger,
    Sequence,
    SequenceOf,
    optional,
)

CENTIMETRE, DECIMETRE, TENTH_DEGREE = "0.01 m", "0.1 m", "0.1 degree"
OCTET = Integer(0, 255)
IDENTIFIER_2B = Integer(0, 65535)

LATITUDE = Integer(-900_000_000, 900_000_001, "1e-7 degree", {900_000_001: "unavailable"})
LONGITUDE = Integer(-1_800_000_000, 1_800_000_001, "1e-7 degree", {-1_800_000_000: "not used", 1_800_000_001: "unavailable"})
SEMI_AXIS = Integer(0, 4095, CENTIMETRE, {0: "not used", 4094: "out of range", 4095: "unavailable"})
ANGLE_VALUE = Integer(0, 3601, TENTH_DEGREE, {3600: "not used", 3601: "unavailable"})
ANGLE_CONFIDENCE = Integer(1, 127, TENTH_DEGREE, {126: "out of range", 127: "unavailable"})
ALTITUDE_CONFIDENCE = Enumerated((
    "alt-000-01", "alt-000-02", "alt-000-05", "alt-000-10", "alt-000-20", "alt-000-50", "alt-001-00", "alt-002-00",
    "alt-005-00", "alt-010-00", "alt-020-00", "alt-050-00", "alt-100-00", "alt-200-00", "outOfRange", "unavailable",
))
REFERENCE_POSITION = Sequence("ReferencePositionWithConfidence", (
    Field("latitude", LATITUDE),
    Field("longitude", LONGITUDE),
    Field("positionConfidenceEllipse", Sequence("PositionConfidenceEllipse", (
        Field("semiMajorConfidence", SEMI_AXIS),
        Field("semiMinorConfidence", SEMI_AXIS),
        Field("semiMajorOrientation", ANGLE_VALUE),
    ))),
    Field("altitude", Sequence("Altitude", (
        Field("altitudeValue", Integer(-100_000, 800_001, CENTIMETRE, {
            -100_000: "at or below", 800_000: "out of range", 800_001: "unavailable"})),
        Field("altitudeConfidence", ALTITUDE_CONFIDENCE),
    ))),
))
TIMESTAMP_ITS = Integer(0, 4_398_046_511_103, "ms of ITS time")
DELTA_TIME = Integer(-2048, 2047, "ms", {-2048: "that or earlier", 2047: "later than 2046"})

CARTESIAN_ANGLE = Sequence("CartesianAngle", (Field("value", ANGLE_VALUE), Field("confidence", ANGLE_CONFIDENCE)))
WGS84_ANGLE = Sequence("Wgs84Angle", (Field("value", ANGLE_VALUE), Field("confidence", ANGLE_CONFIDENCE)))

COORDINATE = Sequence("CartesianCoordinateWithConfidence", (
    Field("value", Integer(-131_072, 131_071, CENTIMETRE, {-131_072: "out of range", 131_071: "out of range"})),
    Field("confidence", Integer(1, 4096, CENTIMETRE, {4095: "out of range", 4096: "unavailable"})),
))
POSITION_3D = Sequence("CartesianPosition3dWithConfidence", (
    Field("xCoordinate", COORDINATE),
    Field("yCoordinate", COORDINATE),
    optional("zCoordinate", COORDINATE),
))

SPEED_CONFIDENCE = Integer(1, 127, "0.01 m/s", {126: "out of range", 127: "unavailable"})
VELOCITY_COMPONENT = Sequence("VelocityComponent", (
    Field("value", Integer(-16_383, 16_383, "0.01 m/s", {
        -16_383: "out of range", 16_382: "out of range", 16_383: "unavailable"})),
    Field("confidence", SPEED_CONFIDENCE),
))
VELOCITY = Choice("Velocity3dWithConfidence", (
    Field("polarVelocity", Sequence("VelocityPolarWithZ", (
        Field("velocityMagnitude", Sequence("Speed", (
            Field("speedValue", Integer(0, 16_383, "0.01 m/s", {16_382: "out of range", 16_383: "unavailable"})),
            Field("speedConfidence", SPEED_CONFIDENCE),
        ))),
        Field("velocityDirection", CARTESIAN_ANGLE),
        optional("zVelocity", VELOCITY_COMPONENT),
    ))),
    Field("cartesianVelocity", Sequence("VelocityCartesian", (
        Field("xVelocity", VELOCITY_COMPONENT),
        Field("yVelocity", VELOCITY_COMPONENT),
        optional("zVelocity", VELOCITY_COMPONENT),
    ))),
))

ACCELERATION_CONFIDENCE = Integer(0, 102, "0.1 m/s2", {0: "not used", 101: "out of range", 102: "unavailable"})
ACCELERATION_COMPONENT = Sequence("AccelerationComponent", (
    Field("value", Integer(-160, 161, "0.1 m/s2", {-160: "out of range", 160: "out of range", 161: "unavailable"})),
    Field("confidence", ACCELERATION_CONFIDENCE),
))
ACCELERATION = Choice("Acceleration3dWithConfidence", (
    Field("polarAcceleration", Sequence("AccelerationPolarWithZ", (
        Field("accelerationMagnitude", Sequence("AccelerationMagnitude", (
            Field("accelerationMagnitudeValue", Integer(0, 161, "0.1 m/s2", {160: "out of range", 161: "unavailable"})),
            Field("accelerationConfidence", ACCELERATION_CONFIDENCE),
        ))),
        Field("accelerationDirection", CARTESIAN_ANGLE),
        optional("zAcceleration", ACCELERATION_COMPONENT),
    ))),
    Field("cartesianAcceleration", Sequence("AccelerationCartesian", (
        Field("xAcceleration", ACCELERATION_COMPONENT),
        Field("yAcceleration", ACCELERATION_COMPONENT),
        optional("zAcceleration", ACCELERATION_COMPONENT),
    ))),
))

EULER_ANGLES = Sequence("EulerAnglesWithConfidence", (
    Field("zAngle", CARTESIAN_ANGLE), optional("yAngle", CARTESIAN_ANGLE), optional("xAngle", CARTESIAN_ANGLE),
))
Z_ANGULAR_VELOCITY = Sequence("CartesianAngularVelocityComponent", (
    Field("value", Integer(-255, 256, "degree/s", {-255: "out of range", 255: "out of range", 256: "unavailable"})),
    Field("confidence", Enumerated((
        "degSec-01", "degSec-02", "degSec-05", "degSec-10", "degSec-20", "degSec-50", "outOfRange", "unavailable"))),
))
DIMENSION = Sequence("ObjectDimension", (
    Field("value", Integer(1, 256, DECIMETRE, {255: "out of range", 256: "unavailable"})),
    Field("confidence", Integer(1, 32, DECIMETRE, {31: "out of range", 32: "unavailable"})),
))

_ROAD_REFERENCE = (optional("region", IDENTIFIER_2B), Field("id", IDENTIFIER_2B))
MAP_REFERENCE = Choice("MapReference", (
    Field("roadsegment", Sequence("RoadSegmentReferenceId", _ROAD_REFERENCE)),
    Field("intersection", Sequence("IntersectionReferenceId", _ROAD_REFERENCE)),
))
MAP_POSITION = Sequence("MapPosition", (
    optional("mapReference", MAP_REFERENCE),
    optional("laneId", OCTET),
    optional("connectionId", OCTET),
    optional("longitudinalLanePosition", Sequence("LongitudinalLanePosition", (
        Field("longitudinalLanePositionValue", Integer(0, 32_767, DECIMETRE, {32_766: "out of range", 32_767: "unavailable"})),
        Field("longitudinalLanePositionConfidence", Integer(0, 1023, DECIMETRE, {1022: "out of range", 1023: "unavailable"})),
    ))),
), extensible=True)

# Shapes. Lengths are half lengths where the name says "semi".
_LENGTH = Integer(0, 4095, DECIMETRE)
_SHAPE_ANGLE = Integer(0, 3601, TENTH_DEGREE, {3601: "unavailable"})
_COORDINATE = Integer(-32_768, 32_767, CENTIMETRE, {-32_768: "out of range", 32_767: "out of range"})
_OFFSET = Integer(-3094, 1001, CENTIMETRE, {-3094: "out of range", 1001: "out of range"})
_POINT = Sequence("CartesianPosition3d", (
    Field("xCoordinate", _COORDINATE), Field("yCoordinate", _COORDINATE), optional("zCoordinate", _COORDINATE),
))
_RADIAL_FIELDS = (
    Field("range", _LENGTH),
    Field("horizontalOpeningAngleStart", _SHAPE_ANGLE),
    Field("horizontalOpeningAngleEnd", _SHAPE_ANGLE),
    optional("verticalOpeningAngleStart", _SHAPE_ANGLE),
    optional("verticalOpeningAngleEnd", _SHAPE_ANGLE),
)
_REFERENCE_POINT = optional("shapeReferencePoint", _POINT)
_HEIGHT = optional("height", _LENGTH)
SHAPE = Choice("Shape", (
    Field("rectangular", Sequence("RectangularShape", (
        _REFERENCE_POINT, Field("semiLength", _LENGTH), Field("semiBreadth", _LENGTH),
        optional("orientation", _SHAPE_ANGLE), _HEIGHT,
    ))),
    Field("circular", Sequence("CircularShape", (_REFERENCE_POINT, Field("radius", _LENGTH), _HEIGHT))),
    Field("polygonal", Sequence("PolygonalShape", (
        _REFERENCE_POINT, Field("polygon", SequenceOf(_POINT, 3, 16, extensible=True)), _HEIGHT,
    ))),
    Field("elliptical", Sequence("EllipticalShape", (
        _REFERENCE_POINT, Field("semiMajorAxisLength", _LENGTH), Field("semiMinorAxisLength", _LENGTH),
        optional("orientation", _SHAPE_ANGLE), _HEIGHT,
    ))),
    Field("radial", Sequence("RadialShape", (_REFERENCE_POINT, *_RADIAL_FIELDS))),
    Field("radialShapes", Sequence("RadialShapes", (
        Field("refPointId", OCTET), Field("xCoordinate", _OFFSET), Field("yCoordinate", _OFFSET),
        optional("zCoordinate", _OFFSET),
        Field("radialShapesList", SequenceOf(Sequence("RadialShapeDetails", _RADIAL_FIELDS), 1, 16, extensible=True)),
    ))),
), extensible=True)

TRAILER = Sequence("TrailerData", (
    Field("refPointId", OCTET),
    Field("hitchPointOffset", Integer(0, 255, DECIMETRE)),
    optional("frontOverhang", Integer(0, 255, DECIMETRE)),
    optional("rearOverhang", Integer(0, 255, DECIMETRE)),
    optional("trailerWidth", Integer(1, 62, DECIMETRE, {61: "out of range", 62: "unavailable"})),
    Field("hitchAngle", CARTESIAN_ANGLE),
), extensible=True)
SENSOR_ID_LIST = SequenceOf(OCTET, 1, 128, extensible=True)
CONFIDENCE_LEVEL = Integer(1, 101, "%", {101: "unavailable"})
SHADOWING = Boolean()

# Names of the road users that a profile may have; "max" only reserves the number 15.
VRU_PROFILES: dict[str, tuple[str, ...]] = {
    "pedestrian": ("unavailable", "ordinary-pedestrian", "road-worker", "first-responder"),
    "bicyclistAndLightVruVehicle": (
        "unavailable", "bicyclist", "wheelchair-user", "horse-and-rider", "rollerskater", "e-scooter",
        "personal-transporter", "pedelec", "speed-pedelec"),
    "motorcyclist": ("unavailable", "moped", "motorcycle", "motorcycle-and-sidecar-right", "motorcycle-and-sidecar-left"),
    "animal": ("unavailable", "wild-animal", "farm-animal", "service-animal"),
}


def vru_choice(enumerated: bool) -> Choice:
    """VruProfileAndSubprofile: sub-profiles as enumerations (V2.1.1) or as 4-bit integers (V2.2.1 and later)."""
    def profile(names: tuple[str, ...]) -> Kind:
        return Enumerated((*names, "max")) if enumerated else NamedInteger(0, 15, {**dict(enumerate(names)), 15: "max"})

    return Choice("VruProfileAndSubprofile", tuple(
        Field(name, profile(names)) for name, names in VRU_PROFILES.items()), extensible=True)


def pdu_header(protocol_version: int, message_id: int) -> Sequence:
    """ItsPduHeader of one message type: the two numbers are restrictions that do not shorten their fields."""
    return Sequence("ItsPduHeader", (
        Field("protocolVersion", Checked(OCTET, only(protocol_version))),
        Field("messageId", Checked(OCTET, only(message_id))),
        Field("stationId", Integer(0, 4_294_967_295)),
    ))


def only(number: int) -> Callable[[object], tuple[str, str] | None]:
    """The rule of a field that has this value in every message of its type."""
    return lambda value: None if value == number else (f"value {value}", str(number))
