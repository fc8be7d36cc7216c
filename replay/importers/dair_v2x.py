"""DAIR-V2X-C: a real vehicle and a real roadside unit at one crossing, on one clock and in one map.

- `map` is the data set's local "world" shifted by whole metres; its axes are taken as East, North, Up and its place on the
  globe is invented, since the data set gives none.
- `ego` stands at the vehicle's inertial unit, x forward. A vehicle frame's time is the start of its LiDAR sweep, and its points
  carry their own times.
- A unit's frame stands upright at its LiDAR: the small tilt that calibration gives is in the pose of the sensor.
- Label boxes stand in for detectors: the vehicle's become vehicle.objects, the unit's become its objects in its own frame, with
  its own times. The joint boxes are the truth.
- `system_error_offset`, the data set's own correction of the unit's place, is kept in the facts and applied only on request.
Source: Yu et al., DAIR-V2X: A Large-Scale Dataset for Vehicle-Infrastructure Cooperative 3D Object Detection (CVPR 2022).
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, SpecError, TruncatedInput
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Crossing, Rsu, Site
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, DriveInfo, Event, rsu_objects, rsu_samples
from replay.importers.dair_index import Frame, affine, find_root, read_frames, read_json, read_labels, read_offset, read_pose
from replay.importers.pcd import read_pcd

ORIGIN = GeoPoint(39.8, 116.5, 30.0)  # somewhere in Beijing: the data set's own place is not published
_EGO_FROM_NOVATEL = SE3.from_yaw("ego", "novatel", -np.pi / 2, np.zeros(3))  # the inertial unit looks along its +y
_OWN_RETURNS_M = 1.0  # nearer returns are the sensor's own housing, or no return at all


class DairV2xImporter:
    """Streams a DAIR-V2X-C folder as events; one frame is in memory at a time."""

    def __init__(self, source: Path, apply_offset: bool = False) -> None:
        self._root = find_root(Path(source))
        self._apply_offset = apply_offset
        self._vehicle = read_frames(self._root / "vehicle-side")
        self._roadside = read_frames(self._root / "infrastructure-side")
        units = sorted({frame.unit for frame in self._roadside})
        self._names = {unit: f"rsu-{number}" for number, unit in enumerate(units, 1)}
        self._id = self._root.resolve().name

    def describe(self) -> DriveInfo:
        stamps = [frame.taken_ns for frame in (*self._vehicle, *self._roadside)]
        return DriveInfo(self._id, ORIGIN, min(stamps), max(stamps), {}, self._site, "dair-v2x", self._notes(), {
            "world_from_map_m": self._shift_m.tolist(),
            "offset_applied": self._apply_offset,
            "system_error_offset": [
                {"unit": self._names[frame.unit], "frame": frame.id, "time_ns": frame.taken_ns, "offset_m": list(offset)}
                for frame in self._roadside if (offset := self._offset(frame)) is not None],
        })

    def __len__(self) -> int:
        return 4 * len(self._vehicle) + 2 * len(self._roadside)

    def __iter__(self) -> Iterator[Event]:
        for frame in merge(self._vehicle, self._roadside, key=lambda frame: frame.taken_ns):
            events = self._roadside_events(frame) if frame.unit else self._vehicle_events(frame)
            yield from sorted(events, key=lambda event: event.topic)

    @cached_property
    def _shift_m(self) -> Array:
        """Where the origin of `map` is in the data set's world: the first unit's place, rounded to whole metres."""
        frame = self._roadside[0]
        return np.round(read_pose(_file(frame, "virtuallidar_to_world"), "world", "virtuallidar").translation_m)

    @cached_property
    def _site(self) -> Site:
        polygon_m = np.array([[-100.0, -100.0], [100.0, -100.0], [100.0, 100.0], [-100.0, 100.0]])
        units = []
        for unit, name in self._names.items():
            first = next(frame for frame in self._roadside if frame.unit == unit)
            pose = self._map_from_virtuallidar(first)
            upright = SE3.from_yaw("map", name, pose.yaw_rad, pose.translation_m)
            units.append(Rsu(name, "dair-v2x", 1000 + len(units), "", "", upright))
        return Site((Crossing("dair-v2x", ORIGIN, polygon_m, "off"),), tuple(units))

    @cached_property
    def _offsets(self) -> dict[str, tuple[float, float] | None]:
        """What the index of pairs says about each roadside frame; None where it says that there is none."""
        index = self._root / "cooperative" / "data_info.json"
        rows = read_json(index, "the index of pairs") if index.is_file() else []
        return {Path(row["infrastructure_pointcloud_path"]).stem: read_offset(row.get("system_error_offset"))
                for row in rows if "infrastructure_pointcloud_path" in row}

    def _offset(self, frame: Frame) -> tuple[float, float] | None:
        """The data set's correction of a unit's place at one frame: from the index of pairs, else from its calibration."""
        if frame.id in self._offsets:
            return self._offsets[frame.id]
        table = read_json(_file(frame, "virtuallidar_to_world"), "the unit's pose")
        return read_offset(table.get("relative_error") if isinstance(table, dict) else None)

    def _notes(self) -> tuple[str, ...]:
        absent = [f"{sum(not path(frame).is_file() for frame in frames)} of {len(frames)} {side} frames have no {what} here"
                  for side, frames in (("vehicle", self._vehicle), ("roadside", self._roadside))
                  for what, path in (("cloud", lambda f: f.cloud), ("image", lambda f: f.image), ("labels", lambda f: f.label))
                  if any(not path(frame).is_file() for frame in frames)]
        applied = "applied to the units' places" if self._apply_offset else "not applied; it is among the facts"
        return ("the place on the globe is invented: the data set gives local coordinates only",
                "vehicle.objects and the units' objects are label boxes, standing in for detectors",
                "the joint boxes hold the vehicle's own boxes and the roadside ones that the vehicle has not",
                f"system_error_offset is {applied}", *absent)

    def _vehicle_events(self, frame: Frame) -> Iterator[Event]:
        map_from_ego, ego_from_lidar = self._map_from_ego(frame), self._ego_from_lidar(frame)
        unmeasured = np.full((6, 6), np.nan)
        yield Event(frame.taken_ns, EGO_POSES, EgoPose(frame.taken_ns, map_from_ego, np.full(3, np.nan), unmeasured))
        if frame.cloud.is_file() or frame.image.is_file():
            camera_from_lidar = read_pose(_file(frame, "lidar_to_camera"), "camera", "lidar")
            matrix_px = _intrinsic(_file(frame, "camera_intrinsic"))
            poses = {"lidar": ego_from_lidar, "camera": ego_from_lidar @ camera_from_lidar.inverse()}
            yield Event(frame.taken_ns, EGO_SAMPLES, self._sample(frame, map_from_ego, poses, matrix_px))
        if frame.label.is_file():
            boxes = _objects(frame.label, "lidar", "vehicle-label", frame.taken_ns)
            yield Event(frame.taken_ns, VEHICLE_OBJECTS, boxes.transformed(map_from_ego @ ego_from_lidar))
        joint = self._root / "cooperative" / "label_world" / f"{frame.id}.json"
        if joint.is_file():
            objects = _objects(joint, "world", "joint-label", frame.taken_ns)
            yield Event(frame.taken_ns, TRUTH, Truth.build(objects.transformed(self._map_from_world)))

    def _roadside_events(self, frame: Frame) -> Iterator[Event]:
        name = self._names[frame.unit]
        map_from_unit = next(rsu.map_from_rsu for rsu in self._site.rsus if rsu.name == name)
        unit_from_lidar = map_from_unit.inverse() @ self._map_from_virtuallidar(frame)
        if frame.cloud.is_file() or frame.image.is_file():
            matrix_px, camera_from_lidar = _split_camera(_file(frame, "camera_intrinsic"), _file(frame, "virtuallidar_to_camera"))
            poses = {"virtuallidar": unit_from_lidar, "camera": unit_from_lidar @ camera_from_lidar.inverse()}
            yield Event(frame.taken_ns, rsu_samples(name), self._sample(frame, map_from_unit, poses, matrix_px))
        if frame.label.is_file():
            boxes = _objects(frame.label, "virtuallidar", name, frame.taken_ns)
            yield Event(frame.taken_ns, rsu_objects(name), boxes.transformed(unit_from_lidar))

    def _sample(self, frame: Frame, map_from_platform: SE3, poses: dict[str, SE3], matrix_px: Array) -> Sample:
        """Cloud and image of a frame, as far as they are here."""
        lidar, camera = poses
        platform = map_from_platform.src
        frames = {lidar: f"{platform}-lidar", camera: f"{platform}-camera"}
        placed = {frames[key]: SE3(platform, frames[key], pose.rotation, pose.translation_m) for key, pose in poses.items()}
        clouds = (_cloud(frame, frames[lidar]),) if frame.cloud.is_file() else ()
        images = (_image(frame, frames[camera], matrix_px),) if frame.image.is_file() else ()
        return Sample(self._id, frame.taken_ns, clouds, images, map_from_platform, placed)

    @cached_property
    def _map_from_world(self) -> SE3:
        return SE3("map", "world", np.eye(3), -self._shift_m)

    def _map_from_ego(self, frame: Frame) -> SE3:
        world_from_novatel = read_pose(_file(frame, "novatel_to_world"), "world", "novatel")
        return self._map_from_world @ world_from_novatel @ _EGO_FROM_NOVATEL.inverse()

    def _ego_from_lidar(self, frame: Frame) -> SE3:
        return _EGO_FROM_NOVATEL @ read_pose(_file(frame, "lidar_to_novatel"), "novatel", "lidar")

    def _map_from_virtuallidar(self, frame: Frame) -> SE3:
        """Where the unit's LiDAR is; with the data set's offset only if that was asked for."""
        pose = self._map_from_world @ read_pose(_file(frame, "virtuallidar_to_world"), "world", "virtuallidar")
        offset = self._offset(frame) if self._apply_offset else None
        shift_m = np.zeros(3) if offset is None else np.array([*offset, 0.0])
        return SE3(pose.dst, pose.src, pose.rotation, pose.translation_m + shift_m)


def _file(frame: Frame, key: str) -> Path:
    if key not in frame.files:
        raise InputError(frame.cloud.parent.parent / "data_info.json", f"frame {frame.id} without calib_{key}_path",
                         f"one beside {', '.join(sorted(frame.files))}")
    return frame.files[key]


def _objects(path: Path, coordinate_frame: str, source: str, measured_ns: int) -> ObjectList:
    labels = read_labels(path)
    boxes = Boxes3D(coordinate_frame, labels.center_m, labels.size_lwh_m, labels.yaw_rad)
    return ObjectList.build(boxes, source, measured_ns, labels.label)


def _cloud(frame: Frame, sensor: str) -> PointCloud:
    """A sweep without what has no position or is the sensor's own housing; intensity to 0..1, point times from the frame's."""
    columns = read_pcd(frame.cloud)
    for name in ("x", "y", "z"):
        if name not in columns:
            raise InputError(frame.cloud, f"fields {', '.join(columns)}", "x, y and z among them")
    xyz_m = np.stack([columns["x"], columns["y"], columns["z"]], axis=1).astype(np.float32)
    intensity = columns.get("intensity", np.zeros(len(xyz_m), np.float32))
    scale = np.float32(1 / 255 if intensity.dtype.kind in "ui" else 1.0)
    offset_ns = np.zeros(len(xyz_m), np.int32)
    if "timestamp" in columns:
        whole_s, rest_ns = divmod(frame.taken_ns, 10**9)
        offset_s = np.clip(columns["timestamp"] - whole_s - rest_ns / 1e9, -1.0, 1.0)
        offset_ns = np.round(np.nan_to_num(offset_s) * 1e9).astype(np.int32)
    kept = np.isfinite(xyz_m).all(axis=1) & ~(np.linalg.norm(xyz_m, axis=1) < _OWN_RETURNS_M)
    grey = np.clip(np.nan_to_num(intensity[kept].astype(np.float32) * scale), 0.0, 1.0)
    return PointCloud(sensor, frame.taken_ns, xyz_m[kept], grey, np.zeros(int(kept.sum()), np.uint8), offset_ns[kept])


def _image(frame: Frame, sensor: str, matrix_px: Array) -> CameraImage:
    """The image; it is already undistorted, so the calibration's distortion is left aside."""
    from PIL import Image

    try:
        with Image.open(frame.image) as image:
            rgb = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise TruncatedInput(frame.image, str(error), "a whole JPEG") from error
    height_px, width_px = rgb.shape[:2]
    try:
        return CameraImage(frame.image_ns, rgb, CameraModel(sensor, width_px, height_px, matrix_px, np.zeros(0)))
    except SpecError as error:
        raise InputError(frame.image, str(error), "an image that fits its camera") from error


