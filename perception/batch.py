"""Scenes into tensors: the only way arrays enter torch."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from perception.scene import Scene


@dataclass(frozen=True, slots=True)
class SensorBatch:
    """Sensor data of b scenes: points one scene after the other, pictures padded to the most cameras of any scene."""

    points: Tensor  # f32 [n, 5]: x, y, z (m, ego), intensity, age (s)
    scene: Tensor  # i64 [n]: which scene a point belongs to
    images: Tensor  # u8 [b, c, 3, h, w]
    pixels_from_ego: Tensor  # f32 [b, c, 3, 4]
    has_image: Tensor  # bool [b, c]: False = no such camera, or no picture of it
    has_points: Tensor  # bool [b]

    @property
    def size(self) -> int:
        """How many scenes, empty ones too."""
        return len(self.has_points)

    def to(self, device: torch.device | str) -> SensorBatch:
        """The same batch on a device."""
        return SensorBatch(*(getattr(self, field.name).to(device) for field in fields(SensorBatch)))


def collate(scenes: Sequence[Scene]) -> SensorBatch:
    """Scenes whose pictures have one size as one batch, without the points of those that lost their LiDAR; arrays are copied."""
    rows = [scene.points[:0] if scene.lidar_lost else scene.points for scene in scenes]
    lengths = torch.tensor([len(points) for points in rows], dtype=torch.int64)
    points = torch.from_numpy(np.concatenate([np.zeros((0, 5), np.float32), *rows]))
    most = max(len(scene.images) for scene in scenes)
    height, width = scenes[0].images.shape[1:3]
    images = np.zeros((len(scenes), most, height, width, 3), np.uint8)  # channels last, as convolutions want them
    pixels_from_ego = np.zeros((len(scenes), most, 3, 4), np.float32)
    has_image = np.zeros((len(scenes), most), bool)
    for row, scene in enumerate(scenes):
        count = len(scene.images)
        images[row, :count] = scene.images
        pixels_from_ego[row, :count] = scene.pixels_from_ego
        has_image[row, :count] = True
    return SensorBatch(points, torch.from_numpy(np.repeat(np.arange(len(scenes)), lengths)),
                       torch.from_numpy(images).permute(0, 1, 4, 2, 3), torch.from_numpy(pixels_from_ego),
                       torch.from_numpy(has_image), lengths > 0)
