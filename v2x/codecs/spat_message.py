"""Signal states as SignalMessages and back: SPaT of SAE J2735 and SPATEM of ETSI TS 103 301.

Of every signal group the first MovementEvent is told, the one that holds now. Times are TimeMarks of the hour that the
intersection's moy and timeStamp stand in, rounded to 0.1 s. An intersection is known by its region and id together:
65536 * region + id, region 0 where none is said. Source: SAE J2735, DF_IntersectionState, DF_TimeChangeDetails.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from data_specs.errors import DecodeError, SpecError
from data_specs.messages import Header, SignalMessage
from v2x.codecs import j2735, spatem
from v2x.codecs.j2735_clock import (
    UNKNOWN_MARK,
    UNKNOWN_MARK_2016,
    UNKNOWN_MINUTE_OF_YEAR,
    UNKNOWN_SECOND,
    mark_of_unix_ns,
    minute_of_year,
    second_of_unix_ns,
    unix_ns_of_mark,
    unix_ns_of_minute_of_year,
)

STATES = (
    "unavailable", "dark", "stop-Then-Proceed", "stop-And-Remain", "pre-Movement", "permissive-Movement-Allowed",
    "protected-Movement-Allowed", "permissive-clearance", "protected-clearance", "caution-Conflicting-Traffic",
)
_BODY_BIT = 24  # of the message in a frame whose length takes one octet
_NO_STATUS = {"hex": "0000", "length": 16}


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> SignalMessage:
    """The message of a decoded PDU; DecodeError where it tells several intersections (`messages_of` gives each of them)."""
    messages = messages_of(pdu, form, raw, publisher, received_ns)
    if len(messages) > 1:
        raise DecodeError("SPaT.intersections", _BODY_BIT, f"{len(messages)} intersections", "1")
    return messages[0]


def messages_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> list[SignalMessage]:
    """A message for every intersection, told apart by their segment; DecodeError where there is no time of arrival."""
    spat = pdu["spat"] if "spat" in pdu else pdu["value"]
    states = spat["intersections"]
    minute = spat.get("timeStamp", UNKNOWN_MINUTE_OF_YEAR)
    return [_intersection(state, minute, form, raw, publisher, received_ns, (segment, len(states)))
            for segment, state in enumerate(states)]


def pdu_of(message: SignalMessage) -> dict[str, Any]:
    """Plain values of a message as SPaT; SpecError for no signal group, or for an id or a state out of range."""
    return {"messageId": j2735.SPAT, "value": _spat(message, UNKNOWN_MARK)}


def spatem_pdu_of(message: SignalMessage) -> dict[str, Any]:
    """Plain values of a message as SPATEM, from station 0; SpecError as for SPaT."""
    header = {"protocolVersion": spatem.PROTOCOL_VERSION, "messageID": spatem.MESSAGE_ID, "stationID": 0}
    return {"header": header, "spat": _spat(message, UNKNOWN_MARK_2016)}


def intersection_of(reference: dict[str, int]) -> int:
    """One number of an IntersectionReferenceID."""
    return reference.get("region", 0) << 16 | reference["id"]


def reference_of(intersection_id: int) -> dict[str, int]:
    """The IntersectionReferenceID of the number; SpecError where it does not fit."""
    if not 0 <= intersection_id < 1 << 32:
        raise SpecError(f"intersection_id: {intersection_id}, expected 0 to 4294967295")
    region, number = intersection_id >> 16, intersection_id & 0xFFFF
    return {"region": region, "id": number} if region else {"id": number}


def _intersection(state: dict[str, Any], minute: int, form: str, raw: bytes, publisher: str, received_ns: int,
                  segment: tuple[int, int]) -> SignalMessage:
    generated_ns = unix_ns_of_minute_of_year(state.get("moy", minute), state.get("timeStamp", UNKNOWN_SECOND), received_ns,
                                             "SPaT.intersections[].timeStamp", _BODY_BIT)
    movements = state["states"]
    timings = [movement["state-time-speed"][0].get("timing", {}) for movement in movements]
    return SignalMessage(
        Header(publisher, form, generated_ns, received_ns, *segment, raw), intersection_of(state["id"]),
        np.array([movement["signalGroup"] for movement in movements], np.int32),
        np.array([STATES.index(movement["state-time-speed"][0]["eventState"]) for movement in movements], np.uint8),
        np.array([unix_ns_of_mark(timing.get("minEndTime"), generated_ns) for timing in timings], np.int64),
        np.array([unix_ns_of_mark(timing.get("maxEndTime"), generated_ns) for timing in timings], np.int64),
    )


def _spat(message: SignalMessage, unknown_mark: int) -> dict[str, Any]:
    if not 1 <= len(message.group) <= 255:
        raise SpecError(f"group: {len(message.group)} signal groups, expected 1 to 255")
    states = [_movement(*row, unknown_mark) for row in zip(
        message.group.tolist(), message.state.tolist(), message.min_end_ns.tolist(), message.max_end_ns.tolist())]
    generated_ns = message.header.generated_ns
    return {"intersections": [{
        "id": reference_of(message.intersection_id), "revision": 0, "status": _NO_STATUS,
        "moy": minute_of_year(generated_ns), "timeStamp": second_of_unix_ns(generated_ns), "states": states,
    }]}


def _movement(group: int, state: int, min_end_ns: int, max_end_ns: int, unknown_mark: int) -> dict[str, Any]:
    if not 0 <= group <= 255 or state >= len(STATES):
        raise SpecError(f"group {group} in state {state}, expected a group 0 to 255 in a state 0 to {len(STATES) - 1}")
    event: dict[str, Any] = {"eventState": STATES[state]}
    if min_end_ns >= 0 or max_end_ns >= 0:
        event["timing"] = {"minEndTime": mark_of_unix_ns(min_end_ns, unknown_mark)}
    if max_end_ns >= 0:
        event["timing"]["maxEndTime"] = mark_of_unix_ns(max_end_ns, unknown_mark)
    return {"signalGroup": group, "state-time-speed": [event]}
