"""How sure a difference is: intervals and significance of a paired bootstrap by drive, and Holm's correction for many slices.

The interval is the expanded percentile interval: with n drives the percentiles are those of a t distribution with n - 1 degrees
of freedom and of the factor sqrt(n / (n - 1)) by which a bootstrap is too narrow, so that it also holds for ten drives.
The p-value is that of t = difference / (bootstrap standard error * the same factor), two-sided; 1 where nothing differs.
Sources: Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69 (2015), section 5.3; Holm, A
Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).
"""
from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit  # scipy.stats has the same and takes a second to import

from data_specs.arrays import Array

CONFIDENCE = 0.95


def expanded_interval(drawn: Array, drives: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of a difference from its values over the draws [rounds]; NaN without two drives or any value."""
    known = drawn[~np.isnan(drawn)]
    if drives < 2 or not len(known):
        return float("nan"), float("nan")
    reach = stdtrit(drives - 1, (1 + confidence) / 2) * np.sqrt(drives / (drives - 1))
    low, high = np.quantile(known, [ndtr(-reach), ndtr(reach)])
    return float(low), float(high)


def p_value(difference: float, drawn: Array, drives: int) -> float:
    """Two-sided p-value of a difference from its values over the draws [rounds]; NaN where the interval is."""
    known = drawn[~np.isnan(drawn)]
    if drives < 2 or not len(known) or np.isnan(difference):
        return float("nan")
    error = float(known.std()) * np.sqrt(drives / (drives - 1))
    if error <= 1e-12:
        return 1.0 if abs(difference) <= 1e-12 else 0.0
    return float(2 * stdtr(drives - 1, -abs(difference) / error))


def holm(p_values: Array) -> Array:
    """p-values [m] corrected so that any false alarm among them is as rare as one test's; NaN stays and is not counted."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors)) if len(order) else []
    return adjusted
