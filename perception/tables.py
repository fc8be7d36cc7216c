"""Plain tables (of TOML or JSON) into frozen configurations: every key known, every value of its field's type."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from data_specs.errors import InputError, SpecError

Config = TypeVar("Config")
NOTHING = (None, "none")  # JSON's way and ours in TOML, which has no null


def from_table(kind: type[Config], table: Any, where: str) -> Config:
    """A dataclass from a table of its fields, tables in it becoming dataclasses in turn; what is left out keeps its default.

    Raises InputError that names the key and, if it is unknown, the known one nearest to it.
    """
    if not isinstance(table, Mapping):
        raise InputError(where, f"{table!r}", "a table of keys and values")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType] (a dataclass type)
    for key in table:
        if key not in known:
            raise InputError(where, f"unknown key {key!r}{nearest(key, known)}", f"keys among {', '.join(known)}")
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except SpecError as error:
        raise InputError(where, str(error), "values that fit together") from error


def nearest(name: str, among: Iterable[str]) -> str:
    """" (nearest: 'camera')" where a name is like another, else nothing: to be added to an error's text."""
    match = get_close_matches(name, list(among), n=1)
    return f" (nearest: {match[0]!r})" if match else ""


def _value(hint: Any, value: Any, where: str) -> Any:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if NoneType in kinds and value in NOTHING:
        return None
    kind = next(k for k in kinds if k is not NoneType)
    if isinstance(kind, type) and is_dataclass(kind):
        return from_table(kind, value, where)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise InputError(where, f"{value!r}", f"a value of type {kind.__name__}")
    return value


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(where, f"{value!r}", "a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise InputError(where, f"{len(value)} values", f"{len(kinds)}")
    return tuple(_value(kind, item, where) for kind, item in zip(kinds, value))
