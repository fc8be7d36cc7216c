"""The basic safety message of SAE J2735 (message 20) as a table; part II extensions unknown here are kept as octets.

Source: see `j2735`.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import bsm_part2, j2735
from v2x.codecs.schema import (
    BitString,
    Contained,
    Enumerated,
    Field,
    Integer,
    Sequence,
    SequenceOf,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "sae-bsm"

_VEHICLE_SAFETY_EXTENSIONS = Sequence("VehicleSafetyExtensions", (
    optional("events", BitString(13, extensible=True)),
    optional("pathHistory", j2735.PATH_HISTORY),
    optional("pathPrediction", j2735.PATH_PREDICTION),
    optional("lights", j2735.EXTERIOR_LIGHTS),
), extensible=True)
_BRAKE_SYSTEM_STATUS = Sequence("BrakeSystemStatus", (
    Field("wheelBrakes", BitString(5)),
    Field("traction", Enumerated(("unavailable", "off", "on", "engaged"))),
    Field("abs", Enumerated(("unavailable", "off", "on", "engaged"))),
    Field("scs", Enumerated(("unavailable", "off", "on", "engaged"))),
    Field("brakeBoost", Enumerated(("unavailable", "off", "on"))),
    Field("auxBrakes", Enumerated(("unavailable", "off", "on", "reserved"))),
))
_BSM_CORE_DATA = Sequence("BSMcoreData", (
    Field("msgCnt", j2735.MSG_COUNT),
    Field("id", j2735.TEMPORARY_ID),
    Field("secMark", j2735.D_SECOND),
    Field("lat", j2735.LATITUDE),
    Field("long", j2735.LONGITUDE),
    Field("elev", j2735.ELEVATION),
    Field("accuracy", j2735.POSITIONAL_ACCURACY),
    Field("transmission", j2735.TRANSMISSION_STATE),
    Field("speed", j2735.SPEED),
    Field("heading", j2735.HEADING),
    Field("angle", Integer(-126, 127, "1.5 degree", {127: "unavailable"})),
    Field("accelSet", j2735.ACCELERATION_SET_4WAY),
    Field("brakes", _BRAKE_SYSTEM_STATUS),
    Field("size", j2735.VEHICLE_SIZE),
))
_PART_TWO = Sequence("PartIIcontent", (
    Field("partII-Id", Integer(0, 63)),
    Field("partII-Value", Contained("partII-Id", {
        0: _VEHICLE_SAFETY_EXTENSIONS,
        1: bsm_part2.SPECIAL_VEHICLE_EXTENSIONS,
        2: bsm_part2.SUPPLEMENTAL_VEHICLE_EXTENSIONS,
    })),
))
_BASIC_SAFETY_MESSAGE = Sequence("BasicSafetyMessage", (
    Field("coreData", _BSM_CORE_DATA),
    optional("partII", SequenceOf(_PART_TWO, 1, 8)),
    optional("regional", j2735.REGIONAL),
), extensible=True)

FORMS = Forms("BSM", {WIRE_FORMAT: j2735.message_frame(j2735.BASIC_SAFETY, _BASIC_SAFETY_MESSAGE)})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message frame and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
