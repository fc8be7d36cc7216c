"""Reads canonical OER (ITU-T X.696) by a table: one closure a kind, made once, each from (octets, place) to (value, next place).

Only the canonical form is taken, since hashes are over it: a length, number or padding in another form is an error. Nothing is
read beyond the octets given, and what a count promises is checked against what is left, so time and memory are bounded.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from data_specs.errors import DecodeError
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
    Rest,
    Sequence,
    SequenceOf,
    Text,
    Unbounded,
    Unsupported,
    integer_octets,
)

Read = Callable[[bytes, int], tuple[Any, int]]
_LONGEST_NUMBER = 16  # octets of an unbounded number; the longest PSID has four
_MOST_ADDITIONS = 64  # of one sequence; the standard's longest list has four
_CONTEXT_TAG = 0x80  # class of the tags that AUTOMATIC TAGS gives; the number follows in 6 bits (X.696, 8.7)


def reader(kind: Kind, name: str) -> Callable[[bytes], Any]:
    """A function from the octets of a value, all of them, to the value; DecodeError at the first wrong octet."""
    read = _reader(kind, name)

    def whole(data: bytes) -> Any:
        value, end = read(data, 0)
        if end != len(data):
            _fault(name, end, f"{len(data) - end} more octets", "the end")
        return value

    return whole


def _reader(kind: Kind, name: str) -> Read:
    match kind:
        case Integer():
            return _integer(kind, name)
        case Unbounded(signed):
            return _unbounded(signed, name)
        case Enumerated(names):
            return _enumerated(names, name)
        case Octets(low, high):
            return _fixed_octets(low, name) if low == high else _octets(low, high, name)
        case Text(high):
            return _text(high, name)
        case Nothing():
            return lambda data, at: (None, at)
        case Rest():
            return _octets(0, None, name)
        case Refused():
            return _refused(name)
        case SequenceOf(item, low):
            return _sequence_of(_reader(item, name), low, name)
        case Choice():
            return _choice(kind, name)
        case Sequence():
            return _sequence(kind, name)


def _fault(name: str, at: int, got: str, expected: str) -> NoReturn:
    raise DecodeError(name, 8 * at, got, expected)


def _take(data: bytes, at: int, count: int, name: str) -> bytes:
    if at + count > len(data):
        _fault(name, len(data), "the end", f"{at + count - len(data)} more octets")
    return data[at:at + count]


def read_length(data: bytes, at: int, name: str) -> tuple[int, int]:
    """A length determinant in its shortest form, and the place behind it (X.696, 8.6)."""
    first = _take(data, at, 1, name)[0]
    if first < 0x80:
        return first, at + 1
    width = first & 0x7F
    number = _take(data, at + 1, width, name)
    if not 1 <= width <= 4 or number[0] == 0 or (width == 1 and number[0] < 0x80):
        _fault(name, at, f"length {data[at:at + 1 + min(width, 8)].hex()}", "a length in its shortest form, under 4 GiB")
    return int.from_bytes(number), at + 1 + width


def _integer(kind: Integer, name: str) -> Read:
    octets, signed = integer_octets(kind)
    low, high = kind.low, kind.high

    def read(data: bytes, at: int) -> tuple[int, int]:
        value = int.from_bytes(_take(data, at, octets, name), signed=signed)
        if not low <= value <= high:
            _fault(name, at, str(value), f"{low}..{high}")
        return value, at + octets

    return read


def _unbounded(signed: bool, name: str) -> Read:
    def read(data: bytes, at: int) -> tuple[int, int]:
        length, start = read_length(data, at, name)
        if length > _LONGEST_NUMBER:
            raise Unsupported(name, 8 * at, f"a number of {length} octets", f"at most {_LONGEST_NUMBER}")
        number = _take(data, start, length, name)
        value = int.from_bytes(number, signed=signed)
        if not length or length != unbounded_octets(value, signed):
            _fault(name, at, f"number {number[:8].hex()}", "a number in its shortest form")
        return value, start + length

    return read


def unbounded_octets(value: int, signed: bool) -> int:
    """The fewest octets that hold the number; at least one."""
    bits = (value if value >= 0 else ~value).bit_length() + signed
    return max(1, -(-bits // 8))


def _enumerated(names: tuple[str, ...], name: str) -> Read:
    def read(data: bytes, at: int) -> tuple[str, int]:
        number = _take(data, at, 1, name)[0]
        if number >= len(names):
            raise Unsupported(name, 8 * at, f"value {number}", f"one of {', '.join(names)}")
        return names[number], at + 1

    return read


def _fixed_octets(count: int, name: str) -> Read:
    return lambda data, at: (_take(data, at, count, name), at + count)


def _octets(low: int, high: int | None, name: str) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        length, start = read_length(data, at, name)
        if length < low or (high is not None and length > high):
            _fault(name, at, f"{length} octets", f"{low}..{'any' if high is None else high}")
        return _take(data, start, length, name), start + length

    return read


def _text(high: int, name: str) -> Read:
    octets = _octets(0, None, name)

    def read(data: bytes, at: int) -> tuple[str, int]:
        raw, end = octets(data, at)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            _fault(name, at, raw[:16].hex(), "UTF-8")
        if len(text) > high:
            _fault(name, at, f"{len(text)} characters", f"at most {high}")
        return text, end

    return read


def _refused(name: str) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        raise Unsupported(name, 8 * at, name.rpartition(".")[2], "a part that is supported")

    return read


def _sequence_of(item: Read, low: int, name: str) -> Read:
    number = _unbounded(signed=False, name=name)

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        count, start = number(data, at)
        if not low <= count <= len(data) - start:
            _fault(name, at, f"{count} items", f"{low} up to what the {len(data) - start} octets left can hold")
        items, at = [], start
        for _ in range(count):
            value, at = item(data, at)
            items.append(value)
        return items, at

    return read


def _choice(kind: Choice, name: str) -> Read:
    known = [(part.name, _reader(part.kind, f"{name}.{part.name}")) for part in kind.alternatives]
    known += [(part.name, _opened(part, f"{name}.{part.name}")) for part in kind.additions]
    names = ", ".join(alternative for alternative, _ in known)

    def read(data: bytes, at: int) -> tuple[tuple[str, Any], int]:
        place = _take(data, at, 1, name)[0] - _CONTEXT_TAG
        if not 0 <= place < 0x3F:
            _fault(name, at, f"tag {data[at]:02x}", f"a tag of {names}")
        if place >= len(known):
            raise Unsupported(name, 8 * at, f"alternative {place}", f"one of {names}")
        alternative, content = known[place]
        value, end = content(data, at + 1)
        return (alternative, value), end

    return read


def _opened(part: Field, name: str) -> Read:
    """An open type: a length, and within it one value and nothing else (X.696, 30)."""
    content = _reader(part.kind, name)
    if isinstance(part.kind, Rest):
        return content

    def read(data: bytes, at: int) -> tuple[Any, int]:
        length, start = read_length(data, at, name)
        value, end = content(data, start)
        if end != start + length:
            _fault(name, at, f"length {length}", f"{end - start}, what stands in it")
        return value, end

    return read


def _sequence(kind: Sequence, name: str) -> Read:
    parts = [(part.name, part.optional, _reader(part.kind, f"{name}.{part.name}")) for part in kind.fields]
    extensible, keep = kind.extensible, kind.keep
    presence_bits = extensible + sum(part.optional for part in kind.fields)
    preamble_octets = -(-presence_bits // 8)
    padding = (1 << (8 * preamble_octets - presence_bits)) - 1
    additions = _additions(kind.additions, name)

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        start, value = at, {}
        preamble = int.from_bytes(_take(data, at, preamble_octets, name))
        if preamble & padding:
            _fault(name, at, f"preamble {data[at:at + preamble_octets].hex()}", "zeros in its unused bits")
        bit = 1 << (8 * preamble_octets - 1 - extensible) if preamble_octets else 0
        at += preamble_octets
        for part, may_be_absent, content in parts:
            if may_be_absent:
                bit, present = bit >> 1, preamble & bit
                if not present:
                    continue
            value[part], at = content(data, at)
        if extensible and preamble >> (8 * preamble_octets - 1):
            at = additions(data, at, value)
        if keep:
            value[OCTETS] = data[start:at]
        return value, at

    return read


def _additions(known: tuple[Field, ...], name: str) -> Callable[[bytes, int, dict[str, Any]], int]:
    """Reads the presence bits of the extension additions, then each as an open type, into a sequence's value (X.696, 16.4)."""
    contents = [(part.name, _opened(part, f"{name}.{part.name}")) for part in known]
    unknown = _octets(0, None, f"{name}.{ADDITIONS}")

    def read(data: bytes, at: int, value: dict[str, Any]) -> int:
        length, start = read_length(data, at, name)
        bitmap = _take(data, start, length, name)
        count = 8 * (length - 1) - (bitmap[0] if length else 0)
        if length < 2 or not bitmap[0] < 8 or not any(bitmap[1:]) or bitmap[-1] & ((1 << bitmap[0]) - 1):
            _fault(name, at, f"additions {bitmap[:8].hex()}", "presence bits, one of them set, zeros behind them")
        if count > _MOST_ADDITIONS:
            raise Unsupported(name, 8 * at, f"{count} additions", f"at most {_MOST_ADDITIONS}")
        at, beyond = start + length, []
        for i in range(count):
            present = bitmap[1 + i // 8] >> (7 - i % 8) & 1
            if i >= len(contents):
                octets, at = unknown(data, at) if present else (None, at)
                beyond.append(octets)
            elif present:
                part, content = contents[i]
                value[part], at = content(data, at)
        if beyond or count < len(contents):
            value[ADDITIONS] = beyond or count
        return at

    return read
