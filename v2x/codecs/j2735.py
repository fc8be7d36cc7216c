"""What SAE J2735 messages are made of, as tables: the message frame, times, places, motion and their confidences.

Standard: SAE J2735 (2024-09; parts that the 2016-03 edition has keep their places on the wire). SAE sells its text; names, order,
ranges and extension marks were read in what public projects made of it: usdot-fhwa-stol/carma-j2735 (C by asn1c from the 2016
edition, commit 0d6ff15), usdot-jpo-ode/jpo-asn-pojos (Java classes and octets of the 2024 edition, commit a36d9c0),
nprobert/j2735_tools (a pycrate module of the 2024 edition) and, where signals and lanes are concerned, ISO TS 19091's module in
pycrate. The golden octets of tests/v2x/vectors come from j2735_tools' module, so they prove the reader and not the layout; what
speaks for the layout are recorded messages of jpo-ode, which these tables read and write to the same octets.
"""
from __future__ import annotations

from collections.abc import Callable

from v2x.codecs.schema import (
    BitString,
    Checked,
    Choice,
    Contained,
    Enumerated,
    Field,
    Integer,
    Kind,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
    optional,
)

MAP_DATA, SPAT, BASIC_SAFETY, PERSONAL_SAFETY, SENSOR_DATA_SHARING = 18, 19, 20, 32, 41  # DSRCmsgID

