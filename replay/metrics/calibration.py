"""Whether scores mean what they say: of all boxes that score 0.7, seven in ten should be right.

Boxes fall into ten bins of equal width by what they state. Expected calibration error (ECE): the mean over boxes of the distance
between what their bin states on average and the share of it that is right; the largest of these distances is MCE. 0 is honest.
Empty case: NaN without boxes, and in a bin that has none.
Source: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (ICML 2017), section 2.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array

BINS = 10
EDGES = np.linspace(0.0, 1.0, BINS + 1)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Ten bins of what boxes state."""

    stated: Array  # f8 [10], mean in the bin; NaN where it is empty
    right: Array  # f8 [10], share that is right; NaN where it is empty
    count: Array  # i8 [10]

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1; NaN without boxes."""
        total = self.count.sum()
        return float(np.nansum(self.count * np.abs(self.stated - self.right)) / total) if total else float("nan")

    @property
    def mce(self) -> float:
        """Largest distance of a bin that has boxes; NaN without boxes."""
        return float(np.nanmax(np.abs(self.stated - self.right))) if self.count.sum() else float("nan")


def bin_of(stated: Array) -> Array:
    """The bin [n] of what boxes state [n], 0 to 1; 1 is in the last."""
    return np.clip(np.digitize(stated, EDGES) - 1, 0, BINS - 1)


def reliability(stated: Array, right: Array) -> Reliability:
    """The bins of boxes that state a probability [n] and are right or not [n]."""
    place = bin_of(stated)
    count = np.bincount(place, minlength=BINS)
    nothing = np.full(BINS, np.nan)
    means = [np.divide(np.bincount(place, values.astype(float), BINS), count, out=nothing.copy(), where=count > 0)
             for values in (stated, right)]
    return Reliability(means[0], means[1], count)
