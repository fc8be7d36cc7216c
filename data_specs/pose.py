"""Rigid transforms that know which frames they join, and the ego's pose over time.

Frames are right-handed; `map` is local East-North-Up, `ego` is x forward, y left, z up (ISO 8855).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields, require_finite, require_shape
from data_specs.errors import FrameError, SpecError


@dataclass(frozen=True, slots=True)
class SE3:
    """The pose of frame `src` in frame `dst`: xyz_dst = rotation @ xyz_src + translation_m.

    Reads destination first, so chains cancel inwards: map_from_lidar = map_from_ego @ ego_from_lidar.
    """

    dst: str
    src: str
    rotation: Annotated[Array, Spec("f8", 3, 3)]  # orthonormal, determinant +1
    translation_m: Annotated[Array, Spec("f8", 3)]  # in dst

    def __post_init__(self) -> None:
        lock_fields(self)
        drift = float(np.abs(self.rotation @ self.rotation.T - np.eye(3)).max())
        if not (drift < 1e-5 and np.linalg.det(self.rotation) > 0.0):  # "not <" also refuses NaN
            raise SpecError(f"rotation: not a rotation, R @ R.T is off by {drift:.2g}, expected < 1e-05")
        require_finite("translation_m", self.translation_m)

    @classmethod
    def identity(cls, dst: str, src: str) -> SE3:
        return cls(dst, src, np.eye(3), np.zeros(3))

    @classmethod
    def from_yaw(cls, dst: str, src: str, yaw_rad: float, translation_m: Array) -> SE3:
        """A turn about +z, counter-clockwise, then a shift."""
        c, s = np.cos(yaw_rad), np.sin(yaw_rad)
        return cls(dst, src, np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]), np.asarray(translation_m, float))

    @classmethod
    def from_quaternion(cls, dst: str, src: str, wxyz: Array, translation_m: Array) -> SE3:
        """From a scalar-first quaternion, normalised here; SpecError if its norm is not within 1e-2 of one."""
        wxyz = np.asarray(wxyz, float)
        require_shape("wxyz", wxyz, (4,))
        norm = float(np.linalg.norm(wxyz))
        if not abs(norm - 1.0) < 1e-2:
            raise SpecError(f"wxyz: norm is {norm:.4g}, expected 1")
        w, x, y, z = wxyz / norm
        rotation = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])
        return cls(dst, src, rotation, np.asarray(translation_m, float))

    @classmethod
    def from_matrix(cls, dst: str, src: str, matrix: Array) -> SE3:
        """From a homogeneous [4, 4] or [3, 4] matrix; the rotation is snapped to the nearest one if within 1e-3."""
        matrix = np.asarray(matrix, float)
        if matrix.shape not in ((4, 4), (3, 4)):
            raise SpecError(f"matrix: shape is {matrix.shape}, expected (4, 4) or (3, 4)")
        require_finite("matrix", matrix)
        u, _, vt = np.linalg.svd(matrix[:3, :3])
        nearest = u @ vt
        drift = float(np.abs(nearest - matrix[:3, :3]).max())
        if not drift < 1e-3:
            raise SpecError(f"matrix: its 3x3 part is {drift:.2g} from the nearest rotation, expected < 0.001")
        return cls(dst, src, nearest, matrix[:3, 3])

    @property
    def yaw_rad(self) -> float:
        """Heading of src's +x in dst's xy plane."""
        return float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))

    def matrix(self) -> Array:
        """Homogeneous [4, 4]."""
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = self.rotation, self.translation_m
        return out

    def quaternion_wxyz(self) -> Array:
        """Unit quaternion [4], scalar first and not negative (Shepperd's method: no cancellation near half turns)."""
        r = self.rotation
        doubled = np.array([
            np.trace(r), r[0, 0] - r[1, 1] - r[2, 2], r[1, 1] - r[0, 0] - r[2, 2], r[2, 2] - r[0, 0] - r[1, 1]
        ])
        q = np.empty(4)
        largest = int(doubled.argmax())
        q[largest] = np.sqrt(1.0 + doubled[largest]) / 2.0
        off = np.array([
            [0.0, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], 0.0, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], 0.0, r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 0.0],
        ])[largest] / (4.0 * q[largest])
        q = np.where(np.arange(4) == largest, q[largest], off)
        q /= np.linalg.norm(q)
        return -q if q[0] < 0 else q

    def apply(self, xyz_m: Array) -> Array:
        """Points [n, 3] from frame src to frame dst, metres; keeps the points' dtype."""
        require_shape("xyz_m", xyz_m, (None, 3))
        return (xyz_m @ self.rotation.T.astype(xyz_m.dtype) + self.translation_m.astype(xyz_m.dtype)).astype(xyz_m.dtype)

    def inverse(self) -> SE3:
        return SE3(self.src, self.dst, self.rotation.T, -self.rotation.T @ self.translation_m)

    def __matmul__(self, other: SE3) -> SE3:
        if self.src != other.dst:
            raise FrameError(f"cannot chain {self.dst}_from_{self.src} with {other.dst}_from_{other.src}")
        return SE3(self.dst, other.src, self.rotation @ other.rotation,
                   self.rotation @ other.translation_m + self.translation_m)


def interpolate(a: SE3, b: SE3, fraction: float) -> SE3:
    """Between two poses of the same frames: straight-line translation, shortest-arc rotation (slerp); 0 gives a, 1 gives b."""
    if (a.dst, a.src) != (b.dst, b.src):
        raise FrameError(f"cannot interpolate {a.dst}_from_{a.src} and {b.dst}_from_{b.src}")
    qa, qb = a.quaternion_wxyz(), b.quaternion_wxyz()
    cosine = float(qa @ qb)
    if cosine < 0.0:
        qb, cosine = -qb, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-9:
        q = qa + fraction * (qb - qa)
    else:
        q = (np.sin((1 - fraction) * angle) * qa + np.sin(fraction * angle) * qb) / np.sin(angle)
    translation_m = (1 - fraction) * a.translation_m + fraction * b.translation_m
    return SE3.from_quaternion(a.dst, a.src, q / np.linalg.norm(q), translation_m)


@dataclass(frozen=True, slots=True)
class EgoPose:
    """Where the ego is: a stream of its own, interpolated between its stamps."""

    taken_ns: int
    map_from_ego: SE3
    velocity_mps: Annotated[Array, Spec("f8", 3)]  # in map; NaN = unmeasured
    covariance: Annotated[Array, Spec("f8", 6, 6)]  # x, y, z (m), roll, pitch, yaw (rad), in map; NaN = unmeasured

    def __post_init__(self) -> None:
        lock_fields(self)


def pose_at(poses: list[EgoPose], taken_ns: int) -> SE3:
    """map_from_ego at a time inside the span of time-ordered `poses`; SpecError outside of it (no extrapolation)."""
    if not poses or not poses[0].taken_ns <= taken_ns <= poses[-1].taken_ns:
        span = f"{poses[0].taken_ns}..{poses[-1].taken_ns}" if poses else "no poses"
        raise SpecError(f"taken_ns: {taken_ns} is outside the known poses, expected within {span}")
    stamps = np.array([pose.taken_ns for pose in poses])
    after = int(np.searchsorted(stamps, taken_ns))
    if stamps[after] == taken_ns:
        return poses[after].map_from_ego
    before = after - 1
    fraction = (taken_ns - int(stamps[before])) / int(stamps[after] - stamps[before])
    return interpolate(poses[before].map_from_ego, poses[after].map_from_ego, fraction)
