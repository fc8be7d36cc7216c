"""Reads packets of a capture: pcapng, or a classic pcap file of either byte order, with microsecond or nanosecond time stamps.

Source: draft-ietf-opsawg-pcap-04, "PCAP Capture File Format".
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat
from v2x.captured import LINK_ETHERNET, MAX_PACKET_OCTETS, Captured
from v2x.pcapng import PCAPNG_MAGIC, read_sections

_MAGIC = {  # first four octets -> (byte order, nanoseconds per unit of the fraction)
    b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}
MAGICS = (*_MAGIC, PCAPNG_MAGIC)  # what a capture starts with


def read_pcap(path: Path) -> Iterator[Captured]:
    """The packets of an Ethernet capture in file order, one at a time.

    MissingInput, UnknownFormat for another kind of file or link layer, InputError for a record that contradicts itself,
    TruncatedInput where one is cut short.
    """
    if not path.is_file():
        raise MissingInput(path, "a pcap file")
    with path.open("rb") as file:
        yield from read_packets(file, path)


def read_packets(file: BinaryIO, path: Path | str) -> Iterator[Captured]:
    """The packets of a capture that is open, as soon as each has come; `path` names it in errors, which are `read_pcap`'s."""
    first = file.read(4)
    if first == PCAPNG_MAGIC:
        yield from read_sections(file, path)
        return
    order, fraction_ns = _read_header(path, first + file.read(20))
    record = struct.Struct(f"{order}IIII")
    offset = 24
    while head := file.read(16):
        if len(head) < 16:
            raise TruncatedInput(path, f"{len(head)} octets of a packet header at byte {offset}", "16")
        seconds, fraction, captured, _ = record.unpack(head)
        if captured > MAX_PACKET_OCTETS:
            raise InputError(path, f"a packet of {captured} octets at byte {offset}", f"at most {MAX_PACKET_OCTETS}")
        data = file.read(captured)
        if len(data) < captured:
            raise TruncatedInput(path, f"{len(data)} of {captured} octets of the packet at byte {offset}", "all of them")
        yield Captured(seconds * NS_PER_S + fraction * fraction_ns, offset, data)
        offset += 16 + captured


def _read_header(path: Path | str, header: bytes) -> tuple[str, int]:
    """Byte order and nanoseconds per unit of the time stamps' fraction."""
    if header[:4] not in _MAGIC:
        raise UnknownFormat(path, f"first octets {header[:4].hex() or 'none'}", "those of a pcap file")
    if len(header) < 24:
        raise TruncatedInput(path, f"{len(header)} octets of file header", "24")
    order, fraction_ns = _MAGIC[header[:4]]
    link_type = struct.unpack(f"{order}I", header[20:])[0] & 0x0FFF_FFFF
    if link_type != LINK_ETHERNET:
        raise UnknownFormat(path, f"link type {link_type}", f"{LINK_ETHERNET} (Ethernet)")
    return order, fraction_ns
