"""Envelopes of the US DOT's Operational Data Environment (usdot-jpo-ode/jpo-ode): JSON records in, JSON records out.

An envelope has `metadata` and `payload`; newer ones keep the message's own octets as hex in metadata.asn1, which then count.
Without them the payload is J2735 in the ODE's JSON form (enumerations by name, choices as objects of one key), or in older
records a BSM in degrees and metres (see `ode_bsm`). Topics: topic.OdeSdsmJson, topic.OdeBsmJson, topic.OdeSpatJson,
topic.OdeMapJson, topic.OdePsmJson. Source: envelopes of schemaVersion 6 and 8 in jpo-ode's own samples.
"""
from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from data_specs.clock import NS_PER_MS, iso_utc
from data_specs.errors import InputError, UnknownFormat
from data_specs.messages import Message
from v2x import ode_bsm
from v2x.codecs import door
from v2x.codecs.schema import BitString, Checked, Choice, Contained, Group, Kind, OctetString, Sequence, SequenceOf

# wire format -> (topic, recordType, message name in the payload, metadata field that names the source)
_RECORDS = {
    "sae-sdsm": ("topic.OdeSdsmJson", "sdsmTx", "SensorDataSharingMessage"),
    "sae-bsm": ("topic.OdeBsmJson", "bsmTx", "BasicSafetyMessage"),
    "sae-spat": ("topic.OdeSpatJson", "spatTx", "SPAT"),
    "sae-map": ("topic.OdeMapJson", "mapTx", "MapData"),
    "sae-psm": ("topic.OdePsmJson", "psmTx", "PersonalSafetyMessage"),
}
_DATA_TYPE = "us.dot.its.jpo.asn.j2735.r2024.{0}.{0}MessageFrame"


def topic_of(wire_format: str) -> str:
    """The ODE's topic of a format; UnknownFormat for what it has none for."""
    return _record(wire_format)[0]


def envelope_of(octets: bytes, received_ns: int, origin_ip: str = "") -> dict[str, Any]:
    """The envelope of a J2735 message frame, as the ODE writes it since schema version 8; DecodeError for broken octets."""
    pdu, wire_format = door.decode_pdu(octets)
    _, record_type, name = _record(wire_format)
    table = door.format_named(wire_format).forms[wire_format].kind
    frame = _json_of(table, pdu)
    return {
        "metadata": {
            "recordType": record_type, "securityResultCode": "unknown", "receivedMessageDetails": {"rxSource": "RSU"},
            "payloadType": "us.dot.its.jpo.ode.model.OdeMessageFramePayload", "odeReceivedAt": iso_utc(received_ns),
            "schemaVersion": 8, "maxDurationTime": 0, "recordGeneratedAt": "", "recordGeneratedBy": "RSU", "sanitized": False,
            "asn1": octets.hex().upper(), "source": "RSU", "originIp": origin_ip, "isCertPresent": False,
        },
        "payload": {"data": {"messageId": frame["messageId"], "value": {name: frame["value"]}},
                    "dataType": _DATA_TYPE.format(name)},
    }


def octets_of(envelope: dict[str, Any], where: str = "envelope") -> bytes:
    """The message frame in an envelope: its own octets where it has them, else its payload encoded.

    InputError where it has neither, SpecError for a payload that the standard does not allow.
    """
    try:
        metadata, data = envelope["metadata"], envelope["payload"]["data"]
    except (KeyError, TypeError):
        raise InputError(where, "no metadata or payload.data", "an ODE envelope") from None
    if octets := metadata.get("asn1"):
        return _frame_in(_octets(octets, where), where)
    if ode_bsm.is_core(data):
        return door.encode_pdu(ode_bsm.frame_of(data, where), "sae-bsm")
    if "value" in data and "messageId" in data:
        row = next((row for row in door.FORMATS if (0, data["messageId"]) in row.openings), None)
        if row is None:
            raise UnknownFormat(where, f"messageId {data['messageId']}", "one that is read here")
        value = next(iter(data["value"].values()))
        return door.encode_pdu(_value_of(row.forms[row.name].kind, {"messageId": data["messageId"], "value": value}), row.name)
    raise InputError(where, f"a payload of {sorted(data)[:4]} without octets", "metadata.asn1, or messageId and value")


