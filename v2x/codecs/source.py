"""Python source under construction: indented lines, fresh names, and constants that the lines refer to by name."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from v2x.codecs.schema import (
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
    Sequence,
    SequenceOf,
    Triangular,
)

MOST_LEVELS = 6  # of lists and choices inside one function: Python allows few loops inside one another


class Source:
    """Lines of one module, and what its names mean."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.names = names
        self._indent = 0
        self._count = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    def name(self, letter: str = "x") -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{letter}{self._count}"

    def constant(self, value: Any) -> str:
        """The name of a value that the lines use."""
        name = self.name("c")
        self.names[name] = value
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines inside of "head:"."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    def run(self, title: str) -> dict[str, Any]:
        """The module's names after it ran."""
        exec(compile("\n".join(self.lines), f"<{title}>", "exec"), self.names)
        return self.names


def number_of_values(kind: Kind) -> int | None:
    """How many values the kind always leaves in the flat array, all of them whole numbers; None where that depends."""
    match kind:
        case Integer() | NamedInteger() | Enumerated() | Boolean() | BitString(_, False, None):
            return 1
        case Checked(inner, _):
            return number_of_values(inner)
        case Sequence(_, fields, extensible):
            if extensible or any(part.may_be_absent or isinstance(part.kind, Contained) for part in fields):
                return None
            counts = [number_of_values(part.kind) for part in fields]
            return None if None in counts else sum(count for count in counts if count is not None)
        case _:
            return None


def parts_of(kind: Kind) -> list[Kind]:
    """The kinds that a kind is made of."""
    match kind:
        case Checked(inner, _) | Triangular(inner):
            return [inner]
        case Sequence(_, fields, _, additions):
            return [part.kind for part in (*fields, *flattened(additions))]
        case Choice(_, alternatives, _, additions):
            return [part.kind for part in (*alternatives, *additions)]
        case SequenceOf(item):
            return [item]
        case Contained(_, kinds):
            return list(kinds.values())
        case _:
            return []


def flattened(additions: tuple[Field | Group, ...]) -> list[Field]:
    """The fields of additions, those of their groups among them."""
    groups = [part.fields if isinstance(part, Group) else (part,) for part in additions]
    return [part for group in groups for part in group]


def shared(kind: Kind) -> set[int]:
    """ids of the kinds that are worth a function of their own: those used in several places, and those nested deeply."""
    uses: dict[int, int] = {}

    def visit(kind: Kind, level: int) -> None:
        if number_of_values(kind) is not None:
            return
        deep = level >= MOST_LEVELS
        uses[id(kind)] = uses.get(id(kind), 0) + (2 if deep else 1)
        if uses[id(kind)] > 1 + deep and not deep:
            return
        nested = isinstance(kind, SequenceOf | Choice)
        for part in parts_of(kind):
            visit(part, 0 if deep else level + nested)

    visit(kind, 0)
    return {key for key, count in uses.items() if count > 1}
