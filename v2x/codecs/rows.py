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
    numbers = np.array([(*r.center_m, *r.size_lwh_m, *r.size_sigma_m, *r.sigma, *r.velocity, r.yaw_rad, r.yaw_rate_radps,
                         r.score, r.existence, r.polar) for r in rows])  # one array of all is far cheaper than one of each
    size_sigma_m, sigma, velocity, rest = np.split(numbers[:, 6:], [3, 9, 11], axis=1)
    yaw_rad, yaw_rate_radps, score, existence, polar_number = rest.T
    polar = polar_number > 0.0
    unmoved = np.isnan(velocity[:, 0]) | np.isnan(velocity[:, 1])
    sigma[np.isnan(yaw_rad), 3] = NAN
    sigma[unmoved, 4:] = NAN
    known_velocity = np.where(unmoved[:, None], 0.0, velocity)
    velocity_mps = velocity
    if polar.any():
        speed_mps, direction_rad = known_velocity.T
        turned = np.stack([speed_mps * np.cos(direction_rad), speed_mps * np.sin(direction_rad)], axis=1)
        velocity_mps = np.where(polar[:, None], turned, velocity)
    known = np.where(np.isnan(numbers[:, :6]), 0.0, numbers[:, :6])
    return ObjectList(
        Boxes3D(REFERENCE_FRAME, known[:, :3], known[:, 3:6], wrap_rad(np.where(np.isnan(yaw_rad), 0.0, yaw_rad))),
        source,
        measured_ns=np.array([r.measured_ns for r in rows], np.int64),
        label=np.array([r.label for r in rows], np.uint8),
        score=score,
        existence=existence,
        velocity_mps=np.where(unmoved[:, None], NAN, velocity_mps),
        yaw_rate_radps=yaw_rate_radps,
        covariance=covariances(sigma, _correlation(rows), known_velocity, polar),
        size_sigma_m=size_sigma_m,
        track_id=np.array([r.track_id for r in rows], np.int64),
    )


def _correlation(rows: list[Row]) -> np.ndarray:
    correlation = np.broadcast_to(np.eye(6), (len(rows), 6, 6)).copy()
    cells = [(place, i, j, value) for place, row in enumerate(rows) for (i, j), value in row.correlation.items()]
    if cells:
        places, first, second, values = zip(*cells)
        correlation[places, first, second] = correlation[places, second, first] = values
    return correlation
