"""A simulated drive as an importer's source: sensor data, poses, truth and roadside objects, one moment after another.

Nothing of the drive is kept: a drive of any length takes the memory of one moment. The same scenario and seed give the same
bytes, and leaving out cameras or roadside units changes nothing in the rest.

For training, `training_pairs` gives (Sample, Truth) of the ego's LiDAR alone, many a second, and `sweep_pairs` samples with
pictures, the samples before them and the truth.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, PointCloud, Sample
from data_specs.site import Crossing, Rsu, Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event, TopicInfo, rsu_objects, rsu_samples
from replay.simulate.cameras import EGO_FROM_CAMERA, View, look, take_pictures
from replay.simulate.lidar import EGO_BEAMS, EGO_FROM_LIDAR, LIDAR_TOP, Sweep, sweep
from replay.simulate.roadside import IDS, RoadsideSensor, draw_traits
from replay.simulate.scenarios import Scenario, draw_conditions, random_stream, scenario_named
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
SWEEPS_BEFORE = (2, 5)  # ticks: the earlier sweeps that go with a training sample
LATE_IMAGES = (0.7, 0.1, 0.1, 0.1)  # chance that the newest pictures are 0, 1, 2, 3 ticks older than the sweep
CLASSES = ("car", "truck", "bus", "pedestrian", "bicycle", "motorcycle")


@dataclass(frozen=True)
class _Run:
    """What one pass over a drive works with."""

    world: World
    builder: SceneBuilder
    units: list[RoadsideSensor]
    light: Light

    def per_row(self, swept: Sweep) -> Array:
        """Returns [n] of a sweep by row of the cast."""
        return np.bincount(swept.owner[swept.owner >= 0], minlength=len(self.world.cast.label))


@dataclass(frozen=True)
class Simulation:
    """An Importer of one simulated drive."""

    scenario: Scenario
    seed: int
    seconds: float
    cameras: bool
    roadside: bool

    def describe(self) -> DriveInfo:
        units, conditions = self._units(), draw_conditions(self._random("conditions"))
        notes = [f"simulated: {self.scenario.about}", "all rays of a sweep are cast at its own time: offset_ns is zero"]
        if self.roadside:
            notes.append("roadside units leave out the ego, which announces itself")
        return DriveInfo(
            self.drive_id, ORIGIN, START_NS, START_NS + self.ticks * TICK_NS - POSE_NS, self._topics(), site(),
            "simulate", tuple(notes),
            {"scenario": self.scenario.name, "seed": self.seed, "seconds": self.seconds, "classes": list(CLASSES),
             "conditions": {name: round(value, 5) for name, value in asdict(conditions).items()},
             "rsu_latency_ms": {unit.rsu.name: round(unit.traits.latency_ms, 3) for unit in units}})

    def __len__(self) -> int:
        return sum(topic.count for topic in self._topics().values())

    def __iter__(self) -> Iterator[Event]:
        run = self._start()
        for tick in range(self.ticks):
            yield from sorted(self._tick(run, tick), key=lambda event: (event.time_ns, event.topic))

    def pairs(self, every: int) -> Iterator[tuple[Sample, Truth]]:
        """The ego's LiDAR and the truth at every so many ticks of 0.1 s: the same clouds as in the drive."""
        run = self._start()
        for tick in range(0, self.ticks, every):
            time_ns, moment = START_NS + tick * TICK_NS, run.world.moment(tick * TICK_NS / 1e9)
            swept = self._swept(run, run.builder.at(moment, without_ego=True), moment, tick)
            truth = _truth(run.world, moment, time_ns, points_in_box=run.per_row(swept))
            yield self._sample((swept.cloud,), (), moment, time_ns), truth

    def sweep_pairs(self, every: int, late_images: bool) -> Iterator[tuple[Sample, tuple[Sample, ...], Truth]]:
        """At every so many ticks (SWEEPS_BEFORE apart or more): sample, earlier samples of the drive, newest first, and truth."""
        run = self._start()
        for tick in range(0, self.ticks, every):
            rng = self._random("late images", tick)
            lag = int(rng.choice(len(LATE_IMAGES), p=LATE_IMAGES)) if late_images and self.cameras else 0
            pictured = max(tick - lag, 0)
            swept = {tick, *(tick - before for before in SWEEPS_BEFORE if before <= tick)}
            pixels = None
            samples: list[Sample] = []
            for when in sorted(swept | {pictured}):
                moment = run.world.moment(when * TICK_NS / 1e9)
                sample, points, seen = self._look(run, moment, when, sweep=when in swept, pictures=when == pictured)
                pixels = pixels if seen is None else seen
                samples.insert(0, sample)
            truth = _truth(run.world, moment, START_NS + tick * TICK_NS, points_in_box=points, pixels_visible=pixels)
            yield samples[0], tuple(samples[1:]), truth

    def _look(self, run: _Run, moment: Moment, tick: int, *, sweep: bool,
              pictures: bool) -> tuple[Sample, Array, Array | None]:
        """The ego's sample with a cloud, pictures or both; and returns [n] and, with pictures, pixels [n] of each of the cast."""
        time_ns, scene = START_NS + tick * TICK_NS, run.builder.at(moment, without_ego=True)
        clouds, points = (), np.zeros(len(run.world.cast.label), np.int64)
        if sweep:
            swept = self._swept(run, scene, moment, tick)
            clouds, points = (swept.cloud,), run.per_row(swept)
        if not (pictures and self.cameras):
            return self._sample(clouds, (), moment, time_ns), points, None
        view = look(scene, moment.map_from_ego)
        images = self._pictures(run, scene, view, moment, tick)
        return self._sample(clouds, images, moment, time_ns), points, view.pixels_by_owner(scene)

    def _pictures(self, run: _Run, scene: Scene, view: View, moment: Moment, tick: int) -> tuple[CameraImage, ...]:
        lit = with_lamps(scene, run.world.street, run.world.signals, moment.time_s)
        return take_pictures(lit, view, moment.map_from_ego, run.light, START_NS + tick * TICK_NS, self._random("cameras", tick))

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

    def _start(self) -> _Run:
        world = World(self.scenario, self.seed)
        return _Run(world, SceneBuilder(world.street, world.cast), self._units(), Light.of(world.conditions))

    def _tick(self, run: _Run, tick: int) -> Iterator[Event]:
        """All events of a tenth of a second: the ego's, then the roadside units' at their own times, then what is true."""
        time_ns, moment = START_NS + tick * TICK_NS, run.world.moment(tick * TICK_NS / 1e9)
        sample, points, pixels = self._ego_sees(run, moment, tick)
        yield Event(time_ns, EGO_POSES, _pose(moment, time_ns))
        yield Event(time_ns, EGO_SAMPLES, sample)
        returns = []
        steps = [(POSE_NS, None), *((unit.traits.phase_ns, unit) for unit in run.units)]
        for after_ns, unit in sorted(steps, key=lambda step: step[0]):
            later = run.world.moment((tick * TICK_NS + after_ns) / 1e9)
            if unit is None:
                yield Event(time_ns + after_ns, EGO_POSES, _pose(later, time_ns + after_ns))
                continue
            swept = self._roadside_sweep(run, unit, later, tick)
            returns.append(run.per_row(swept))
            yield from self._roadside_events(run, unit, swept, later, tick)
        yield Event(time_ns, TRUTH, _truth(run.world, moment, time_ns, points_in_box=points, pixels_visible=pixels,
                                           roadside_points=np.max(returns, axis=0) if returns else None))

    def _ego_sees(self, run: _Run, moment: Moment, tick: int) -> tuple[Sample, Array, Array | None]:
        """The ego's sensor data, and of each of the cast its LiDAR returns [n] and its pixels [n] in the best camera."""
        time_ns, scene = START_NS + tick * TICK_NS, run.builder.at(moment, without_ego=True)
        swept = self._swept(run, scene, moment, tick)
        if not self.cameras:
            return self._sample((swept.cloud,), (), moment, time_ns), run.per_row(swept), None
        pictured = tick % IMAGES_EVERY == 0
        view = look(scene, moment.map_from_ego, every_px=1 if pictured else 2)
        images: tuple[CameraImage, ...] = ()
        if pictured:
            images = self._pictures(run, scene, view, moment, tick)
        return self._sample((swept.cloud,), images, moment, time_ns), run.per_row(swept), view.pixels_by_owner(scene)

    def _roadside_sweep(self, run: _Run, unit: RoadsideSensor, moment: Moment, tick: int) -> Sweep:
        scene = run.builder.at(moment, without_ego=False)
        return unit.sweep(scene, run.world.conditions, self._random(f"lidar of {unit.rsu.name}", tick), _stamp_ns(unit, tick))

    def _roadside_events(self, run: _Run, unit: RoadsideSensor, swept: Sweep, moment: Moment, tick: int) -> Iterator[Event]:
        """What one unit found in one scan; every fifth cloud itself."""
        stamp_ns, cast = _stamp_ns(unit, tick), run.world.cast
        found = unit.detect(swept, moment, cast.label, cast.size_lwh_m, tick, stamp_ns,
                            self._random(f"detector of {unit.rsu.name}", tick))
        yield Event(stamp_ns, rsu_objects(unit.rsu.name), found)
        if tick % ROADSIDE_CLOUD_EVERY == 0:
            yield Event(stamp_ns, rsu_samples(unit.rsu.name), unit.sample(self.drive_id, swept, stamp_ns))

    def _swept(self, run: _Run, scene: Scene, moment: Moment, tick: int) -> Sweep:
        return sweep(scene, EGO_BEAMS, moment.map_from_ego @ EGO_FROM_LIDAR, run.world.conditions,
                     self._random("ego lidar", tick), START_NS + tick * TICK_NS)

    def _sample(self, clouds: tuple[PointCloud, ...], images: tuple[CameraImage, ...], moment: Moment, time_ns: int) -> Sample:
        return Sample(self.drive_id, time_ns, clouds, images, moment.map_from_ego,
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


def sweep_pairs(scenario: str = "crossing", seed: int = 0, seconds: float = 20.0, hz: float = 2.0, *, cameras: bool = True,
                late_images: bool = False) -> Iterator[tuple[Sample, tuple[Sample, ...], Truth]]:
    """(Sample, earlier samples, Truth) at about `hz` (at most 2): what a detector with a memory is trained and scored on.

    The earlier samples, newest first, hold the sweeps of 0.2 and 0.5 s before. With `late_images` the newest pictures are now
    and then up to 0.3 s older than the sweep and then stand in an earlier sample. Clouds equal the drive's own; truth is in map.
    """
    if not 0.0 < hz <= 2.0:
        raise InputError("hz", f"{hz:g}", "more than 0 and at most 2")
    return simulate(scenario, seed, seconds, cameras=cameras, roadside=False).sweep_pairs(round(10.0 / hz), late_images)


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


def _stamp_ns(unit: RoadsideSensor, tick: int) -> int:
    """When a unit says that it measured: its clock is a little off."""
    return START_NS + tick * TICK_NS + unit.traits.phase_ns + unit.traits.clock_offset_ns


def _truth(world: World, moment: Moment, time_ns: int, *, points_in_box: Array, pixels_visible: Array | None = None,
           roadside_points: Array | None = None) -> Truth:
    """Everybody present but the ego; `track_id` is the row in the cast.

    `roadside_points` are of the units' scans within the same tenth of a second, `pixels_visible` of the pixels' middles.
    """
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
