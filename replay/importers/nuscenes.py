"""nuScenes key frames and the LiDAR sweeps between them, as mmdetection3d's info-v2 pickles list them, with their sensor files.

Source: nuScenes (Caesar et al. 2020) and mmdetection3d 1.4 docs, "nuScenes dataset". Boxes in the pickle stand in LIDAR_TOP
(x right, y forward) with z at their centre; velocities too. A camera is taken up to 50 ms before or after the LiDAR:
`lidar2cam` holds the ego's motion between the two, `cam2ego` does not. A Sample has one ego pose, that of the LiDAR, so a
camera is placed where it was, in that ego frame, when it took its image; `cam2ego` must agree up to that motion. A sweep is a
Sample of its own, with its LiDAR alone.
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, SpecError, TruncatedInput, UnknownFormat
from data_specs.messages import GeoPoint
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, class_of
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.importers.info_v2 import (
    MAX_SPEED_MPS,
    MAX_TURN_RADPS,
    SLACK_M,
    SLACK_RAD,
    apart,
    field_of,
    matrix_of,
    pose_of,
    time_ns_of,
)
from replay.importers.nuscenes_sweeps import Sweep, sweeps_between
from replay.importers.nuscenes_truth import truth_of
from replay.importers.pickles import read_pickle

LIDAR = "LIDAR_TOP"
KEY_FRAME_STEP_NS = 500_000_000  # nuScenes annotates at 2 Hz
IMAGE_SWEEPS = ("cam_sweeps", "image_sweeps")  # keys by which pickles list pictures between key frames


class NuScenesImporter:
    """An Importer of an info-v2 pickle, or of the folder that holds it; sensor files lie beside it or under samples/."""

    def __init__(self, source: str | Path) -> None:
        self.path = _pickle_in(Path(source))

    def describe(self) -> DriveInfo:
        tokens = {str(time_ns): info["token"] for time_ns, info in zip(self._times_ns, self._infos) if "token" in info}
        start_ns = min([*self._times_ns[:1], *(sweep.taken_ns for sweep, _ in self._sweeps[:1])])
        return DriveInfo(self.path.stem, GeoPoint(0.0, 0.0, float("nan")), start_ns, self._times_ns[-1], {}, Site((), ()),
                         "nuscenes", tuple(self._notes()),
                         {"global_from_map_m": self._start_m.tolist(), "sample_tokens": tokens})

    def __len__(self) -> int:
        return 3 * len(self._infos) + 2 * len(self._sweeps)

    def __iter__(self) -> Iterator[Event]:
        """Key frames as a pose, a sample and truth each, sweeps as a pose and a sample, by time."""
        return merge(self._sweep_events(), self._key_frame_events(), key=lambda event: event.time_ns)

    def _key_frame_events(self) -> Iterator[Event]:
        for number, (time_ns, info) in enumerate(zip(self._times_ns, self._infos)):
            where = f"{self.path}: sample {number}"
            sample = self._sample(info, time_ns, where)
            map_from_lidar = sample.map_from_ego @ sample.ego_from_sensor[LIDAR]
            truth = truth_of(info, self._classes, LIDAR, time_ns, where).transformed(map_from_lidar)
            yield Event(time_ns, EGO_POSES, ego_pose_of(sample))
            yield Event(time_ns, EGO_SAMPLES, sample)
            yield Event(time_ns, TRUTH, truth)

    def _sweep_events(self) -> Iterator[Event]:
        for sweep, file in self._sweeps:
            cloud = read_cloud(file, sweep.features, sweep.taken_ns)
            sample = Sample(self.path.stem, sweep.taken_ns, (cloud,), (), self._map_from_ego(sweep.global_from_ego),
                            {LIDAR: sweep.ego_from_lidar})
            yield Event(sweep.taken_ns, EGO_POSES, ego_pose_of(sample))
            yield Event(sweep.taken_ns, EGO_SAMPLES, sample)

    def _notes(self) -> Iterator[str]:
        """What a reader of the drive must know."""
        yield (f"map is nuScenes' global frame, its origin shifted to the first pose, {self._start_m.tolist()} m; "
               "where on Earth is not known")
        yield "cameras stand where they were when they took their image, in the ego frame of the LiDAR's time"
        if self._untimed:
            yield "the recording gives no times: key frames are spaced 0.5 s apart"
        if self._untimed and any(info.get("lidar_sweeps") for info in self._infos):
            yield "LiDAR sweeps between key frames are left out: the recording gives no times"
        if missing := len(self._listed_sweeps) - len(self._sweeps):
            yield (f"{missing} of {len(self._listed_sweeps)} LiDAR sweeps between key frames are left out: their files are not "
                   f"there, the first is {next(s.name for s in self._listed_sweeps if self._find(s.name) is None)}")
        if any(info.get(key) for info in self._infos for key in IMAGE_SWEEPS):
            yield "pictures between key frames (image sweeps) are left out"

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
        categories = field_of(field_of(self._content, "metainfo", str(self.path)), "categories", f"{self.path}: metainfo")
        return {number: class_of(name, NUSCENES_CLASSES, f"{self.path}: metainfo") for name, number in categories.items()
                if number != -1}  # names of things outside the data set's classes

    @cached_property
    def _untimed(self) -> bool:
        return any("timestamp" not in info for info in self._infos)

    @cached_property
    def _times_ns(self) -> list[int]:
        if self._untimed:
            return [(i + 1) * KEY_FRAME_STEP_NS for i in range(len(self._infos))]
        return [time_ns_of(info["timestamp"], f"{self.path}: sample {i}") for i, info in enumerate(self._infos)]

    @cached_property
    def _listed_sweeps(self) -> list[Sweep]:
        return [] if self._untimed else sweeps_between(self._infos, self._times_ns, LIDAR, str(self.path))

    @cached_property
    def _sweeps(self) -> list[tuple[Sweep, Path]]:
        """The sweeps whose files are there, and the files."""
        found = ((sweep, self._find(sweep.name)) for sweep in self._listed_sweeps)
        return [(sweep, file) for sweep, file in found if file is not None]

    @cached_property
    def _start_m(self) -> Array:
        where = f"{self.path}: sample 0"
        return pose_of("global", "ego", field_of(self._infos[0], "ego2global", where), f"{where}: ego2global").translation_m

    def _sample(self, info: dict[str, Any], time_ns: int, where: str) -> Sample:
        lidar = field_of(info, "lidar_points", where)
        global_from_ego = pose_of("global", "ego", field_of(info, "ego2global", where), f"{where}: ego2global")
        ego_from_lidar = pose_of("ego", LIDAR, field_of(lidar, "lidar2ego", where), f"{where}: lidar2ego")
        cloud = read_cloud(self._file(field_of(lidar, "lidar_path", where), LIDAR), int(lidar.get("num_pts_feats", 5)), time_ns)
        poses, images = {LIDAR: ego_from_lidar}, []
        for name, camera in sorted(field_of(info, "images", where).items()):
            place = f"{where}: {name}"
            taken_ns = time_ns_of(camera["timestamp"], place) if "timestamp" in camera else time_ns
            poses[name] = _ego_from_camera(camera, name, ego_from_lidar, abs(taken_ns - time_ns) / 1e9, place)
            images.append(_image(self._file(field_of(camera, "img_path", place), name), camera, name, taken_ns, place))
        return Sample(self.path.stem, time_ns, (cloud,), tuple(images), self._map_from_ego(global_from_ego), poses)

    def _map_from_ego(self, global_from_ego: SE3) -> SE3:
        return SE3("map", "ego", global_from_ego.rotation, global_from_ego.translation_m - self._start_m)

    def _find(self, name: str, sensor: str = LIDAR) -> Path | None:
        folder, file = self.path.parent, Path(name).name
        places = (folder / name, *(folder / kind / sensor / file for kind in ("samples", "sweeps", ".")), folder / file)
        return next((place for place in places if place.is_file()), None)

    def _file(self, name: str, sensor: str) -> Path:
        found = self._find(name, sensor)
        if found is None:
            raise MissingInput(self.path.parent / name, f"the {sensor} file that {self.path.name} names",
                               "or the same under samples/ or sweeps/")
        return found


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


def ego_pose_of(sample: Sample) -> EgoPose:
    """The pose of a sample, with a motion and an accuracy that nobody tells."""
    return EgoPose(sample.taken_ns, sample.map_from_ego, np.full(3, np.nan), np.full((6, 6), np.nan))


def _ego_from_camera(camera: dict[str, Any], name: str, ego_from_lidar: SE3, apart_s: float, where: str) -> SE3:
    """Where the camera was when it took its image, in the ego frame of the LiDAR's time; InputError if cam2ego says otherwise."""
    camera_from_lidar = pose_of(name, LIDAR, field_of(camera, "lidar2cam", where), f"{where}: lidar2cam")
    mounted = pose_of("ego", name, field_of(camera, "cam2ego", where), f"{where}: cam2ego")
    placed = ego_from_lidar @ camera_from_lidar.inverse()
    off_m, off_rad = apart(mounted, placed)
    if off_m > SLACK_M + MAX_SPEED_MPS * apart_s or off_rad > SLACK_RAD + MAX_TURN_RADPS * apart_s:
        raise InputError(where, f"lidar2cam is {off_m:.2f} m and {off_rad:.3f} rad off cam2ego and lidar2ego",
                         f"no more than the ego moves in {apart_s:.3f} s")
    return placed


def read_cloud(path: Path, features: int, taken_ns: int) -> PointCloud:
    """A point file of `features` float32 a point; TruncatedInput or InputError says what is wrong with it."""
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
    matrix_px = matrix_of(field_of(camera, "cam2img", where), (3, 3), f"{where}: cam2img")
    try:
        model = CameraModel(name, rgb.shape[1], rgb.shape[0], matrix_px, np.zeros(0))
    except SpecError as error:
        raise InputError(f"{where}: cam2img", str(error), "a camera matrix") from error
    return CameraImage(taken_ns, rgb, model)