def _intrinsic(path: Path) -> Array:
    table: Any = read_json(path, "a camera's matrix")
    try:
        return np.array(table["cam_K"], dtype=float).reshape(3, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"{type(error).__name__} {error}", "cam_K with 9 numbers") from error


def _split_camera(intrinsic: Path, extrinsic: Path) -> tuple[Array, SE3]:
    """Matrix [3, 3] px and camera_from_virtuallidar of a roadside camera.

    The level frame was made by a stretch too, so what leads from it to the camera is no rotation. The projection as a whole is
    split anew into a pinhole matrix and a rigid pose (RQ decomposition): the same pixels, and a pose that is one.
    """
    from scipy.linalg import rq

    projection = _intrinsic(intrinsic) @ affine(read_json(extrinsic, "the camera's pose"), extrinsic)
    matrix_px, rotation = rq(projection[:, :3])
    signs = np.diag(np.sign(np.diag(matrix_px)))
    matrix_px, rotation = matrix_px @ signs, signs @ rotation
    translation_m = np.linalg.solve(matrix_px, projection[:, 3])
    try:
        pose = SE3("camera", "virtuallidar", rotation, translation_m)
    except SpecError as error:
        raise InputError(extrinsic, str(error), "a right-handed camera pose") from error
    return matrix_px / matrix_px[2, 2], pose
