import json
import subprocess
from pathlib import Path

import pytest

from data_specs.errors import DecodeError, SpecError
from v2x.codecs import machine
from v2x.codecs.asn1_text import asn1_module
from v2x.codecs.schema import (
    BitString,
    Boolean,
    Choice,
    Enumerated,
    Field,
    Group,
    Integer,
    Null,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
    defaulted,
    optional,
)
from v2x.codecs.uper import Codec

PEER = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
PROGRAM = """
import asn1tools, json, sys
for text, octets in json.load(sys.stdin):
    spec = asn1tools.compile_string(text, "uper")
    print(spec.encode("Root", spec.decode("Root", bytes.fromhex(octets))).hex())
"""
GROWN = Sequence("Grown", (Field("a", Integer(0, 7)), optional("b", Boolean())), True, (
    Group("v2", (Field("c", Integer(0, 255)), optional("d", Boolean()))), Field("e", Integer(0, 7))))
CASES = [
    (Integer(0, 7, extensible=True), [0, 7, 8, 127, 128, -1, -129, 70_000]),
    (Enumerated(("a", "b", "c"), True, ("d", "e")), ["a", "c", "d", "e"]),
    (OctetString(2, 2), ["beef"]), (OctetString(0, 5), ["", "0102030405"]), (OctetString(0, None), ["", "00" * 200]),
    (OctetString(1, 2, extensible=True), ["01", "010203"]),
    (Text(1, 8), ["a", "ISO 8855"]), (Text(0, 8, "numeric"), ["", "0 9"]), (Text(0, None, "utf8"), ["", "Kreuzung Süd"]),
    (Text(0, 4, "visible"), ["~ A"]), (BitString(8, low=1), [{"hex": "a0", "length": 3}]),
    (Sequence("S", (Field("n", Null()), Field("x", Integer(0, 3)))), [{"n": None, "x": 2}]),
    (Sequence("D", (defaulted("x", Integer(0, 255), 7), Field("y", Boolean()))), [{"x": 7, "y": True}, {"x": 8, "y": False}]),
    (GROWN, [{"a": 5}, {"a": 5, "b": True, "c": 200}, {"a": 1, "c": 2, "d": False, "e": 3}]),
    (Choice("C", (Field("a", Integer(0, 3)), Field("b", Boolean())), True, (Field("c", OctetString(0, None)),)),
     [{"choice": "a", "value": 2}, {"choice": "c", "value": "beef"}]),
    (SequenceOf(Boolean(), 0, None), [[], [True] * 200]),
]


def octets() -> list[tuple[str, str]]:
    """Every case as ASN.1 text and what our codec makes of it."""
    return [(asn1_module("Case", kind), Codec("T", kind).encode(value).hex()) for kind, values in CASES for value in values]


@pytest.mark.parametrize("fast", [False, True])
def test_every_kind_comes_back_from_its_octets_in_plain_python_and_compiled(fast, monkeypatch):
    monkeypatch.setattr(machine, "PLAIN_RUNS", 10**9)
    monkeypatch.setattr(machine._kernels, "fast", None)
    if fast:
        machine.compile_now()
    for kind, values in CASES:
        codec = Codec("T", kind)
        for value in values:
            assert codec.decode(codec.encode(value)) == value


@pytest.mark.skipif(not PEER.is_file(), reason="make setup-bench-peers")
def test_another_codec_given_our_text_makes_the_same_octets_of_every_kind():
    cases = octets()
    done = subprocess.run([str(PEER), "-c", PROGRAM], input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [ours for _, ours in cases]


def test_an_addition_behind_an_absent_one_is_there():
    """1 (extended) 0 001, 0000001 (two additions) 01, then one octet 011 00000; asn1tools 0.169 loses it (X.691, 19.7-19.9)."""
    codec = Codec("T", GROWN)
    assert codec.encode({"a": 1, "e": 3}).hex() == "88140580"
    assert codec.decode(bytes.fromhex("88140580")) == {"a": 1, "e": 3}


@pytest.mark.parametrize("kind, octets, text", [
    (Sequence("D", (defaulted("x", Integer(0, 255), 7),)), "8380", "its default 7 sent, expected its absence"),
    (Integer(0, 7, extensible=True), "80828000", "expected the plain form|expected fewer"),
    (Text(0, None, "utf8"), "01ff", "octet 0xff, expected UTF-8"),
    (Text(1, 1, "visible"), "02", "code 1, expected a character"),
])
def test_what_has_a_shorter_form_or_no_meaning_is_refused(kind, octets, text):
    with pytest.raises(DecodeError, match=text):
        Codec("T", kind).decode(bytes.fromhex(octets))


@pytest.mark.parametrize("kind, value, text", [
    (Text(1, 2, "numeric"), "1a", "'a', expected a character of the alphabet 'numeric'"),
    (OctetString(2, 2), "00", "1 octets, expected 2 to 2"),
    (GROWN, {"a": 1, "d": True}, "no 'c'"),
    (GROWN, {"a": 1, "c": 2, "...": 5}, "5 announced, expected 1 to 1"),
    (Null(), 0, "0, expected None"),
])
def test_values_that_a_kind_does_not_allow_are_refused_by_name(kind, value, text):
    with pytest.raises(SpecError, match=text):
        Codec("T", kind).encode(value)
