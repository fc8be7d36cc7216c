"""The cooperative awareness message of ETSI EN 302 637-2 V1.4.1 (2019-04) as tables.

Source of the layout: the standard's annex A, read in github.com/riebl/vanetza, asn1/EN302637-2v141-CAM.asn.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v131 as cdd
from v2x.codecs.cdd_v211 import REFERENCE_POSITION
from v2x.codecs.schema import BitString, Boolean, Choice, Field, Sequence, optional
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-cam-1.4.1"
PROTOCOL_VERSION, MESSAGE_ID = 2, 2

_LIGHTS = Field("lightBarSirenInUse", cdd.LIGHT_BAR_SIREN)

_VEHICLE_HIGH_FREQUENCY = Sequence("BasicVehicleContainerHighFrequency", (
    Field("heading", cdd.HEADING),
    Field("speed", cdd.SPEED),
    Field("driveDirection", cdd.DRIVE_DIRECTION),
    Field("vehicleLength", cdd.VEHICLE_LENGTH),
    Field("vehicleWidth", cdd.VEHICLE_WIDTH),
    Field("longitudinalAcceleration", cdd.acceleration("longitudinal")),
    Field("curvature", cdd.CURVATURE),
    Field("curvatureCalculationMode", cdd.CURVATURE_MODE),
    Field("yawRate", cdd.YAW_RATE),
    optional("accelerationControl", cdd.ACCELERATION_CONTROL),
    optional("lanePosition", cdd.LANE_POSITION),
    optional("steeringWheelAngle", cdd.STEERING_WHEEL_ANGLE),
    optional("lateralAcceleration", cdd.acceleration("lateral")),
    optional("verticalAcceleration", cdd.acceleration("vertical")),
    optional("performanceClass", cdd.PERFORMANCE_CLASS),
    optional("cenDsrcTollingZone", cdd.CEN_DSRC_TOLLING_ZONE),
))
_HIGH_FREQUENCY = Choice("HighFrequencyContainer", (
    Field("basicVehicleContainerHighFrequency", _VEHICLE_HIGH_FREQUENCY),
    Field("rsuContainerHighFrequency", Sequence("RSUContainerHighFrequency", (
        optional("protectedCommunicationZonesRSU", cdd.PROTECTED_ZONES),
    ), extensible=True)),
), extensible=True)
_LOW_FREQUENCY = Choice("LowFrequencyContainer", (
    Field("basicVehicleContainerLowFrequency", Sequence("BasicVehicleContainerLowFrequency", (
        Field("vehicleRole", cdd.VEHICLE_ROLE),
        Field("exteriorLights", cdd.EXTERIOR_LIGHTS),
        Field("pathHistory", cdd.PATH_HISTORY),
    ))),
), extensible=True)
_SPECIAL_VEHICLE = Choice("SpecialVehicleContainer", (
    Field("publicTransportContainer", Sequence("PublicTransportContainer", (
        Field("embarkationStatus", Boolean()), optional("ptActivation", cdd.PT_ACTIVATION),
    ))),
    Field("specialTransportContainer", Sequence("SpecialTransportContainer", (
        Field("specialTransportType", BitString(4)),  # heavy load, excess width, excess length, excess height
        _LIGHTS,
    ))),
    Field("dangerousGoodsContainer", Sequence("DangerousGoodsContainer", (
        Field("dangerousGoodsBasic", cdd.DANGEROUS_GOODS),
    ))),
    Field("roadWorksContainerBasic", Sequence("RoadWorksContainerBasic", (
        optional("roadworksSubCauseCode", cdd.ROADWORKS_SUB_CAUSE), _LIGHTS, optional("closedLanes", cdd.CLOSED_LANES),
    ))),
    Field("rescueContainer", Sequence("RescueContainer", (_LIGHTS,))),
    Field("emergencyContainer", Sequence("EmergencyContainer", (
        _LIGHTS,
        optional("incidentIndication", cdd.CAUSE_CODE),
        optional("emergencyPriority", BitString(2)),  # right of way, free crossing at a traffic light
    ))),
    Field("safetyCarContainer", Sequence("SafetyCarContainer", (
        _LIGHTS,
        optional("incidentIndication", cdd.CAUSE_CODE),
        optional("trafficRule", cdd.TRAFFIC_RULE),
        optional("speedLimit", cdd.SPEED_LIMIT),
    ))),
), extensible=True)
TABLE = Sequence("CAM", (
    Field("header", cdd.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
    Field("cam", Sequence("CoopAwareness", (
        Field("generationDeltaTime", cdd.GENERATION_DELTA_TIME),
        Field("camParameters", Sequence("CamParameters", (
            Field("basicContainer", Sequence("BasicContainer", (
                Field("stationType", cdd.STATION_TYPE), Field("referencePosition", REFERENCE_POSITION),
            ), extensible=True)),
            Field("highFrequencyContainer", _HIGH_FREQUENCY),
            optional("lowFrequencyContainer", _LOW_FREQUENCY),
            optional("specialVehicleContainer", _SPECIAL_VEHICLE),
        ), extensible=True)),
    ))),
))

FORMS = Forms("CAM", {WIRE_FORMAT: TABLE})


def decode_pdu(data: bytes) -> dict[str, Any]:
    """Plain values of a message; DecodeError at the first wrong bit."""
    return FORMS.decode(data)[0]


def encode_pdu(value: dict[str, Any]) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[WIRE_FORMAT].encode(value)
