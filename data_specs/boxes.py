"""Upright boxes in three dimensions, many at a time: struct of arrays in one named frame."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields, require_finite, require_shape
from data_specs.errors import FrameError, SpecError
from data_specs.pose import SE3

# Corners in units of half the size: bottom face counter-clockwise from front left, then the top face.
_CORNERS = np.array([[x, y, z] for z in (-1, 1) for x, y in ((1, 1), (-1, 1), (-1, -1), (1, -1))], dtype=np.float64) / 2


@dataclass(frozen=True, slots=True)
class Boxes3D:
    """n boxes that stand upright in `frame`; +x of a box is its front, so length lies along its yaw."""

    frame: str
    center_m: Annotated[Array, Spec("f8", "n", 3)]  # geometric centre
    size_lwh_m: Annotated[Array, Spec("f8", "n", 3)]  # length, width, height; not negative
    yaw_rad: Annotated[Array, Spec("f8", "n")]  # 0 = +x of frame, counter-clockwise

    def __post_init__(self) -> None:
        lock_fields(self)
        require_finite("center_m", self.center_m)
        require_finite("size_lwh_m", self.size_lwh_m)
        require_finite("yaw_rad", self.yaw_rad)
        if (self.size_lwh_m < 0).any():
            row = int(np.argwhere(self.size_lwh_m < 0)[0, 0])
            raise SpecError(f"size_lwh_m: {self.size_lwh_m[row].tolist()} at row {row}, expected no negative length")

    @classmethod
    def empty(cls, frame: str) -> Boxes3D:
        return cls(frame, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))

    @classmethod
    def concatenate(cls, parts: Sequence[Boxes3D]) -> Boxes3D:
        """Rows of all parts, in order; FrameError if their frames differ."""
        frames = {part.frame for part in parts}
        if len(frames) != 1:
            raise FrameError(f"cannot concatenate boxes of frames {sorted(frames)}, expected one frame")
        return cls(parts[0].frame, np.concatenate([p.center_m for p in parts]),
                   np.concatenate([p.size_lwh_m for p in parts]), np.concatenate([p.yaw_rad for p in parts]))

    def __len__(self) -> int:
        return len(self.yaw_rad)

    def __getitem__(self, rows: Array | slice) -> Boxes3D:
        """The boxes at a mask, index array or slice."""
        return Boxes3D(self.frame, self.center_m[rows], self.size_lwh_m[rows], self.yaw_rad[rows])

    def corners_m(self) -> Array:
        """Corners [n, 8, 3] in frame: the bottom face counter-clockwise from front left, then the top face."""
        scaled = _CORNERS[None] * self.size_lwh_m[:, None]
        c, s = np.cos(self.yaw_rad)[:, None], np.sin(self.yaw_rad)[:, None]
        x, y, z = scaled[..., 0], scaled[..., 1], scaled[..., 2]
        return np.stack([c * x - s * y, s * x + c * y, z], axis=-1) + self.center_m[:, None]

    def contains(self, xyz_m: Array) -> Array:
        """Mask [n, p]: which of the points [p, 3] of the same frame lie inside or on each box."""
        require_shape("xyz_m", xyz_m, (None, 3))
        inside = np.zeros((len(self), len(xyz_m)), dtype=bool)
        for row in range(len(self)):
            offset_m = xyz_m - self.center_m[row]
            c, s = np.cos(self.yaw_rad[row]), np.sin(self.yaw_rad[row])
            length, width, height = self.size_lwh_m[row] / 2
            inside[row] = (
                (np.abs(c * offset_m[:, 0] + s * offset_m[:, 1]) <= length)
                & (np.abs(c * offset_m[:, 1] - s * offset_m[:, 0]) <= width)
                & (np.abs(offset_m[:, 2]) <= height)
            )
        return inside

    def transformed(self, dst_from_src: SE3) -> Boxes3D:
        """The same boxes in another frame; they stay upright there, so only the heading of the transform turns them."""
        if dst_from_src.src != self.frame:
            raise FrameError(f"boxes are in {self.frame!r}, the transform starts at {dst_from_src.src!r}")
        heading = np.stack([np.cos(self.yaw_rad), np.sin(self.yaw_rad), np.zeros(len(self))], axis=1)
        turned = heading @ dst_from_src.rotation.T
        return Boxes3D(dst_from_src.dst, dst_from_src.apply(self.center_m), self.size_lwh_m,
                       np.arctan2(turned[:, 1], turned[:, 0]))


def wrap_rad(angle_rad: Array) -> Array:
    """Angles brought into [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi
