"""Who can be seen from the vehicle, and who is hidden from it yet seen from the road: those that cooperation is for.

Seen: at least one return of the ego's LiDAR, or at least 25 visible pixels in a camera. Where one of the two is not known, an
object counts as seen. Visible: seen, and nearer than nuScenes counts its class (RANGE_M in replay/metrics/detection.py).
Hidden: not seen, within 50 m of the ego, and at least 5 returns at one roadside unit. Without objects every mask is empty.
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import Truth
from replay.metrics.detection import in_range

HIDDEN_WITHIN_M = 50.0
FEWEST_PIXELS = 25
FEWEST_ROADSIDE_RETURNS = 5


def seen_by_ego(truth: Truth) -> Array:
    """Mask [n] of what the ego's sensors hold a trace of, or may hold one of."""
    blank = (truth.pixels_visible >= 0) & (truth.pixels_visible < FEWEST_PIXELS)
    return ~((truth.points_in_box == 0) & blank)


def visible_to_ego(truth: Truth, ego_position_m: Array) -> Array:
    """Mask [n] of what a detector is asked to find; `ego_position_m` [2] or [3] is in the frame of the truth's boxes."""
    return seen_by_ego(truth) & in_range(truth.objects, ego_position_m) & ~truth.ignore


def hidden_from_ego(truth: Truth, ego_position_m: Array) -> Array:
    """Mask [n] of the hidden; `ego_position_m` [2] or [3] is in the frame of the truth's boxes, distance is in the xy plane."""
    offset_m = truth.objects.boxes.center_m[:, :2] - np.asarray(ego_position_m, float)[:2]
    return (~seen_by_ego(truth)
            & (truth.roadside_points >= FEWEST_ROADSIDE_RETURNS)
            & (np.hypot(offset_m[:, 0], offset_m[:, 1]) <= HIDDEN_WITHIN_M)
            & ~truth.ignore)
