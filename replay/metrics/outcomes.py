"""What became of every box of a drive: the rows from which scores of any slice, and of any draw of drives, are made.

A row is a detection (score, whether it was right at each distance, its errors) or a truth (whether it was found). A detection
that takes a truth at 4 m stands in that truth's slices, any other in those of its own range and speed. Range is from the ego, in
the plane. Scores of all drives together are nuScenes' (replay/metrics/detection.py): mAP and NDS over ten classes; in a slice of
range or speed, AP is the mean over the classes with truth in it. Empty case: NaN for a slice or class without truth.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.objects import NUSCENES_CLASSES, ObjectClass
from data_specs.results import Score
from replay.compiled import compiled
from replay.drive import VEHICLE_OBJECTS, Drive
from replay.metrics import drawn_kernel
from replay.metrics.detection import (
    ERROR_UNITS,
    ERRORS,
    RECALLS,
    UNDEFINED,
    DetectionProtocol,
    judge,
    scored_moments,
)
from replay.metrics.matching import Flat, by_score, flatten, match_in_order

PROTOCOL = DetectionProtocol()
ERROR_PLACE = PROTOCOL.distances_m.index(PROTOCOL.error_distance_m)
RANGES_M = ((0.0, 20.0), (20.0, 40.0), (40.0, np.inf))
SPEEDS_MPS = ((0.0, 0.5), (0.5, 5.0), (5.0, np.inf))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Boxes of one drive, or of many one after another. Equal to an Arrow table of the same columns."""

    is_truth: Annotated[Array, Spec("?", "n")]
    time_ns: Annotated[Array, Spec("i8", "n")]
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    score: Annotated[Array, Spec("f8", "n")]  # NaN of truths
    right: Annotated[Array, Spec("?", "n", 4)]  # detections: took a truth at each distance; truths: were taken
    errors: Annotated[Array, Spec("f8", "n", 5)]  # of detections right at 2 m; NaN elsewhere, and where nobody can say
    range_m: Annotated[Array, Spec("f8", "n")]
    speed_mps: Annotated[Array, Spec("f8", "n")]  # NaN where nobody measured it
    xy_m: Annotated[Array, Spec("f8", "n", 2)]  # from the ego, along map's axes

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Array) -> Outcomes:
        """The rows at a mask or index array."""
        return Outcomes(*(getattr(self, name)[rows] for name in array_fields(Outcomes)))


def outcomes_of(drive: Drive, topic: str = VEHICLE_OBJECTS) -> Outcomes:
    """Judge every detection and truth of a drive; InputError as evaluate_nuscenes raises it."""
    found, truths, ego_m = scored_moments(drive, topic, PROTOCOL)
    made, wanted = flatten(found), flatten(truths)
    times_ns, places_m = np.array(list(ego_m), np.int64), np.array([place[:2] for place in ego_m.values()], float).reshape(-1, 2)
    taken = np.full((len(PROTOCOL.distances_m), len(made)), -1)
    errors = np.full((len(made), len(ERRORS)), np.nan)
    for cls in NUSCENES_CLASSES.values():
        rows, truth_rows = np.flatnonzero(made.label == cls), np.flatnonzero(wanted.label == cls)
        rows = rows[by_score(made.score[rows])]
        place = match_in_order(made.places(rows), wanted[truth_rows], PROTOCOL.distances_m)
        taken[:, rows] = np.where(place >= 0, truth_rows[place] if len(truth_rows) else -1, -1)
        errors[rows] = judge(made, rows, wanted[truth_rows], cls, PROTOCOL).errors
    return _joined_rows(made, wanted, taken, errors, times_ns, places_m)


def concatenated(parts: Sequence[Outcomes]) -> Outcomes:
    """The rows of all parts, in order."""
    return Outcomes(*(np.concatenate([getattr(part, name) for part in parts]) for name in array_fields(Outcomes)))


def slices_of(outcomes: Outcomes) -> Iterator[tuple[str, Array]]:
    """Names and masks [n] of the slices by range and speed; boxes of unknown speed are in none of speed."""
    for low, high in RANGES_M:
        yield _span("range", low, high, "m"), (outcomes.range_m >= low) & (outcomes.range_m < high)
    for low, high in SPEEDS_MPS:
        yield _span("speed", low, high, "m/s"), (outcomes.speed_mps >= low) & (outcomes.speed_mps < high)


