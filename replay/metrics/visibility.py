"""Who is hidden from the vehicle, and seen from the road: those that cooperation is for.

Hidden: no return of the ego's LiDAR, fewer than 25 visible pixels in every camera, within 50 m of the ego, and at least 5
returns at one roadside unit. Where one of these is not known, an object does not count as hidden; without objects the mask
is empty.
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import Truth

HIDDEN_WITHIN_M = 50.0
FEWEST_PIXELS = 25
FEWEST_ROADSIDE_RETURNS = 5


def hidden_from_ego(truth: Truth, ego_position_m: Array) -> Array:
    """Mask [n] of the hidden; `ego_position_m` [2] or [3] is in the frame of the truth's boxes, distance is in the xy plane."""
    offset_m = truth.objects.boxes.center_m[:, :2] - np.asarray(ego_position_m, float)[:2]
    return ((truth.points_in_box == 0)
            & (truth.pixels_visible >= 0) & (truth.pixels_visible < FEWEST_PIXELS)
            & (truth.roadside_points >= FEWEST_ROADSIDE_RETURNS)
            & (np.hypot(offset_m[:, 0], offset_m[:, 1]) <= HIDDEN_WITHIN_M)
            & ~truth.ignore)
