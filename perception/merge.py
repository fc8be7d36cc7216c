"""Camera features and LiDAR features of one grid into one map; either may be absent, in a network or in a scene.

Source: Liu et al., BEVFusion (ICRA 2023): concatenation and a convolution, here with zeros for what a scene lacks.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from perception.bev import ConvNormRelu


class Merge(nn.Module):
    """LiDAR features [b, lidar_channels, h, w] and camera features [b, camera_channels, h, w] to [b, out_channels, h, w].

    A network without a branch has 0 channels of it.
    """

    def __init__(self, lidar_channels: int, camera_channels: int, out_channels: int) -> None:
        super().__init__()
        self.channels = (lidar_channels, camera_channels)
        self.mix = ConvNormRelu(lidar_channels + camera_channels, out_channels)

    def forward(self, lidar: Tensor | None, camera: Tensor | None, has_points: Tensor, has_images: Tensor) -> Tensor:
        """`has_points` and `has_images` [b] say which scenes a branch really saw; what it says about the others is left out."""
        given = [part for part in (lidar, camera) if part is not None]
        parts = []
        for part, has, channels in zip((lidar, camera), (has_points, has_images), self.channels):
            if part is not None:
                parts.append(part * has.view(-1, 1, 1, 1))
            elif channels:
                b, _, h, w = given[0].shape
                parts.append(given[0].new_zeros(b, channels, h, w))
        return self.mix(torch.cat(parts, dim=1))
