"""Boxes of tracks over the samples of scenes, made ready as the nuScenes tracking task asks.

A track's score is the mean over its boxes. Where a track has no box at a sample between its first and last, one is put in
between its neighbours, after those that were there. nuscenes-devkit gives the later neighbour the weight of the earlier and
the other way round, and so does this: what it puts in is the mirror of the straight line, as far as it is not the middle.
Source: nuscenes-devkit 1.2.0, nuscenes.eval.tracking.loaders.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields, require_finite
from data_specs.errors import SpecError
from data_specs.objects import ObjectList


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """The samples of all scenes: scene after scene, by time within each."""

    scene: Annotated[Array, Spec("i8", "n")]
    time_ns: Annotated[Array, Spec("i8", "n")]

    def __post_init__(self) -> None:
        lock_fields(self)
        backwards = np.flatnonzero((np.diff(self.scene) < 0) | ((np.diff(self.scene) == 0) & (np.diff(self.time_ns) <= 0)))
        if len(backwards):
            k = int(backwards[0])
            raise SpecError(f"time_ns: sample {k + 1} does not follow sample {k}, expected scenes one after another and rising "
                            "times in each")

    def __len__(self) -> int:
        return len(self.scene)


@dataclass(frozen=True, slots=True)
class TrackBoxes:
    """Boxes of tracks in one set of arrays, sorted by sample. A track has one box a sample, and its number belongs to a scene."""

    sample: Annotated[Array, Spec("i8", "n")]  # row of SampleTimes
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    xy_m: Annotated[Array, Spec("f8", "n", 2)]
    score: Annotated[Array, Spec("f8", "n")]
    track_id: Annotated[Array, Spec("i8", "n")]

    def __post_init__(self) -> None:
        lock_fields(self)
        require_finite("xy_m", self.xy_m)
        require_finite("score", self.score)
        if (np.diff(self.sample) < 0).any():
            raise SpecError("sample: falls, expected boxes sorted by sample")
        order = np.lexsort((self.track_id, self.sample))
        twice = np.flatnonzero((np.diff(self.sample[order]) == 0) & (np.diff(self.track_id[order]) == 0))
        if len(twice):
            row = order[twice[0]]
            raise SpecError(f"track_id: {self.track_id[row]} stands twice in sample {self.sample[row]}, expected once")

    def __len__(self) -> int:
        return len(self.sample)

    def __getitem__(self, rows: Array) -> TrackBoxes:
        """The boxes at a mask or an index array."""
        return TrackBoxes(*(getattr(self, name)[rows] for name in array_fields(TrackBoxes)))


def track_boxes(samples: Sequence[ObjectList]) -> TrackBoxes:
    """The boxes of one list a sample; SpecError where an object belongs to no track."""
    numbers = np.repeat(np.arange(len(samples)), [len(objects) for objects in samples])
    if not len(numbers):
        return TrackBoxes(numbers, numbers, np.zeros((0, 2)), np.zeros(0), numbers)
    boxes = TrackBoxes(numbers, np.concatenate([objects.label for objects in samples]),
                       np.concatenate([objects.boxes.center_m[:, :2] for objects in samples]),
                       np.concatenate([objects.score for objects in samples]),
                       np.concatenate([objects.track_id for objects in samples]))
    if (boxes.track_id < 0).any():
        row = int(np.flatnonzero(boxes.track_id < 0)[0])
        raise SpecError(f"track_id: {boxes.track_id[row]} in sample {boxes.sample[row]}, expected every object to have a track")
    return boxes


def with_track_scores(boxes: TrackBoxes, times: SampleTimes) -> TrackBoxes:
    """The boxes with the mean score of their track in place of their own."""
    order, first = by_track(boxes, times)
    mean = [np.mean(scores) for scores in np.split(boxes.score[order], first[1:])] if len(boxes) else []
    score = np.empty(len(boxes))
    score[order] = np.repeat(mean, np.diff(np.append(first, len(boxes))))
    return TrackBoxes(boxes.sample, boxes.label, boxes.xy_m, score, boxes.track_id)


def with_gaps_filled(boxes: TrackBoxes, times: SampleTimes) -> TrackBoxes:
    """The boxes and, after those of each sample, the ones that its interrupted tracks lack, by first appearance of the track."""
    order, first = by_track(boxes, times)
    left, right = order[:-1], order[1:]
    last = np.isin(np.arange(1, len(order)), first)  # the right one begins another track
    missing = np.where(last, 0, boxes.sample[right] - boxes.sample[left] - 1)
    count = int(missing.sum())
    if not count:
        return boxes
    step = np.arange(count) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    left, right = np.repeat(left, missing), np.repeat(right, missing)
    sample = boxes.sample[left] + step
    begin, end = times.time_ns[boxes.sample[left]], times.time_ns[boxes.sample[right]]
    weight = (end - times.time_ns[sample]).astype(float) / (end - begin)
    xy_m = (1.0 - weight)[:, None] * boxes.xy_m[left] + weight[:, None] * boxes.xy_m[right]
    score = (1.0 - weight) * boxes.score[left] + weight * boxes.score[right]
    appeared = np.repeat(order[first], np.diff(np.append(first, len(order))))  # row of the track's first box, along order
    place = np.empty(len(boxes), np.int64)
    place[order] = appeared
    rank = np.concatenate([np.arange(len(boxes)), len(boxes) + place[left]])
    parts = [np.concatenate(pair) for pair in (
        (boxes.sample, sample), (boxes.label, boxes.label[right]), (boxes.xy_m, xy_m), (boxes.score, score),
        (boxes.track_id, boxes.track_id[left]))]
    sequence = np.lexsort((rank, parts[0]))
    return TrackBoxes(*(part[sequence] for part in parts))


def by_track(boxes: TrackBoxes, times: SampleTimes) -> tuple[Array, Array]:
    """Rows [n] sorted by scene, track and time, and where in them each track starts."""
    scene = times.scene[boxes.sample]
    order = np.lexsort((boxes.sample, boxes.track_id, scene))
    starts = (np.diff(scene[order], prepend=-1) != 0) | (np.diff(boxes.track_id[order], prepend=-1) != 0)
    if len(starts):
        starts[0] = True
    return order, np.flatnonzero(starts)
