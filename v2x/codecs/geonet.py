"""From an Ethernet frame to the facility message inside: GeoNetworking and BTP headers, unwrapped and checked.

Source: ETSI EN 302 636-4-1 V1.4.1 (GeoNetworking: basic, common and extended headers, 9.6 to 9.8), EN 302 636-5-1 V2.2.1
(BTP-A, BTP-B), TS 103 248 V2.1.1 (BTP ports). Signed packets (TS 103 097) are opened without a check of their signature.
"""
from __future__ import annotations

from dataclasses import dataclass

from data_specs.errors import InputError

ETHERTYPE_GEONETWORKING = 0x8947
PORTS = {2001: "CAM", 2002: "DENM", 2003: "MAPEM", 2004: "SPATEM", 2009: "CPM", 2018: "VAM"}
PORT_CPM = 2009
_VLAN_TAGS = (0x8100, 0x88A8)
_BASIC_OCTETS, _COMMON_OCTETS, _LONG_POSITION_OCTETS, _BTP_OCTETS = 4, 8, 24, 4
# Octets of the extended header by (header type, subtype), and where the source's long position vector starts in it.
_EXTENDED = {
    (1, 0): (24, 0, "BEACON"),
    (2, 0): (48, 4, "GUC"),
    **{(3, subtype): (44, 4, "GAC") for subtype in range(3)},
    **{(4, subtype): (44, 4, "GBC") for subtype in range(3)},
    (5, 0): (28, 0, "SHB"),
    (5, 1): (28, 4, "TSB"),
}


class ForeignPacket(InputError):
    """A packet that is whole but carries no facility message that is read here; `reason` counts alike ones together."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("packet", reason, "a GeoNetworking packet with a BTP message")


@dataclass(frozen=True, slots=True)
class Packet:
    """What a GeoNetworking packet carried, and who sent it."""

    source: str  # GeoNetworking address of the sender: 16 hex digits
    transport: str  # "SHB", "GBC", ...
    port: int  # BTP destination port
    signed: bool  # it lay inside a signed packet; the signature is not checked here
    payload: bytes  # the facility message


def unwrap(frame: bytes) -> Packet:
    """The facility message of an Ethernet frame; ForeignPacket for what is something else, or broken, saying what."""
    at, ethertype = 14, _number(frame, 12, 2)
    while ethertype in _VLAN_TAGS:
        at, ethertype = at + 4, _number(frame, at + 2, 2)
    if ethertype != ETHERTYPE_GEONETWORKING:
        raise ForeignPacket(f"ethertype 0x{ethertype:04x}")
    version, next_header = frame[at] >> 4 if len(frame) > at else 0, _number(frame, at, 1) & 15
    if version not in (0, 1):
        raise ForeignPacket(f"GeoNetworking version {version}")
    inner = frame[at + _BASIC_OCTETS:]
    if next_header == 2:
        return _unwrap_common(_unsigned(inner), signed=True)
    if next_header != 1:
        raise ForeignPacket(f"GeoNetworking basic next header {next_header}")
    return _unwrap_common(inner, signed=False)


def _unwrap_common(packet: bytes, signed: bool) -> Packet:
    transport = _number(packet, 0, 1) >> 4
    header_type, subtype = divmod(_number(packet, 1, 1), 16)
    if (header_type, subtype) not in _EXTENDED:
        raise ForeignPacket(f"GeoNetworking header type {header_type}.{subtype}")
    extended, position_at, name = _EXTENDED[header_type, subtype]
    if name == "BEACON":
        raise ForeignPacket("GeoNetworking beacon")
    if transport not in (1, 2):
        raise ForeignPacket(f"GeoNetworking common next header {transport}")
    source_at = _COMMON_OCTETS + position_at
    source = _octets(packet, source_at, _LONG_POSITION_OCTETS)[:8].hex()
    body = _octets(packet, _COMMON_OCTETS + extended, _number(packet, 4, 2))
    port = _number(body, 0, 2)
    return Packet(source, name, port, signed, _octets(body, _BTP_OCTETS, len(body) - _BTP_OCTETS))


def _unsigned(secured: bytes) -> bytes:
    """The GeoNetworking packet inside Ieee1609Dot2Data (COER): signedData with its payload in place, or unsecuredData."""
    if _octets(secured, 0, 2) == b"\x03\x80":
        return _open_octets(secured, 2)
    if _octets(secured, 0, 2) != b"\x03\x81":
        raise ForeignPacket("secured packet that is not signed data")
    # hashId, then ToBeSignedData: SignedDataPayload whose presence octet says that `data` is inside.
    if not _number(secured, 3, 1) & 0x40 or _octets(secured, 4, 2) != b"\x03\x80":
        raise ForeignPacket("signed packet without its payload")
    return _open_octets(secured, 6)


def _open_octets(data: bytes, at: int) -> bytes:
    """Octets behind a COER length (ITU-T X.696, 8.6)."""
    length = _number(data, at, 1)
    if length < 128:
        return _octets(data, at + 1, length)
    width = length & 127
    return _octets(data, at + 1 + width, _number(data, at + 1, width))


def _octets(data: bytes, at: int, count: int) -> bytes:
    if count < 0 or at + count > len(data):
        raise ForeignPacket("GeoNetworking packet cut short")
    return data[at:at + count]


def _number(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(_octets(data, at, count))
