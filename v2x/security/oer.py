"""The kinds that security tables are described with: what Octet Encoding Rules tell apart, and no more.

They are not the codecs' kinds (v2x/codecs/schema.py): a signature is about octets, so an octet string is `bytes` here, and a
sequence can keep the octets it stood in. A choice's value is the pair (alternative, value); a sequence's is a dictionary.
Source of the encoding that each kind stands for: ITU-T X.696 (08/2015), canonical form.
"""
from __future__ import annotations

from dataclasses import dataclass

from data_specs.errors import DecodeError

ADDITIONS = "..."  # key: octets (None = absent) of additions beyond those known, or how many a sender announced if fewer
OCTETS = "octets"  # key under which a sequence with `keep` has the octets it stood in


class Unsupported(DecodeError):
    """Well-formed as far as it was read, but of a sort that is not read here."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number low..high in a fixed number of octets: as few of 1, 2, 4, 8 as the range needs (X.696, 10.2)."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Unbounded:
    """A whole number of any size behind its length: from 0 on, or `signed` (X.696, 10.3, 10.4)."""

    signed: bool = False


@dataclass(frozen=True, slots=True)
class Enumerated:
    """One of the names, the `additions` behind the extension marker included; its number is its place (X.696, 11)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Octets:
    """low..high octets, as bytes; without their length where low equals high. `high` None: any number (X.696, 14)."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 of at most `high` characters (X.696, 27)."""

    high: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """NULL: no octets; None."""


@dataclass(frozen=True, slots=True)
class Rest:
    """An extension addition whose octets are kept unread."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A part that is not read here; meeting it is `Unsupported`, with its name."""


@dataclass(frozen=True, slots=True)
class Field:
    """A named part of a sequence, or a named alternative of a choice.

    A part with a DEFAULT is optional here: absent stands for it, and a sender that spells it out keeps its octets.
    """

    name: str
    kind: Kind
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Named parts in order; `additions` are those known behind the extension marker (X.696, 16)."""

    name: str
    fields: tuple[Field, ...]
    extensible: bool = False
    additions: tuple[Field, ...] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative behind a tag octet; those among the `additions` are open types (X.696, 20)."""

    name: str
    alternatives: tuple[Field, ...]
    additions: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceOf:
    """At least `low` items of one kind behind their number (X.696, 17)."""

    item: Kind
    low: int = 0


Kind = (Integer | Unbounded | Enumerated | Octets | Text | Nothing | Rest | Refused | Sequence | Choice | SequenceOf)


def optional(name: str, kind: Kind) -> Field:
    """A field that may be absent."""
    return Field(name, kind, optional=True)


def integer_octets(kind: Integer) -> tuple[int, bool]:
    """How many octets a bounded whole number takes, and whether it has a sign (X.696, 10.2)."""
    signed = kind.low < 0
    bits = max((-kind.low - 1).bit_length(), kind.high.bit_length()) + 1 if signed else kind.high.bit_length()
    return next(octets for octets in (1, 2, 4, 8) if bits <= 8 * octets), signed
