"""A table compiled into a flat program: numbers that one reader and one writer run, in numba or in plain Python.

Between octets and anything else stands the flat array: every value of a message in the order of the wire, as whole numbers.
What each kind leaves there: a number, a name's place or a truth value itself; the presence bits of a sequence, its extension
bit on top, where it has any; the count of a list before its items; the place of a choice's alternative before its value;
(place, length) of octets, characters and counted bits, which lie in a side buffer; (size, number) of an extensible bit
string, with its place in that buffer where it has more than NUMBER_BITS; the number of additions and a flag for each before
those that are there. Contained octets that are read leave their contents alone. Source: ITU-T X.691 (02/2021).
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from v2x.codecs.schema import (
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
    bits_for,
    coded_by_place,
)

STRIDE = 8  # numbers of one step: what it does, then up to seven operands
NUMBER_BITS = 56  # the widest number: with seven bits before it in its first octet it still fits a machine word
UNBOUNDED = -1  # span of a count that has no upper end

# Steps that read one value; operands are named beside each. A register is a number that a later step of the message needs.
NUMBER = 0  # width, span, low, register
WIDE = 1  # width, span, low: a number with an extension bit
NAME = 2  # width, last: a name with an extension bit; additions count on from last + 1
BITS = 3  # size: a bit string with an extension bit
OCTETS = 4  # octets behind a length determinant
STRING = 5  # width, low, span, extensible, bits of a character, first code, last place: octets or characters
LAST_VALUE = STRING
# Steps that say where to go on.
PRESENCE = 6  # width, register
IF = 7  # register, mask, where to go on if no bit of the mask is set
COUNT = 8  # width, low, span, extensible, register
LOOP = 9  # register, where to go on behind the last item
JUMP = 10  # where to go on
CHOICE = 11  # width, last, extensible, jumps: place in the table of where each alternative begins, additions, unknown one
SELECT = 12  # register, jumps, low, number of them, where any other begins
OPEN = 13  # register (and the one behind it): contents with a length determinant begin
CLOSE = 14  # register: they end
ADDITIONS = 15  # register
ADDITION = 16  # register, place, where to go on if it is absent
REST = 17  # register, number of the additions that are known
# Steps that refuse what the wire could say.
GROUP = 18  # register: a version group that is announced has something in it
NOT = 19  # value: what was read last is not the default, which is never sent
RULE = 20  # allowed: place in the table of one truth value for each number, low: of what was read last
KEEP = 21  # register: remembers where in the flat array a triangular sequence begins
TRIANGLE = 22  # register
# Steps that note where values lie, see `Rows`.
ROW = 23  # register, number of the rows, columns
MARK = 24  # register, column
END = 25


@dataclass(frozen=True, slots=True)
class Rows:
    """One row for each item of the list at `path` (or for the message, at ""): where the values at `columns` lie.

    Columns are paths below an item: "position.xCoordinate". A path names fields and alternatives; [] are items, <5> is what
    selector 5 contains.
    """

    path: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Steps of STRIDE numbers each, the table they look things up in, and how many registers they use."""

    steps: list[int]
    table: list[int]
    registers: int


def compile_program(kind: Kind, rows: tuple[Rows, ...] = ()) -> Program:
    """The program of a table; it also notes the rows given."""
    compiler = _Compiler(rows)
    compiler.rows_at("")
    compiler.kind(kind, "")
    compiler.step(END)
    return Program(compiler.steps, compiler.table or [0], compiler.registers)


