"""Points to a bird's-eye-view canvas through the pillar feature net: linear, norm, ReLU, maximum over the pillar's points.

Source: Lang et al., PointPillars, CVPR 2019. This file holds the contract and its plain, differentiable reference.

A point row is x, y, z in metres, intensity, and age in seconds; intensity and age beyond +-2048 count as +-2048, NaN as 0. Eleven
numbers describe a point: x and y over the grid's reach, z / 2, intensity, age, its offset from the mean of its pillar's points
(x, y, z in metres), its offset from the pillar's centre (x, y in half cells), and log2(points in the pillar) / 4.

`batch_id` numbers clouds; `slots` clouds in a row stand side by side in the channels of one canvas.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.ops.voxels import LARGEST_VALUE, MOST_CELLS, require_points, voxel_indices, voxel_keys

POINT_COLUMNS = 5
POINT_NUMBERS = 11


@dataclass(frozen=True, slots=True)
class PillarNet:
    """relu((numbers @ weight.T) * scale + shift): one linear layer and a norm, folded."""

    weight: Tensor  # [channels, 11], as nn.Linear keeps it
    scale: Tensor  # [channels]
    shift: Tensor  # [channels]

    def __post_init__(self) -> None:
        channels = len(self.shift)
        for name, shape in (("weight", (channels, POINT_NUMBERS)), ("scale", (channels,)), ("shift", (channels,))):
            tensor = getattr(self, name)
            if tensor.shape != shape or tensor.dtype != self.weight.dtype:
                raise SpecError(f"{name}: {tensor.dtype} {tuple(tensor.shape)}, expected {self.weight.dtype} {shape}")


def require_canvas(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None, batches: int, slots: int) -> None:
    """Raise SpecError unless points are f32[n, 5] and the canvas can be numbered in an int32."""
    require_points(points, grid.voxels, batch_id, batches)
    if points.shape[1] != POINT_COLUMNS:
        raise SpecError(f"points: {points.shape[1]} columns, expected 5: x, y, z, intensity, age")
    if slots < 1 or batches % slots:
        raise SpecError(f"slots: {slots}, expected a divisor of {batches} batches")
    values = batches * grid.nx * grid.ny * len(net.shift)
    if values > MOST_CELLS:
        raise SpecError(f"canvas of {batches} x {len(net.shift)} x {grid.ny} x {grid.nx}: {values}, at most {MOST_CELLS}")


def pillar_canvas_reference(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None = None, batches: int = 1,
                            slots: int = 1) -> Tensor:
    """Canvas [batches / slots, slots * channels, ny, nx], in memory channels last; 0 where there is no point.

    Points f32[n, 5] (f64 too, here, to check gradients); the gradient flows to points and net.
    """
    key = voxel_keys(points, grid.voxels, batch_id, batches)
    kept = torch.nonzero(key >= 0)[:, 0]
    unique, pillar, count = torch.unique(key[kept], return_inverse=True, return_counts=True)
    features = torch.relu(describe(points[kept], pillar, count, grid) @ net.weight.T * net.scale + net.shift)
    channels = len(net.shift)
    highest = features.new_zeros(len(unique), channels).scatter_reduce(
        0, pillar[:, None].expand_as(features), features, reduce="amax", include_self=False)
    cells = grid.nx * grid.ny
    cloud, cell = unique // cells, unique % cells
    place = (cloud // slots * cells + cell) * slots + cloud % slots
    canvas = features.new_zeros(batches * cells, channels).index_copy(0, place, highest)
    return canvas.view(batches // slots, grid.ny, grid.nx, slots * channels).permute(0, 3, 1, 2)


def describe(points: Tensor, pillar: Tensor, count: Tensor, grid: BevGrid) -> Tensor:
    """The eleven numbers [n, 11] of points [n, 5], each in pillar i64[n] of p with `count` i64[p] points."""
    index, _ = voxel_indices(points, grid.voxels)
    low_m = torch.tensor(grid.low_m, dtype=points.dtype, device=points.device)
    cell_m = torch.tensor(grid.cell_m, dtype=points.dtype, device=points.device)
    half_m = cell_m[:2] / 2
    center_m = low_m[:2] + (2 * index[:, :2] + 1) * half_m
    xyz_m = points[:, :3]
    total_m = xyz_m.new_zeros(len(count), 3).index_add(0, pillar, xyz_m)
    from_mean_m = xyz_m - (total_m / count[:, None])[pillar]
    others = torch.nan_to_num(points[:, 3:], nan=0.0).clamp(-LARGEST_VALUE, LARGEST_VALUE)
    scale = points.new_tensor([1 / reach_m(grid), 1 / reach_m(grid), 0.5])
    crowd = torch.log2(count.to(points.dtype))[pillar, None] / 4
    return torch.cat([xyz_m * scale, others, from_mean_m, (xyz_m[:, :2] - center_m) / half_m, crowd], dim=1)


def reach_m(grid: BevGrid) -> float:
    """The largest |x| or |y| of the grid."""
    return max(abs(edge) for edge in (*grid.x_range_m, *grid.y_range_m))
