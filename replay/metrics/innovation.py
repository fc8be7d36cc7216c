"""Whether a filter's predictions are as sure as they say: innovations against their own covariances (NIS), without any truth.

The innovation is a measurement minus what the filter predicted it to be; its covariance S is that of the prediction, as it would
be measured, plus that of the measurement. NIS is e' S^-1 e: of an honest filter, chi-square of the measurement's dimensions.
ANIS is its mean by the dimensions: 1 is honest, more is too sure, less too doubtful; `low` and `high` are where 95 % of honest
filters with as many innovations have theirs. It is NEES's (replay/metrics/consistency.py) counterpart for drives without truth.
Empty case: NaN without innovations, or where none states a covariance.
Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 5.4.2.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from data_specs.arrays import Array, require_shape
from replay.metrics.consistency import nees

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Innovations:
    """How large innovations were by their own measure."""

    anis: float
    low: float  # of an honest filter
    high: float
    count: int

    @property
    def honest(self) -> bool:
        """Whether ANIS is where 95 % of honest filters have it; False where it is not known."""
        return self.low <= self.anis <= self.high


def nis(innovation: Array, covariance: Array) -> Array:
    """Squared lengths [n] of innovations [n, k] in units of their covariances [n, k, k]; NaN where one is not stated.

    SpecError where a stated covariance is not positive definite, or shapes do not agree.
    """
    require_shape("innovation", innovation, (None, None))
    require_shape("covariance", covariance, (len(innovation), innovation.shape[1], innovation.shape[1]))
    return nees(innovation, covariance)


def judge_innovations(innovation: Array, covariance: Array) -> Innovations:
    """ANIS of innovations [n, k] with covariances [n, k, k], and where that of an honest filter would be."""
    squared = nis(innovation, covariance)
    squared = squared[~np.isnan(squared)]
    if not len(squared):
        return Innovations(float("nan"), float("nan"), float("nan"), 0)
    freedom = len(squared) * innovation.shape[1]
    low, high = chi2.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], freedom) / freedom
    return Innovations(float(squared.sum() / freedom), float(low), float(high), len(squared))
