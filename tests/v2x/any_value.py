"""Random plain values of any kind of a table: what property tests and benchmarks of codecs are fed with."""
from __future__ import annotations

from random import Random
from typing import Any

from v2x.codecs.bits import bit_string
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

MOST_ITEMS = 5  # of lists, to keep the values small
NOVELTY = 0.03  # chance of what a newer sender might add


def any_value(kind: Kind, random: Random, novelty: float = NOVELTY) -> Any:
    """A value of the kind; edges of ranges come up often. With a novelty of 0 it holds nothing that the table does not know."""
    match kind:
        case Integer(low, high, _, _, extensible):
            if extensible and random.random() < novelty:
                return random.choice((low - 1, high + 1, high + (1 << 40)))
            return random.choice((low, high, random.randint(low, high)))
        case NamedInteger(low, high, names):
            number = random.randint(low, high)
            return names.get(number, number)
        case Enumerated(names, extensible, additions):
            if extensible and random.random() < novelty:
                return f"{UNKNOWN_ALTERNATIVE}{random.randint(len(additions), 63)}"
            return random.choice((*names, *additions))
        case Boolean():
            return random.random() < 0.5
        case BitString(most, _, low):
            size = most if low is None else random.randint(low, most)
            return bit_string(random.getrandbits(size), size)
        case OctetString(low, high):
            return random.randbytes(_count(low, high, random)).hex()
        case Text(low, high, alphabet):
            characters = ALPHABETS.get(alphabet, "az AZ09\u00df\u20ac").removesuffix("\x7f")  # which pycrate refuses to write
            return "".join(random.choices(characters, k=_count(low, high, random)))
        case Null():
            return None
        case Sequence():
            return _sequence(kind, random, novelty)
        case Choice():
            return _choice(kind, random, novelty)
        case SequenceOf(item, low, high, _):
            return [any_value(item, random, novelty) for _ in range(_count(low, high, random))]
        case Checked(Integer() as inner, fault):
            return next(number for number in range(inner.low, inner.high + 1) if fault(number) is None)
        case Triangular(inner):
            return _triangle(inner, random)
        case _:
            raise TypeError(kind)


def _count(low: int, high: int | None, random: Random) -> int:
    return random.randint(low, low + MOST_ITEMS if high is None else min(high, low + MOST_ITEMS))


def _sequence(kind: Sequence, random: Random, novelty: float) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for part in kind.fields:
        _put(part, value, random, novelty)
    for part in kind.additions:
        if random.random() < 0.5:
            _put_addition(part, value, random, novelty)
    if kind.extensible and random.random() < novelty:
        value[ADDITIONS] = [random.choice((None, "", "00ff")) for _ in range(random.randint(1, 4))]
    return value


def _put(part: Field, value: dict[str, Any], random: Random, novelty: float) -> None:
    if part.default is not MISSING:
        value[part.name] = random.choice((part.default, any_value(part.kind, random, novelty)))
    elif not part.optional or random.random() < 0.5:
        value[part.name] = _member(part, value, random, novelty)


def _put_addition(part: Field | Group, value: dict[str, Any], random: Random, novelty: float) -> None:
    """A known addition; of a version group at least one part, since an empty one is not announced."""
    fields = part.fields if isinstance(part, Group) else (part,)
    picked = random.choice(fields)
    for inner in fields:
        if inner is picked or not inner.may_be_absent:
            value[inner.name] = _member(inner, value, random, novelty)
        else:
            _put(inner, value, random, novelty)


def _member(part: Field, value: dict[str, Any], random: Random, novelty: float) -> Any:
    if not isinstance(part.kind, Contained):
        return any_value(part.kind, random, novelty)
    inner = part.kind.kinds.get(value[part.kind.selector])
    return random.randbytes(random.randint(0, 200)).hex() if inner is None else any_value(inner, random, novelty)


def _choice(kind: Choice, random: Random, novelty: float) -> dict[str, Any]:
    if kind.extensible and random.random() < novelty:
        place = random.randint(len(kind.additions), 63)
        return {"choice": f"{UNKNOWN_ALTERNATIVE}{place}", "value": random.randbytes(2).hex()}
    picked = random.choice((*kind.alternatives, *kind.additions))
    return {"choice": picked.name, "value": any_value(picked.kind, random, novelty)}


def _triangle(kind: Sequence, random: Random) -> dict[str, Any]:
    bits, columns = kind.fields
    count = random.randint(2, 13)
    components = random.sample(range(13), count)
    return {bits.name: bit_string(sum(1 << 12 - place for place in components), 13),
            columns.name: [[random.randint(-100, 101) for _ in range(left)] for left in range(count - 1, 0, -1)]}