def decode_envelope(text: str | bytes, publisher: str = "", where: str = "envelope") -> Message:
    """The message of one JSON record; it was received when the ODE says so. InputError, DecodeError, SpecError as above."""
    try:
        envelope = json.loads(text)
    except ValueError as error:
        raise InputError(where, f"no JSON ({error})", "an ODE envelope") from None
    octets = octets_of(envelope, where)
    return door.decode(octets, publisher=publisher, received_ns=received_ns_of(envelope["metadata"], where))


def received_ns_of(metadata: dict[str, Any], where: str = "envelope") -> int:
    """Unix nanoseconds of odeReceivedAt; InputError where it is no time."""
    text = metadata.get("odeReceivedAt", "")
    try:
        whole, _, fraction = text.removesuffix("Z").partition(".")
        return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 1000 * NS_PER_MS + int(fraction.ljust(9, "0")[:9] or 0)
    except ValueError:
        raise InputError(where, f"odeReceivedAt {text!r}", "a time like 2025-05-22T22:45:10.967Z") from None


def _record(wire_format: str) -> tuple[str, str, str]:
    if wire_format not in _RECORDS:
        raise UnknownFormat("ODE", f"wire format {wire_format!r}", f"one of {', '.join(_RECORDS)}")
    return _RECORDS[wire_format]


def _octets(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InputError(where, f"asn1 {text[:20]!r}", "octets as hex") from None


def _frame_in(octets: bytes, where: str) -> bytes:
    """The frame, or the one behind a log record's head: a kind (1 octet) and the frame's length (2, little-endian)."""
    if len(octets) < 4:
        raise InputError(where, f"{len(octets)} octets", "a message frame")
    length = int.from_bytes(octets[1:3], "little")
    return octets[3:3 + length] if octets[0] != 0 and octets[3] == 0 and length <= len(octets) - 3 else octets


def _json_of(kind: Kind, value: Any) -> Any:
    """The ODE's form of a plain value: a choice is an object of one key, octets are upper-case hex."""
    match kind:
        case Checked():
            return value
        case Choice():
            part = next((part for part in (*kind.alternatives, *kind.additions) if part.name == value["choice"]), None)
            return {value["choice"]: value["value"] if part is None else _json_of(part.kind, value["value"])}
        case SequenceOf():
            return [_json_of(kind.item, item) for item in value]
        case Sequence():
            kinds = _kinds(kind, value)
            return {name: _json_of(kinds[name], inner) if name in kinds else inner for name, inner in value.items()}
        case BitString():
            return value["hex"].upper()
        case OctetString():
            return value.upper()
        case _:
            return value


def _value_of(kind: Kind, value: Any) -> Any:
    """The inverse of `_json_of`, where bit strings are as wide as their table says."""
    match kind:
        case Choice() if isinstance(value, dict) and len(value) == 1:
            name, inner = next(iter(value.items()))
            part = next((part for part in (*kind.alternatives, *kind.additions) if part.name == name), None)
            return {"choice": name, "value": inner if part is None else _value_of(part.kind, inner)}
        case SequenceOf() if isinstance(value, list):
            return [_value_of(kind.item, item) for item in value]
        case Sequence() if isinstance(value, dict):
            kinds = _kinds(kind, value)
            return {name: _value_of(kinds[name], inner) if name in kinds else inner for name, inner in value.items()}
        case BitString() if isinstance(value, str):
            return {"hex": value.lower(), "length": kind.size}
        case OctetString() if isinstance(value, str):
            return value.lower()
        case _:
            return value


def _kinds(kind: Sequence, value: dict[str, Any]) -> dict[str, Kind]:
    """The kind of each part of a sequence's value; what is contained unknown has none."""
    kinds: dict[str, Kind] = {}
    for part in (*kind.fields, *(part for part in kind.additions if not isinstance(part, Group))):
        inner = part.kind.kinds.get(value.get(part.kind.selector, -1)) if isinstance(part.kind, Contained) else part.kind
        if inner is not None:
            kinds[part.name] = inner
    return kinds
