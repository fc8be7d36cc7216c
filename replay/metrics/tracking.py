"""nuScenes tracking metrics: AMOTA, AMOTP and the CLEAR MOT figures of seven classes.

Boxes are matched to truth of their class nearer than 2 m (replay/metrics/tracking_kernel.py) at 40 thresholds of the tracks'
scores, those that would reach recalls 1, 0.977 .. 0.1 if every match stayed one. Of each class:
- AMOTA (fraction): mean over the thresholds of MOTAR = max(0, 1 - (FP + IDS + FN - (1 - r) GT) / (r GT)), r = TP / GT, and 0
  where the recall is never reached. AMOTP (m): likewise the mean of MOTP, and 2 where it is never reached.
- the others at the threshold of the highest MOTA = max(0, 1 - (FP + IDS + FN) / GT), the highest recall among equals: RECALL
  (fraction), MOTAR, GT (boxes), MOTP (m, of all matches), MT and ML (objects matched in at least 80 % or under 20 % of their
  samples), FAF (false boxes in 100 samples that hold any box), TP, FP, FN, IDS, FRAG (interruptions of matched objects), TID
  and LGD (s: from first sight to the first match, and the longest gap, means over the objects that were ever matched).
MT, ML, TP, FP, FN, IDS and FRAG of all classes are sums, everything else is the mean over the classes that have it.
Empty cases: a class without truth has NaN throughout; one without a match has AMOTA, MOTAR, MOTA, RECALL, TP and MT 0, AMOTP
and MOTP 2, FAF 500, TID and LGD 20, everything missed and lost, FP, IDS and FRAG NaN.
Source: nuScenes tracking task, configuration tracking_nips_2019, as nuscenes-devkit 1.2.0 computes it with motmetrics 1.4 and
scipy, distances as scikit-learn rounds them included.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from replay.compiled import compiled
from replay.metrics import tracking_kernel as kernel
from replay.metrics.detection import RANGE_M
from replay.metrics.track_boxes import SampleTimes, TrackBoxes, with_gaps_filled, with_track_scores
from replay.metrics.tracking_kernel import COLUMNS, COUNTS, Frames

TRACKING_CLASSES = (ObjectClass.BICYCLE, ObjectClass.BUS, ObjectClass.CAR, ObjectClass.MOTORCYCLE, ObjectClass.PEDESTRIAN,
                    ObjectClass.TRAILER, ObjectClass.TRUCK)
FIGURES = {"AMOTA": "1", "AMOTP": "m", "RECALL": "1", "MOTAR": "1", "GT": "1", "MOTA": "1", "MOTP": "m", "MT": "1", "ML": "1",
           "FAF": "1", "TP": "1", "FP": "1", "FN": "1", "IDS": "1", "FRAG": "1", "TID": "s", "LGD": "s"}  # and their units
_SUMMED = ("MT", "ML", "TP", "FP", "FN", "IDS", "FRAG")
COMPILED_FROM = 300  # boxes of a class; fewer are followed before numba is imported


@dataclass(frozen=True)
class TrackingProtocol:
    """What nuScenes fixes."""

    match_m: float = 2.0
    least_recall: float = 0.1
    thresholds: int = 40
    sample_s: float = 0.5  # from one sample to the next, for TID and LGD
    range_m: Mapping[ObjectClass, float] = field(default_factory=lambda: {cls: RANGE_M[cls] for cls in TRACKING_CLASSES})


Figures = dict[str, float]  # by name, the keys of FIGURES


def tracking_results(predictions: TrackBoxes, truths: TrackBoxes, times: SampleTimes,
                     protocol: TrackingProtocol) -> dict[ObjectClass, Figures]:
    """The figures of every class, from boxes as they were submitted: scores are averaged and gaps filled here."""
    made = with_gaps_filled(with_track_scores(predictions, times), times)
    wanted = with_gaps_filled(truths, times)
    return {cls: class_figures(made[made.label == cls], wanted[wanted.label == cls], times, protocol) for cls in TRACKING_CLASSES}


def mean_figures(results: Mapping[ObjectClass, Figures]) -> Figures:
    """The figures of all classes together."""
    overall = {}
    for name in FIGURES:
        values = np.array([result[name] for result in results.values()])
        known = values[~np.isnan(values)]
        overall[name] = float(known.sum()) if name in _SUMMED else float(known.mean()) if len(known) else float("nan")
    return overall


def class_figures(made: TrackBoxes, wanted: TrackBoxes, times: SampleTimes, protocol: TrackingProtocol) -> Figures:
    """The figures of one class, from its boxes with the scores of their tracks and without gaps."""
    if not len(wanted):
        return dict.fromkeys(FIGURES, float("nan"))
    followed = _Followed(made, wanted, times, protocol)
    thresholds = score_thresholds(followed.match_scores(), len(wanted), protocol)
    reached = np.unique(thresholds[~np.isnan(thresholds)])
    if not len(reached):
        return _nothing_matched(wanted, protocol)
    each = {threshold: followed.figures(threshold) for threshold in reached.tolist()}
    rows = [each[threshold] for threshold in thresholds.tolist() if threshold == threshold]  # from the highest recall down
    unreached = int(np.isnan(thresholds).sum())
    best = max(rows, key=lambda row: row["MOTA"])  # the first of equals
    motp = [row["MOTP"] if row["MOTP"] == row["MOTP"] else protocol.match_m for row in rows]
    motar = [row["MOTAR"] if row["MOTAR"] == row["MOTAR"] else 0.0 for row in rows]
    return best | {"AMOTA": float(np.mean([0.0] * unreached + motar)),
                   "AMOTP": float(np.mean([protocol.match_m] * unreached + motp))}


def score_thresholds(match_scores: Array, truths: int, protocol: TrackingProtocol) -> Array:
    """The score [thresholds] that each recall asks for, from the highest recall down; NaN for recalls that are never reached."""
    recalls = np.linspace(protocol.least_recall, 1, protocol.thresholds).round(12)
    if not len(match_scores):
        return np.full(len(recalls), np.nan)
    score = np.sort(match_scores)[::-1]
    reached = np.arange(1, len(score) + 1) / truths
    thresholds = np.interp(recalls, reached, score, right=0)
    thresholds[recalls > reached[-1]] = np.nan
    return thresholds[::-1]


class _Followed:
    """One class's boxes, ready to be matched at any threshold."""

    def __init__(self, made: TrackBoxes, wanted: TrackBoxes, times: SampleTimes, protocol: TrackingProtocol) -> None:
        self.made, self.wanted, self.protocol = made, wanted, protocol
        self.functions = compiled(kernel) if len(made) + len(wanted) >= COMPILED_FROM else kernel
        self.objects, self.obj = _numbers(wanted, times)
        self.tracks, track = _numbers(made, times)
        starts = np.arange(len(times) + 1)
        first_truth, first_made = np.searchsorted(wanted.sample, starts), np.searchsorted(made.sample, starts)
        self.there, here = np.diff(first_truth), np.diff(first_made)
        pairs = self.there * here
        first_pair = np.cumsum(pairs) - pairs
        distance_m = np.empty(int(pairs.sum()))
        for f in np.flatnonzero((self.there > 1) & (here > 1)):
            distance_m[first_pair[f]:first_pair[f] + pairs[f]] = expanded_distances_m(
                wanted.xy_m[first_truth[f]:first_truth[f + 1]], made.xy_m[first_made[f]:first_made[f + 1]]).ravel()
        self.frames = Frames(times.scene, first_truth, first_made, self.obj, track, made.score, distance_m, first_pair)
        self._thin: dict[tuple[int, int], Array] = {}

    def match_scores(self) -> Array:
        """The scores of the boxes that are matched without being a switch when all boxes are kept."""
        return self.made.score[self._follow(-np.inf)[0]]

    def figures(self, threshold: float) -> Figures:
        """Everything but AMOTA and AMOTP at one threshold."""
        _, counts, history, total_m = self._follow(threshold)
        frames, matches, switches, misses, false = counts.tolist()
        total = len(self.wanted)
        hit = history[history[:, kernel.HITS] > 0]
        share = history[:, kernel.HITS] / history[:, kernel.SEEN]
        late = hit[:, kernel.FIRST_HIT] - hit[:, kernel.FIRST_SEEN]
        gap = np.maximum(hit[:, kernel.GAP], hit[:, kernel.LAST_SEEN] - hit[:, kernel.LAST_HIT])
        recall = matches / total
        wrong = misses + switches + false
        return {
            "RECALL": (matches + switches) / total, "GT": float(total),
            "MOTAR": max(0.0, 1 - (wrong - (1 - recall) * total) / (recall * total)) if matches else float("nan"),
            "MOTA": max(0.0, 1.0 - wrong / total), "MOTP": float(total_m) / len_or_nan(matches + switches),
            "MT": float((share >= 0.8).sum()), "ML": float((share < 0.2).sum()), "FAF": false / frames * 100,
            "TP": float(matches), "FP": float(false), "FN": float(misses), "IDS": float(switches),
            "FRAG": float(hit[:, kernel.BREAKS].sum()),
            "TID": float(late.sum()) * self.protocol.sample_s / len_or_nan(len(hit)),
            "LGD": float(gap.sum()) * self.protocol.sample_s / len_or_nan(len(hit)),
        }

    def _follow(self, threshold: float) -> tuple[Array, Array, Array, float]:
        matched, counts = np.zeros(len(self.made), bool), np.zeros(COUNTS, np.int64)
        history = np.zeros((self.objects, COLUMNS), np.int64)
        history[:, kernel.TRACK] = -1
        thin_m, first_thin = self._thin_distances_m(threshold)
        column = np.full(self.tracks, -1)
        total_m = self.functions.follow(self.frames, threshold, self.protocol.match_m, thin_m, first_thin, column, history,
                                        counts, matched)
        return matched, counts, history, total_m

    def _thin_distances_m(self, threshold: float) -> tuple[Array, Array]:
        """Distances of the frames with one truth or one kept box, and where each frame's start.

        The products behind them are rounded otherwise, by how many boxes there are, than those of larger frames.
        """
        kept = self.made.score >= threshold
        here = np.bincount(self.made.sample[kept], minlength=len(self.there))
        thin = (self.there > 0) & (here > 0) & ((self.there == 1) | (here == 1))
        tables, first = [np.zeros(0)], np.zeros(len(self.there), np.int64)
        first[thin] = np.cumsum((self.there * here)[thin]) - (self.there * here)[thin]
        for f in np.flatnonzero(thin).tolist():
            key = f, int(here[f])  # which boxes are kept follows from how many
            if key not in self._thin:
                truths = slice(self.frames.first_truth[f], self.frames.first_truth[f + 1])
                boxes = slice(self.frames.first_made[f], self.frames.first_made[f + 1])
                self._thin[key] = expanded_distances_m(self.wanted.xy_m[truths], self.made.xy_m[boxes][kept[boxes]]).ravel()
            tables.append(self._thin[key])
        return np.concatenate(tables), first


