"""Which detection belongs to which track: Mahalanobis gate, then the cheapest one-to-one assignment.

Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 11.3 and 11.5; the
logarithm of the innovation's determinant in the cost keeps a vague track from winning every detection near it.
"""
from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import chdtri

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from v2x.motion import PEDESTRIANS, STATIC, TWO_WHEELERS, VEHICLES

_REFUSED = 1e6  # finite: the solver refuses an all-infinite row


def planar_mahalanobis(residual_m: Array, innovation_cov: Array) -> tuple[Array, Array]:
    """Squared Mahalanobis distances and log determinants, both [...], of residuals [..., 2] under covariances [..., 2, 2].

    In closed form: thousands of pairs a step are too many for a solver call each.
    """
    xx, xy, yy = innovation_cov[..., 0, 0], innovation_cov[..., 0, 1], innovation_cov[..., 1, 1]
    dx, dy = residual_m[..., 0], residual_m[..., 1]
    determinant = xx * yy - xy * xy
    return (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant, np.log(determinant)


def gate2(dimensions: int, probability: float) -> float:
    """The squared Mahalanobis distance that holds a right match with this probability."""
    return float(chdtri(dimensions, 1.0 - probability))


def assign(distance2: Array, penalty: Array, limit2: float) -> Array:
    """Matched (track, detection) index pairs [m, 2] of least total distance2 + penalty, both [t, d].

    Pairs whose distance2 exceeds limit2, or whose penalty is infinite, never match; as many as possible of the others do.
    """
    allowed = (distance2 <= limit2) & np.isfinite(penalty)
    cost = np.where(allowed, distance2 + np.where(np.isfinite(penalty), penalty, 0.0), _REFUSED)
    tracks, detections = linear_sum_assignment(cost)
    pairs = np.stack([tracks, detections], axis=1)
    return pairs[allowed[tracks, detections]]


def class_penalty(track_label: Array, detection_label: Array) -> Array:
    """What it costs [t, d] to take a detection of one class for a track of another; infinite for what no sensor confuses."""
    return _PENALTY[track_label[:, None], detection_label[None, :]]


def _penalties() -> Array:
    families = (VEHICLES, TWO_WHEELERS, PEDESTRIANS, STATIC, (ObjectClass.ANIMAL,))
    family = {label: index for index, members in enumerate(families) for label in members}
    table = np.full((len(ObjectClass), len(ObjectClass)), np.inf)
    for a in ObjectClass:
        for b in ObjectClass:
            if a == b:
                table[a, b] = 0.0
            elif a not in family or b not in family:
                table[a, b] = 2.0
            elif family[a] == family[b]:
                table[a, b] = 1.0
            elif {family[a], family[b]} <= {1, 2, 4}:  # a rider, a walker, an animal: few points tell them apart
                table[a, b] = 4.0
    return table


_PENALTY = _penalties()
