"""nuScenes in its full layout: the thirteen tables of a version, samples/ and sweeps/, one scene at a time.

Source: nuScenes (Caesar et al. 2020), docs/schema_nuscenes.md of nuscenes-devkit 1.2.0; velocities as its `box_velocity` has
them: from the annotation before to the one after, unless these lie too far apart. Cameras are placed as in `nuscenes`.
"""
from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, Sample
from data_specs.site import Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.importers.nuscenes import LIDAR, ego_pose_of, read_cloud

VERSIONS = ("v1.0-mini", "v1.0-trainval", "v1.0-test")
TABLES = ("scene", "log", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "sample_annotation", "instance",
          "category", "attribute")
POINT_FEATURES = 5
MOST_APART_S = 1.5  # of an annotation from the next; twice that from the one before to the one after
CLASSES = {  # those of the detection task; what is not here is in the truth as ignored
    "animal": ObjectClass.ANIMAL,
    "human.pedestrian.adult": ObjectClass.PEDESTRIAN, "human.pedestrian.child": ObjectClass.PEDESTRIAN,
    "human.pedestrian.construction_worker": ObjectClass.PEDESTRIAN, "human.pedestrian.police_officer": ObjectClass.PEDESTRIAN,
    "movable_object.barrier": ObjectClass.BARRIER, "movable_object.trafficcone": ObjectClass.TRAFFIC_CONE,
    "vehicle.bicycle": ObjectClass.BICYCLE, "vehicle.bus.bendy": ObjectClass.BUS, "vehicle.bus.rigid": ObjectClass.BUS,
    "vehicle.car": ObjectClass.CAR, "vehicle.construction": ObjectClass.CONSTRUCTION_VEHICLE,
    "vehicle.motorcycle": ObjectClass.MOTORCYCLE, "vehicle.trailer": ObjectClass.TRAILER, "vehicle.truck": ObjectClass.TRUCK,
}
_Row = dict[str, Any]


