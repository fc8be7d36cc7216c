"""A roadside unit's eyes: a LiDAR on a mast, and what its own detector makes of it.

The detector knows only whom its rays hit. It misses who is hit too seldom, errs more the farther away it looks and says so
honestly in its covariance, mistakes a class now and then, sees things that are not there, and counts its own ids.

Cars that announce themselves are left out, as stations may do (ETSI TR 103 562 V2.1.1, self-announcement redundancy
mitigation): the ego sends awareness messages, so no unit reports the ego.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList, concatenate
from data_specs.pose import SE3
from data_specs.sensors import Sample
from data_specs.site import Rsu
from replay.simulate.lidar import MAST_BEAMS, Sweep, sweep
from replay.simulate.scenarios import Conditions
from replay.simulate.scene import Scene
from replay.simulate.world import Moment

LIDAR_MAST = "LIDAR_MAST"
MAST_RANGE_M = 85.0
FEWEST_RETURNS = 5
FORGOTTEN_AFTER = 10  # scans without a detection, after which the same object gets a new id
IDS = 65536  # as many as a CPM's object id has values
EGO_ROW = 0

_MISTAKEN_FOR = {
    ObjectClass.CAR: ObjectClass.TRUCK, ObjectClass.TRUCK: ObjectClass.BUS, ObjectClass.BUS: ObjectClass.TRUCK,
    ObjectClass.PEDESTRIAN: ObjectClass.BICYCLE, ObjectClass.BICYCLE: ObjectClass.MOTORCYCLE,
    ObjectClass.MOTORCYCLE: ObjectClass.BICYCLE,
}
_GHOST_SIZES = {ObjectClass.PEDESTRIAN: (0.7, 0.65, 1.7), ObjectClass.CAR: (4.4, 1.8, 1.6), ObjectClass.BICYCLE: (1.75, 0.6, 1.7)}


@dataclass(frozen=True, slots=True)
class Traits:
    """What is one unit's own."""

    phase_ns: int  # of its scans, after the ego's
    clock_offset_ns: int  # of its stamps
    latency_ms: float  # from measurement to message
    ghosts_per_scan: float
    confused: float  # chance that an object's class is mistaken for as long as it is followed


def draw_traits(rng: np.random.Generator) -> Traits:
    return Traits(int(rng.integers(8, 88)) * 1_000_000, int(rng.integers(-3_000_000, 3_000_000)), float(rng.uniform(50.0, 150.0)),
                  float(rng.uniform(0.01, 0.04)), float(rng.uniform(0.02, 0.06)))


@dataclass
class _Followed:
    """What the unit remembers of something it sees."""

    own_id: int
    label: ObjectClass
    last_scan: int


@dataclass
class _Ghost:
    followed: _Followed
    x_m: float
    y_m: float
    yaw_rad: float
    until_scan: int


