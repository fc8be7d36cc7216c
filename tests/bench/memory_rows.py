"""Rows of a benchmark that memory limits: a figure beside its peer's, and how much of the memory's own speed it reaches."""
from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from replay.console import print_table


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One measured figure; bytes moved are its inputs and outputs alone. A ratio above 1 means ours is better."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    bytes_moved: int | None = None
    share: float | None = None  # of the bytes that a copy moves in the same time

    @property
    def ratio(self) -> float | None:
        """How many times the peer's figure is of ours."""
        return None if self.peer_value is None else self.peer_value / self.value


def show(title: str, rows: list[MemoryRow], notes: list[str]) -> None:
    """A table, or with --json on the command line one object {name: {value, unit, peer, peer_value, ratio, bytes, share}}."""
    if "--json" in sys.argv:
        print(json.dumps({row.name: {"value": row.value, "unit": row.unit, "peer": row.peer, "peer_value": row.peer_value,
                                     "ratio": row.ratio, "bytes": row.bytes_moved, "share": row.share} for row in rows}))
        return
    print_table(title, ["figure", "value", "unit", "peer", "peer's", "ratio", "MB moved", "of a copy's speed"],
                [(row.name, f"{row.value:,.2f}", row.unit, row.peer, _or_dash(row.peer_value, ",.2f"),
                  _or_dash(row.ratio, ",.1f", "x"), _or_dash(row.bytes_moved and row.bytes_moved / 1e6, ".1f"),
                  _or_dash(row.share, ".0%")) for row in rows], tuple(notes))


def _or_dash(number: float | None, form: str, unit: str = "") -> str:
    return "-" if number is None else f"{number:{form}}{unit}"
