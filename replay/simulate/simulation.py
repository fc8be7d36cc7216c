"""A simulated drive as an importer's source: sensor data, poses, truth and roadside objects, one moment after another.

Nothing of the drive is kept: a drive of any length takes the memory of one moment. The same scenario and seed give the same
bytes, and leaving out cameras or roadside units changes nothing in the rest.

For training, `training_pairs` gives (Sample, Truth) of the ego's LiDAR alone, many a second.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, Sample
from data_specs.site import Crossing, Rsu, Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event, TopicInfo
from replay.simulate.lidar import EGO_BEAMS, EGO_FROM_LIDAR, LIDAR_TOP, Sweep, sweep
from replay.simulate.scenarios import Scenario, random_stream, scenario_named
from replay.simulate.scene import Scene, SceneBuilder
from replay.simulate.street import MAST_CORNERS_M
from replay.simulate.world import Moment, World

START_NS = 1_780_300_800_000_000_000  # 2026-06-01T08:00:00Z
TICK_NS = 100_000_000  # of LiDAR and truth
POSE_NS = 50_000_000
ORIGIN = GeoPoint(48.137154, 11.576124, 520.0)
MAST_HEAD_M = 6.0


@dataclass(frozen=True)
class Simulation:
    """An Importer of one simulated drive."""

    scenario: Scenario
    seed: int
    seconds: float
    cameras: bool
    roadside: bool

    def describe(self) -> DriveInfo:
        ticks = self._ticks()
        topics = {EGO_POSES: TopicInfo("EgoPose", 2 * ticks), EGO_SAMPLES: TopicInfo("Sample", ticks),
                  TRUTH: TopicInfo("Truth", ticks)}
        return DriveInfo(
            f"sim-{self.scenario.name}-{self.seed}", ORIGIN, START_NS, START_NS + ticks * TICK_NS - POSE_NS, topics, site(),
            "simulate", (f"simulated: {self.scenario.about}",),
            {"scenario": self.scenario.name, "seed": self.seed, "seconds": self.seconds,
             "classes": ["car", "truck", "bus", "pedestrian", "bicycle", "motorcycle"]})

    def __len__(self) -> int:
        return sum(topic.count for topic in self.describe().topics.values())

    def __iter__(self) -> Iterator[Event]:
        world = World(self.scenario, self.seed)
        builder = SceneBuilder(world.street, world.cast)
        for tick in range(self._ticks()):
            time_ns = START_NS + tick * TICK_NS
            moment = world.moment(tick * TICK_NS / 1e9)
            yield Event(time_ns, EGO_POSES, _pose(moment, time_ns))
            swept = self._sweep(world, builder.at(moment, without_ego=True), moment, tick, time_ns)
            yield Event(time_ns, EGO_SAMPLES, self._sample(swept, (), moment, time_ns))
            yield Event(time_ns, TRUTH, _truth(world, moment, time_ns, points_in_box=_per_row(swept.owner, world)))
            between = world.moment((tick * TICK_NS + POSE_NS) / 1e9)
            yield Event(time_ns + POSE_NS, EGO_POSES, _pose(between, time_ns + POSE_NS))

    def pairs(self, every: int = 5) -> Iterator[tuple[Sample, Truth]]:
        """The ego's LiDAR and the truth at every so many ticks of 0.1 s: the same samples as in the drive."""
        world = World(self.scenario, self.seed)
        builder = SceneBuilder(world.street, world.cast)
        for tick in range(0, self._ticks(), every):
            time_ns, moment = START_NS + tick * TICK_NS, world.moment(tick * TICK_NS / 1e9)
            swept = self._sweep(world, builder.at(moment, without_ego=True), moment, tick, time_ns)
            yield (self._sample(swept, (), moment, time_ns),
                   _truth(world, moment, time_ns, points_in_box=_per_row(swept.owner, world)))

    def _ticks(self) -> int:
        return max(1, round(self.seconds * 1e9 / TICK_NS))

    def _sweep(self, world: World, scene: Scene, moment: Moment, tick: int, time_ns: int) -> Sweep:
        rng = random_stream(self.scenario.name, self.seed, "ego lidar", tick)
        return sweep(scene, EGO_BEAMS, moment.map_from_ego @ EGO_FROM_LIDAR, world.conditions, rng, time_ns)

    def _sample(self, swept: Sweep, images: tuple[CameraImage, ...], moment: Moment, time_ns: int) -> Sample:
        return Sample(f"sim-{self.scenario.name}-{self.seed}", time_ns, (swept.cloud,), images, moment.map_from_ego,
                      {LIDAR_TOP: EGO_FROM_LIDAR})


