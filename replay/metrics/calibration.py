"""Whether scores mean what they say: of all boxes that score 0.7, seven in ten should be right.

Boxes fall into ten bins of equal width by what they state. Expected calibration error (ECE): the mean over boxes of the distance
between what their bin states on average and the share of it that is right; the largest of these distances is MCE. 0 is honest.
Empty case: NaN without boxes, and in a bin that has none.
Protocol calibration tells both of each source (slices vehicle, roadside, fused), at all moments of truth: "score" is right where
the box takes a truth of its class within 2 m, "existence" where it takes one of any class, both by descending value. Boxes that
take nothing and stand nearest to a truth to be ignored, within 2 m, do not count. Bins are told as score_right_0.3 and so on.
Source: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (ICML 2017), section 2.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.objects import ObjectList, Truth
from data_specs.results import RunResult, Score
from replay.drive import TRUTH, Drive
from replay.metrics.matching import Flat, by_score, flatten, ignored_truth_m, match_in_order
from replay.metrics.sources import SOURCES, read_moments

MATCH_M = 2.0
BINS = 10
EDGES = np.linspace(0.0, 1.0, BINS + 1)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Ten bins of what boxes state."""

    stated: Array  # f8 [10], mean in the bin; NaN where it is empty
    right: Array  # f8 [10], share that is right; NaN where it is empty
    count: Array  # i8 [10]

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1; NaN without boxes."""
        total = self.count.sum()
        return float(np.nansum(self.count * np.abs(self.stated - self.right)) / total) if total else float("nan")

    @property
    def mce(self) -> float:
        """Largest distance of a bin that has boxes; NaN without boxes."""
        return float(np.nanmax(np.abs(self.stated - self.right))) if self.count.sum() else float("nan")


def bin_of(stated: Array) -> Array:
    """The bin [n] of what boxes state [n], 0 to 1; 1 is in the last."""
    return np.clip(np.digitize(stated, EDGES) - 1, 0, BINS - 1)


def reliability(stated: Array, right: Array) -> Reliability:
    """The bins of boxes that state a probability [n] and are right or not [n]."""
    place = bin_of(stated)
    count = np.bincount(place, minlength=BINS)
    nothing = np.full(BINS, np.nan)
    means = [np.divide(np.bincount(place, values.astype(float), BINS), count, out=nothing.copy(), where=count > 0)
             for values in (stated, right)]
    return Reliability(means[0], means[1], count)


def evaluate_calibration(drive: Drive) -> RunResult:
    """ECE, MCE and bins of every source that the drive holds; InputError without truth or objects."""
    name, topics = drive.info.drive_id, drive.info.topics
    if TRUTH not in topics:
        raise InputError(f"drive {name}", f"no {TRUTH}", "a drive with truth")
    moments = read_moments(drive)
    truths = [moment.truth for moment in moments]
    scores: list[Score] = []
    for source in SOURCES:
        if any(source in moment.objects for moment in moments):
            lists = [moment.objects.get(source, ObjectList.empty("map", source)) for moment in moments]
            scores += calibration_scores(lists, truths, source)
    if not scores:
        raise InputError(f"drive {name}", f"topics {', '.join(topics)}", "objects of the vehicle, a unit or both")
    return RunResult("calibration", (name,), tuple(scores))


def calibration_scores(lists: Sequence[ObjectList], truths: Sequence[Truth], where: str) -> list[Score]:
    """Scores of one source: the k-th list was said at the moment of the k-th truth."""
    made, wanted = flatten(lists), flatten(truths)
    existence = np.concatenate([objects.existence for objects in lists]).astype(float)
    any_class = [replace(flat, label=np.zeros(len(flat), np.uint8)) for flat in (made, wanted)]
    found = []
    for name, stated, (boxes, there) in (("score", made.score, (made, wanted)), ("existence", existence, any_class)):
        right, counts = _right(replace(boxes, score=stated), there)
        bins = reliability(stated[counts], right[counts])
        total = int(counts.sum())
        found += [Score(f"{name}_ECE", bins.ece, "1", where, total), Score(f"{name}_MCE", bins.mce, "1", where, total)]
        found += [Score(f"{name}_right_{edge:.1f}", float(share), "1", where, int(count))
                  for edge, share, count in zip(EDGES, bins.right, bins.count)]
    return found


def _right(made: Flat, wanted: Flat) -> tuple[Array, Array]:
    """Which boxes take a truth of their class [n], and which count [n]."""
    right, counts = np.zeros(len(made), bool), np.ones(len(made), bool)
    for label in np.unique(made.label):
        rows, there = np.flatnonzero(made.label == label), wanted[wanted.label == label]
        rows = rows[by_score(made.score[rows])]
        places = made.places(rows)
        right[rows] = match_in_order(places, there[~there.ignore], [MATCH_M])[0] >= 0
        counts[rows] = right[rows] | (ignored_truth_m(places, there) >= MATCH_M)
    return right, counts