@dataclass(slots=True)
class _Compiler:
    rows: tuple[Rows, ...]
    steps: list[int] = field(default_factory=list)
    table: list[int] = field(default_factory=list)
    registers: int = 1  # register 0 takes what nobody asks for
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)  # path -> register of the row, column

    def step(self, *numbers: int) -> int:
        """Append a step; its place."""
        self.steps += (*numbers, *[0] * (STRIDE - len(numbers)))
        return len(self.steps) - STRIDE

    def here(self) -> int:
        return len(self.steps)

    def register(self, count: int = 1) -> int:
        self.registers += count
        return self.registers - count

    def aim(self, step: int, operand: int) -> None:
        """Let an operand of an earlier step point here."""
        self.steps[step + operand] = self.here()

    def rows_at(self, path: str) -> None:
        """Begin a row, and watch for its columns, where the path has rows."""
        for number, rows in enumerate(self.rows):
            if rows.path == path:
                register = self.register()
                self.step(ROW, register, number, len(rows.columns))
                self.marks |= {f"{path}.{column}" if path else column: (register, place)
                               for place, column in enumerate(rows.columns)}

    def kind(self, kind: Kind, path: str, register: int = 0) -> None:
        """Steps of a kind; a whole number also goes to the register."""
        if path in self.marks:
            self.step(MARK, *self.marks[path])
        compile_kind = _COMPILERS[type(kind)]
        compile_kind(self, kind, path, register)

    def fields(self, fields: tuple[Field, ...], path: str, presence: int, kept: dict[str, int]) -> None:
        """Steps of a sequence's fields; `kept`: registers of those that tell what others contain."""
        mask = 1 << sum(part.may_be_absent for part in fields)
        for part in fields:
            skip = None
            if part.may_be_absent:
                mask >>= 1
                skip = self.step(IF, presence, mask)
            where = f"{path}.{part.name}" if path else part.name
            if isinstance(part.kind, Contained):
                self.contained(part.kind, where, kept[part.kind.selector])
            else:
                self.kind(part.kind, where, kept.get(part.name, 0))
            if part.default is not MISSING:
                self.step(NOT, coded(part.kind, part.default))
            if skip is not None:
                self.aim(skip, 3)

    def contained(self, kind: Contained, path: str, selector: int) -> None:
        """Contents behind a selector: a jump for each that is known, octets for any other."""
        if path in self.marks:
            self.step(MARK, *self.marks[path])
        low, high = min(kind.kinds, default=0), max(kind.kinds, default=-1)
        jumps = self.jumps(high - low + 1)
        select = self.step(SELECT, selector, jumps, low, high - low + 1)
        ends = []
        for key, inner in kind.kinds.items():
            self.table[jumps + key - low] = self.here()
            self.opened(lambda inner=inner, key=key: self.kind(inner, f"{path}<{key}>"))
            ends.append(self.step(JUMP))
        self.aim(select, 5)
        self.table[jumps:jumps + high - low + 1] = [
            target or self.here() for target in self.table[jumps:jumps + high - low + 1]]
        self.step(OCTETS)
        for end in ends:
            self.aim(end, 1)

    def jumps(self, count: int) -> int:
        """Room for `count` targets in the table."""
        self.table += [0] * count
        return len(self.table) - count

    def opened(self, contents: Callable[[], None]) -> None:
        """Contents with a length determinant before them."""
        register = self.register(2)
        self.step(OPEN, register)
        contents()
        self.step(CLOSE, register)

    def additions(self, kind: Sequence, path: str, kept: dict[str, int]) -> None:
        register = self.register()
        self.step(ADDITIONS, register)
        for place, part in enumerate(kind.additions):
            skip = self.step(ADDITION, register, place)
            if isinstance(part, Group):
                self.opened(lambda part=part: self.group(part, path, kept))
            elif isinstance(part.kind, Contained):
                self.opened(lambda part=part.kind, where=f"{path}.{part.name}": self.contained(part, where, kept[part.selector]))
            else:
                self.opened(lambda part=part: self.kind(part.kind, f"{path}.{part.name}"))
            self.aim(skip, 3)
        self.step(REST, register, len(kind.additions))

    def group(self, group: Group, path: str, kept: dict[str, int]) -> None:
        absent = sum(part.may_be_absent for part in group.fields)
        presence = self.register() if absent else 0
        if absent:
            self.step(PRESENCE, absent, presence)
            if absent == len(group.fields):
                self.step(GROUP, presence)
        self.fields(group.fields, path, presence, kept)


