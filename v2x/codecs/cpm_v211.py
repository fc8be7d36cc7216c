"""The collective perception message of ETSI TS 103 324 V2.1.1 (2023-06) as tables, in the four forms seen in the field.

Nothing in a message says which form its sender used. Two points differ between implementations: whether the list of
containers starts with an extension bit, and whether correlation columns and VRU sub-profiles are coded as in the common
data dictionary V2.1.1 or as from V2.2.1 on. A wrong form almost always runs over a container's end or leaves octets
unread, so the forms are tried in order and the first that consumes every container exactly is kept.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v211 as cdd
from v2x.codecs.program import Rows
from v2x.codecs.schema import (
    BitString,
    Choice,
    Contained,
    Field,
    Integer,
    Kind,
    Sequence,
    SequenceOf,
    Triangular,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-cpm-2.1.1"
PROTOCOL_VERSION, MESSAGE_ID = 2, 14
SENSOR_TYPES = (
    "undefined", "radar", "lidar", "monovideo", "stereovision", "nightvision", "ultrasonic", "pmd", "inductionLoop",
    "sphericalCamera", "uwb", "acoustic", "localAggregation", "itsAggregation", "rfid",
)
# Bits of componentsIncludedIntheMatrix, in order.
MATRIX_COMPONENTS = (
    "xPosition", "yPosition", "zPosition", "xVelocityOrVelocityMagnitude", "yVelocityOrVelocityDirection", "zSpeed",
    "xAccelOrAccelMagnitude", "yAccelOrAccelDirection", "zAcceleration", "zAngle", "yAngle", "xAngle", "zAngularVelocity",
)


def _correlation_matrix(columns_extensible: bool) -> Triangular:
    cell = Integer(-100, 101, "0.01", {101: "unavailable"})
    return Triangular(Sequence("LowerTriangularPositiveSemidefiniteMatrix", (
        Field("componentsIncludedIntheMatrix", BitString(13, extensible=True)),
        Field("matrix", SequenceOf(SequenceOf(cell, 1, 13, extensible=True), 1, 13, extensible=columns_extensible)),
    )))


def _object_class(cdd_v221: bool) -> Choice:
    return Choice("ObjectClass", (
        Field("vehicleSubClass", Integer(0, 14)),  # the permitted numbers have gaps; the field spans them all
        Field("vruSubClass", cdd.vru_choice(enumerated=not cdd_v221)),
        Field("groupSubClass", Sequence("VruClusterInformation", (
            optional("clusterId", cdd.OCTET),
            optional("clusterBoundingBoxShape", cdd.SHAPE),
            Field("clusterCardinalitySize", cdd.OCTET),
            optional("clusterProfiles", BitString(4)),
        ), extensible=True)),
        Field("otherSubClass", cdd.OCTET),
    ), extensible=True)


def _perceived_object(cdd_v221: bool) -> Sequence:
    classification = Sequence("ObjectClassWithConfidence", (
        Field("objectClass", _object_class(cdd_v221)), Field("confidence", cdd.CONFIDENCE_LEVEL),
    ))
    return Sequence("PerceivedObject", (
        optional("objectId", cdd.IDENTIFIER_2B),
        Field("measurementDeltaTime", cdd.DELTA_TIME),
        Field("position", cdd.POSITION_3D),
        optional("velocity", cdd.VELOCITY),
        optional("acceleration", cdd.ACCELERATION),
        optional("angles", cdd.EULER_ANGLES),
        optional("zAngularVelocity", cdd.Z_ANGULAR_VELOCITY),
        optional("lowerTriangularCorrelationMatrices", SequenceOf(_correlation_matrix(cdd_v221), 1, 4)),
        optional("objectDimensionZ", cdd.DIMENSION),
        optional("objectDimensionY", cdd.DIMENSION),
        optional("objectDimensionX", cdd.DIMENSION),
        optional("objectAge", Integer(0, 2047, "ms", {1500: "1.5 s or more"})),
        optional("objectPerceptionQuality", Integer(0, 15, "", {0: "none or not computed"})),
        optional("sensorIdList", cdd.SENSOR_ID_LIST),
        optional("classification", SequenceOf(classification, 1, 8)),
        optional("mapPosition", cdd.MAP_POSITION),
    ), extensible=True)


def _containers(cdd_v221: bool) -> dict[int, Kind]:
    """What each containerId holds; ids without an entry are kept as octets."""
    return {
        1: Sequence("OriginatingVehicleContainer", (
            Field("orientationAngle", cdd.WGS84_ANGLE),
            optional("pitchAngle", cdd.CARTESIAN_ANGLE),
            optional("rollAngle", cdd.CARTESIAN_ANGLE),
            optional("trailerDataSet", SequenceOf(cdd.TRAILER, 1, 8, extensible=True)),
        ), extensible=True),
        2: Sequence("OriginatingRsuContainer", (optional("mapReference", cdd.MAP_REFERENCE),), extensible=True),
        3: SequenceOf(Sequence("SensorInformation", (
            Field("sensorId", cdd.OCTET),
            Field("sensorType", Integer(0, 31, "", dict(enumerate(SENSOR_TYPES)))),
            optional("perceptionRegionShape", cdd.SHAPE),
            optional("perceptionRegionConfidence", cdd.CONFIDENCE_LEVEL),
            Field("shadowingApplies", cdd.SHADOWING),
        ), extensible=True), 1, 128, extensible=True),
        4: SequenceOf(Sequence("PerceptionRegion", (
            Field("measurementDeltaTime", cdd.DELTA_TIME),
            Field("perceptionRegionConfidence", cdd.CONFIDENCE_LEVEL),
            Field("perceptionRegionShape", cdd.SHAPE),
            Field("shadowingApplies", cdd.SHADOWING),
            optional("sensorIdList", cdd.SENSOR_ID_LIST),
            optional("numberOfPerceivedObjects", cdd.OCTET),
            optional("perceivedObjectIds", SequenceOf(cdd.IDENTIFIER_2B, 0, 255, extensible=True)),
        ), extensible=True), 1, 256, extensible=True),
        5: Sequence("PerceivedObjectContainer", (
            Field("numberOfPerceivedObjects", cdd.OCTET),
            Field("perceivedObjects", SequenceOf(_perceived_object(cdd_v221), 0, 255, extensible=True)),
        ), extensible=True),
    }


_RATE = Sequence("MessageRateHz", (Field("mantissa", Integer(1, 100)), Field("exponent", Integer(-5, 2))))
_MANAGEMENT = Sequence("ManagementContainer", (
    Field("referenceTime", cdd.TIMESTAMP_ITS),
    Field("referencePosition", cdd.REFERENCE_POSITION),
    optional("segmentationInfo", Sequence("MessageSegmentationInfo", (
        Field("totalMsgNo", Integer(1, 8)), Field("thisMsgNo", Integer(1, 8)),
    ))),
    optional("messageRateRange", Sequence("MessageRateRange", (
        Field("messageRateMin", _RATE), Field("messageRateMax", _RATE),
    ))),
), extensible=True)

def message_table(list_extension: bool, cdd_v221: bool) -> Sequence:
    """The whole message: with an extension bit before the container count or not, and by which data dictionary."""
    container = Sequence("WrappedCpmContainer", (
        Field("containerId", Integer(1, 16)), Field("containerData", Contained("containerId", _containers(cdd_v221))),
    ))
    return Sequence("CollectivePerceptionMessage", (
        Field("header", cdd.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
        Field("payload", Sequence("CpmPayload", (
            Field("managementContainer", _MANAGEMENT),
            Field("cpmContainers", SequenceOf(container, 1, 8, extensible=list_extension)),
        ), extensible=True)),
    ))


# What `kernel_objects` and `cpm_v211_flat` look up, in the order of the columns that are numbered there.
_CONTAINERS = "payload.cpmContainers[].containerData"
ROWS = (
    Rows("", ("header.stationId", "payload.managementContainer.referenceTime", "payload.managementContainer.referencePosition",
              "payload.managementContainer.segmentationInfo", f"{_CONTAINERS}<3>", f"{_CONTAINERS}<4>",
              f"{_CONTAINERS}<5>.perceivedObjects")),
    Rows(f"{_CONTAINERS}<5>.perceivedObjects[]", (
        "objectId", "measurementDeltaTime", "position", "position.zCoordinate", "velocity.polarVelocity",
        "velocity.cartesianVelocity", "angles", "zAngularVelocity", "lowerTriangularCorrelationMatrices", "objectDimensionX",
        "objectDimensionY", "objectDimensionZ", "objectPerceptionQuality", "classification")),
    Rows(f"{_CONTAINERS}<5>.perceivedObjects[].classification[]", (
        "objectClass", "confidence", "objectClass.groupSubClass.clusterProfiles")),
    Rows(f"{_CONTAINERS}<3>[]", ("sensorId", "sensorType", "perceptionRegionShape")),
    Rows(f"{_CONTAINERS}<4>[]", ("perceptionRegionConfidence", "perceptionRegionShape")),
)

# The plain name is the form of the published text, the one that Roadweave sends.
FORMS = Forms("CPM", {
    WIRE_FORMAT: message_table(list_extension=False, cdd_v221=False),
    f"{WIRE_FORMAT}-cdd2.4.1": message_table(list_extension=False, cdd_v221=True),
    f"{WIRE_FORMAT}+list-extension": message_table(list_extension=True, cdd_v221=False),
    f"{WIRE_FORMAT}-cdd2.4.1+list-extension": message_table(list_extension=True, cdd_v221=True),
}, ROWS)


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message and the form it has; DecodeError at the first bit that the published form forbids."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
