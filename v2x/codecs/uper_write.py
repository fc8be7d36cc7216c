"""Writes unaligned PER: a table becomes a writer, once; the inverse of `uper_read` over the same plain values.

A value that its kind does not allow is a SpecError that names the field, what was got and what is expected.
Source: ITU-T X.691 (02/2021), the clauses cited below.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_specs.errors import SpecError
from v2x.codecs.schema import (
    ADDITIONS,
    UNKNOWN_ALTERNATIVE,
    BitString,
    Boolean,
    Checked,
    Choice,
    Contained,
    Enumerated,
    Field,
    Integer,
    Kind,
    NamedInteger,
    Sequence,
    SequenceOf,
    bits_for,
    fixed_width,
)

_FLUSH_BITS = 1024  # what is held as one number before it moves to the list of finished pieces


class BitSink:
    """Takes numbers of given widths, gives octets."""

    __slots__ = ("_number", "_pieces", "_width")

    def __init__(self) -> None:
        self._number, self._width = 0, 0
        self._pieces: list[tuple[int, int]] = []

    def write(self, number: int, width: int) -> None:
        """Append `width` bits; `number` must fit into them."""
        self._number = self._number << width | number
        self._width += width
        if self._width > _FLUSH_BITS:
            self._pieces.append((self._number, self._width))
            self._number, self._width = 0, 0

    def length(self, count: int, path: str) -> None:
        """A length determinant (X.691, 11.9); SpecError from 16384 on, which would need fragments."""
        if count < 128:
            self.write(count, 8)
        elif count < 16384:
            self.write(0b10 << 14 | count, 16)
        else:
            raise SpecError(f"{path}: length {count}, expected less than 16384")

    def octets(self, data: bytes, path: str) -> None:
        """Octets after their length."""
        self.length(len(data), path)
        self.write(int.from_bytes(data), 8 * len(data))

    def finished(self) -> bytes:
        """Everything written, filled up with zero bits to whole octets."""
        number, total = 0, 0
        for piece, width in (*self._pieces, (self._number, self._width)):
            number, total = number << width | piece, total + width
        fill = -total % 8
        return (number << fill).to_bytes((total + fill) // 8)


Write = Callable[[BitSink, Any], None]
Pack = Callable[[Any], int]  # value of fixed width -> its bits as a number


def writer(kind: Kind, path: str) -> Write:
    """A writer of the kind; `path` names it in errors."""
    width = fixed_width(kind)
    if width is not None:
        pack = _packer(kind, path)
        return lambda sink, value: sink.write(pack(value), width)
    match kind:
        case BitString():
            return _extensible_bits(kind, path)
        case Sequence():
            return _sequence(kind, path)
        case Choice():
            return _choice(kind, path)
        case SequenceOf():
            return _sequence_of(kind, path)
        case Checked():
            return _checked(kind, path)
        case _:
            raise TypeError(f"{path}: {type(kind).__name__} cannot be written on its own")


def _packer(kind: Kind, path: str) -> Pack:
    match kind:
        case Integer(low, high):
            return _integer_packer(low, high, path)
        case NamedInteger(low, high, names):
            numbers = {name: number for number, name in names.items()}
            pack = _integer_packer(low, high, path)
            return lambda value: pack(numbers.get(value, value))
        case Enumerated(names):
            return _index_packer({name: index for index, name in enumerate(names)}, path)
        case Boolean():
            return _index_packer({False: 0, True: 1}, path)
        case BitString(size, _):
            return lambda value: _bits_of(value, size, path)
        case Sequence(_, fields, _):
            return _fields_packer(fields, path)
        case _:
            raise TypeError(f"{path}: {type(kind).__name__} has no fixed width")


def _integer_packer(low: int, high: int, path: str) -> Pack:
    def pack(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise SpecError(f"{path}: {value!r}, expected a whole number {low} to {high}")
        return value - low

    return pack


def _index_packer(places: dict[Any, int], path: str) -> Pack:
    def pack(value: Any) -> int:
        try:
            return places[value]
        except (KeyError, TypeError):
            raise SpecError(f"{path}: {value!r}, expected one of {list(places)}") from None

    return pack


def _bits_of(value: Any, size: int, path: str) -> int:
    try:
        number, length = int(value["hex"] or "0", 16), value["length"]
        fill = 4 * len(value["hex"]) - length
    except (KeyError, TypeError, ValueError):
        raise SpecError(f'{path}: {value!r}, expected {{"hex", "length"}}') from None
    if length != size or not 0 <= fill < 8 or number & ((1 << fill) - 1):
        raise SpecError(f"{path}: {value!r}, expected {size} bits, left-aligned and filled with zeros")
    return number >> fill


def _fields_packer(fields: tuple[Field, ...], path: str) -> Pack:
    packers = [(part.name, _packer(part.kind, f"{path}.{part.name}"), fixed_width(part.kind) or 0) for part in fields]

    def pack(value: Any) -> int:
        number = 0
        for name, pack_field, width in packers:
            number = number << width | pack_field(_member(value, name, path))
        return number

    return pack


def _member(value: Any, name: str, path: str) -> Any:
    try:
        return value[name]
    except (KeyError, TypeError):
        raise SpecError(f"{path}: no {name!r} in {_brief(value)}, expected it") from None


def _brief(value: Any) -> str:
    return f"fields {sorted(value)}" if isinstance(value, dict) else repr(value)[:80]


def _extensible_bits(kind: BitString, path: str) -> Write:
    def write(sink: BitSink, value: Any) -> None:
        size = _member(value, "length", path)
        if size == kind.size:
            sink.write(_bits_of(value, size, path), 1 + size)
            return
        bits = _bits_of(value, size, path)
        sink.write(1, 1)
        sink.length(size, path)
        sink.write(bits, size)

    return write


def _sequence(kind: Sequence, path: str) -> Write:
    """X.691, 19: extension bit, presence bits, then the fields; neighbours of fixed width go out as one number."""
    steps = [_field(part, path) for part in kind.fields]
    optional = [part.name for part in kind.fields if part.optional]
    known = {part.name for part in kind.fields} | ({ADDITIONS} if kind.extensible else set())
    head = int(kind.extensible) + len(optional)

    def write(sink: BitSink, value: Any) -> None:
        if not isinstance(value, dict) or not value.keys() <= known:
            raise SpecError(f"{path}: {_brief(value)}, expected some of {sorted(known)}")
        presence = int(ADDITIONS in value)
        for name in optional:
            presence = presence << 1 | (name in value)
        sink.write(presence, head)
        for name, absent_allowed, write_field in steps:
            if name in value:
                write_field(sink, value)
            elif not absent_allowed:
                raise SpecError(f"{path}: no {name!r} in {_brief(value)}, expected it")
        if ADDITIONS in value:
            _write_additions(sink, value[ADDITIONS], f"{path}.additions")

    return write


def _field(part: Field, path: str) -> tuple[str, bool, Write]:
    """(name, may be absent, writer that takes the whole sequence's value)"""
    name, where = part.name, f"{path}.{part.name}"
    if isinstance(part.kind, Contained):
        return name, part.optional, _contained(name, part.kind, where)
    width = fixed_width(part.kind)
    if width is not None:
        pack = _packer(part.kind, where)
        return name, part.optional, lambda sink, value: sink.write(pack(value[name]), width)
    write = writer(part.kind, where)
    return name, part.optional, lambda sink, value: write(sink, value[name])


def _contained(name: str, kind: Contained, path: str) -> Write:
    """X.691, 11.2: an open type: its own octets behind their length."""
    writers = {key: writer(inner, path) for key, inner in kind.kinds.items()}

    def write(sink: BitSink, value: Any) -> None:
        write_inner = writers.get(value[kind.selector])
        if write_inner is None:
            sink.octets(_from_hex(value[name], path), path)
            return
        inner = BitSink()
        write_inner(inner, value[name])
        sink.octets(inner.finished(), path)

    return write


def _from_hex(value: Any, path: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise SpecError(f"{path}: {value!r}, expected octets as hex") from None


def _write_additions(sink: BitSink, additions: list[str | None], path: str) -> None:
    if not 1 <= len(additions) <= 64:
        raise SpecError(f"{path}: {len(additions)} additions, expected 1 to 64")
    sink.write(len(additions) - 1, 7)
    for addition in additions:
        sink.write(int(addition is not None), 1)
    for addition in additions:
        if addition is not None:
            sink.octets(_from_hex(addition, path), path)


def _choice(kind: Choice, path: str) -> Write:
    """X.691, 23: extension bit, index, then the alternative."""
    head = int(kind.extensible) + bits_for(len(kind.alternatives) - 1)
    writers = {part.name: (index, writer(part.kind, f"{path}.{part.name}")) for index, part in enumerate(kind.alternatives)}

    def write(sink: BitSink, value: Any) -> None:
        name, inner = _member(value, "choice", path), _member(value, "value", path)
        if name in writers:
            index, write_inner = writers[name]
            sink.write(index, head)
            write_inner(sink, inner)
        elif kind.extensible and str(name).startswith(UNKNOWN_ALTERNATIVE):
            sink.write(1 << 7 | _unknown_index(name, path), 8)
            sink.octets(_from_hex(inner, path), path)
        else:
            raise SpecError(f"{path}: {name!r}, expected one of {list(writers)}")

    return write


def _unknown_index(name: str, path: str) -> int:
    digits = name.removeprefix(UNKNOWN_ALTERNATIVE)
    if not digits.isdecimal() or int(digits) > 63:
        raise SpecError(f"{path}: {name!r}, expected {UNKNOWN_ALTERNATIVE}0 to {UNKNOWN_ALTERNATIVE}63")
    return int(digits)


def _sequence_of(kind: SequenceOf, path: str) -> Write:
    """X.691, 20: extension bit, count, then the items."""
    width = int(kind.extensible) + bits_for(kind.high - kind.low)
    write_item = writer(kind.item, f"{path}[]")

    def write(sink: BitSink, value: Any) -> None:
        if not isinstance(value, list):
            raise SpecError(f"{path}: {_brief(value)}, expected a list")
        if kind.low <= len(value) <= kind.high:
            sink.write(len(value) - kind.low, width)
        elif kind.extensible:
            sink.write(1, 1)
            sink.length(len(value), path)
        else:
            raise SpecError(f"{path}: {len(value)} items, expected {kind.low} to {kind.high}")
        for item in value:
            write_item(sink, item)

    return write


def _checked(kind: Checked, path: str) -> Write:
    inner = writer(kind.kind, path)

    def write(sink: BitSink, value: Any) -> None:
        inner(sink, value)
        fault = kind.fault(value)
        if fault is not None:
            raise SpecError(f"{path}: {fault[0]}, expected {fault[1]}")

    return write
