"""Whether boxes are as sure as they say: their errors against their own covariances.

Judged is every match of a detection that scores 0.3 or more, within its class's range, with a truth that is visible to the ego
(see replay/metrics/visibility.py). Matches are nuScenes', so these are the errors that mATE is the mean of: by descending score,
each takes the nearest free truth of its class, seen or not, nearer than 2 m. Errors are kept however large they are; a
detection without a match is a false one, which AP counts, and has no error to judge.
- ANEES: the mean of e' P^-1 e / 2 over (x, y); 1 is honest, more is too sure, less too doubtful.
- held_90_<number>: the share of errors inside the region that should hold 90 % of them: an ellipse for (x, y) (named xy) and for
  (vx, vy) (velocity), an interval for each of x, y, z and yaw. x and y are those of the lists' frame.
Slices are "all", each class, and each class at 10 m of range ("car 10-20 m", by the detection's distance from the ego); a slice
without a detection is left out, a number that no detection states is NaN. Intervals are 95 %, by drive
(see replay/metrics/bootstrap.py).
Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 5.4.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.stats import chi2

from data_specs.arrays import Array
from data_specs.boxes import wrap_rad
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from data_specs.results import RunResult, Score
from replay.metrics.bootstrap import ROUNDS, drive_draws, interval_95
from replay.metrics.matching import Flat, flatten, match_greedily
from replay.metrics.perception_scores import CLASSES, ScoredDrive

LEAST_SCORE = 0.3
MATCH_M = 2.0
PROBABILITY = 0.9
CELL_M, FARTHEST_M = 10, 50
ENOUGH_OBJECTS = 400  # from which on a cell that misses PROBABILITY is told
NUMBERS = {"xy": (0, 1), "x": (0,), "y": (1,), "z": (2,), "yaw": (3,), "velocity": (4, 5)}  # rows of the covariance


@dataclass(frozen=True, slots=True)
class Judged:
    """Detections that were matched, of one class of one drive or of many."""

    label: Array  # u1 [n]
    drive: Array  # i8 [n], which drive
    range_m: Array  # f8 [n], from the ego
    nees: Array  # f8 [n, NUMBERS], squared errors in units of the stated covariance; NaN where none is stated


def nees(error: Array, covariance: Array) -> Array:
    """Squared Mahalanobis lengths [n] of errors [n, k] under covariances [n, k, k]; NaN where a covariance is not stated.

    SpecError where a stated covariance is not positive definite.
    """
    squared = np.full(len(error), np.nan)
    stated = np.flatnonzero(np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(error).all(axis=1))
    if not len(stated):
        return squared
    least = np.linalg.eigvalsh(covariance[stated])[:, 0]
    if least.min() <= 0.0:
        raise SpecError(f"covariance: least eigenvalue {least.min():.3g} at row {stated[least.argmin()]}, expected above 0")
    solved = np.linalg.solve(covariance[stated], error[stated, :, None])[..., 0]
    squared[stated] = (error[stated] * solved).sum(axis=1)
    return squared


def judge(drives: Sequence[ScoredDrive], classes: Sequence[ObjectClass] = CLASSES) -> Judged:
    """Match the detections of every drive; SpecError without drives or where a covariance cannot be one."""
    if not drives:
        raise SpecError("drives: none, expected at least one to judge")
    parts = [part for number, drive in enumerate(drives) for part in _judged(drive, number, classes)]
    return Judged(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Judged)))


def consistency(drives: Sequence[ScoredDrive], classes: Sequence[ObjectClass] = CLASSES, rounds: int = ROUNDS,
                seed: int = 0) -> RunResult:
    """ANEES and the held shares of every slice, each with count and interval."""
    judged = judge(drives, classes)
    draws = drive_draws(len(drives), rounds, seed)
    scores: list[Score] = []
    for name, rows in _slices(judged, classes):
        drive, squared = judged.drive[rows], judged.nees[rows]
        scores.append(_score("ANEES", squared[:, 0] / 2.0, drive, draws, name))
        for number, (what, parts) in enumerate(NUMBERS.items()):
            inside = np.where(np.isnan(squared[:, number]), np.nan, squared[:, number] <= chi2.ppf(PROBABILITY, len(parts)))
            scores.append(_score(f"held_90_{what}", inside, drive, draws, name))
    return RunResult("consistency", tuple(drive.drive_id for drive in drives), tuple(scores))


def cells_that_miss(result: RunResult) -> tuple[Score, ...]:
    """The class and range cells of ENOUGH_OBJECTS or more whose (x, y) regions do not hold 90 %: their interval leaves it out."""
    cells = [score for score in result.scores if score.name == "held_90_xy" and score.slice.endswith(" m")]
    return tuple(cell for cell in cells if cell.count >= ENOUGH_OBJECTS and cell.interval is not None
                 and not cell.interval[0] <= PROBABILITY <= cell.interval[1])


def _judged(drive: ScoredDrive, number: int, classes: Sequence[ObjectClass]) -> Iterator[Judged]:
    """The matches of one drive, class by class."""
    lists, truths = drive.within_range()
    there = flatten(truths)
    for cls in classes:
        sure = [objects[(objects.label == cls) & (objects.score >= LEAST_SCORE)] for objects in lists]
        made, wanted = flatten(sure), there.of(cls)
        row = match_greedily(made, wanted, [MATCH_M])[0]
        kept = row >= 0
        kept[kept] = ~wanted.ignore[row[kept]]
        covariance = np.concatenate([objects.covariance for objects in sure])[kept]
        yield _measured(made[kept], wanted[row[kept]], covariance, drive.ego_m, number)


def _measured(made: Flat, wanted: Flat, covariance: Array, ego_m: Array, number: int) -> Judged:
    """Matched pairs of one drive, and their errors in units of the covariances [n, 6, 6]."""
    error = np.column_stack([made.center_m - wanted.center_m, wrap_rad(made.yaw_rad - wanted.yaw_rad),
                             made.velocity_mps - wanted.velocity_mps])
    offset_m = made.center_m[:, :2] - ego_m[made.sample, :2]
    squared = [nees(error[:, parts], covariance[:, parts][:, :, parts]) for parts in NUMBERS.values()]
    return Judged(made.label, np.full(len(made), number), np.hypot(offset_m[:, 0], offset_m[:, 1]), np.column_stack(squared))


def _slices(judged: Judged, classes: Sequence[ObjectClass]) -> Iterator[tuple[str, Array]]:
    """Names and masks [n] of the slices that hold a detection."""
    cell = judged.range_m // CELL_M
    slices = [("all", np.ones(len(judged.label), bool))]
    slices += [(cls.title, judged.label == cls) for cls in classes]
    slices += [(f"{cls.title} {near}-{near + CELL_M} m", (judged.label == cls) & (cell == near // CELL_M))
               for cls in classes for near in range(0, FARTHEST_M, CELL_M)]
    return ((name, rows) for name, rows in slices if rows.any())


def _score(name: str, values: Array, drive: Array, draws: Array, where: str) -> Score:
    """The mean of what is known of values [n] of drives [n], and its interval over draws [rounds, drives]."""
    known = ~np.isnan(values)
    drives = draws.shape[1]
    total = draws @ np.bincount(drive[known], values[known], drives)
    count = draws @ np.bincount(drive[known], minlength=drives)
    by_round = np.divide(total, count, out=np.full(len(draws), np.nan), where=count > 0)
    low, high = interval_95(by_round)
    mean = float(values[known].mean()) if known.any() else float("nan")
    return Score(name, mean, "1", where, int(known.sum()), (float(low), float(high)))
