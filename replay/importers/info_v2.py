"""Fields of an info-v2 pickle, checked: what is missing or wrong is named with its place.

Source: mmdetection3d 1.4, tools/dataset_converters/update_infos_to_v2.py.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.pose import SE3

MAX_SPEED_MPS = 40.0  # what the ego's motion between two sensors may explain
MAX_TURN_RADPS = 1.0
SLACK_M, SLACK_RAD = 0.05, 0.01  # rounding in the pickle


def field_of(table: Any, key: str, where: str) -> Any:
    """A field that must be there; MissingInput otherwise."""
    if not isinstance(table, dict) or key not in table:
        raise MissingInput(f"{where}: {key}", "a field of an info-v2 pickle")
    return table[key]


def time_ns_of(timestamp: Any, where: str) -> int:
    """Seconds (info v2) or microseconds (nuScenes itself) to nanoseconds, by way of whole microseconds."""
    if not isinstance(timestamp, int | float | np.number) or not np.isfinite(timestamp) or timestamp < 0:
        raise InputError(f"{where}: timestamp", repr(timestamp), "seconds since 1970")
    return round(float(timestamp) * (1e6 if timestamp < 1e12 else 1.0)) * 1000


def matrix_of(values: Any, shape: tuple[int, int], where: str) -> Array:
    """A matrix of numbers of `shape`; InputError otherwise."""
    try:
        matrix = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(where, "not a matrix of numbers", f"{shape[0]} x {shape[1]}") from error
    if matrix.shape != shape:
        raise InputError(where, f"shape {matrix.shape}", f"shape {shape}")
    return matrix


def pose_of(dst: str, src: str, values: Any, where: str) -> SE3:
    """A rigid transform, 4 x 4; InputError otherwise."""
    matrix = matrix_of(values, (4, 4), where)
    try:
        return SE3(dst, src, matrix[:3, :3], matrix[:3, 3])
    except SpecError as error:
        raise InputError(where, str(error), "a rigid transform") from error


def apart(first: SE3, second: SE3) -> tuple[float, float]:
    """How far two poses of the same frames are from each other: metres and radians."""
    turn = first.rotation.T @ second.rotation
    off_rad = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1.0, 1.0)))
    return float(np.linalg.norm(first.translation_m - second.translation_m)), off_rad
