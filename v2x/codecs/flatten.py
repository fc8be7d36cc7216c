"""Plain values into the flat array: the inverse of `build`, generated for a table in the same way.

It refuses what it cannot lay out, with whatever exception that raises; what it lays out but the table forbids the writer
refuses. `validate` says why, in words.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from v2x.codecs.flatten_values import (
    Unfit,
    additions,
    bits_number,
    counted_bits,
    long_bits,
    octets,
    presence,
    short_bits,
    unknown_place,
)
from v2x.codecs.program import NUMBER_BITS
from v2x.codecs.schema import (
    ADDITIONS,
    ALPHABETS,
    MISSING,
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
from v2x.codecs.source import Source, flattened, number_of_values, shared

MOST_APPENDED = 4  # values in a row that are laid out faster one by one than as a tuple
Flatten = Callable[[Any, list[int], bytearray], None]  # value, flat array to extend, side buffer to extend


def flattener(kind: Kind) -> Flatten:
    """The function that lays values of the kind out."""
    names = {"Unfit": Unfit, "bits": bits_number, "short_bits": short_bits, "long_bits": long_bits,
             "counted_bits": counted_bits,
             "unknown": unknown_place, "octets": octets, "additions": additions, "presence": presence}
    return _Flattener(Source(names), kind).build()


class _Flattener:
    """Writes the source. Expressions of neighbouring values wait until the next line, and are then added together."""

    def __init__(self, source: Source, kind: Kind) -> None:
        self._source = source
        self._root = kind
        self._shared = shared(kind)
        self._functions: dict[int, str] = {}
        self._waiting: list[tuple[str, Kind]] = []
        self._run: list[str] = []

    def build(self) -> Flatten:
        name = self._function(self._root)
        while self._waiting:
            function, kind = self._waiting.pop()
            with self._source.block(f"def {function}(value, out, side):"):
                self._source.line("add = out.extend")
                self._value(kind, "value")
                self._flush()
        return self._source.run("flattener")[name]

    def _function(self, kind: Kind) -> str:
        if id(kind) not in self._functions:
            self._functions[id(kind)] = self._source.name("flatten")
            self._waiting.append((self._functions[id(kind)], kind))
        return self._functions[id(kind)]

    def _flush(self) -> None:
        if len(self._run) <= MOST_APPENDED and not any(item.startswith("*") or "," in item for item in self._run):
            for item in self._run:
                self._source.line(f"out.append({item})")
        else:
            self._source.line(f"add(({', '.join(self._run)},))")
        self._run = []

    def _line(self, text: str) -> None:
        self._flush()
        self._source.line(text)

    def _local(self, expression: str) -> str:
        """A name for an expression; lines that are waiting stay ahead of it."""
        if expression.isidentifier():
            return expression
        name = self._source.name()
        self._source.line(f"{name} = {expression}")
        return name

    def _kind(self, kind: Kind, value: str) -> None:
        if id(kind) not in self._shared:
            self._value(kind, value)
            return
        self._line(f"{self._function(kind)}({value}, out, side)")

    def _value(self, kind: Kind, value: str) -> None:
        match kind:
            case Integer() | NamedInteger() | Enumerated() | Boolean() | BitString(_, False, None):
                self._run.append(self._single(kind, value))
            case BitString(_, _, None):
                value = self._local(value)
                short = f'len({value}) == 2 and {value}["length"] <= {NUMBER_BITS}'
                self._line(f'add(short_bits({value}["hex"], {value}["length"]) if {short} else long_bits({value}, side))')
            case BitString():
                self._run.append(f"*counted_bits({value}, side)")
            case OctetString():
                self._run.append(f"*octets({value}, side)")
            case Text():
                self._text(kind, value)
            case Null():
                with self._block(f"if {value} is not None:"):
                    self._source.line("raise Unfit")
            case Sequence():
                self._sequence(kind, value)
            case Choice():
                self._choice(kind, value)
            case SequenceOf():
                self._list(kind, value)
            case Checked(inner, _) | Triangular(inner):
                self._kind(inner, value)
            case _:
                raise TypeError(f"{type(kind).__name__} cannot be written on its own")

    def _block(self, head: str) -> Any:
        self._flush()
        return self._source.block(head)

    def _single(self, kind: Kind, value: str) -> str:
        match kind:
            case Boolean():
                return f"{self._source.constant({False: 0, True: 1})}[{value}]"
            case Enumerated(names, False):
                return f"{self._source.constant({name: place for place, name in enumerate(names)})}[{value}]"
            case Enumerated(names, True, more):
                known = self._source.constant({name: place for place, name in enumerate((*names, *more))})
                value = self._local(value)
                return f"{known}[{value}] if {value} in {known} else {len(names)} + unknown({value}, {len(more)})"
            case NamedInteger(_, _, names):
                value = self._local(value)
                return f"{self._source.constant({name: number for number, name in names.items()})}.get({value}, {value})"
            case BitString(size):
                return f"bits({value}, {size})"
            case Checked(inner, _):
                return self._single(inner, value)
            case _:
                return value

    def _text(self, kind: Text, value: str) -> None:
        if kind.alphabet == "utf8":
            data = f'{value}.encode("utf-8")'
        elif coded_by_place(kind.alphabet):
            places = {character: place for place, character in enumerate(ALPHABETS[kind.alphabet])}
            data = f"bytes(map({self._source.constant(places)}.__getitem__, {value}))"
        else:
            data = f'{value}.encode("latin-1")'
        data = self._local(data)
        self._run.append(f"len(side), len({data})")
        self._line(f"side += {data}")

    def _presence(self, fields: tuple[Field, ...], value: str, top: str = "") -> str:
        """An expression of the presence bits, with `top` above them."""
        bits = [top] if top else []
        bits += [self._there(part, value) for part in fields if part.may_be_absent]
        return " | ".join(f"({bit}) << {len(bits) - 1 - place}" for place, bit in enumerate(bits))

    def _there(self, part: Field, value: str) -> str:
        """An expression of whether a field that may be absent is sent."""
        there = f"{part.name!r} in {value}"
        if part.default is MISSING:
            return there
        return f"{there} and {value}[{part.name!r}] != {self._source.constant(part.default)}"

    def _sequence(self, kind: Sequence, value: str) -> None:
        value = self._local(value)
        absent = [part for part in kind.fields if part.may_be_absent]
        there = self._source.name("t")
        if kind.extensible and not self._is_plain(kind):
            self._known_additions(kind, value, there)
        if not absent and not kind.extensible:
            self._check_size(str(len(kind.fields)), value)
        else:
            presence = self._source.name("p")
            if self._is_plain(kind):
                self._known_presence(kind, value, presence)
            else:
                top = f"{there} is not None" if kind.extensible else ""
                self._line(f"{presence} = {self._presence(kind.fields, value, top)}")
                self._check_size(self._size(kind, value), value)
            self._run.append(presence)
        self._fields(kind.fields, value, presence if absent else "")
        if kind.extensible:
            extended = f"{presence} & {1 << len(absent)}" if self._is_plain(kind) else f"{there} is not None"
            with self._block(f"if {extended}:"):
                if self._is_plain(kind):
                    self._source.line(f"{there} = []")
                self._additions(kind, value, there)

    def _is_plain(self, kind: Sequence) -> bool:
        """Whether the names alone tell which presence bits are set."""
        return not kind.additions and all(part.default is MISSING for part in kind.fields)

    def _known_presence(self, kind: Sequence, value: str, presence: str) -> None:
        """Presence bits by the names in the value: looked up, as messages have few different sets of them."""
        absent = [part.name for part in kind.fields if part.may_be_absent]
        bits = {name: 1 << len(absent) - 1 - place for place, name in enumerate(absent)}
        bits |= {part.name: 0 for part in kind.fields if not part.may_be_absent}
        if kind.extensible:
            bits[ADDITIONS] = 1 << len(absent)
        cache = self._source.constant({})
        self._line("try:")
        self._source.line(f"    {presence} = {cache}[tuple({value})]")
        self._source.line("except KeyError:")
        self._source.line(f"    {presence} = presence({value}, {cache}, {self._source.constant(bits)})")

    def _size(self, kind: Sequence, value: str) -> str:
        """An expression of how many members the value must have."""
        parts = [*kind.fields, *flattened(kind.additions)]
        known = self._source.constant({part.name for part in parts} | ({ADDITIONS} if kind.extensible else set()))
        return f"len({value}.keys() & {known})"

    def _check_size(self, size: str, value: str) -> None:
        self._source.line(f"if len({value}) != {size}:")
        self._source.line("    raise Unfit")

    def _fields(self, fields: tuple[Field, ...], value: str, presence: str) -> None:
        left = sum(part.may_be_absent for part in fields)
        for part in fields:
            member = f"{value}[{part.name!r}]"
            if not part.may_be_absent:
                self._member(part, member, value)
                continue
            left -= 1
            with self._block(f"if {presence} & {1 << left}:"):
                self._member(part, member, value)
                self._source.line("pass")
                self._flush()

    def _member(self, part: Field, member: str, value: str) -> None:
        if not isinstance(part.kind, Contained):
            self._kind(part.kind, member)
            return
        key = f"{value}[{part.kind.selector!r}]"
        for place, (number, inner) in enumerate(part.kind.kinds.items()):
            with self._block(f"{'el' if place else ''}if {key} == {number}:"):
                self._kind(inner, member)
                self._source.line("pass")
                self._flush()
        with self._block("else:" if part.kind.kinds else "if True:"):
            self._source.line(f"add(octets({member}, side))")

    def _known_additions(self, kind: Sequence, value: str, there: str) -> None:
        """`there`: a truth value for each known addition, or None where the sequence is not extended."""
        known = [self._addition_there(part, value) for part in kind.additions]
        self._line(f"{there} = [{', '.join(known)}]")
        self._source.line(f"if {ADDITIONS!r} not in {value}" + (f" and not any({there}):" if known else ":"))
        self._source.line(f"    {there} = None")

    def _addition_there(self, part: Field | Group, value: str) -> str:
        if isinstance(part, Group):
            return " or ".join(f"({self._there(inner, value)})" for inner in part.fields)
        return f"{part.name!r} in {value}"

    def _additions(self, kind: Sequence, value: str, there: str) -> None:
        flags, rest, item = self._source.name("f"), self._source.name("r"), self._source.name()
        self._line(f"{flags}, {rest} = additions({value}.get({ADDITIONS!r}), {there})")
        self._source.line(f"out.append(len({flags}))")
        self._source.line(f"add({flags})")
        for place, part in enumerate(kind.additions):
            with self._block(f"if {there}[{place}]:"):
                if isinstance(part, Group):
                    self._group(part, value)
                else:
                    self._member(part, f"{value}[{part.name!r}]", value)
                self._source.line("pass")
                self._flush()
        with self._block(f"for {item} in {rest}:"):
            self._source.line(f"add(octets({item}, side))")

    def _group(self, group: Group, value: str) -> None:
        presence = ""
        if any(part.may_be_absent for part in group.fields):
            presence = self._source.name("p")
            self._line(f"{presence} = {self._presence(group.fields, value)}")
            self._run.append(presence)
        self._fields(group.fields, value, presence)

    def _choice(self, kind: Choice, value: str) -> None:
        value = self._local(value)
        name, inner, last = self._source.name("n"), self._source.name(), len(kind.alternatives)
        self._line(f'{name}, {inner} = {value}["choice"], {value}["value"]')
        self._check_size("2", value)
        for place, part in enumerate((*kind.alternatives, *kind.additions)):
            with self._block(f"{'el' if place else ''}if {name} == {part.name!r}:"):
                self._run.append(str(place))
                self._kind(part.kind, inner)
                self._flush()
        with self._block("else:"):
            if kind.extensible:
                self._source.line(f"add(({last} + unknown({name}, {len(kind.additions)}), *octets({inner}, side)))")
            else:
                self._source.line("raise Unfit")

    def _list(self, kind: SequenceOf, value: str) -> None:
        value = self._local(value)
        self._line(f"if {value}.__class__ is not list:")
        self._source.line("    raise Unfit")
        self._run.append(f"len({value})")
        if isinstance(kind.item, Integer) and number_of_values(kind.item) == 1:
            self._line(f"add({value})")
            return
        item = self._source.name()
        with self._block(f"for {item} in {value}:"):
            self._kind(kind.item, item)
            self._source.line("pass")
            self._flush()
