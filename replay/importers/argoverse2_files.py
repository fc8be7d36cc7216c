"""The tables of an Argoverse 2 sensor log, read and checked: poses, calibration, annotations and LiDAR sweeps, all Feather.

Source: Wilson et al., Argoverse 2 (NeurIPS Datasets and Benchmarks 2021), and the data set's user guide, "Sensor dataset":
quaternions are scalar first, annotations and points stand in the ego frame, cameras have the radial distortion k1, k2, k3.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from data_specs.sensors import CameraModel

QUATERNION, TRANSLATION = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
LIDARS = ("up_lidar", "down_lidar")
LASERS_PER_LIDAR = 32  # laser_number counts on from the first LiDAR to the second: seen in the cones that they draw

# Signs, bollards and what carries them are of no class of ours.
CLASSES: dict[str, ObjectClass] = {
    "REGULAR_VEHICLE": ObjectClass.CAR, "LARGE_VEHICLE": ObjectClass.TRUCK, "BOX_TRUCK": ObjectClass.TRUCK,
    "TRUCK": ObjectClass.TRUCK, "TRUCK_CAB": ObjectClass.TRUCK, "VEHICULAR_TRAILER": ObjectClass.TRAILER,
    "BUS": ObjectClass.BUS, "SCHOOL_BUS": ObjectClass.BUS, "ARTICULATED_BUS": ObjectClass.BUS, "RAILED_VEHICLE": ObjectClass.TRAM,
    "PEDESTRIAN": ObjectClass.PEDESTRIAN, "OFFICIAL_SIGNALER": ObjectClass.PEDESTRIAN, "BICYCLE": ObjectClass.BICYCLE,
    "MOTORCYCLE": ObjectClass.MOTORCYCLE, "BICYCLIST": ObjectClass.OTHER, "MOTORCYCLIST": ObjectClass.OTHER,
    "WHEELED_RIDER": ObjectClass.OTHER, "WHEELED_DEVICE": ObjectClass.OTHER, "WHEELCHAIR": ObjectClass.OTHER,
    "STROLLER": ObjectClass.OTHER, "CONSTRUCTION_CONE": ObjectClass.TRAFFIC_CONE, "CONSTRUCTION_BARREL": ObjectClass.BARRIER,
    "ANIMAL": ObjectClass.ANIMAL, "DOG": ObjectClass.ANIMAL, "BOLLARD": ObjectClass.OTHER, "SIGN": ObjectClass.OTHER,
    "STOP_SIGN": ObjectClass.OTHER, "MESSAGE_BOARD_TRAILER": ObjectClass.OTHER, "TRAFFIC_LIGHT_TRAILER": ObjectClass.OTHER,
    "MOBILE_PEDESTRIAN_CROSSING_SIGN": ObjectClass.OTHER,
}
RIDERS = ("BICYCLIST", "MOTORCYCLIST", "WHEELED_RIDER")  # their vehicles have boxes of their own


@dataclass(frozen=True, slots=True)
class Annotations:
    """All boxes of a log, by time; frame ego at each box's own time."""

    time_ns: Array  # [n]
    track: tuple[str, ...]
    category: tuple[str, ...]
    center_m: Array  # [n, 3]
    size_lwh_m: Array  # [n, 3]
    yaw_rad: Array  # [n]
    points: Array  # [n] of the LiDARs, inside of the box


def read_table(path: Path, columns: Sequence[str]) -> dict[str, Array]:
    """Columns of a Feather file; MissingInput, or InputError that names what is wrong with it."""
    if not path.is_file():
        raise MissingInput(path, f"a Feather file with {', '.join(columns)}")
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise InputError(path, f"{path.stat().st_size} bytes that break off or are none of it: {str(error).splitlines()[0]}",
                         "a whole Feather file") from error
    if absent := [name for name in columns if name not in table.column_names]:
        raise InputError(path, f"no column {', '.join(absent)}", f"columns {', '.join(columns)}")
    return {name: table[name].to_numpy() for name in columns}


def read_poses(path: Path) -> tuple[Array, list[SE3]]:
    """Times [p], ascending, and city_from_ego of each."""
    table = read_table(path, ("timestamp_ns", *QUATERNION, *TRANSLATION))
    times_ns = table["timestamp_ns"]
    order = np.argsort(times_ns, kind="stable")
    if not len(times_ns):
        raise InputError(path, "no rows", "at least one pose")
    if len(twice := np.flatnonzero(np.diff(times_ns[order]) == 0)):
        raise InputError(f"{path}: row {order[twice[0] + 1]}", f"a second pose at {times_ns[order][twice[0]]}", "one a time")
    return times_ns[order], [_pose("city", "ego", table, int(row), path) for row in order]


def read_mounts(path: Path) -> dict[str, SE3]:
    """ego_from_sensor by sensor name."""
    table = read_table(path, ("sensor_name", *QUATERNION, *TRANSLATION))
    return {str(name): _pose("ego", str(name), table, row, path) for row, name in enumerate(table["sensor_name"])}


def read_cameras(path: Path) -> dict[str, CameraModel]:
    """Cameras by name."""
    names = ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3", "height_px", "width_px")
    table, found = read_table(path, names), {}
    for row, name in enumerate(table["sensor_name"]):
        fx, fy, cx, cy, k1, k2, k3 = (float(table[column][row]) for column in names[1:8])
        try:
            found[str(name)] = CameraModel(str(name), int(table["width_px"][row]), int(table["height_px"][row]),
                                           np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
                                           np.array([k1, k2, 0.0, 0.0, k3]))
        except SpecError as error:
            raise InputError(f"{path}: row {row}, {name}", str(error), "a camera") from error
    return found


def read_annotations(path: Path) -> Annotations:
    """The boxes; InputError names the row of one that is not finite or has no size."""
    table = read_table(path, ("timestamp_ns", "track_uuid", "category", "length_m", "width_m", "height_m", *QUATERNION,
                              *TRANSLATION, "num_interior_pts"))
    order = np.argsort(table["timestamp_ns"], kind="stable")
    center, size, turn = (np.column_stack([table[name][order] for name in names]).astype(float)
                          for names in (TRANSLATION, ("length_m", "width_m", "height_m"), QUATERNION))
    wrong = ~np.isfinite(np.hstack([center, size, turn])).all(axis=1) | (size <= 0.0).any(axis=1)
    wrong |= np.abs(np.linalg.norm(turn, axis=1) - 1.0) > 1e-3
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{path}: row {order[row]}", f"centre {center[row]}, size {size[row]}, quaternion {turn[row]}",
                         "finite numbers, a size above zero and a quaternion of length 1")
    w, x, y, z = turn.T
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return Annotations(table["timestamp_ns"][order], tuple(table["track_uuid"][order]), tuple(table["category"][order]), center,
                       size, yaw, table["num_interior_pts"][order].astype(np.int32))


def read_sweep(path: Path) -> Mapping[str, Array]:
    """x, y, z (ego frame), intensity (0 to 255), laser_number and offset_ns (from the sweep's time) of each point."""
    return read_table(path, ("x", "y", "z", "intensity", "laser_number", "offset_ns"))


def _pose(dst: str, src: str, table: Mapping[str, Array], row: int, path: Path) -> SE3:
    quaternion, translation = (np.array([table[name][row] for name in names], float) for names in (QUATERNION, TRANSLATION))
    try:
        return SE3.from_quaternion(dst, src, quaternion, translation)
    except SpecError as error:
        raise InputError(f"{path}: row {row}", str(error), "a pose: a unit quaternion and a place, all finite") from error