def coded(kind: Kind, value: Any) -> int:
    """A number, name or truth value as it stands in the flat array."""
    match kind:
        case Checked(inner, _):
            return coded(inner, value)
        case NamedInteger(_, _, names):
            return next((number for number, name in names.items() if name == value), value)
        case Enumerated(names, _, additions):
            return (*names, *additions).index(value)
        case Integer() | Boolean():
            return int(value)
        case _:
            raise TypeError(f"{type(kind).__name__} has no default here")


def _number(compiler: _Compiler, kind: Any, path: str, register: int) -> None:
    low, span = span_of(kind)
    width = bits_for(span)
    if width > NUMBER_BITS:
        raise TypeError(f"{path}: a number of {width} bits, expected at most {NUMBER_BITS}")
    compiler.step(NUMBER, width, span, low, register)


def span_of(kind: Integer | NamedInteger | Enumerated | Boolean | BitString) -> tuple[int, int]:
    """Lowest value in the flat array, and how far the highest is above it, of a kind of fixed width."""
    match kind:
        case Integer(low, high) | NamedInteger(low, high):
            return low, high - low
        case Enumerated(names):
            return 0, len(names) - 1
        case Boolean():
            return 0, 1
        case BitString(size):
            return 0, (1 << size) - 1


def _integer(compiler: _Compiler, kind: Integer, path: str, register: int) -> None:
    if not kind.extensible:
        _number(compiler, kind, path, register)
        return
    if register:
        raise TypeError(f"{path}: an extensible selector, expected one with an upper end")
    compiler.step(WIDE, bits_for(kind.high - kind.low), kind.high - kind.low, kind.low)


def _enumerated(compiler: _Compiler, kind: Enumerated, path: str, register: int) -> None:
    if not kind.extensible:
        _number(compiler, kind, path, register)
        return
    compiler.step(NAME, bits_for(len(kind.names) - 1), len(kind.names) - 1)


def _bit_string(compiler: _Compiler, kind: BitString, path: str, register: int) -> None:
    if kind.low is not None:
        compiler.step(STRING, bits_for(kind.size - kind.low), kind.low, kind.size - kind.low, int(kind.extensible), 1, 0, 1)
    elif kind.extensible:
        compiler.step(BITS, kind.size)
    else:
        _number(compiler, kind, path, register)


def _octet_string(compiler: _Compiler, kind: OctetString, path: str, register: int) -> None:
    _string(compiler, kind, 8, 0, 255)


def _text(compiler: _Compiler, kind: Text, path: str, register: int) -> None:
    if kind.alphabet == "utf8":
        compiler.step(OCTETS)
        return
    characters = ALPHABETS[kind.alphabet]
    last = len(characters) - 1
    if coded_by_place(kind.alphabet):
        _string(compiler, kind, bits_for(last), 0, last)
    else:
        _string(compiler, kind, 7, ord(characters[0]), ord(characters[-1]))


def _string(compiler: _Compiler, kind: OctetString | Text, bits: int, first: int, last: int) -> None:
    span = UNBOUNDED if kind.high is None else kind.high - kind.low
    compiler.step(STRING, bits_for(max(span, 0)), kind.low, span, int(kind.extensible), bits, first, last)


def _null(compiler: _Compiler, kind: Null, path: str, register: int) -> None:
    pass


def _sequence(compiler: _Compiler, kind: Sequence, path: str, register: int) -> None:
    """X.691, 19: extension bit, presence bits, the fields, then the additions."""
    kept = {part.kind.selector: 0 for part in _parts(kind) if isinstance(part.kind, Contained)}
    kept = {name: compiler.register() for name in kept}
    absent = sum(part.may_be_absent for part in kind.fields)
    presence = 0
    if absent or kind.extensible:
        presence = compiler.register()
        compiler.step(PRESENCE, absent + kind.extensible, presence)
    compiler.fields(kind.fields, path, presence, kept)
    if kind.extensible:
        skip = compiler.step(IF, presence, 1 << absent)
        compiler.additions(kind, path, kept)
        compiler.aim(skip, 3)


