"""Reads packets of a classic pcap file: both byte orders, microsecond and nanosecond time stamps.

Source: draft-ietf-opsawg-pcap-04, "PCAP Capture File Format".
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat

LINK_ETHERNET = 1
_MAGIC = {  # first four octets -> (byte order, nanoseconds per unit of the fraction)
    b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
MAGICS = (*_MAGIC, _PCAPNG_MAGIC)  # what a capture starts with, the kind that is refused among them
_MAX_PACKET_OCTETS = 262_144  # libpcap's own limit: a larger length is a broken header, not a packet


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet as it was captured."""

    received_ns: int  # the recorder's clock
    offset: int  # of its record in the file
    data: bytes  # from the link-layer header on


def read_pcap(path: Path) -> Iterator[Captured]:
    """The packets of an Ethernet capture in file order, one at a time.

    MissingInput, UnknownFormat for another kind of file or link layer, TruncatedInput where a record is cut short.
    """
    if not path.is_file():
        raise MissingInput(path, "a pcap file")
    with path.open("rb") as file:
        yield from read_packets(file, path)


def read_packets(file: BinaryIO, path: Path | str) -> Iterator[Captured]:
    """The packets of a capture that is open, as soon as each has come; `path` names it in errors, which are `read_pcap`'s."""
    order, fraction_ns = _read_header(path, file.read(24))
    record = struct.Struct(f"{order}IIII")
    offset = 24
    while head := file.read(16):
        if len(head) < 16:
            raise TruncatedInput(path, f"{len(head)} octets of a packet header at byte {offset}", "16")
        seconds, fraction, captured, _ = record.unpack(head)
        if captured > _MAX_PACKET_OCTETS:
            raise InputError(path, f"a packet of {captured} octets at byte {offset}", f"at most {_MAX_PACKET_OCTETS}")
        data = file.read(captured)
        if len(data) < captured:
            raise TruncatedInput(path, f"{len(data)} of {captured} octets of the packet at byte {offset}", "all of them")
        yield Captured(seconds * NS_PER_S + fraction * fraction_ns, offset, data)
        offset += 16 + captured


def _read_header(path: Path | str, header: bytes) -> tuple[str, int]:
    """Byte order and nanoseconds per unit of the time stamps' fraction."""
    if header[:4] == _PCAPNG_MAGIC:
        raise UnknownFormat(path, "a pcapng file", "a classic pcap file", "convert it: editcap -F pcap IN OUT")
    if header[:4] not in _MAGIC:
        raise UnknownFormat(path, f"first octets {header[:4].hex() or 'none'}", "those of a pcap file")
    if len(header) < 24:
        raise TruncatedInput(path, f"{len(header)} octets of file header", "24")
    order, fraction_ns = _MAGIC[header[:4]]
    link_type = struct.unpack(f"{order}I", header[20:])[0] & 0x0FFF_FFFF
    if link_type != LINK_ETHERNET:
        raise UnknownFormat(path, f"link type {link_type}", f"{LINK_ETHERNET} (Ethernet)")
    return order, fraction_ns
