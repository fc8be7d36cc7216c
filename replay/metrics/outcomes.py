"""What became of every box of a drive: the rows from which scores of any slice, and of any draw of drives, are made.

A row is a detection (score, whether it was right at each distance, its errors) or a truth (whether it was found, and at what
score). A detection that takes a truth at 4 m stands in that truth's slices, any other in those of its own range, speed and place.
Range is from the ego, in the plane. Truths that nuScenes does not count, since no LiDAR point is in them, are rows too
(`counts` is False): the detections that took no counted truth may find them, so that recall is known for what is hidden; to AP
those detections are as wrong as nuScenes holds them to be. Scores from these rows: replay/metrics/drawn_scores.py.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.objects import NUSCENES_CLASSES, Truth
from replay.drive import VEHICLE_OBJECTS, Drive
from replay.metrics.detection import ERRORS, DetectionProtocol, counted, judge, near_moments
from replay.metrics.matching import Flat, by_score, flatten, match_in_order
from replay.metrics.message_age import received_of
from replay.metrics.visibility import FEWEST_ROADSIDE_RETURNS, seen_by_ego

PROTOCOL = DetectionProtocol()
ERROR_PLACE = PROTOCOL.distances_m.index(PROTOCOL.error_distance_m)
NOT_SAID, BY_EGO, BY_RSU_ALONE, BY_NOBODY = range(4)  # who sees a truth


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Boxes of one drive, or of many one after another. Equal to an Arrow table of the same columns."""

    is_truth: Annotated[Array, Spec("?", "n")]
    counts: Annotated[Array, Spec("?", "n")]  # False of truths that AP and counted recall leave out
    time_ns: Annotated[Array, Spec("i8", "n")]
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    score: Annotated[Array, Spec("f8", "n")]  # of truths, that of the detection that took it at 2 m; NaN if none did
    right: Annotated[Array, Spec("?", "n", 4)]  # detections: took a counted truth at each distance; truths: were taken
    errors: Annotated[Array, Spec("f8", "n", 5)]  # of detections right at 2 m; NaN elsewhere, and where nobody can say
    range_m: Annotated[Array, Spec("f8", "n")]
    speed_mps: Annotated[Array, Spec("f8", "n")]  # NaN where nobody measured it
    xy_m: Annotated[Array, Spec("f8", "n", 2)]  # from the ego, along map's axes
    place_m: Annotated[Array, Spec("f8", "n", 2)]  # in map
    footprint: Annotated[Array, Spec("f4", "n", 3)]  # length m, width m, yaw rad in map; each box's own
    seen_by: Annotated[Array, Spec("u1", "n")]  # of truths: NOT_SAID, BY_EGO, BY_RSU_ALONE or BY_NOBODY
    v2x_age_s: Annotated[Array, Spec("f8", "n")]  # of the newest roadside word at the moment; NaN where there was none

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Array) -> Outcomes:
        """The rows at a mask or index array."""
        return Outcomes(*(getattr(self, name)[rows] for name in array_fields(Outcomes)))


def outcomes_of(drive: Drive, topic: str = VEHICLE_OBJECTS) -> Outcomes:
    """Judge every detection and truth of a drive; InputError as evaluate_nuscenes raises it."""
    found, truths, ego_m = near_moments(drive, topic, PROTOCOL)
    made, wanted = flatten(found), flatten(truths)
    counts = np.concatenate([counted(truth) for truth in truths])
    taken, errors = _judged(made, wanted, counts)
    moments = _Moments(np.array(list(ego_m), np.int64), np.array([place[:2] for place in ego_m.values()], float).reshape(-1, 2))
    age_s = received_of(drive)["all"].age_at_ns(moments.time_ns) / 1e9
    kept = ~wanted.ignore
    place = np.full(len(wanted) + 1, -1)  # by old row of the truths, the new one; the last is for "none"
    place[np.flatnonzero(kept)] = np.arange(kept.sum())
    seen = np.concatenate([_seen_by(truth) for truth in truths])
    return _joined_rows(made, wanted[kept], counts[kept], seen[kept], place[taken], errors, moments, age_s)


def concatenated(parts: Sequence[Outcomes]) -> Outcomes:
    """The rows of all parts, in order."""
    return Outcomes(*(np.concatenate([getattr(part, name) for part in parts]) for name in array_fields(Outcomes)))