REGIONAL_EXTENSION = Sequence("RegionalExtension", (
    Field("regionId", Integer(0, 255)), Field("regExtValue", Contained("regionId", {})),
))
REGIONAL = SequenceOf(REGIONAL_EXTENSION, 1, 4)  # what regions add is kept as octets
TEMPORARY_ID = OctetString(4, 4)
MSG_COUNT = Integer(0, 127)
D_SECOND = Integer(0, 65_535, "ms", {65_535: "unavailable"})
D_DATE_TIME = Sequence("DDateTime", (
    optional("year", Integer(0, 4095, "year", {0: "unknown"})),
    optional("month", Integer(0, 12, "month", {0: "unknown"})),
    optional("day", Integer(0, 31, "day", {0: "unknown"})),
    optional("hour", Integer(0, 31, "h", {31: "unknown"})),
    optional("minute", Integer(0, 60, "min", {60: "unknown"})),
    optional("second", D_SECOND),
    optional("offset", Integer(-840, 840, "min from UTC")),
))
LATITUDE = Integer(-900_000_000, 900_000_001, "1e-7 degree", {900_000_001: "unavailable"})
LONGITUDE = Integer(-1_799_999_999, 1_800_000_001, "1e-7 degree", {1_800_000_001: "unavailable"})  # ETSI's starts one lower
ELEVATION = Integer(-4096, 61_439, "0.1 m", {-4096: "unknown"})
POSITIONAL_ACCURACY = Sequence("PositionalAccuracy", (
    Field("semiMajor", Integer(0, 255, "0.05 m", {254: "12.7 m or more", 255: "unavailable"})),
    Field("semiMinor", Integer(0, 255, "0.05 m", {254: "12.7 m or more", 255: "unavailable"})),
    Field("orientation", Integer(0, 65_535, "360/65535 degree from North", {65_535: "unavailable"})),
))
ELEVATION_CONFIDENCE = Enumerated((
    "unavailable", "elev-500-00", "elev-200-00", "elev-100-00", "elev-050-00", "elev-020-00", "elev-010-00", "elev-005-00",
    "elev-002-00", "elev-001-00", "elev-000-50", "elev-000-20", "elev-000-10", "elev-000-05", "elev-000-02", "elev-000-01",
))
TIME_CONFIDENCE = Enumerated((
    "unavailable", "time-100-000", "time-050-000", "time-020-000", "time-010-000", "time-002-000", "time-001-000",
    "time-000-500", "time-000-200", "time-000-100", "time-000-050", "time-000-020", "time-000-010", "time-000-005",
    "time-000-002", "time-000-001", "time-000-000-5", "time-000-000-2", "time-000-000-1", "time-000-000-05", "time-000-000-02",
    "time-000-000-01", "time-000-000-005", "time-000-000-002", "time-000-000-001", "time-000-000-000-5", "time-000-000-000-2",
    "time-000-000-000-1", "time-000-000-000-05", "time-000-000-000-02", "time-000-000-000-01", "time-000-000-000-005",
    "time-000-000-000-002", "time-000-000-000-001", "time-000-000-000-000-5", "time-000-000-000-000-2", "time-000-000-000-000-1",
    "time-000-000-000-000-05", "time-000-000-000-000-02", "time-000-000-000-000-01",
))
POSITION_CONFIDENCE_SET = Sequence("PositionConfidenceSet", (
    Field("pos", Enumerated((
        "unavailable", "a500m", "a200m", "a100m", "a50m", "a20m", "a10m", "a5m", "a2m", "a1m", "a50cm", "a20cm", "a10cm", "a5cm",
        "a2cm", "a1cm",
    ))),
    Field("elevation", ELEVATION_CONFIDENCE),
))
SPEED = Integer(0, 8191, "0.02 m/s", {8191: "unavailable"})
SPEED_CONFIDENCE = Enumerated((
    "unavailable", "prec100ms", "prec10ms", "prec5ms", "prec1ms", "prec0-1ms", "prec0-05ms", "prec0-01ms",
))
HEADING = Integer(0, 28_800, "0.0125 degree from North", {28_800: "unavailable"})
HEADING_CONFIDENCE = Enumerated((
    "unavailable", "prec10deg", "prec05deg", "prec01deg", "prec0-1deg", "prec0-05deg", "prec0-01deg", "prec0-0125deg",
))
ACCELERATION = Integer(-2000, 2001, "0.01 m/s2", {2001: "unavailable"})
ACCELERATION_SET_4WAY = Sequence("AccelerationSet4Way", (
    Field("long", ACCELERATION),
    Field("lat", ACCELERATION),
    Field("vert", Integer(-127, 127, "0.02 g", {-127: "unavailable"})),
    Field("yaw", Integer(-32_767, 32_767, "0.01 degree/s")),
))
VEHICLE_WIDTH = Integer(0, 1023, "0.01 m", {0: "unavailable"})
VEHICLE_LENGTH = Integer(0, 4095, "0.01 m", {0: "unavailable"})
VEHICLE_SIZE = Sequence("VehicleSize", (Field("width", VEHICLE_WIDTH), Field("length", VEHICLE_LENGTH)))
VEHICLE_HEIGHT = Integer(0, 127, "0.05 m")
BASIC_VEHICLE_CLASS = Integer(0, 255)
PERSONAL_DEVICE_USER_TYPE = Enumerated((
    "unavailable", "aPEDESTRIAN", "aPEDALCYCLIST", "aPUBLICSAFETYWORKER", "anANIMAL",
), extensible=True)
PROPELLED_INFORMATION = Choice("PropelledInformation", (
    Field("human", Enumerated((
        "unavailable", "otherTypes", "onFoot", "skateboard", "pushOrKickScooter", "wheelchair",
    ), extensible=True)),
    Field("animal", Enumerated(("unavailable", "otherTypes", "animalMounted", "animalDrawnCarriage"), extensible=True)),
    Field("motor", Enumerated((
        "unavailable", "otherTypes", "wheelChair", "bicycle", "scooter", "selfBalancingDevice",
    ), extensible=True)),
), extensible=True)
ATTACHMENT = Enumerated((
    "unavailable", "stroller", "bicycleTrailer", "cart", "wheelchair", "otherWalkAssistAttachments", "pet",
), extensible=True)
ATTACHMENT_RADIUS = Integer(0, 200, "0.1 m")
VELOCITY = Integer(0, 8191, "0.02 m/s", {8191: "unavailable"})
TRANSMISSION_STATE = Enumerated((
    "neutral", "park", "forwardGears", "reverseGears", "reserved1", "reserved2", "reserved3", "unavailable",
))
TRANSMISSION_AND_SPEED = Sequence("TransmissionAndSpeed", (Field("transmisson", TRANSMISSION_STATE), Field("speed", VELOCITY)))
SPEED_HEADING_THROTTLE_CONFIDENCE = Sequence("SpeedandHeadingandThrottleConfidence", (
    Field("heading", HEADING_CONFIDENCE),
    Field("speed", SPEED_CONFIDENCE),
    Field("throttle", Enumerated(("unavailable", "prec10percent", "prec1percent", "prec0-5percent"))),
))
FULL_POSITION_VECTOR = Sequence("FullPositionVector", (
    optional("utcTime", D_DATE_TIME),
    Field("long", LONGITUDE),
    Field("lat", LATITUDE),
    optional("elevation", ELEVATION),
    optional("heading", HEADING),
    optional("speed", TRANSMISSION_AND_SPEED),
    optional("posAccuracy", POSITIONAL_ACCURACY),
    optional("timeConfidence", TIME_CONFIDENCE),
    optional("posConfidence", POSITION_CONFIDENCE_SET),
    optional("speedConfidence", SPEED_HEADING_THROTTLE_CONFIDENCE),
), extensible=True)
OFFSET_LL_B18 = Integer(-131_072, 131_071, "1e-7 degree", {-131_072: "unavailable"})
TIME_OFFSET = Integer(1, 65_535, "0.01 s", {65_535: "unavailable"})
COARSE_HEADING = Integer(0, 240, "1.5 degree from North", {240: "unavailable"})
PATH_HISTORY_POINT = Sequence("PathHistoryPoint", (
    Field("latOffset", OFFSET_LL_B18),
    Field("lonOffset", OFFSET_LL_B18),
    Field("elevationOffset", Integer(-2048, 2047, "0.1 m", {-2048: "unavailable"})),
    Field("timeOffset", TIME_OFFSET),
    optional("speed", SPEED),
    optional("posAccuracy", POSITIONAL_ACCURACY),
    optional("heading", COARSE_HEADING),
), extensible=True)
PATH_HISTORY = Sequence("PathHistory", (
    optional("initialPosition", FULL_POSITION_VECTOR),
    optional("currGNSSstatus", BitString(8)),
    Field("crumbData", SequenceOf(PATH_HISTORY_POINT, 1, 23)),
), extensible=True)
PATH_PREDICTION = Sequence("PathPrediction", (
    Field("radiusOfCurve", Integer(-32_767, 32_767, "0.1 m", {32_767: "straight"})),
    Field("confidence", Integer(0, 200, "0.5 %")),
), extensible=True)
OFFSET_B11 = Integer(-1024, 1023, "0.01 m")
ANGLE = Integer(0, 28_800, "0.0125 degree", {28_800: "unavailable"})
OFFSET_B12 = Integer(-2048, 2047, "0.01 m")
NODE_XY_24B = Sequence("Node-XY-24b", (Field("x", OFFSET_B12), Field("y", OFFSET_B12)))
OFFSET_B10 = Integer(-512, 511, "0.01 m")
MINUTE_OF_THE_YEAR = Integer(0, 527_040, "min", {527_040: "invalid"})
DESCRIPTIVE_NAME = Text(1, 63)
ROAD_REGULATOR_ID = Integer(0, 65_535)
INTERSECTION_REFERENCE_ID = Sequence("IntersectionReferenceID", (
    optional("region", ROAD_REGULATOR_ID),
    Field("id", Integer(0, 65_535)),
))
LANE_ID = Integer(0, 255)
SIGNAL_GROUP_ID = Integer(0, 255)
RESTRICTION_CLASS_ID = Integer(0, 255)
LANE_CONNECTION_ID = Integer(0, 255)
ROAD_AUTHORITY = (optional("roadAuthorityID", Choice("RoadAuthorityID", (
    Field("fullRdAuthID", OctetString(0, None)),
    Field("relRdAuthID", OctetString(0, None)),
), extensible=True)),)  # added after 2016; an object identifier is kept as octets
EXTERIOR_LIGHTS = BitString(9, extensible=True)


def message_frame(message_id: int, message: Kind) -> Sequence:
    """MessageFrame that carries one message; another messageId is refused."""
    return Sequence("MessageFrame", (
        Field("messageId", Checked(Integer(0, 32_767), _only(message_id))),
        Field("value", Contained("messageId", {message_id: message})),
    ), extensible=True)


def position_3d(longitude: Integer) -> Sequence:
    """Position3D, whose longitude SAE and ETSI start differently."""
    return Sequence("Position3D", (
        Field("lat", LATITUDE),
        Field("long", longitude),
        optional("elevation", ELEVATION),
        optional("regional", REGIONAL),
    ), extensible=True)


def _only(number: int) -> Callable[[object], tuple[str, str] | None]:
    return lambda value: None if value == number else (f"value {value}", str(number))


POSITION_3D = position_3d(LONGITUDE)
