"""An Argoverse 2 sensor log as a drive: both LiDARs, the cameras, the ego's poses and the annotated boxes.

Source: Wilson et al., Argoverse 2 (NeurIPS Datasets and Benchmarks 2021), and the data set's user guide, "Sensor dataset". A
sweep holds the points of both LiDARs in the ego frame of its time, with the ego's own motion taken out. Cameras take pictures
twice as often: with each sweep goes each camera's nearest one, placed where the camera stood then.
"""
from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from heapq import merge
from pathlib import Path

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose, interpolate
from data_specs.sensors import CameraImage, PointCloud, Sample
from data_specs.site import Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.importers.argoverse2_files import (
    CLASSES,
    LASERS_PER_LIDAR,
    LIDARS,
    RIDERS,
    Annotations,
    read_annotations,
    read_cameras,
    read_mounts,
    read_poses,
    read_sweep,
)

IMAGE_WITHIN_NS = 30_000_000  # of a sweep: cameras take a picture every 50 ms
SPEED_OVER_NS = 50_000_000  # to both sides, for the ego's speed
TRACK_GAP_NS = 350_000_000  # boxes further apart tell no speed
_BOXES, _POSES = "annotations.feather", "city_SE3_egovehicle.feather"


class Argoverse2Importer:
    """Reads the folder of one log. Without annotations (the test split) there is no truth; sweeps and pictures may be missing."""

    def __init__(self, source: Path) -> None:
        self.folder = _log_folder(Path(source))

    def describe(self) -> DriveInfo:
        """Reads the small tables, so that a wrong one is told at once."""
        times_ns, poses = self._poses
        boxes = self._annotations
        return DriveInfo(
            self.folder.name, GeoPoint(0.0, 0.0, float("nan")), int(times_ns[0]), int(times_ns[-1]), {}, Site((), ()),
            "argoverse2", tuple(self._notes()), {
                "city": self._city, "city_from_map_m": poses[0].translation_m.tolist(),
                "categories": dict(Counter(boxes.category)) if boxes else {}, "tracks": list(self._track_ids),
            })

    def __len__(self) -> int:
        return len(self._poses[0]) + len(self._sweeps) + len(self._truth_rows)

    def __iter__(self) -> Iterator[Event]:
        """Poses, samples and truth by time; one sweep and its pictures are in memory at once."""
        return merge(self._pose_events(), self._sample_events(), self._truth_events(), key=lambda event: event.time_ns)

    def _notes(self) -> Iterator[str]:
        yield "map is the log's city frame, its origin shifted to the first pose; where on Earth is not told"
        yield "velocities are differences of places: the log tells none"
        yield "points were measured within a tenth of a second after the sweep's time, the ego's own motion is taken out of them"
        if self._images:
            yield "of each camera the picture nearest to a sweep is kept, placed where the camera stood then"
        if boxes := self._annotations:
            riders = sum(name in RIDERS for name in boxes.category)
            yield f"{riders} boxes of riders, whose vehicle has a box of its own, are in the truth as ignored"
            if unknown := sorted(set(boxes.category) - set(CLASSES)):
                yield f"categories that are not known here are in the truth as ignored: {', '.join(unknown)}"
        if sweeps_without := len(self._truth_rows) - len(set(self._truth_rows) & set(self._sweeps)):
            yield f"{sweeps_without} of {len(self._truth_rows)} annotated moments have no LiDAR sweep in the log's folder"

    @cached_property
    def _poses(self) -> tuple[Array, list[SE3]]:
        return read_poses(self.folder / _POSES)

    @cached_property
    def _mounts(self) -> dict[str, SE3]:
        path = self.folder / "calibration" / "egovehicle_SE3_sensor.feather"
        mounts = read_mounts(path)
        if absent := [name for name in (*LIDARS, *self._cameras) if name not in mounts]:
            raise InputError(path, f"no row of {', '.join(absent)}", "one of each sensor")
        return mounts

    @cached_property
    def _cameras(self) -> dict:
        return read_cameras(self.folder / "calibration" / "intrinsics.feather")

    @cached_property
    def _annotations(self) -> Annotations | None:
        path = self.folder / _BOXES
        return read_annotations(path) if path.is_file() else None

    @cached_property
    def _sweeps(self) -> dict[int, Path]:
        return _timed(self.folder / "sensors" / "lidar", "feather")

    @cached_property
    def _images(self) -> dict[str, dict[int, Path]]:
        found = {name: _timed(self.folder / "sensors" / "cameras" / name, "jpg") for name in sorted(self._cameras)}
        return {name: files for name, files in found.items() if files}

    @cached_property
    def _city(self) -> str:
        """As the names of the log's map files tell it; "" without them."""
        names = [path.stem for path in (self.folder / "map").glob("*____*.*")]
        return next((name.rpartition("____")[2].split("_")[0] for name in names), "")

    @cached_property
    def _track_ids(self) -> dict[str, int]:
        """Numbers of the tracks, in order of their first box."""
        return {name: number for number, name in enumerate(dict.fromkeys(self._annotations.track))} if self._annotations else {}

    @cached_property
    def _truth_rows(self) -> dict[int, Array]:
        """Rows of the annotations by time."""
        if self._annotations is None:
            return {}
        times_ns, starts = np.unique(self._annotations.time_ns, return_index=True)
        return dict(zip(times_ns.tolist(), np.split(np.arange(len(self._annotations.time_ns)), starts[1:])))

    def _map_from_ego(self, time_ns: int, where: str) -> SE3:
        """The pose at a time, between its neighbours; InputError outside of the log's poses."""
        times_ns, poses = self._poses
        if not times_ns[0] <= time_ns <= times_ns[-1]:
            raise InputError(where, f"time {time_ns}", f"one within the log's poses, {times_ns[0]} to {times_ns[-1]}")
        after = bisect_left(times_ns, time_ns)
        before = max(after - 1, 0)
        span_ns = int(times_ns[after] - times_ns[before])
        pose = poses[after] if not span_ns else interpolate(
            poses[before], poses[after], (time_ns - int(times_ns[before])) / span_ns)
        return SE3("map", "ego", pose.rotation, pose.translation_m - poses[0].translation_m)

    def _pose_events(self) -> Iterator[Event]:
        times_ns = self._poses[0]
        where = str(self.folder / _POSES)
        for time_ns in times_ns.tolist():
            early, late = max(time_ns - SPEED_OVER_NS, int(times_ns[0])), min(time_ns + SPEED_OVER_NS, int(times_ns[-1]))
            moved_m = self._map_from_ego(late, where).translation_m - self._map_from_ego(early, where).translation_m
            velocity = moved_m / ((late - early) / 1e9) if late > early else np.full(3, np.nan)
            yield Event(time_ns, EGO_POSES, EgoPose(time_ns, self._map_from_ego(time_ns, where), velocity,
                                                    np.full((6, 6), np.nan)))

    def _sample_events(self) -> Iterator[Event]:
        for time_ns, path in self._sweeps.items():
            map_from_ego = self._map_from_ego(time_ns, str(path))
            poses = {name: self._mounts[name] for name in LIDARS}
            images = []
            for name, files in self._images.items():
                taken_ns = min(files, key=lambda at: abs(at - time_ns))
                if abs(taken_ns - time_ns) <= IMAGE_WITHIN_NS:
                    then = map_from_ego.inverse() @ self._map_from_ego(taken_ns, str(files[taken_ns]))
                    poses[name] = then @ self._mounts[name]
                    images.append(self._image(files[taken_ns], name, taken_ns))
            seen = {image.camera.frame for image in images}
            blind = tuple(camera for name, camera in sorted(self._cameras.items()) if name not in seen)
            poses |= {camera.frame: self._mounts[camera.frame] for camera in blind}
            yield Event(time_ns, EGO_SAMPLES, Sample(self.folder.name, time_ns, self._clouds(path, time_ns), tuple(images),
                                                     map_from_ego, poses, blind))

    def _clouds(self, path: Path, time_ns: int) -> tuple[PointCloud, ...]:
        rows = read_sweep(path)
        xyz_m = np.column_stack([rows[axis] for axis in "xyz"]).astype(np.float32)
        clouds = []
        for number, name in enumerate(LIDARS):
            own = rows["laser_number"] // LASERS_PER_LIDAR == number
            try:
                clouds.append(PointCloud(
                    name, time_ns, self._mounts[name].inverse().apply(xyz_m[own]), rows["intensity"][own] / np.float32(255.0),
                    rows["laser_number"][own].astype(np.uint8), rows["offset_ns"][own].astype(np.int32)))
            except SpecError as error:
                raise InputError(path, str(error), f"points of {name}") from error
        return tuple(clouds)

    def _image(self, path: Path, name: str, taken_ns: int) -> CameraImage:
        try:
            with Image.open(path) as image:
                return CameraImage(taken_ns, np.asarray(image.convert("RGB")), self._cameras[name])
        except (OSError, SpecError) as error:
            raise InputError(path, str(error), f"a picture of {name}, as its calibration says") from error

    def _truth_events(self) -> Iterator[Event]:
        if self._annotations is None:
            return
        in_map = self._boxes_in_map(self._annotations)
        velocity = velocities(np.array([self._track_ids[name] for name in self._annotations.track]), self._annotations.time_ns,
                              in_map.center_m)
        for time_ns, rows in self._truth_rows.items():
            names = [self._annotations.category[row] for row in rows]
            label = np.array([CLASSES.get(name, ObjectClass.OTHER) for name in names], np.uint8)
            objects = ObjectList.build(in_map[rows], "truth", time_ns, label, velocity_mps=velocity[rows],
                                       track_id=np.array([self._track_ids[self._annotations.track[row]] for row in rows]))
            ignore = np.array([name not in CLASSES or name in RIDERS for name in names])
            yield Event(time_ns, TRUTH, Truth.build(objects, points_in_box=self._annotations.points[rows], ignore=ignore))

    def _boxes_in_map(self, boxes: Annotations) -> Boxes3D:
        center, yaw = np.empty_like(boxes.center_m), np.empty_like(boxes.yaw_rad)
        for time_ns, rows in self._truth_rows.items():
            pose = self._map_from_ego(time_ns, f"{self.folder / _BOXES}: row {rows[0]}")
            moved = Boxes3D("ego", boxes.center_m[rows], boxes.size_lwh_m[rows], boxes.yaw_rad[rows]).transformed(pose)
            center[rows], yaw[rows] = moved.center_m, moved.yaw_rad
        return Boxes3D("map", center, boxes.size_lwh_m, yaw)


