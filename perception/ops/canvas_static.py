"""The pillar feature net in plain torch with shapes that follow from those of its input alone: to be exported, or captured.

Every cell of the canvas has a row, and one more row takes the points that belong to none, so nothing is sorted or selected.
"""
from __future__ import annotations

import torch
from torch import Tensor

from perception.grid import BevGrid
from perception.ops.canvas import LARGEST_VALUE, PillarNet, reach_m, require_canvas


def pillar_canvas_static(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None = None, batches: int = 1,
                         slots: int = 1) -> Tensor:
    """perception.ops.canvas.pillar_canvas_reference, up to rounding; the gradient flows to points and net."""
    require_canvas(points, grid, net, batch_id, batches, slots)
    low_m, size_m = points.new_tensor(grid.low_m), points.new_tensor(grid.cell_m)
    xyz_m = points[:, :3]
    index = torch.floor((xyz_m.detach() - low_m) / size_m)
    inside = ((index >= 0) & (index < points.new_tensor([grid.nx, grid.ny, 1]))).all(dim=1)
    ix, iy = torch.where(inside[:, None], index, 0.0)[:, :2].long().unbind(1)
    cloud = torch.zeros_like(ix) if batch_id is None else batch_id
    inside = inside & (cloud >= 0) & (cloud < batches)
    cells, channels = grid.nx * grid.ny, len(net.shift)
    place = (cloud // slots * cells + iy * grid.nx + ix) * slots + cloud % slots
    place = torch.where(inside, place, batches * cells)
    xyz_m = torch.where(inside[:, None], xyz_m, 0.0)
    total = points.new_zeros(batches * cells + 1, 4).index_add(0, place, torch.cat([xyz_m, torch.ones_like(xyz_m[:, :1])], dim=1))
    mean_m, count = (total[:, :3] / total[:, 3:].clamp(min=1))[place], total[:, 3:].clamp(min=1)[place]
    others = torch.nan_to_num(points[:, 3:], nan=0.0).clamp(-LARGEST_VALUE, LARGEST_VALUE)
    from_center_m = (xyz_m - (low_m + (index + 0.5) * size_m))[:, :2]
    scale = points.new_tensor([1 / reach_m(grid), 1 / reach_m(grid), 0.5])
    numbers = torch.cat([xyz_m * scale, others, xyz_m - mean_m, from_center_m / (size_m[:2] / 2), count.log2() / 4], dim=1)
    features = torch.where(inside[:, None], torch.relu(numbers @ net.weight.T * net.scale + net.shift), 0.0)
    canvas = points.new_zeros(batches * cells + 1, channels).scatter_reduce(
        0, place[:, None].expand(-1, channels), features, "amax")
    return canvas[:-1].view(batches // slots, grid.ny, grid.nx, slots * channels).permute(0, 3, 1, 2)
