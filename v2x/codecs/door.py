"""The one way in and out of the wire: octets to a message and back. Inside the house there are only our types."""
from __future__ import annotations

from data_specs.errors import DecodeError, UnknownFormat
from data_specs.messages import Message, RoadsideMessage
from v2x.codecs import cpm_tr103562, cpm_tr103562_decode, cpm_v211, cpm_v211_decode, cpm_v211_encode

# A header's protocolVersion and messageId tell the wire format.
_EDITIONS = {
    (cpm_v211.PROTOCOL_VERSION, cpm_v211.MESSAGE_ID): cpm_v211.WIRE_FORMAT,
    (cpm_tr103562.PROTOCOL_VERSION, cpm_tr103562.MESSAGE_ID): cpm_tr103562.WIRE_FORMAT,
}
WIRE_FORMATS = (*cpm_v211.FORMS, *cpm_tr103562.FORMS)


def decode(data: bytes, wire_format: str | None = None, *, publisher: str = "", received_ns: int = 0) -> Message:
    """The message that the octets say; its header names the form they turned out to have.

    Without `wire_format` the octets' own header decides; with one of the plain names ("etsi-cpm-2.1.1") its forms are
    tried in order; a full form name allows that form alone. `publisher` and `received_ns` go into the header as they are.
    DecodeError at the first wrong bit; UnknownFormat for a name that is not in WIRE_FORMATS.
    """
    name = edition_of(data) if wire_format is None else wire_format
    form = None if name in _EDITIONS.values() else name
    if name in cpm_v211.FORMS:
        pdu, found = cpm_v211.decode_pdu(data, form)
        return cpm_v211_decode.message_of(pdu, found, data, publisher, received_ns)
    if name in cpm_tr103562.FORMS:
        pdu, found = cpm_tr103562.decode_pdu(data, form)
        return cpm_tr103562_decode.message_of(pdu, found, data, publisher, received_ns)
    raise UnknownFormat("message", f"wire format {name!r}", f"one of {', '.join(WIRE_FORMATS)}")


def encode(message: Message, wire_format: str) -> bytes:
    """The octets of a message; SpecError where the standard cannot say it, UnknownFormat for a format that is read only."""
    if wire_format in cpm_v211.FORMS and isinstance(message, RoadsideMessage):
        return cpm_v211.encode_pdu(cpm_v211_encode.pdu_of(message), wire_format)
    raise UnknownFormat(type(message).__name__, f"wire format {wire_format!r}",
                        f"a RoadsideMessage and one of {', '.join(cpm_v211.FORMS)}")


def edition_of(data: bytes) -> str:
    """The plain wire format that a message's own header announces; DecodeError for a header that is not known here."""
    if len(data) < 2:
        raise DecodeError("message", 8 * len(data), f"{len(data)} octets", "protocolVersion and messageId")
    edition = _EDITIONS.get((data[0], data[1]))
    if edition is None:
        known = ", ".join(f"{version} and {number} ({name})" for (version, number), name in _EDITIONS.items())
        raise DecodeError("message", 0, f"protocolVersion {data[0]}, messageId {data[1]}", known)
    return edition
