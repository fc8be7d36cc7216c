"""GeoNetworking and BTP: from a packet to the facility message inside, and from a message to a packet that carries it.

Source: ETSI EN 302 636-4-1 V1.4.1 (GeoNetworking: addresses 6, basic, common and extended headers 9.5 to 9.8), EN 302 636-5-1
V2.2.1 (BTP-A, BTP-B), TS 103 248 V2.1.1 (BTP ports), TS 103 097 V2.1.1, 5 (what a signed packet signs). A signature is not
checked here: `unwrap` opens signed packets as they are, `split` leaves their envelope whole for whoever checks it.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass

from data_specs.clock import its_ms_from_unix_ns
from data_specs.errors import InputError, SpecError
from data_specs.messages import GeoPoint

ETHERTYPE_GEONETWORKING = 0x8947
PORTS = {2001: "CAM", 2002: "DENM", 2003: "MAPEM", 2004: "SPATEM", 2009: "CPM", 2018: "VAM"}
PORT_CPM = 2009
_VLAN_TAGS = (0x8100, 0x88A8)
_BASIC_OCTETS, _COMMON_OCTETS, _LONG_POSITION_OCTETS, _BTP_OCTETS = 4, 8, 24, 4
_NEXT_COMMON, _NEXT_SECURED = 1, 2
_BTP_B = 2
_LIFETIME_1_S = 0x05  # base 1 s, multiplier 1 (9.6.4)
_STATION_IS_STILL = 0x80  # common header's flags: not mobile
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
    ethertype, at = network_layer(frame)
    if ethertype != ETHERTYPE_GEONETWORKING:
        raise ForeignPacket(f"ethertype 0x{ethertype:04x}")
    secured, content = split(frame[at:])
    return open_common(unsigned(content) if secured else content, signed=secured)


def network_layer(frame: bytes) -> tuple[int, int]:
    """The ethertype of an Ethernet frame, behind its VLAN tags, and where what it announces starts."""
    at, ethertype = 14, _number(frame, 12, 2)
    while ethertype in _VLAN_TAGS:
        at, ethertype = at + 4, _number(frame, at + 2, 2)
    return ethertype, at


def split(packet: bytes) -> tuple[bool, bytes]:
    """Whether a GeoNetworking packet is secured, and what follows its basic header.

    That is the Ieee1609Dot2Data of a secured packet, else the common header and all behind it.
    """
    first = _number(packet, 0, 1)
    version, next_header = first >> 4, first & 15
    if version not in (0, 1):
        raise ForeignPacket(f"GeoNetworking version {version}")
    if next_header not in (_NEXT_COMMON, _NEXT_SECURED):
        raise ForeignPacket(f"GeoNetworking basic next header {next_header}")
    return next_header == _NEXT_SECURED, packet[_BASIC_OCTETS:]


def single_hop(payload: bytes, port: int, source: str, position: GeoPoint, time_ns: int) -> bytes:
    """A facility message in a single-hop broadcast of a station that stands still: common header, position, BTP-B.

    This is what a secured packet signs; `with_basic_header` makes it a packet. `source` is a GeoNetworking address of 16 hex
    digits. SpecError for another one.
    """
    address = bytes.fromhex(source)
    if len(address) != 8:
        raise SpecError(f"source: {source!r}, expected a GeoNetworking address of 16 hex digits")
    body = struct.pack(">HH", port, 0) + payload
    common = struct.pack(">BBBBHBB", _BTP_B << 4, 0x50, 0, _STATION_IS_STILL, len(body), 1, 0)
    place = struct.pack(">Iii", its_ms_from_unix_ns(time_ns) % 2**32, round(position.latitude_deg * 1e7),
                        round(position.longitude_deg * 1e7))
    return common + address + place + bytes(8) + body  # accuracy, speed, heading and media-dependent octets are zero


def with_basic_header(content: bytes, secured: bool) -> bytes:
    """The packet of a common header and what follows it, or of the Ieee1609Dot2Data around that."""
    return bytes([0x10 | (_NEXT_SECURED if secured else _NEXT_COMMON), 0, _LIFETIME_1_S, 1]) + content


def open_common(packet: bytes, signed: bool) -> Packet:
    """The BTP message behind a common header; ForeignPacket for what carries none."""
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


def unsigned(secured: bytes) -> bytes:
    """The GeoNetworking packet inside Ieee1609Dot2Data (COER): signedData with its payload in place, or unsecuredData.

    Nothing is checked: for packets whose signature does not matter. ForeignPacket for other data.
    """
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
