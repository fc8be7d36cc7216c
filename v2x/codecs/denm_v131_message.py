"""A DENM as a HazardMessage and back, rounded to the units of the wire.

Source: ETSI EN 302 637-3 V1.3.1, clauses 6 and 7 and annex B. The message's time is referenceTime (of this update of the
event), the event's are detectionTime and, validityDuration later, its end; without a situation its cause is 0 (reserved).

A HazardMessage has no number for its event: when sent, the sequenceNumber is that of the detection's millisecond, so that an
update or cancellation of an event names the same one. Times are rounded to 1 ms, the validity to whole seconds; a negation is
sent on as a cancellation. What lies beyond management and event type stays in `header.raw`.
"""
from __future__ import annotations

from typing import Any

from data_specs.clock import NS_PER_S, its_ms_from_unix_ns, unix_ns_from_its_ms
from data_specs.errors import SpecError
from data_specs.messages import HazardMessage, Header
from v2x.codecs import etsi_station as etsi
from v2x.codecs.denm_v131 import DEFAULT_VALIDITY_S, MESSAGE_ID, PROTOCOL_VERSION

_LONGEST_S, _LATEST_ITS_MS = 86_400, (1 << 42) - 1
_LATITUDE_BIT = 189  # of eventPosition in a message without termination, which takes one bit before it


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> HazardMessage:
    """The message of a decoded PDU; DecodeError where it says no event position."""
    management = pdu["denm"]["management"]
    event = pdu["denm"].get("situation", {}).get("eventType", {"causeCode": 0, "subCauseCode": 0})
    ended = "termination" in management
    detected_ns = unix_ns_from_its_ms(management["detectionTime"])
    return HazardMessage(
        Header(publisher, form, unix_ns_from_its_ms(management["referenceTime"]), received_ns, 0, 1, raw),
        pdu["header"]["stationID"],
        etsi.place_of(management["eventPosition"], "DENM.denm.management.eventPosition", _LATITUDE_BIT + ended),
        event["causeCode"],
        event["subCauseCode"],
        detected_ns,
        detected_ns + management.get("validityDuration", DEFAULT_VALIDITY_S) * NS_PER_S,
        ended,
    )


def pdu_of(message: HazardMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError names what the standard cannot say: an id, a cause or a time out of range."""
    station_id = etsi.require_station_id(message.station_id)
    detected_ms = _its_ms("detected_ns", message.detected_ns)
    management: dict[str, Any] = {
        "actionID": {"originatingStationID": station_id, "sequenceNumber": detected_ms % 65_536},
        "detectionTime": detected_ms,
        "referenceTime": _its_ms("generated_ns", message.header.generated_ns),
        "eventPosition": etsi.position_of(message.position),
        "validityDuration": _validity_s(message),
        "stationType": 0,
    }
    if message.cancelled:
        management["termination"] = "isCancellation"
    denm: dict[str, Any] = {"management": management}
    if message.cause != 0:
        denm["situation"] = {"informationQuality": 0, "eventType": {
            "causeCode": _octet("cause", message.cause), "subCauseCode": _octet("sub_cause", message.sub_cause)}}
    return {"header": {"protocolVersion": PROTOCOL_VERSION, "messageID": MESSAGE_ID, "stationID": station_id}, "denm": denm}


def _its_ms(name: str, unix_ns: int) -> int:
    its_ms = its_ms_from_unix_ns(unix_ns)
    if not 0 <= its_ms <= _LATEST_ITS_MS:
        raise SpecError(f"{name}: {unix_ns}, expected a time from 2004 on, within 42 bits of milliseconds")
    return its_ms


def _validity_s(message: HazardMessage) -> int:
    validity_s = round((message.valid_until_ns - message.detected_ns) / NS_PER_S)
    if not 0 <= validity_s <= _LONGEST_S:
        raise SpecError(f"valid_until_ns: {validity_s} s after detected_ns, expected 0 to {_LONGEST_S}")
    return validity_s


def _octet(name: str, value: int) -> int:
    if not 0 <= value <= 255:
        raise SpecError(f"{name}: {value}, expected 0 to 255")
    return value
