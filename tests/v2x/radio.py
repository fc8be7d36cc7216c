"""Radio packets and captures made by hand, for tests of what unwraps them."""
from __future__ import annotations

import struct
from pathlib import Path

ADDRESS = bytes.fromhex("80007c5079f8a82c")


def geonetworking(payload: bytes, port: int = 2009, transport: int = 2, header: tuple[int, int] = (5, 0),
                  next_header: int = 1) -> bytes:
    """A GeoNetworking packet with a BTP header (EN 302 636-4-1, 9.6 to 9.8) around a payload."""
    extended = {
        (5, 0): _position() + bytes(4), (5, 1): bytes(4) + _position(), (4, 0): bytes(4) + _position() + bytes(16),
        (3, 0): bytes(4) + _position() + bytes(16), (1, 0): _position(),
    }[header]
    body = struct.pack(">HH", port, 0) + payload
    common = struct.pack(">BBBBHBB", transport << 4, header[0] << 4 | header[1], 0, 0x80, len(body), 1, 0)
    return bytes([0x10 | next_header, 0, 0x1A, 1]) + common + extended + body


def signed(packet: bytes) -> bytes:
    """A packet in the envelope of TS 103 097, up to the end of its payload (the signature is not looked at)."""
    inner = packet[4:]
    length = bytes([len(inner)]) if len(inner) < 128 else b"\x82" + struct.pack(">H", len(inner))
    return bytes([0x12, *packet[1:4]]) + b"\x03\x81\x00\x40\x03\x80" + length + inner + b"\x00" * 70


def ethernet(packet: bytes, ethertype: int = 0x8947, vlan: bool = False) -> bytes:
    """The packet in an Ethernet frame, broadcast."""
    tag = b"\x81\x00\x00\x05" if vlan else b""
    return b"\xff" * 6 + ADDRESS[2:] + tag + struct.pack(">H", ethertype) + packet


def write_pcap(path: Path, frames: list[bytes], order: str = "<", nanoseconds: bool = False, link_type: int = 1,
               start_s: int = 1_671_004_143) -> Path:
    """A capture of the frames, 100 ms apart."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    data = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, link_type)
    for place, frame in enumerate(frames):
        tenths = place % 10 * (100_000_000 if nanoseconds else 100_000)
        data += struct.pack(f"{order}IIII", start_s + place // 10, tenths, len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


def _position() -> bytes:
    return ADDRESS + bytes(16)
