"""Joining estimates whose errors may be related: split covariance intersection, of which both the Kalman update and plain
covariance intersection are the two ends.

An estimate's error is the sum of a part that is independent of everybody else's and a part that may be common to other
estimates to any degree (a roadside unit's registration error, what a unit's own filter remembers). Where nothing is common
this is the Kalman filter; where all is, it is covariance intersection, and no repetition can make it overconfident.
Source: Julier and Uhlmann, A Non-divergent Estimation Algorithm in the Presence of Unknown Correlations, ACC 1997; the split
form: Julier and Uhlmann, General Decentralized Data Fusion with Covariance Intersection, Handbook of Data Fusion (2001), 12.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import wrap_rad

YAW = 3
_PLANE = np.ix_([0, 1, 4, 5], [0, 1, 4, 5])  # x, y, vx, vy: where doubt is weighed
# Weights tried for the intersection: the determinant has one minimum over the weight and is flat near it.
_WEIGHTS = np.concatenate([[1e-3], np.linspace(0.08, 0.92, 10), [1.0 - 1e-3]])


@dataclass(frozen=True, slots=True)
class Estimate:
    """n estimates: mean [n, k] and the two parts of the error covariance [n, k, k]."""

    mean: Array
    independent: Array
    common: Array

    @property
    def covariance(self) -> Array:
        """Of the whole error, [n, k, k]."""
        return self.independent + self.common

    def __getitem__(self, rows: Array) -> Estimate:
        return Estimate(self.mean[rows], self.independent[rows], self.common[rows])


def update(prior: Estimate, measured: Estimate, observe: Array) -> Estimate:
    """The priors [n, 6] after measurements [n, 6] of observe @ state, observe [n, 6, 6].

    A component that was not measured has a very large independent variance. The weight between the two estimates is the one
    that leaves the smallest volume of doubt in x, y, vx and vy. Yaw residuals are folded into half a turn: which end of an
    object is its front is not a matter for averaging.
    """
    weight = _best_weight(prior, measured)[:, None, None]
    prior_cov = prior.independent + prior.common / weight
    measured_cov = measured.independent + measured.common / (1.0 - weight)
    innovation_cov = observe @ prior_cov @ _transposed(observe) + measured_cov
    gain = prior_cov @ _transposed(observe) @ np.linalg.inv(innovation_cov)
    mean = prior.mean + (gain @ residuals(prior.mean, measured.mean, observe)[..., None])[..., 0]
    mean[:, YAW] = wrap_rad(mean[:, YAW])
    keep = np.eye(mean.shape[1]) - gain @ observe
    covariance = _sandwich(keep, prior_cov) + _sandwich(gain, measured_cov)
    independent = _sandwich(keep, prior.independent) + _sandwich(gain, measured.independent)
    return Estimate(mean, _symmetric(independent), _symmetric(covariance - independent))


def residuals(prior_mean: Array, measured_mean: Array, observe: Array) -> Array:
    """Measured minus expected [n, 6]; yaw folded into [-pi/2, pi/2)."""
    residual = measured_mean - (observe @ prior_mean[..., None])[..., 0]
    residual[..., YAW] = (residual[..., YAW] + np.pi / 2) % np.pi - np.pi / 2
    return residual


def covariance_intersection(a: Estimate, b: Estimate) -> Estimate:
    """a [n, 6] and b [n, 6] of the same objects joined without any assumption about how their errors are related."""
    shared_a = Estimate(a.mean, np.zeros_like(a.common), a.covariance)
    shared_b = Estimate(b.mean, np.zeros_like(b.common), b.covariance)
    return update(shared_a, shared_b, np.tile(np.eye(a.mean.shape[1]), (len(a.mean), 1, 1)))


def _best_weight(prior: Estimate, measured: Estimate) -> Array:
    """Weights [n] of the prior, in (0, 1), that minimise the determinant of the joined covariance of x, y, vx and vy."""
    parts = [part[:, None][(..., *_PLANE)] for part in (prior.independent, prior.common, measured.independent, measured.common)]
    weights = _WEIGHTS[None, :, None, None]
    information = np.linalg.inv(parts[0] + parts[1] / weights) + np.linalg.inv(parts[2] + parts[3] / (1.0 - weights))
    return _WEIGHTS[np.linalg.det(information).argmax(axis=1)]


def _sandwich(matrix: Array, covariance: Array) -> Array:
    return matrix @ covariance @ _transposed(matrix)


def _transposed(matrix: Array) -> Array:
    return np.swapaxes(matrix, -1, -2)


def _symmetric(covariance: Array) -> Array:
    return (covariance + _transposed(covariance)) / 2.0
