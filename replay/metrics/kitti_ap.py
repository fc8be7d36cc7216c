"""KITTI's average precision for detections, in the image, in the bird's-eye view and in space.

Source: Geiger, Lenz, Urtasun (CVPR 2012) and the object development kit's evaluate_object.cpp; AP40 after Simonelli et al.,
Disentangling Monocular 3D Object Detection (ICCV 2019). It equals mmdetection3d's kitti_eval.
Units: fractions from 0 to 1. With no object to find an AP is 0, as in both; the count beside it tells.
KITTI samples precision at score floors, at most one per object found: n objects cap AP40 at (n - 1) / 40. The plain AP is
the mean of the interpolated precision over the recalls 1/40 to 40/40, without that cap.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.objects import ObjectClass
from replay.metrics.overlap import image_overlap, near_pairs, upright_iou

RECALLS = 41
COUNTED, PASSED_OVER, FOREIGN = 0, 1, -1


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which truths must be found: others of the class are passed over, and so are detections too low in the image."""

    name: str
    min_height_px: float
    max_occlusion: int
    max_truncation: float


@dataclass(frozen=True, slots=True)
class EvaluatedClass:
    """A class, the one like it whose truths are passed over, and the least overlap of each measure (strict, loose)."""

    name: str
    label: ObjectClass
    neighbour: ObjectClass
    min_overlaps: Mapping[str, tuple[float, ...]]


DIFFICULTIES = (Difficulty("easy", 40, 0, 0.15), Difficulty("moderate", 25, 1, 0.3), Difficulty("hard", 25, 2, 0.5))
CLASSES = (
    EvaluatedClass("Car", ObjectClass.CAR, ObjectClass.VAN, {"3D": (0.7, 0.5), "BEV": (0.7, 0.5), "BBOX": (0.7,)}),
    EvaluatedClass("Pedestrian", ObjectClass.PEDESTRIAN, ObjectClass.PERSON_SITTING,
                   {"3D": (0.5, 0.25), "BEV": (0.5, 0.25), "BBOX": (0.5,)}),
    EvaluatedClass("Cyclist", ObjectClass.BICYCLE, ObjectClass.BICYCLE, {"3D": (0.5, 0.25), "BEV": (0.5, 0.25), "BBOX": (0.5,)}),
)


@dataclass(frozen=True, slots=True)
class KittiBoxes:
    """Boxes of one frame as KITTI writes them, truths or detections; DontCare has the label UNKNOWN."""

    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    score: Annotated[Array, Spec("f8", "n")]  # of detections; 1 for truths
    image_box_px: Annotated[Array, Spec("f8", "n", 4)]  # left, top, right, bottom
    size_hwl_m: Annotated[Array, Spec("f8", "n", 3)]  # height, width, length
    bottom_m: Annotated[Array, Spec("f8", "n", 3)]  # middle of the bottom face in the rectified camera frame, y down
    rotation_y_rad: Annotated[Array, Spec("f8", "n")]  # about y
    truncation: Annotated[Array, Spec("f8", "n")]  # of truths; NaN unknown
    occlusion: Annotated[Array, Spec("i1", "n")]  # of truths; -1 unknown

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.label)

    def rectangles(self) -> Array:
        """x, z, length, width and yaw in the camera's xz plane [n, 5]: rotation_y turns clockwise there."""
        return np.column_stack([self.bottom_m[:, [0, 2]], self.size_hwl_m[:, [2, 1]], -self.rotation_y_rad])


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """One line of KITTI's table."""

    object_class: str
    measure: str  # 3D, BEV or BBOX
    difficulty: str
    min_overlap: float
    ap11: float
    ap40: float
    ap40_plain: float
    count: int  # truths to be found


@dataclass(frozen=True, slots=True)
class _Frame:
    truth: KittiBoxes
    found: KittiBoxes
    overlap: Mapping[str, Array]  # by measure, [detections, truths]
    on_dont_care: Array  # largest part [detections] of a detection's image box inside one DontCare area