def expanded_distances_m(a_m: Array, b_m: Array) -> Array:
    """Distances [n, m] of points [n, 2] and [m, 2] as scikit-learn rounds them: the root of a a - 2 a b + b b.

    Points in metres of a city's map lose up to half their digits so; nuscenes-devkit's own figures hold that error.
    """
    squared = -2 * (a_m @ b_m.T)
    squared += np.einsum("ij,ij->i", a_m, a_m)[:, None]
    squared += np.einsum("ij,ij->i", b_m, b_m)[None]
    return np.sqrt(np.maximum(squared, 0.0))


def len_or_nan(count: int) -> float:
    """A count to divide by: NaN where it is 0, as a mean of nothing is."""
    return float(count) if count else float("nan")


def _numbers(boxes: TrackBoxes, times: SampleTimes) -> tuple[int, Array]:
    """How many tracks of a scene there are, and the number [n] of each box's."""
    key = np.column_stack([times.scene[boxes.sample], boxes.track_id])
    unique, number = np.unique(key, axis=0, return_inverse=True)
    return len(unique), number.reshape(-1)


def _nothing_matched(wanted: TrackBoxes, protocol: TrackingProtocol) -> Figures:
    """What the task gives a class that has truth and no match at all."""
    nan = float("nan")
    return {"AMOTA": 0.0, "AMOTP": protocol.match_m, "RECALL": 0.0, "MOTAR": 0.0, "GT": float(len(wanted)), "MOTA": 0.0,
            "MOTP": protocol.match_m, "MT": 0.0, "ML": float(len(np.unique(wanted.track_id))), "FAF": 500.0, "TP": 0.0, "FP": nan,
            "FN": float(len(wanted)), "IDS": nan, "FRAG": nan, "TID": 20.0, "LGD": 20.0}
