"""Prints a table as ASN.1 text: what other tools are given to read the same messages, to check and to measure us against.

Contained octets become OCTET STRINGs, which look the same on the wire; their contents are types of their own.
"""
from __future__ import annotations

from v2x.codecs.schema import (
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
)


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
        while isinstance(kind, Checked):
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
            case Integer(low, high) | NamedInteger(low, high):
                return f"INTEGER ({low}..{high})"
            case Enumerated(names):
                return f"ENUMERATED {{ {', '.join(names)} }}"
            case Boolean():
                return "BOOLEAN"
            case BitString(size, extensible):
                return f"BIT STRING (SIZE ({size}{_marker(extensible)}))"
            case Sequence(_, fields, extensible):
                return f"SEQUENCE {{ {self._parts(fields, extensible)} }}"
            case Choice(_, alternatives, extensible):
                return f"CHOICE {{ {self._parts(alternatives, extensible)} }}"
            case SequenceOf(item, low, high, extensible):
                return f"SEQUENCE (SIZE ({low}..{high}{_marker(extensible)})) OF {self._reference(item)}"
            case Contained(_, kinds):
                for key, inner in kinds.items():
                    if contained_type(key) not in self._taken:
                        self.define(contained_type(key), inner)
                return "OCTET STRING"
            case Checked(inner, _):
                return self._body(inner)

    def _parts(self, fields: tuple[Field, ...], extensible: bool) -> str:
        parts = [f"{part.name} {self._reference(part.kind)}{' OPTIONAL' if part.optional else ''}" for part in fields]
        return ", ".join(parts) + _marker(extensible)


def _marker(extensible: bool) -> str:
    return ", ..." if extensible else ""
