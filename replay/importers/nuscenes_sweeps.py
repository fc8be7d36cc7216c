"""LiDAR sweeps between nuScenes' key frames, as info-v2 pickles list them, each with its own time and its own ego pose.

A key frame lists up to ten sweeps before it, newest first, so neighbours list some twice, and the key frame before as well.
`lidar2sensor` leads from the key frame's LiDAR to the sweep's. Points of a sweep are moved by the poses themselves:
mmdetection3d 1.4's LoadPointsFromMultiSweeps computes p @ R - t where (p - t) @ R is right (its issue 3054), 0.6 m off at 10 m/s
and 0.3 rad/s.
Source: mmdetection3d 1.4, tools/dataset_converters/update_infos_to_v2.py and nuscenes_converter.py.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_specs.errors import InputError, MissingInput
from data_specs.pose import SE3
from replay.importers.info_v2 import SLACK_M, SLACK_RAD, apart, field_of, pose_of, time_ns_of


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep: the file that the pickle names, and where the ego and its LiDAR were."""

    taken_ns: int
    name: str  # of the file, as the pickle has it
    features: int  # values a point
    global_from_ego: SE3
    ego_from_lidar: SE3


def sweeps_between(infos: Sequence[dict[str, Any]], times_ns: Sequence[int], lidar: str, where: str) -> list[Sweep]:
    """Every sweep that the key frames list and that is none itself, once each, by time.

    Raises MissingInput or InputError with the place of what is wrong.
    """
    seen, found = set(times_ns), []
    for number, info in enumerate(infos):
        for i, entry in enumerate(info.get("lidar_sweeps") or ()):
            place = f"{where}: sample {number}: lidar_sweeps {i}"
            taken_ns = time_ns_of(field_of(entry, "timestamp", place), place)
            if taken_ns not in seen:
                found.append(_sweep(entry, info, taken_ns, lidar, place))
                seen.add(taken_ns)
    return sorted(found, key=lambda sweep: sweep.taken_ns)


def _sweep(entry: dict[str, Any], info: dict[str, Any], taken_ns: int, lidar: str, where: str) -> Sweep:
    """One entry of a key frame's list; the key frame tells what the entry does not."""
    points, key_points = field_of(entry, "lidar_points", where), field_of(info, "lidar_points", where)
    name = str(field_of(points, "lidar_path", where))
    key_mount = field_of(key_points, "lidar2ego", where)
    ego_from_key = pose_of("ego", lidar, key_mount, f"{where}: lidar2ego of its key frame")
    ego_from_lidar = pose_of("ego", lidar, points.get("lidar2ego", key_mount), f"{where}: lidar2ego")
    global_from_key = pose_of("global", "ego", field_of(info, "ego2global", where), f"{where}: ego2global of its key frame")
    features = int(points.get("num_pts_feats") or key_points.get("num_pts_feats", 5))
    global_from_ego = _global_from_ego(entry, points, ego_from_lidar, global_from_key @ ego_from_key, lidar, where)
    return Sweep(taken_ns, name, features, global_from_ego, ego_from_lidar)


def _global_from_ego(entry: dict[str, Any], points: dict[str, Any], ego_from_lidar: SE3, global_from_key_lidar: SE3,
                     lidar: str, where: str) -> SE3:
    """The ego's pose at a sweep: `ego2global`, else by way of `lidar2sensor`; InputError where both are there and differ."""
    said = derived = None
    if "ego2global" in entry:
        said = pose_of("global", "ego", entry["ego2global"], f"{where}: ego2global")
    if "lidar2sensor" in points:
        key_from_sweep = pose_of(lidar, lidar, points["lidar2sensor"], f"{where}: lidar2sensor").inverse()
        derived = global_from_key_lidar @ key_from_sweep @ ego_from_lidar.inverse()
    if said is None or derived is None:
        pose = said or derived
        if pose is None:
            raise MissingInput(f"{where}: ego2global", "ego2global or lidar2sensor of the sweep")
        return pose
    off_m, off_rad = apart(said, derived)
    if off_m > SLACK_M or off_rad > SLACK_RAD:
        raise InputError(where, f"lidar2sensor is {off_m:.2f} m and {off_rad:.3f} rad off ego2global and lidar2ego",
                         "the same place by both")
    return said
