"""The loops of greedy matching over many samples: plain Python that numba compiles as it stands (see replay/compiled.py)."""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array


def later_first(order: Array, value: Array) -> None:
    """Turn rows [n] sorted by ascending value [n] into rows by descending value, the later of equal values first, in place."""
    start = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and value[order[end]] == value[order[start]]:
            continue
        if end - start > 1:
            order[start:end] = np.sort(order[start:end])
        start = end
    order[:] = order[::-1].copy()


def by_sample(sample: Array, first: Array) -> Array:
    """Rows [n] grouped by sample [n], in their order within it; those of sample s start at first[s]."""
    grouped, place = np.empty_like(sample), first.copy()
    for row in range(len(sample)):
        grouped[place[sample[row]]] = row
        place[sample[row]] += 1
    return grouped


def pair_offsets_m(made_m: Array, wanted_m: Array, grouped: Array, first_made: Array, first_wanted: Array) -> Array:
    """Offsets [pairs, 2] of detections from truths, sample by sample, its truths one after another for each detection in turn.

    first_made and first_wanted [samples + 1] are where each sample's rows start, in grouped and in the truths.
    """
    pairs = 0
    for s in range(len(first_made) - 1):
        pairs += (first_made[s + 1] - first_made[s]) * (first_wanted[s + 1] - first_wanted[s])
    offset_m, k = np.empty((pairs, 2)), 0
    for s in range(len(first_made) - 1):
        for i in range(first_made[s], first_made[s + 1]):
            for j in range(first_wanted[s], first_wanted[s + 1]):
                offset_m[k, 0] = made_m[grouped[i], 0] - wanted_m[j, 0]
                offset_m[k, 1] = made_m[grouped[i], 1] - wanted_m[j, 1]
                k += 1
    return offset_m


def take_nearest(distance_m: Array, limit_m: float, grouped: Array, first_made: Array, first_wanted: Array, taken: Array) -> None:
    """Each detection in turn takes the nearest free truth of its sample strictly within the limit: its row goes to taken [n]."""
    free = np.ones(first_wanted[-1], np.bool_)
    k = 0
    for s in range(len(first_made) - 1):
        for i in range(first_made[s], first_made[s + 1]):
            nearest, least_m = -1, np.inf
            for j in range(first_wanted[s], first_wanted[s + 1]):
                if free[j] and distance_m[k] < least_m:
                    nearest, least_m = j, distance_m[k]
                k += 1
            if least_m < limit_m:
                free[nearest] = False
                taken[grouped[i]] = nearest
