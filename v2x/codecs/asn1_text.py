"""Prints a table as ASN.1 text: what other tools are given to read the same messages, to check and to measure us against.

Contained octets become OCTET STRINGs, which look the same on the wire; their contents are types of their own.
"""
from __future__ import annotations

from v2x.codecs.schema import (
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
)

_STRINGS = {"ia5": "IA5String", "visible": "VisibleString", "numeric": "NumericString", "utf8": "UTF8String"}


def contained_type(key: int) -> str:
    """Name of the type of the contents behind selector `key`."""
    return f"Contained{key}"


def asn1_module(name: str, root: Kind) -> str:
    """An ASN.1 module whose type `Root` is the table, and `Contained<key>` what its contained octets hold."""
    printer = _Printer()
    printer.define("Root", root)
    lines = [f"{name} DEFINITIONS AUTOMATIC TAGS ::= BEGIN", *printer.definitions, "END"]
    return "\n".join(lines) + "\n"


class _Printer:
    def __init__(self) -> None:
        self.definitions: list[str] = []
        self._names: dict[int, str] = {}  # id of a kind -> its type's name
        self._taken: set[str] = set()

    def define(self, name: str, kind: Kind) -> None:
        self._taken.add(name)
        self.definitions.append(f"{name} ::= {self._body(kind)}")

    def _reference(self, kind: Kind) -> str:
        """The type in place, or the name of a definition for what has one."""
        while isinstance(kind, Checked | Triangular):
            kind = kind.kind
        if not isinstance(kind, Sequence | Choice):
            return self._body(kind)
        if id(kind) not in self._names:
            name = kind.name
            while name in self._taken:
                name += "X"
            self._names[id(kind)] = name
            self.define(name, kind)
        return self._names[id(kind)]

    def _body(self, kind: Kind) -> str:
        match kind:
            case Integer(low, high, extensible=extensible):
                return f"INTEGER ({low}..{high}{_marker(extensible)})"
            case NamedInteger(low, high):
                return f"INTEGER ({low}..{high})"
            case Enumerated(names, extensible, additions):
                return f"ENUMERATED {{ {', '.join((*names, *(['...'] if extensible else []), *additions))} }}"
            case Boolean():
                return "BOOLEAN"
            case Null():
                return "NULL"
            case BitString(size, extensible, low):
                return f"BIT STRING (SIZE ({size if low is None else f'{low}..{size}'}{_marker(extensible)}))"
            case OctetString(low, high, extensible):
                return f"OCTET STRING{_size(low, high, extensible)}"
            case Text(low, high, alphabet, extensible):
                return f"{_STRINGS[alphabet]}{_size(low, high, extensible)}"
            case Sequence(_, fields, extensible, additions):
                return f"SEQUENCE {{ {self._parts(fields, extensible, additions)} }}"
            case Choice(_, alternatives, extensible, additions):
                return f"CHOICE {{ {self._parts(alternatives, extensible, additions)} }}"
            case SequenceOf(item, low, high, extensible):
                return f"SEQUENCE{_size(low, high, extensible)} OF {self._reference(item)}"
            case Contained(_, kinds):
                for key, inner in kinds.items():
                    if contained_type(key) not in self._taken:
                        self.define(contained_type(key), inner)
                return "OCTET STRING"
            case Checked(inner, _) | Triangular(inner):
                return self._body(inner)

    def _parts(self, fields: tuple[Field, ...], extensible: bool, additions: tuple[Field | Group, ...]) -> str:
        parts = [self._part(part) for part in fields] + ["..."] * extensible
        for part in additions:
            inner = ", ".join(map(self._part, part.fields)) if isinstance(part, Group) else self._part(part)
            parts.append(f"[[ {inner} ]]" if isinstance(part, Group) else inner)
        return ", ".join(parts)

    def _part(self, part: Field) -> str:
        text = f"{part.name} {self._reference(part.kind)}"
        if part.default is not MISSING:
            return f"{text} DEFAULT {str(part.default).upper() if isinstance(part.default, bool) else part.default}"
        return f"{text} OPTIONAL" if part.optional else text


def _size(low: int, high: int | None, extensible: bool) -> str:
    if (low, high) == (0, None):
        return ""
    upper = "" if low == high else "..MAX" if high is None else f"..{high}"
    return f" (SIZE ({low}{upper}{_marker(extensible)}))"


def _marker(extensible: bool) -> str:
    return ", ..." if extensible else ""
