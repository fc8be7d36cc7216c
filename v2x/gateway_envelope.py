"""What a datagram is wrapped in, told from its first octets, and taken off layer by layer.

Three kinds come over UDP: GeoNetworking packets (secured or not), messages inside Ieee1609Dot2Data, and bare messages.
No two of them start alike: GeoNetworking's basic header has version 0 or 1, next header 1 or 2, then a reserved zero (EN 302
636-4-1 V1.4.1, 9.6); Ieee1609Dot2Data starts with protocolVersion 3 and a choice 0x80 to 0x83 (IEEE 1609.2, COER); ETSI's
facility messages with protocolVersion and a messageId that is never 0 (TS 102 894-2); a J2735 MessageFrame with 0x00.
"""
from __future__ import annotations

from dataclasses import dataclass

from v2x.codecs import geonet
from v2x.codecs.geonet import ForeignPacket

SIGNED_DATA = 0x81
_DOT2_VERSION, _DOT2_CHOICES = 0x03, (0x80, 0x81, 0x82, 0x83)
_GEONETWORKING_STARTS = (0x01, 0x02, 0x11, 0x12)  # version in the upper half, next header in the lower


@dataclass(frozen=True, slots=True)
class Envelope:
    """A datagram up to whatever protects it."""

    geonetworking: bool
    secured: bool  # `content` is Ieee1609Dot2Data
    content: bytes

    @property
    def signed(self) -> bool:
        """It says that somebody signed it; nothing is checked yet."""
        return self.secured and len(self.content) > 1 and self.content[1] == SIGNED_DATA


@dataclass(frozen=True, slots=True)
class Inside:
    """A message without its wrapping."""

    payload: bytes
    source: str  # GeoNetworking address of the sender, 16 hex digits; "" = the message came without one
    port: int  # BTP destination port; 0 = none


def envelope_of(octets: bytes) -> Envelope:
    """What a datagram is wrapped in; ForeignPacket for none at all, or a GeoNetworking header that is not known."""
    if len(octets) < 2:
        raise ForeignPacket("a datagram of less than 2 octets")
    if octets[0] == _DOT2_VERSION and octets[1] in _DOT2_CHOICES:
        return Envelope(False, True, octets)
    if octets[0] in _GEONETWORKING_STARTS and octets[1] == 0:
        secured, content = geonet.split(octets)
        return Envelope(True, secured, content)
    return Envelope(False, False, octets)


def inside(envelope: Envelope, protected: bytes | None = None) -> Inside:
    """The message: of `protected`, what a check of the envelope gave, or of the envelope as it is, nothing checked."""
    content = envelope.content if protected is None else protected
    if envelope.secured and protected is None:
        content = geonet.unsigned(content)
    if not envelope.geonetworking:
        return Inside(content, "", 0)
    packet = geonet.open_common(content, signed=envelope.secured)
    return Inside(packet.payload, packet.source, packet.port)