class NuScenesTablesImporter:
    """One scene of a data set's folder. Tables are read once; sensor files as they are needed."""

    def __init__(self, source: Path, version: str | None = None, scene: str | None = None) -> None:
        """`version` may be left out where one is there, `scene` (a name) where there is one; InputError lists what there is."""
        self.folder = Path(source)
        self._tables = self.folder / _version_of(self.folder, version)
        self._rows = {name: _table(self._tables / f"{name}.json") for name in TABLES}
        names = [row["name"] for row in self._rows["scene"].values()]
        if scene is None and len(names) != 1:
            raise InputError(self._tables / "scene.json", f"{len(names)} scenes ({', '.join(sorted(names)[:5])}, ..)", "one",
                             "--scene NAME chooses")
        if scene is not None and scene not in names:
            raise InputError("--scene", repr(scene), f"one of {', '.join(sorted(names)[:20])}")
        self._scene = next(row for row in self._rows["scene"].values() if scene is None or row["name"] == scene)

    def describe(self) -> DriveInfo:
        start_ns = min(row["timestamp"] for row in self._lidar_rows) * 1000
        log = self._row("log", self._scene["log_token"], "scene")
        return DriveInfo(
            self._scene["name"], GeoPoint(0.0, 0.0, float("nan")), start_ns, self._time_ns(self._samples[-1]), {}, Site((), ()),
            "nuscenes", (
                f"map is nuScenes' global frame, its origin shifted to the first pose, {self._start_m.tolist()} m; "
                "where on Earth is not known",
                "cameras stand where they were when they took their image, in the ego frame of the LiDAR's time",
                "pictures between key frames (image sweeps) are left out"),
            {"global_from_map_m": self._start_m.tolist(), "description": self._scene.get("description", ""),
             "location": log.get("location", ""), "version": self._tables.name,
             "sample_tokens": {str(self._time_ns(sample)): sample["token"] for sample in self._samples}})

    def __len__(self) -> int:
        return 2 * len(self._lidar_rows) + len(self._samples)

    def __iter__(self) -> Iterator[Event]:
        return merge(self._sensor_events(), self._truth_events(), key=lambda event: event.time_ns)

    @cached_property
    def _samples(self) -> list[_Row]:
        """The scene's key frames, by their chain; InputError where it breaks off or goes in a circle."""
        found, token, seen = [], self._scene["first_sample_token"], set()
        while token:
            if token in seen:
                raise InputError(self._tables / "sample.json", f"sample {token} comes twice in its chain", "each once")
            seen.add(token)
            found.append(self._row("sample", token, "sample"))
            token = found[-1]["next"]
        return found

    @cached_property
    def _data(self) -> dict[str, dict[str, list[_Row]]]:
        """Rows of sample_data by sample and channel, by time."""
        wanted = {sample["token"] for sample in self._samples}
        found: dict[str, dict[str, list[_Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self._rows["sample_data"].values():
            if row["sample_token"] in wanted:
                mount = self._row("calibrated_sensor", row["calibrated_sensor_token"], "sample_data")
                channel = self._row("sensor", mount["sensor_token"], "calibrated_sensor")["channel"]
                found[row["sample_token"]][channel].append(row)
        return found

    @cached_property
    def _lidar_rows(self) -> list[_Row]:
        """The LiDAR's key frames and sweeps, by time."""
        rows = [row for sample in self._samples for row in self._data[sample["token"]][LIDAR]]
        if not rows:
            raise InputError(self._tables / "sample_data.json", f"no data of {LIDAR} in {self._scene['name']}", "at least one")
        return sorted(rows, key=lambda row: row["timestamp"])

    @cached_property
    def _start_m(self) -> Array:
        return self._global_from_ego(self._lidar_rows[0]).translation_m

    def _time_ns(self, sample: _Row) -> int:
        """Of a key frame: when its LiDAR turned."""
        rows = [row for row in self._data[sample["token"]][LIDAR] if row["is_key_frame"]]
        if len(rows) != 1:
            raise InputError(self._tables / "sample_data.json", f"{len(rows)} key frames of {LIDAR} in {sample['token']}", "one")
        return rows[0]["timestamp"] * 1000

    def _sensor_events(self) -> Iterator[Event]:
        sample_of = {row["token"]: row for row in self._samples}
        for row in self._lidar_rows:
            cameras = self._data[row["sample_token"]] if row["is_key_frame"] else {}
            sample = self._sample(row, cameras if row["sample_token"] in sample_of else {})
            yield Event(sample.taken_ns, EGO_POSES, ego_pose_of(sample))
            yield Event(sample.taken_ns, EGO_SAMPLES, sample)

    def _sample(self, lidar: _Row, cameras: Mapping[str, list[_Row]]) -> Sample:
        time_ns, global_from_ego = lidar["timestamp"] * 1000, self._global_from_ego(lidar)
        poses, images = {LIDAR: self._mount(lidar, LIDAR)}, []
        for channel, rows in sorted(cameras.items()):
            row = next((row for row in rows if row["is_key_frame"]), None)
            matrix = self._row("calibrated_sensor", rows[0]["calibrated_sensor_token"], "sample_data")["camera_intrinsic"]
            if row is None or not matrix:
                continue
            then = global_from_ego.inverse() @ self._global_from_ego(row)
            poses[channel] = SE3("ego", "ego", then.rotation, then.translation_m) @ self._mount(row, channel)
            images.append(self._image(row, channel, np.array(matrix, float)))
        map_from_ego = SE3("map", "ego", global_from_ego.rotation, global_from_ego.translation_m - self._start_m)
        return Sample(self._scene["name"], time_ns, (read_cloud(self._file(lidar), POINT_FEATURES, time_ns),), tuple(images),
                      map_from_ego, poses)

    def _image(self, row: _Row, channel: str, matrix_px: Array) -> CameraImage:
        path = self._file(row)
        try:
            with Image.open(path) as image:
                rgb = np.asarray(image.convert("RGB"))
            return CameraImage(row["timestamp"] * 1000, rgb,
                               CameraModel(channel, rgb.shape[1], rgb.shape[0], matrix_px, np.zeros(0)))
        except (OSError, SpecError) as error:
            raise InputError(path, str(error), f"a picture of {channel}") from error

    def _truth_events(self) -> Iterator[Event]:
        by_sample: dict[str, list[_Row]] = defaultdict(list)
        for row in self._rows["sample_annotation"].values():
            by_sample[row["sample_token"]].append(row)
        if not self._rows["sample_annotation"]:
            return  # the test version
        ids: dict[str, int] = {}
        for sample in self._samples:
            yield Event(self._time_ns(sample), TRUTH, self._truth(by_sample[sample["token"]], self._time_ns(sample), ids))

    def _truth(self, rows: list[_Row], time_ns: int, ids: dict[str, int]) -> Truth:
        where = self._tables / "sample_annotation.json"
        names = [self._category(row) for row in rows]
        center, wlh = (np.array([row[name] for row in rows], float).reshape(-1, 3) for name in ("translation", "size"))
        try:
            yaw = [self._pose("global", "box", row, "sample_annotation").yaw_rad for row in rows]
            boxes = Boxes3D("map", center - self._start_m, wlh[:, [1, 0, 2]], np.array(yaw))
            objects = ObjectList.build(
                boxes, "truth", time_ns, np.array([CLASSES.get(name, ObjectClass.OTHER) for name in names], np.uint8),
                velocity_mps=np.array([self._velocity(row) for row in rows]).reshape(-1, 2),
                track_id=np.array([ids.setdefault(row["instance_token"], len(ids)) for row in rows], np.int64))
        except SpecError as error:
            raise InputError(where, str(error), "boxes with finite numbers") from error
        return Truth.build(objects, points_in_box=np.array([row["num_lidar_pts"] for row in rows], np.int32),
                           attribute=[self._attribute(row) for row in rows],
                           ignore=np.array([name not in CLASSES for name in names], bool))

    def _category(self, row: _Row) -> str:
        instance = self._row("instance", row["instance_token"], "sample_annotation")
        return self._row("category", instance["category_token"], "instance")["name"]

    def _attribute(self, row: _Row) -> str:
        tokens = row["attribute_tokens"]
        return self._row("attribute", tokens[0], "sample_annotation")["name"] if tokens else ""

    def _velocity(self, row: _Row) -> tuple[float, float]:
        """In the plane, m/s; NaN where the annotation stands alone or its neighbours are too far off in time."""
        first = self._row("sample_annotation", row["prev"], "sample_annotation") if row["prev"] else row
        last = self._row("sample_annotation", row["next"], "sample_annotation") if row["next"] else row
        first_us, last_us = (self._row("sample", one["sample_token"], "sample_annotation")["timestamp"] for one in (first, last))
        span_s = (last_us - first_us) / 1e6
        if not 0.0 < span_s <= MOST_APART_S * (2 if row["prev"] and row["next"] else 1):
            return float("nan"), float("nan")
        x, y = ((last["translation"][axis] - first["translation"][axis]) / span_s for axis in (0, 1))
        return x, y

    def _global_from_ego(self, row: _Row) -> SE3:
        return self._pose("global", "ego", self._row("ego_pose", row["ego_pose_token"], "sample_data"), "ego_pose")

    def _mount(self, row: _Row, channel: str) -> SE3:
        mount = self._row("calibrated_sensor", row["calibrated_sensor_token"], "sample_data")
        return self._pose("ego", channel, mount, "calibrated_sensor")

    def _pose(self, dst: str, src: str, row: _Row, table: str) -> SE3:
        try:
            return SE3.from_quaternion(dst, src, np.array(row["rotation"], float), np.array(row["translation"], float))
        except (SpecError, ValueError) as error:
            where = f"{self._tables / table}.json: {row['token']}"
            raise InputError(where, str(error), "a unit quaternion and a place") from error

    def _row(self, table: str, token: str, named_in: str) -> _Row:
        row = self._rows[table].get(token)
        if row is None:
            raise InputError(f"{self._tables / named_in}.json", f"token {token!r}", f"one of {table}.json")
        return row

    def _file(self, row: _Row) -> Path:
        path = self.folder / row["filename"]
        if not path.is_file():
            raise MissingInput(path, f"the file that {self._tables.name}/sample_data.json names")
        return path


def has_tables(source: Path) -> bool:
    """Whether a folder holds a version's tables."""
    return any((source / version / "sample.json").is_file() for version in VERSIONS)


def _version_of(folder: Path, version: str | None) -> str:
    there = [name for name in VERSIONS if (folder / name / "sample.json").is_file()]
    if version is None and len(there) == 1:
        return there[0]
    if version in there:
        return version  # type: ignore[return-value]
    raise InputError(folder, f"versions {', '.join(there) or 'none'}", "one, or the one that --version names")


def _table(path: Path) -> dict[str, _Row]:
    """Rows by token; MissingInput, or InputError that names what is wrong."""
    if not path.is_file():
        raise MissingInput(path, "a table of nuScenes")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["token"]: row for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"{type(error).__name__}: {error}", "a JSON list of rows with a token each") from error
