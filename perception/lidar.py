"""LiDAR points to a bird's-eye-view canvas: dynamic pillars and a small point network.

Sources: Lang et al., PointPillars (CVPR 2019); Zhou et al., End-to-End Multi-View Fusion (CoRL 2019) for dynamic pillars.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from perception.batch import PointBatch
from perception.grid import BevGrid
from perception.ops.voxelize import Pillars, dynamic_pillars, pillar_max, pillar_mean


class PillarEncoder(nn.Module):
    """Points of a batch to a canvas [b, channels, ny, nx]; a cell without points is zero.

    Each point is described by ten numbers: xyz and intensity, its offset from the mean of its pillar's points, its offset in
    the plane from its pillar's centre, and how many points share the pillar (as a logarithm). All are scaled to about one.
    """

    features = 10

    def __init__(self, grid: BevGrid, channels: int = 32) -> None:
        super().__init__()
        self.grid = grid
        self.channels = channels
        narrow = max(channels // 2, 1)  # points are many, pillars few
        self.point_net = nn.Sequential(nn.Linear(self.features, narrow, bias=False), nn.BatchNorm1d(narrow), nn.ReLU())
        self.pillar_net = nn.Sequential(nn.Linear(narrow, channels, bias=False), nn.BatchNorm1d(channels), nn.ReLU())

    def forward(self, batch: PointBatch) -> Tensor:
        canvas = batch.points.new_zeros(batch.size * self.grid.ny * self.grid.nx, self.channels)
        pillars = dynamic_pillars(batch.points, self.grid, batch.scene)
        if len(pillars.count):
            of_pillar = self.pillar_net(pillar_max(self.point_net(self._describe(batch.points, pillars)), pillars))
            scene, iy, ix = pillars.cell.unbind(1)
            canvas.index_copy_(0, (scene * self.grid.ny + iy) * self.grid.nx + ix, of_pillar)
        return canvas.view(batch.size, self.grid.ny, self.grid.nx, self.channels).permute(0, 3, 1, 2)

    def _describe(self, points: Tensor, pillars: Pillars) -> Tensor:
        """[n, 10] of each point; points that belong to no pillar get another's numbers and are never read."""
        pillar = pillars.pillar_of_point.clamp(min=0)
        half_m = points.new_tensor([self.grid.cell_m[0] / 2, self.grid.cell_m[1] / 2])
        low_m = points.new_tensor(self.grid.low_m[:2])
        center_m = low_m + (2 * pillars.cell[pillar][:, [2, 1]] + 1) * half_m
        from_mean_m = points[:, :3] - pillar_mean(points[:, :3], pillars)[pillar]
        crowd = torch.log2(pillars.count[pillar].to(points.dtype))[:, None]
        reach_m = max(abs(edge) for edge in (*self.grid.x_range_m, *self.grid.y_range_m))
        xyz = points[:, :3] * points.new_tensor([1 / reach_m, 1 / reach_m, 0.5])
        return torch.cat([xyz, points[:, 3:4], from_mean_m, (points[:, :2] - center_m) / half_m, crowd / 4], dim=1)
