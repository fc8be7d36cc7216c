"""Points into pillars with torch's own operations, for networks that learn: gradients flow through means and maxima.

Dynamic (Zhou et al., End-to-End Multi-View Fusion for 3D Object Detection in LiDAR Point Clouds, CoRL 2019): every point is
kept. Points that are NaN, infinite or outside of the grid belong to no pillar. All coordinates are float32, so that a point on
a border falls to the same pillar everywhere. What only detects takes voxel_ops.py.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.grid import BevGrid


@dataclass(frozen=True, slots=True)
class Pillars:
    """Which pillar each of n points belongs to; pillars are ordered by (batch, iy, ix)."""

    pillar_of_point: Tensor  # i64[n], row of a pillar; -1 = dropped
    cell: Tensor  # i64[p, 3]: batch, iy, ix
    count: Tensor  # i64[p], points in each pillar; at least 1

    @property
    def dropped(self) -> int:
        """Points that are not finite or lie outside of the grid."""
        return int((self.pillar_of_point < 0).sum())


def cell_of_points(xyz_m: Tensor, grid: BevGrid) -> tuple[Tensor, Tensor]:
    """Flat cell iy * nx + ix, i64[n], and the mask [n] of points inside of the grid; outside the cell is 0."""
    if xyz_m.ndim != 2 or xyz_m.shape[1] < 3 or xyz_m.dtype != torch.float32:
        raise SpecError(f"xyz_m: {xyz_m.dtype} {tuple(xyz_m.shape)}, expected torch.float32 (n, 3 or more)")
    # Tensors, not scalars: CUDA turns division by a scalar into a product with its reciprocal, which rounds otherwise.
    low_m = torch.tensor(grid.low_m, dtype=torch.float32, device=xyz_m.device)
    cell_m = torch.tensor(grid.cell_m, dtype=torch.float32, device=xyz_m.device)
    index = torch.floor((xyz_m[:, :3].detach() - low_m) / cell_m)
    size = torch.tensor([grid.nx, grid.ny, 1], dtype=torch.float32, device=xyz_m.device)
    inside = ((index >= 0) & (index < size)).all(dim=1)  # False for NaN; compared as floats, since huge ones overflow integers
    whole = torch.where(inside[:, None], index, 0.0).long()
    return whole[:, 1] * grid.nx + whole[:, 0], inside


def dynamic_pillars_reference(xyz_m: Tensor, grid: BevGrid, batch_id: Tensor | None = None) -> Pillars:
    """The contract of `dynamic_pillars`, by sorting."""
    key, inside = _keys(xyz_m, grid, batch_id)
    unique, row, count = torch.unique(key[inside], sorted=True, return_inverse=True, return_counts=True)
    pillar_of_point = torch.full_like(key, -1)
    pillar_of_point[inside] = row
    return Pillars(pillar_of_point, _cells(unique, grid), count)


def dynamic_pillars(xyz_m: Tensor, grid: BevGrid, batch_id: Tensor | None = None) -> Pillars:
    """Pillars of points f32[n, 3 or more] of clouds `batch_id` i64[n] (None: all of one cloud); every point inside is kept.

    Counts every cell and ranks those that are not empty: O(n + cells), no sort, and integers only, so it repeats exactly.
    """
    key, inside = _keys(xyz_m, grid, batch_id)
    count = torch.bincount(key[inside])
    occupied = count > 0
    rank = torch.cumsum(occupied, dim=0) - 1
    pillar_of_point = torch.full_like(key, -1)
    pillar_of_point[inside] = rank[key[inside]]
    return Pillars(pillar_of_point, _cells(torch.nonzero(occupied)[:, 0], grid), count[occupied])


def pillar_mean(features: Tensor, pillars: Pillars) -> Tensor:
    """Mean [p, c] of the features [n, c] of each pillar's points; the gradient flows to the features."""
    kept = pillars.pillar_of_point >= 0
    total = features.new_zeros(len(pillars.count), features.shape[1])
    total = total.index_add(0, pillars.pillar_of_point[kept], features[kept])
    return total / pillars.count[:, None].to(features.dtype)


def pillar_max(features: Tensor, pillars: Pillars) -> Tensor:
    """Maximum [p, c] of the features [n, c] of each pillar's points; the gradient flows to where it stands."""
    kept = pillars.pillar_of_point >= 0
    row = pillars.pillar_of_point[kept][:, None].expand(-1, features.shape[1])
    lowest = features.new_zeros(len(pillars.count), features.shape[1])
    return lowest.scatter_reduce(0, row, features[kept], reduce="amax", include_self=False)


def _keys(xyz_m: Tensor, grid: BevGrid, batch_id: Tensor | None) -> tuple[Tensor, Tensor]:
    """Cell of each point, numbered over all clouds, and the mask of points inside of the grid."""
    cell, inside = cell_of_points(xyz_m, grid)
    if batch_id is None:
        return cell, inside
    if batch_id.shape != cell.shape or batch_id.dtype != torch.int64:
        raise SpecError(f"batch_id: {batch_id.dtype} {tuple(batch_id.shape)}, expected torch.int64 {tuple(cell.shape)}")
    return batch_id * (grid.nx * grid.ny) + cell, inside


def _cells(key: Tensor, grid: BevGrid) -> Tensor:
    """Keys [p] to batch, iy, ix [p, 3]."""
    cells = grid.nx * grid.ny
    return torch.stack([key // cells, key % cells // grid.nx, key % grid.nx], dim=1)
