"""The VRU awareness message of ETSI TS 103 300-3 V2.3.1 as tables: what pedestrians, cyclists and motorcyclists send.

Source of the layout: the standard's module VAM-PDU-Descriptions with the common data dictionary of TS 102 894-2 V2.4.1, read in
github.com/riebl/vanetza, asn1/release2. A message of V2.2.1 that holds no more than the mandatory containers is coded alike; its
profiles, environment and movement control are enumerations of other widths and would be read wrongly.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v131
from v2x.codecs import cdd_v211 as cdd
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Choice,
    Enumerated,
    Field,
    Integer,
    Kind,
    NamedInteger,
    Sequence,
    SequenceOf,
    defaulted,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-vam-2.3.1"
PROTOCOL_VERSION, MESSAGE_ID = 3, 16

STATION_TYPES = {
    0: "unknown", 1: "pedestrian", 2: "cyclist", 3: "moped", 4: "motorcycle", 5: "passengerCar", 6: "bus", 7: "lightTruck",
    8: "heavyTruck", 9: "trailer", 10: "specialVehicle", 11: "tram", 12: "lightVruVehicle", 13: "animal", 14: "agricultural",
    15: "infrastructure",
}
_STATION_ID = Integer(0, 4_294_967_295)
_TENTHS_OF_SECOND = Integer(0, 127, "0.1 s", {127: "unavailable"})
_QUARTERS_OF_SECOND = Integer(1, 255, "0.25 s", {255: "unavailable"})
_LENGTH_9B = Integer(0, 511, cdd.DECIMETRE)


def _named(*names: str) -> Kind:
    """A number of four bits whose first values have names."""
    return NamedInteger(0, 15, dict(enumerate(names)))


REFERENCE_POSITION = Sequence("ReferencePositionWithConfidence", (
    Field("latitude", cdd.LATITUDE),
    Field("longitude", cdd.LONGITUDE),
    Field("positionConfidenceEllipse", Sequence("PositionConfidenceEllipse", (
        Field("semiMajorAxisLength", cdd.SEMI_AXIS),
        Field("semiMinorAxisLength", cdd.SEMI_AXIS),
        Field("semiMajorAxisOrientation", cdd.ANGLE_VALUE),
    ))),
    Field("altitude", Sequence("Altitude", (
        Field("altitudeValue", Integer(-100_000, 800_001, cdd.CENTIMETRE, {
            -100_000: "at or below", 800_000: "out of range", 800_001: "unavailable"})),
        Field("altitudeConfidence", cdd.ALTITUDE_CONFIDENCE),
    ))),
))

# Where on the road.
_LANE_TYPE = NamedInteger(0, 31, {**dict(enumerate((
    "traffic", "through", "reversible", "acceleration", "deceleration", "leftHandTurning", "rightHandTurning", "dedicatedVehicle",
    "bus", "taxi", "hov", "hot", "pedestrian", "cycleLane", "median", "striping", "trackedVehicle", "parking", "emergency",
    "verge", "minimumRiskManoeuvre", "exclusiveCycleLane"))), 31: "unknown"})
_LANE_AND_TYPE = (
    Field("transversalPosition", cdd_v131.LANE_POSITION),
    defaulted("laneType", _LANE_TYPE, "traffic"),
    defaulted("direction", NamedInteger(0, 3, dict(enumerate((
        "sameDirection", "oppositeDirection", "bothDirections", "unavailable")))), "sameDirection"),
)
_LANE_POSITION_AND_TYPE = Sequence("LanePositionAndType", _LANE_AND_TYPE, extensible=True)
_LANE_POSITION = Sequence("GeneralizedLanePosition", (
    Field("lanePositionBased", Choice("LanePositionOptions", (
        Field("simplelanePosition", cdd_v131.LANE_POSITION),
        Field("simpleLaneType", _LANE_TYPE),
        Field("detailedlanePosition", _LANE_POSITION_AND_TYPE),
        Field("lanePositionWithLateralDetails", Sequence("LanePositionWithLateralDetails", (
            *_LANE_AND_TYPE, Field("distanceToLeftBorder", _LENGTH_9B), Field("distanceToRightBorder", _LENGTH_9B),
        ), extensible=True)),
        Field("trafficIslandPosition", Sequence("TrafficIslandPosition", (
            Field("oneSide", _LANE_POSITION_AND_TYPE), Field("otherSide", _LANE_POSITION_AND_TYPE),
        ), extensible=True)),
    ), extensible=True)),
    optional("mapBased", cdd.MAP_POSITION),
    Field("confidence", Sequence("MetaInformation", (
        Field("usedDetectionInformation", BitString(16, extensible=True)),
        Field("usedStoredInformation", BitString(8, extensible=True)),
        optional("confidenceValue", cdd.CONFIDENCE_LEVEL),
    ), extensible=True)),
), extensible=True)

_HIGH_FREQUENCY = Sequence("VruHighFrequencyContainer", (
    Field("heading", cdd.WGS84_ANGLE),
    Field("speed", cdd_v131.SPEED),
    Field("longitudinalAcceleration", cdd_v131.acceleration("longitudinal")),
    optional("curvature", cdd_v131.CURVATURE),
    optional("curvatureCalculationMode", cdd_v131.CURVATURE_MODE),
    optional("yawRate", cdd_v131.YAW_RATE),
    optional("lateralAcceleration", cdd_v131.acceleration("lateral")),
    optional("verticalAcceleration", cdd_v131.acceleration("vertical")),
    optional("vruLanePosition", _LANE_POSITION),
    optional("environment", _named(
        "unavailable", "intersectionCrossing", "zebraCrossing", "sidewalk", "onVehicleRoad", "protectedGeographicArea")),
    optional("movementControl", _named(
        "unavailable", "braking", "hardBraking", "stopPedaling", "brakingAndStopPedaling", "hardBrakingAndStopPedaling",
        "noReaction")),
    optional("orientation", cdd.WGS84_ANGLE),
    optional("rollAngle", cdd.CARTESIAN_ANGLE),
    optional("deviceUsage", _named(
        "unavailable", "other", "idle", "listeningToAudio", "typing", "calling", "playingGames", "reading", "viewing")),
), extensible=True)
_LOW_FREQUENCY = Sequence("VruLowFrequencyContainer", (
    Field("profileAndSubprofile", Choice("VruProfileAndSubprofile", (
        Field("pedestrian", _named(*cdd.VRU_PROFILES["pedestrian"])),
        Field("bicyclistAndLightVruVehicle", _named(*cdd.VRU_PROFILES["bicyclistAndLightVruVehicle"],
                                                    "roadbike", "childrensbike", "racebike")),
        Field("motorcyclist", _named(*cdd.VRU_PROFILES["motorcyclist"])),
        Field("animal", _named(*cdd.VRU_PROFILES["animal"])),
    ), extensible=True)),
    optional("sizeClass", _named("unavailable", "low", "medium", "high")),
    optional("exteriorLights", Sequence("VruExteriorLights", (
        Field("vehicular", cdd_v131.EXTERIOR_LIGHTS),
        Field("vruSpecific", BitString(8)),  # unavailable, back flash, helmet, arm, leg, wheel
    ), extensible=True)),
), extensible=True)

# Groups that speak with one voice.
_CLUSTER_INFORMATION = Sequence("VruClusterInformationContainer", (
    Field("vruClusterInformation", Sequence("VruClusterInformation", (
        optional("clusterId", cdd.OCTET),
        optional("clusterBoundingBoxShape", cdd.SHAPE),
        Field("clusterCardinalitySize", cdd.OCTET),
        optional("clusterProfiles", BitString(4)),  # pedestrian, bicyclist, motorcyclist, animal
    ), extensible=True)),
), extensible=True)
_CLUSTER_OPERATION = Sequence("VruClusterOperationContainer", (
    optional("clusterJoinInfo", Sequence("ClusterJoinInfo", (
        Field("clusterId", cdd.OCTET), Field("joinTime", _QUARTERS_OF_SECOND),
    ), extensible=True)),
    optional("clusterLeaveInfo", Sequence("ClusterLeaveInfo", (
        Field("clusterId", cdd.OCTET),
        Field("clusterLeaveReason", _named(
            "notProvided", "clusterLeaderLost", "clusterDisbandedByLeader", "outOfClusterBoundingBox", "outOfClusterSpeedRange",
            "joiningAnotherCluster", "cancelledJoin", "failedJoin", "safetyCondition")),
    ), extensible=True)),
    optional("clusterBreakupInfo", Sequence("ClusterBreakupInfo", (
        Field("clusterBreakupReason", _named(
            "notProvided", "clusteringPurposeCompleted", "leaderMovedOutOfClusterBoundingBox", "joiningAnotherCluster",
            "enteringLowRiskAreaBasedOnMaps", "receptionOfCpmContainingCluster")),
        Field("breakupTime", _QUARTERS_OF_SECOND),
    ), extensible=True)),
    optional("clusterIdChangeTimeInfo", _QUARTERS_OF_SECOND),
), extensible=True)

# What comes next.
_PATH_POINT_PREDICTED = Sequence("PathPointPredicted", (
    Field("deltaLatitude", cdd_v131.DELTA_DEGREES),
    Field("deltaLongitude", cdd_v131.DELTA_DEGREES),
    optional("horizontalPositionConfidence", Sequence("PosConfidenceEllipse", (
        Field("semiMajorConfidence", cdd.SEMI_AXIS), Field("semiMinorConfidence", cdd.SEMI_AXIS),
        Field("semiMajorOrientation", cdd.ANGLE_VALUE),
    ))),
    defaulted("deltaAltitude", cdd_v131.DELTA_ALTITUDE, 12_800),
    defaulted("altitudeConfidence", cdd.ALTITUDE_CONFIDENCE, "unavailable"),
    optional("pathDeltaTime", Choice("PathDeltaTimeChoice", (
        Field("deltaTimeHighPrecision", _TENTHS_OF_SECOND), Field("deltaTimeBigRange", Integer(0, 127, "10 s")),
    ), extensible=True, additions=(Field("deltaTimeMidRange", Integer(0, 86_400, "s")),))),
    optional("symmetricAreaOffset", _LENGTH_9B),
    optional("asymmetricAreaOffset", _LENGTH_9B),
), extensible=True)
_MOTION_PREDICTION = Sequence("VruMotionPredictionContainer", (
    optional("pathHistory", cdd_v131.PATH_HISTORY),
    optional("pathPrediction", SequenceOf(_PATH_POINT_PREDICTED, 1, 16, extensible=True)),
    optional("safeDistance", SequenceOf(Sequence("SafeDistanceIndication", (
        optional("subjectStation", _STATION_ID), Field("safeDistanceIndicator", Boolean()),
        optional("timeToCollision", _TENTHS_OF_SECOND),
    ), extensible=True), 1, 8, extensible=True)),
    optional("trajectoryInterceptionIndication", SequenceOf(Sequence("TrajectoryInterceptionIndication", (
        optional("subjectStation", _STATION_ID),
        Field("trajectoryInterceptionProbability", Integer(0, 63, "2 %", {63: "unavailable"})),
        optional("trajectoryInterceptionConfidence", Integer(0, 3, "", {
            0: "below 50 %", 1: "50 to 70 %", 2: "70 to 90 %", 3: "above 90 %"})),
    ), extensible=True), 1, 8, extensible=True)),
    optional("accelerationChangeIndication", Sequence("AccelerationChangeIndication", (
        Field("accelOrDecel", Enumerated(("accelerate", "decelerate"))), Field("actionDeltaTime", _TENTHS_OF_SECOND),
    ), extensible=True)),
    optional("headingChangeIndication", Sequence("HeadingChangeIndication", (
        Field("direction", Enumerated(("left", "right"))), Field("actionDeltaTime", _TENTHS_OF_SECOND),
    ), extensible=True)),
    optional("stabilityChangeIndication", Sequence("StabilityChangeIndication", (
        Field("lossProbability", Integer(0, 63, "2 %", {63: "unavailable"})), Field("actionDeltaTime", _TENTHS_OF_SECOND),
    ), extensible=True)),
), extensible=True)

TABLE = Sequence("VAM", (
    Field("header", cdd.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
    Field("vam", Sequence("VruAwareness", (
        Field("generationDeltaTime", cdd_v131.GENERATION_DELTA_TIME),
        Field("vamParameters", Sequence("VamParameters", (
            Field("basicContainer", Sequence("BasicContainer", (
                Field("stationType", Integer(0, 255, "", STATION_TYPES)), Field("referencePosition", REFERENCE_POSITION),
            ), extensible=True)),
            Field("vruHighFrequencyContainer", _HIGH_FREQUENCY),
            optional("vruLowFrequencyContainer", _LOW_FREQUENCY),
            optional("vruClusterInformationContainer", _CLUSTER_INFORMATION),
            optional("vruClusterOperationContainer", _CLUSTER_OPERATION),
            optional("vruMotionPredictionContainer", _MOTION_PREDICTION),
        ), extensible=True)),
    ))),
))

FORMS = Forms("VAM", {WIRE_FORMAT: TABLE})


def decode_pdu(data: bytes) -> dict[str, Any]:
    """Plain values of a message; DecodeError at the first wrong bit."""
    return FORMS.decode(data)[0]


def encode_pdu(value: dict[str, Any]) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[WIRE_FORMAT].encode(value)
