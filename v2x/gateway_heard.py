"""What the gateway must know of a message to let it in: that it keeps its standard, when it was made, and where.

All octets are checked against the message's table, but a collective perception message's objects are not turned into arrays:
that takes several times as long as the check, and the fusion worker does it anyway.
"""
from __future__ import annotations

from dataclasses import dataclass

from data_specs.clock import unix_ns_from_its_ms
from data_specs.messages import GeoPoint, HazardMessage, Header, LaneMap
from v2x.codecs import cpm_v211, decode
from v2x.codecs.cpm_v211_decode import geo_point

_LATITUDE_BIT = 94  # of a CPM's referencePosition, for errors
FOREVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as far as the gateway reads it."""

    header: Header
    place: GeoPoint | None  # of the station; None where the message says none
    valid_until_ns: int | None  # of a message that holds for a time of its own, however long ago it was made


def heard(payload: bytes, wire_format: str, publisher: str, received_ns: int) -> Heard:
    """Read a message of a plain wire format; DecodeError or SpecError where it breaks its standard."""
    if wire_format == cpm_v211.WIRE_FORMAT:
        return _cpm(payload, publisher, received_ns)
    message = decode(payload, wire_format, publisher=publisher, received_ns=received_ns)
    place = getattr(message, "position", None)  # a SignalMessage has none
    if isinstance(message, HazardMessage):
        return Heard(message.header, place, message.valid_until_ns)
    return Heard(message.header, place, FOREVER_NS if isinstance(message, LaneMap) else None)


def _cpm(payload: bytes, publisher: str, received_ns: int) -> Heard:
    pdu, form = cpm_v211.decode_pdu(payload)
    management = pdu["payload"]["managementContainer"]
    segment, count = 0, 1
    if "segmentationInfo" in management:
        segment, count = management["segmentationInfo"]["thisMsgNo"] - 1, management["segmentationInfo"]["totalMsgNo"]
    generated_ns = unix_ns_from_its_ms(management["referenceTime"])
    header = Header(publisher, form, generated_ns, received_ns, segment, count, payload)
    return Heard(header, geo_point(management["referencePosition"], _LATITUDE_BIT), None)
