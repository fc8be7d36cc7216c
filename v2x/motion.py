"""How road users move between measurements: constant velocity driven by white acceleration, per class of object.

State of one object, in the order of ObjectList.covariance: x, y, z (m), yaw (rad), vx, vy (m/s), all in `map`.
Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 6.2.2.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass

VEHICLES = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.TRAILER, ObjectClass.CONSTRUCTION_VEHICLE,
            ObjectClass.TRAM, ObjectClass.VAN)
TWO_WHEELERS = (ObjectClass.MOTORCYCLE, ObjectClass.BICYCLE)
PEDESTRIANS = (ObjectClass.PEDESTRIAN, ObjectClass.PERSON_SITTING)
STATIC = (ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER)


@dataclass(frozen=True, slots=True)
class Agility:
    """How much a kind of road user may change within a second, as one standard deviation."""

    acceleration_mps2: float
    speed_mps: float  # of one just met, whose velocity nobody measured
    yaw_rate_radps: float
    climb_mps: float = 0.2


_ORDINARY = Agility(2.5, 8.0, 0.3)
_AGILITY: dict[ObjectClass, Agility] = (
    {label: Agility(2.5, 8.0, 0.3) for label in VEHICLES}
    | {label: Agility(2.0, 4.0, 0.5) for label in TWO_WHEELERS}
    | {label: Agility(1.0, 1.5, 1.0) for label in PEDESTRIANS}
    | {label: Agility(0.02, 0.05, 0.02, 0.02) for label in STATIC}
)
_TABLE = np.array([
    (a.acceleration_mps2, a.speed_mps, a.yaw_rate_radps, a.climb_mps)
    for a in (_AGILITY.get(label, _ORDINARY) for label in ObjectClass)
])


def first_speed_sigma_mps(label: Array) -> Array:
    """Standard deviation [n] of each velocity component of objects of these classes [n] before any is measured, m/s."""
    return _TABLE[label, 1]


def transition(dt_s: Array) -> Array:
    """F [n, 6, 6] that carries a state over dt_s [n] seconds, forwards or back."""
    matrix = np.tile(np.eye(6), (len(dt_s), 1, 1))
    matrix[:, 0, 4] = matrix[:, 1, 5] = dt_s
    return matrix


def process_noise(dt_s: float, label: Array) -> Array:
    """Q [n, 6, 6] that dt_s seconds add for objects of these classes [n]; white noise acceleration, discretised."""
    acceleration, _, yaw_rate, climb = _TABLE[label].T
    noise = np.zeros((len(label), 6, 6))
    for position, velocity in ((0, 4), (1, 5)):
        noise[:, position, position] = acceleration**2 * dt_s**3 / 3.0
        noise[:, position, velocity] = noise[:, velocity, position] = acceleration**2 * dt_s**2 / 2.0
        noise[:, velocity, velocity] = acceleration**2 * dt_s
    noise[:, 2, 2] = climb**2 * dt_s
    noise[:, 3, 3] = yaw_rate**2 * dt_s
    return noise
