"""The signal phase and timing message of SAE J2735 (message 19) as a table; SPATEM of ETSI wraps the same type.

TimeMark ends at 36001 in the 2016 edition and in ISO TS 19091, at 36111 since; both take 16 bits. Source: see `j2735`.
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
    SequenceOf,
    optional,
)
from v2x.codecs.uper import Forms

WIRE_FORMAT = "sae-spat"

_ZONE_LENGTH = Integer(0, 10_000, "m")
_ADVISORY_SPEED = Sequence("AdvisorySpeed", (
    Field("type", Enumerated(("none", "greenwave", "ecoDrive", "transit"), extensible=True)),
    optional("speed", Integer(0, 500, "0.1 m/s", {500: "unavailable"})),
    optional("confidence", j2735.SPEED_CONFIDENCE),
    optional("distance", _ZONE_LENGTH),
    optional("class", j2735.RESTRICTION_CLASS_ID),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_CONNECTION_MANEUVER_ASSIST = Sequence("ConnectionManeuverAssist", (
    Field("connectionID", j2735.LANE_CONNECTION_ID),
    optional("queueLength", _ZONE_LENGTH),
    optional("availableStorageLength", _ZONE_LENGTH),
    optional("waitOnStop", Boolean()),
    optional("pedBicycleDetect", Boolean()),
    optional("regional", j2735.REGIONAL),
), extensible=True)
_MANEUVER_ASSIST_LIST = SequenceOf(_CONNECTION_MANEUVER_ASSIST, 1, 16)


def spat(last_mark: int, additions: tuple[Field, ...]) -> Sequence:
    """SPAT, whose last TimeMark and additions to an intersection differ between SAE and ETSI."""
    state = Sequence("IntersectionState", (
        optional("name", j2735.DESCRIPTIVE_NAME),
        Field("id", j2735.INTERSECTION_REFERENCE_ID),
        Field("revision", j2735.MSG_COUNT),
        Field("status", BitString(16)),
        optional("moy", j2735.MINUTE_OF_THE_YEAR),
        optional("timeStamp", j2735.D_SECOND),
        optional("enabledLanes", SequenceOf(j2735.LANE_ID, 1, 16)),
        Field("states", SequenceOf(_movement_state(last_mark), 1, 255)),
        optional("maneuverAssistList", _MANEUVER_ASSIST_LIST),
        optional("regional", j2735.REGIONAL),
    ), extensible=True, additions=additions)
    return Sequence("SPAT", (
        optional("timeStamp", j2735.MINUTE_OF_THE_YEAR),
        optional("name", j2735.DESCRIPTIVE_NAME),
        Field("intersections", SequenceOf(state, 1, 32)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _movement_state(last_mark: int) -> Sequence:
    return Sequence("MovementState", (
        optional("movementName", j2735.DESCRIPTIVE_NAME),
        Field("signalGroup", j2735.SIGNAL_GROUP_ID),
        Field("state-time-speed", SequenceOf(_movement_event(last_mark), 1, 16)),
        optional("maneuverAssistList", _MANEUVER_ASSIST_LIST),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _movement_event(last_mark: int) -> Sequence:
    return Sequence("MovementEvent", (
        Field("eventState", Enumerated((
            "unavailable", "dark", "stop-Then-Proceed", "stop-And-Remain", "pre-Movement", "permissive-Movement-Allowed",
            "protected-Movement-Allowed", "permissive-clearance", "protected-clearance", "caution-Conflicting-Traffic",
        ))),
        optional("timing", _time_change_details(last_mark)),
        optional("speeds", SequenceOf(_ADVISORY_SPEED, 1, 16)),
        optional("regional", j2735.REGIONAL),
    ), extensible=True)


def _time_change_details(last_mark: int) -> Sequence:
    mark = Integer(0, last_mark, "0.1 s of the hour", {36_001: "unknown (2016)", last_mark: "unknown"})
    return Sequence("TimeChangeDetails", (
        optional("startTime", mark),
        Field("minEndTime", mark),
        optional("maxEndTime", mark),
        optional("likelyTime", mark),
        optional("confidence", Integer(0, 15)),
        optional("nextTime", mark),
    ))


FORMS = Forms("SPaT", {WIRE_FORMAT: j2735.message_frame(j2735.SPAT, spat(36_111, j2735.ROAD_AUTHORITY))})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message frame and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
