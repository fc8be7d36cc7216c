"""Values of fixed width, taken out of one number: each layout becomes a single Python expression, compiled once.

Most of a message is runs of fields whose widths do not depend on what they hold. The expression of {value 18 bits, confidence
12 bits} is {'value': (run >> 12 & 262143) - 131072, 'confidence': (run & 4095) + 1}: no call and no loop per field.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_specs.errors import DecodeError
from v2x.codecs.schema import BitString, Boolean, Enumerated, Field, Integer, Kind, NamedInteger, Sequence, bits_for, fixed_width


def bit_string(number: int, size: int) -> dict[str, Any]:
    """Bits as {"hex", "length"}: left-aligned, filled up with zero bits."""
    octets = (size + 7) // 8
    return {"hex": f"{number << (8 * octets - size):0{2 * octets}x}", "length": size}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A number that its bits could exceed: refused above `span`, where it stands `shift` bits above the layout's end."""

    path: str
    shift: int
    span: int
    low: int

    @property
    def mask(self) -> int:
        return (1 << bits_for(self.span)) - 1


class Layout:
    """A value of fixed width: `of(run)` is the value in the last `width` bits of a number that `wrong(run)` does not hold of.

    `each` and `offenders` do the same for a list of numbers: their values, and those that `wrong` holds of.
    """

    __slots__ = ("_bounds", "each", "of", "offenders", "width", "wrong")

    def __init__(self, kind: Kind, path: str) -> None:
        self._bounds: list[_Bound] = []
        names: dict[str, Any] = {"bit_string": bit_string}
        expression = self._expression(kind, path, 0, names)
        above = " or ".join(f"run >> {b.shift} & {b.mask} > {b.span}" for b in self._bounds) or "False"
        self.width = fixed_width(kind) or 0
        self.of: Callable[[int], Any] = eval(f"lambda run: {expression}", names)
        self.each: Callable[[list[int]], list[Any]] = eval(f"lambda runs: [{expression} for run in runs]", names)
        self.offenders: Callable[[list[int]], list[int]] = eval(f"lambda runs: [run for run in runs if {above}]", names)
        self.wrong: Callable[[int], bool] = eval(f"lambda run: {above}", names)

    def refuse(self, run: int, end: int) -> None:
        """Raise the DecodeError of the first number out of range; bit `end` of the message follows the run's last bit."""
        for bound in self._bounds:
            offset = run >> bound.shift & bound.mask
            if offset > bound.span:
                raise DecodeError(bound.path, end - bound.shift - bits_for(bound.span), f"value {offset + bound.low}",
                                  f"{bound.low} to {bound.span + bound.low}")

    def _expression(self, kind: Kind, path: str, shift: int, names: dict[str, Any]) -> str:
        match kind:
            case Integer(low, high):
                number = self._number(low, high, path, shift)
                return f"({number}) + {low}" if low > 0 else f"({number}) - {-low}" if low < 0 else number
            case NamedInteger(low, high, known):
                table = f"table{len(names)}"
                names[table] = [known.get(value, value) for value in range(low, high + 1)]
                return f"{table}[{self._number(low, high, path, shift)}]"
            case Enumerated(known):
                table = f"table{len(names)}"
                names[table] = known
                return f"{table}[{self._number(0, len(known) - 1, path, shift)}]"
            case Boolean():
                return f"run >> {shift} & 1 == 1"
            case BitString(size, _):
                return f"bit_string(run >> {shift} & {(1 << size) - 1}, {size})"
            case Sequence(_, fields, _):
                return self._members(fields, path, shift, names)
            case _:
                raise TypeError(f"{path}: {type(kind).__name__} has no fixed width")

    def _members(self, fields: tuple[Field, ...], path: str, shift: int, names: dict[str, Any]) -> str:
        shift += sum(fixed_width(part.kind) or 0 for part in fields)
        members = []
        for part in fields:
            shift -= fixed_width(part.kind) or 0
            members.append(f"{part.name!r}: {self._expression(part.kind, f'{path}.{part.name}', shift, names)}")
        return "{" + ", ".join(members) + "}"

    def _number(self, low: int, high: int, path: str, shift: int) -> str:
        """X.691, 11.5: the offset from the lower end, in the fewest bits that hold the range."""
        bound = _Bound(path, shift, high - low, low)
        if bound.mask != bound.span:
            self._bounds.append(bound)
        return f"run >> {shift} & {bound.mask}" if shift else f"run & {bound.mask}"
