"""Greedy matching of detections to truth by distance of centres on the ground, many samples at a time.

Source: nuScenes detection task (Caesar et al. 2020, section 3.1): detections by descending score, each takes the nearest
truth of its sample that is still free, if that is strictly nearer than the threshold. Distances are rounded as numpy's norm
of one vector rounds them, so that ties fall as they do in nuscenes-devkit. Small inputs are matched in numpy, larger ones by
compiled loops (replay/metrics/greedy_kernel.py), with the same result.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.errors import FrameError
from data_specs.objects import ObjectClass, ObjectList, Truth
from replay.compiled import compiled
from replay.metrics import greedy_kernel
from replay.metrics.attributes import attribute_codes, likely_attributes

BATCH_PAIRS = 2_000_000  # distances held at once: 16 MB
COMPILED_FROM = 30_000  # detections; fewer are matched before numba is imported


@dataclass(frozen=True, slots=True)
class Flat:
    """Objects of many samples in one set of arrays; sorted by sample."""

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
        """The objects at a mask or an index array."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        arrays = [getattr(self, name).take(rows, axis=0) for name in array_fields(Flat)]
        for array in arrays:
            array.setflags(write=False)  # nobody else holds it: there is no need to copy it once more
        return Flat(*arrays)

    def of(self, cls: ObjectClass) -> Flat:
        """The objects of one class."""
        return self[self.label == cls]

    def places(self, rows: Array) -> Places:
        """Where the objects at an index array stand."""
        return Places(self.sample.take(rows), self.center_m.take(rows, axis=0))

    def by_class(self) -> dict[ObjectClass, Array]:
        """The rows of each class, in order."""
        ends = np.cumsum(np.bincount(self.label, minlength=len(ObjectClass)))
        return dict(zip(ObjectClass, np.split(np.argsort(self.label, kind="stable"), ends[:-1])))


@dataclass(frozen=True, slots=True)
class Places:
    """Where objects stand: all that matching looks at."""

    sample: Array  # i8 [n]
    center_m: Array  # f8 [n, 3]

    def __len__(self) -> int:
        return len(self.sample)


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


def by_score(score: Array) -> Array:
    """Row numbers [n] by descending score; of equal scores the later row first."""
    if len(score) < COMPILED_FROM:
        return np.argsort(score, kind="stable")[::-1]
    order = np.argsort(score)
    compiled(greedy_kernel).later_first(order, score)
    return order


def match_greedily(predictions: Flat, truths: Flat, thresholds_m: Sequence[float]) -> Array:
    """The row of `truths` that each prediction takes, [thresholds, n]; -1 where it takes none.

    A sample's matches depend on no other sample.
    """
    order = by_score(predictions.score)
    taken = np.empty((len(thresholds_m), len(predictions)), np.int64)
    taken[:, order] = match_in_order(predictions.places(order), truths, thresholds_m)
    return taken


def match_in_order(predictions: Places, truths: Flat, thresholds_m: Sequence[float]) -> Array:
    """match_greedily where the predictions choose in the order of their rows."""
    limits_m, place = np.unique(np.asarray(thresholds_m, np.float64), return_inverse=True)
    if not len(predictions) or not len(truths):
        return np.full((len(place), len(predictions)), -1, np.int64)
    match = match_in_numpy if len(predictions) < COMPILED_FROM else match_compiled
    return match(predictions, truths, limits_m)[place]