def average_precisions(frames: Sequence[tuple[KittiBoxes, KittiBoxes]]) -> list[AveragePrecision]:
    """All lines of KITTI's table for (truths, detections) of many frames."""
    prepared = [_prepare(truth, found) for truth, found in frames]
    return [_line(prepared, kind, measure, difficulty, min_overlap)
            for kind in CLASSES for measure, overlaps in kind.min_overlaps.items()
            for min_overlap in overlaps for difficulty in DIFFICULTIES]


def score_floors(hits: Array, count: int) -> Array:
    """Scores [t], falling, at which KITTI samples precision: the hits' scores [k] nearest to recalls 0, 1/40, 2/40, ..."""
    floors, recall = [], 0.0
    ordered = np.sort(hits)[::-1]
    for i, score in enumerate(ordered):
        last = i == len(ordered) - 1
        left, right = (i + 1) / count, (i + 1 if last else i + 2) / count
        if right - recall < recall - left and not last:
            continue
        floors.append(score)
        recall += 1 / (RECALLS - 1.0)
    return np.array(floors, np.float64)


def truth_states(truth: KittiBoxes, kind: EvaluatedClass, difficulty: Difficulty) -> Array:
    """COUNTED, PASSED_OVER or FOREIGN [n]."""
    height_px = truth.image_box_px[:, 3] - truth.image_box_px[:, 1]
    hard = (truth.occlusion > difficulty.max_occlusion) | (truth.truncation > difficulty.max_truncation) | (
        height_px <= difficulty.min_height_px)
    of_class = truth.label == kind.label
    return np.where(of_class & ~hard, COUNTED, np.where(of_class | (truth.label == kind.neighbour), PASSED_OVER, FOREIGN))


def found_states(found: KittiBoxes, kind: EvaluatedClass, difficulty: Difficulty) -> Array:
    """COUNTED, PASSED_OVER or FOREIGN [n]; what is too low in the image is passed over whatever its class."""
    low = np.abs(found.image_box_px[:, 3] - found.image_box_px[:, 1]) < difficulty.min_height_px
    return np.where(low, PASSED_OVER, np.where(found.label == kind.label, COUNTED, FOREIGN))


def hit_scores(overlap: Array, truth_state: Array, found_state: Array, score: Array, min_overlap: float) -> list[float]:
    """Scores of detections that hit a counted truth: truth by truth, the best score of those that overlap [d, g] enough."""
    free, hits = found_state != FOREIGN, []
    for column in np.flatnonzero(truth_state != FOREIGN):
        fits = free & (overlap[:, column] > min_overlap)
        if fits.any():
            chosen = int(np.argmax(np.where(fits, score, -np.inf)))
            free[chosen] = False
            if truth_state[column] == found_state[chosen] == COUNTED:
                hits.append(float(score[chosen]))
    return hits


def counts_by_floor(overlap: Array, truth_state: Array, found_state: Array, score: Array, excused: Array,
                    min_overlap: float) -> tuple[Array, Array, Array]:
    """The frame's own scores, falling [f], and with each as the floor the true [f] and false [f] detections.

    Truth by truth, the detection that overlaps most takes it; one that is passed over only where no counted one fits.
    `excused` [d] detections are never false.
    """
    floors = np.unique(score)[::-1]
    if not len(floors):
        return floors, np.zeros(0, np.int64), np.zeros(0, np.int64)
    free = (score >= floors[:, None]) & (found_state != FOREIGN)
    counted = found_state == COUNTED
    true = np.zeros(len(floors), np.int64)
    rows = np.arange(len(floors))
    for column in np.flatnonzero(truth_state != FOREIGN):
        fits = free & (overlap[:, column] > min_overlap)
        fit_and_counted = fits & counted
        by_overlap = np.argmax(np.where(fit_and_counted, overlap[:, column], -1.0), axis=1)
        is_counted = fit_and_counted.any(axis=1)
        chosen = np.where(is_counted, by_overlap, np.argmax(fits, axis=1))
        taken = fits.any(axis=1)
        free[rows[taken], chosen[taken]] = False
        if truth_state[column] == COUNTED:
            true += is_counted
    return floors, true, (free & counted & ~excused).sum(axis=1)


