"""How near a collision is: the gap between two footprints, the time until they touch if nobody changes speed or heading, and the
time by which they missed each other at a place that both went over.

Footprints are rectangles in the plane. Time to collision: Hayward, Near-Miss Determination Through Use of a Scale of Danger
(1972), here by the rectangles' own shapes: two convex bodies touch when their shadows overlap on every axis of either
(separating axis theorem; Eberly, Intersection of Convex Objects). Everything is broadcast row by row.
Post-encroachment time: Allen, Shin and Cooper, Analysis of Traffic Conflicts and Collisions (1978), from the first one leaving a
place to the second one reaching it; of those that follow each other it is the time gap.
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array

EGO_SIZE_LW_M = (4.4, 1.84)  # of the ego, around its pose, where nobody says how large it is
PET_WITHIN_S = 5.0  # who comes later than that had nothing to do with the first
_ROWS_AT_ONCE = 4096


def footprint_corners_m(center_m: Array, size_lw_m: Array, yaw_rad: Array) -> Array:
    """Corners [n, 4, 2] of rectangles with centres [n, 2], lengths and widths [n, 2], in the order of a walk around them."""
    half = 0.5 * size_lw_m[:, None] * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    cos, sin = np.cos(yaw_rad)[:, None], np.sin(yaw_rad)[:, None]
    turned = np.stack([half[..., 0] * cos - half[..., 1] * sin, half[..., 0] * sin + half[..., 1] * cos], axis=-1)
    return center_m[:, None] + turned


def gap_m(corners_m: Array, other_corners_m: Array) -> Array:
    """Least distances [n] between rectangles given by their corners [n, 4, 2]; 0 where they overlap."""
    apart = np.minimum(_corner_to_edges_m(corners_m, other_corners_m), _corner_to_edges_m(other_corners_m, corners_m))
    return np.where(overlap(corners_m, other_corners_m), 0.0, apart)


def overlap(corners_m: Array, other_corners_m: Array) -> Array:
    """Mask [n] of the rectangles, given by their corners [n, 4, 2], that overlap or touch."""
    enter, leave = _overlap_times(corners_m, other_corners_m, np.zeros((len(corners_m), 2)))
    return enter <= leave


def time_to_collision_s(corners_m: Array, other_corners_m: Array, approach_mps: Array) -> Array:
    """Seconds [n] until rectangles touch; 0 where they do, inf where they never will, NaN where the speed is not known.

    `approach_mps` [n, 2] is the first one's velocity minus the other's.
    """
    enter_s, leave_s = _overlap_times(corners_m, other_corners_m, approach_mps)
    meets = (enter_s <= leave_s) & (leave_s >= 0.0)
    time_s = np.where(meets, np.maximum(enter_s, 0.0), np.inf)
    return np.where(np.isfinite(approach_mps).all(axis=1), time_s, np.nan)


def post_encroachment_s(time_s: Array, corners_m: Array, other_time_s: Array, other_corners_m: Array,
                        within_s: float = PET_WITHIN_S) -> Array:
    """Seconds [n] between each footprint of the one and that footprint of the other, earlier or later, that lies over it; inf
    where none does within `within_s`. A conflict's is the least of its rows, and as exact as the footprints are dense in time.

    The one is given by times [n] and corners [n, 4, 2], the other by ascending times [m] and corners [m, 4, 2].
    """
    least_s = np.full(len(time_s), np.inf)
    first = np.searchsorted(other_time_s, time_s - within_s, side="left")
    after = np.searchsorted(other_time_s, time_s + within_s, side="right")
    center_m, radius_m = _circles(corners_m)
    other_center_m, other_radius_m = _circles(other_corners_m)
    for low in range(0, len(time_s), _ROWS_AT_ONCE):
        rows = np.arange(low, min(low + _ROWS_AT_ONCE, len(time_s)))
        others = first[rows, None] + np.arange(int((after - first)[rows].max(initial=0)))
        valid = others < after[rows, None]
        others = np.where(valid, others, 0)
        apart_m = np.hypot(center_m[rows, :1] - other_center_m[others, 0], center_m[rows, 1:] - other_center_m[others, 1])
        row, place = np.nonzero(valid & (apart_m <= radius_m[rows, None] + other_radius_m[others]))
        row, other = rows[row], others[row, place]
        over = overlap(corners_m[row], other_corners_m[other])
        np.minimum.at(least_s, row[over], np.abs(time_s[row] - other_time_s[other])[over])
    return least_s


def _circles(corners_m: Array) -> tuple[Array, Array]:
    """Centres [n, 2] and radii [n] of the circles around rectangles."""
    center_m = corners_m.mean(axis=1)
    return center_m, np.linalg.norm(corners_m[:, 0] - center_m, axis=-1)


def _overlap_times(corners_m: Array, other_corners_m: Array, approach_mps: Array) -> tuple[Array, Array]:
    """When the shadows on all four axes begin to overlap, and when the first of them ceases to: [n] each, seconds."""
    enter, leave = np.full(len(corners_m), -np.inf), np.full(len(corners_m), np.inf)
    for rectangle in (corners_m, other_corners_m):
        for edge in (rectangle[:, 0] - rectangle[:, 1], rectangle[:, 1] - rectangle[:, 2]):
            own = np.einsum("nkd,nd->nk", corners_m, edge)
            other = np.einsum("nkd,nd->nk", other_corners_m, edge)
            speed = np.einsum("nd,nd->n", approach_mps, edge)
            first, last = _shadow_times(other.min(axis=1) - own.max(axis=1), other.max(axis=1) - own.min(axis=1), speed)
            enter, leave = np.maximum(enter, first), np.minimum(leave, last)
    return enter, leave


def _shadow_times(nearest: Array, farthest: Array, speed: Array) -> tuple[Array, Array]:
    """When a shadow that moves at `speed` has gone at least `nearest` and at most `farthest`; never is (inf, -inf)."""
    still = ~(np.abs(speed) > 1e-12)
    by = np.where(still, 1.0, speed)
    first, last = np.minimum(nearest / by, farthest / by), np.maximum(nearest / by, farthest / by)
    always = (nearest <= 0.0) & (farthest >= 0.0)
    first = np.where(still, np.where(always, -np.inf, np.inf), first)
    return first, np.where(still, np.where(always, np.inf, -np.inf), last)


def _corner_to_edges_m(corners_m: Array, edges_of_m: Array) -> Array:
    """Least distance [n] of any corner of the one to any edge of the other."""
    start = edges_of_m[:, None]
    along = np.roll(edges_of_m, -1, axis=1)[:, None] - start
    towards = corners_m[:, :, None] - start
    length2 = np.maximum((along**2).sum(axis=-1), 1e-12)
    share = np.clip((towards * along).sum(axis=-1) / length2, 0.0, 1.0)
    away = towards - share[..., None] * along
    return np.sqrt((away**2).sum(axis=-1)).min(axis=(1, 2))
