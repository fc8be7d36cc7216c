"""Reads a message field by field, telling where each stands: for people who look at octets.

This is also the plain reference of the compiled reader, and explains what that refuses: it follows the table step by step,
compiles nothing, and must give the same values. Source: ITU-T X.691 (02/2021).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_specs.errors import DecodeError
from v2x.codecs.bits import MOST_ADDITIONS, Bits, bit_string
from v2x.codecs.program import NUMBER_BITS, span_of
from v2x.codecs.schema import (
    ADDITIONS,
    ALPHABETS,
    MISSING,
    UNKNOWN_ALTERNATIVE,
    BitString,
    Boolean,
    Checked,
    Choice,
    Contained,
    Enumerated,
    Field,
    Group,
    Integer,
    Kind,
    NamedInteger,
    Null,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
    Triangular,
    bits_for,
    coded_by_place,
)


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
        tracer.bits.finish(0, name)
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
            case Integer() | NamedInteger() | Enumerated() | Boolean() | BitString():
                return self._single(kind, path)
            case OctetString(low, high, extensible):
                count = self._count(low, high, extensible, "octets", path)
                return self._note(path, 8 * count, self._hex(count, path), "octets")
            case Text():
                return self._text(kind, path)
            case Null():
                return self._note(path, 0, None, "")
            case Sequence():
                return self._sequence(kind, path)
            case Choice():
                return self._choice(kind, path)
            case SequenceOf(item, low, high, extensible):
                count = self._count(low, high, extensible, "items", path)
                return [self.read(item, f"{path}[{place}]") for place in range(count)]
            case Checked(inner, _) | Triangular(inner):
                start, value = self.bits.at, self.read(inner, path)
                if (wrong := kind.fault(value)) is not None:
                    raise DecodeError(path, start, *wrong)
                return value
            case Contained():
                raise TypeError(f"{path}: contained octets are read by the sequence around them")

    def _note(self, path: str, width: int, value: Any, meaning: str) -> Any:
        self.pieces.append(Piece(self.bits.at - width, width, path, value, meaning))
        return value

    def _flag(self, path: str, what: str) -> bool:
        return self._note(f"{path}<{what}>", 1, bool(self.bits.read(1, path)), "")

    def _single(self, kind: Integer | NamedInteger | Enumerated | Boolean | BitString, path: str) -> Any:
        match kind:
            case BitString():
                return self._bit_string(kind, path)
            case Enumerated(names, extensible, additions) if extensible and self._flag(path, "extended"):
                place = self._small(path, "an addition beyond 63", "0 to 63")
                unknown = f"{UNKNOWN_ALTERNATIVE}{place}"
                return self._note(path, 7, additions[place] if place < len(additions) else unknown, "")
            case Integer(_, _, unit, special, extensible) if extensible and self._flag(path, "extended"):
                return self._outside(kind, path)
        low, span = span_of(kind)
        width = bits_for(span)
        number = self.bits.read(width, path)
        if number > span:
            raise DecodeError(path, self.bits.at - width, f"value {number + low}", f"{low} to {low + span}")
        match kind:
            case Integer(_, _, unit, special):
                meaning = meaning_of(number + low, unit, special.get(number + low))
                return self._note(path, width, number + low, meaning)
            case NamedInteger(_, _, names):
                return self._note(path, width, names.get(number + low, number + low), "")
            case Enumerated(names):
                return self._note(path, width, names[number], "")
            case _:
                return self._note(path, width, bool(number), "")

    def _small(self, path: str, got: str, expected: str) -> int:
        """A normally small number in its short form (X.691, 11.6)."""
        start = self.bits.at
        if self.bits.read(1, path):
            raise DecodeError(path, start, got, expected)
        return self.bits.read(6, path)

    def _outside(self, kind: Integer, path: str) -> int:
        """A number outside of its range, in the fewest octets that hold it (X.691, 13.1)."""
        start, most = self.bits.at - 1, NUMBER_BITS // 8
        count = self.bits.length(path)
        if not 1 <= count <= most:
            raise DecodeError(path, start, f"a number of {count} octets", f"1 to {most}")
        value = int.from_bytes(self.bits.read(8 * count, path).to_bytes(count), signed=True)
        if kind.low <= value <= kind.high:
            raise DecodeError(path, start, f"{value} in extended form", "the plain form")
        if count > 1 and -(1 << 8 * count - 9) <= value < 1 << 8 * count - 9:
            raise DecodeError(path, start, f"{value} in {count} octets", "fewer")
        return self._note(path, self.bits.at - start - 1, value, meaning_of(value, kind.unit, kind.special.get(value)))

    def _length(self, path: str) -> int:
        start = self.bits.at
        count = self.bits.length(path)
        return self._note(f"{path}<length>", self.bits.at - start, count, "octets")

    def _hex(self, count: int, path: str) -> str:
        return f"{self.bits.read(8 * count, path):0{2 * count}x}" if count else ""

    def _octets(self, path: str) -> str:
        count = self._length(path)
        return self._note(path, 8 * count, self._hex(count, path), "unknown here, kept as octets")

    def _text(self, kind: Text, path: str) -> str:
        start = self.bits.at
        if kind.alphabet == "utf8":
            data = bytes.fromhex(self._hex(self._length(path), path))
            try:
                return self._note(path, 8 * len(data), data.decode(), "")
            except UnicodeDecodeError as error:
                first = self.bits.at - 8 * (len(data) - error.start)
                raise DecodeError(path, first, f"octet {data[error.start]:#04x}", "UTF-8") from None
        characters = ALPHABETS[kind.alphabet]
        width = bits_for(len(characters) - 1)
        count = self._count(kind.low, kind.high, kind.extensible, "characters", path)
        start, text = self.bits.at, ""
        for _ in range(count):
            code = self.bits.read(width, path)
            place = code if coded_by_place(kind.alphabet) else code - ord(characters[0])
            if not 0 <= place < len(characters):
                raise DecodeError(path, self.bits.at - width, f"code {code}", f"a character of the alphabet {kind.alphabet!r}")
            text += characters[place]
        return self._note(path, self.bits.at - start, text, "")

    def _bit_string(self, kind: BitString, path: str) -> dict[str, Any]:
        start, size = self.bits.at, kind.size
        if kind.low is not None:
            size = self._count(kind.low, kind.size, kind.extensible, "bits", path)
        elif kind.extensible and self._flag(path, "extended"):
            size = self._length(path)
            if size == kind.size:
                raise DecodeError(path, start, f"{size} bits in extended form", "the plain form")
        number = self.bits.read(size, path)
        self._note(path, size, f"{number:0{size}b}" if size else "", "")
        return bit_string(number, size)

    def _sequence(self, kind: Sequence, path: str) -> dict[str, Any]:
        extended = kind.extensible and self._flag(path, "extended")
        value: dict[str, Any] = {}
        self._fields(kind.fields, value, path)
        if extended:
            self._additions(kind, value, path)
        return value

    def _fields(self, fields: tuple[Field, ...], value: dict[str, Any], path: str) -> None:
        """Presence bits, then the fields that are there, into the value."""
        start = self.bits.at
        there = {part.name for part in fields if not part.may_be_absent or self._flag(f"{path}.{part.name}", "present")}
        if not there and fields and start < self.bits.at and path.endswith("]]"):
            raise DecodeError(path, start, "a version group with nothing in it", "its absence")
        for part in fields:
            if part.name in there:
                value[part.name] = self._member(part, value, path)
            elif part.default is not MISSING:
                value[part.name] = part.default

    def _member(self, part: Field, value: dict[str, Any], path: str) -> Any:
        where, start = f"{path}.{part.name}", self.bits.at
        if isinstance(part.kind, Contained):
            return self._contained(part.kind, value[part.kind.selector], where)
        got = self.read(part.kind, where)
        if part.default is not MISSING and got == part.default:
            raise DecodeError(where, start, f"its default {got!r} sent", "its absence")
        return got

    def _contained(self, kind: Contained, key: int, path: str) -> Any:
        if key not in kind.kinds:
            return self._octets(path)
        return self._opened(lambda: self.read(kind.kinds[key], path), path)

    def _opened(self, read: Callable[[], Any], path: str) -> Any:
        """What is read from contents with a length before them, all of them."""
        start, outer = self.bits.at, self.bits.limit
        count = self._length(path)
        began = self.bits.at
        if began + 8 * count > outer:
            following = (outer - began) // 8
            raise DecodeError(path, start, f"length {count}", f"at most the {following} octets that follow")
        self.bits.limit = began + 8 * count
        value = read()
        self.bits.finish(began, path)
        self.bits.limit = outer
        return value

    def _additions(self, kind: Sequence, value: dict[str, Any], path: str) -> None:
        where, known = f"{path}.additions", len(kind.additions)
        announced = self._small(where, f"more than {MOST_ADDITIONS} additions", "fewer") + 1
        count = self._note(f"{where}<count>", 7, announced, "")
        there = [self._flag(where, f"{place} present") for place in range(count)]
        for part, present in zip(kind.additions, there):
            if present and isinstance(part, Group):
                group = f"{path}.[[{part.name}]]"
                self._opened(lambda part=part, group=group: self._fields(part.fields, value, group), group)
            elif present and isinstance(part, Field):
                value[part.name] = self._opened(lambda part=part: self._member(part, value, path), f"{path}.{part.name}")
        rest = [self._octets(where) if present else None for present in there[known:]]
        if count < known:
            value[ADDITIONS] = count
        elif rest or not any(there):
            value[ADDITIONS] = rest

    def _choice(self, kind: Choice, path: str) -> dict[str, Any]:
        if kind.extensible and self._flag(path, "extended"):
            place = self._small(path, "an alternative beyond 63", "0 to 63")
            unknown = place >= len(kind.additions)
            name = f"{UNKNOWN_ALTERNATIVE}{place}" if unknown else kind.additions[place].name
            self._note(f"{path}<choice>", 7, name, "")
            if unknown:
                return {"choice": name, "value": self._octets(path)}
            where = f"{path}.{name}"
            return {"choice": name, "value": self._opened(lambda: self.read(kind.additions[place].kind, where), where)}
        last = len(kind.alternatives) - 1
        width = bits_for(last)
        index = self.bits.read(width, path)
        if index > last:
            raise DecodeError(path, self.bits.at - width, f"alternative {index}", f"0 to {last}")
        picked = kind.alternatives[index]
        self._note(f"{path}<choice>", width, picked.name, "")
        return {"choice": picked.name, "value": self.read(picked.kind, f"{path}.{picked.name}")}

    def _count(self, low: int, high: int | None, extensible: bool, what: str, path: str) -> int:
        start = self.bits.at
        extended = extensible and self._flag(path, "extended")
        begin = self.bits.at
        if extended or high is None:
            count = self.bits.length(path)
            inside = low <= count and (high is None or count <= high)
            if inside if extended else not inside:
                raise DecodeError(path, start, f"{count} {what}{' in extended form' if extended else ''}",
                                  "the plain form" if extended else f"at least {low}")
        else:
            width = bits_for(high - low)
            count = self.bits.read(width, path) + low
            if count > high:
                raise DecodeError(path, begin, f"{count} {what}", f"{low} to {high}")
        return self._note(f"{path}<count>", self.bits.at - begin, count, "") if self.bits.at > begin else count
