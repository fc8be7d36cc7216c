"""The personal safety message of SAE J2735 (message 32) as a table.

Source: see `j2735`.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import j2735
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Enumerated,
    Field,
    Integer,
    Sequence,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "sae-psm"

_PERSONAL_SAFETY_MESSAGE = Sequence("PersonalSafetyMessage", (
    Field("basicType", j2735.PERSONAL_DEVICE_USER_TYPE),
    Field("secMark", j2735.D_SECOND),
    Field("msgCnt", j2735.MSG_COUNT),
    Field("id", j2735.TEMPORARY_ID),
    Field("position", j2735.POSITION_3D),
    Field("accuracy", j2735.POSITIONAL_ACCURACY),
    Field("speed", j2735.VELOCITY),
    Field("heading", j2735.HEADING),
    optional("accelSet", j2735.ACCELERATION_SET_4WAY),
    optional("pathHistory", j2735.PATH_HISTORY),
    optional("pathPrediction", j2735.PATH_PREDICTION),
    optional("propulsion", j2735.PROPELLED_INFORMATION),
    optional("useState", BitString(9, extensible=True)),
    optional("crossRequest", Boolean()),
    optional("crossState", Boolean()),
    optional("clusterSize", Enumerated(("unavailable", "small", "medium", "large"), extensible=True)),
    optional("clusterRadius", Integer(0, 100, "m")),
    optional("eventResponderType", Enumerated((
        "unavailable", "towOperater", "fireAndEMSWorker", "aDOTWorker", "lawEnforcement", "hazmatResponder",
        "animalControlWorker", "otherPersonnel",
    ), extensible=True)),
    optional("activityType", BitString(6, extensible=True)),
    optional("activitySubType", BitString(7, extensible=True)),
    optional("assistType", BitString(6, extensible=True)),
    optional("sizing", BitString(5, extensible=True)),
    optional("attachment", j2735.ATTACHMENT),
    optional("attachmentRadius", j2735.ATTACHMENT_RADIUS),
    optional("animalType", Enumerated(("unavailable", "serviceUse", "pet", "farm"), extensible=True)),
    optional("regional", j2735.REGIONAL),
), extensible=True)

FORMS = Forms("PSM", {WIRE_FORMAT: j2735.message_frame(j2735.PERSONAL_SAFETY, _PERSONAL_SAFETY_MESSAGE)})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message frame and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
