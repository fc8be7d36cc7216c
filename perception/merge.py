"""Camera features and LiDAR features of one grid into one map; either may be absent, in a network or in a scene.

Source: Liu et al., BEVFusion (ICRA 2023): concatenation and a convolution, here with zeros for what a scene lacks.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from perception.bev import ConvNormRelu
from perception.grid import BevGrid


class Merge(nn.Module):
    """LiDAR features [b, lidar_channels, ny, nx] and camera features [b, camera_channels, ny, nx] to [b, out_channels, ny, nx].

    A network without a branch has 0 channels of it.
    """

    def __init__(self, grid: BevGrid, lidar_channels: int, camera_channels: int, out_channels: int) -> None:
        super().__init__()
        self.grid, self.channels = grid, (lidar_channels, camera_channels)
        self.mix = ConvNormRelu(lidar_channels + camera_channels, out_channels)

    def forward(self, lidar: Tensor | None, camera: Tensor | None, has_points: Tensor, has_images: Tensor) -> Tensor:
        """`has_points` and `has_images` [b] say which scenes a branch really saw; what it says about the others is left out."""
        weight = self.mix.get_parameter("0.weight")
        parts = [weight.new_zeros(len(has), channels, self.grid.ny, self.grid.nx) if part is None
                 else torch.where(has.view(-1, 1, 1, 1), part, 0.0)
                 for part, has, channels in zip((lidar, camera), (has_points, has_images), self.channels)]
        return self.mix(torch.cat(parts, dim=1))
