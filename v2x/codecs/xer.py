"""Plain values of messages recorded as XML, read along their tables: for captures that hold no octets.

Source: ITU-T X.693 (basic XER) as J2735 decoders write it: an element for each part, enumerations and truth values as empty
elements, bit strings as zeros and ones, octets as hex.
"""
from __future__ import annotations

import zlib
from typing import Any
from xml.etree.ElementTree import Element

from data_specs.errors import InputError
from v2x.codecs.bits import bit_string
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
    Null,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
)

_HEX = frozenset("0123456789abcdefABCDEF")


def value_of(kind: Kind, element: Element, where: str = "message") -> Any:
    """The plain value that an element says; InputError names the element that its table cannot be read with.

    Octets that are no hex, as where a log was made anonymous, become a checksum of theirs: the same name stays the same octets.
    """
    try:
        return _value(kind, element, where)
    except (ValueError, IndexError) as error:
        raise InputError(f"{where}: {element.tag}", f"{(element.text or '').strip()[:40]!r} ({error})",
                         f"a {type(kind).__name__} in XML") from error


def _value(kind: Kind, element: Element, where: str) -> Any:
    text = (element.text or "").strip()
    match kind:
        case Checked():
            return value_of(kind.kind, element, where)
        case Integer():
            return int(text)
        case NamedInteger():
            return kind.names.get(int(text), int(text))
        case Enumerated():
            return element[0].tag
        case Boolean():
            return element[0].tag == "true"
        case Null():
            return None
        case BitString():
            return bit_string(int(text, 2), len(text))
        case OctetString():
            return text.lower() if _HEX.issuperset(text) else f"{zlib.crc32(text.encode()):08x}"
        case Text():
            return text
        case SequenceOf():
            return [value_of(kind.item, child, f"{where}.{element.tag}") for child in element]
        case Choice():
            return _choice(kind, element, where)
        case Sequence():
            return _sequence(kind, element, where)
    raise InputError(f"{where}: {element.tag}", f"a {type(kind).__name__}", "a kind that is read from XML")


def _choice(kind: Choice, element: Element, where: str) -> dict[str, Any]:
    name = element[0].tag
    part = next((part for part in (*kind.alternatives, *kind.additions) if part.name == name), None)
    if part is None:
        known = ", ".join(part.name for part in kind.alternatives)
        raise InputError(f"{where}.{element.tag}", f"alternative {name}", f"one of {known}")
    return {"choice": name, "value": value_of(part.kind, element[0], f"{where}.{element.tag}")}


def _sequence(kind: Sequence, element: Element, where: str) -> dict[str, Any]:
    value: dict[str, Any] = {}
    at = f"{where}.{element.tag}"
    for part in (*kind.fields, *kind.additions):
        child = element.find(part.name)
        if not isinstance(part, Field) or child is None:
            continue
        inner = part.kind.kinds.get(value[part.kind.selector]) if isinstance(part.kind, Contained) else None
        if isinstance(part.kind, Contained) and inner is None:
            raise InputError(at, f"{part.kind.selector} {value[part.kind.selector]}", "one that is read here")
        value[part.name] = value_of(part.kind, child, at) if inner is None else value_of(inner, child[0], at)
    return value
