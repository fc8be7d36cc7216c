from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import DecodeError, SpecError
from tests.v2x.security.any_value import values
from v2x.security.oer import (
    ADDITIONS,
    OCTETS,
    Choice,
    Enumerated,
    Field,
    Integer,
    Kind,
    Nothing,
    Octets,
    Refused,
    Sequence,
    SequenceOf,
    Text,
    Unbounded,
    Unsupported,
    optional,
)
from v2x.security.oer_read import reader
from v2x.security.oer_write import writer
from v2x.security.tables import CERTIFICATE, DATA

UINT8 = Integer(0, 255)
OLD = Sequence("Thing", (Field("a", UINT8), optional("b", UINT8)), extensible=True, additions=(Field("c", UINT8),))
NEW = Sequence("Thing", OLD.fields, extensible=True, additions=(*OLD.additions, Field("d", Octets(0, None)), Field("e", UINT8)))
SHAPE = Choice("Shape", (Field("none", Nothing()), Field("side", UINT8), Field("secret", Refused())), (Field("radius", UINT8),))


def read(kind: Kind, octets: str) -> Any:
    return reader(kind, "it")(bytes.fromhex(octets))


def write(kind: Kind, value: Any) -> str:
    return writer(kind, "it")(value).hex()


def plain(value: Any) -> Any:
    """The value without the octets that it stood in."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items() if key != OCTETS}
    if isinstance(value, list | tuple):
        return type(value)(plain(part) for part in value)
    return value


# Worked from the rules of X.696 by hand; the clause stands beside each.
@pytest.mark.parametrize(("kind", "value", "octets"), [
    (UINT8, 255, "ff"),  # 10.2: one octet
    (Integer(0, 65_535), 258, "0102"),
    (Integer(0, 2**32 - 1), 1, "00000001"),
    (Integer(0, 2**64 - 1), 2**64 - 1, "ff" * 8),
    (Integer(-900_000_000, 900_000_001), -1, "ffffffff"),  # 10.2: four octets, two's complement
    (Integer(3, 3), 3, "03"),
    (Unbounded(), 0, "0100"),  # 10.3: a length, no sign
    (Unbounded(), 639, "02027f"),
    (Unbounded(), 128, "0180"),
    (Unbounded(signed=True), 128, "020080"),  # 10.4: a sign bit
    (Unbounded(signed=True), -1, "01ff"),
    (Enumerated(("sha256", "sha384")), "sha384", "01"),
    (Octets(3, 3), b"abc", "616263"),
    (Octets(0, None), b"abc", "03616263"),
    (Octets(0, None), bytes(128), "8180" + "00" * 128),  # 8.6.5: long form
    (Octets(0, None), bytes(300), "82012c" + "00" * 300),
    (Text(255), "Süd", "0453c3bc64"),
    (SequenceOf(UINT8), [7, 9], "01020709"),  # 17: a quantity, which has a length
    (SHAPE, ("none", None), "80"),  # 20: the tag alone
    (SHAPE, ("side", 5), "8105"),
    (SHAPE, ("radius", 5), "830105"),  # 20.2: behind the extension marker it is an open type
    (OLD, {"a": 1}, "0001"),  # 16.2: extension bit, one presence bit, padding
    (OLD, {"a": 1, "b": 2}, "400102"),
    (OLD, {"a": 1, "c": 3}, "8001020780" + "0103"),  # 16.4: bitmap of 1 bit in 2 octets, an open type
    (NEW, {"a": 1, "e": 4}, "8001020520" + "0104"),
    (Sequence("Pair", (Field("x", UINT8), Field("y", UINT8))), {"x": 1, "y": 2}, "0102"),  # no preamble
])
def test_values_stand_on_the_wire_as_the_standard_says(kind, value, octets):
    assert write(kind, value) == octets
    assert read(kind, octets) == value


@given(values(CERTIFICATE) | values(DATA).map(lambda value: ("data", value)))
@settings(max_examples=150)
def test_any_value_comes_back_and_its_octets_too(drawn):
    kind, value = (DATA, drawn[1]) if isinstance(drawn, tuple) else (CERTIFICATE, drawn)
    octets = writer(kind, "it")(value)
    found = reader(kind, "it")(octets)
    assert plain(found) == plain(value)
    assert writer(kind, "it")(found) == octets


@pytest.mark.parametrize(("kind", "octets", "why"), [
    (UINT8, "", "1 more octets"),
    (UINT8, "0101", "1 more octets, expected the end"),
    (Integer(3, 3), "04", "4, expected 3..3"),
    (Octets(0, None), "8103616263", "shortest form"),
    (Octets(0, None), "8200ff" + "00" * 255, "shortest form"),
    (Octets(0, None), "80", "shortest form"),
    (Octets(0, None), "85" + "01" * 5, "under 4 GiB"),
    (Octets(0, None), "84ffffffff", "4294967295 more octets"),
    (Octets(1, 2), "00", "0 octets, expected 1..2"),
    (Unbounded(), "020001", "number 0001"),
    (Unbounded(), "00", "a number in its shortest form"),
    (Unbounded(signed=True), "02ffff", "number ffff"),
    (Text(255), "01ff", "expected UTF-8"),
    (SequenceOf(UINT8), "04ffffffff01", "4294967295 items"),
    (SequenceOf(UINT8, low=3), "01020101", "2 items"),
    (SHAPE, "05", "tag 05"),
    (SHAPE, "83020505", "length 2, expected 1"),
    (OLD, "0801", "zeros in its unused bits"),
    (OLD, "80010207c0" + "0103", "zeros behind them"),
    (OLD, "8001020700", "one of them set"),
    (OLD, "80010108", "presence bits"),
])
def test_octets_in_another_form_than_the_canonical_are_refused(kind, octets, why):
    with pytest.raises(DecodeError, match=f"it.*, bit \\d+: .*{why}"):
        read(kind, octets)


@pytest.mark.parametrize(("kind", "octets", "what"), [
    (SHAPE, "82", "secret"), (SHAPE, "8900", "alternative 9"), (Enumerated(("a", "b")), "02", "value 2"),
    (OLD, "80010900" + "ff" * 65, None), (OLD, "80010a00" + "ff" * 9, "72 additions"),
])
def test_what_is_not_read_here_is_refused_by_name(kind, octets, what):
    if what is None:
        with pytest.raises(DecodeError):
            read(kind, octets)
        return
    with pytest.raises(Unsupported, match=what):
        read(kind, octets)


def test_a_newer_sender_s_additions_are_kept_and_written_again():
    octets = write(NEW, {"a": 1, "c": 2, "d": b"new", "e": 5})
    value = read(OLD, octets)
    assert value == {"a": 1, "c": 2, ADDITIONS: [b"\x03new", b"\x05"]}
    assert write(OLD, value) == octets


def test_an_older_sender_s_shorter_list_of_additions_is_written_again_as_short():
    octets = write(OLD, {"a": 1, "c": 2})
    value = read(NEW, octets)
    assert value == {"a": 1, "c": 2, ADDITIONS: 1}
    assert write(NEW, value) == octets


@pytest.mark.parametrize(("kind", "value", "why"), [
    (UINT8, 256, "it: 256, expected 0..255"), (Unbounded(), -1, "it: -1"), (Octets(2, 2), b"a", "it: 1 octets, expected 2..2"),
    (Text(2), "abc", "3 characters"), (Enumerated(("a",)), "b", "it: 'b', expected one of a"),
    (SHAPE, ("secret", None), "it.secret: not supported"), (SHAPE, ("other", None), "'other'"), (OLD, {"b": 1}, "it.a: missing"),
    (SequenceOf(UINT8, low=2), [1], "1 items"),
])
def test_a_value_that_its_table_does_not_allow_is_not_written(kind, value, why):
    with pytest.raises(SpecError, match=why):
        write(kind, value)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_octets_are_read_or_refused_with_a_place(octets):
    for kind in (DATA, CERTIFICATE):
        try:
            value = reader(kind, "it")(octets)
        except DecodeError as error:
            assert 0 <= error.offset_bits <= 8 * len(octets)
        else:
            assert writer(kind, "it")(value) == octets
