"""The one way in and out of the wire: octets to a message and back. Inside the house there are only our types.

A format is one row of FORMATS. A message's first two octets tell its format: an ETSI message starts with protocolVersion (1 or
more) and messageId, a J2735 MessageFrame with an extension bit (0) and a DSRCmsgID of 15 bits (below 256 for all that are read
here), so that none can be taken for another. Source: ETSI TS 102 894-2, ItsPduHeader; SAE J2735, MessageFrame.
"""
from __future__ import annotations

import time
from typing import Any

from data_specs.errors import DecodeError, UnknownFormat
from data_specs.messages import HazardMessage, LaneMap, Message, RoadsideMessage, SignalMessage, StationMessage
from v2x.codecs import (
    bsm,
    bsm_message,
    cam_v141,
    cam_v141_message,
    cpm_tr103562,
    cpm_tr103562_decode,
    cpm_v211,
    cpm_v211_decode,
    cpm_v211_encode,
    cpm_v211_flat,
    denm_v131,
    denm_v131_message,
    j2735,
    map_data,
    map_message,
    mapem,
    psm,
    psm_message,
    rsm,
    sdsm,
    sdsm_decode,
    sdsm_encode,
    spat,
    spat_message,
    spatem,
    vam_v231,
    vam_v231_message,
)
from v2x.codecs.formats import Format

FORMATS = (
    Format(cpm_v211.FORMS, ((cpm_v211.PROTOCOL_VERSION, cpm_v211.MESSAGE_ID),), cpm_v211_decode.message_of, RoadsideMessage,
           cpm_v211_encode.pdu_of, cpm_v211_flat.message_of_octets),
    Format(cpm_tr103562.FORMS, ((cpm_tr103562.PROTOCOL_VERSION, cpm_tr103562.MESSAGE_ID),), cpm_tr103562_decode.message_of,
           RoadsideMessage),
    Format(cam_v141.FORMS, ((cam_v141.PROTOCOL_VERSION, cam_v141.MESSAGE_ID),), cam_v141_message.message_of, StationMessage,
           cam_v141_message.pdu_of),
    Format(denm_v131.FORMS, ((denm_v131.PROTOCOL_VERSION, denm_v131.MESSAGE_ID),), denm_v131_message.message_of, HazardMessage,
           denm_v131_message.pdu_of),
    Format(vam_v231.FORMS, ((vam_v231.PROTOCOL_VERSION, vam_v231.MESSAGE_ID),), vam_v231_message.message_of, StationMessage,
           vam_v231_message.pdu_of),
    Format(sdsm.FORMS, ((0, j2735.SENSOR_DATA_SHARING),), sdsm_decode.message_of, RoadsideMessage, sdsm_encode.pdu_of),
    Format(bsm.FORMS, ((0, j2735.BASIC_SAFETY),), bsm_message.message_of, StationMessage, bsm_message.pdu_of),
    Format(psm.FORMS, ((0, j2735.PERSONAL_SAFETY),), psm_message.message_of, StationMessage, psm_message.pdu_of),
    Format(spat.FORMS, ((0, j2735.SPAT),), spat_message.message_of, SignalMessage, spat_message.pdu_of),
    Format(spatem.FORMS, ((spatem.PROTOCOL_VERSION, spatem.MESSAGE_ID),), spat_message.message_of, SignalMessage,
           spat_message.spatem_pdu_of),
    Format(map_data.FORMS, ((0, j2735.MAP_DATA),), map_message.message_of, LaneMap, map_message.pdu_of),
    Format(mapem.FORMS, ((mapem.PROTOCOL_VERSION, mapem.MESSAGE_ID),), map_message.message_of, LaneMap,
           map_message.mapem_pdu_of),
)
_BY_OPENING = {bytes(opening): row for row in FORMATS for opening in row.openings}
_BY_NAME = {form: row for row in FORMATS for form in row.forms}
WIRE_FORMATS = tuple(_BY_NAME)


def decode(data: bytes, wire_format: str | None = None, *, publisher: str = "", received_ns: int | None = None) -> Message:
    """The message that the octets say; its header names the form they turned out to have.

    Without `wire_format` the octets' own header decides; with one of the plain names ("etsi-cpm-2.1.1") its forms are
    tried in order; a full form name allows that form alone. `publisher` and `received_ns` (now, unless it is given) go into
    the header; the time of arrival also completes the time of messages that send only a part of it (CAM, BSM).
    DecodeError at the first wrong bit; UnknownFormat for a name that is not in WIRE_FORMATS.
    """
    name = edition_of(data) if wire_format is None else wire_format
    row = format_named(name)
    arrival_ns = time.time_ns() if received_ns is None else received_ns
    if row.message_of_octets is not None:
        return row.message_of_octets(data, None if name == row.name else name, publisher, arrival_ns)
    pdu, form = row.decode_pdu(data, name)
    return row.message_of(pdu, form, data, publisher, arrival_ns)


def encode(message: Message, wire_format: str) -> bytes:
    """The octets of a message; SpecError where the standard cannot say it, UnknownFormat for a format that is read only
    or that says another type of message."""
    row = format_named(wire_format)
    if row.pdu_of is None or not isinstance(message, row.message_type):
        known = [form for other in FORMATS if other.pdu_of is not None and isinstance(message, other.message_type)
                 for form in other.forms]
        raise UnknownFormat(type(message).__name__, f"wire format {wire_format!r}",
                            f"one that says it: {', '.join(known) or 'none is written here'}")
    return encode_pdu(row.pdu_of(message), wire_format)


def decode_pdu(data: bytes, wire_format: str | None = None) -> tuple[Any, str]:
    """Plain values of the octets and the form they have; formats and errors as for `decode`. Nothing is lost."""
    name = edition_of(data) if wire_format is None else wire_format
    return format_named(name).decode_pdu(data, name)


def encode_pdu(pdu: Any, wire_format: str) -> bytes:
    """The octets of plain values; SpecError names the field that the format does not allow, UnknownFormat the format."""
    return format_named(wire_format).forms[wire_format].encode(pdu)


def format_named(wire_format: str) -> Format:
    """The format that a plain or full form name belongs to; UnknownFormat lists those that are known."""
    if wire_format == rsm.WIRE_FORMAT:
        raise rsm.refusal("message")
    if wire_format not in _BY_NAME:
        raise UnknownFormat("message", f"wire format {wire_format!r}", f"one of {', '.join(WIRE_FORMATS)}")
    return _BY_NAME[wire_format]


def edition_of(data: bytes) -> str:
    """The plain wire format that a message's own first octets announce; DecodeError for a header that is not known here."""
    if len(data) < 2:
        raise DecodeError("message", 8 * len(data), f"{len(data)} octets", "two octets that tell what it is")
    row = _BY_OPENING.get(data[:2])
    if row is None:
        wrong_bit = 8 if any(opening[0] == data[0] for opening in _BY_OPENING) else 0
        raise DecodeError("message", wrong_bit, _opening_words(data), "; ".join(
            f"{_opening_words(opening)} ({known.name})" for opening, known in _BY_OPENING.items()))
    return row.name


def _opening_words(data: bytes) -> str:
    if data[0] == 0:
        return f"MessageFrame {data[1]}"
    return f"protocolVersion {data[0]}, messageId {data[1]}"
