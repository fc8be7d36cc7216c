"""DAIR-V2X's average precision of cooperative detection (VIC3D), in space and from above, of each source of a drive.

As the data set's own evaluator does it (protocol vic-sync): boxes count of which a corner stands within RANGE_M of the vehicle's
LiDAR; vans, trucks and buses are cars. Frame by frame each truth, in the order of the labels, takes the free box that overlaps it
most and by the threshold at least, whatever its score; of equal overlaps the one with the lower score. AP is the area under the
precision, made falling, by recall. The evaluator leaves out the step to the first recall: n truths that are all found, with no
wrong box, have AP (n - 1) / n. Empty case: NaN without truths, 0 without boxes.
Slices are the sources: vehicle, roadside, fused. Overlaps are those of upright boxes in `map`, where the evaluator's stand in the
frame of the LiDAR, which may lean a little. Roadside boxes are the nearest in time, moved to the moment by their velocities.
Source: github.com/AIR-THU/DAIR-V2X, v2x/v2x_utils/eval_utils.py, v2x/config.py and v2x/dataset/dair_v2x_for_detection.py;
Yu et al., DAIR-V2X (CVPR 2022).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.results import RunResult, Score
from data_specs.sensors import Sample
from replay.drive import EGO_SAMPLES, TRUTH, Drive
from replay.metrics.overlap import near_pairs, upright_iou
from replay.metrics.sources import SOURCES, read_moments

RANGE_M = ((-10.0, -49.68, -3.0), (79.12, 49.68, 1.0))  # in the vehicle's LiDAR
LIDAR = "ego-lidar"  # as the importer names it
CLASSES: Mapping[str, tuple[tuple[ObjectClass, ...], tuple[float, ...]]] = MappingProxyType({
    "car": ((ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS), (0.3, 0.5, 0.7)),
    "pedestrian": ((ObjectClass.PEDESTRIAN,), (0.25, 0.5)),
    "cyclist": ((ObjectClass.BICYCLE,), (0.25, 0.5)),
})
VIEWS = ("3D", "BEV")

Frame = tuple[ObjectList, ObjectList]  # truths, boxes found; both in map


def evaluate_dair(drive: Drive) -> RunResult:
    """AP of every source, class, view and threshold; InputError without truth, objects, or the place of the vehicle's LiDAR."""
    name = drive.info.drive_id
    if TRUTH not in drive.info.topics:
        raise InputError(f"drive {name}", f"no {TRUTH}", "a drive with joint truth, as 'roadweave import dair-v2x' makes")
    ego_from_lidar = _ego_from_lidar(drive)
    moments = [(moment, (moment.map_from_ego @ ego_from_lidar).inverse())
               for moment in read_moments(drive, nearest_roadside=True) if moment.map_from_ego is not None]
    scores: list[Score] = []
    for source in SOURCES:
        if any(source in moment.objects for moment, _ in moments):
            frames = []
            for moment, lidar_from_map in moments:
                said = moment.objects.get(source, ObjectList.empty("map", source))
                truths = moment.truth.objects[~moment.truth.ignore]
                frames.append((truths[in_range(truths, lidar_from_map)], said[in_range(said, lidar_from_map)]))
            scores += frame_scores(frames, source)
    if not scores:
        raise InputError(f"drive {name}", f"topics {', '.join(drive.info.topics)}", "objects of the vehicle, a unit or both")
    return RunResult("dair-v2x", (name,), tuple(scores))


def frame_scores(frames: Sequence[Frame], where: str) -> list[Score]:
    """AP of every class, view and threshold over frames."""
    scores = []
    for name, (labels, thresholds) in CLASSES.items():
        of_class = [(truths[np.isin(truths.label, labels)], found[np.isin(found.label, labels)]) for truths, found in frames]
        count = sum(len(truths) for truths, _ in of_class)
        for view in VIEWS:
            for threshold in thresholds:
                ap = average_precision(of_class, threshold, view)
                scores.append(Score(f"{name}_{view}_AP_{threshold:.2f}", ap, "1", where, count))
    return scores


def average_precision(frames: Sequence[Frame], threshold: float, view: str) -> float:
    """AP, 0 to 1, over frames of truths and boxes of one class; NaN without truths."""
    truths = sum(len(wanted) for wanted, _ in frames)
    if not truths:
        return float("nan")
    scores, hits = [], []
    for wanted, found in frames:
        found = found[np.argsort(-found.score, kind="stable")]
        right = right_boxes(overlaps(wanted, found, view), threshold)
        order = np.concatenate([right, np.setdiff1d(np.arange(len(found)), right)]).astype(np.intp)  # right ones first, by truth
        scores.append(found.score[order])
        hits.append(np.arange(len(found)) < len(right))
    score, hit = np.concatenate(scores), np.concatenate(hits)
    hit = hit[np.argsort(-score, kind="stable")]
    recall, precision = np.cumsum(hit) / truths, np.cumsum(hit) / np.arange(1, len(hit) + 1)
    falling = np.flip(np.maximum.accumulate(np.flip(precision)))
    return float((np.diff(recall) * falling[1:]).sum())


def right_boxes(overlap: Array, threshold: float) -> Array:
    """The boxes that truths take, in the order of the truths; `overlap` [truths, boxes], boxes by falling score."""
    free, taken = np.ones(overlap.shape[1], bool), []
    for row in overlap:
        fits = np.where(free & (row >= threshold), row, -1.0)
        if fits.max(initial=-1.0) >= 0.0:
            best = int(np.flatnonzero(fits == fits.max())[-1])
            free[best] = False
            taken.append(best)
    return np.array(taken, np.intp)


def overlaps(truths: ObjectList, found: ObjectList, view: str) -> Array:
    """Intersection over union [truths, boxes] in space ("3D") or from above ("BEV")."""
    a, b = (np.column_stack([objects.boxes.center_m[:, :2], objects.boxes.size_lwh_m[:, :2], objects.boxes.yaw_rad])
            for objects in (truths, found))
    rows_a, rows_b = near_pairs(a, b)
    low_a_m, low_b_m = (objects.boxes.center_m[:, 2] - objects.boxes.size_lwh_m[:, 2] / 2 for objects in (truths, found))
    plane, space = upright_iou(a[rows_a], b[rows_b], low_a_m[rows_a], (low_a_m + truths.boxes.size_lwh_m[:, 2])[rows_a],
                               low_b_m[rows_b], (low_b_m + found.boxes.size_lwh_m[:, 2])[rows_b])
    overlap = np.zeros((len(truths), len(found)))
    overlap[rows_a, rows_b] = space if view == "3D" else plane
    return overlap


def in_range(objects: ObjectList, lidar_from_map: SE3) -> Array:
    """Mask [n] of the objects that have a corner within RANGE_M."""
    if not len(objects):
        return np.zeros(0, bool)
    corners_m = lidar_from_map.apply(objects.boxes.corners_m().reshape(-1, 3)).reshape(-1, 8, 3)
    inside: Array = np.all((corners_m >= RANGE_M[0]) & (corners_m <= RANGE_M[1]), axis=2)
    return np.any(inside, axis=1)


def _ego_from_lidar(drive: Drive) -> SE3:
    for event in drive.events(topics=[EGO_SAMPLES]):
        if isinstance(event.payload, Sample) and LIDAR in event.payload.ego_from_sensor:
            return event.payload.ego_from_sensor[LIDAR]
    raise InputError(f"drive {drive.info.drive_id}", f"no pose of {LIDAR!r} in {EGO_SAMPLES}",
                     "a drive of DAIR-V2X: boxes count by their place in the vehicle's LiDAR")

