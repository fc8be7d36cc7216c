"""How sure a score is: drives, not samples, are drawn anew, since the moments of one drive are alike.

An interval is the middle 95 % of the scores of many rounds, each over as many drives as there are, drawn with replacement.
Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 8.6 (clusters) and 13 (percentile interval).
Rounds in which a score has no value (NaN) are left out; an interval without any round is NaN.
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array

ROUNDS = 1000


def drive_draws(drives: int, rounds: int = ROUNDS, seed: int = 0) -> Array:
    """How often each drive is drawn in each round, i8 [rounds, drives]; every row sums to `drives`."""
    return np.random.default_rng(seed).multinomial(drives, np.full(drives, 1.0 / drives), size=rounds)


def interval_95(values: Array) -> Array:
    """Lower and upper bounds [2, ...] of the scores of all rounds [rounds, ...]."""
    bounds = np.full((2, *values.shape[1:]), np.nan)
    known = ~np.isnan(values).all(axis=0)
    bounds[:, known] = np.nanpercentile(values[:, known], [2.5, 97.5], axis=0)
    return bounds
