"""The sensor data sharing message of SAE J3224, carried as J2735 message 41, as a table.

Offsets are North, East, Down of refPos, in 0.1 m. Source: octets and decoded values of usdot-jpo-ode/jpo-asn-pojos; see `j2735`.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import j2735
from v2x.codecs.schema import (
    Choice,
    Enumerated,
    Field,
    Integer,
    Sequence,
    SequenceOf,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "sae-sdsm"

_CLASSIFICATION_CONFIDENCE = Integer(0, 101, "%", {101: "unavailable"})
_OBJECT_DISTANCE = Integer(-32_767, 32_767, "0.1 m")
_POSITION_OFFSET_XYZ = Sequence("PositionOffsetXYZ", (
    Field("offsetX", _OBJECT_DISTANCE),
    Field("offsetY", _OBJECT_DISTANCE),
    optional("offsetZ", _OBJECT_DISTANCE),
))
_ACCELERATION_CONFIDENCE = Enumerated((
    "unavailable", "accl-100-00", "accl-010-00", "accl-005-00", "accl-001-00", "accl-000-10", "accl-000-05", "accl-000-01",
))
_DETECTED_OBJECT_COMMON_DATA = Sequence("DetectedObjectCommonData", (
    Field("objType", Enumerated(("unknown", "vehicle", "vru", "animal"), extensible=True)),
    Field("objTypeCfd", _CLASSIFICATION_CONFIDENCE),
    Field("objectID", Integer(0, 65_535)),
    Field("measurementTime", Integer(-1500, 1500, "ms")),
    Field("timeConfidence", j2735.TIME_CONFIDENCE),
    Field("pos", _POSITION_OFFSET_XYZ),
    Field("posConfidence", j2735.POSITION_CONFIDENCE_SET),
    Field("speed", j2735.SPEED),
    Field("speedConfidence", j2735.SPEED_CONFIDENCE),
    optional("speedZ", j2735.SPEED),
    optional("speedConfidenceZ", j2735.SPEED_CONFIDENCE),
    Field("heading", j2735.HEADING),
    Field("headingConf", j2735.HEADING_CONFIDENCE),
    optional("accel4way", j2735.ACCELERATION_SET_4WAY),
    optional("accCfdX", _ACCELERATION_CONFIDENCE),
    optional("accCfdY", _ACCELERATION_CONFIDENCE),
    optional("accCfdZ", _ACCELERATION_CONFIDENCE),
    optional("accCfdYaw", Enumerated((
        "unavailable", "degSec-100-00", "degSec-010-00", "degSec-005-00", "degSec-001-00", "degSec-000-10", "degSec-000-05",
        "degSec-000-01",
    ))),
), extensible=True)
_ATTITUDE = Sequence("Attitude", (
    Field("pitch", Integer(-7200, 7200, "0.0125 degree")),
    Field("roll", Integer(-14_400, 14_400, "0.0125 degree")),
    Field("yaw", Integer(-14_400, 14_400, "0.0125 degree")),
))
_ATTITUDE_CONFIDENCE = Sequence("AttitudeConfidence", (
    Field("pitchConfidence", j2735.HEADING_CONFIDENCE),
    Field("rollConfidence", j2735.HEADING_CONFIDENCE),
    Field("yawConfidence", j2735.HEADING_CONFIDENCE),
))
_ANGULAR_VELOCITY = Sequence("AngularVelocity", (
    Field("pitchRate", Integer(-32_767, 32_767, "0.01 degree/s")),
    Field("rollRate", Integer(-32_767, 32_767, "0.01 degree/s")),
))
_ANGULAR_VELOCITY_CONFIDENCE = Sequence("AngularVelocityConfidence", (
    optional("pitchRateConfidence", Enumerated((
        "unavailable", "degSec-100-00", "degSec-010-00", "degSec-005-00", "degSec-001-00", "degSec-000-10", "degSec-000-05",
        "degSec-000-01",
    ))),
    optional("rollRateConfidence", Enumerated((
        "unavailable", "degSec-100-00", "degSec-010-00", "degSec-005-00", "degSec-001-00", "degSec-000-10", "degSec-000-05",
        "degSec-000-01",
    ))),
))
_SIZE_VALUE_CONFIDENCE = Enumerated((
    "unavailable", "size-100-00", "size-050-00", "size-020-00", "size-010-00", "size-005-00", "size-002-00", "size-001-00",
    "size-000-50", "size-000-20", "size-000-10", "size-000-05", "size-000-02", "size-000-01",
))
_VEHICLE_SIZE_CONFIDENCE = Sequence("VehicleSizeConfidence", (
    Field("vehicleWidthConfidence", _SIZE_VALUE_CONFIDENCE),
    Field("vehicleLengthConfidence", _SIZE_VALUE_CONFIDENCE),
    optional("vehicleHeightConfidence", _SIZE_VALUE_CONFIDENCE),
))
_DETECTED_VEHICLE_DATA = Sequence("DetectedVehicleData", (
    optional("lights", j2735.EXTERIOR_LIGHTS),
    optional("vehAttitude", _ATTITUDE),
    optional("vehAttitudeConfidence", _ATTITUDE_CONFIDENCE),
    optional("vehAngVel", _ANGULAR_VELOCITY),
    optional("vehAngVelConfidence", _ANGULAR_VELOCITY_CONFIDENCE),
    optional("size", j2735.VEHICLE_SIZE),
    optional("height", j2735.VEHICLE_HEIGHT),
    optional("vehicleSizeConfidence", _VEHICLE_SIZE_CONFIDENCE),
    optional("vehicleClass", j2735.BASIC_VEHICLE_CLASS),
    optional("classConf", _CLASSIFICATION_CONFIDENCE),
), extensible=True)
_DETECTED_VRU_DATA = Sequence("DetectedVRUData", (
    optional("basicType", j2735.PERSONAL_DEVICE_USER_TYPE),
    optional("propulsion", j2735.PROPELLED_INFORMATION),
    optional("attachment", j2735.ATTACHMENT),
    optional("radius", j2735.ATTACHMENT_RADIUS),
))
_SIZE_VALUE = Integer(0, 1023, "0.1 m")
_OBSTACLE_SIZE = Sequence("ObstacleSize", (
    Field("width", _SIZE_VALUE),
    Field("length", _SIZE_VALUE),
    optional("height", _SIZE_VALUE),
))
_OBSTACLE_SIZE_CONFIDENCE = Sequence("ObstacleSizeConfidence", (
    Field("widthConfidence", _SIZE_VALUE_CONFIDENCE),
    Field("lengthConfidence", _SIZE_VALUE_CONFIDENCE),
    optional("heightConfidence", _SIZE_VALUE_CONFIDENCE),
))
_DETECTED_OBSTACLE_DATA = Sequence("DetectedObstacleData", (
    Field("obstSize", _OBSTACLE_SIZE),
    Field("obstSizeConfidence", _OBSTACLE_SIZE_CONFIDENCE),
))
_DETECTED_OBJECT_OPTIONAL_DATA = Choice("DetectedObjectOptionalData", (
    Field("detVeh", _DETECTED_VEHICLE_DATA),
    Field("detVRU", _DETECTED_VRU_DATA),
    Field("detObst", _DETECTED_OBSTACLE_DATA),
))
_DETECTED_OBJECT_DATA = Sequence("DetectedObjectData", (
    Field("detObjCommon", _DETECTED_OBJECT_COMMON_DATA),
    optional("detObjOptData", _DETECTED_OBJECT_OPTIONAL_DATA),
))
_SENSOR_DATA_SHARING_MESSAGE = Sequence("SensorDataSharingMessage", (
    Field("msgCnt", j2735.MSG_COUNT),
    Field("sourceID", j2735.TEMPORARY_ID),
    Field("equipmentType", Enumerated(("unknown", "rsu", "obu", "vru"), extensible=True)),
    Field("sDSMTimeStamp", j2735.D_DATE_TIME),
    Field("refPos", j2735.POSITION_3D),
    Field("refPosXYConf", j2735.POSITIONAL_ACCURACY),
    optional("refPosElConf", j2735.ELEVATION_CONFIDENCE),
    Field("objects", SequenceOf(_DETECTED_OBJECT_DATA, 1, 256)),
))

FORMS = Forms("SDSM", {WIRE_FORMAT: j2735.message_frame(j2735.SENSOR_DATA_SHARING, _SENSOR_DATA_SHARING_MESSAGE)})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message frame and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
