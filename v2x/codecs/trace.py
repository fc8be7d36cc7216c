"""Reads a message field by field, telling where each stands: for people who look at octets.

This is also the plain reference of `uper_read`: it follows the table step by step, compiles nothing, and must give the same
values. Source: ITU-T X.691 (02/2021).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_specs.errors import DecodeError
from v2x.codecs.fixed import bit_string
from v2x.codecs.schema import (
    ADDITIONS,
    UNKNOWN_ALTERNATIVE,
    BitString,
    Boolean,
    Checked,
    Choice,
    Contained,
    Enumerated,
    Integer,
    Kind,
    NamedInteger,
    Sequence,
    SequenceOf,
    bits_for,
)
from v2x.codecs.uper_read import Bits, finish


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bits of a message and what they say; `meaning` is the physical value, or the name of a special one."""

    bit: int
    width: int
    path: str
    value: Any
    meaning: str


def trace(data: bytes, kind: Kind, name: str) -> tuple[Any, list[Piece], DecodeError | None]:
    """The plain value, every piece in order, and the error that reading ended with (the value is None then)."""
    tracer = _Tracer(Bits(data, name))
    try:
        value = tracer.read(kind, name)
        finish(tracer.bits, name)
    except DecodeError as error:
        return None, tracer.pieces, error
    return value, tracer.pieces, None


def meaning_of(value: int, unit: str, special: str | None) -> str:
    """ "12.34 m" for 1234 units of "0.01 m"; the special value's name where it is one."""
    if special is not None:
        return special
    factor, _, rest = unit.partition(" ")
    try:
        return f"{value * float(factor):.10g} {rest}"
    except ValueError:
        return f"{value} {unit}".strip() if unit else ""


class _Tracer:
    def __init__(self, bits: Bits) -> None:
        self.bits = bits
        self.pieces: list[Piece] = []

    def read(self, kind: Kind, path: str) -> Any:
        """The value of a kind, with its pieces noted."""
        match kind:
            case Integer(low, high, unit, special):
                value = self._number(low, high, path)
                return self._note(path, bits_for(high - low), value, meaning_of(value, unit, special.get(value)))
            case NamedInteger(low, high, names):
                value = self._number(low, high, path)
                return self._note(path, bits_for(high - low), names.get(value, value), "")
            case Enumerated(names):
                return self._note(path, bits_for(len(names) - 1), names[self._number(0, len(names) - 1, path)], "")
            case Boolean():
                return self._note(path, 1, bool(self.bits.read(1, path)), "")
            case BitString():
                return self._bit_string(kind, path)
            case Sequence():
                return self._sequence(kind, path)
            case Choice():
                return self._choice(kind, path)
            case SequenceOf():
                return [self.read(kind.item, f"{path}[{place}]") for place in range(self._count(kind, path))]
            case Checked(inner, fault):
                start, value = self.bits.at, self.read(inner, path)
                if (wrong := fault(value)) is not None:
                    raise DecodeError(path, start, *wrong)
                return value
            case Contained():
                raise TypeError(f"{path}: contained octets are read by the sequence around them")

    def _note(self, path: str, width: int, value: Any, meaning: str) -> Any:
        self.pieces.append(Piece(self.bits.at - width, width, path, value, meaning))
        return value

    def _number(self, low: int, high: int, path: str) -> int:
        width = bits_for(high - low)
        offset = self.bits.read(width, path)
        if offset > high - low:
            raise DecodeError(path, self.bits.at - width, f"value {offset + low}", f"{low} to {high}")
        return offset + low

    def _flag(self, path: str, what: str) -> bool:
        return self._note(f"{path}<{what}>", 1, bool(self.bits.read(1, path)), "")

    def _length(self, path: str) -> int:
        start = self.bits.at
        count = self.bits.length(path)
        return self._note(f"{path}<length>", self.bits.at - start, count, "octets")

    def _octets(self, path: str) -> str:
        count = self._length(path)
        octets = f"{self.bits.read(8 * count, path):0{2 * count}x}" if count else ""
        return self._note(path, 8 * count, octets, "unknown here, kept as octets")

    def _bit_string(self, kind: BitString, path: str) -> dict[str, Any]:
        start, size = self.bits.at, kind.size
        if kind.extensible and self._flag(path, "extended"):
            size = self._length(path)
            if size == kind.size:
                raise DecodeError(path, start, f"{size} bits in extended form", "the plain form")
        number = self.bits.read(size, path)
        self._note(path, size, f"{number:0{size}b}" if size else "", "")
        return bit_string(number, size)

    def _sequence(self, kind: Sequence, path: str) -> dict[str, Any]:
        extended = kind.extensible and self._flag(path, "extended")
        there = {part.name for part in kind.fields if not part.optional or self._flag(f"{path}.{part.name}", "present")}
        value: dict[str, Any] = {}
        for part in kind.fields:
            if part.name in there:
                where = f"{path}.{part.name}"
                value[part.name] = (self._contained(part.kind, value[part.kind.selector], where)
                                    if isinstance(part.kind, Contained) else self.read(part.kind, where))
        if extended:
            value[ADDITIONS] = self._additions(f"{path}.additions")
        return value

    def _contained(self, kind: Contained, key: int, path: str) -> Any:
        if key not in kind.kinds:
            return self._octets(path)
        start, outer = self.bits.at, self.bits.limit
        count = self._length(path)
        if self.bits.at + 8 * count > outer:
            following = (outer - self.bits.at) // 8
            raise DecodeError(path, start, f"length {count}", f"at most the {following} octets that follow")
        self.bits.limit = self.bits.at + 8 * count
        value = self.read(kind.kinds[key], path)
        finish(self.bits, path)
        self.bits.limit = outer
        return value

    def _additions(self, path: str) -> list[str | None]:
        start = self.bits.at
        if self.bits.read(1, path):
            raise DecodeError(path, start, "more than 64 additions", "fewer")
        count = self._note(f"{path}<count>", 7, self.bits.read(6, path) + 1, "")
        there = [self._flag(path, f"{place} present") for place in range(count)]
        return [self._octets(path) if present else None for present in there]

    def _choice(self, kind: Choice, path: str) -> dict[str, Any]:
        if kind.extensible and self._flag(path, "extended"):
            start = self.bits.at
            if self.bits.read(1, path):
                raise DecodeError(path, start, "an alternative beyond 63", "0 to 63")
            name = f"{UNKNOWN_ALTERNATIVE}{self.bits.read(6, path)}"
            self._note(f"{path}<choice>", 7, name, "")
            return {"choice": name, "value": self._octets(path)}
        last = len(kind.alternatives) - 1
        width = bits_for(last)
        index = self.bits.read(width, path)
        if index > last:
            raise DecodeError(path, self.bits.at - width, f"alternative {index}", f"0 to {last}")
        picked = kind.alternatives[index]
        self._note(f"{path}<choice>", width, picked.name, "")
        return {"choice": picked.name, "value": self.read(picked.kind, f"{path}.{picked.name}")}

    def _count(self, kind: SequenceOf, path: str) -> int:
        start = self.bits.at
        if kind.extensible and self._flag(path, "extended"):
            count = self.bits.length(path)
            if kind.low <= count <= kind.high:
                raise DecodeError(path, start, f"{count} items in extended form", "the plain form")
        else:
            width = bits_for(kind.high - kind.low)
            count = self.bits.read(width, path) + kind.low
            if count > kind.high:
                raise DecodeError(path, self.bits.at - width, f"{count} items", f"{kind.low} to {kind.high}")
        return self._note(f"{path}<count>", self.bits.at - start - int(kind.extensible), count, "")
