"""What an event looks like on the bus, and back: the one place where topics, values and headers are fixed.

Objects, poses, truth and health travel as one Arrow record batch message without its schema (data_specs/arrow.py), V2X
messages as the octets that came over the air, with headers for what only the receiver knew. data_specs/topics.md has the table.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from data_specs import arrow
from data_specs.errors import DecodeError, InputError, SpecError
from data_specs.health import RsuHealth
from data_specs.messages import GeoPoint, Header, Message, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from replay.bus import BusRecord
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
)
from v2x.geodesy import quadkey

DEAD_LETTERS = "rsu.dead-letters"  # octets that nobody could read, or that the policy turned away
ARROW_TOPICS: Mapping[str, type] = {
    VEHICLE_OBJECTS: ObjectList, FUSED_TRACKS: ObjectList, ROADSIDE_OBJECTS: ObjectList,
    EGO_POSES: EgoPose, RSU_HEALTH: RsuHealth, TRUTH: Truth,
}
BUS_TOPICS = (*ARROW_TOPICS, ROADSIDE_MESSAGES)


def message_headers(header: Header, origin: GeoPoint | None = None) -> dict[str, bytes]:
    """What a record of rsu.messages says beside its octets; `origin`, of its crossing, gives the quadkey.

    messageType, publisherId and quadkey let other programs choose records without decoding them. protocolVersion is the first
    octet of an ETSI message (TS 102 894-2, ItsPduHeader); the other standards have no version on the wire and no such header.
    """
    family, kind, *_ = [*header.wire_format.split("-"), ""]
    publisher = header.publisher.encode()
    said = {"publisher": publisher, "wire_format": header.wire_format.encode(), "generated_ns": b"%d" % header.generated_ns,
            "received_ns": b"%d" % header.received_ns, "messageType": kind.upper().encode(), "publisherId": publisher}
    if family == "etsi" and header.raw:
        said["protocolVersion"] = b"%d" % header.raw[0]
    if origin is not None:
        said["quadkey"] = quadkey(origin).encode()
    return said


def dead_letter(octets: bytes, reason: str, source: str, received_ns: int, key: str = "", place: str = "") -> BusRecord:
    """The record of octets that were refused: why, who sent them as far as that is known (publisher or address), and when.

    `place` says which record of the bus they were ("topic/partition/offset"), where they were one.
    """
    said = {"reason": reason.encode(), "source": source.encode(), "received_ns": b"%d" % received_ns}
    if place:
        said["place"] = place.encode()
    return BusRecord(DEAD_LETTERS, key, octets, received_ns, said)


def to_bus_record(event: Event, key: str, origin: GeoPoint | None = None) -> BusRecord:
    """The record that carries an event; SpecError for a topic that does not travel (sensor data), or another payload type.

    `origin` is that of the event's crossing (`origin_of`), for the quadkey of a message.
    """
    if event.topic == ROADSIDE_MESSAGES:
        header = event.payload.header  # type: ignore[union-attr]
        return BusRecord(event.topic, key, header.raw, event.time_ns, message_headers(header, origin))
    expected = ARROW_TOPICS.get(event.topic)
    if expected is None:
        raise SpecError(f"topic {event.topic!r} does not travel on the bus, expected one of {', '.join(BUS_TOPICS)}")
    if not isinstance(event.payload, expected):
        raise SpecError(f"{event.topic}: payload is {type(event.payload).__name__}, expected {expected.__name__}")
    return BusRecord(event.topic, key, arrow.dumps(event.payload), event.time_ns)


def from_bus_record(record: BusRecord) -> Event:
    """The event a record carries; InputError (DecodeError for octets) names topic, partition and offset of a corrupt one."""
    place = f"{record.topic}, partition {record.partition}, offset {record.offset}"
    try:
        if record.topic == ROADSIDE_MESSAGES:
            return Event(record.time_ns, record.topic, _message(record, place))
        if record.topic not in ARROW_TOPICS:
            raise InputError(place, f"topic {record.topic!r}", f"one of {', '.join(BUS_TOPICS)}")
        return Event(record.time_ns, record.topic, arrow.loads(record.value, ARROW_TOPICS[record.topic]))
    except DecodeError as error:
        raise DecodeError(place, error.offset_bits, error.got, error.expected) from error
    except InputError as error:
        raise InputError(place, error.got, error.expected, error.hint) from error
    except SpecError as error:
        raise InputError(place, str(error), "a record that meets the specification of its type") from error


def bus_key(info: DriveInfo, event: Event) -> str:
    """The crossing an event belongs to: one crossing is one key, so one partition and one owner among the workers."""
    crossings = info.site.crossings
    if event.topic == ROADSIDE_MESSAGES:
        publisher = event.payload.header.publisher  # type: ignore[union-attr]
        for rsu in info.site.rsus:
            if publisher in (rsu.name, rsu.source, rsu.certificate):
                return rsu.crossing
    return crossings[0].id if crossings else info.drive_id


def origin_of(info: DriveInfo, key: str) -> GeoPoint:
    """Where the crossing of a key has its origin; the drive's own where the key is no crossing."""
    return next((crossing.origin for crossing in info.site.crossings if crossing.id == key), info.origin)


def _message(record: BusRecord, place: str) -> Message:
    from v2x.codecs import decode  # brings the tables of every standard: only readers of messages pay for them

    headers = record.headers
    wire_format = headers["wire_format"].decode("ascii", "replace") if "wire_format" in headers else None
    message = decode(record.value, wire_format, publisher=headers.get("publisher", b"").decode("utf-8", "replace"),
                     received_ns=_number(headers, "received_ns", record.time_ns, place))
    generated_ns = _number(headers, "generated_ns", message.header.generated_ns, place)
    return _moved(message, generated_ns - message.header.generated_ns)


def _moved(message: Message, by_ns: int) -> Message:
    """The message `by_ns` later than its octets say, as in a drive that is played anew; measured times go along."""
    if by_ns == 0:
        return message
    header = replace(message.header, generated_ns=message.header.generated_ns + by_ns)
    if isinstance(message, RoadsideMessage | StationMessage):
        objects = replace(message.objects, measured_ns=message.objects.measured_ns + np.int64(by_ns))
        return replace(message, header=header, objects=objects)
    return replace(message, header=header)


def _number(headers: Mapping[str, bytes], name: str, otherwise: int, place: str) -> int:
    try:
        return int(headers[name]) if name in headers else otherwise
    except ValueError as error:
        raise InputError(place, f"header {name} {headers[name]!r}", "a whole number of nanoseconds") from error
