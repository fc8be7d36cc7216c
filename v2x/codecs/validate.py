"""Says which part of plain values a table does not allow: the slow pass behind a writer that only knows that one is wrong."""
from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

from data_specs.errors import SpecError
from v2x.codecs.bits import LENGTH_LIMIT, MOST_ADDITIONS
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
)
from v2x.codecs.source import flattened


def validate(kind: Kind, value: Any, path: str) -> None:
    """SpecError for the first part of the value that its kind does not allow."""
    match kind:
        case Integer():
            _integer(kind, value, path)
        case NamedInteger(low, high, names):
            named = [number for number, name in names.items() if name == value]
            _integer(Integer(low, high), named[0] if named else value, path)
        case Enumerated(names, extensible, additions):
            if value not in (*names, *additions) and not (extensible and _is_unknown(value, len(additions))):
                raise _refused(value, f"one of {[*names, *additions]}", path)
        case Boolean():
            if value not in (False, True):
                raise _refused(value, "one of [False, True]", path)
        case BitString():
            _bit_string(kind, value, path)
        case OctetString(low, high, extensible):
            _count(len(_octets(value, path)), low, high, extensible, "octets", path)
        case Text():
            _text(kind, value, path)
        case Null():
            if value is not None:
                raise _refused(value, "None", path)
        case Sequence():
            _sequence(kind, value, path)
        case Choice():
            _choice(kind, value, path)
        case SequenceOf():
            _list(kind, value, path)
        case Checked(inner, _) | Triangular(inner):
            validate(inner, value, path)
            if (wrong := kind.fault(value)) is not None:
                raise SpecError(f"{path}: {wrong[0]}, expected {wrong[1]}")
        case Contained():
            raise TypeError(f"{path}: contained octets are checked by the sequence around them")


def _refused(value: Any, expected: str, path: str) -> SpecError:
    return SpecError(f"{path}: {value!r:.80}, expected {expected}")


def _integer(kind: Integer, value: Any, path: str) -> None:
    if type(value) is not int:
        raise _refused(value, f"a whole number {kind.low} to {kind.high}", path)
    if kind.extensible and -(1 << NUMBER_BITS - 1) <= value < 1 << NUMBER_BITS - 1:
        return
    if not kind.low <= value <= kind.high:
        raise _refused(value, f"a whole number {kind.low} to {kind.high}", path)


def _is_unknown(value: Any, known: int) -> bool:
    digits = value.removeprefix(UNKNOWN_ALTERNATIVE) if isinstance(value, str) else ""
    return digits != value and digits.isdecimal() and digits == str(int(digits)) and known <= int(digits) < MOST_ADDITIONS


def _bit_string(kind: BitString, value: Any, path: str) -> None:
    try:
        text, size = value["hex"], value["length"]
        number, fill = int(text or "0", 16), 4 * len(text) - size
    except (KeyError, TypeError, ValueError):
        raise _refused(value, '{"hex", "length"}', path) from None
    low = kind.size if kind.low is None else kind.low
    if len(value) != 2 or not 0 <= fill < 8 or number & ((1 << fill) - 1) or not (low <= size <= kind.size or kind.extensible):
        sizes = str(low) if low == kind.size else f"{low} to {kind.size}"
        raise _refused(value, f"{sizes} bits, left-aligned and filled with zeros", path)
    _short(size, path)


def _short(length: int, path: str) -> None:
    if length >= LENGTH_LIMIT:
        raise SpecError(f"{path}: length {length}, expected less than {LENGTH_LIMIT}")


def _octets(value: Any, path: str) -> bytes:
    try:
        data = bytes.fromhex(value)
    except (TypeError, ValueError):
        raise _refused(value, "octets as hex", path) from None
    _short(len(data), path)
    return data


def _count(count: int, low: int, high: int | None, extensible: bool, what: str, path: str) -> None:
    if not extensible and not (low <= count and (high is None or count <= high)):
        raise SpecError(f"{path}: {count} {what}, expected {low} to {'any number' if high is None else high}")
    _short(count, path)


