"""Single values for `flatten`: bits, octets, presence and additions as they stand in the flat array."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

from v2x.codecs.bits import MOST_ADDITIONS
from v2x.codecs.schema import UNKNOWN_ALTERNATIVE

_MOST_SHAPES = 512  # sets of names of one sequence that are remembered


class Unfit(Exception):
    """A value that the table has no place for."""


def bits_number(value: Any, size: int) -> int:
    """The bits of {"hex", "length"} as a number."""
    if len(value) != 2 or value["length"] != size:
        raise Unfit
    return hex_number(value["hex"], size)


@lru_cache(4096)
def hex_number(text: str, size: int) -> int:
    """The number of bits that stand left-aligned in hex."""
    number, fill = int(text or "0", 16), 4 * len(text) - size
    if not 0 <= fill < 8 or number & ((1 << fill) - 1):
        raise Unfit
    return number >> fill


def counted_bits(value: Any, side: bytearray) -> tuple[int, int]:
    """A bit string of one of several sizes goes to the side buffer, an octet for each bit."""
    begin, size = len(side), value["length"]
    number = bits_number(value, size)
    side += bytes(number >> place & 1 for place in reversed(range(size)))
    return begin, size


@lru_cache(4096, typed=True)
def short_bits(text: str, size: int) -> tuple[int, int]:
    """Size and number of an extensible bit string."""
    return size, hex_number(text, size)


def long_bits(value: Any, side: bytearray) -> tuple[int, int]:
    """Size of an extensible bit string that is too long for a number, and the place of its octets."""
    size = value["length"]
    bits_number(value, size)
    side += bytes.fromhex(value["hex"])
    return size, len(side) - (size + 7) // 8


def octets(value: Any, side: bytearray) -> tuple[int, int]:
    """Place and number of octets given as hex."""
    data = bytes.fromhex(value)
    side += data
    return len(side) - len(data), len(data)


def presence(value: Any, cache: dict[tuple[Any, ...], int], bits: dict[str, int]) -> int:
    """Presence bits of a sequence whose names have `bits` (those that must be there: none), kept for these names."""
    names = tuple(value)
    if not isinstance(value, dict) or any(bit == 0 and name not in value for name, bit in bits.items()):
        raise Unfit
    found = sum(bits[name] for name in names)
    if len(cache) < _MOST_SHAPES:
        cache[names] = found
    return found


def unknown_place(name: str, known: int) -> int:
    """The place of "unknown<N>" among the additions, of which the first are known."""
    digits = name.removeprefix(UNKNOWN_ALTERNATIVE)
    if not name.startswith(UNKNOWN_ALTERNATIVE) or not digits.isdecimal() or not known <= int(digits) < MOST_ADDITIONS:
        raise Unfit
    if digits != str(int(digits)):
        raise Unfit
    return int(digits)


def additions(rest: Any, there: list[bool]) -> tuple[list[int], list[str]]:
    """A flag for each addition announced, of which some are known, and the unknown ones that are there."""
    if rest is None:
        return [int(flag) for flag in there], []
    if type(rest) is int:
        if not 0 < rest < len(there) or any(there[rest:]):
            raise Unfit
        return [int(flag) for flag in there[:rest]], []
    if not isinstance(rest, list) or not 1 <= len(there) + len(rest) <= MOST_ADDITIONS or (not rest and any(there)):
        raise Unfit
    return ([int(flag) for flag in there] + [int(item is not None) for item in rest],
            [item for item in rest if item is not None])
