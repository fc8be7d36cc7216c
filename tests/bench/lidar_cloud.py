"""A made-up cloud with the spread of a real one: ten sweeps of a spinning 32-beam LiDAR driven down a street.

Rings on the ground, two rows of facades with a side street between them, and round obstacles from a bollard to a van; what
stands behind another is hidden. Angles and heights are those of the nuScenes LiDAR (Velodyne HDL-32E).
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array

BEAMS_RAD = np.radians(np.linspace(-30.67, 10.67, 32))
HEIGHT_M = 1.84  # of the sensor above the ground; z = 0 is at the sensor
AZIMUTHS = 1500
STREET_HALF_WIDTH_M = 14.0
FACADE_HEIGHT_M = 12.0
SIDE_STREET_M = (13.0, 27.0)  # where facades leave a gap, along the street
LONGEST_RANGE_M, SHORTEST_RANGE_M = 100.0, 1.2
RANGE_NOISE_M = 0.02
SWEEP_S, SPEED_MPS = 0.05, 12.0


def street_cloud(points: int = 300_000, sweeps: int = 10, seed: int = 0) -> Array:
    """x, y, z (m, newest sensor), intensity (0-1), age (s), f32[points, 5], newest sweep first, as many of each sweep."""
    rng = np.random.default_rng(seed)
    obstacles = np.column_stack([rng.uniform(-70, 70, 60), rng.uniform(-11, 11, 60), rng.uniform(0.3, 1.6, 60),
                                 rng.uniform(1.0, 3.2, 60)])
    return np.concatenate([_sweep(number, points // sweeps, obstacles, rng) for number in range(sweeps)]).astype(np.float32)


def _sweep(number: int, points: int, obstacles: Array, rng: np.random.Generator) -> Array:
    """Rows [points, 5] of the sweep `number` sweeps before the newest, in the order of firing: azimuth, then beam."""
    azimuth_rad = np.repeat(np.linspace(-np.pi, np.pi, AZIMUTHS, endpoint=False) + number * 1e-3, len(BEAMS_RAD))
    across = np.column_stack([np.cos(azimuth_rad), np.sin(azimuth_rad)])
    rise = np.tile(np.tan(BEAMS_RAD), AZIMUTHS)
    x_m = -SPEED_MPS * SWEEP_S * number
    range_m = np.minimum(_ground_m(rise), _facade_m(across, rise, x_m))
    for x, y, radius_m, height_m in obstacles:
        range_m = np.minimum(range_m, _cylinder_m(across, rise, np.array([x - x_m, y]), radius_m, height_m))
    returned = np.flatnonzero((range_m > SHORTEST_RANGE_M) & (range_m < LONGEST_RANGE_M))
    seen = returned[np.linspace(0, len(returned) - 1, points).astype(int)]
    noisy_m = (range_m[seen] + rng.normal(0.0, RANGE_NOISE_M, points))[:, None]
    xyz_m = noisy_m * np.column_stack([across[seen], rise[seen]]) + np.array([x_m, 0.0, 0.0])
    return np.column_stack([xyz_m, rng.beta(1.2, 6.0, points), np.full(points, SWEEP_S * number)])


def _ground_m(rise: Array) -> Array:
    """Horizontal range at which each ray meets the ground; infinite where it does not."""
    return np.where(rise < 0.0, HEIGHT_M / np.maximum(-rise, 1e-9), np.inf)


def _facade_m(across: Array, rise: Array, x_m: float) -> Array:
    """Horizontal range of the facades beside a sensor at x."""
    range_m = STREET_HALF_WIDTH_M / np.maximum(np.abs(across[:, 1]), 1e-9)
    along_m = range_m * across[:, 0] + x_m
    open_sky = range_m * rise + HEIGHT_M > FACADE_HEIGHT_M
    return np.where(open_sky | ((along_m > SIDE_STREET_M[0]) & (along_m < SIDE_STREET_M[1])), np.inf, range_m)


def _cylinder_m(across: Array, rise: Array, center_m: Array, radius_m: float, height_m: float) -> Array:
    """Horizontal range of an upright cylinder on the ground."""
    along_m = across @ center_m
    inside_m2 = radius_m**2 - (center_m @ center_m - along_m**2)
    range_m = along_m - np.sqrt(np.maximum(inside_m2, 0.0))
    above_ground_m = range_m * rise + HEIGHT_M
    return np.where((inside_m2 > 0.0) & (range_m > 0.0) & (above_ground_m > 0.0) & (above_ground_m < height_m), range_m, np.inf)