def simulate(scenario: str = "crossing", seed: int = 0, seconds: float = 20.0, *, cameras: bool = True,
             roadside: bool = True) -> Simulation:
    """A drive through a simulated crossing: iterate over it for its events, or hand it to `import_drive`.

    Without `cameras` and `roadside` it is several times faster, and the LiDAR gives the same bytes. UnknownFormat if there
    is no such scenario, InputError if `seconds` or `seed` make no sense.
    """
    if not 0.0 < seconds <= 3600.0:
        raise InputError("seconds", f"{seconds:g}", "more than 0 and at most 3600")
    if seed < 0:
        raise InputError("seed", f"{seed}", "0 or more")
    return Simulation(scenario_named(scenario), seed, seconds, cameras, roadside)


def training_pairs(scenario: str = "crossing", seed: int = 0, seconds: float = 20.0,
                   hz: float = 2.0) -> Iterator[tuple[Sample, Truth]]:
    """(Sample, Truth) of the ego's LiDAR at about `hz` (10 / hz is rounded): the quick way to train on a simulated drive.

    Truth is in map and holds objects that the LiDAR does not hit: `points_in_box` says how often each was hit.
    """
    if not 0.0 < hz <= 10.0:
        raise InputError("hz", f"{hz:g}", "more than 0 and at most 10")
    return simulate(scenario, seed, seconds, cameras=False, roadside=False).pairs(max(1, round(10.0 / hz)))


def site() -> Site:
    """The crossing and its two roadside units, on masts at opposite corners."""
    half_m = 110.0
    polygon_m = np.array([[-half_m, -half_m], [half_m, -half_m], [half_m, half_m], [-half_m, half_m]])
    rsus = tuple(
        Rsu(f"rsu-{i + 1}", "crossing", 101 + i, f"02000000010{i + 1}", "",
            SE3.from_yaw("map", f"rsu-{i + 1}", float(np.arctan2(-y, -x)), np.array([x, y, MAST_HEAD_M])))
        for i, (x, y) in enumerate(MAST_CORNERS_M))
    return Site((Crossing("crossing", ORIGIN, polygon_m, "off"),), rsus)


def _pose(moment: Moment, time_ns: int) -> EgoPose:
    velocity = np.array([*moment.velocity_mps[0], 0.0])
    return EgoPose(time_ns, moment.map_from_ego, velocity, np.diag([0.02, 0.02, 0.02, 1e-3, 1e-3, 2e-3]) ** 2)


def _per_row(owner: Array, world: World) -> Array:
    return np.bincount(owner[owner >= 0], minlength=len(world.cast.label))


def _truth(world: World, moment: Moment, time_ns: int, *, points_in_box: Array, pixels_visible: Array | None = None,
           roadside_points: Array | None = None) -> Truth:
    """Everybody present but the ego; `track_id` is the row in the cast."""
    rows = np.flatnonzero(moment.present)
    rows = rows[rows > 0]
    attributes = world.attributes(moment)
    n = len(rows)
    objects = ObjectList.build(
        Boxes3D("map", moment.center_m[rows], world.cast.size_lwh_m[rows], moment.yaw_rad[rows]), "truth", time_ns,
        world.cast.label[rows], velocity_mps=moment.velocity_mps[rows], yaw_rate_radps=moment.yaw_rate_radps[rows],
        covariance=np.zeros((n, 6, 6)), size_sigma_m=np.zeros((n, 3)), track_id=rows)
    return Truth.build(objects, points_in_box=points_in_box[rows],
                       pixels_visible=None if pixels_visible is None else pixels_visible[rows],
                       roadside_points=None if roadside_points is None else roadside_points[rows],
                       attribute=[attributes[row] for row in rows])
