"""Reads unaligned PER: a table becomes a reader, once; the reader turns octets into plain values.

Plain values: integers as coded, enumerations by name, bit strings as {"hex", "length"} (left-aligned), choices as
{"choice", "value"}, sequences as dictionaries without their absent fields, lists as lists. Nothing of a message is lost:
extension additions stand as hex under "...", unknown alternatives and containers as hex. Only the canonical form is
accepted, so what was read writes back to the same octets.

Fields of fixed width that follow one another are read as one number, see `fixed`.
Source: ITU-T X.691 (02/2021), the clauses cited below.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from data_specs.errors import DecodeError
from v2x.codecs.fixed import Layout, bit_string
from v2x.codecs.schema import (
    ADDITIONS,
    UNKNOWN_ALTERNATIVE,
    BitString,
    Checked,
    Choice,
    Contained,
    Field,
    Kind,
    Sequence,
    SequenceOf,
    bits_for,
    fixed_width,
)

MAX_OCTETS = 65_535  # no radio packet is longer; bounds the work that hostile octets can cause
_WINDOW_OCTETS = 64
_ADDITIONS_LIMIT = 64  # of one sequence: the short form of their count (X.691, 11.6.1)


class Bits:
    """Octets, and the place where reading stands in them. A window of them is held as one number: shifting all would be slow."""

    __slots__ = ("_data", "at", "limit", "number", "window_end")

    def __init__(self, data: bytes, path: str) -> None:
        if len(data) > MAX_OCTETS:
            raise DecodeError(path, 8 * MAX_OCTETS, f"{len(data)} octets", f"at most {MAX_OCTETS}")
        self._data = data
        self.number = self.window_end = 0  # the window: its octets, and the bit behind them
        self.at = 0  # bit to read next
        self.limit = 8 * len(data)  # first bit beyond what may be read now: the message's end, or a container's

    def shift_to(self, end: int, path: str) -> int:
        """How far the window must be shifted right for bit `end` to follow its last; DecodeError where that is too far."""
        if end > self.limit:
            raise DecodeError(path, self.limit, f"{self.limit - self.at} bits left", f"{end - self.at}")
        if end > self.window_end:
            window = self._data[self.at >> 3:max((self.at >> 3) + _WINDOW_OCTETS, end + 7 >> 3)]
            self.number = int.from_bytes(window)
            self.window_end = 8 * ((self.at >> 3) + len(window))
        return self.window_end - end

    def read(self, width: int, path: str) -> int:
        """The next `width` bits as a number; DecodeError at the first missing bit."""
        end = self.at + width
        shift = self.shift_to(end, path) if end > self.window_end or end > self.limit else self.window_end - end
        self.at = end
        return self.number >> shift & ((1 << width) - 1)

    def head(self, width: int, path: str) -> int | None:
        """An extension bit and the `width` bits behind it as a number; None, past the extension bit alone, where it is set."""
        end = self.at + 1 + width
        if end > self.limit:
            return None if self.read(1, path) else self.read(width, path)
        shift = self.window_end - end if end <= self.window_end else self.shift_to(end, path)
        number = self.number >> shift & ((2 << width) - 1)
        if number >> width:
            self.at += 1
            return None
        self.at = end
        return number

    def length(self, path: str) -> int:
        """A length determinant (X.691, 11.9) in its shortest form; fragments of 16384 and more are refused."""
        start = self.at
        if not self.read(1, path):
            return self.read(7, path)
        if self.read(1, path):
            raise DecodeError(path, start, "a fragmented length", "less than 16384")
        length = self.read(14, path)
        if length < 128:
            raise DecodeError(path, start, f"length {length} in two octets", "its one-octet form")
        return length

    def octets(self, path: str) -> str:
        """Octets after their length, as hex."""
        count = self.length(path)
        return f"{self.read(8 * count, path):0{2 * count}x}" if count else ""


Read = Callable[[Bits], Any]
Step = Callable[[Bits, dict[str, Any]], None]  # reads some fields of a sequence into its dictionary


def reader(kind: Kind, path: str) -> Read:
    """A reader of the kind; `path` names it in errors."""
    if fixed_width(kind) is not None:
        return _fixed(kind, path)
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
            raise TypeError(f"{path}: {type(kind).__name__} cannot be read on its own")


def _fixed(kind: Kind, path: str) -> Read:
    layout = Layout(kind, path)
    width, of, wrong = layout.width, layout.of, layout.wrong

    def read(bits: Bits) -> Any:
        run = bits.read(width, path)
        if wrong(run):
            layout.refuse(run, bits.at)
        return of(run)

    return read


def _extensible_bits(kind: BitString, path: str) -> Read:
    def read(bits: Bits) -> dict[str, Any]:
        start = bits.at
        plain = bits.head(kind.size, path)
        if plain is not None:
            return bit_string(plain, kind.size)
        size = bits.length(path)
        if size == kind.size:
            raise DecodeError(path, start, f"{size} bits in extended form", "the plain form")
        return bit_string(bits.read(size, path), size)

    return read


def _sequence(kind: Sequence, path: str) -> Read:
    """X.691, 19: extension bit, presence bits, then the fields; each pattern of presence is planned once."""
    extension = int(kind.extensible)
    head = extension + sum(part.optional for part in kind.fields)
    top = head - 1
    steps = [None if fixed_width(part.kind) is not None else _step(part, path) for part in kind.fields]

    @lru_cache(maxsize=1024)
    def plan(presence: int) -> tuple[Step, ...]:
        return _plan(kind, steps, _present(kind, presence), path)

    def read(bits: Bits) -> dict[str, Any]:
        presence = bits.read(head, path)
        value: dict[str, Any] = {}
        if extension and presence >> top:
            for step in plan(presence ^ 1 << top):
                step(bits, value)
            value[ADDITIONS] = _additions(bits, path)
        else:
            for step in plan(presence):
                step(bits, value)
        return value

    return read


def _present(kind: Sequence, presence: int) -> list[int]:
    """Places of the fields that the presence bits announce."""
    left = sum(part.optional for part in kind.fields)
    places: list[int] = []
    for place, part in enumerate(kind.fields):
        left -= part.optional
        if not part.optional or presence >> left & 1:
            places.append(place)
    return places


def _plan(kind: Sequence, steps: list[Step | None], places: list[int], path: str) -> tuple[Step, ...]:
    """Steps that read the fields at the places: one for each run of fixed width, the given one for each other field."""
    planned: list[Step] = []
    run: list[Field] = []
    for place in places:
        step = steps[place]
        if step is None:
            run.append(kind.fields[place])
            continue
        if run:
            planned.append(_run(tuple(run), path))
            run = []
        planned.append(step)
    if run:
        planned.append(_run(tuple(run), path))
    return tuple(planned)


def _run(fields: tuple[Field, ...], path: str) -> Step:
    layout = Layout(Sequence("run", tuple(Field(part.name, part.kind) for part in fields)), path)
    width, of, wrong, first = layout.width, layout.of, layout.wrong, f"{path}.{fields[0].name}"
    mask = (1 << width) - 1

    def step(bits: Bits, value: dict[str, Any]) -> None:
        end = bits.at + width  # `bits.read` written out: most of a message comes through here
        shift = bits.shift_to(end, first) if end > bits.window_end or end > bits.limit else bits.window_end - end
        bits.at = end
        run = bits.number >> shift & mask
        if wrong(run):
            layout.refuse(run, end)
        value.update(of(run))

    return step


def _step(part: Field, path: str) -> Step:
    if isinstance(part.kind, Contained):
        return _contained(part.name, part.kind, path)
    name, read = part.name, reader(part.kind, f"{path}.{part.name}")

    def step(bits: Bits, value: dict[str, Any]) -> None:
        value[name] = read(bits)

    return step


def _contained(name: str, kind: Contained, path: str) -> Step:
    """X.691, 11.2: an open type. Its contents end inside its last octet, and what they leave of that is zero."""
    readers = {key: reader(inner, f"{path}.{name}") for key, inner in kind.kinds.items()}
    where = f"{path}.{name}"

    def step(bits: Bits, value: dict[str, Any]) -> None:
        read = readers.get(value[kind.selector])
        if read is None:
            value[name] = bits.octets(where)
            return
        start, outer = bits.at, bits.limit
        count = bits.length(where)
        end = bits.at + 8 * count
        if end > outer:
            raise DecodeError(where, start, f"length {count}", f"at most the {(outer - bits.at) // 8} octets that follow")
        bits.limit = end
        value[name] = read(bits)
        finish(bits, where)
        bits.limit = outer

    return step


def finish(bits: Bits, path: str) -> None:
    """Require that fewer than eight bits are left up to the limit, all of them zero, and pass over them."""
    start, left = bits.at, bits.limit - bits.at
    if left > 7:
        raise DecodeError(path, start, f"{left} bits left over", "its end within the last octet")
    if bits.read(left, path):
        raise DecodeError(path, start, "fill bits that are set", "zero")


def _additions(bits: Bits, path: str) -> list[str | None]:
    """X.691, 19.7-19.9: which additions are there, then each as octets."""
    where = f"{path}.additions"
    start = bits.at
    if bits.read(1, where):
        raise DecodeError(where, start, f"more than {_ADDITIONS_LIMIT} additions", "fewer")
    count = bits.read(6, where) + 1
    presence = bits.read(count, where)
    return [bits.octets(where) if presence >> place & 1 else None for place in reversed(range(count))]


def _choice(kind: Choice, path: str) -> Read:
    """X.691, 23: extension bit, index, then the alternative."""
    last = len(kind.alternatives) - 1
    width = bits_for(last)
    readers = [(part.name, reader(part.kind, f"{path}.{part.name}")) for part in kind.alternatives]

    def read(bits: Bits) -> dict[str, Any]:
        index = bits.head(width, path) if kind.extensible else bits.read(width, path)
        if index is None:
            return _unknown_alternative(bits, path)
        if index > last:
            raise DecodeError(path, bits.at - width, f"alternative {index}", f"0 to {last}")
        name, read_value = readers[index]
        return {"choice": name, "value": read_value(bits)}

    return read


def _unknown_alternative(bits: Bits, path: str) -> dict[str, Any]:
    start = bits.at
    if bits.read(1, path):
        raise DecodeError(path, start, "an alternative beyond 63", "0 to 63")
    return {"choice": f"{UNKNOWN_ALTERNATIVE}{bits.read(6, path)}", "value": bits.octets(path)}


def _sequence_of(kind: SequenceOf, path: str) -> Read:
    """X.691, 20: extension bit, count, then the items. Memory follows what was read, never a count alone."""
    span = kind.high - kind.low
    width = bits_for(span)
    read_items = _items(kind.item, f"{path}[]")

    def count_of(bits: Bits) -> int:
        start = bits.at
        offset = bits.head(width, path) if kind.extensible else bits.read(width, path)
        if offset is None:
            count = bits.length(path)
            if kind.low <= count <= kind.high:
                raise DecodeError(path, start, f"{count} items in extended form", "the plain form")
            return count
        if offset > span:
            raise DecodeError(path, bits.at - width, f"{offset + kind.low} items", f"{kind.low} to {kind.high}")
        return offset + kind.low

    return lambda bits: read_items(bits, count_of(bits))


def _items(kind: Kind, path: str) -> Callable[[Bits, int], list[Any]]:
    if fixed_width(kind) is None:
        read_item = reader(kind, path)
        return lambda bits, count: [read_item(bits) for _ in range(count)]
    layout = Layout(kind, path)
    width, each, offenders, mask = layout.width, layout.each, layout.offenders, (1 << layout.width) - 1

    def read(bits: Bits, count: int) -> list[Any]:
        run, end = bits.read(width * count, path), bits.at
        above = range(width * (count - 1), -1, -width)
        runs = [run >> place & mask for place in above]
        if offenders(runs):
            for item, place in zip(runs, above):
                layout.refuse(item, end - place)
        return each(runs)

    return read


def _checked(kind: Checked, path: str) -> Read:
    inner = reader(kind.kind, path)

    def read(bits: Bits) -> Any:
        start = bits.at
        value = inner(bits)
        fault = kind.fault(value)
        if fault is not None:
            raise DecodeError(path, start, *fault)
        return value

    return read
