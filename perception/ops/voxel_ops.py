"""Voxels, means and canvases of points on whatever device they are: the door to the implementations of one contract.

The contracts and references stand in voxels.py, hard_voxels.py and canvas.py; CPU tensors go to compiled loops, others to Triton.
Where a gradient is asked for it is that of the plain formula: rounding to fixed point passes it through.
"""
from __future__ import annotations

import torch
from torch import Tensor

from perception.grid import BevGrid, VoxelGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.hard_voxels import HardVoxels, hard_voxels_sorted
from perception.ops.voxels import MeanVoxels, Voxels


def dynamic_voxels(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> Voxels:
    """Voxels of points f32[n, 3 or more] of clouds `batch_id` i64[n], 0 to batches - 1, others dropped; None: one cloud."""
    if points.device.type == "cpu":
        from perception.ops.voxels_cpu import dynamic_voxels_cpu

        return dynamic_voxels_cpu(points, grid, batch_id, batches)
    from perception.ops.voxels_triton import dynamic_voxels_triton

    return dynamic_voxels_triton(points, grid, batch_id, batches)


def mean_voxels(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> MeanVoxels:
    """`dynamic_voxels` and the mean of each voxel's points, whose gradient flows to them."""
    if points.device.type == "cpu":
        from perception.ops.voxels_cpu import mean_voxels_cpu as implementation
    else:
        from perception.ops.voxels_triton import mean_voxels_triton as implementation

    found = implementation(points.detach(), grid, batch_id, batches)
    if not (points.requires_grad and torch.is_grad_enabled()):
        return found
    return MeanVoxels(found.voxels, _same_with_gradient(found, points))


def hard_voxels(points: Tensor, grid: VoxelGrid, max_points: int, max_voxels: int, batch_id: Tensor | None = None,
                batches: int = 1) -> HardVoxels:
    """At most max_points a voxel and max_voxels a cloud, first come, first kept: mmcv's deterministic hard_voxelize."""
    if points.device.type == "cpu" and not points.requires_grad:
        from perception.ops.voxels_cpu import hard_voxels_cpu

        return hard_voxels_cpu(points, grid, max_points, max_voxels, batch_id, batches)
    return hard_voxels_sorted(points, grid, max_points, max_voxels, batch_id, batches)


def pillar_canvas(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None = None, batches: int = 1,
                  slots: int = 1) -> Tensor:
    """Canvas [batches / slots, slots * channels, ny, nx] of points f32[n, 5]; the gradient flows to points and net."""
    if points.device.type != "cpu":
        from perception.ops.canvas_triton import pillar_canvas_triton

        return pillar_canvas_triton(points, grid, net, batch_id, batches, slots)
    learns = any(tensor.requires_grad for tensor in (points, net.weight, net.scale, net.shift))
    if learns and torch.is_grad_enabled():
        return pillar_canvas_reference(points, grid, net, batch_id, batches, slots)
    from perception.ops.pillars_cpu import pillar_canvas_cpu

    return pillar_canvas_cpu(points, grid, net, batch_id, batches, slots)


def _same_with_gradient(found: MeanVoxels, points: Tensor) -> Tensor:
    """The mean, bit for bit, with the gradient of a plain one."""
    voxel = found.voxels.voxel_of_point
    own = torch.where(voxel[:, None] >= 0, points, 0.0)  # dropped points may be NaN, and go nowhere
    total = torch.zeros_like(found.mean).index_add(0, voxel.clamp(min=0).long(), own)
    plain = total / found.voxels.count.clamp(min=1)[:, None]
    return found.mean + (plain - plain.detach())
