"""Random plain values of any kind of a table: what property tests and benchmarks of codecs are fed with."""
from __future__ import annotations

from random import Random
from typing import Any

from v2x.codecs.bits import bit_string
from v2x.codecs.schema import (
    ADDITIONS,
    UNKNOWN_ALTERNATIVE,
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
    Triangular,
)

MOST_ITEMS = 5  # of lists, to keep the values small
NOVELTY = 0.03  # chance of what a newer sender might add


def any_value(kind: Kind, random: Random) -> Any:
    """A value of the kind; edges of ranges come up often."""
    match kind:
        case Integer(low, high):
            return random.choice((low, high, random.randint(low, high)))
        case NamedInteger(low, high, names):
            number = random.randint(low, high)
            return names.get(number, number)
        case Enumerated(names):
            return random.choice(names)
        case Boolean():
            return random.random() < 0.5
        case BitString(most, _, low):
            size = most if low is None else random.randint(low, most)
            return bit_string(random.getrandbits(size), size)
        case Sequence():
            return _sequence(kind, random)
        case Choice():
            return _choice(kind, random)
        case SequenceOf(item, low, high, _):
            return [any_value(item, random) for _ in range(random.randint(low, min(high, low + MOST_ITEMS)))]
        case Checked(inner, fault):
            return next(number for number in range(inner.low, inner.high + 1) if fault(number) is None)
        case Triangular(inner):
            return _triangle(inner, random)
        case _:
            raise TypeError(kind)


def _sequence(kind: Sequence, random: Random) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for part in kind.fields:
        if part.optional and random.random() < 0.5:
            continue
        value[part.name] = _contained(part, value, random) if isinstance(part.kind, Contained) else any_value(part.kind, random)
    if kind.extensible and random.random() < NOVELTY:
        value[ADDITIONS] = [random.choice((None, "", "00ff")) for _ in range(random.randint(1, 4))]
    return value


def _contained(part: Field, value: dict[str, Any], random: Random) -> Any:
    assert isinstance(part.kind, Contained)
    inner = part.kind.kinds.get(value[part.kind.selector])
    return random.randbytes(random.randint(0, 200)).hex() if inner is None else any_value(inner, random)


def _choice(kind: Choice, random: Random) -> dict[str, Any]:
    if kind.extensible and random.random() < NOVELTY:
        return {"choice": f"{UNKNOWN_ALTERNATIVE}{random.randint(0, 63)}", "value": random.randbytes(2).hex()}
    picked = random.choice(kind.alternatives)
    return {"choice": picked.name, "value": any_value(picked.kind, random)}


def _triangle(kind: Sequence, random: Random) -> dict[str, Any]:
    bits, columns = kind.fields
    count = random.randint(2, 13)
    components = random.sample(range(13), count)
    return {bits.name: bit_string(sum(1 << 12 - place for place in components), 13),
            columns.name: [[random.randint(-100, 101) for _ in range(left)] for left in range(count - 1, 0, -1)]}