@dataclass(frozen=True, slots=True)
class _Moments:
    time_ns: Array  # i8 [moments]
    ego_m: Array  # f8 [moments, 2]


def _judged(made: Flat, wanted: Flat, counts: Array) -> tuple[Array, Array]:
    """The truth that each detection takes at each distance, i8 [distances, n] (-1: none), and the errors [n, 5].

    Truths that count are given out first; the others to the detections that are left.
    """
    taken = np.full((len(PROTOCOL.distances_m), len(made)), -1)
    errors = np.full((len(made), len(ERRORS)), np.nan)
    for cls in NUSCENES_CLASSES.values():
        rows = np.flatnonzero(made.label == cls)
        rows = rows[by_score(made.score[rows])]
        counted_rows, others = (np.flatnonzero((wanted.label == cls) & ~wanted.ignore & which) for which in (counts, ~counts))
        taken[:, rows] = _rows_taken(made, rows, wanted, counted_rows, PROTOCOL.distances_m)
        errors[rows] = judge(made, rows, wanted[counted_rows], cls, PROTOCOL).errors
        for k, distance_m in enumerate(PROTOCOL.distances_m):
            left = rows[taken[k, rows] < 0]
            taken[k, left] = _rows_taken(made, left, wanted, others, [distance_m])[0]
    return taken, errors


def _rows_taken(made: Flat, rows: Array, wanted: Flat, truth_rows: Array, distances_m: Sequence[float]) -> Array:
    """Rows of `wanted` that the detections at `rows`, by descending score, take of those at `truth_rows`; -1 for none."""
    place = match_in_order(made.places(rows), wanted[truth_rows], distances_m)
    return np.where(place >= 0, truth_rows[place] if len(truth_rows) else -1, -1)


def _seen_by(truth: Truth) -> Array:
    """Who sees each truth [n], as the codes above."""
    unknown = (truth.points_in_box < 0) & (truth.pixels_visible < 0)
    roadside = np.where(truth.roadside_points >= FEWEST_ROADSIDE_RETURNS, BY_RSU_ALONE, BY_NOBODY)
    return np.where(unknown, NOT_SAID, np.where(seen_by_ego(truth), BY_EGO, roadside)).astype(np.uint8)


def _footprint(flat: Flat) -> Array:
    return np.column_stack([flat.size_lwh_m[:, :2], flat.yaw_rad])


def _joined_rows(made: Flat, wanted: Flat, counts: Array, seen: Array, taken: Array, errors: Array, moments: _Moments,
                 age_s: Array) -> Outcomes:
    widest, none = taken[-1], np.zeros(len(made), bool)
    sample = np.concatenate([made.sample, wanted.sample])
    place_m = np.concatenate([made.center_m[:, :2], wanted.center_m[:, :2]])
    speed_mps = np.concatenate([np.linalg.norm(flat.velocity_mps, axis=1) for flat in (made, wanted)])
    stands = np.arange(len(sample))  # the row whose place and speed a row has
    stands[:len(made)] = np.where(widest >= 0, len(made) + widest, stands[:len(made)])
    right = np.where(taken >= 0, np.append(counts, False)[taken], False).T
    hit, score = np.zeros((len(wanted), len(taken)), bool), np.full(len(wanted), np.nan)
    for k, rows in enumerate(taken):
        hit[rows[rows >= 0], k] = True
    at_error = taken[ERROR_PLACE]
    score[at_error[at_error >= 0]] = made.score[at_error >= 0]
    return Outcomes(
        np.repeat([False, True], [len(made), len(wanted)]), np.concatenate([~none, counts]), moments.time_ns[sample],
        np.concatenate([made.label, wanted.label]), np.concatenate([made.score, score]), np.concatenate([right, hit]),
        np.concatenate([errors, np.full((len(wanted), len(ERRORS)), np.nan)]),
        np.linalg.norm(place_m[stands] - moments.ego_m[sample], axis=1), speed_mps[stands], place_m - moments.ego_m[sample],
        place_m[stands], np.concatenate([_footprint(made), _footprint(wanted)]),
        np.concatenate([np.full(len(made), NOT_SAID), seen]), age_s[sample])
