"""Writes canonical OER (ITU-T X.696) by a table: one closure a kind, made once, each from a value to its octets."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_specs.errors import SpecError
from v2x.security.oer import (
    ADDITIONS,
    Choice,
    Enumerated,
    Field,
    Integer,
    Kind,
    Nothing,
    Octets,
    Refused,
    Rest,
    Sequence,
    SequenceOf,
    Text,
    Unbounded,
    integer_octets,
)
from v2x.security.oer_read import unbounded_octets

Write = Callable[[Any], bytes]
_CONTEXT_TAG = 0x80


def writer(kind: Kind, name: str) -> Write:
    """A function that writes a value of the kind; SpecError names the part that its table does not allow."""
    match kind:
        case Integer():
            return _integer(kind, name)
        case Unbounded(signed):
            return lambda value: _unbounded(value, signed, name)
        case Enumerated(names):
            return lambda value: bytes([_place(names, value, name)])
        case Octets(low, high):
            return _octets(low, high, name)
        case Text(high):
            return _text(high, name)
        case Nothing():
            return lambda value: b""
        case Rest():
            return bytes
        case Refused():
            return _refused(name)
        case SequenceOf(item, low):
            return _sequence_of(writer(item, name), low, name)
        case Choice():
            return _choice(kind, name)
        case Sequence():
            return _sequence(kind, name)


def length_octets(length: int) -> bytes:
    """A length determinant in its shortest form (X.696, 8.6)."""
    if length < 0x80:
        return bytes([length])
    width = unbounded_octets(length, signed=False)
    return bytes([0x80 | width]) + length.to_bytes(width)


def _place(names: tuple[str, ...], value: str, name: str) -> int:
    if value not in names:
        raise SpecError(f"{name}: {value!r}, expected one of {', '.join(names)}")
    return names.index(value)


def _integer(kind: Integer, name: str) -> Write:
    octets, signed = integer_octets(kind)

    def write(value: int) -> bytes:
        if not kind.low <= value <= kind.high:
            raise SpecError(f"{name}: {value}, expected {kind.low}..{kind.high}")
        return value.to_bytes(octets, signed=signed)

    return write


def _unbounded(value: int, signed: bool, name: str) -> bytes:
    if value < 0 and not signed:
        raise SpecError(f"{name}: {value}, expected a number from 0 on")
    octets = unbounded_octets(value, signed)
    return length_octets(octets) + value.to_bytes(octets, signed=signed)


def _octets(low: int, high: int | None, name: str) -> Write:
    def write(value: bytes) -> bytes:
        if len(value) < low or (high is not None and len(value) > high):
            raise SpecError(f"{name}: {len(value)} octets, expected {low}..{'any' if high is None else high}")
        return value if low == high else length_octets(len(value)) + value

    return write


def _text(high: int, name: str) -> Write:
    def write(value: str) -> bytes:
        if len(value) > high:
            raise SpecError(f"{name}: {len(value)} characters, expected at most {high}")
        octets = value.encode("utf-8")
        return length_octets(len(octets)) + octets

    return write


def _refused(name: str) -> Write:
    def write(value: Any) -> bytes:
        raise SpecError(f"{name}: not supported, expected another alternative")

    return write


def _sequence_of(item: Write, low: int, name: str) -> Write:
    def write(value: list[Any]) -> bytes:
        if len(value) < low:
            raise SpecError(f"{name}: {len(value)} items, expected at least {low}")
        return _unbounded(len(value), False, name) + b"".join(item(part) for part in value)

    return write


def _choice(kind: Choice, name: str) -> Write:
    parts = kind.alternatives + kind.additions
    names = tuple(part.name for part in parts)
    contents = [writer(part.kind, f"{name}.{part.name}") for part in parts]

    def write(value: tuple[str, Any]) -> bytes:
        place = _place(names, value[0], name)
        content = contents[place](value[1])
        opened = length_octets(len(content)) if place >= len(kind.alternatives) else b""
        return bytes([_CONTEXT_TAG + place]) + opened + content

    return write


def _sequence(kind: Sequence, name: str) -> Write:
    parts = [(part.name, part.optional, writer(part.kind, f"{name}.{part.name}")) for part in kind.fields]
    optional = [part.name for part in kind.fields if part.optional]
    presence_bits = kind.extensible + len(optional)
    preamble_octets = -(-presence_bits // 8)
    additions = _additions(kind.additions, name)

    def write(value: dict[str, Any]) -> bytes:
        extension = additions(value)
        preamble = int(bool(extension)) if kind.extensible else 0
        for part in optional:
            preamble = preamble << 1 | (part in value)
        octets = [(preamble << (8 * preamble_octets - presence_bits)).to_bytes(preamble_octets)]
        for part, may_be_absent, content in parts:
            if part in value:
                octets.append(content(value[part]))
            elif not may_be_absent:
                raise SpecError(f"{name}.{part}: missing")
        return b"".join(octets) + extension

    return write


def _additions(known: tuple[Field, ...], name: str) -> Write:
    """Writes presence bits and open types of the additions that a sequence's value has; nothing where it has none."""
    contents = [(part.name, writer(part.kind, f"{name}.{part.name}")) for part in known]

    def write(value: dict[str, Any]) -> bytes:
        rest = value.get(ADDITIONS, [])
        announced, beyond = (rest, []) if isinstance(rest, int) else (len(known), rest)
        parts = [content(value[part]) if part in value else None for part, content in contents[:announced]] + beyond
        if all(part is None for part in parts):
            return b""
        bits = "".join("0" if part is None else "1" for part in parts)
        unused = -len(bits) % 8
        bitmap = bytes([unused]) + int(bits + "0" * unused, 2).to_bytes((len(bits) + unused) // 8)
        opened = [length_octets(len(part)) + part for part in parts if part is not None]
        return length_octets(len(bitmap)) + bitmap + b"".join(opened)

    return write
