"""Reads packets of a pcapng file: sections of both byte orders, any number of interfaces, time stamps of any resolution.

Source: draft-ietf-opsawg-pcapng-02, "PCAP Now Generic (pcapng) Capture File Format". Packets come from enhanced packet blocks;
blocks that hold no packet are passed over.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError, TruncatedInput, UnknownFormat
from v2x.captured import LINK_ETHERNET, MAX_PACKET_OCTETS, Captured

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"  # the type of a section's header: the same in both byte orders
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _SIMPLE_PACKET, _OBSOLETE_PACKET, _ENHANCED_PACKET = 1, 3, 2, 6  # types of blocks
_NOT_READ = {_SIMPLE_PACKET: "a simple packet block, which has no time stamp", _OBSOLETE_PACKET: "an obsolete packet block"}
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14  # options of an interface: if_tsresol, if_tsoffset
_USUAL_RESOLUTION = 6  # microseconds
_MAX_BLOCK_OCTETS = 16 * 2**20


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    units_per_s: int
    offset_s: int

    def time_ns(self, units: int) -> int:
        return self.offset_s * NS_PER_S + units * NS_PER_S // self.units_per_s


@dataclass(frozen=True, slots=True)
class _Block:
    kind: int
    body: bytes
    order: str
    offset: int


def read_sections(file: BinaryIO, path: Path | str) -> Iterator[Captured]:
    """The packets of a pcapng file that is open behind its first four octets, as soon as each has come.

    InputError for a block that contradicts itself, UnknownFormat for a packet that is not Ethernet's or comes without a time,
    TruncatedInput where a block is cut short; `path` names the file in them.
    """
    interfaces: list[_Interface] = []
    for block in _blocks(file, path):
        if block.kind == int.from_bytes(PCAPNG_MAGIC, "big"):
            interfaces = []
        elif block.kind == _INTERFACE:
            interfaces.append(_interface(block, path))
        elif block.kind == _ENHANCED_PACKET:
            yield _packet(block, interfaces, path)
        elif block.kind in _NOT_READ:
            raise UnknownFormat(path, f"{_NOT_READ[block.kind]}, at byte {block.offset}", "enhanced packet blocks",
                                "convert it: editcap -F pcap IN OUT")


def _blocks(file: BinaryIO, path: Path | str) -> Iterator[_Block]:
    """The blocks of every section; the first four octets are those that told the file's kind."""
    head, order, offset = PCAPNG_MAGIC + file.read(4), "", 0
    while head:
        _require(head, 8, path, f"the block's head at byte {offset}")
        if head[:4] == PCAPNG_MAGIC:
            mark = file.read(4)
            _require(mark, 4, path, f"the section's byte order at byte {offset + 8}")
            if mark not in _ORDERS:
                raise InputError(path, f"byte-order magic {mark.hex()} at byte {offset + 8}", "1a2b3c4d or 4d3c2b1a")
            order = _ORDERS[mark]
        else:
            mark = b""
        kind, length = struct.unpack(f"{order}II", head)
        if length % 4 or not 12 + len(mark) <= length <= _MAX_BLOCK_OCTETS:
            raise InputError(path, f"a block of {length} octets at byte {offset}",
                             f"a multiple of four from {12 + len(mark)} to {_MAX_BLOCK_OCTETS}")
        rest = file.read(length - 8 - len(mark))
        _require(rest, length - 8 - len(mark), path, f"the block at byte {offset}")
        again = struct.unpack(f"{order}I", rest[-4:])[0]
        if again != length:
            raise InputError(path, f"a block of {length} octets at byte {offset} that says {again} at its end", "the same length")
        yield _Block(kind, rest[:-4], order, offset)
        offset += length
        head = file.read(8)


def _interface(block: _Block, path: Path | str) -> _Interface:
    _require(block.body, 8, path, f"the interface at byte {block.offset}")
    said = _options(block, 8, path)
    resolution = said.get(_TIME_RESOLUTION, bytes([_USUAL_RESOLUTION]))
    offset_s = said.get(_TIME_OFFSET, bytes(8))
    if len(resolution) != 1 or len(offset_s) != 8:
        raise InputError(path, f"a time resolution of {len(resolution)} and an offset of {len(offset_s)} octets in the interface "
                               f"at byte {block.offset}", "1 and 8")
    base, power = (2, resolution[0] & 0x7F) if resolution[0] & 0x80 else (10, resolution[0])
    return _Interface(struct.unpack_from(f"{block.order}H", block.body)[0], base**power,
                      struct.unpack(f"{block.order}q", offset_s)[0])


def _packet(block: _Block, interfaces: list[_Interface], path: Path | str) -> Captured:
    _require(block.body, 20, path, f"the packet at byte {block.offset}")
    number, high, low, captured, _ = struct.unpack_from(f"{block.order}5I", block.body)
    if number >= len(interfaces):
        raise InputError(path, f"a packet of interface {number} at byte {block.offset}", f"one of {len(interfaces)} before it")
    most = min(MAX_PACKET_OCTETS, len(block.body) - 20)
    if captured > most:
        raise InputError(path, f"a packet of {captured} octets at byte {block.offset}", f"at most {most}")
    interface = interfaces[number]
    if interface.link_type != LINK_ETHERNET:
        raise UnknownFormat(path, f"link type {interface.link_type} of the packet at byte {block.offset}",
                            f"{LINK_ETHERNET} (Ethernet)")
    return Captured(interface.time_ns(high << 32 | low), block.offset, block.body[20:20 + captured])


def _options(block: _Block, at: int, path: Path | str) -> Mapping[int, bytes]:
    """Option code -> value, of those from byte `at` of a block's body on."""
    said = {}
    while at + 4 <= len(block.body):
        code, length = struct.unpack_from(f"{block.order}HH", block.body, at)
        if code == 0:
            break
        value = block.body[at + 4:at + 4 + length]
        _require(value, length, path, f"option {code} of the block at byte {block.offset}")
        said[code] = value
        at += 4 + length + -length % 4
    return said


def _require(got: bytes, wanted: int, path: Path | str, what: str) -> None:
    if len(got) < wanted:
        raise TruncatedInput(path, f"{len(got)} octets of {what}", f"{wanted}")
