"""Scores of drives together, over every draw of them, from the outcome of every box (replay/metrics/outcomes.py).

Scores of all drives are nuScenes' (replay/metrics/detection.py): mAP and NDS over ten classes. In a slice
(replay/metrics/slices.py) AP is the mean over the classes with truth in it. Recall is the share of truths with a detection of
their class within 2 m that scores LEAST_SCORE or more, over all classes together; in the slices by who sees them it is over all
truths of the slice, elsewhere over those that nuScenes counts. Empty case: NaN for a slice or class without truth, and for a
draw that has none of it.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import NUSCENES_CLASSES, ObjectClass
from data_specs.results import Score
from replay.compiled import compiled
from replay.metrics import drawn_kernel
from replay.metrics.detection import ERROR_UNITS, ERRORS, RECALLS, UNDEFINED
from replay.metrics.matching import by_score
from replay.metrics.outcomes import ERROR_PLACE, PROTOCOL, Outcomes, concatenated
from replay.metrics.slices import SEEN_BY, slices_of

LEAST_SCORE = 0.3

Classes = dict[ObjectClass, tuple[Array, Array, int]]  # AP [rounds, distances], errors [rounds, 5], truths


@dataclass(frozen=True, slots=True)
class Drawn:
    """Scores of all drives, and what they are over each draw."""

    scores: tuple[Score, ...]
    by_round: Array  # f8 [rounds, scores]
    drives: Array  # i8 [scores]: how many drives have truths behind a score


@dataclass(frozen=True, slots=True)
class _Pool:
    """Rows of many drives, the drive of each [n], and how often each round draws each drive [rounds, drives]."""

    rows: Outcomes
    drive: Array
    times: Array

    def of(self, mask: Array) -> _Pool:
        return _Pool(self.rows[mask], self.drive[mask], self.times)

    def drives_behind(self, mask: Array) -> int:
        return len(np.unique(self.drive[mask]))

    def recall(self, truths: Array) -> Array:
        """Recall [rounds] over the truths of a mask [n]."""
        drives = self.times.shape[1]
        found = np.bincount(self.drive[truths & (self.rows.score >= LEAST_SCORE)], minlength=drives)
        total = self.times @ np.bincount(self.drive[truths], minlength=drives)
        return np.divide(self.times @ found, total, out=np.full(len(total), np.nan), where=total > 0)


_Column = tuple[Score, Array, int]  # its value is that of the first round; the values [rounds]; drives behind it


def drawn_scores(drives: Sequence[Outcomes], times: Array, conditions: Sequence[Mapping[str, str]] | None = None) -> Drawn:
    """The scores of all drives and over each draw; `times` i8 [rounds, drives], `conditions` as slices.conditions_of gives them.

    The scores have the values of every drive drawn once.
    """
    drive = np.repeat(np.arange(len(drives)), [len(one) for one in drives])
    pool = _Pool(concatenated(drives), drive, np.vstack([np.ones((1, len(drives)), np.int64), times]))
    columns = [*_whole(pool), *_sliced(pool, conditions or [{}] * len(drives))]
    return Drawn(tuple(score for score, _, _ in columns), np.stack([values[1:] for _, values, _ in columns], axis=1),
                 np.array([behind for _, _, behind in columns]))


def _column(name: str, where: str, unit: str, count: int, values: Array, behind: int) -> _Column:
    return Score(name, float(values[0]), unit, where, count), values, behind


def _whole(pool: _Pool) -> Iterator[_Column]:
    """Scores of all drives, then of each class that has truth."""
    everything, truths = _class_scores(pool), pool.rows.is_truth & pool.rows.counts
    behind = pool.drives_behind(truths)
    for name, unit, values in _overall(everything):
        yield _column(name, "all", unit, int(truths.sum()), values, behind)
    yield _column("recall", "all", "1", int(truths.sum()), pool.recall(truths), behind)
    for cls, (ap, errors, count) in everything.items():
        if count:
            of_class = truths & (pool.rows.label == cls)
            behind = pool.drives_behind(of_class)
            yield _column("AP", cls.title, "1", count, ap.mean(axis=1), behind)
            yield _column("recall", cls.title, "1", count, pool.recall(of_class), behind)
            for e, (name, unit) in enumerate(zip(ERRORS, ERROR_UNITS)):
                if e not in UNDEFINED.get(cls, ()):
                    yield _column(name, cls.title, unit, count, errors[:, e], behind)


def _sliced(pool: _Pool, conditions: Sequence[Mapping[str, str]]) -> Iterator[_Column]:
    """AP and recall of every slice that has truth."""
    truths = pool.rows.is_truth & pool.rows.counts
    for name, mask in slices_of(pool.rows, pool.drive, conditions):
        count, behind = int((truths & mask).sum()), pool.drives_behind(truths & mask)
        if count:
            classes = [ap.mean(axis=1) for ap, _, its in _class_scores(pool.of(mask), with_errors=False).values() if its]
            yield _column("AP", name, "1", count, _mean_of_known(classes), behind)
            yield _column("recall", name, "1", count, pool.recall(truths & mask), behind)
    for name, code in SEEN_BY.items():
        seen = pool.rows.is_truth & (pool.rows.seen_by == code)
        if seen.any():
            yield _column("recall", name, "1", int(seen.sum()), pool.recall(seen), pool.drives_behind(seen))


def _class_scores(pool: _Pool, with_errors: bool = True) -> Classes:
    """AP, errors and truths of each class; NaN in rounds without truth. Slices have no errors."""
    kernel, found, rows, times = compiled(drawn_kernel), {}, pool.rows, pool.times
    for cls in NUSCENES_CLASSES.values():
        of_class = rows.label == cls
        truths = np.bincount(pool.drive[of_class & rows.is_truth & rows.counts], minlength=times.shape[1])
        made = np.flatnonzero(of_class & ~rows.is_truth)
        made = made[by_score(rows.score[made])]
        ap, errors = np.zeros((len(times), len(PROTOCOL.distances_m))), np.zeros((len(times), len(ERRORS)))
        kernel.draw_scores(times, pool.drive[made], rows.score[made], np.ascontiguousarray(rows.right[made].T),
                           rows.errors[made if with_errors else made[:0]], truths, RECALLS, ERROR_PLACE, ap, errors)
        found[cls] = ap, errors, int(truths.sum())
    return found


def _overall(classes: Classes) -> Iterator[tuple[str, str, Any]]:
    """mAP, NDS and the mean errors as nuScenes means them: a class without truth has AP 0 and errors 1."""
    mean_ap = np.mean([np.nan_to_num(ap).mean(axis=1) for ap, _, _ in classes.values()], axis=0)
    errors = []
    for cls, (_, each, _) in classes.items():
        each = np.where(np.isnan(each), 1.0, each)
        each[:, list(UNDEFINED.get(cls, ()))] = np.nan
        errors.append(each)
    means = np.nanmean(errors, axis=0)
    yield "mAP", "1", mean_ap
    yield "NDS", "1", (5.0 * mean_ap + np.maximum(0.0, 1.0 - means).sum(axis=1)) / 10.0
    for e, (name, unit) in enumerate(zip(ERRORS, ERROR_UNITS)):
        yield f"m{name}", unit, means[:, e]


def _mean_of_known(values: Sequence[Array]) -> Array:
    """The mean [rounds] over classes of what is not NaN; NaN where all are."""
    stacked = np.stack(values)
    known = (~np.isnan(stacked)).sum(axis=0)
    return np.divide(np.nansum(stacked, axis=0), known, out=np.full(len(known), np.nan), where=known > 0)
