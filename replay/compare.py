"""What changed between two runs over the same drives: which truths one finds and the other does not, which false boxes are new.

A truth is found by a run where a box of its class that scores `least_score` or more takes it within 2 m; the outcome table
(replay/metrics/outcomes.py) says so. Truths without a LiDAR point count here too: they are what a second source is for. A false
box is one that scores as much and takes no truth at all. Two false boxes are one and the same where both runs have them at one
moment, of one class, within 2 m, paired at the least sum of distances. Empty case: two runs without a change have no rows of it.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.errors import InputError
from replay.metrics.drawn_scores import LEAST_SCORE
from replay.metrics.outcomes import ERROR_PLACE, PROTOCOL, Outcomes

CHANGES = ("lost", "gained", "new_false", "gone_false")


@dataclass(frozen=True, slots=True)
class Judged:
    """One run over one drive."""

    drive_id: str
    folder: str  # the drive's name in a library of drives
    start_ns: int  # of the drive
    outcomes: Outcomes
    track_id: Array  # i8 [n] of the outcomes' rows: identities of truths, tracks of boxes; -1 = none, or not known any more
    silent: int = 0  # moments of truth of which the run says nothing at all


@dataclass(frozen=True, slots=True)
class Fates:
    """What two runs made of each truth, and of each false box of either. The runs are A and B."""

    drive: Annotated[Array, Spec("i8", "n")]  # its place in Comparison.drives
    is_truth: Annotated[Array, Spec("?", "n")]
    in_a: Annotated[Array, Spec("?", "n")]  # truths: found by A; false boxes: said by A
    in_b: Annotated[Array, Spec("?", "n")]
    time_ns: Annotated[Array, Spec("i8", "n")]
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    score_a: Annotated[Array, Spec("f8", "n")]  # of the box of A, however low; NaN where it has none
    score_b: Annotated[Array, Spec("f8", "n")]
    range_m: Annotated[Array, Spec("f8", "n")]  # from the ego
    speed_mps: Annotated[Array, Spec("f8", "n")]
    seen_by: Annotated[Array, Spec("u1", "n")]  # of truths: replay.metrics.outcomes
    xy_m: Annotated[Array, Spec("f8", "n", 2)]  # from the ego, along map's axes
    track_id: Annotated[Array, Spec("i8", "n")]  # -1 = none

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Array) -> Fates:
        """The rows at a mask or index array."""
        return Fates(*(getattr(self, name)[rows] for name in array_fields(Fates)))

    def changes(self) -> dict[str, Array]:
        """A mask [n] for each of CHANGES: truths lost or gained by B, false boxes that are new in B or gone."""
        only_a, only_b = self.in_a & ~self.in_b, self.in_b & ~self.in_a
        return {"lost": self.is_truth & only_a, "gained": self.is_truth & only_b,
                "new_false": ~self.is_truth & only_b, "gone_false": ~self.is_truth & only_a}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the drives that both have."""

    runs_a: tuple[Judged, ...]
    drives: tuple[Judged, ...]  # the same ones, as B has them
    fates: Fates
    only_a: tuple[str, ...]  # ids of drives that one alone has
    only_b: tuple[str, ...]
    least_score: float


def compare(a: Sequence[Judged], b: Sequence[Judged], least_score: float = LEAST_SCORE) -> Comparison:
    """Compare two runs drive by drive, by id; InputError where they share no drive, or a drive's truth is not the same."""
    first, second = {one.drive_id: one for one in a}, {one.drive_id: one for one in b}
    both = sorted(first.keys() & second.keys())
    if not both:
        got = f"drives {', '.join(sorted(first))} in A and {', '.join(sorted(second))} in B"
        raise InputError("compare", got, "two runs over the same drives")
    parts = [fates_of(first[name], second[name], i, least_score) for i, name in enumerate(both)]
    fates = Fates(*(np.concatenate([getattr(part, name) for part in parts]) for name in array_fields(Fates)))
    only_a, only_b = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
    return Comparison(tuple(first[name] for name in both), tuple(second[name] for name in both), fates, tuple(only_a),
                      tuple(only_b), least_score)


