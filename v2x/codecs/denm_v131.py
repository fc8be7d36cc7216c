"""The decentralized environmental notification message of ETSI EN 302 637-3 V1.3.1 (2019-04) as tables.

Source of the layout: the standard's annex A, read in github.com/riebl/vanetza, asn1/EN302637-3v131-DENM.asn.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v131 as cdd
from v2x.codecs.cdd_v211 import CENTIMETRE, DECIMETRE, IDENTIFIER_2B, REFERENCE_POSITION, TIMESTAMP_ITS
from v2x.codecs.schema import BitString, Enumerated, Field, Integer, Sequence, SequenceOf, defaulted, optional
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-denm-1.3.1"
PROTOCOL_VERSION, MESSAGE_ID = 2, 1
DEFAULT_VALIDITY_S = 600

_ACTION_ID = Sequence("ActionID", (
    Field("originatingStationID", cdd.STATION_ID), Field("sequenceNumber", IDENTIFIER_2B),
))
_INFORMATION_QUALITY = Integer(0, 7, "", {0: "unavailable", 1: "lowest", 7: "highest"})
_MANAGEMENT = Sequence("ManagementContainer", (
    Field("actionID", _ACTION_ID),
    Field("detectionTime", TIMESTAMP_ITS),
    Field("referenceTime", TIMESTAMP_ITS),
    optional("termination", Enumerated(("isCancellation", "isNegation"))),
    Field("eventPosition", REFERENCE_POSITION),
    optional("relevanceDistance", Enumerated((
        "lessThan50m", "lessThan100m", "lessThan200m", "lessThan500m", "lessThan1000m", "lessThan5km", "lessThan10km",
        "over10km"))),
    optional("relevanceTrafficDirection", Enumerated((
        "allTrafficDirections", "upstreamTraffic", "downstreamTraffic", "oppositeTraffic"))),
    defaulted("validityDuration", Integer(0, 86_400, "s"), DEFAULT_VALIDITY_S),
    optional("transmissionInterval", Integer(1, 10_000, "ms")),
    Field("stationType", cdd.STATION_TYPE),
), extensible=True)
_SITUATION = Sequence("SituationContainer", (
    Field("informationQuality", _INFORMATION_QUALITY),
    Field("eventType", cdd.CAUSE_CODE),
    optional("linkedCause", cdd.CAUSE_CODE),
    optional("eventHistory", SequenceOf(Sequence("EventPoint", (
        Field("eventPosition", cdd.DELTA_POSITION),
        optional("eventDeltaTime", cdd.PATH_DELTA_TIME),
        Field("informationQuality", _INFORMATION_QUALITY),
    )), 1, 23)),
), extensible=True)
_LOCATION = Sequence("LocationContainer", (
    optional("eventSpeed", cdd.SPEED),
    optional("eventPositionHeading", cdd.HEADING),
    Field("traces", SequenceOf(cdd.PATH_HISTORY, 1, 7)),
    optional("roadType", cdd.ROAD_TYPE),
), extensible=True)
_CARRIER_HEIGHT = Integer(1, 100, CENTIMETRE, {100: "unavailable"})
_CARRIER_POSITION = Integer(1, 127, CENTIMETRE, {127: "unavailable"})
_IMPACT_REDUCTION = Sequence("ImpactReductionContainer", (
    Field("heightLonCarrLeft", _CARRIER_HEIGHT),
    Field("heightLonCarrRight", _CARRIER_HEIGHT),
    Field("posLonCarrLeft", _CARRIER_POSITION),
    Field("posLonCarrRight", _CARRIER_POSITION),
    Field("positionOfPillars", SequenceOf(Integer(1, 30, DECIMETRE, {30: "unavailable"}), 1, 3, extensible=True)),
    Field("posCentMass", Integer(1, 63, DECIMETRE, {63: "unavailable"})),
    Field("wheelBaseVehicle", Integer(1, 127, DECIMETRE, {127: "unavailable"})),
    Field("turningRadius", Integer(1, 255, "0.4 m", {255: "unavailable"})),
    Field("posFrontAx", Integer(1, 20, DECIMETRE, {20: "unavailable"})),
    Field("positionOfOccupants", BitString(20)),  # four rows of left, right, middle, not detectable, not present
    Field("vehicleMass", Integer(1, 1024, "100 kg", {1024: "unavailable"})),
    Field("requestResponseIndication", Enumerated(("request", "response"))),
))
_ROAD_WORKS = Sequence("RoadWorksContainerExtended", (
    optional("lightBarSirenInUse", cdd.LIGHT_BAR_SIREN),
    optional("closedLanes", cdd.CLOSED_LANES),
    optional("restriction", SequenceOf(cdd.STATION_TYPE, 1, 3, extensible=True)),
    optional("speedLimit", cdd.SPEED_LIMIT),
    optional("incidentIndication", cdd.CAUSE_CODE),
    optional("recommendedPath", cdd.ITINERARY_PATH),
    optional("startingPointSpeedLimit", cdd.DELTA_POSITION),
    optional("trafficFlowRule", cdd.TRAFFIC_RULE),
    optional("referenceDenms", SequenceOf(_ACTION_ID, 1, 8, extensible=True)),
))
_STATIONARY_VEHICLE = Sequence("StationaryVehicleContainer", (
    optional("stationarySince", Enumerated((
        "lessThan1Minute", "lessThan2Minutes", "lessThan15Minutes", "equalOrGreater15Minutes"))),
    optional("stationaryCause", cdd.CAUSE_CODE),
    optional("carryingDangerousGoods", cdd.DANGEROUS_GOODS_EXTENDED),
    optional("numberOfOccupants", Integer(0, 127, "", {127: "unavailable"})),
    optional("vehicleIdentification", cdd.VEHICLE_IDENTIFICATION),
    optional("energyStorageType", cdd.ENERGY_STORAGE),
))
_ALACARTE = Sequence("AlacarteContainer", (
    optional("lanePosition", cdd.LANE_POSITION),
    optional("impactReduction", _IMPACT_REDUCTION),
    optional("externalTemperature", Integer(-60, 67, "degree C", {-60: "that or colder", 67: "that or warmer"})),
    optional("roadWorks", _ROAD_WORKS),
    optional("positioningSolution", Enumerated((
        "noPositioningSolution", "sGNSS", "dGNSS", "sGNSSplusDR", "dGNSSplusDR", "dR"), extensible=True)),
    optional("stationaryVehicle", _STATIONARY_VEHICLE),
), extensible=True)
TABLE = Sequence("DENM", (
    Field("header", cdd.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
    Field("denm", Sequence("DecentralizedEnvironmentalNotificationMessage", (
        Field("management", _MANAGEMENT),
        optional("situation", _SITUATION),
        optional("location", _LOCATION),
        optional("alacarte", _ALACARTE),
    ))),
))

FORMS = Forms("DENM", {WIRE_FORMAT: TABLE})


def decode_pdu(data: bytes) -> dict[str, Any]:
    """Plain values of a message; DecodeError at the first wrong bit. An absent validityDuration is shown as its default."""
    return FORMS.decode(data)[0]


def encode_pdu(value: dict[str, Any]) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[WIRE_FORMAT].encode(value)
