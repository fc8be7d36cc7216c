"""The files of a DAIR-V2X-C folder: its index, calibrations and labels as our types, and typed errors for what is wrong.

Source: Yu et al., DAIR-V2X (CVPR 2022), and the data set's own layout: `<side>/data_info.json` lists frames with time stamps
in Unix microseconds and paths below the side's folder. Rotations are 3x3 lists, lengths metres, angles radians.
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, SpecError, TruncatedInput
from data_specs.objects import ObjectClass, class_of
from data_specs.pose import SE3

DAIR_CLASSES: dict[str, ObjectClass] = {
    "car": ObjectClass.CAR, "van": ObjectClass.VAN, "truck": ObjectClass.TRUCK, "bus": ObjectClass.BUS,
    "pedestrian": ObjectClass.PEDESTRIAN, "cyclist": ObjectClass.BICYCLE, "motorcyclist": ObjectClass.MOTORCYCLE,
    "tricyclist": ObjectClass.MOTORCYCLE, "barrowlist": ObjectClass.OTHER, "trafficcone": ObjectClass.TRAFFIC_CONE,
    "unknown_movable": ObjectClass.UNKNOWN, "unknown_unmovable": ObjectClass.UNKNOWN, "unknowns_movable": ObjectClass.UNKNOWN,
    "unknowns_unmovable": ObjectClass.UNKNOWN,
}
_IGNORED = "ignore"  # "carignore", "pedestrianignore", "otherignore": areas that the labellers left out
_MICROSECONDS = (10**15, 10**16)  # the years 2001 to 2286


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a side's index; files are checked when they are read."""

    id: str
    taken_ns: int  # of the cloud
    image_ns: int
    cloud: Path
    image: Path
    label: Path
    files: dict[str, Path]  # calibrations by their key in the index, without "calib_" and "_path"
    unit: str  # which roadside unit; "" on the vehicle's side


@dataclass(frozen=True, slots=True)
class Labels:
    """n boxes of one label file, in the file's own frame."""

    label: Array  # [n] ObjectClass
    center_m: Array  # [n, 3]
    size_lwh_m: Array  # [n, 3]
    yaw_rad: Array  # [n]


def find_root(source: Path) -> Path:
    """The folder that holds both sides: the source itself or the one the official archive makes."""
    for root in (source, source / "cooperative-vehicle-infrastructure"):
        if (root / "vehicle-side").is_dir():
            return root
    raise MissingInput(source / "vehicle-side", "a DAIR-V2X-C folder with vehicle-side, infrastructure-side and cooperative")


def read_json(path: Path, what: str) -> Any:
    """What a JSON file holds; MissingInput, TruncatedInput or InputError with its line."""
    if not path.is_file():
        raise MissingInput(path, what)
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        kind = TruncatedInput if error.pos >= len(text.rstrip()) else InputError
        raise kind(f"{path}:{error.lineno}", error.msg, f"{what} as JSON") from error


def read_frames(side: Path) -> list[Frame]:
    """The frames of one side, by time."""
    index = side / "data_info.json"
    rows = read_json(index, "the index of a side")
    if not isinstance(rows, list) or not rows:
        raise InputError(index, f"{type(rows).__name__} {str(rows)[:40]}", "a list of frames")
    frames = []
    for number, row in enumerate(rows):
        where = f"{index}: frame {number}"
        try:
            frames.append(_frame(side, row, where))
        except (KeyError, TypeError) as error:
            raise InputError(where, f"{type(error).__name__} {error}",
                             "image_path, pointcloud_path, their timestamps, calib_*_path and label_lidar_std_path") from error
    return sorted(frames, key=lambda frame: (frame.taken_ns, frame.id))


def read_pose(path: Path, dst: str, src: str) -> SE3:
    """A calibration file's transform dst_from_src."""
    table = read_json(path, f"the transform {dst}_from_{src}")
    matrix = affine(table, path)
    try:
        return SE3.from_matrix(dst, src, matrix)
    except SpecError as error:
        raise InputError(path, str(error), "a rotation of 3x3 and a translation of 3 metres") from error


