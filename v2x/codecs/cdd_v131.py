"""Pieces of the common data dictionary that CAM V1.4.1 and DENM V1.3.1 are made of, as tables.

Source: ETSI TS 102 894-2 V1.3.1 (2018-08), "ITS-Container", read in github.com/riebl/vanetza, asn1/TS102894-2v131-CDD.asn.
Types that V2.1.1 codes alike come from `cdd_v211`. Headings are clockwise from North; to the left is positive.
"""
from __future__ import annotations

from v2x.codecs import cdd_v211 as cdd
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Checked,
    Enumerated,
    Field,
    Integer,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
    optional,
)

STATION_TYPES = {
    0: "unknown", 1: "pedestrian", 2: "cyclist", 3: "moped", 4: "motorcycle", 5: "passengerCar", 6: "bus", 7: "lightTruck",
    8: "heavyTruck", 9: "trailer", 10: "specialVehicles", 11: "tram", 15: "roadSideUnit",
}
CAUSES = {
    0: "reserved", 1: "trafficCondition", 2: "accident", 3: "roadworks", 5: "impassability",
    6: "adverseWeatherCondition-Adhesion", 7: "aquaplaning", 9: "hazardousLocation-SurfaceCondition",
    10: "hazardousLocation-ObstacleOnTheRoad", 11: "hazardousLocation-AnimalOnTheRoad", 12: "humanPresenceOnTheRoad",
    14: "wrongWayDriving", 15: "rescueAndRecoveryWorkInProgress", 17: "adverseWeatherCondition-ExtremeWeatherCondition",
    18: "adverseWeatherCondition-Visibility", 19: "adverseWeatherCondition-Precipitation", 26: "slowVehicle",
    27: "dangerousEndOfQueue", 91: "vehicleBreakdown", 92: "postCrash", 93: "humanProblem", 94: "stationaryVehicle",
    95: "emergencyVehicleApproaching", 96: "hazardousLocation-DangerousCurve", 97: "collisionRisk", 98: "signalViolation",
    99: "dangerousSituation",
}

STATION_ID = Integer(0, 4_294_967_295)
STATION_TYPE = Integer(0, 255, "", STATION_TYPES)
GENERATION_DELTA_TIME = Integer(0, 65_535, "ms of ITS time, modulo 65536")

# Motion.
HEADING = Sequence("Heading", (Field("headingValue", cdd.ANGLE_VALUE), Field("headingConfidence", cdd.ANGLE_CONFIDENCE)))
SPEED = Sequence("Speed", (
    Field("speedValue", Integer(0, 16_383, "0.01 m/s", {16_383: "unavailable"})), Field("speedConfidence", cdd.SPEED_CONFIDENCE),
))
SPEED_LIMIT = Integer(1, 255, "km/h")
DRIVE_DIRECTION = Enumerated(("forward", "backward", "unavailable"))
CURVATURE = Sequence("Curvature", (
    Field("curvatureValue", Integer(-1023, 1023, "1/10000 per metre", {1023: "unavailable"})),
    Field("curvatureConfidence", Enumerated((
        "onePerMeter-0-00002", "onePerMeter-0-0001", "onePerMeter-0-0005", "onePerMeter-0-002", "onePerMeter-0-01",
        "onePerMeter-0-1", "outOfRange", "unavailable"))),
))
CURVATURE_MODE = Enumerated(("yawRateUsed", "yawRateNotUsed", "unavailable"), extensible=True)
YAW_RATE_CONFIDENCES = (
    "degSec-000-01", "degSec-000-05", "degSec-000-10", "degSec-001-00", "degSec-005-00", "degSec-010-00", "degSec-100-00",
    "outOfRange", "unavailable",
)
YAW_RATE = Sequence("YawRate", (
    Field("yawRateValue", Integer(-32_766, 32_767, "0.01 degree/s", {32_767: "unavailable"})),
    Field("yawRateConfidence", Enumerated(YAW_RATE_CONFIDENCES)),
))
STEERING_WHEEL_ANGLE = Sequence("SteeringWheelAngle", (
    Field("steeringWheelAngleValue", Integer(-511, 512, "1.5 degree", {512: "unavailable"})),
    Field("steeringWheelAngleConfidence", Integer(1, 127, "1.5 degree", {126: "out of range", 127: "unavailable"})),
))
ACCELERATION_CONTROL = BitString(7)  # brake, gas, emergency brake, collision warning, ACC, cruise control, speed limiter


