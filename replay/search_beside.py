"""What objects are to the ego at their own times: how far, on which side, how soon they meet, by how much they missed.

All from the functions that the metrics use (replay/metrics/conflict.py). The ego's pose is interpolated between its stamps and
known nowhere else; where a stamp has no velocity, it is that of the poses around it.
"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data_specs.arrays import Array
from replay.metrics.conflict import EGO_SIZE_LW_M, footprint_corners_m, gap_m, post_encroachment_s, time_to_collision_s

COLUMNS = ("distance_m", "gap_m", "ttc_s", "pet_s", "ahead_m", "left_m", "closing_mps", "crossing")
MOVES_FROM_MPS = 0.5  # slower ones have no direction to cross in
CROSSES_FROM_RAD = np.pi / 4  # between the directions of motion and of the ego's heading, either way
PATH_STEP_NS = 100_000_000  # of the ego's path that post-encroachment is measured along


def beside_ego(ego: Mapping[str, Array], time_ns: Array, center_m: Array, size_lw_m: Array, yaw_rad: Array,
               velocity_mps: Array) -> dict[str, Array]:
    """COLUMNS, [n] each, of objects at times [n]; NaN and False where no pose is known. All in the frame map.

    `ego` has time_ns, x_m, y_m, yaw_rad, vx_mps and vy_mps, [m] each, by time. Distance is between centres, the gap between
    footprints; `closing_mps` is how fast the distance shrinks; a crossing object moves across the ego's heading.
    """
    n = len(time_ns)
    if not n or not len(ego["time_ns"]):
        return {name: np.zeros(n, bool) if name == "crossing" else np.full(n, np.nan) for name in COLUMNS}
    now = {name: _interpolated(ego, name, time_ns) for name in ("x_m", "y_m", "yaw_rad", "vx_mps", "vy_mps")}
    corners_m = footprint_corners_m(center_m[:, :2], size_lw_m, yaw_rad)
    ego_corners_m = _ego_corners(now["x_m"], now["y_m"], now["yaw_rad"])
    offset_m = center_m[:, :2] - np.column_stack([now["x_m"], now["y_m"]])
    approach_mps = np.column_stack([now["vx_mps"], now["vy_mps"]]) - velocity_mps
    distance_m = np.linalg.norm(offset_m, axis=1)
    cos, sin = np.cos(now["yaw_rad"]), np.sin(now["yaw_rad"])
    across_mps = np.abs(cos * velocity_mps[:, 1] - sin * velocity_mps[:, 0])
    along_mps = np.abs(cos * velocity_mps[:, 0] + sin * velocity_mps[:, 1])
    return {
        "distance_m": distance_m, "gap_m": _where_known(gap_m(ego_corners_m, corners_m), distance_m),
        "ttc_s": _where_known(time_to_collision_s(ego_corners_m, corners_m, approach_mps), distance_m),
        "pet_s": _where_known(_missed_by_s(ego, time_ns, corners_m), distance_m),
        "ahead_m": cos * offset_m[:, 0] + sin * offset_m[:, 1], "left_m": cos * offset_m[:, 1] - sin * offset_m[:, 0],
        "closing_mps": np.einsum("ij,ij->i", approach_mps, offset_m) / np.maximum(distance_m, 1e-9),
        "crossing": (np.hypot(*velocity_mps.T) >= MOVES_FROM_MPS) & (np.arctan2(across_mps, along_mps) >= CROSSES_FROM_RAD),
    }


def with_velocities(time_ns: Array, place_m: Array, velocity_mps: Array) -> Array:
    """Velocities [m, 2] of poses at `place_m` [m, 2]: measured ones [m, 2], and where they are NaN the differences of places."""
    if len(time_ns) < 2 or np.isfinite(velocity_mps).all() or (np.diff(time_ns) <= 0).any():
        return velocity_mps
    moved_mps = np.gradient(place_m, (time_ns - time_ns[0]) / 1e9, axis=0)
    return np.where(np.isfinite(velocity_mps), velocity_mps, moved_mps)


def _interpolated(ego: Mapping[str, Array], name: str, time_ns: Array) -> Array:
    """A column of the ego [n] at other times; NaN outside of its span."""
    at_ns = ego["time_ns"]
    values = np.unwrap(ego[name]) if name == "yaw_rad" else ego[name]
    return np.interp((time_ns - at_ns[0]).astype(float), (at_ns - at_ns[0]).astype(float), values, left=np.nan, right=np.nan)


def _missed_by_s(ego: Mapping[str, Array], time_ns: Array, corners_m: Array) -> Array:
    at_ns = ego["time_ns"]
    slots = (at_ns - at_ns[0]) // PATH_STEP_NS
    kept = np.concatenate([[True], slots[1:] != slots[:-1]])
    path_m = _ego_corners(ego["x_m"][kept], ego["y_m"][kept], ego["yaw_rad"][kept])
    return post_encroachment_s((time_ns - at_ns[0]) / 1e9, corners_m, (at_ns[kept] - at_ns[0]) / 1e9, path_m)


def _ego_corners(x_m: Array, y_m: Array, yaw_rad: Array) -> Array:
    return footprint_corners_m(np.column_stack([x_m, y_m]), np.tile(EGO_SIZE_LW_M, (len(x_m), 1)), yaw_rad)


def _where_known(values: Array, distance_m: Array) -> Array:
    return np.where(np.isfinite(distance_m), values, np.nan)