@dataclass
class RoadsideSensor:
    """One unit; `scan` is called in order of time."""

    rsu: Rsu
    traits: Traits
    next_id: int
    followed: dict[int, _Followed] = field(default_factory=dict)
    ghosts: list[_Ghost] = field(default_factory=list)

    @property
    def map_from_lidar(self) -> SE3:
        return self.rsu.map_from_rsu @ SE3.identity(self.rsu.name, LIDAR_MAST)

    def sweep(self, scene: Scene, conditions: Conditions, rng: np.random.Generator, taken_ns: int) -> Sweep:
        """What the mast's LiDAR returns."""
        return sweep(scene, MAST_BEAMS, self.map_from_lidar, replace(conditions, max_range_m=MAST_RANGE_M), rng, taken_ns)

    def sample(self, drive_id: str, swept: Sweep, taken_ns: int) -> Sample:
        """The cloud as a Sample of this unit."""
        return Sample(drive_id, taken_ns, (swept.cloud,), (), self.rsu.map_from_rsu,
                      {LIDAR_MAST: SE3.identity(self.rsu.name, LIDAR_MAST)})

    def detect(self, swept: Sweep, moment: Moment, label: Array, size_lwh_m: Array, scan: int, measured_ns: int,
               rng: np.random.Generator) -> ObjectList:
        """Objects in the unit's frame, by its own ids; `label` [n] and `size_lwh_m` [n, 3] are the cast's."""
        returns = np.bincount(swept.owner[swept.owner >= 0], minlength=len(label))
        returns[EGO_ROW] = 0
        rows = np.flatnonzero(rng.random(len(label)) < detection_chance(returns))
        boxes = Boxes3D("map", moment.center_m[rows], size_lwh_m[rows], moment.yaw_rad[rows])
        exact = ObjectList.build(boxes, self.rsu.name, measured_ns, label[rows], velocity_mps=moment.velocity_mps[rows])
        seen = [self._follow(int(row), ObjectClass(label[row]), scan, rng) for row in rows]
        found = _measured(exact.transformed(self.rsu.map_from_rsu.inverse()), seen, returns[rows], rng)
        false = self._ghosts_at(scan, measured_ns, rng)
        return _by_own_id(found, false, self.rsu.name)

    def _follow(self, row: int, label: ObjectClass, scan: int, rng: np.random.Generator) -> _Followed:
        known = self.followed.get(row)
        if known is None or scan - known.last_scan > FORGOTTEN_AFTER:
            mistaken = rng.random() < self.traits.confused
            known = _Followed(self._new_id(), _MISTAKEN_FOR[label] if mistaken else label, scan)
            self.followed[row] = known
        known.last_scan = scan
        return known

    def _new_id(self) -> int:
        self.next_id = (self.next_id + 1) % IDS
        return self.next_id

    def _ghosts_at(self, scan: int, measured_ns: int, rng: np.random.Generator) -> ObjectList:
        """False objects: each stays where it appeared, on or near the road, for up to a second."""
        if rng.random() < self.traits.ghosts_per_scan:
            label = list(_GHOST_SIZES)[rng.integers(len(_GHOST_SIZES))]
            range_m, bearing = rng.uniform(8.0, 55.0), rng.uniform(-np.pi, np.pi)
            x_m, y_m = range_m * np.cos(bearing), range_m * np.sin(bearing)
            self.ghosts.append(_Ghost(_Followed(self._new_id(), label, scan), x_m, y_m, rng.uniform(-np.pi, np.pi),
                                      scan + int(rng.integers(2, 10))))
        self.ghosts = [ghost for ghost in self.ghosts if scan < ghost.until_scan]
        if not self.ghosts:
            return ObjectList.empty(self.rsu.name, self.rsu.name)
        sizes = np.array([_GHOST_SIZES[ghost.followed.label] for ghost in self.ghosts])
        floor_m = -self.rsu.map_from_rsu.translation_m[2]
        center = np.array([(g.x_m, g.y_m, floor_m + size[2] / 2) for g, size in zip(self.ghosts, sizes)])
        boxes = Boxes3D(self.rsu.name, center, sizes, np.array([ghost.yaw_rad for ghost in self.ghosts]))
        exact = ObjectList.build(boxes, self.rsu.name, measured_ns, np.zeros(len(boxes), np.uint8),
                                 velocity_mps=np.zeros((len(boxes), 2)))
        return _measured(exact, [ghost.followed for ghost in self.ghosts], np.full(len(boxes), FEWEST_RETURNS), rng)


def detection_chance(returns: Array) -> Array:
    """Chance [n] that something with so many returns is reported in one scan."""
    chance = 0.98 * (1.0 - 0.3 * np.exp(-(returns - FEWEST_RETURNS) / 8.0))
    return np.where(returns >= FEWEST_RETURNS, chance, 0.0)


def sigmas(range_m: Array, returns: Array) -> dict[str, Array]:
    """Standard deviations [n] of what is measured: xy and z (m), yaw (rad), velocity (m/s), size (share of it)."""
    sparse = 1.0 + 1.5 / np.sqrt(np.maximum(returns, 1))
    return {"xy": (0.06 + 0.0035 * range_m) * sparse, "z": (0.04 + 0.0015 * range_m) * sparse,
            "yaw": (0.03 + 0.0012 * range_m) * sparse, "velocity": (0.18 + 0.005 * range_m) * sparse,
            "size": (0.02 + 0.001 * range_m) * sparse}


def _measured(exact: ObjectList, seen: list[_Followed], returns: Array, rng: np.random.Generator) -> ObjectList:
    """The objects as measured: with noise, with the covariance that the noise had, under the unit's ids and classes."""
    n = len(exact)
    sigma = sigmas(exact.range_m(), returns)
    deviation = np.stack([sigma["xy"], sigma["xy"], sigma["z"], sigma["yaw"], sigma["velocity"], sigma["velocity"]], axis=1)
    error = rng.standard_normal((n, 6)) * deviation
    size_sigma_m = sigma["size"][:, None] * exact.boxes.size_lwh_m
    size_m = np.maximum(exact.boxes.size_lwh_m + rng.standard_normal((n, 3)) * size_sigma_m, 0.2)
    boxes = Boxes3D(exact.boxes.frame, exact.boxes.center_m + error[:, :3], size_m, exact.boxes.yaw_rad + error[:, 3])
    confidence = np.clip(0.95 - 0.45 * np.exp(-returns / 20.0) + rng.normal(0.0, 0.04, n), 0.05, 0.99)
    return ObjectList.build(
        boxes, exact.source, exact.measured_ns, np.array([known.label for known in seen], np.uint8), score=confidence,
        existence=confidence.astype(np.float32), velocity_mps=exact.velocity_mps + error[:, 4:],
        covariance=np.einsum("nk,kl->nkl", deviation ** 2, np.eye(6)), size_sigma_m=size_sigma_m,
        track_id=np.array([known.own_id for known in seen], np.int64))


def _by_own_id(found: ObjectList, false: ObjectList, source: str) -> ObjectList:
    """Both, in the order of the unit's ids, so that the order of rows tells nothing about who they are."""
    together = concatenate([found, false], source)
    return together[np.argsort(together.track_id, kind="stable")]