def affine(table: Any, path: Path) -> Array:
    """The [3, 4] matrix of a calibration file's rotation and translation."""
    inner = table.get("transform", table) if isinstance(table, dict) else {}
    try:
        rotation = np.array(inner["rotation"], dtype=float)
        translation = np.array(inner["translation"], dtype=float).reshape(-1)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"{type(error).__name__} {error}", "rotation (3x3) and translation (3)") from error
    if rotation.shape != (3, 3) or translation.shape != (3,):
        raise InputError(path, f"rotation {rotation.shape}, translation {translation.shape}", "(3, 3) and (3,)")
    return np.hstack([rotation, translation[:, None]])


def read_labels(path: Path) -> Labels:
    """The boxes of a label file that have a 3D part; all-zero ones (2D only) and ignored areas are left out.

    Joint boxes carry `world_8_points`, from which centre and yaw are taken: those from the roadside have no rotation.
    """
    rows = read_json(path, "a list of labelled objects")
    if not isinstance(rows, list):
        raise InputError(path, type(rows).__name__, "a list of labelled objects")
    kept = []
    for number, row in enumerate(rows):
        where = f"{path}: object {number}"
        try:
            box = _box(row, where)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, SpecError):
                raise
            raise InputError(where, f"{type(error).__name__} {error}",
                             "type, 3d_dimensions, 3d_location and rotation or world_8_points") from error
        if box is not None:
            kept.append(box)
    table = np.array(kept, dtype=float).reshape(-1, 8)
    return Labels(table[:, 0].astype(np.uint8), table[:, 1:4], table[:, 4:7], table[:, 7])


def read_offset(row: Any) -> tuple[float, float] | None:
    """(delta_x, delta_y) in metres of a system_error_offset or relative_error entry; None where it says nothing ("")."""
    if not isinstance(row, dict):
        return None
    values = [row.get("delta_x", ""), row.get("delta_y", "")]
    try:
        return float(values[0]), float(values[1])
    except (TypeError, ValueError):
        return None


def _frame(side: Path, row: dict[str, Any], where: str) -> Frame:
    cloud = Path(row["pointcloud_path"])
    files = {key[6:-5]: side / value for key, value in row.items() if key.startswith("calib_") and key.endswith("_path")}
    on_vehicle = "novatel_to_world" in files
    unit = "" if on_vehicle else f"{row.get('intersection_loc', '')}/{row.get('lidar_id', '')}"
    return Frame(cloud.stem, _stamp_ns(row["pointcloud_timestamp"], where), _stamp_ns(row["image_timestamp"], where),
                 side / cloud, side / row["image_path"], side / row["label_lidar_std_path"], files, unit)


def _stamp_ns(value: Any, where: str) -> int:
    try:
        microseconds = int(value)
    except (TypeError, ValueError):
        microseconds = -1
    if not _MICROSECONDS[0] <= microseconds < _MICROSECONDS[1]:
        raise InputError(where, f"time stamp {value!r}", "Unix microseconds (16 digits)")
    return microseconds * 1000


def _box(row: dict[str, Any], where: str) -> tuple[float, ...] | None:
    """label, x, y, z, length, width, height, yaw of one object; None for what has no box in space."""
    name = str(row["type"]).lower()
    if name.endswith(_IGNORED):
        return None
    label = class_of(name, DAIR_CLASSES, where)
    size = [float(row["3d_dimensions"][key]) for key in "lwh"]
    if "world_8_points" in row:
        corners = np.array(row["world_8_points"], dtype=float).reshape(8, 3)
        center, front = corners.mean(axis=0), corners[1] - corners[2]
        yaw = float(np.arctan2(front[1], front[0]))
    else:
        center = np.array([float(row["3d_location"][key]) for key in "xyz"])
        yaw = float(row["rotation"])
    values = np.array([*center, *size, yaw])
    if not np.isfinite(values).all() or min(size) < 0.0:
        raise InputError(where, f"box {values.tolist()}", "finite numbers and no negative length")
    return None if not any(size) else (float(label), *values.tolist())
