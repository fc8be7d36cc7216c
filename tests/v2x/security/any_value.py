"""Any value that a security table allows, for property tests."""
from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from v2x.security.oer import (
    Choice,
    Enumerated,
    Integer,
    Kind,
    Nothing,
    Octets,
    Refused,
    Rest,
    Sequence,
    SequenceOf,
    Text,
    Unbounded,
)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Plain values of a kind; refused alternatives are never drawn."""
    match kind:
        case Integer(low, high):
            return st.integers(low, high)
        case Unbounded(signed):
            return st.integers(-2**70 if signed else 0, 2**70)
        case Enumerated(names):
            return st.sampled_from(names)
        case Octets(low, high):
            return st.binary(min_size=low, max_size=min(low + 40, high if high is not None else low + 40))
        case Rest():
            return st.binary(max_size=20)
        case Text(high):
            return st.text(max_size=min(high, 20))
        case Nothing():
            return st.none()
        case SequenceOf(item, low):
            return st.lists(values(item), min_size=low, max_size=low + 2)
        case Choice(_, alternatives, additions):
            known = [part for part in (*alternatives, *additions) if not isinstance(part.kind, Refused)]
            return st.sampled_from(known).flatmap(lambda part: values(part.kind).map(lambda value: (part.name, value)))
        case Sequence(_, fields, _, additions):
            needed = {part.name: values(part.kind) for part in fields if not part.optional}
            free = {part.name: values(part.kind) for part in (*fields, *additions) if part.name not in needed}
            return st.fixed_dictionaries(needed, optional=free)
        case _:
            raise AssertionError(kind)