def _prepare(truth: KittiBoxes, found: KittiBoxes) -> _Frame:
    dont_care = truth.label == ObjectClass.UNKNOWN
    plane, space = np.zeros((2, len(found), len(truth)))
    rectangles_a, rectangles_b = found.rectangles(), truth.rectangles()
    rows_a, rows_b = near_pairs(rectangles_a, rectangles_b)
    low_a_m, low_b_m = -found.bottom_m[rows_a, 1], -truth.bottom_m[rows_b, 1]
    plane[rows_a, rows_b], space[rows_a, rows_b] = upright_iou(
        rectangles_a[rows_a], rectangles_b[rows_b], low_a_m, low_a_m + found.size_hwl_m[rows_a, 0],
        low_b_m, low_b_m + truth.size_hwl_m[rows_b, 0])
    image, _ = image_overlap(found.image_box_px, truth.image_box_px)
    _, part = image_overlap(found.image_box_px, truth.image_box_px[dont_care])
    return _Frame(truth, found, {"3D": space, "BEV": plane, "BBOX": image}, part.max(axis=1, initial=0.0))


def _states(frames: Sequence[_Frame], kind: EvaluatedClass, difficulty: Difficulty) -> Iterator[tuple[_Frame, Array, Array]]:
    for frame in frames:
        yield frame, truth_states(frame.truth, kind, difficulty), found_states(frame.found, kind, difficulty)


def _line(frames: Sequence[_Frame], kind: EvaluatedClass, measure: str, difficulty: Difficulty,
          min_overlap: float) -> AveragePrecision:
    hits: list[float] = []
    parts = []
    count = 0
    for frame, truth_state, found_state in _states(frames, kind, difficulty):
        score, overlap = frame.found.score, frame.overlap[measure]
        # Only the image has room for DontCare: it has no box in space.
        excused = (frame.on_dont_care > min_overlap) if measure == "BBOX" else np.zeros(len(score), bool)
        hits += hit_scores(overlap, truth_state, found_state, score, min_overlap)
        parts.append(counts_by_floor(overlap, truth_state, found_state, score, excused, min_overlap))
        count += int((truth_state == COUNTED).sum())
    floors, true, false = _joined(parts)
    reached = np.searchsorted(-floors, -score_floors(np.array(hits), count), side="right") - 1
    sampled = np.zeros(RECALLS)
    sampled[:len(reached)] = _precision(true[reached], false[reached])
    sampled = np.maximum.accumulate(sampled[::-1])[::-1]
    return AveragePrecision(kind.name, measure, difficulty.name, min_overlap, float(sampled[::4].sum() / 11),
                            float(sampled[1:].sum() / 40), _plain(true, false, count), count)


def _joined(parts: Sequence[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    """Counts of all frames together at every score that occurs, falling."""
    floors = np.concatenate([part[0] for part in parts])
    order = np.argsort(-floors, kind="stable")
    floors = floors[order]
    true, false = (np.cumsum(np.concatenate([np.diff(part[i], prepend=0) for part in parts])[order]) for i in (1, 2))
    last = np.append(floors[1:] != floors[:-1], True)[:len(floors)]
    return floors[last], true[last], false[last]


def _precision(true: Array, false: Array) -> Array:
    return true / np.maximum(true + false, 1)


def _plain(true: Array, false: Array, count: int) -> float:
    """Mean over recalls 1/40 .. 40/40 of the best precision at that recall or above."""
    if not count or not len(true):
        return 0.0
    wanted = np.arange(1, RECALLS)[:, None] / (RECALLS - 1)
    reached = true[None] / count >= wanted - 1e-12
    return float(np.where(reached, _precision(true, false)[None], 0.0).max(axis=1).mean())
