"""nuScenes key frames as mmdetection3d's info-v2 pickles list them, with their sensor files.

Source: nuScenes (Caesar et al. 2020) and mmdetection3d 1.4 docs, "nuScenes dataset". Boxes in the pickle stand in LIDAR_TOP
(x right, y forward) with z at their centre; velocities too. A camera is taken up to 50 ms before or after the LiDAR:
`lidar2cam` holds the ego's motion between the two, `cam2ego` does not. A Sample has one ego pose, that of the LiDAR, so a
camera is placed where it was, in that ego frame, when it took its image; `cam2ego` must agree up to that motion.
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError, TruncatedInput, UnknownFormat
from data_specs.messages import GeoPoint
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth, class_of
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.importers.pickles import read_pickle

LIDAR = "LIDAR_TOP"
KEY_FRAME_STEP_NS = 500_000_000  # nuScenes annotates at 2 Hz
MAX_SPEED_MPS = 40.0  # what the ego's motion between two sensors may explain
MAX_TURN_RADPS = 1.0
SLACK_M, SLACK_RAD = 0.05, 0.01  # rounding in the pickle


class NuScenesImporter:
    """An Importer of an info-v2 pickle, or of the folder that holds it; sensor files lie beside it or under samples/."""

    def __init__(self, source: str | Path) -> None:
        self.path = _pickle_in(Path(source))

    def describe(self) -> DriveInfo:
        start_m = self._start_m.tolist()
        notes = [
            f"map is nuScenes' global frame, its origin shifted to the first pose, {start_m} m; where on Earth is not known",
            "cameras stand where they were when they took their image, in the ego frame of the LiDAR's time",
        ]
        if any("timestamp" not in info for info in self._infos):
            notes.append("the recording gives no times: key frames are spaced 0.5 s apart")
        tokens = {str(time_ns): info["token"] for time_ns, info in zip(self._times_ns, self._infos) if "token" in info}
        return DriveInfo(self.path.stem, GeoPoint(0.0, 0.0, float("nan")), self._times_ns[0], self._times_ns[-1], {},
                         Site((), ()), "nuscenes", tuple(notes), {"global_from_map_m": start_m, "sample_tokens": tokens})

    def __len__(self) -> int:
        return 3 * len(self._infos)

    def __iter__(self) -> Iterator[Event]:
        for number, (time_ns, info) in enumerate(zip(self._times_ns, self._infos)):
            where = f"{self.path}: sample {number}"
            sample = self._sample(info, time_ns, where)
            map_from_lidar = sample.map_from_ego @ sample.ego_from_sensor[LIDAR]
            pose = EgoPose(time_ns, sample.map_from_ego, np.full(3, np.nan), np.full((6, 6), np.nan))
            truth = _truth(info.get("instances", []), self._classes, time_ns, where).transformed(map_from_lidar)
            yield Event(time_ns, EGO_POSES, pose)
            yield Event(time_ns, EGO_SAMPLES, sample)
            yield Event(time_ns, TRUTH, truth)

    @cached_property
    def _content(self) -> dict[str, Any]:
        content = read_pickle(self.path)
        if not isinstance(content, dict) or not isinstance(content.get("data_list"), list):
            raise UnknownFormat(self.path, f"a pickled {type(content).__name__}", "an info-v2 dict with metainfo and data_list")
        if not content["data_list"]:
            raise InputError(self.path, "an empty data_list", "at least one sample")
        return content

    @cached_property
    def _infos(self) -> list[dict[str, Any]]:
        return sorted(self._content["data_list"], key=lambda info: info.get("timestamp", 0.0))

    @cached_property
    def _classes(self) -> dict[int, ObjectClass]:
        """By the pickle's own numbers: their order differs between data sets and configs."""
        categories = _get(_get(self._content, "metainfo", str(self.path)), "categories", f"{self.path}: metainfo")
        return {number: class_of(name, NUSCENES_CLASSES, f"{self.path}: metainfo") for name, number in categories.items()}

    @cached_property
    def _times_ns(self) -> list[int]:
        if any("timestamp" not in info for info in self._infos):
            return [(i + 1) * KEY_FRAME_STEP_NS for i in range(len(self._infos))]
        return [_time_ns(info["timestamp"], f"{self.path}: sample {i}") for i, info in enumerate(self._infos)]

    @cached_property
    def _start_m(self) -> Array:
        where = f"{self.path}: sample 0"
        return _pose("global", "ego", _get(self._infos[0], "ego2global", where), f"{where}: ego2global").translation_m

    def _sample(self, info: dict[str, Any], time_ns: int, where: str) -> Sample:
        lidar = _get(info, "lidar_points", where)
        global_from_ego = _pose("global", "ego", _get(info, "ego2global", where), f"{where}: ego2global")
        ego_from_lidar = _pose("ego", LIDAR, _get(lidar, "lidar2ego", where), f"{where}: lidar2ego")
        cloud = _cloud(self._file(_get(lidar, "lidar_path", where), LIDAR), int(lidar.get("num_pts_feats", 5)), time_ns)
        poses, images = {LIDAR: ego_from_lidar}, []
        for name, camera in sorted(_get(info, "images", where).items()):
            place = f"{where}: {name}"
            taken_ns = _time_ns(camera["timestamp"], place) if "timestamp" in camera else time_ns
            poses[name] = _ego_from_camera(camera, name, ego_from_lidar, abs(taken_ns - time_ns) / 1e9, place)
            images.append(_image(self._file(_get(camera, "img_path", place), name), camera, name, taken_ns, place))
        map_from_ego = SE3("map", "ego", global_from_ego.rotation, global_from_ego.translation_m - self._start_m)
        return Sample(self.path.stem, time_ns, (cloud,), tuple(images), map_from_ego, poses)

    def _file(self, name: str, sensor: str) -> Path:
        folder = self.path.parent
        places = [folder / name, folder / "samples" / sensor / Path(name).name, folder / sensor / Path(name).name]
        for place in places:
            if place.is_file():
                return place
        raise MissingInput(places[0], f"the {sensor} file that {self.path.name} names", "or the same under samples/")


