"""Samples into tensors, the only way arrays enter torch, and the augmentation of training scenes.

A point row is x, y, z in the ego frame (metres) and intensity (0 to 1).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import FrameError, SpecError
from data_specs.objects import Truth
from data_specs.sensors import Sample


@dataclass(frozen=True, slots=True)
class Scene:
    """One LiDAR moment with its truth, in the ego frame: what training draws from."""

    points: Annotated[Array, Spec("f4", "n", 4)]  # x, y, z (m, ego), intensity (0 to 1)
    boxes: Boxes3D  # in ego
    label: Annotated[Array, Spec("u1", "m")]  # ObjectClass
    points_in_box: Annotated[Array, Spec("i4", "m")]  # -1 unknown

    def __post_init__(self) -> None:
        lock_fields(self)
        if self.boxes.frame != "ego":
            raise FrameError(f"boxes: frame is {self.boxes.frame!r}, expected 'ego'")
        if len(self.boxes) != len(self.label):
            raise SpecError(f"label: {len(self.label)} rows, expected {len(self.boxes)} as in boxes")


@dataclass(frozen=True, slots=True)
class PointBatch:
    """Points of several scenes, one after the other."""

    points: Tensor  # [n, 4] float32: x, y, z (m, ego), intensity
    scene: Tensor  # [n] int64: which scene a point belongs to
    size: int  # how many scenes, empty ones too


def ego_points(sample: Sample) -> Array:
    """All LiDAR returns of a sample as rows [n, 4] f32, in ego; rows that are not finite are dropped.

    Raises SpecError if the sample has no LiDAR at all; a cloud without points is fine.
    """
    if not sample.clouds:
        raise SpecError(f"sample {sample.drive_id} at {sample.taken_ns} ns: no point cloud, expected at least one LiDAR")
    rows = []
    for cloud in sample.clouds:
        finite = np.isfinite(cloud.xyz_m).all(axis=1) & np.isfinite(cloud.intensity)
        xyz_m = sample.ego_from_sensor[cloud.frame].apply(cloud.xyz_m[finite])
        rows.append(np.column_stack([xyz_m, cloud.intensity[finite]]))
    return np.concatenate(rows)


def scene_of(sample: Sample, truth: Truth) -> Scene:
    """A sample with its truth (in map) as a training scene."""
    objects = truth.objects.transformed(sample.map_from_ego.inverse())
    return Scene(ego_points(sample), objects.boxes, objects.label, truth.points_in_box)


def collate(point_rows: Sequence[Array]) -> PointBatch:
    """Point rows [n, 4] of several scenes as one batch."""
    lengths = torch.tensor([len(rows) for rows in point_rows], dtype=torch.int64)
    points = torch.from_numpy(np.concatenate([np.zeros((0, 4), np.float32), *point_rows]).astype(np.float32))
    return PointBatch(points, torch.repeat_interleave(torch.arange(len(point_rows)), lengths), len(point_rows))


def augment(scene: Scene, rng: np.random.Generator, max_scale: float = 0.05) -> Scene:
    """A mirrored, turned and scaled copy: a flip of y half the time, any heading, sizes within 1 +- max_scale."""
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn_rad = rng.uniform(-np.pi, np.pi)
    scale = rng.uniform(1 - max_scale, 1 + max_scale)
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    linear = scale * np.array([[c, -s * mirror, 0.0], [s, c * mirror, 0.0], [0.0, 0.0, 1.0]])
    points = np.column_stack([scene.points[:, :3] @ linear.T.astype(np.float32), scene.points[:, 3]])
    boxes = Boxes3D("ego", scene.boxes.center_m @ linear.T, scene.boxes.size_lwh_m * scale,
                    wrap_rad(mirror * scene.boxes.yaw_rad + turn_rad))
    return Scene(points, boxes, scene.label, scene.points_in_box)
