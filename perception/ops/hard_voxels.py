"""Points into voxels as mmcv's deterministic hard_voxelize does it, order included: contract, plain reference, a fast way.

Hard (Lang et al., PointPillars, CVPR 2019): at most `max_points` points a voxel and `max_voxels` voxels a cloud, first come,
first kept. Voxels stand in the order in which their first point came, cloud after cloud. What did not fit is counted.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.grid import VoxelGrid
from perception.ops.voxels import cells_of_keys, dynamic_voxels_reference, require_points, voxel_keys


@dataclass(frozen=True, slots=True)
class HardVoxels:
    """Voxels with the points that they keep, and how many points are not kept."""

    points: Tensor  # f32[v, max_points, c], zero where a voxel holds fewer
    count: Tensor  # i32[v], 1 to max_points
    cell: Tensor  # i32[v, 4]: batch, iz, iy, ix
    dropped: int  # points that are not finite, lie outside of the grid, or belong to no batch
    over_points: int  # points of full voxels
    over_voxels: int  # points of voxels that came after max_voxels of their cloud


def require_limits(max_points: int, max_voxels: int) -> None:
    """Raise SpecError unless at least one voxel of one point may be kept."""
    for name, limit in (("max_points", max_points), ("max_voxels", max_voxels)):
        if limit < 1:
            raise SpecError(f"{name}: {limit}, expected 1 or more")


def hard_voxels_reference(points: Tensor, grid: VoxelGrid, max_points: int, max_voxels: int, batch_id: Tensor | None = None,
                          batches: int = 1) -> HardVoxels:
    """Voxels of points f32[n, c], xyz first, of clouds `batch_id` i64[n] (None: all of one cloud), point after point."""
    require_limits(max_points, max_voxels)
    require_points(points, grid, batch_id, batches)
    rows: dict[int, list[int]] = {}
    voxels_of_cloud = [0] * batches
    dropped = over_points = over_voxels = 0
    for point, key in enumerate(voxel_keys(points, grid, batch_id, batches).tolist()):
        if key < 0:
            dropped += 1
        elif key not in rows and voxels_of_cloud[key // grid.cells] == max_voxels:
            over_voxels += 1
        elif len(rows.get(key, ())) == max_points:
            over_points += 1
        else:
            voxels_of_cloud[key // grid.cells] += key not in rows
            rows.setdefault(key, []).append(point)
    order = sorted(rows, key=lambda key: key // grid.cells)  # stable: keeps the order of arrival inside of a cloud
    kept = points.new_zeros(len(order), max_points, points.shape[1])
    for voxel, key in enumerate(order):
        kept[voxel, : len(rows[key])] = points[rows[key]]
    count = torch.tensor([len(rows[key]) for key in order], dtype=torch.int32, device=points.device)
    cell = cells_of_keys(torch.tensor(order, dtype=torch.int64, device=points.device), grid)
    return HardVoxels(kept, count, cell, dropped, over_points, over_voxels)


def hard_voxels_sorted(points: Tensor, grid: VoxelGrid, max_points: int, max_voxels: int, batch_id: Tensor | None = None,
                       batches: int = 1) -> HardVoxels:
    """`hard_voxels_reference` by sorting, on any device."""
    require_limits(max_points, max_voxels)
    voxels = dynamic_voxels_reference(points, grid, batch_id, batches).trimmed()
    kept = torch.nonzero(voxels.voxel_of_point >= 0)[:, 0]
    voxel = voxels.voxel_of_point[kept].long()
    voxel_in_order, order = torch.sort(voxel, stable=True)
    starts = torch.cumsum(voxels.count, 0) - voxels.count
    place = torch.empty_like(voxel)
    place[order] = torch.arange(len(voxel), device=voxel.device) - starts[voxel_in_order]
    seat = _seats(order[starts], voxels.cell[:, 0].long(), max_voxels)
    seat_of_point = seat[voxel]
    fits = (seat_of_point >= 0) & (place < max_points)
    seated = torch.argsort(torch.where(seat >= 0, seat, len(seat)))[: int((seat >= 0).sum())]
    filled = points.new_zeros(len(seated), max_points, points.shape[1])
    filled[seat_of_point[fits], place[fits]] = points[kept[fits]]
    return HardVoxels(filled, voxels.count[seated].clamp(max=max_points), voxels.cell[seated], int(voxels.dropped),
                      int(((seat_of_point >= 0) & (place >= max_points)).sum()), int((seat_of_point < 0).sum()))


def _seats(first_point: Tensor, cloud: Tensor, max_voxels: int) -> Tensor:
    """Output row i64[v] of each voxel: cloud after cloud, by first point; -1 beyond max_voxels of its cloud."""
    by_arrival = torch.argsort(first_point)
    by_cloud = by_arrival[torch.argsort(cloud[by_arrival], stable=True)]
    voxels_of_cloud = torch.bincount(cloud)
    kept_of_cloud = voxels_of_cloud.clamp(max=max_voxels)
    cloud_in_order = cloud[by_cloud]
    rank = torch.arange(len(cloud), device=cloud.device) - (torch.cumsum(voxels_of_cloud, 0) - voxels_of_cloud)[cloud_in_order]
    seat = torch.empty_like(cloud)
    seat[by_cloud] = torch.where(rank < max_voxels, rank + (torch.cumsum(kept_of_cloud, 0) - kept_of_cloud)[cloud_in_order], -1)
    return seat
