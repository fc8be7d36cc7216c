"""A spinning LiDAR: its beams, and what it makes of the rays' hits: range noise, weak and lost returns, intensity.

The ego's has the beams of a Velodyne HDL-32E (32 from +10.67 to -30.67 degrees, 10 Hz), as on nuScenes' roof; a roadside
mast's looks down. All beams of a sweep are cast at the sweep's own time, so `offset_ns` is zero: there is no motion to undo.
Intensity: Lambert's law on the material's reflectivity, with the range compensated as sensors do.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data_specs.arrays import Array
from data_specs.pose import SE3
from data_specs.sensors import PointCloud
from replay.simulate.scenarios import Conditions
from replay.simulate.scene import Hits, Scene
from replay.simulate.shapes import MATERIAL_REFLECTIVITY

LIDAR_TOP = "LIDAR_TOP"
EGO_FROM_LIDAR = SE3("ego", LIDAR_TOP, np.eye(3), np.array([0.0, 0.0, 1.84]))
SIGNAL_RANGE_M = 40.0  # where a perfect mirror-free white wall gives a signal of 1


@dataclass(frozen=True)
class Beams:
    """A spinning LiDAR's directions. Ring 0 is the lowest beam."""

    elevation_rad: Array  # [rings], rising
    azimuths: int

    @cached_property
    def directions(self) -> Array:
        """Unit vectors [rings * azimuths, 3] float32 in the sensor's frame, ring by ring."""
        azimuth = np.arange(self.azimuths) * 2 * np.pi / self.azimuths
        c, s = np.cos(self.elevation_rad)[:, None], np.sin(self.elevation_rad)[:, None]
        parts = np.broadcast_arrays(c * np.cos(azimuth), c * np.sin(azimuth), s)
        return np.stack(parts, axis=-1).reshape(-1, 3).astype(np.float32)

    @cached_property
    def ring(self) -> Array:
        return np.repeat(np.arange(len(self.elevation_rad), dtype=np.uint8), self.azimuths)


EGO_BEAMS = Beams(np.deg2rad(np.linspace(-30.67, 10.67, 32)), 1084)
# Denser towards the horizon: a mast 6 m high sees the road 80 m out at 4 degrees down.
MAST_BEAMS = Beams(np.deg2rad(-np.geomspace(60.0, 2.4, 40)), 800)


@dataclass(frozen=True)
class Sweep:
    """A cloud, and whom each of its points belongs to: `owner` [n] is a row of the cast, or -1."""

    cloud: PointCloud
    owner: Array


def sweep(scene: Scene, beams: Beams, map_from_sensor: SE3, conditions: Conditions, rng: np.random.Generator,
          taken_ns: int) -> Sweep:
    """One turn of a LiDAR at `map_from_sensor`; the cloud is in the sensor's frame."""
    directions_map = beams.directions @ map_from_sensor.rotation.T.astype(np.float32)
    hits = scene.cast(map_from_sensor.translation_m, directions_map)
    candidate = np.flatnonzero((hits.triangle >= 0) & (hits.range_m < conditions.max_range_m) & (hits.range_m > 0.5))
    hits = Hits(hits.range_m[candidate], hits.triangle[candidate], hits.normal[candidate])
    reflected = _reflected(scene, hits, directions_map[candidate])
    returned = _returned(reflected, hits.range_m, conditions, rng)
    noise_m = rng.standard_normal(len(candidate), dtype=np.float32) * np.float32(conditions.range_sigma_m)
    speckle = 1.0 + 0.1 * rng.standard_normal(len(candidate), dtype=np.float32)
    rays = candidate[returned]
    cloud = PointCloud(map_from_sensor.src, taken_ns, beams.directions[rays] * (hits.range_m + noise_m)[returned, None],
                       np.clip(reflected * speckle * np.float32(conditions.intensity_scale), 0.0, 1.0)[returned],
                       beams.ring[rays], np.zeros(len(rays), np.int32))
    return Sweep(cloud, scene.owner[hits.triangle[returned]])


def _reflected(scene: Scene, hits: Hits, directions: Array) -> Array:
    """Share of the light that comes back [n], range compensated."""
    incidence = np.abs(np.einsum("rk,rk->r", hits.normal, directions))
    brightness = 0.55 + 0.45 * scene.rgb[hits.triangle].mean(axis=1)  # dark paint is darker in the infrared too
    return MATERIAL_REFLECTIVITY[scene.material[hits.triangle]] * brightness * incidence


def _returned(reflected: Array, range_m: Array, conditions: Conditions, rng: np.random.Generator) -> Array:
    """Mask [n] of what comes back strong enough, less what is lost at random."""
    signal = reflected * np.minimum((SIGNAL_RANGE_M / range_m) ** 2, 25.0)
    kept_share = (1.0 - conditions.beam_dropout) * np.clip(signal / conditions.weak_return, 0.0, 1.0)
    return rng.random(len(range_m), dtype=np.float32) < kept_share
