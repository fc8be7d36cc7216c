"""The lane geometry message of SAE J2735 (message 18, MAP) as a table; MAPEM of ETSI wraps the same type.

Source: see `j2735`.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import j2735
from v2x.codecs.schema import (
    BitString,
    Choice,
    Enumerated,
    Field,
    Integer,
    Sequence,
    SequenceOf,
    Text,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "sae-map"

_LANE_WIDTH = Integer(0, 32_767, "0.01 m")
_REGULATORY_SPEED_LIMIT = Sequence("RegulatorySpeedLimit", (
    Field("type", Enumerated((
        "unknown", "maxSpeedInSchoolZone", "maxSpeedInSchoolZoneWhenChildrenArePresent", "maxSpeedInConstructionZone",
        "vehicleMinSpeed", "vehicleMaxSpeed", "vehicleNightMaxSpeed", "truckMinSpeed", "truckMaxSpeed", "truckNightMaxSpeed",
        "vehiclesWithTrailersMinSpeed", "vehiclesWithTrailersMaxSpeed", "vehiclesWithTrailersNightMaxSpeed",
    ), extensible=True)),
    Field("speed", j2735.VELOCITY),
))
_SPEED_LIMIT_LIST = SequenceOf(_REGULATORY_SPEED_LIMIT, 1, 9)
_APPROACH_ID = Integer(0, 15)
_LANE_TYPE_ATTRIBUTES = Choice("LaneTypeAttributes", (
    Field("vehicle", BitString(8, extensible=True)),
    Field("crosswalk", BitString(16)),
    Field("bikeLane", BitString(16)),
    Field("sidewalk", BitString(16)),
    Field("median", BitString(16)),
    Field("striping", BitString(16)),
    Field("trackedVehicle", BitString(16)),
    Field("parking", BitString(16)),
), extensible=True)
_LANE_ATTRIBUTES = Sequence("LaneAttributes", (
    Field("directionalUse", BitString(2)),
    Field("sharedWith", BitString(10)),
    Field("laneType", _LANE_TYPE_ATTRIBUTES),
    optional("regional", j2735.REGIONAL_EXTENSION),
))
_NODE_XY_20B = Sequence("Node-XY-20b", (Field("x", j2735.OFFSET_B10), Field("y", j2735.OFFSET_B10)))
_NODE_XY_22B = Sequence("Node-XY-22b", (Field("x", j2735.OFFSET_B11), Field("y", j2735.OFFSET_B11)))
_OFFSET_B13 = Integer(-4096, 4095, "0.01 m")
_NODE_XY_26B = Sequence("Node-XY-26b", (Field("x", _OFFSET_B13), Field("y", _OFFSET_B13)))
_OFFSET_B14 = Integer(-8192, 8191, "0.01 m")
_NODE_XY_28B = Sequence("Node-XY-28b", (Field("x", _OFFSET_B14), Field("y", _OFFSET_B14)))
_OFFSET_B16 = Integer(-32_768, 32_767, "0.01 m")
_NODE_XY_32B = Sequence("Node-XY-32b", (Field("x", _OFFSET_B16), Field("y", _OFFSET_B16)))
_SEGMENT_ATTRIBUTE_XY_LIST = SequenceOf(Enumerated((
    "reserved", "doNotBlock", "whiteLine", "mergingLaneLeft", "mergingLaneRight", "curbOnLeft", "curbOnRight",
    "loadingzoneOnLeft", "loadingzoneOnRight", "turnOutPointOnLeft", "turnOutPointOnRight", "adjacentParkingOnLeft",
    "adjacentParkingOnRight", "adjacentBikeLaneOnLeft", "adjacentBikeLaneOnRight", "sharedBikeLane", "bikeBoxInFront",
    "transitStopOnLeft", "transitStopOnRight", "transitStopInLane", "sharedWithTrackedVehicle", "safeIsland", "lowCurbsPresent",
    "rumbleStripPresent", "audibleSignalingPresent", "adaptiveTimingPresent", "rfSignalRequestPresent", "partialCurbIntrusion",
    "taperToLeft", "taperToRight", "taperToCenterLine", "parallelParking", "headInParking", "freeParking",
    "timeRestrictionsOnParking", "costToPark", "midBlockCurbPresent", "unEvenPavementPresent",
), extensible=True), 1, 8)
_ROADWAY_CROWN_ANGLE = Integer(-128, 127, "0.3 degree", {-128: "unavailable"})
_LANE_DATA_ATTRIBUTE = Choice("LaneDataAttribute", (
    Field("pathEndPointAngle", Integer(-150, 150, "2 degree", {150: "unavailable"})),
    Field("laneCrownPointCenter", _ROADWAY_CROWN_ANGLE),
    Field("laneCrownPointLeft", _ROADWAY_CROWN_ANGLE),
    Field("laneCrownPointRight", _ROADWAY_CROWN_ANGLE),
    Field("laneAngle", Integer(-180, 180, "1.5 degree", {-180: "unavailable"})),
    Field("speedLimits", _SPEED_LIMIT_LIST),
    Field("regional", j2735.REGIONAL),
), extensible=True)
_NODE_ATTRIBUTE_SET_XY = Sequence("NodeAttributeSetXY", (
    optional("localNode", SequenceOf(Enumerated((
        "reserved", "stopLine", "roundedCapStyleA", "roundedCapStyleB", "mergePoint", "divergePoint", "downstreamStopLine",
        "downstreamStartNode", "closedToTraffic", "safeIsland", "curbPresentAtStepOff", "hydrantPresent",
    ), extensible=True), 1, 8)),
    optional("disabled", _SEGMENT_ATTRIBUTE_XY_LIST),
    optional("enabled", _SEGMENT_ATTRIBUTE_XY_LIST),
    optional("data", SequenceOf(_LANE_DATA_ATTRIBUTE, 1, 8)),
    optional("dWidth", j2735.OFFSET_B10),
    optional("dElevation", j2735.OFFSET_B10),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_DRIVEN_LINE_OFFSET_SM = Integer(-2047, 2047, "0.01 m")
_DRIVEN_LINE_OFFSET_LG = Integer(-32_767, 32_767, "0.01 m")
_OFFSET_XAXIS = Choice("offsetXaxis", (Field("small", _DRIVEN_LINE_OFFSET_SM), Field("large", _DRIVEN_LINE_OFFSET_LG)))
_OFFSET_YAXIS = Choice("offsetYaxis", (Field("small", _DRIVEN_LINE_OFFSET_SM), Field("large", _DRIVEN_LINE_OFFSET_LG)))
_SCALE_B12 = Integer(-2048, 2047, "0.05 %")
_COMPUTED_LANE = Sequence("ComputedLane", (
    Field("referenceLaneId", j2735.LANE_ID),
    Field("offsetXaxis", _OFFSET_XAXIS),
    Field("offsetYaxis", _OFFSET_YAXIS),
    optional("rotateXY", j2735.ANGLE),
    optional("scaleXaxis", _SCALE_B12),
    optional("scaleYaxis", _SCALE_B12),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_CONNECTING_LANE = Sequence("ConnectingLane", (Field("lane", j2735.LANE_ID), optional("maneuver", BitString(12))))
_CONNECTION = Sequence("Connection", (
    Field("connectingLane", _CONNECTING_LANE),
    optional("remoteIntersection", j2735.INTERSECTION_REFERENCE_ID),
    optional("signalGroup", j2735.SIGNAL_GROUP_ID),
    optional("userClass", j2735.RESTRICTION_CLASS_ID),
    optional("connectionID", j2735.LANE_CONNECTION_ID),
))
_SIGNAL_CONTROL_ZONE = Sequence("SignalControlZone", (
    Field("zone", j2735.REGIONAL_EXTENSION),
), extensible=True)
_ROAD_SEGMENT_REFERENCE_ID = Sequence("RoadSegmentReferenceID", (
    optional("region", j2735.ROAD_REGULATOR_ID),
    Field("id", Integer(0, 65_535)),
))
_DATA_PARAMETERS = Sequence("DataParameters", (
    optional("processMethod", Text(1, 255)),
    optional("processAgency", Text(1, 255)),
    optional("lastCheckedDate", Text(1, 255)),
    optional("geoidUsed", Text(1, 255)),
), extensible=True)
_RESTRICTION_USER_TYPE = Choice("RestrictionUserType", (
    Field("basicType", Enumerated((
        "none", "equippedTransit", "equippedTaxis", "equippedOther", "emissionCompliant", "equippedBicycle", "weightCompliant",
        "heightCompliant", "pedestrians", "slowMovingPersons", "wheelchairUsers", "visualDisabilities", "audioDisabilities",
        "otherUnknownDisabilities",
    ), extensible=True)),
    Field("regional", j2735.REGIONAL),
), extensible=True)
_RESTRICTION_CLASS_ASSIGNMENT = Sequence("RestrictionClassAssignment", (
    Field("id", j2735.RESTRICTION_CLASS_ID),
    Field("users", SequenceOf(_RESTRICTION_USER_TYPE, 1, 16)),
))


def map_data(longitude: Integer, additions: tuple[Field, ...]) -> Sequence:
    """MapData, whose longitudes SAE and ETSI start differently and whose intersections they have extended differently."""
    return Sequence("MapData", (
        optional("timeStamp", j2735.MINUTE_OF_THE_YEAR),
        Field("msgIssueRevision", j2735.MSG_COUNT),
        optional("layerType", Enumerated((
            "none", "mixedContent", "generalMapData", "intersectionData", "curveData", "roadwaySectionData", "parkingAreaData",
            "sharedLaneData",
        ), extensible=True)),
        optional("layerID", Integer(0, 100)),
        optional("intersections", SequenceOf(_intersection(longitude, additions), 1, 32)),
        optional("roadSegments", SequenceOf(_road_segment(longitude), 1, 32)),
        optional("dataParameters", _DATA_PARAMETERS),
        optional("restrictionList", SequenceOf(_RESTRICTION_CLASS_ASSIGNMENT, 1, 254)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _intersection(longitude: Integer, additions: tuple[Field, ...]) -> Sequence:
    return Sequence("IntersectionGeometry", (
        optional("name", j2735.DESCRIPTIVE_NAME),
        Field("id", j2735.INTERSECTION_REFERENCE_ID),
        Field("revision", j2735.MSG_COUNT),
        Field("refPoint", j2735.position_3d(longitude)),
        optional("laneWidth", _LANE_WIDTH),
        optional("speedLimits", _SPEED_LIMIT_LIST),
        Field("laneSet", SequenceOf(_generic_lane(longitude), 1, 255)),
        optional("preemptPriorityData", SequenceOf(_SIGNAL_CONTROL_ZONE, 1, 32)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True, additions=additions)


def _road_segment(longitude: Integer) -> Sequence:
    return Sequence("RoadSegment", (
        optional("name", j2735.DESCRIPTIVE_NAME),
        Field("id", _ROAD_SEGMENT_REFERENCE_ID),
        Field("revision", j2735.MSG_COUNT),
        Field("refPoint", j2735.position_3d(longitude)),
        optional("laneWidth", _LANE_WIDTH),
        optional("speedLimits", _SPEED_LIMIT_LIST),
        Field("roadLaneSet", SequenceOf(_generic_lane(longitude), 1, 255)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _generic_lane(longitude: Integer) -> Sequence:
    return Sequence("GenericLane", (
        Field("laneID", j2735.LANE_ID),
        optional("name", j2735.DESCRIPTIVE_NAME),
        optional("ingressApproach", _APPROACH_ID),
        optional("egressApproach", _APPROACH_ID),
        Field("laneAttributes", _LANE_ATTRIBUTES),
        optional("maneuvers", BitString(12)),
        Field("nodeList", _node_list(longitude)),
        optional("connectsTo", SequenceOf(_CONNECTION, 1, 16)),
        optional("overlays", SequenceOf(j2735.LANE_ID, 1, 5)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _node_list(longitude: Integer) -> Choice:
    return Choice("NodeListXY", (
        Field("nodes", SequenceOf(_node(longitude), 2, 63)),
        Field("computed", _COMPUTED_LANE),
    ), extensible=True)


def _node(longitude: Integer) -> Sequence:
    return Sequence("NodeXY", (
        Field("delta", _offset(longitude)),
        optional("attributes", _NODE_ATTRIBUTE_SET_XY),
    ), extensible=True)


def _offset(longitude: Integer) -> Choice:
    return Choice("NodeOffsetPointXY", (
        Field("node-XY1", _NODE_XY_20B),
        Field("node-XY2", _NODE_XY_22B),
        Field("node-XY3", j2735.NODE_XY_24B),
        Field("node-XY4", _NODE_XY_26B),
        Field("node-XY5", _NODE_XY_28B),
        Field("node-XY6", _NODE_XY_32B),
        Field("node-LatLon", Sequence("Node-LLmD-64b", (Field("lon", longitude), Field("lat", j2735.LATITUDE)))),
        Field("regional", j2735.REGIONAL_EXTENSION),
    ))


FORMS = Forms("MAP", {WIRE_FORMAT: j2735.message_frame(j2735.MAP_DATA, map_data(j2735.LONGITUDE, j2735.ROAD_AUTHORITY))})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message frame and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
