"""GOSPA and OSPA: how far a set of found points is from the true one, in metres, points too many or too few included.

GOSPA (alpha 2): the assignment of found to true points, each pair nearer than the cutoff c, that makes
sum of d^p over its pairs + c^p / 2 for every point without a pair the least; the p-th root of that. Its parts are the p-th
powers of what pairs, missed and false points add: they sum to the distance's own.
OSPA: the p-th root of the mean over the n points of the larger set of min(d, c)^p of the best assignment, c^p for those without
a partner. Empty case: both are 0 where both sets are empty.
Sources: Rahmathullah, Garcia-Fernandez, Svensson, Generalized optimal sub-pattern assignment metric (2017), proposition 1;
Schuhmacher, Vo, Vo, A consistent metric for performance evaluation of multi-object filters (2008), equation 3.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_specs.arrays import Array, require_finite, require_shape
from data_specs.errors import SpecError


@dataclass(frozen=True, slots=True)
class Gospa:
    """A GOSPA distance and its parts."""

    distance_m: float
    localisation: float  # m^p, of the pairs
    missed: float  # m^p
    false: float  # m^p
    pairs: int


def gospa(true_m: Array, found_m: Array, cutoff_m: float, power: float = 2.0) -> Gospa:
    """GOSPA of points [n, k] and [m, k]; SpecError for a cutoff that is not above 0 or a power below 1."""
    cost = _costs(true_m, found_m, cutoff_m, power)
    row, column = linear_sum_assignment(cost)
    near = cost[row, column] < cutoff_m ** power  # at the cutoff a pair costs as much as a missed and a false point
    localisation, pairs = float(cost[row, column][near].sum()), int(near.sum())
    missed, false = (cutoff_m ** power / 2.0 * (count - pairs) for count in cost.shape)
    return Gospa((localisation + missed + false) ** (1.0 / power), localisation, missed, false, pairs)


def ospa(true_m: Array, found_m: Array, cutoff_m: float, power: float = 2.0) -> float:
    """OSPA distance, m, of points [n, k] and [m, k]; SpecError as of gospa."""
    cost = _costs(true_m, found_m, cutoff_m, power)
    row, column = linear_sum_assignment(cost)
    larger = max(cost.shape)
    alone = cutoff_m ** power * (larger - min(cost.shape))
    return float(((cost[row, column].sum() + alone) / larger) ** (1.0 / power)) if larger else 0.0


def _costs(true_m: Array, found_m: Array, cutoff_m: float, power: float) -> Array:
    """min(distance, cutoff)^p [n, m]."""
    if not cutoff_m > 0.0 or not power >= 1.0:
        raise SpecError(f"cutoff_m and power: {cutoff_m} and {power}, expected above 0 and at least 1")
    for name, points_m in (("true_m", true_m), ("found_m", found_m)):
        require_shape(name, points_m, (None, true_m.shape[-1]))
        require_finite(name, points_m)
    return np.minimum(np.linalg.norm(true_m[:, None] - found_m[None], axis=2), cutoff_m) ** power