def fates_of(a: Judged, b: Judged, drive: int, least_score: float) -> Fates:
    """The rows of one drive, `drive` its place; InputError where the runs were judged against different truth."""
    ours, theirs = a.outcomes, b.outcomes
    truths_a, truths_b = np.flatnonzero(ours.is_truth), np.flatnonzero(theirs.is_truth)
    _require_same_truth(a.drive_id, ours[truths_a], theirs[truths_b])
    score_a, score_b = ours.score[truths_a], theirs.score[truths_b]
    truths = _rows(b, truths_b, drive, score_a >= least_score, score_b >= least_score, score_a, score_b)
    false_a, false_b = false_boxes(ours, least_score), false_boxes(theirs, least_score)
    twin_a, twin_b = _twins(ours, false_a, theirs, false_b)
    alone = np.setdiff1d(false_a, twin_a)
    score_of_twin = np.full(len(theirs), np.nan)
    score_of_twin[twin_b] = ours.score[twin_a]
    yes_a, yes_b = np.ones(len(alone), bool), np.ones(len(false_b), bool)
    parts = [truths,
             _rows(a, alone, drive, yes_a, ~yes_a, ours.score[alone], np.full(len(alone), np.nan)),
             _rows(b, false_b, drive, np.isin(false_b, twin_b), yes_b, score_of_twin[false_b], theirs.score[false_b])]
    return Fates(*(np.concatenate([getattr(part, name) for part in parts]) for name in array_fields(Fates)))


def false_boxes(rows: Outcomes, least_score: float) -> Array:
    """Row numbers of the boxes that score enough and take no truth within 2 m, counted or not."""
    hidden = np.flatnonzero(rows.is_truth & ~rows.counts & (rows.score >= least_score))
    excused = Counter(zip(rows.time_ns[hidden].tolist(), rows.label[hidden].tolist(), rows.score[hidden].tolist()))
    kept = []
    for row in np.flatnonzero(~rows.is_truth & (rows.score >= least_score) & ~rows.right[:, ERROR_PLACE]).tolist():
        key = int(rows.time_ns[row]), int(rows.label[row]), float(rows.score[row])  # a truth has the very score of what took it
        if excused[key]:
            excused[key] -= 1
        else:
            kept.append(row)
    return np.array(kept, np.int64)


def tally(fates: Fates) -> dict[str, int]:
    """Counts over rows: truths, those that A and B found, false boxes of A and B, and the four changes."""
    false = ~fates.is_truth
    return {"truths": int(fates.is_truth.sum()), "found_a": int((fates.is_truth & fates.in_a).sum()),
            "found_b": int((fates.is_truth & fates.in_b).sum()), "false_a": int((false & fates.in_a).sum()),
            "false_b": int((false & fates.in_b).sum()), **{name: int(mask.sum()) for name, mask in fates.changes().items()}}


def _rows(run: Judged, rows: Array, drive: int, in_a: Array, in_b: Array, score_a: Array, score_b: Array) -> Fates:
    own = run.outcomes[rows]
    return Fates(np.full(len(rows), drive), own.is_truth, in_a, in_b, own.time_ns, own.label, score_a, score_b, own.range_m,
                 own.speed_mps, own.seen_by, own.xy_m, run.track_id[rows])


def _twins(a: Outcomes, rows_a: Array, b: Outcomes, rows_b: Array) -> tuple[Array, Array]:
    """Row numbers of the false boxes that both have, those of A beside those of B."""
    from scipy.optimize import linear_sum_assignment

    groups: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for side, (outcomes, rows) in enumerate(((a, rows_a), (b, rows_b))):
        for row in rows.tolist():
            groups.setdefault((int(outcomes.time_ns[row]), int(outcomes.label[row])), ([], []))[side].append(row)
    reach_m = PROTOCOL.error_distance_m
    pairs = [np.zeros((0, 2), np.int64)]
    for ours, theirs in groups.values():
        apart_m = np.linalg.norm(a.xy_m[ours][:, None] - b.xy_m[theirs][None], axis=-1)
        i, j = linear_sum_assignment(np.where(apart_m <= reach_m, apart_m, 1e6))  # finite: a row may have nothing within reach
        near = apart_m[i, j] <= reach_m
        pairs.append(np.stack([np.array(ours, np.int64)[i[near]], np.array(theirs, np.int64)[j[near]]], axis=1))
    found = np.concatenate(pairs)
    return found[:, 0], found[:, 1]


def _require_same_truth(drive_id: str, a: Outcomes, b: Outcomes) -> None:
    names = ("time_ns", "label", "xy_m", "place_m")
    if len(a) != len(b) or any(not np.array_equal(getattr(a, name), getattr(b, name)) for name in names):
        raise InputError(f"drive {drive_id}", f"{len(a)} truths in A, {len(b)} in B, not the same ones",
                         "two runs judged against the same truth", "compare the drives instead of old results, or evaluate anew")
