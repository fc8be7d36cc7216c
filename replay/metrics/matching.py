"""Greedy matching of detections to truth by distance of centres on the ground, many samples at a time.

Source: nuScenes detection task (Caesar et al. 2020, section 3.1): detections by descending score, each takes the nearest
truth of its sample that is still free, if that is strictly nearer than the threshold.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.errors import FrameError
from data_specs.objects import ObjectClass, ObjectList, Truth
from replay.metrics.attributes import attribute_codes, likely_attributes

BATCH_PAIRS = 2_000_000  # distances held at once: 16 MB


@dataclass(frozen=True, slots=True)
class Flat:
    """Objects of many samples in one set of arrays, sorted by sample."""

    sample: Annotated[Array, Spec("i8", "n")]  # which sample, from 0
    row: Annotated[Array, Spec("i8", "n")]  # of the sample's own list
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    center_m: Annotated[Array, Spec("f8", "n", 3)]
    size_lwh_m: Annotated[Array, Spec("f8", "n", 3)]
    yaw_rad: Annotated[Array, Spec("f8", "n")]
    velocity_mps: Annotated[Array, Spec("f8", "n", 2)]
    attribute: Annotated[Array, Spec("u1", "n")]  # replay.metrics.attributes: as said of truths, as likely of detections
    score: Annotated[Array, Spec("f8", "n")]
    ignore: Annotated[Array, Spec("?", "n")]  # of truths alone

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, rows: Array) -> Flat:
        """The objects at a mask."""
        return Flat(*(getattr(self, name)[rows] for name in array_fields(Flat)))

    def of(self, cls: ObjectClass) -> Flat:
        """The objects of one class."""
        return self[self.label == cls]


def flatten(samples: Sequence[ObjectList] | Sequence[Truth]) -> Flat:
    """The objects of all samples; FrameError if the samples' frames differ."""
    lists = [sample.objects if isinstance(sample, Truth) else sample for sample in samples]
    frames = {objects.boxes.frame for objects in lists if len(objects)}
    if len(frames) > 1:
        raise FrameError(f"samples are in frames {sorted(frames)}, expected one frame")
    if not lists:
        return flatten([ObjectList.empty("map", "")])
    counts = [len(objects) for objects in lists]
    return Flat(
        np.repeat(np.arange(len(lists)), counts), np.concatenate([np.arange(count) for count in counts]),
        np.concatenate([objects.label for objects in lists]),
        np.concatenate([objects.boxes.center_m for objects in lists]),
        np.concatenate([objects.boxes.size_lwh_m for objects in lists]),
        np.concatenate([objects.boxes.yaw_rad for objects in lists]),
        np.concatenate([objects.velocity_mps for objects in lists]), np.concatenate([_attributes(sample) for sample in samples]),
        np.concatenate([objects.score for objects in lists]),
        np.concatenate([sample.ignore if isinstance(sample, Truth) else np.zeros(len(sample), bool) for sample in samples]),
    )


def by_score(predictions: Flat) -> Array:
    """Row numbers [n] by descending score over all samples; of equal scores the later row first."""
    return np.lexsort((np.arange(len(predictions)), predictions.score))[::-1]


def match_greedily(predictions: Flat, truths: Flat, thresholds_m: Sequence[float]) -> Array:
    """The row of `truths` that each prediction takes, [thresholds, n]; -1 where it takes none.

    The k-th best detections of all samples are matched at once: a sample's matches depend on no other sample.
    """
    limits_m = np.asarray(thresholds_m, np.float64)
    taken = np.full((len(limits_m), len(predictions)), -1, np.int64)
    if not len(predictions) or not len(truths):
        return taken
    order = by_score(predictions)
    order = order[np.argsort(predictions.sample[order], kind="stable")]  # by sample, best first within it
    samples = max(int(predictions.sample.max()), int(truths.sample.max())) + 1
    made, wanted = (np.bincount(flat.sample, minlength=samples) for flat in (predictions, truths))
    first_made, first_wanted = np.cumsum(made) - made, np.cumsum(wanted) - wanted
    both = np.flatnonzero((made > 0) & (wanted > 0))
    step = max(1, int(BATCH_PAIRS // max(1, made.max() * wanted.max())))
    for start in range(0, len(both), step):
        some = both[start:start + step]
        made_at, made_there = _padded(first_made[some], made[some])
        wanted_at, wanted_there = _padded(first_wanted[some], wanted[some])
        made_at = order[made_at]
        offset_m = predictions.center_m[made_at][:, :, None, :2] - truths.center_m[wanted_at][:, None, :, :2]
        distance_m = np.sqrt((offset_m * offset_m).sum(axis=-1))
        distance_m[~(made_there[:, :, None] & wanted_there[:, None, :])] = np.inf
        column = _greedy(distance_m, limits_m)
        found = np.take_along_axis(np.broadcast_to(wanted_at, (len(limits_m), *wanted_at.shape)), np.maximum(column, 0), axis=2)
        taken[:, made_at[made_there]] = np.where(column >= 0, found, -1)[:, made_there]
    return taken


def ignored_truth_m(predictions: Flat, truths: Flat) -> Array:
    """Distance [n] of each prediction to the truth nearest to it where that one is to be ignored, infinite where it is not."""
    if not truths.ignore.any():
        return np.full(len(predictions), np.inf)
    row, distance_m = _nearest_truth(predictions, truths)
    return np.where((row >= 0) & truths.ignore[row], distance_m, np.inf)


def _nearest_truth(predictions: Flat, truths: Flat) -> tuple[Array, Array]:
    """Row [n] of `truths` nearest to each prediction in its sample, taken or not, and its distance [n]; -1 and inf if none."""
    row, distance_m = np.full(len(predictions), -1), np.full(len(predictions), np.inf)
    for sample in np.intersect1d(predictions.sample, truths.sample):
        made = slice(*np.searchsorted(predictions.sample, [sample, sample + 1]))
        first, last = np.searchsorted(truths.sample, [sample, sample + 1])
        offset_m = predictions.center_m[made, None, :2] - truths.center_m[None, first:last, :2]
        apart_m = np.sqrt((offset_m * offset_m).sum(axis=-1))
        row[made], distance_m[made] = first + apart_m.argmin(axis=1), apart_m.min(axis=1)
    return row, distance_m


def _attributes(sample: ObjectList | Truth) -> Array:
    if isinstance(sample, Truth):
        return attribute_codes(sample.attribute)
    return likely_attributes(sample.label, sample.velocity_mps)


def _padded(first: Array, count: Array) -> tuple[Array, Array]:
    """Row numbers [s, widest] from `first`, and a mask of those below `count`; the rest repeat the first row."""
    place = np.arange(count.max())
    there = place < count[:, None]
    return np.where(there, first[:, None] + place, first[:, None]), there


def _greedy(distance_m: Array, limits_m: Array) -> Array:
    """Column [h, s, p] that each row of distances [s, p, t] takes, rows in order, per threshold; -1 for none."""
    samples, rows, _ = distance_m.shape
    free_m = np.zeros((len(limits_m), samples, distance_m.shape[2]))  # 0 while free, then infinite
    column = np.full((len(limits_m), samples, rows), -1, np.int64)
    for row in range(rows):
        reach_m = distance_m[None, :, row] + free_m
        nearest = reach_m.argmin(axis=-1)
        hit = np.take_along_axis(reach_m, nearest[..., None], axis=-1)[..., 0] < limits_m[:, None]
        column[:, :, row][hit] = nearest[hit]
        threshold, sample = np.nonzero(hit)
        free_m[threshold, sample, nearest[hit]] = np.inf
    return column