def acceleration(axis: str) -> Sequence:
    """An acceleration along one axis of the vehicle: "longitudinal", "lateral", "vertical"."""
    return Sequence(f"{axis.title()}Acceleration", (
        Field(f"{axis}AccelerationValue", Integer(-160, 161, "0.1 m/s2", {161: "unavailable"})),
        Field(f"{axis}AccelerationConfidence", cdd.ACCELERATION_CONFIDENCE),
    ))


# The vehicle.
VEHICLE_LENGTH = Sequence("VehicleLength", (
    Field("vehicleLengthValue", Integer(1, 1023, cdd.DECIMETRE, {1022: "out of range", 1023: "unavailable"})),
    Field("vehicleLengthConfidenceIndication", Enumerated((
        "noTrailerPresent", "trailerPresentWithKnownLength", "trailerPresentWithUnknownLength", "trailerPresenceIsUnknown",
        "unavailable"))),
))
VEHICLE_WIDTH = Integer(1, 62, cdd.DECIMETRE, {61: "out of range", 62: "unavailable"})
VEHICLE_ROLES = (
    "default", "publicTransport", "specialTransport", "dangerousGoods", "roadWork", "rescue", "emergency", "safetyCar",
    "agriculture", "commercial", "military", "roadOperator", "taxi", "reserved1", "reserved2", "reserved3",
)
VEHICLE_ROLE = Enumerated(VEHICLE_ROLES)
EXTERIOR_LIGHTS = BitString(8)  # low beam, high beam, left, right, daytime, reverse, fog, parking
LIGHT_BAR_SIREN = BitString(2)  # light bar, siren
PERFORMANCE_CLASS = Integer(0, 7, "", {0: "unavailable", 1: "A", 2: "B"})
PT_ACTIVATION = Sequence("PtActivation", (
    Field("ptActivationType", Integer(0, 255, "", {0: "undefined", 1: "R09.16", 2: "VDV 50149"})),
    Field("ptActivationData", OctetString(1, 20)),
))
ENERGY_STORAGE = BitString(7)  # hydrogen, electric, propane, natural gas, diesel, gasoline, ammonia
VEHICLE_IDENTIFICATION = Sequence("VehicleIdentification", (
    optional("wMInumber", Text(1, 3)), optional("vDS", Text(6, 6)),
), extensible=True)
DANGEROUS_GOODS = Enumerated((
    "explosives1", "explosives2", "explosives3", "explosives4", "explosives5", "explosives6", "flammableGases",
    "nonFlammableGases", "toxicGases", "flammableLiquids", "flammableSolids", "substancesLiableToSpontaneousCombustion",
    "substancesEmittingFlammableGasesUponContactWithWater", "oxidizingSubstances", "organicPeroxides", "toxicSubstances",
    "infectiousSubstances", "radioactiveMaterial", "corrosiveSubstances", "miscellaneousDangerousSubstances",
))
DANGEROUS_GOODS_EXTENDED = Sequence("DangerousGoodsExtended", (
    Field("dangerousGoodsType", DANGEROUS_GOODS),
    Field("unNumber", Integer(0, 9999)),
    Field("elevatedTemperature", Boolean()),
    Field("tunnelsRestricted", Boolean()),
    Field("limitedQuantity", Boolean()),
    optional("emergencyActionCode", Text(1, 24)),
    optional("phoneNumber", Text(1, 16, "numeric")),
    optional("companyName", Text(1, 24, "utf8")),
), extensible=True)