def _pickle_in(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise MissingInput(source, "an info-v2 pickle, or a folder with one")
    found = sorted(source.glob("*.pkl"))
    if len(found) != 1:
        got = f"{len(found)} pickles" + (f" ({', '.join(path.name for path in found[:5])})" if found else "")
        raise InputError(source, got, "one info-v2 pickle", "name the file itself" if found else "")
    return found[0]


def _get(table: Any, key: str, where: str) -> Any:
    if not isinstance(table, dict) or key not in table:
        raise MissingInput(f"{where}: {key}", "a field of an info-v2 pickle")
    return table[key]


def _time_ns(timestamp: Any, where: str) -> int:
    """Seconds (info v2) or microseconds (nuScenes itself) to nanoseconds, by way of whole microseconds."""
    if not isinstance(timestamp, int | float | np.number) or not np.isfinite(timestamp) or timestamp < 0:
        raise InputError(f"{where}: timestamp", repr(timestamp), "seconds since 1970")
    return round(float(timestamp) * (1e6 if timestamp < 1e12 else 1.0)) * 1000


def _matrix(values: Any, shape: tuple[int, int], where: str) -> Array:
    try:
        matrix = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(where, "not a matrix of numbers", f"{shape[0]} x {shape[1]}") from error
    if matrix.shape != shape:
        raise InputError(where, f"shape {matrix.shape}", f"shape {shape}")
    return matrix


def _pose(dst: str, src: str, values: Any, where: str) -> SE3:
    matrix = _matrix(values, (4, 4), where)
    try:
        return SE3(dst, src, matrix[:3, :3], matrix[:3, 3])
    except SpecError as error:
        raise InputError(where, str(error), "a rigid transform") from error


def _ego_from_camera(camera: dict[str, Any], name: str, ego_from_lidar: SE3, apart_s: float, where: str) -> SE3:
    """Where the camera was when it took its image, in the ego frame of the LiDAR's time; InputError if cam2ego says otherwise."""
    camera_from_lidar = _pose(name, LIDAR, _get(camera, "lidar2cam", where), f"{where}: lidar2cam")
    mounted = _pose("ego", name, _get(camera, "cam2ego", where), f"{where}: cam2ego")
    placed = ego_from_lidar @ camera_from_lidar.inverse()
    moved = mounted.inverse() @ SE3("ego", "then", placed.rotation, placed.translation_m)
    off_m = float(np.linalg.norm(placed.translation_m - mounted.translation_m))
    off_rad = float(np.arccos(np.clip((np.trace(moved.rotation) - 1) / 2, -1.0, 1.0)))
    if off_m > SLACK_M + MAX_SPEED_MPS * apart_s or off_rad > SLACK_RAD + MAX_TURN_RADPS * apart_s:
        raise InputError(where, f"lidar2cam is {off_m:.2f} m and {off_rad:.3f} rad off cam2ego and lidar2ego",
                         f"no more than the ego moves in {apart_s:.3f} s")
    return placed


def _cloud(path: Path, features: int, taken_ns: int) -> PointCloud:
    size, point_bytes = path.stat().st_size, 4 * features
    if features < 4:
        raise InputError(path, f"{features} values a point", "x, y, z, intensity and, where known, ring")
    if size % point_bytes:
        raise TruncatedInput(path, f"ends inside a point at byte {size}", f"a multiple of {point_bytes} bytes")
    values = np.fromfile(path, "<f4").reshape(-1, features)
    intensity = values[:, 3] / np.float32(255.0)
    if len(values) and not (intensity.min() >= 0.0 and intensity.max() <= 1.0):
        raise InputError(path, f"intensities of {values[:, 3].min()} to {values[:, 3].max()}", "0 to 255")
    ring = values[:, 4] if features > 4 else np.zeros(len(values))
    return PointCloud(LIDAR, taken_ns, values[:, :3], intensity, ring.astype(np.uint8), np.zeros(len(values), np.int32))


def _image(path: Path, camera: dict[str, Any], name: str, taken_ns: int, where: str) -> CameraImage:
    try:
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise InputError(path, str(error), "an image") from error
    matrix_px = _matrix(_get(camera, "cam2img", where), (3, 3), f"{where}: cam2img")
    try:
        model = CameraModel(name, rgb.shape[1], rgb.shape[0], matrix_px, np.zeros(0))
    except SpecError as error:
        raise InputError(f"{where}: cam2img", str(error), "a camera matrix") from error
    return CameraImage(taken_ns, rgb, model)


def _truth(instances: list[dict[str, Any]], classes: dict[int, ObjectClass], time_ns: int, where: str) -> Truth:
    """Boxes of one sample in LIDAR_TOP; label -1 is a thing outside the data set's classes: kept, to be ignored."""
    rows = []
    for i, instance in enumerate(instances):
        place = f"{where}: instance {i}"
        box = np.asarray(_get(instance, "bbox_3d", place), np.float64)
        if box.shape != (7,):
            raise InputError(f"{place}: bbox_3d", f"shape {box.shape}", "x, y, z, length, width, height, yaw")
        number = int(_get(instance, "bbox_label_3d", place))
        if number != -1 and number not in classes:
            raise UnknownFormat(f"{place}: bbox_label_3d", f"class {number}", f"one of {sorted(classes)} as in metainfo, or -1")
        velocity_mps = np.asarray(instance.get("velocity", [np.nan, np.nan]), np.float64)[:2]
        rows.append((box, classes.get(number, ObjectClass.UNKNOWN), velocity_mps, int(instance.get("num_lidar_pts", -1))))
    values = np.array([row[0] for row in rows]).reshape(-1, 7)
    label = np.array([row[1] for row in rows], np.uint8)
    try:
        boxes = Boxes3D(LIDAR, values[:, :3], values[:, 3:6], values[:, 6])
    except SpecError as error:
        raise InputError(where, str(error), "boxes of finite numbers") from error
    objects = ObjectList.build(boxes, "truth", time_ns, label, velocity_mps=np.array([row[2] for row in rows]).reshape(-1, 2))
    return Truth.build(objects, points_in_box=np.array([row[3] for row in rows], np.int32), ignore=label == ObjectClass.UNKNOWN)