def velocities(track: Array, time_ns: Array, center_m: Array) -> Array:
    """Velocities [n, 2] in the plane, from each track's boxes before and after; NaN for one that stands alone in time."""
    found = np.full((len(track), 2), np.nan)
    order = np.lexsort((time_ns, track))
    for at, row in enumerate(order):
        near = [other for other in order[max(at - 1, 0):at + 2]
                if track[other] == track[row] and abs(time_ns[other] - time_ns[row]) <= TRACK_GAP_NS]
        span_ns = time_ns[near[-1]] - time_ns[near[0]]
        if span_ns > 0:
            found[row] = (center_m[near[-1], :2] - center_m[near[0], :2]) / (span_ns / 1e9)
    return found


def _log_folder(source: Path) -> Path:
    """The log itself, or the one log in a folder of logs."""
    if (source / _POSES).is_file():
        return source
    logs = sorted(path.parent for path in source.glob(f"*/{_POSES}"))
    if len(logs) == 1:
        return logs[0]
    if logs:
        raise InputError(source, f"{len(logs)} logs, the first {logs[0].name}", "one", "name the log's own folder")
    raise MissingInput(source / _POSES, "an Argoverse 2 sensor log")


def _timed(folder: Path, suffix: str) -> dict[int, Path]:
    """Files named by their time in nanoseconds, in order."""
    found = sorted(folder.glob(f"*.{suffix}"))
    if strange := [path for path in found if not path.stem.isdecimal()]:
        raise InputError(strange[0], f"the name {strange[0].stem!r}", "a time in nanoseconds")
    return {int(path.stem): path for path in sorted(found, key=lambda path: int(path.stem))}
