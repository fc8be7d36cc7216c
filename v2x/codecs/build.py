"""Plain values from the flat array: one function in Python source, generated for a table, walks the array with static code.

Plain values: integers as coded, enumerations by name, bit strings as {"hex", "length"} (left-aligned), octets as hex, text as
text, choices as {"choice", "value"}, sequences as dictionaries without their absent fields, lists as lists. Nothing of a
message is lost: extension additions that the table does not know stand as hex under "...", unknown alternatives and
containers as hex. What the flat array holds is told in `program`.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from v2x.codecs.bits import bit_string
from v2x.codecs.program import NUMBER_BITS
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
    coded_by_place,
)
from v2x.codecs.source import Source, number_of_values, shared

_SLICE_FROM = 8  # more values than this come faster from one slice than one by one
Build = Callable[[list[int], bytes, int], tuple[Any, int]]  # flat array, side buffer, where to begin -> value, where it ends


def builder(kind: Kind) -> Build:
    """The function that builds plain values of the kind; UnicodeDecodeError where a text is none."""
    source = Source({"bits": bits_hex, "long_bits": long_bits,
                     "counted_bits": counted_bits, "tail": tail})
    return _Builder(source, kind).build()


@lru_cache(4096)
def bits_hex(size: int, number: int) -> str:
    """The bits as hex, left-aligned."""
    return bit_string(number, size)["hex"]


def long_bits(size: int, number: int, side: bytes) -> dict[str, Any]:
    """An extensible bit string that is too long for a number: its octets lie in the side buffer."""
    return {"hex": side[number:number + (size + 7) // 8].hex(), "length": size}


def counted_bits(side: bytes, begin: int, count: int) -> dict[str, Any]:
    """A bit string of one of several sizes: its bits lie in the side buffer, an octet each."""
    return bit_string(int("".join(map(str, side[begin:begin + count])) or "0", 2), count)


def tail(flags: list[int], known: int, values: list[int], side: bytes, at: int) -> tuple[Any, int]:
    """What stands under "..." for the additions announced (None: nothing), and where the flat array goes on."""
    if len(flags) < known:
        return len(flags), at
    kept: list[str | None] = []
    for flag in flags[known:]:
        kept.append(side[values[at]:values[at] + values[at + 1]].hex() if flag else None)
        at += 2 * flag
    return None if not kept and any(flags) else kept, at


class _Builder:
    """Writes the source. Values of fixed number are named in a run, with one slice, when the next line is written."""

    def __init__(self, source: Source, kind: Kind) -> None:
        self._source = source
        self._root = kind
        self._shared = shared(kind)
        self._functions: dict[int, str] = {}
        self._waiting: list[tuple[str, Kind]] = []
        self._run: list[str] = []

    def build(self) -> Build:
        name = self._function(self._root)
        while self._waiting:
            function, kind = self._waiting.pop()
            with self._source.block(f"def {function}(v, side, i):"):
                value = self._value(kind)
                self._line(f"return {value}, i")
        return self._source.run("builder")[name]

    def _function(self, kind: Kind) -> str:
        if id(kind) not in self._functions:
            self._functions[id(kind)] = self._source.name("build")
            self._waiting.append((self._functions[id(kind)], kind))
        return self._functions[id(kind)]

    def _line(self, text: str) -> None:
        self._flush()
        self._source.line(text)

    def _flush(self) -> None:
        if self._run:
            count = len(self._run)
            if count > _SLICE_FROM:
                self._source.line(f"{', '.join(self._run)} = v[i:i + {count}]")
            else:
                places = [f"v[i + {place}]" if place else "v[i]" for place in range(count)]
                self._source.line("; ".join(f"{name} = {place}" for name, place in zip(self._run, places)))
            self._source.line(f"i += {count}")
            self._run = []

    def _next(self) -> str:
        self._run.append(self._source.name())
        return self._run[-1]

    def _kind(self, kind: Kind) -> str:
        """An expression for the next value; lines that it needs are written."""
        if id(kind) not in self._shared:
            return self._value(kind)
        name = self._source.name()
        self._line(f"{name}, i = {self._function(kind)}(v, side, i)")
        return name

    def _value(self, kind: Kind) -> str:
        match kind:
            case Integer() | NamedInteger() | Enumerated() | Boolean() | BitString(_, False, None):
                return self._single(kind, self._next())
            case BitString(_, _, None):
                size, number = self._next(), self._next()
                short = f'{{"hex": bits({size}, {number}), "length": {size}}}'
                return f"({short} if {size} <= {NUMBER_BITS} else long_bits({size}, {number}, side))"
            case BitString():
                begin, count = self._next(), self._next()
                return f"counted_bits(side, {begin}, {count})"
            case OctetString():
                return self._octets()
            case Text():
                return self._text(kind)
            case Null():
                return "None"
            case Sequence():
                return self._sequence(kind)
            case Choice():
                return self._choice(kind)
            case SequenceOf():
                return self._list(kind)
            case Checked(inner, _) | Triangular(inner):
                return self._kind(inner)
            case _:
                raise TypeError(f"{type(kind).__name__} cannot be read on its own")

    def _single(self, kind: Kind, name: str) -> str:
        match kind:
            case Boolean():
                return f"({name} == 1)"
            case Enumerated(names, False):
                return f"{self._source.constant(names)}[{name}]"
            case Enumerated(names, True, additions):
                known = self._source.constant((*names, *additions))
                unknown = f'f"{UNKNOWN_ALTERNATIVE}{{{name} - {len(names)}}}"'
                return f"({known}[{name}] if {name} < {len(names) + len(additions)} else {unknown})"
            case NamedInteger(_, _, names):
                return f"{self._source.constant(dict(names))}.get({name}, {name})"
            case BitString(size):
                return f'{{"hex": bits({size}, {name}), "length": {size}}}'
            case Checked(inner, _):
                return self._single(inner, name)
            case _:
                return name

    def _octets(self) -> str:
        begin, count, name = self._next(), self._next(), self._source.name()
        self._line(f"{name} = side[{begin}:{begin} + {count}].hex()")
        return name

    def _text(self, kind: Text) -> str:
        begin, count, name = self._next(), self._next(), self._source.name()
        codec = "utf-8" if kind.alphabet == "utf8" else "latin-1"
        self._line(f'{name} = side[{begin}:{begin} + {count}].decode("{codec}")')
        if kind.alphabet != "utf8" and coded_by_place(kind.alphabet):
            self._line(f"{name} = {name}.translate({self._source.constant(dict(enumerate(ALPHABETS[kind.alphabet])))})")
        return name

    def _sequence(self, kind: Sequence) -> str:
        absent = sum(part.may_be_absent for part in kind.fields)
        presence = self._next() if absent or kind.extensible else ""
        members, plain = [], True
        name = self._source.name("d")
        for part in kind.fields:
            if plain and not part.may_be_absent and not isinstance(part.kind, Contained):
                members.append(f"{part.name!r}: {self._kind(part.kind)}")
                continue
            if plain:
                self._line(f"{name} = {{{', '.join(members)}}}")
                plain = False
            absent -= part.may_be_absent
            self._field(part, name, f"{presence} & {1 << absent}")
        members_only = "{" + ", ".join(members) + "}"
        if plain and not kind.extensible:
            return members_only
        if plain:
            self._line(f"{name} = {members_only}")
        if kind.extensible:
            with self._block(f"if {presence} & {1 << sum(part.may_be_absent for part in kind.fields)}:"):
                self._additions(kind, name)
        return name

    def _block(self, head: str) -> Any:
        self._flush()
        return _Flushed(self, head)

    def _field(self, part: Field, name: str, there: str) -> None:
        if not part.may_be_absent:
            self._line(f"{name}[{part.name!r}] = {self._member(part, name)}")
            return
        with self._block(f"if {there}:"):
            self._line(f"{name}[{part.name!r}] = {self._member(part, name)}")
        if part.default is not MISSING:
            with self._block("else:"):
                self._line(f"{name}[{part.name!r}] = {self._source.constant(part.default)}")

    def _member(self, part: Field, name: str) -> str:
        if not isinstance(part.kind, Contained):
            value = self._kind(part.kind)
            self._flush()
            return value
        value, key = self._source.name(), f"{name}[{part.kind.selector!r}]"
        for place, (number, inner) in enumerate(part.kind.kinds.items()):
            with self._block(f"{'el' if place else ''}if {key} == {number}:"):
                self._line(f"{value} = {self._kind(inner)}")
        with self._block("else:" if part.kind.kinds else "if True:"):
            self._line(f"{value} = {self._octets()}")
        return value

    def _additions(self, kind: Sequence, name: str) -> None:
        flags, rest = self._source.name("f"), self._source.name()
        self._line(f"{flags} = v[i + 1:i + 1 + v[i]]")
        self._line(f"i += 1 + len({flags})")
        for place, part in enumerate(kind.additions):
            with self._block(f"if len({flags}) > {place} and {flags}[{place}]:"):
                if isinstance(part, Group):
                    self._group(part, name)
                else:
                    self._line(f"{name}[{part.name!r}] = {self._member(part, name)}")
        self._line(f"{rest}, i = tail({flags}, {len(kind.additions)}, v, side, i)")
        with self._block(f"if {rest} is not None:"):
            self._line(f"{name}[{ADDITIONS!r}] = {rest}")

    def _group(self, group: Group, name: str) -> None:
        absent = sum(part.may_be_absent for part in group.fields)
        presence = self._next() if absent else ""
        for part in group.fields:
            absent -= part.may_be_absent
            self._field(part, name, f"{presence} & {1 << absent}")

    def _choice(self, kind: Choice) -> str:
        place, value, last = self._next(), self._source.name(), len(kind.alternatives)
        for number, part in enumerate((*kind.alternatives, *kind.additions)):
            with self._block(f"{'el' if number else ''}if {place} == {number}:"):
                inner = self._kind(part.kind)
                self._line(f'{value} = {{"choice": {part.name!r}, "value": {inner}}}')
        if kind.extensible:
            with self._block("else:"):
                inner = self._octets()
                self._line(f'{value} = {{"choice": f"{UNKNOWN_ALTERNATIVE}{{{place} - {last}}}", "value": {inner}}}')
        return value

    def _list(self, kind: SequenceOf) -> str:
        count, name, width = self._next(), self._source.name("l"), number_of_values(kind.item)
        if width is None or width == 0:
            self._line(f"{name} = []")
            with self._block(f"for _ in range({count}):"):
                self._line(f"{name}.append({self._kind(kind.item)})")
            return name
        end, first = self._source.name("e"), "i"
        if width == 1 and self._run == [count]:
            first = "i + 1"
            self._run = []
            self._source.line(f"{end} = i + 1 + v[i]")
        else:
            self._line(f"{end} = i + {count}" if width == 1 else f"{end} = i + {width} * {count}")
        value, names = self._static(kind.item)
        columns = [f"v[i + {place}:{end}:{width}]" for place in range(width)] if width > 1 else [f"v[{first}:{end}]"]
        body = columns[0] if value == names else f"[{value} for {names} in {columns[0]}]"
        if width > 1:
            body = f"[{value} for {names} in zip({', '.join(columns)})]"
        self._source.line(f"{name} = {body}")
        self._source.line(f"i = {end}")
        return name

    def _static(self, kind: Kind) -> tuple[str, str]:
        """The expression of a kind of a fixed number of values, and the names that it gives to them."""
        value = self._value(kind)
        names, self._run = ", ".join(self._run), []
        return value, names


class _Flushed:
    """A block whose last run is named before it ends."""

    def __init__(self, builder: _Builder, head: str) -> None:
        self._builder, self._block = builder, builder._source.block(head)

    def __enter__(self) -> None:
        self._block.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._builder._flush()
        self._block.__exit__(*error)
