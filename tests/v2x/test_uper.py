import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import DecodeError, SpecError
from tests.v2x.any_value import any_value
from v2x.codecs import cpm_tr103562, cpm_v211
from v2x.codecs.asn1_text import asn1_module
from v2x.codecs.bits import MAX_OCTETS
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Checked,
    Choice,
    Contained,
    Enumerated,
    Field,
    Integer,
    NamedInteger,
    Sequence,
    SequenceOf,
    optional,
)
from v2x.codecs.uper import Codec

CLASSIFIED = Sequence("Classified", (
    Field("id", Integer(1, 16)), Field("data", Contained("id", {1: Boolean(), 2: Integer(0, 7)})),
))
GROWING = Sequence("Growing", (Field("a", Integer(0, 7)), optional("b", Boolean())), extensible=True)
SHAPE = Choice("Shape", (
    Field("circle", Integer(0, 15)), Field("square", Integer(0, 15)), Field("none", Boolean()),
), extensible=True)


@pytest.mark.parametrize("kind, value, octets", [
    (Integer(-5, 10), 3, "80"),
    (NamedInteger(0, 15, {1: "one"}), "one", "10"),
    (NamedInteger(0, 15, {1: "one"}), 9, "90"),
    (Enumerated(("a", "b", "c")), "c", "80"),
    (Boolean(), True, "80"),
    (BitString(4), {"hex": "a0", "length": 4}, "a0"),
    (BitString(4, extensible=True), {"hex": "a0", "length": 4}, "50"),
    (BitString(4, extensible=True), {"hex": "a8", "length": 5}, "82d4"),
    (SequenceOf(Integer(0, 3), 1, 4), [3, 0, 1], "b1"),
    (SequenceOf(Integer(0, 3), 0, 1, extensible=True), [1, 2, 3], "81b6"),
    (GROWING, {"a": 5, "b": True}, "6c"),
    (GROWING, {"a": 5, "...": [None, "ff01"]}, "a8140bfc04"),
    (SHAPE, {"choice": "square", "value": 9}, "32"),
    (SHAPE, {"choice": "unknown2", "value": "0a"}, "82010a"),
    (CLASSIFIED, {"id": 2, "data": 5}, "101a00"),
    (CLASSIFIED, {"id": 9, "data": "beef"}, "802beef0"),
])
def test_each_kind_has_the_octets_of_the_standard(kind, value, octets):
    codec = Codec("T", kind)
    assert codec.encode(value).hex() == octets
    assert codec.decode(bytes.fromhex(octets)) == value


@pytest.mark.parametrize("table", [cpm_v211.FORMS[form].kind for form in cpm_v211.FORMS]
                         + [cpm_tr103562.FORMS[form].kind for form in cpm_tr103562.FORMS])
def test_any_value_that_a_table_allows_comes_back_from_its_octets(table):
    codec = Codec("T", table)

    @given(st.randoms(use_true_random=False))
    def comes_back(random):
        value = any_value(table, random)
        octets = codec.encode(value)
        assert codec.decode(octets) == value
        assert codec.encode(codec.decode(octets)) == octets

    comes_back()


