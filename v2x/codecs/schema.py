"""The kinds that messages are described with: tables of plain data, from which readers, writers and ASN.1 text are made.

A kind says what may stand on the wire and how wide it is there; it holds no code, except `Checked`. Names are the
standard's own. Source of the encoding that each kind stands for: ITU-T X.691 (02/2021), unaligned PER.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ADDITIONS = "..."  # key under which a sequence keeps extension additions that its table does not know
UNKNOWN_ALTERNATIVE = "unknown"  # followed by its index: a choice's alternative that its table does not know


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number low..high, in the unit given; `special` names the values that are no measurement."""

    low: int
    high: int
    unit: str = ""
    special: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedInteger:
    """A whole number low..high shown by its name where it has one: a later edition may name more of them."""

    low: int
    high: int
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Enumerated:
    """One of the names; its place in the list goes on the wire."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false, one bit."""


@dataclass(frozen=True, slots=True)
class BitString:
    """`size` bits; where extensible a newer sender may send another number of them."""

    size: int
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A named part of a sequence, or a named alternative of a choice."""

    name: str
    kind: Kind
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Named parts in order; where extensible a newer sender may append parts unknown here."""

    name: str
    fields: tuple[Field, ...]
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the alternatives; where extensible a newer sender may pick one unknown here."""

    name: str
    alternatives: tuple[Field, ...]
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class SequenceOf:
    """low..high items of one kind; where extensible a sender may go outside of that range."""

    item: Kind
    low: int
    high: int
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class Contained:
    """Octets with a length before them; their kind follows from an earlier field of the same sequence.

    Octets whose selector is not in `kinds` are kept as they are.
    """

    selector: str  # an integer field of the sequence that holds this
    kinds: Mapping[int, Kind]


@dataclass(frozen=True, slots=True)
class Checked:
    """A kind with a rule that the wire does not enforce: `fault` says what is wrong with a value, None when nothing is."""

    kind: Kind
    fault: Callable[[object], tuple[str, str] | None]  # value -> (got, expected)


Kind = (Integer | NamedInteger | Enumerated | Boolean | BitString | Sequence | Choice | SequenceOf | Contained | Checked)


def optional(name: str, kind: Kind) -> Field:
    """A field that may be absent."""
    return Field(name, kind, optional=True)


def bits_for(span: int) -> int:
    """Bits of a whole number 0..span (X.691, 11.5.7)."""
    return span.bit_length()


def fixed_width(kind: Kind) -> int | None:
    """Bits that every value of the kind takes; None where that depends on the value."""
    match kind:
        case Integer(low, high) | NamedInteger(low, high):
            return bits_for(high - low)
        case Enumerated(names):
            return bits_for(len(names) - 1)
        case Boolean():
            return 1
        case BitString(size, extensible):
            return None if extensible else size
        case Sequence(_, fields, extensible):
            if extensible or any(part.optional for part in fields):
                return None
            widths = [fixed_width(part.kind) for part in fields]
            return None if None in widths else sum(width for width in widths if width is not None)
        case _:
            return None
