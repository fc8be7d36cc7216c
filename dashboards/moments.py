"""Which moments of a drive a scrub bar stops at, and which event of a topic is the one to show at a moment. Pure functions."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_specs.arrays import Array

SHOWN_FOR_NS = 500_000_000  # an object list is the latest word of its source for this long
STEP_NS = 100_000_000  # between moments where no sensor sets the pace


def moments_of(sample_ns: Array, other_ns: Array, step_ns: int = STEP_NS, gap_ns: int = SHOWN_FOR_NS) -> Array:
    """Moments i8 [m], ascending: every sample, and where samples are over `gap_ns` away, other events thinned to `step_ns`."""
    samples = np.unique(np.asarray(sample_ns, np.int64))
    others = thinned(np.unique(np.asarray(other_ns, np.int64)), step_ns)
    if not len(samples):
        return others
    after = np.searchsorted(samples, others)
    to_next = np.where(after < len(samples), samples[np.minimum(after, len(samples) - 1)] - others, np.iinfo(np.int64).max)
    to_last = np.where(after > 0, others - samples[np.maximum(after - 1, 0)], np.iinfo(np.int64).max)
    return np.union1d(samples, others[np.minimum(to_next, to_last) > gap_ns])


def thinned(times_ns: Array, step_ns: int) -> Array:
    """Ascending times with the first of every `step_ns` kept."""
    if not len(times_ns):
        return np.zeros(0, np.int64)
    slots = (times_ns - times_ns[0]) // step_ns
    return times_ns[np.concatenate([[True], slots[1:] != slots[:-1]])]


def latest(times_ns: Array, at_ns: int, within_ns: int = SHOWN_FOR_NS) -> int | None:
    """The last of ascending `times_ns` at or before `at_ns`, unless it is older than `within_ns`."""
    place = int(np.searchsorted(times_ns, at_ns, side="right")) - 1
    if place < 0 or at_ns - int(times_ns[place]) > within_ns:
        return None
    return int(times_ns[place])


def nearest(times_ns: Array, at_ns: int, within_ns: int = SHOWN_FOR_NS) -> int | None:
    """The one of ascending `times_ns` that is nearest to `at_ns`, unless it is further than `within_ns`."""
    place = int(np.searchsorted(times_ns, at_ns))
    near = [int(t) for t in times_ns[max(place - 1, 0):place + 1]]
    best = min(near, key=lambda t: abs(t - at_ns), default=None)
    return None if best is None or abs(best - at_ns) > within_ns else best


def activity(times_ns: Array, start_ns: int, end_ns: int, bins: int = 120) -> list[int]:
    """Events per bin of equal length over [start, end]: what the strip over the scrub bar draws."""
    if not len(times_ns):
        return [0] * bins
    since_ns = np.clip(times_ns - start_ns, 0, max(end_ns - start_ns, 0))  # counted from the start: an f64 holds no Unix time
    slots = np.minimum(since_ns * bins // max(end_ns - start_ns, 1), bins - 1)
    return np.bincount(slots, minlength=bins).tolist()


def trails_of(tracks: Sequence[tuple[int, Array, Array]], layer: int, at_ns: int) -> Array:
    """f4 [t, 4] (x, y, age in s, layer) from (time, ids [n], centres [n, 3]) of the past; a NaN row ends each track."""
    ids = np.concatenate([np.asarray(i, np.int64) for _, i, _ in tracks]) if tracks else np.zeros(0, np.int64)
    if not len(ids):
        return np.zeros((0, 4), np.float32)
    rows = np.concatenate([
        np.column_stack([centers[:, :2], np.full(len(centers), (at_ns - t) / 1e9), np.full(len(centers), layer)])
        for t, _, centers in tracks
    ]).astype(np.float32)
    parts = []
    for track in np.unique(ids[ids >= 0]):
        own = rows[ids == track]
        if len(own) > 1:
            parts += [own[np.argsort(-own[:, 2], kind="stable")], np.full((1, 4), np.nan, np.float32)]
    return np.concatenate(parts) if parts else np.zeros((0, 4), np.float32)