def _parts(kind: Sequence) -> list[Field]:
    """Every field of a sequence, those of its additions too."""
    groups = [part.fields if isinstance(part, Group) else (part,) for part in kind.additions]
    return [*kind.fields, *(part for group in groups for part in group)]


def _choice(compiler: _Compiler, kind: Choice, path: str, register: int) -> None:
    """X.691, 23: extension bit, place, then the alternative; additions are contained in octets."""
    alternatives, additions = len(kind.alternatives), len(kind.additions)
    jumps = compiler.jumps(alternatives + additions)
    choice = compiler.step(CHOICE, bits_for(alternatives - 1), alternatives - 1, int(kind.extensible), jumps, additions)
    ends = []
    for place, part in enumerate((*kind.alternatives, *kind.additions)):
        compiler.table[jumps + place] = compiler.here()
        where = f"{path}.{part.name}" if path else part.name
        if place < alternatives:
            compiler.kind(part.kind, where)
        else:
            compiler.opened(lambda part=part, where=where: compiler.kind(part.kind, where))
        ends.append(compiler.step(JUMP))
    compiler.aim(choice, 6)
    if kind.extensible:
        compiler.step(OCTETS)
    for end in ends:
        compiler.aim(end, 1)


def _sequence_of(compiler: _Compiler, kind: SequenceOf, path: str, register: int) -> None:
    """X.691, 20: extension bit, count, then the items."""
    counter = compiler.register()
    span = UNBOUNDED if kind.high is None else kind.high - kind.low
    compiler.step(COUNT, bits_for(max(span, 0)), kind.low, span, int(kind.extensible), counter)
    loop = compiler.step(LOOP, counter)
    compiler.rows_at(f"{path}[]")
    compiler.kind(kind.item, f"{path}[]")
    compiler.step(JUMP, loop)
    compiler.aim(loop, 2)


def _checked(compiler: _Compiler, kind: Checked, path: str, register: int) -> None:
    """The rule is tried on every value that its kind has, once, here."""
    compiler.kind(kind.kind, "", register)
    if not isinstance(kind.kind, Integer | NamedInteger | Enumerated | Boolean) or bits_for(span_of(kind.kind)[1]) > 16:
        raise TypeError(f"{path}: a rule for {kind.kind}, expected a number of at most 16 bits, a name or a truth value")
    low, span = span_of(kind.kind)
    compiler.step(RULE, len(compiler.table), low)
    compiler.table += [int(kind.fault(value) is None) for value in _values(kind.kind, low, span)]


def _values(kind: Kind, low: int, span: int) -> list[Any]:
    match kind:
        case Enumerated(names):
            return list(names)
        case Boolean():
            return [False, True]
        case NamedInteger(_, _, names):
            return [names.get(number, number) for number in range(low, low + span + 1)]
        case _:
            return list(range(low, low + span + 1))


def _triangular(compiler: _Compiler, kind: Triangular, path: str, register: int) -> None:
    begin = compiler.register()
    compiler.step(KEEP, begin)
    compiler.kind(kind.kind, path)
    compiler.step(TRIANGLE, begin)


_COMPILERS: Mapping[type, Callable[[_Compiler, Any, str, int], None]] = {
    Integer: _integer, NamedInteger: _number, Enumerated: _enumerated, Boolean: _number, BitString: _bit_string,
    OctetString: _octet_string, Text: _text, Null: _null, Sequence: _sequence, Choice: _choice, SequenceOf: _sequence_of,
    Checked: _checked, Triangular: _triangular,
}
