"""Objects of one message gathered row by row, then turned into arrays: what both CPM editions decode through."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.messages import REFERENCE_FRAME
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs.uncertainty import covariances

NAN = math.nan


@dataclass(slots=True)
class Row:
    """One object in East, North, Up of the reference position; NaN where the message does not say.

    `sigma` and `correlation` (pairs of places -> value) are of x, y, z, yaw and of the velocity as coded: vx, vy, or speed
    and direction of motion where `polar`.
    """

    measured_ns: int
    center_m: tuple[float, float, float]
    sigma: tuple[float, float, float, float, float, float]
    size_lwh_m: tuple[float, float, float] = (NAN, NAN, NAN)
    size_sigma_m: tuple[float, float, float] = (NAN, NAN, NAN)
    yaw_rad: float = NAN
    velocity: tuple[float, float] = (NAN, NAN)
    polar: bool = False
    yaw_rate_radps: float = NAN
    label: ObjectClass = ObjectClass.UNKNOWN
    score: float = 1.0
    existence: float = 1.0
    track_id: int = -1
    correlation: dict[tuple[int, int], float] = field(default_factory=dict)


def object_list(rows: list[Row], source: str) -> ObjectList:
    """The rows as objects of `source` in the frame "reference". What a box must have but was not sent is zero, with NaN
    for its uncertainty: height, size and yaw."""
    if not rows:
        return ObjectList.empty(REFERENCE_FRAME, source)
    center_m, size_lwh_m, sigma, velocity = (
        np.array(column, float) for column in zip(*((r.center_m, r.size_lwh_m, r.sigma, r.velocity) for r in rows)))
    yaw_rad = np.array([r.yaw_rad for r in rows])
    polar = np.array([r.polar for r in rows])
    sigma[np.isnan(yaw_rad), 3] = NAN
    sigma[np.isnan(velocity).any(axis=1), 4:] = NAN
    speed_mps, direction_rad = np.nan_to_num(velocity[:, 0]), np.nan_to_num(velocity[:, 1])
    cartesian_mps = np.stack([speed_mps * np.cos(direction_rad), speed_mps * np.sin(direction_rad)], axis=1)
    measured = ~np.isnan(velocity).any(axis=1, keepdims=True)
    return ObjectList(
        Boxes3D(REFERENCE_FRAME, np.nan_to_num(center_m), np.nan_to_num(size_lwh_m), wrap_rad(np.nan_to_num(yaw_rad))),
        source,
        measured_ns=np.array([r.measured_ns for r in rows], np.int64),
        label=np.array([r.label for r in rows], np.uint8),
        score=np.array([r.score for r in rows]),
        existence=np.array([r.existence for r in rows], np.float32),
        velocity_mps=np.where(measured, np.where(polar[:, None], cartesian_mps, velocity), NAN),
        yaw_rate_radps=np.array([r.yaw_rate_radps for r in rows]),
        covariance=covariances(sigma, _correlation(rows), speed_mps, direction_rad, polar),
        size_sigma_m=np.array([r.size_sigma_m for r in rows]),
        track_id=np.array([r.track_id for r in rows], np.int64),
    )


def _correlation(rows: list[Row]) -> np.ndarray:
    correlation = np.broadcast_to(np.eye(6), (len(rows), 6, 6)).copy()
    for place, row in enumerate(rows):
        for (i, j), value in row.correlation.items():
            correlation[place, i, j] = correlation[place, j, i] = value
    return correlation
