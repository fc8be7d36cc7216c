"""How far a roadside unit's word about places goes: learned from the objects that the vehicle sees too.

A unit that is registered wrongly puts everything it sees aside by the same amount. Here that amount is only measured, and
counted as doubt that all of the unit's objects share: so they are still recognised, and can no longer pull a well-measured track
away. Nothing is corrected.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from v2x.associate import class_penalty
from v2x.observation import Observation
from v2x.tracker import NEVER_NS, TrackerState

_REACH_M = 4.0  # objects farther apart are not taken for one
_LEARN = 0.1  # of each moment with shared objects
_MOST_M = 1.5  # a unit that is wrong by more than twice this shares nothing with the vehicle


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where a unit's objects lie beside the vehicle's, running mean of medians; zero until something is seen by both."""

    offset_m: tuple[float, float] = (0.0, 0.0)
    moments: int = 0  # with shared objects

    @property
    def common_m(self) -> float:
        """Standard deviation per axis of the error that this adds to all of the unit's objects, metres."""
        return min(float(np.hypot(*self.offset_m) / np.sqrt(2.0)), _MOST_M)


def learned(agreement: Agreement, offsets_m: Array) -> Agreement:
    """The agreement after one more moment's offsets [m, 2]; unchanged by none."""
    if not len(offsets_m):
        return agreement
    gain = max(_LEARN, 1.0 / (agreement.moments + 1))
    x_m, y_m = np.array(agreement.offset_m) + gain * (np.median(offsets_m, axis=0) - agreement.offset_m)
    return Agreement((float(x_m), float(y_m)), agreement.moments + 1)


def offsets_beside(state: TrackerState, vehicle: str, seen: Observation, recent_ns: int) -> Array:
    """Offsets [m, 2] of a unit's objects from the tracks that the vehicle saw just now, for pairs nearest to each other."""
    tracks = state.tracks
    if vehicle not in state.sources or state.time_ns is None or not len(seen):
        return np.zeros((0, 2))
    last_ns = tracks.seen_ns[:, state.sources.index(vehicle)]
    tracks = tracks[(last_ns > NEVER_NS) & (seen.time_ns - last_ns <= recent_ns) & (tracks.existence > 0.5)]
    if not len(tracks):
        return np.zeros((0, 2))
    mean, ago_s = tracks.estimate.mean, (seen.time_ns - state.time_ns) / 1e9 - seen.age_s
    expected_m = mean[:, None, :2] + ago_s[None, :, None] * mean[:, None, 4:]
    offset_m = seen.estimate.mean[None, :, :2] - expected_m
    distance_m = np.linalg.norm(offset_m, axis=-1)
    distance_m[~np.isfinite(class_penalty(tracks.label, seen.label))] = np.inf
    nearest = distance_m.argmin(axis=0)
    detections = np.arange(len(seen))
    mutual = (distance_m.argmin(axis=1)[nearest] == detections) & (distance_m[nearest, detections] < _REACH_M)
    return offset_m[nearest[mutual], detections[mutual]]