def _text(kind: Text, value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise _refused(value, "text", path)
    if kind.alphabet == "utf8":
        try:
            _short(len(value.encode()), path)
        except UnicodeEncodeError:
            raise _refused(value, "text in UTF-8", path) from None
        return
    strange = [character for character in value if character not in ALPHABETS[kind.alphabet]]
    if strange:
        raise _refused(strange[0], f"a character of the alphabet {kind.alphabet!r}", path)
    _count(len(value), kind.low, kind.high, kind.extensible, "characters", path)


def _brief(value: Any) -> str:
    return f"fields {sorted(map(str, value))}" if isinstance(value, dict) else repr(value)[:80]


def _sequence(kind: Sequence, value: Any, path: str) -> None:
    known = {part.name for part in (*kind.fields, *flattened(kind.additions))} | ({ADDITIONS} if kind.extensible else set())
    if not isinstance(value, dict) or not value.keys() <= known:
        raise SpecError(f"{path}: {_brief(value)}, expected {'some ' if known else 'none '}of {sorted(known)}"
                        if isinstance(value, dict) or known else f"{path}: {_brief(value)}, expected no fields")
    _members(kind.fields, value, path)
    announced = value.get(ADDITIONS)
    if announced is not None:
        _announced(kind, announced, path)
    for place, part in enumerate(kind.additions):
        inner = part.fields if isinstance(part, Group) else (part,)
        if any(field.name in value for field in inner):
            if type(announced) is int and place >= announced:
                raise SpecError(f"{path}: {announced} additions, expected more: {inner[0].name!r} is one")
            _members(tuple(field for field in inner if isinstance(part, Group) or field.name in value), value, path)


def _members(fields: Items[Field], value: dict[str, Any], path: str) -> None:
    for part in fields:
        if part.name not in value:
            if not part.may_be_absent:
                raise SpecError(f"{path}: no {part.name!r} in {_brief(value)}, expected it")
            continue
        if part.default is not MISSING and value[part.name] == part.default:
            continue
        where = f"{path}.{part.name}"
        if not isinstance(part.kind, Contained):
            validate(part.kind, value[part.name], where)
        elif value[part.kind.selector] in part.kind.kinds:
            validate(part.kind.kinds[value[part.kind.selector]], value[part.name], where)
        else:
            _octets(value[part.name], where)


def _announced(kind: Sequence, rest: Any, path: str) -> None:
    where, known = f"{path}.additions", len(kind.additions)
    if type(rest) is int:
        if not 0 < rest < known:
            raise SpecError(f"{where}: {rest} announced, expected 1 to {known - 1}, or a list of those beyond")
        return
    if not isinstance(rest, list):
        raise _refused(rest, "a list of octets as hex, or None", where)
    if not 1 <= known + len(rest) <= MOST_ADDITIONS:
        raise SpecError(f"{where}: {known + len(rest)} additions, expected 1 to {MOST_ADDITIONS}")
    for item in rest:
        if item is not None:
            _octets(item, where)
    there = any(part.name in rest for part in flattened(kind.additions))
    if not rest and there:
        raise _refused(rest, "nothing, where all that is known is announced", where)


def _choice(kind: Choice, value: Any, path: str) -> None:
    if not isinstance(value, dict) or value.keys() != {"choice", "value"}:
        raise SpecError(f"{path}: {_brief(value)}, expected 'choice' and 'value'")
    name, inner = value["choice"], value["value"]
    parts = {part.name: part for part in (*kind.alternatives, *kind.additions)}
    if isinstance(name, str) and name in parts:
        validate(parts[name].kind, inner, f"{path}.{name}")
    elif kind.extensible and _is_unknown(name, len(kind.additions)):
        _octets(inner, path)
    elif kind.extensible and str(name).startswith(UNKNOWN_ALTERNATIVE):
        raise _refused(name, f"{UNKNOWN_ALTERNATIVE}{len(kind.additions)} to {UNKNOWN_ALTERNATIVE}{MOST_ADDITIONS - 1}", path)
    else:
        raise _refused(name, f"one of {list(parts)}", path)


def _list(kind: SequenceOf, value: Any, path: str) -> None:
    if not isinstance(value, list):
        raise SpecError(f"{path}: {_brief(value)}, expected a list")
    _count(len(value), kind.low, kind.high, kind.extensible, "items", path)
    for place, item in enumerate(value):
        validate(kind.item, item, f"{path}[{place}]")