# The road.
LANE_POSITION = Integer(-1, 14, "", {-1: "off the road", 0: "inner hard shoulder", 14: "outer hard shoulder"})
_HARD_SHOULDER = Enumerated(("availableForStopping", "closed", "availableForDriving"))
CLOSED_LANES = Sequence("ClosedLanes", (
    optional("innerhardShoulderStatus", _HARD_SHOULDER),
    optional("outerhardShoulderStatus", _HARD_SHOULDER),
    optional("drivingLaneStatus", BitString(13, low=1)),
), extensible=True)
TRAFFIC_RULE = Enumerated(("noPassing", "noPassingForTrucks", "passToRight", "passToLeft"), extensible=True)
ROAD_TYPE = Enumerated((
    "urban-NoStructuralSeparationToOppositeLanes", "urban-WithStructuralSeparationToOppositeLanes",
    "nonUrban-NoStructuralSeparationToOppositeLanes", "nonUrban-WithStructuralSeparationToOppositeLanes",
))
ROADWORKS_SUB_CAUSE = Integer(0, 255, "", {
    0: "unavailable", 1: "majorRoadworks", 2: "roadMarkingWork", 3: "slowMovingRoadMaintenance",
    4: "shortTermStationaryRoadworks", 5: "streetCleaning", 6: "winterService",
})
CAUSE_CODE = Sequence("CauseCode", (
    Field("causeCode", Integer(0, 255, "", CAUSES)), Field("subCauseCode", Integer(0, 255, "", {0: "unavailable"})),
), extensible=True)
_ZONE_ID = Integer(0, 134_217_727)
CEN_DSRC_TOLLING_ZONE = Sequence("CenDsrcTollingZone", (
    Field("protectedZoneLatitude", cdd.LATITUDE),
    Field("protectedZoneLongitude", cdd.LONGITUDE),
    optional("cenDsrcTollingZoneID", _ZONE_ID),
), extensible=True)
PROTECTED_ZONES = SequenceOf(Sequence("ProtectedCommunicationZone", (
    Field("protectedZoneType", Enumerated(("permanentCenDsrcTolling",), True, ("temporaryCenDsrcTolling",))),
    optional("expiryTime", cdd.TIMESTAMP_ITS),
    Field("protectedZoneLatitude", cdd.LATITUDE),
    Field("protectedZoneLongitude", cdd.LONGITUDE),
    optional("protectedZoneRadius", Integer(1, 255, "m", extensible=True)),
    optional("protectedZoneID", _ZONE_ID),
), extensible=True), 1, 16)

# Paths.
DELTA_DEGREES = Integer(-131_071, 131_072, "1e-7 degree", {131_072: "unavailable"})
DELTA_ALTITUDE = Integer(-12_700, 12_800, cdd.CENTIMETRE, {12_800: "unavailable"})
DELTA_POSITION = Sequence("DeltaReferencePosition", (
    Field("deltaLatitude", DELTA_DEGREES),
    Field("deltaLongitude", DELTA_DEGREES),
    Field("deltaAltitude", DELTA_ALTITUDE),
))
PATH_DELTA_TIME = Integer(1, 65_535, "0.01 s", extensible=True)
PATH_HISTORY = SequenceOf(Sequence("PathPoint", (
    Field("pathPosition", DELTA_POSITION), optional("pathDeltaTime", PATH_DELTA_TIME),
)), 0, 40)
ITINERARY_PATH = SequenceOf(cdd.REFERENCE_POSITION, 1, 40)


def pdu_header(protocol_version: int, message_id: int) -> Sequence:
    """ItsPduHeader of one message type; the wire would take any two numbers."""
    return Sequence("ItsPduHeader", (
        Field("protocolVersion", Checked(cdd.OCTET, cdd.only(protocol_version))),
        Field("messageID", Checked(cdd.OCTET, cdd.only(message_id))),
        Field("stationID", STATION_ID),
    ))
