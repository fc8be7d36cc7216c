"""A pcapng file reads as the classic file of the same packets does; what it may not hold is named with its place."""
import struct
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import InputError, TruncatedInput, UnknownFormat
from v2x.captured import Captured
from v2x.pcap import read_pcap

STARTED_NS = 1_671_004_143_000_000_000


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", link_type: int = 1, options: Sequence[tuple[int, bytes]] = ()) -> bytes:
    said = b"".join(struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options)
    return block(1, struct.pack(f"{order}HHI", link_type, 0, 0) + said + (bytes(4) if said else b""), order)


def packet(data: bytes, units: int, order: str = "<", number: int = 0) -> bytes:
    return block(6, struct.pack(f"{order}5I", number, units >> 32, units & 0xFFFF_FFFF, len(data), len(data)) + data, order)


def read(tmp_path, *blocks: bytes) -> list[Captured]:
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"".join(blocks))
    return list(read_pcap(path))


@pytest.mark.parametrize("order", ["<", ">"])
def test_packets_come_with_their_times_and_places_in_both_byte_orders(tmp_path, order):
    before = section(order) + interface(order)
    got = read(tmp_path, before, packet(b"one", STARTED_NS // 1000, order), packet(b"", STARTED_NS // 1000 + 1, order))
    assert got == [Captured(STARTED_NS, len(before), b"one"), Captured(STARTED_NS + 1000, len(before) + 36, b"")]


@pytest.mark.parametrize("resolution, units, ns", [
    (9, STARTED_NS, STARTED_NS), (6, 5, 5_000), (3, 7, 7_000_000), (0, 2, 2_000_000_000), (0x80 | 10, 1536, 1_500_000_000)])
def test_time_counts_in_the_units_of_its_interface(tmp_path, resolution, units, ns):
    [got] = read(tmp_path, section(), interface(options=[(9, bytes([resolution]))]), packet(b"x", units))
    assert got.received_ns == ns


def test_an_interface_may_count_from_another_second(tmp_path):
    [got] = read(tmp_path, section(), interface(options=[(2, b"eth0"), (14, struct.pack("<q", -3))]), packet(b"x", 4_000_000))
    assert got.received_ns == 1_000_000_000


def test_each_section_has_its_own_byte_order_and_interfaces_and_other_blocks_are_passed_over(tmp_path):
    statistics = block(5, bytes(12))
    got = read(tmp_path, section(), interface(link_type=105), interface(), statistics, packet(b"a", 1, number=1),
               section(">"), interface(">", options=[(9, b"\x09")]), packet(b"b", 1, ">"))
    assert [(each.received_ns, each.data) for each in got] == [(1000, b"a"), (1, b"b")]


@pytest.mark.parametrize("blocks, error, said", [
    ([packet(b"x", 1)], InputError, r"packet of interface 0 at byte 28, expected one of 0 before it"),
    ([interface(link_type=105), packet(b"x", 1)], UnknownFormat, r"link type 105 of the packet at byte 48, expected 1 "),
    ([interface(), block(3, bytes(8))], UnknownFormat, r"a simple packet block, which has no time stamp, at byte 48.*editcap"),
    ([interface(options=[(9, b"66")])], InputError, r"a time resolution of 2 .* octets in the interface at byte 28"),
    ([interface(), block(6, struct.pack("<5I", 0, 0, 0, 9, 9) + b"four")], InputError, "packet of 9 octets at byte 48.* most 4"),
    ([struct.pack("<II", 6, 14) + bytes(6)], InputError, "a block of 14 octets at byte 28, expected a multiple of four from 12"),
    ([struct.pack("<II4sI", 7, 16, b"", 20)], InputError, "a block of 16 octets at byte 28 that says 20 at its end"),
    ([block(1, bytes(4))], TruncatedInput, "4 octets of the interface at byte 28, expected 8"),
    ([block(1, struct.pack("<HHIHH", 1, 0, 0, 9, 8))], TruncatedInput, "0 octets of option 9"),
])
def test_a_block_that_contradicts_itself_is_named_with_its_place(tmp_path, blocks, error, said):
    with pytest.raises(error, match=said):
        read(tmp_path, section(), *blocks)


def test_a_section_of_no_known_byte_order_is_refused(tmp_path):
    with pytest.raises(InputError, match="byte-order magic 00000000 at byte 8"):
        read(tmp_path, b"\x0a\x0d\x0d\x0a" + bytes(40))


def test_a_file_that_is_cut_anywhere_is_truncated_input(tmp_path):
    blocks = [section(), interface(), packet(b"0123456789", 1)]
    whole = b"".join(blocks)
    between = {sum(map(len, blocks[:n])) for n in range(len(blocks) + 1)}
    for length in sorted(set(range(4, len(whole))) - between):
        with pytest.raises(TruncatedInput, match=r"a\.pcapng"):
            read(tmp_path, whole[:length])


@given(st.data())
def test_damaged_octets_give_packets_or_a_typed_error(tmp_path_factory, data):
    whole = bytearray(section() + interface(options=[(9, b"\x09")]) + packet(b"0123456789", 1) + packet(b"abc", 2))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InputError, TruncatedInput, UnknownFormat):
        read(tmp_path_factory.getbasetemp(), bytes(whole))
