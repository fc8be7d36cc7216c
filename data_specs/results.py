"""What an evaluation says."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """One number. AP, mAP, NDS and recall are fractions from 0 to 1."""

    name: str
    value: float  # NaN where the metric's empty case says so
    unit: str  # "1", "m", "rad", "m/s", "ms"
    slice: str  # what it is about: "all", a class, a source
    count: int  # how many truths (or matches) stand behind it
    interval: tuple[float, float] | None = None  # 95 %, where computed


@dataclass(frozen=True, slots=True)
class RunResult:
    """All scores of one protocol over one drive or many."""

    protocol: str
    drives: tuple[str, ...]
    scores: tuple[Score, ...]

    def to_json(self) -> dict[str, Any]:
        """{"protocol", "drives", "scores": [{"name", "value", "unit", "slice", "count", "interval"}]}; NaN becomes None."""
        rows = [asdict(score) for score in self.scores]
        for row in rows:
            if row["value"] != row["value"]:
                row["value"] = None
        return {"protocol": self.protocol, "drives": list(self.drives), "scores": rows}

    def value(self, name: str, slice: str = "all") -> float:
        """The value of one score; KeyError if there is none of that name and slice."""
        for score in self.scores:
            if (score.name, score.slice) == (name, slice):
                return score.value
        raise KeyError((name, slice))
