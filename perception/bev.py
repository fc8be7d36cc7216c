"""A small 2D residual encoder with a feature pyramid over a bird's-eye-view canvas.

Sources: He et al., Deep Residual Learning (2016); Lin et al., Feature Pyramid Networks (2017), here with one output level.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNormRelu(nn.Sequential):
    """A 3x3 convolution, batch norm and ReLU; [b, i, h, w] to [b, o, h / stride, w / stride]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out_channels),
                         nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; shape is kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormRelu(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))), inplace=True)


class BevEncoder(nn.Module):
    """Features [b, stage_channels[0], h, w] to [b, out_channels, h, w].

    The first stage keeps the resolution, each later one halves it; the pyramid brings all back to the first one's. h and w
    must be multiples of 2 ** (len(stage_channels) - 1).
    """

    def __init__(self, stage_channels: Sequence[int], blocks: Sequence[int], out_channels: int) -> None:
        super().__init__()
        before = [stage_channels[0], *stage_channels]
        self.stages = nn.ModuleList(
            nn.Sequential(*([ConvNormRelu(before[i], channels, stride=2)] if i else []),
                          *(ResidualBlock(channels) for _ in range(blocks[i])))
            for i, channels in enumerate(stage_channels)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, out_channels, 1) for width in stage_channels)
        self.out_channels = out_channels
        self.out = ConvNormRelu(out_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        merged = self.laterals[-1](levels[-1])
        for lateral, level in zip(reversed(self.laterals[:-1]), reversed(levels[:-1])):
            merged = _added_to_quarters(merged, lateral(level))
        return self.out(merged)


def _added_to_quarters(coarse: Tensor, fine: Tensor) -> Tensor:
    """fine [b, c, 2h, 2w] plus each cell of coarse [b, c, h, w] at all four of its quarters; the larger map is never stored."""
    quarters = fine.unflatten(2, (-1, 2)).unflatten(4, (-1, 2))
    return (quarters + coarse[:, :, :, None, :, None]).flatten(4, 5).flatten(2, 3)
