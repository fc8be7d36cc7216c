"""Between the confidences that messages carry and standard deviations, covariances and correlations.

Definition: ETSI TS 102 894-2 V2.1.1, CoordinateConfidence, SpeedConfidence, AngleConfidence and the like: the estimated
absolute accuracy of ONE coordinate at a confidence level of 95 %, rounded up to the unit. For a normal error that is the
half width of the central interval, 1.96 standard deviations (not the two-dimensional 2.45 of a 95 % circle).
"""
from __future__ import annotations

import math

import numpy as np

from data_specs.arrays import Array

SIGMAS_95 = 1.959963984540054  # half width of the central 95 % of a standard normal
STATE = ("x", "y", "z", "yaw", "vx", "vy")  # order of an object's covariance


def sigma_of(confidence: int, lowest: int, highest: int, unit: float) -> float:
    """Standard deviation of a coded confidence; NaN outside of the codes lowest..highest that are measurements."""
    return confidence * unit / SIGMAS_95 if lowest <= confidence <= highest else math.nan


def confidence_of(sigma: float, highest: int, unit: float) -> int:
    """The code 1..highest of a standard deviation, rounded up; highest + 1 (out of range) above, + 2 (unavailable) for NaN."""
    if math.isnan(sigma):
        return highest + 2
    return min(max(math.ceil(sigma * SIGMAS_95 / unit - 1e-9), 1), highest + 1)


def covariances(sigma: Array, correlation: Array, velocity: Array, polar: Array) -> Array:
    """Covariances [n, 6, 6] of x, y, z, yaw, vx, vy; NaN in every row and column that is unmeasured.

    sigma [n, 6] and correlation [n, 6, 6] are of the coded components: where `polar` [n], the last two are speed and
    direction of motion, which `velocity` [n, 2] holds (m/s, rad), and are turned into vx, vy to first order. Correlations
    that are together impossible (rounded ones can be) are dropped.
    """
    unmeasured = np.isnan(sigma)
    impossible = np.linalg.eigvalsh(correlation)[:, 0] < 1e-9
    correlation = np.where(impossible[:, None, None], np.eye(6), correlation)
    known = np.where(unmeasured, 0.0, sigma)
    covariance = correlation * known[:, :, None] * known[:, None, :]
    if polar.any():
        unmeasured[polar, 4:] = unmeasured[polar, 4:].any(axis=1, keepdims=True)
        turn = _cartesian_from_polar(velocity[polar, 0], velocity[polar, 1])
        covariance[polar] = turn @ covariance[polar] @ turn.transpose(0, 2, 1)
    return np.where(unmeasured[:, :, None] | unmeasured[:, None, :], np.nan, covariance)


def _cartesian_from_polar(speed_mps: Array, direction_rad: Array) -> Array:
    """Jacobian [n, 6, 6] of x, y, z, yaw, vx, vy by x, y, z, yaw, speed, direction."""
    c, s = np.cos(direction_rad), np.sin(direction_rad)
    jacobian = np.broadcast_to(np.eye(6), (len(c), 6, 6)).copy()
    jacobian[:, 4:, 4] = np.stack([c, s], axis=1)
    jacobian[:, 4:, 5] = np.stack([-speed_mps * s, speed_mps * c], axis=1)
    return jacobian