def match_in_numpy(predictions: Places, truths: Flat, limits_m: Array) -> Array:
    """match_in_order of neither empty, the k-th detections of all samples at once."""
    taken = np.full((len(limits_m), len(predictions)), -1, np.int64)
    order = np.argsort(predictions.sample, kind="stable")
    first_made, first_wanted = _first_rows(predictions, truths)
    made, wanted = np.diff(first_made), np.diff(first_wanted)
    both = np.flatnonzero((made > 0) & (wanted > 0))
    step = max(1, int(BATCH_PAIRS // max(1, made.max() * wanted.max())))
    for start in range(0, len(both), step):
        some = both[start:start + step]
        made_at, made_there = _padded(first_made[some], made[some])
        wanted_at, wanted_there = _padded(first_wanted[some], wanted[some])
        made_at = order[made_at]
        distance_m = lengths(predictions.center_m[made_at][:, :, None, :2] - truths.center_m[wanted_at][:, None, :, :2])
        distance_m[~(made_there[:, :, None] & wanted_there[:, None, :])] = np.inf
        column = _greedy(distance_m, limits_m)
        found = np.take_along_axis(np.broadcast_to(wanted_at, (len(limits_m), *wanted_at.shape)), np.maximum(column, 0), axis=2)
        taken[:, made_at[made_there]] = np.where(column >= 0, found, -1)[:, made_there]
    return taken


def match_compiled(predictions: Places, truths: Flat, limits_m: Array) -> Array:
    """match_in_order of neither empty, in compiled loops."""
    kernel = compiled(greedy_kernel)
    taken = np.full((len(limits_m), len(predictions)), -1, np.int64)
    first_made, first_wanted = _first_rows(predictions, truths)
    grouped = kernel.by_sample(predictions.sample, first_made)
    for some in _batches(first_made, first_wanted):
        places = grouped, first_made[some], first_wanted[some]
        distance_m = lengths(kernel.pair_offsets_m(predictions.center_m, truths.center_m, *places))
        for limit_m, row in zip(limits_m, taken):
            kernel.take_nearest(distance_m, limit_m, *places, row)
    return taken


def lengths(vector: Array) -> Array:
    """Lengths [...] of vectors [..., 2], each rounded as np.linalg.norm rounds that of one vector alone."""
    return np.sqrt((vector[..., None, :] @ vector[..., :, None])[..., 0, 0])


def ignored_truth_m(predictions: Places, truths: Flat) -> Array:
    """Distance [n] of each prediction to the truth nearest to it where that one is to be ignored, infinite where it is not."""
    if not truths.ignore.any():
        return np.full(len(predictions), np.inf)
    row, distance_m = _nearest_truth(predictions, truths)
    return np.where((row >= 0) & truths.ignore[row], distance_m, np.inf)


def _nearest_truth(predictions: Places, truths: Flat) -> tuple[Array, Array]:
    """Row [n] of `truths` nearest to each prediction in its sample, taken or not, and its distance [n]; -1 and inf if none."""
    row, distance_m = np.full(len(predictions), -1), np.full(len(predictions), np.inf)
    order = np.argsort(predictions.sample, kind="stable")
    for sample in np.intersect1d(predictions.sample, truths.sample):
        made = order[slice(*np.searchsorted(predictions.sample, [sample, sample + 1], sorter=order))]
        first, last = np.searchsorted(truths.sample, [sample, sample + 1])
        apart_m = lengths(predictions.center_m[made][:, None, :2] - truths.center_m[None, first:last, :2])
        row[made], distance_m[made] = first + apart_m.argmin(axis=1), apart_m.min(axis=1)
    return row, distance_m


def _attributes(sample: ObjectList | Truth) -> Array:
    if isinstance(sample, Truth):
        return attribute_codes(sample.attribute)
    return likely_attributes(sample.label, sample.velocity_mps)


def _first_rows(predictions: Places, truths: Flat) -> tuple[Array, Array]:
    """Where each sample's predictions and truths start once grouped by it, [samples + 1] each; the last is where they end."""
    samples = max(int(predictions.sample.max()), int(truths.sample.max())) + 1
    made, wanted = (np.bincount(places.sample, minlength=samples) for places in (predictions, truths))
    return np.append(0, np.cumsum(made)), np.append(0, np.cumsum(wanted))


def _batches(first_made: Array, first_wanted: Array) -> Iterator[slice]:
    """Runs of samples of about BATCH_PAIRS pairs each, as slices of the starts."""
    pairs = np.cumsum(np.diff(first_made) * np.diff(first_wanted))
    ends = np.searchsorted(pairs, np.arange(BATCH_PAIRS, pairs[-1] + BATCH_PAIRS, BATCH_PAIRS), side="right")
    bounds = np.unique(np.clip(np.concatenate([[0], ends, [len(pairs)]]), 0, len(pairs)))
    return (slice(start, end + 1) for start, end in pairwise(bounds.tolist()))


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
