"""LiDAR points to features of the bird's-eye view: dynamic pillars in two slots of time, a point network, a small stem.

Sources: Lang et al., PointPillars (CVPR 2019); Zhou et al., End-to-End Multi-View Fusion (CoRL 2019) for dynamic pillars; Luo et
al., Fast and Furious (CVPR 2018) for sweeps of different times side by side, which shows what moves.
"""
from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from perception.bev import ConvNormRelu, ResidualBlock
from perception.grid import BevGrid
from perception.ops.voxelize import Pillars, dynamic_pillars, pillar_max, pillar_mean
from perception.precision import full_precision

SLOTS = 2  # the newest sweep, and all earlier ones
POINT_FEATURES = 11


class PillarEncoder(nn.Module):
    """Points [n, 5] of b scenes to a canvas [b, 2 * channels, ny, nx]: the newest sweep's pillars, then the earlier ones'.

    Each point is described by eleven numbers: xyz, intensity and age, its offset from the mean of its pillar's points, its
    offset in the plane from its pillar's centre, and how many points share the pillar (as a logarithm); all about one in
    size. A cell without points is zero.
    """

    def __init__(self, grid: BevGrid, channels: int = 24) -> None:
        super().__init__()
        self.grid, self.channels = grid, channels
        self.linear = nn.Linear(POINT_FEATURES, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    @full_precision
    def forward(self, points: Tensor, scene: Tensor, size: int) -> Tensor:
        nx, ny = self.grid.nx, self.grid.ny
        canvas = points.new_zeros(size * ny * nx * SLOTS, self.channels)
        pillars = dynamic_pillars(points, self.grid, scene * SLOTS + (points[:, 4] > 0).long())
        if len(pillars.count):
            highest = self._highest(describe(points, pillars, self.grid), pillars)
            slotted, iy, ix = pillars.cell.unbind(1)
            place = ((slotted // SLOTS * ny + iy) * nx + ix) * SLOTS + slotted % SLOTS
            canvas.index_copy_(0, place, highest)
        return canvas.view(size, ny, nx, SLOTS * self.channels).permute(0, 3, 1, 2)  # channels last, as convolutions want it

    def _highest(self, numbers: Tensor, pillars: Pillars) -> Tensor:
        """[p, channels]: the greatest of each pillar's points [n, 11], through the layer, its norm and a ReLU."""
        if not (self.training and numbers.device.type == "cpu"):
            return pillar_max(torch.relu(self.norm(self.linear(numbers))), pillars)
        from perception.ops.pillars_training import highest_products

        scale, shift = self._norm_in_training(numbers)
        folded = self.linear.weight * scale[:, None]
        return torch.relu(highest_products(numbers, folded, pillars.pillar_of_point, len(pillars.count)) + shift)

    def _norm_in_training(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The norm after the layer as a factor and a summand [channels]; statistics follow from those of the numbers [n, 11]."""
        mean, variance = cast(Tensor, self.norm.running_mean), cast(Tensor, self.norm.running_var)
        if self.norm.training:
            centred = numbers - numbers.mean(dim=0)
            covariance = centred.T @ centred / len(numbers)
            batch_mean = self.linear.weight @ numbers.mean(dim=0)
            batch_variance = ((self.linear.weight @ covariance) * self.linear.weight).sum(dim=1)
            with torch.no_grad():
                mean.lerp_(batch_mean, self.norm.momentum or 0.0)
                variance.lerp_(batch_variance * (len(numbers) / max(len(numbers) - 1, 1)), self.norm.momentum or 0.0)
                cast(Tensor, self.norm.num_batches_tracked).add_(1)
            mean, variance = batch_mean, batch_variance
        scale = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        return scale, self.norm.bias - mean * scale


def describe(points: Tensor, pillars: Pillars, grid: BevGrid) -> Tensor:
    """[n, 11] of each point, finite; of points that belong to no pillar they mean nothing, but norms that learn read them."""
    pillar = pillars.pillar_of_point.clamp(min=0)
    half_m = points.new_tensor([grid.cell_m[0] / 2, grid.cell_m[1] / 2])
    low_m = points.new_tensor(grid.low_m[:2])
    center_m = low_m + (2 * pillars.cell[pillar][:, [2, 1]] + 1) * half_m
    from_mean_m = points[:, :3] - pillar_mean(points[:, :3], pillars)[pillar]
    crowd = torch.log2(pillars.count[pillar].to(points.dtype))[:, None]
    reach_m = max(abs(edge) for edge in (*grid.x_range_m, *grid.y_range_m))
    xyz = points[:, :3] * points.new_tensor([1 / reach_m, 1 / reach_m, 0.5])
    numbers = torch.cat([xyz, points[:, 3:5], from_mean_m, (points[:, :2] - center_m) / half_m, crowd / 4], dim=1)
    return numbers.nan_to_num(0.0, 0.0, 0.0)


class LidarEncoder(nn.Module):
    """Points to features [b, out_channels, ny / stride, nx / stride]; each stage of the stem halves the canvas."""

    def __init__(self, pillars: PillarEncoder, stem_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.pillars = pillars
        widths = [SLOTS * pillars.channels, *stem_channels]
        self.stem = nn.Sequential(*(nn.Sequential(ConvNormRelu(before, after, stride=2), ResidualBlock(after))
                                    for before, after in pairwise(widths)))
        self.stride = 2 ** len(stem_channels)
        self.out_channels = stem_channels[-1]

    def forward(self, canvas: Tensor) -> Tensor:
        return cast(Tensor, self.stem(canvas))