@pytest.mark.parametrize("kind, octets, bit, text", [
    (Integer(0, 9), "a0", 0, "value 10, expected 0 to 9"),
    (Enumerated(("a", "b", "c")), "c0", 0, "value 3, expected 0 to 2"),
    (Sequence("S", (Field("a", Integer(0, 3)), Field("b", Integer(0, 4)))), "38", 2, r"T\.b, bit 2: value 7, expected 0 to 4"),
    (SHAPE, "60", 1, "alternative 3, expected 0 to 2"),
    (SequenceOf(Integer(0, 3), 1, 3), "c0", 0, "4 items, expected 1 to 3"),
    (SequenceOf(Integer(0, 3), 0, 1, extensible=True), "80c0", 0, "1 items in extended form, expected the plain form"),
    (Integer(0, 65535), "01", 8, "8 bits left, expected 16"),
    (Integer(0, 3), "01", 2, "fill bits that are set, expected zero"),
    (Integer(0, 3), "0000", 2, "14 bits left over, expected its end within the last octet"),
    (CLASSIFIED, "102000", 4, "length 2, expected at most the 1 octets that follow"),
    (CLASSIFIED, "00200000", 13, "15 bits left over"),
    (CLASSIFIED, "8c000", 4, "a fragmented length, expected less than 16384"),
    (CLASSIFIED, "88005", 4, "length 5 in two octets, expected its one-octet form"),
    (Checked(Integer(0, 255), lambda value: ("odd", "even") if value % 2 else None), "03", 0, "odd, expected even"),
    (Checked(Boolean(), lambda value: None), "", 0, "0 bits left, expected 1"),
])
def test_what_breaks_the_standard_is_refused_at_its_first_wrong_bit(kind, octets, bit, text):
    with pytest.raises(DecodeError, match=text) as caught:
        Codec("T", kind).decode(bytes.fromhex(octets + "0" * (len(octets) % 2)))
    assert caught.value.offset_bits == bit


def test_octets_beyond_any_radio_packet_are_refused_before_they_are_looked_at():
    with pytest.raises(DecodeError, match=f"expected at most {MAX_OCTETS}"):
        Codec("T", Boolean()).decode(bytes(MAX_OCTETS + 1))


@pytest.mark.parametrize("kind, value, text", [
    (Integer(0, 9), 10, "10, expected a whole number 0 to 9"),
    (Integer(0, 9), 1.0, "1.0, expected a whole number"),
    (Integer(0, 9), True, "True, expected a whole number"),
    (Enumerated(("a", "b")), "c", "'c', expected one of"),
    (Enumerated(("a", "b")), ["a"], "expected one of"),
    (BitString(4), {"hex": "a8", "length": 4}, "left-aligned"),
    (BitString(4), "a0", "expected {"),
    (GROWING, {"b": True}, "no 'a' in fields"),
    (GROWING, {"a": 1, "c": 2}, "expected some of"),
    (GROWING, {"a": 1, "...": []}, "0 additions, expected 1 to 64"),
    (GROWING, {"a": 1, "...": ["xy"]}, "expected octets as hex"),
    (SHAPE, {"choice": "oval", "value": 1}, "'oval', expected one of"),
    (SHAPE, {"choice": "unknown64", "value": ""}, "expected unknown0 to unknown63"),
    (SequenceOf(Boolean(), 1, 2), [], "0 items, expected 1 to 2"),
    (SequenceOf(Boolean(), 1, 2), {}, "expected a list"),
    (CLASSIFIED, {"id": 9, "data": "00" * 16384}, "length 16384, expected less than 16384"),
    (Sequence("S", (Field("a", Integer(0, 3)),)), {}, "no 'a' in fields"),
    (Checked(Integer(0, 255), lambda value: ("odd", "even") if value % 2 else None), 3, "odd, expected even"),
])
def test_a_value_that_the_table_does_not_allow_is_refused_by_name(kind, value, text):
    with pytest.raises(SpecError, match=text):
        Codec("T", kind).encode(value)


def test_a_table_prints_as_asn1_text_with_every_name_defined_once():
    text = asn1_module("Printed", cpm_v211.FORMS[cpm_v211.WIRE_FORMAT].kind)
    assert text.startswith("Printed DEFINITIONS AUTOMATIC TAGS ::= BEGIN\n") and text.endswith("END\n")
    defined = re.findall(r"^(\w+) ::= ", text, re.MULTILINE)
    assert len(defined) == len(set(defined))
    used = set(re.findall(r"\b(?:OF|\w+) ([A-Z][a-z]\w*)\b", text)) - {"DEFINITIONS"}
    assert used <= set(defined)
    assert {f"Contained{key}" for key in range(1, 6)} <= set(defined)
    assert "vehicleSubClass INTEGER (0..14)" in text
    assert "BIT STRING (SIZE (13, ...))" in text
    assert "sensorIdList SEQUENCE (SIZE (1..128, ...)) OF INTEGER (0..255) OPTIONAL" in text
