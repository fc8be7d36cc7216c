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
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event, TopicInfo, rsu_objects, rsu_samples
from replay.simulate.cameras import EGO_FROM_CAMERA, look, take_pictures
from replay.simulate.lidar import EGO_BEAMS, EGO_FROM_LIDAR, LIDAR_TOP, Sweep, sweep
from replay.simulate.roadside import IDS, RoadsideSensor, draw_traits
from replay.simulate.scenarios import Scenario, random_stream, scenario_named
from replay.simulate.scene import Scene, SceneBuilder, require_ray_caster
from replay.simulate.shading import Light, with_lamps
from replay.simulate.street import MAST_CORNERS_M
from replay.simulate.world import Moment, World

START_NS = 1_780_300_800_000_000_000  # 2026-06-01T08:00:00Z
TICK_NS = 100_000_000  # of LiDAR and truth
POSE_NS = 50_000_000
ORIGIN = GeoPoint(48.137154, 11.576124, 520.0)
MAST_HEAD_M = 6.0
IMAGES_EVERY = 4  # ticks: 2.5 Hz
ROADSIDE_CLOUD_EVERY = 5  # ticks: 2 Hz
CLASSES = ("car", "truck", "bus", "pedestrian", "bicycle", "motorcycle")


@dataclass(frozen=True)
class Simulation:
    """An Importer of one simulated drive."""

    scenario: Scenario
    seed: int
    seconds: float
    cameras: bool
    roadside: bool

    def describe(self) -> DriveInfo:
        units = self._units()
        notes = [f"simulated: {self.scenario.about}", "all rays of a sweep are cast at its own time: offset_ns is zero"]
        if self.roadside:
            notes.append("roadside units leave out the ego, which announces itself")
        return DriveInfo(
            self.drive_id, ORIGIN, START_NS, START_NS + self.ticks * TICK_NS - POSE_NS, self._topics(), site(),
            "simulate", tuple(notes),
            {"scenario": self.scenario.name, "seed": self.seed, "seconds": self.seconds, "classes": list(CLASSES),
             "rsu_latency_ms": {unit.rsu.name: round(unit.traits.latency_ms, 3) for unit in units}})

    def __len__(self) -> int:
        return sum(topic.count for topic in self._topics().values())

    def __iter__(self) -> Iterator[Event]:
        world = World(self.scenario, self.seed)
        builder, units, light = SceneBuilder(world.street, world.cast), self._units(), Light.of(world.conditions)
        for tick in range(self.ticks):
            moment = world.moment(tick * TICK_NS / 1e9)
            events = [*self._ego_events(world, builder, units, light, moment, tick)]
            steps = sorted([(POSE_NS, None), *((unit.traits.phase_ns, unit) for unit in units)], key=lambda step: step[0])
            for after_ns, unit in steps:
                later = world.moment((tick * TICK_NS + after_ns) / 1e9)
                if unit is None:
                    stamp_ns = START_NS + tick * TICK_NS + after_ns
                    events.append(Event(stamp_ns, EGO_POSES, _pose(later, stamp_ns)))
                else:
                    events += self._roadside_events(world, builder, unit, later, tick)
            yield from sorted(events, key=lambda event: (event.time_ns, event.topic))

    def pairs(self, every: int) -> Iterator[tuple[Sample, Truth]]:
        """The ego's LiDAR and the truth at every so many ticks of 0.1 s: the same clouds as in the drive."""
        world = World(self.scenario, self.seed)
        builder = SceneBuilder(world.street, world.cast)
        for tick in range(0, self.ticks, every):
            time_ns, moment = START_NS + tick * TICK_NS, world.moment(tick * TICK_NS / 1e9)
            swept = self._swept(world, builder.at(moment, without_ego=True), moment, tick)
            truth = _truth(world, moment, time_ns, points_in_box=_per_row(swept.owner, world))
            yield self._sample(swept, (), moment, time_ns), truth

    @property
    def drive_id(self) -> str:
        return f"sim-{self.scenario.name}-{self.seed}"

    @property
    def ticks(self) -> int:
        """How many moments of 0.1 s the drive has."""
        return max(1, round(self.seconds * 1e9 / TICK_NS))

    def _topics(self) -> dict[str, TopicInfo]:
        topics = {EGO_POSES: TopicInfo("EgoPose", 2 * self.ticks), EGO_SAMPLES: TopicInfo("Sample", self.ticks),
                  TRUTH: TopicInfo("Truth", self.ticks)}
        for unit in self._units():
            topics[rsu_objects(unit.rsu.name)] = TopicInfo("ObjectList", self.ticks)
            topics[rsu_samples(unit.rsu.name)] = TopicInfo("Sample", -(-self.ticks // ROADSIDE_CLOUD_EVERY))
        return topics

    def _random(self, purpose: str, tick: int = 0) -> np.random.Generator:
        return random_stream(self.scenario.name, self.seed, purpose, tick)

    def _units(self) -> list[RoadsideSensor]:
        if not self.roadside:
            return []
        units = []
        for rsu in site().rsus:
            rng = self._random(f"traits of {rsu.name}")
            units.append(RoadsideSensor(rsu, draw_traits(rng), int(rng.integers(IDS))))
        return units

    def _ego_events(self, world: World, builder: SceneBuilder, units: list[RoadsideSensor], light: Light, moment: Moment,
                    tick: int) -> Iterator[Event]:
        """Pose, sensor data and truth of one moment."""
        time_ns = START_NS + tick * TICK_NS
        scene = builder.at(moment, without_ego=True)
        swept = self._swept(world, scene, moment, tick)
        images: tuple[CameraImage, ...] = ()
        pixels = None
        if self.cameras:
            pictured = tick % IMAGES_EVERY == 0
            view = look(scene, moment.map_from_ego, every_px=1 if pictured else 2)
            pixels = view.pixels_by_owner(scene)
            if pictured:
                lit = with_lamps(scene, world.street, world.signals, moment.time_s)
                images = take_pictures(lit, view, moment.map_from_ego, light, time_ns, self._random("cameras", tick))
        returns = self._roadside_returns(world, builder, units, moment, tick) if units else None
        yield Event(time_ns, EGO_POSES, _pose(moment, time_ns))
        yield Event(time_ns, EGO_SAMPLES, self._sample(swept, images, moment, time_ns))
        yield Event(time_ns, TRUTH, _truth(world, moment, time_ns, points_in_box=_per_row(swept.owner, world),
                                           pixels_visible=pixels, roadside_points=returns))

    def _roadside_returns(self, world: World, builder: SceneBuilder, units: list[RoadsideSensor], moment: Moment,
                          tick: int) -> Array:
        """The most returns [n] that any unit would have of each of the cast at this very moment."""
        scene = builder.at(moment, without_ego=False)
        sweeps = [unit.sweep(scene, world.conditions, self._random(f"truth at {unit.rsu.name}", tick), 0) for unit in units]
        return np.max([_per_row(swept.owner, world) for swept in sweeps], axis=0)

    def _roadside_events(self, world: World, builder: SceneBuilder, unit: RoadsideSensor, moment: Moment,
                         tick: int) -> Iterator[Event]:
        """What one unit found in one scan; every fifth cloud itself."""
        stamp_ns = START_NS + tick * TICK_NS + unit.traits.phase_ns + unit.traits.clock_offset_ns
        scene = builder.at(moment, without_ego=False)
        swept = unit.sweep(scene, world.conditions, self._random(f"lidar of {unit.rsu.name}", tick), stamp_ns)
        found = unit.detect(swept, moment, world.cast.label, world.cast.size_lwh_m, tick, stamp_ns,
                            self._random(f"detector of {unit.rsu.name}", tick))
        yield Event(stamp_ns, rsu_objects(unit.rsu.name), found)
        if tick % ROADSIDE_CLOUD_EVERY == 0:
            yield Event(stamp_ns, rsu_samples(unit.rsu.name), unit.sample(self.drive_id, swept, stamp_ns))

    def _swept(self, world: World, scene: Scene, moment: Moment, tick: int) -> Sweep:
        return sweep(scene, EGO_BEAMS, moment.map_from_ego @ EGO_FROM_LIDAR, world.conditions, self._random("ego lidar", tick),
                     START_NS + tick * TICK_NS)

    def _sample(self, swept: Sweep, images: tuple[CameraImage, ...], moment: Moment, time_ns: int) -> Sample:
        return Sample(self.drive_id, time_ns, (swept.cloud,), images, moment.map_from_ego,
                      {LIDAR_TOP: EGO_FROM_LIDAR, **(EGO_FROM_CAMERA if self.cameras else {})})


def simulate(scenario: str = "crossing", seed: int = 0, seconds: float = 20.0, *, cameras: bool = True,
             roadside: bool = True) -> Simulation:
    """A drive through a simulated crossing: iterate over it for its events, or hand it to `import_drive`.

    Without `cameras` and `roadside` it is several times faster, and the LiDAR gives the same bytes. UnknownFormat if there
    is no such scenario, InputError if `seconds` or `seed` make no sense, MissingExtra without Open3D.
    """
    if not 0.0 < seconds <= 3600.0:
        raise InputError("seconds", f"{seconds:g}", "more than 0 and at most 3600")
    if seed < 0:
        raise InputError("seed", f"{seed}", "0 or more")
    require_ray_caster()
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
