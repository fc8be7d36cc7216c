"""Plain values of messages recorded as XML (XER, ITU-T X.693), read along their tables: for captures that hold no octets."""
from __future__ import annotations

import zlib
from typing import Any
from xml.etree.ElementTree import Element

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
    OctetString,
    Sequence,
    SequenceOf,
    Text,
)


def value_of(kind: Kind, element: Element) -> Any:
    """The plain value that an element says. Octets that are no hex (made anonymous) become a checksum of theirs."""
    text = (element.text or "").strip()
    match kind:
        case Checked():
            return value_of(kind.kind, element)
        case Integer():
            return int(text)
        case Enumerated():
            return element[0].tag
        case Boolean():
            return element[0].tag == "true"
        case BitString():
            return bit_string(int(text, 2), len(text))
        case OctetString():
            return text.lower() if set(text) <= set("0123456789abcdefABCDEF") else f"{zlib.crc32(text.encode()):08x}"
        case Text():
            return text
        case SequenceOf():
            return [value_of(kind.item, child) for child in element]
        case Choice():
            alternative = next(part for part in kind.alternatives if part.name == element[0].tag)
            return {"choice": alternative.name, "value": value_of(alternative.kind, element[0])}
        case Sequence():
            return _sequence(kind, element)
        case _:
            raise TypeError(f"{type(kind).__name__} in {element.tag}")


def _sequence(kind: Sequence, element: Element) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for part in (*kind.fields, *kind.additions):
        child = element.find(part.name)
        if isinstance(part, Field) and child is not None:
            inner = part.kind.kinds[value[part.kind.selector]] if isinstance(part.kind, Contained) else None
            value[part.name] = value_of(part.kind, child) if inner is None else value_of(inner, child[0])
    return value
