"""Points into voxels: the contract that every implementation meets bit for bit, and its plain reference in torch.

Dynamic (Zhou et al., End-to-End Multi-View Fusion for 3D Object Detection in LiDAR Point Clouds, CoRL 2019): every point inside
of the grid is kept. Voxels stand in the order of their key ((batch * nz + iz) * ny + iy) * nx + ix.

Shapes are static. Arrays have room for `capacity` = min(points, batches * cells) voxels, which is always enough; how many there
are stays on the device, so that nothing waits for it and the work can be captured in a CUDA graph.

Sums are of whole numbers, so that no order of adding changes them: a value in units of 2^-20, rounded half up; positions are
taken from the low corner of their voxel, in float64. Values beyond +-2048 count as +-2048, NaN as 0; so 2^31 points cannot
overflow an int64. The mean is corner + sum / (count * 2^20) in float64, rounded to float32 once.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.grid import VoxelGrid

UNITS_PER_ONE = 2.0**20  # fixed-point resolution of a mean: about a micrometre
LARGEST_VALUE = 2.0**11  # a feature, or an offset in metres, beyond this is taken as this
MOST_CELLS = 2**31 - 1  # keys are int32


@dataclass(frozen=True, slots=True)
class Voxels:
    """Which voxel each of n points belongs to; rows of voxels from `number` on are not in use."""

    voxel_of_point: Tensor  # i32[n], row of a voxel; -1 = dropped
    cell: Tensor  # i32[capacity, 4]: batch, iz, iy, ix; -1 where not in use
    count: Tensor  # i32[capacity], points in each voxel; 0 where not in use
    number: Tensor  # i32[], voxels in use
    dropped: Tensor  # i32[], points that are not finite, lie outside of the grid, or belong to no batch

    def trimmed(self) -> Voxels:
        """Without the rows that are not in use. Waits for the device."""
        used = int(self.number)
        return Voxels(self.voxel_of_point, self.cell[:used], self.count[:used], self.number, self.dropped)


@dataclass(frozen=True, slots=True)
class MeanVoxels:
    """Voxels and the mean of each one's points, xyz in metres where the points' are."""

    voxels: Voxels
    mean: Tensor  # f32[capacity, c]; 0 where not in use

    def trimmed(self) -> MeanVoxels:
        """Without the rows that are not in use. Waits for the device."""
        voxels = self.voxels.trimmed()
        return MeanVoxels(voxels, self.mean[: len(voxels.count)])


def require_points(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None, batches: int) -> None:
    """Raise SpecError unless points are f32[n, 3 or more], batch_id is None or i64[n] or i32[n], and keys fit in an int32."""
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype != torch.float32:
        raise SpecError(f"points: {points.dtype} {tuple(points.shape)}, expected torch.float32 (n, 3 or more)")
    if batch_id is not None and (batch_id.shape != points.shape[:1] or batch_id.dtype not in (torch.int64, torch.int32)):
        raise SpecError(f"batch_id: {batch_id.dtype} {tuple(batch_id.shape)}, expected torch.int64 ({len(points)},)")
    if batches < 1 or (batch_id is None and batches != 1):
        raise SpecError(f"batches: {batches}, expected 1 or more, and 1 where there is no batch_id")
    if batches * grid.cells > MOST_CELLS:
        raise SpecError(f"{batches} batches of {grid.cells} voxels: {batches * grid.cells}, expected at most {MOST_CELLS}")


def capacity_for(points: Tensor, grid: VoxelGrid, batches: int) -> int:
    """The most voxels that these points can fill."""
    return min(len(points), batches * grid.cells)


def voxel_indices(points: Tensor, grid: VoxelGrid) -> tuple[Tensor, Tensor]:
    """ix, iy, iz, i64[n, 3], and the mask [n] of points inside of the grid; outside they are 0."""
    # Tensors, not scalars: CUDA turns division by a scalar into a product with its reciprocal, which rounds otherwise.
    low_m = torch.tensor(grid.low_m, dtype=torch.float32, device=points.device)
    size_m = torch.tensor(grid.voxel_size_m, dtype=torch.float32, device=points.device)
    shape = torch.tensor([grid.nx, grid.ny, grid.nz], dtype=torch.float32, device=points.device)
    index = torch.floor((points[:, :3].detach().float() - low_m) / size_m)
    inside = ((index >= 0) & (index < shape)).all(dim=1)  # False for NaN; compared as floats, since huge ones overflow integers
    return torch.where(inside[:, None], index, 0.0).long(), inside


def voxel_keys(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None, batches: int) -> Tensor:
    """Key i64[n] of the voxel of each point; -1 = dropped."""
    index, inside = voxel_indices(points, grid)
    ix, iy, iz = index.unbind(1)
    key = (iz * grid.ny + iy) * grid.nx + ix
    if batch_id is not None:
        inside = inside & (batch_id >= 0) & (batch_id < batches)
        key = key + batch_id.long() * grid.cells
    return torch.where(inside, key, -1)


def cells_of_keys(key: Tensor, grid: VoxelGrid) -> Tensor:
    """batch, iz, iy, ix, i32[v, 4], of keys i64[v]; -1 of -1."""
    ix, row = key % grid.nx, key // grid.nx
    cell = torch.stack([row // (grid.ny * grid.nz), row // grid.ny % grid.nz, row % grid.ny, ix], dim=1)
    return torch.where(key[:, None] < 0, -1, cell).int()


def dynamic_voxels_reference(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> Voxels:
    """Voxels of points f32[n, 3 or more], xyz first, of clouds `batch_id` i64[n] (None: all of one cloud), by sorting.

    A point whose batch_id is not in 0 .. batches - 1 is dropped, so -1 marks padding.
    """
    require_points(points, grid, batch_id, batches)
    key = voxel_keys(points, grid, batch_id, batches)
    kept = key >= 0
    used, row, count = torch.unique(key[kept], sorted=True, return_inverse=True, return_counts=True)
    unused = capacity_for(points, grid, batches) - len(used)
    voxel_of_point = torch.full_like(key, -1, dtype=torch.int32)
    voxel_of_point[kept] = row.int()
    return Voxels(
        voxel_of_point,
        cells_of_keys(torch.cat([used, used.new_full((unused,), -1)]), grid),
        torch.cat([count, count.new_zeros(unused)]).int(),
        torch.tensor(len(used), dtype=torch.int32, device=points.device),
        (~kept).sum().int())


def mean_voxels_reference(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> MeanVoxels:
    """`dynamic_voxels_reference` and the fixed-point mean of all c columns of each voxel's points."""
    voxels = dynamic_voxels_reference(points, grid, batch_id, batches)
    kept = voxels.voxel_of_point >= 0
    total = torch.zeros(len(voxels.count), points.shape[1], dtype=torch.int64, device=points.device)
    total.index_add_(0, voxels.voxel_of_point[kept], fixed_point(points, grid)[kept])
    offset = total.double() / (voxels.count.clamp(min=1).double() * UNITS_PER_ONE)[:, None]
    offset[:, :3] += corners_m(voxels.cell, grid)
    return MeanVoxels(voxels, torch.where(voxels.count[:, None] > 0, offset, 0.0).float())


def fixed_point(points: Tensor, grid: VoxelGrid) -> Tensor:
    """Columns i64[n, c] in units of 2^-20: xyz from the low corner of the point's voxel, the others as they are."""
    index, _ = voxel_indices(points, grid)
    value = points.double()
    value[:, :3] -= _float32_as_double(grid.low_m, points)
    value[:, :3] -= index.double() * _float32_as_double(grid.voxel_size_m, points)
    value = torch.nan_to_num(value, nan=0.0).clamp(-LARGEST_VALUE, LARGEST_VALUE)
    return torch.floor(value * UNITS_PER_ONE + 0.5).long()


def corners_m(cell: Tensor, grid: VoxelGrid) -> Tensor:
    """Low corner x, y, z, f64[v, 3], of voxels i32[v, 4]."""
    return _float32_as_double(grid.low_m, cell) + cell[:, [3, 2, 1]].double() * _float32_as_double(grid.voxel_size_m, cell)


def _float32_as_double(numbers: tuple[float, float, float], like: Tensor) -> Tensor:
    """The float32 numbers that decide on cells, exactly."""
    return torch.tensor(numbers, dtype=torch.float32, device=like.device).double()