def drawn_scores(drives: Sequence[Outcomes], times: Array) -> tuple[list[Score], Array]:
    """The scores of all drives, and each of them over each draw [rounds, scores]; `times` i8 [rounds, drives].

    The first has the values of every drive drawn once.
    """
    pool = concatenated(drives)
    drive = np.repeat(np.arange(len(drives)), [len(one) for one in drives])
    times = np.vstack([np.ones((1, len(drives)), np.int64), times])
    everything = _class_scores(pool, drive, times)
    columns = list(_overall(everything))
    for cls, (ap, errors, truths) in everything.items():
        if truths:
            columns.append((("AP", cls.title, "1", truths), ap.mean(axis=1)))
            columns += [((name, cls.title, unit, truths), errors[:, e])
                        for e, (name, unit) in enumerate(zip(ERRORS, ERROR_UNITS)) if e not in UNDEFINED.get(cls, ())]
    for name, mask in slices_of(pool):
        classes = [part for part in _class_scores(pool[mask], drive[mask], times).values() if part[2]]
        if classes:
            truths = sum(part[2] for part in classes)
            columns.append((("AP", name, "1", truths), np.nan_to_num([part[0].mean(axis=1) for part in classes]).mean(axis=0)))
    scores = [Score(name, float(values[0]), unit, slice, count) for (name, slice, unit, count), values in columns]
    return scores, np.stack([values[1:] for _, values in columns], axis=1)


def _class_scores(pool: Outcomes, drive: Array, times: Array) -> dict[ObjectClass, tuple[Array, Array, int]]:
    """AP [rounds, distances], errors [rounds, 5] and truths of each class; NaN in rounds without truth."""
    kernel, found = compiled(drawn_kernel), {}
    for cls in NUSCENES_CLASSES.values():
        of_class = pool.label == cls
        truths = np.bincount(drive[of_class & pool.is_truth], minlength=times.shape[1])
        rows = np.flatnonzero(of_class & ~pool.is_truth)
        rows = rows[by_score(pool.score[rows])]
        ap, errors = np.zeros((len(times), len(PROTOCOL.distances_m))), np.zeros((len(times), len(ERRORS)))
        kernel.draw_scores(times, drive[rows], pool.score[rows], np.ascontiguousarray(pool.right[rows].T), pool.errors[rows],
                           truths, RECALLS, ERROR_PLACE, ap, errors)
        found[cls] = ap, errors, int(truths.sum())
    return found


def _overall(classes: dict[ObjectClass, tuple[Array, Array, int]]) -> Iterator[tuple[tuple[str, str, str, int], Array]]:
    """mAP, NDS and the mean errors as nuScenes means them: a class without truth has AP 0 and errors 1."""
    count = sum(truths for _, _, truths in classes.values())
    mean_ap = np.mean([np.nan_to_num(ap).mean(axis=1) for ap, _, _ in classes.values()], axis=0)
    errors = []
    for cls, (_, each, _) in classes.items():
        each = np.where(np.isnan(each), 1.0, each)
        each[:, list(UNDEFINED.get(cls, ()))] = np.nan
        errors.append(each)
    means = np.nanmean(errors, axis=0)
    yield ("mAP", "all", "1", count), mean_ap
    yield ("NDS", "all", "1", count), (5.0 * mean_ap + np.maximum(0.0, 1.0 - means).sum(axis=1)) / 10.0
    for e, (name, unit) in enumerate(zip(ERRORS, ERROR_UNITS)):
        yield (f"m{name}", "all", unit, count), means[:, e]


def _joined_rows(made: Flat, wanted: Flat, taken: Array, errors: Array, times_ns: Array, places_m: Array) -> Outcomes:
    widest = taken[-1]
    made_xy_m, wanted_xy_m = made.center_m[:, :2] - places_m[made.sample], wanted.center_m[:, :2] - places_m[wanted.sample]
    at = np.where((widest >= 0)[:, None], wanted_xy_m[widest] if len(wanted) else made_xy_m, made_xy_m)
    speed_mps, truth_mps = (np.linalg.norm(flat.velocity_mps, axis=1) for flat in (made, wanted))
    speed_mps = np.where(widest >= 0, truth_mps[widest], speed_mps) if len(wanted) else speed_mps
    hit = np.zeros((len(wanted), len(taken)), bool)
    for k, rows in enumerate(taken):
        hit[rows[rows >= 0], k] = True
    return Outcomes(
        np.repeat([False, True], [len(made), len(wanted)]), times_ns[np.concatenate([made.sample, wanted.sample])],
        np.concatenate([made.label, wanted.label]), np.concatenate([made.score, np.full(len(wanted), np.nan)]),
        np.concatenate([taken.T >= 0, hit]), np.concatenate([errors, np.full((len(wanted), len(ERRORS)), np.nan)]),
        np.linalg.norm(np.concatenate([at, wanted_xy_m]), axis=1), np.concatenate([speed_mps, truth_mps]),
        np.concatenate([made_xy_m, wanted_xy_m]))


def _span(what: str, low: float, high: float, unit: str) -> str:
    return f"{what} {low:g}+ {unit}" if high == np.inf else f"{what} {low:g}-{high:g} {unit}"
