"""The kinds that messages are described with: tables of plain data, from which readers, writers and ASN.1 text are made.

A kind says what may stand on the wire and how wide it is there; it holds no code, except `Checked`. Names are the
standard's own. Source of the encoding that each kind stands for: ITU-T X.691 (02/2021), unaligned PER.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

ADDITIONS = "..."  # key under which a sequence keeps extension additions that its table does not know
UNKNOWN_ALTERNATIVE = "unknown"  # followed by its place among the additions: an alternative or name that is not in the table


class _Missing(Enum):
    MISSING = "no default"


MISSING: Final = _Missing.MISSING


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number low..high, in the unit given; `special` names the values that are no measurement.

    Where extensible a newer sender may go outside of low..high (X.691, 13.1).
    """

    low: int
    high: int
    unit: str = ""
    special: Mapping[int, str] = field(default_factory=dict)
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class NamedInteger:
    """A whole number low..high shown by its name where it has one: a later edition may name more of them."""

    low: int
    high: int
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Enumerated:
    """One of the names; its place in the list goes on the wire. `additions` are the names behind the extension marker.

    Where extensible an addition that is not known here reads as "unknown<N>", N being its place among the additions.
    """

    names: tuple[str, ...]
    extensible: bool = False
    additions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false, one bit."""


@dataclass(frozen=True, slots=True)
class BitString:
    """`size` bits; where extensible a newer sender may send another number of them.

    With `low`, low..`size` bits behind their number (X.691, 16.10); never extensible too.
    """

    size: int
    extensible: bool = False
    low: int | None = None


@dataclass(frozen=True, slots=True)
class OctetString:
    """low..high octets, as hex; `high` None: any number, their count is a length determinant."""

    low: int
    high: int | None
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """low..high characters of an alphabet: "ia5" and "visible" take 7 bits each, "numeric" (digits and space) 4 (X.691, 30.5);
    "utf8" is octets behind a length determinant, whatever its range (X.691, 30.6)."""

    low: int
    high: int | None
    alphabet: Literal["ia5", "visible", "numeric", "utf8"] = "ia5"
    extensible: bool = False


@dataclass(frozen=True, slots=True)
class Null:
    """Nothing on the wire; None."""


@dataclass(frozen=True, slots=True)
class Field:
    """A named part of a sequence, or a named alternative of a choice.

    `default` (of a number, name or truth value) is what an absent part stands for: it is never sent.
    """

    name: str
    kind: Kind
    optional: bool = False
    default: Any = MISSING

    @property
    def may_be_absent(self) -> bool:
        """Whether a presence bit tells that it is there."""
        return self.optional or self.default is not MISSING


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that came together in one version of a sequence, [[ ]] in ASN.1; they stand among the sequence's own parts."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Named parts in order; where extensible a newer sender may append parts: those known here are the `additions`.

    What is appended beyond these stands as hex (None = absent) in a list under "..."; where a sender announces fewer
    additions than are known here, their number stands there.
    """

    name: str
    fields: tuple[Field, ...]
    extensible: bool = False
    additions: tuple[Field | Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the alternatives; where extensible a newer sender may pick another: those known here are the `additions`."""

    name: str
    alternatives: tuple[Field, ...]
    extensible: bool = False
    additions: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceOf:
    """low..high items of one kind; where extensible a sender may go outside of that range. `high` None: any number."""

    item: Kind
    low: int
    high: int | None
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
    """A number (of at most 16 bits), name or truth value with a rule that the wire does not enforce.

    `fault` says what is wrong with a value, None when nothing is.
    """

    kind: Kind
    fault: Callable[[object], tuple[str, str] | None]  # value -> (got, expected)


@dataclass(frozen=True, slots=True)
class Triangular:
    """A bit string of n set bits and what lies below the diagonal of n x n: columns of n-1 down to 1 items.

    `kind` has two fields: a `BitString` and a `SequenceOf` of `SequenceOf` numbers. The wire does not enforce the rule.
    """

    kind: Sequence

    def fault(self, value: Any) -> tuple[str, str] | None:
        """(got, expected) of a value that breaks the rule; None where it holds."""
        bits, columns = (value[part.name] for part in self.kind.fields)
        count = int(bits["hex"] or "0", 16).bit_count()
        lengths, expected = [len(column) for column in columns], list(range(count - 1, 0, -1))
        return None if lengths == expected else (f"columns of {lengths} cells", f"{expected} for {count} components")


Kind = (Integer | NamedInteger | Enumerated | Boolean | BitString | OctetString | Text | Null | Sequence | Choice | SequenceOf
        | Contained | Checked | Triangular)

# Characters of each alphabet that takes a fixed number of bits for each of them (X.691, 30.5).
ALPHABETS: Mapping[str, str] = {
    "ia5": "".join(map(chr, range(128))), "visible": "".join(map(chr, range(32, 127))), "numeric": " 0123456789",
}


def optional(name: str, kind: Kind) -> Field:
    """A field that may be absent."""
    return Field(name, kind, optional=True)


def defaulted(name: str, kind: Kind, default: Any) -> Field:
    """A field that is absent where it has the value given."""
    return Field(name, kind, default=default)


def bits_for(span: int) -> int:
    """Bits of a whole number 0..span (X.691, 11.5.7)."""
    return span.bit_length()


def coded_by_place(alphabet: str) -> bool:
    """Whether a character's place in its alphabet goes on the wire, rather than its code: where codes need more bits."""
    characters = ALPHABETS[alphabet]
    return ord(characters[-1]) >= 1 << bits_for(len(characters) - 1)


def fixed_width(kind: Kind) -> int | None:
    """Bits that every value of the kind takes; None where that depends on the value."""
    match kind:
        case Integer(low, high, extensible=False) | NamedInteger(low, high):
            return bits_for(high - low)
        case Enumerated(names, False):
            return bits_for(len(names) - 1)
        case Null():
            return 0
        case Boolean():
            return 1
        case BitString(size, extensible, low):
            return None if extensible or low is not None else size
        case Sequence(_, fields, extensible):
            if extensible or any(part.may_be_absent for part in fields):
                return None
            widths = [fixed_width(part.kind) for part in fields]
            return None if None in widths else sum(width for width in widths if width is not None)
        case _:
            return None
