"""Training targets of a CenterHead: Gaussian heatmaps, and the numbers of each box at its centre's cell.

Sources: Law & Deng, CornerNet (ECCV 2018), 3.2 for the radius; Yin et al., CenterPoint (CVPR 2021), 4.1 for its least value.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from perception.grid import BevGrid
from perception.scene import Scene

# Offsets in cells from the cell's centre, z in m, velocity in m/s over ground along the ego's axes.
BOX_NUMBERS = ("dx", "dy", "z", "log_l", "log_w", "log_h", "sin", "cos", "vx", "vy")
FEWEST_PIXELS = 25  # of an object that the cameras can be asked for
LEAST_RADIUS_CELLS = 2.0
LEAST_OVERLAP = 0.1


@dataclass(frozen=True, slots=True)
class Targets:
    """What a CenterHead should say about b scenes with k objects on a grid of h x w cells."""

    heatmap: Tensor  # f32[b, c, h, w], exactly 1 at the cell of a centre
    weight: Tensor  # f32[b, 1, h, w], 0 where an object stands that no sensor sees
    cell: Tensor  # i64[k, 3]: scene, iy, ix
    box: Tensor  # f32[k, 10], BOX_NUMBERS; NaN where a velocity is not known


def make_targets(scenes: Sequence[Scene], classes: Sequence[ObjectClass], grid: BevGrid) -> Targets:
    """Targets of the scenes; objects of other classes, and those that no sensor sees, are neither targets nor punished.

    Seen is who holds a LiDAR return, or covers FEWEST_PIXELS in some picture; who is unknown (-1) to both counts as seen.

    `grid` is the head's own: its cells are the network's output cells.
    """
    rows = [np.column_stack([np.full(len(s.label), i), s.boxes.center_m, s.boxes.size_lwh_m, s.boxes.yaw_rad,
                             s.label, seen_by_sensors(s), s.velocity_mps]) for i, s in enumerate(scenes)]
    table = torch.from_numpy(np.concatenate([np.zeros((0, 12)), *rows]))
    low_m = torch.tensor(grid.low_m[:2], dtype=torch.float64)
    at = (table[:, 1:3] - low_m) / grid.pillar_size_m  # in cells
    inside = ((at >= 0) & (at < torch.tensor([grid.nx, grid.ny]))).all(dim=1)
    table, at = table[inside], at[inside]
    rank = torch.full((max(ObjectClass) + 1,), -1, dtype=torch.int64)
    rank[torch.tensor([int(c) for c in classes])] = torch.arange(len(classes))
    of_class = rank[table[:, 8].long()]
    seen = (of_class >= 0) & (table[:, 9] != 0)
    scene, ix, iy = table[:, 0].long(), at[:, 0].long(), at[:, 1].long()

    bumps = _bumps(at[seen].long(), gaussian_radius_cells(table[seen, 4:6] / grid.pillar_size_m), grid)
    heatmap = _greatest((scene * len(classes) + of_class)[seen], bumps, len(scenes) * len(classes))
    hidden = _greatest(scene[~seen], _footprints(table[~seen], grid), len(scenes))

    box = torch.cat([at - at.floor() - 0.5, table[:, 3:4], table[:, 4:7].clamp(min=0.05).log(),
                     table[:, 7:8].sin(), table[:, 7:8].cos(), table[:, 10:12]], dim=1).float()
    return Targets(heatmap.view(len(scenes), len(classes), grid.ny, grid.nx), 1.0 - hidden[:, None],
                   torch.stack([scene, iy, ix], dim=1)[seen], box[seen])


def seen_by_sensors(scene: Scene) -> Array:
    """Mask [m] of the objects that some sensor sees."""
    unknown = (scene.points_in_box < 0) & (scene.pixels_visible < 0)
    return (scene.points_in_box > 0) | (scene.pixels_visible >= FEWEST_PIXELS) | unknown


def aligned_overlap(box: Tensor, target: Tensor, cell_m: float) -> Tensor:
    """Intersection over union [k] of boxes [k, 10] with their targets, BOX_NUMBERS, as if both had the target's heading.

    The difference of the headings costs the square of its cosine instead, halved where they point apart: cheap, smooth, and
    the same order as the exact overlap for the small errors that matter.
    """
    offset_m = torch.cat([(box[:, :2] - target[:, :2]) * cell_m, box[:, 2:3] - target[:, 2:3]], dim=1)
    s, c = target[:, 6:7], target[:, 7:8]
    along = torch.cat([c * offset_m[:, :1] + s * offset_m[:, 1:2], c * offset_m[:, 1:2] - s * offset_m[:, :1],
                       offset_m[:, 2:]], dim=1).abs()
    size_m, wanted_m = box[:, 3:6].clamp(-3.0, 3.5).exp(), target[:, 3:6].exp()
    shared = (torch.minimum(along + size_m / 2, wanted_m / 2) - torch.maximum(along - size_m / 2, -wanted_m / 2)).clamp(min=0.0)
    common = shared.prod(dim=1)
    overlap = common / (size_m.prod(dim=1) + wanted_m.prod(dim=1) - common)
    agree = F.cosine_similarity(box[:, 6:8], target[:, 6:8], dim=1)
    return overlap * agree.square() * torch.where(agree > 0, 1.0, 0.5)


def gaussian_radius_cells(size_lw: Tensor, overlap: float = LEAST_OVERLAP) -> Tensor:
    """Radius [k] within which a shifted box [k, 2] still overlaps its truth by `overlap` IoU, at least LEAST_RADIUS_CELLS.

    The tightest of CornerNet's three cases (shifted, shrunk, grown corners), with the roots of the quadratics as they should
    be: the original divides by 2 where it must by 2a.
    """
    area, total = size_lw.prod(dim=1), size_lw.sum(dim=1)
    shifted = _smaller_root(torch.ones_like(area), -total, area * (1 - overlap) / (1 + overlap))
    shrunk = _smaller_root(torch.full_like(area, 4.0), -2 * total, area * (1 - overlap))
    grown = _larger_root(torch.full_like(area, 4.0 * overlap), 2 * overlap * total, (overlap - 1) * area)
    return torch.stack([shifted, shrunk, grown]).amin(dim=0).clamp(min=LEAST_RADIUS_CELLS)


def _smaller_root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (-b - (b * b - 4 * a * c).clamp(min=0).sqrt()) / (2 * a)


def _larger_root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (-b + (b * b - 4 * a * c).clamp(min=0).sqrt()) / (2 * a)


def _bumps(center: Tensor, radius: Tensor, grid: BevGrid) -> Tensor:
    """Gaussians f32[k, h, w], exactly 1 at the cells [k, 2] (ix, iy); sigma is a sixth of the diameter, as in CornerNet."""
    sigma = ((2 * radius.floor() + 1) / 6)[:, None]
    x = torch.exp(-0.5 * ((torch.arange(grid.nx) - center[:, 0:1]) / sigma) ** 2).float()
    y = torch.exp(-0.5 * ((torch.arange(grid.ny) - center[:, 1:2]) / sigma) ** 2).float()
    return y[:, :, None] * x[:, None, :]


def _greatest(row: Tensor, maps: Tensor, rows: int) -> Tensor:
    """The greatest [rows, h, w] of the maps [k, h, w] of each row, at least zero."""
    return maps.new_zeros(rows, *maps.shape[1:]).scatter_reduce(0, row[:, None, None].expand_as(maps), maps, "amax")


def _footprints(table: Tensor, grid: BevGrid) -> Tensor:
    """Masks f32[k, h, w] of the cells whose centre lies within half a box's diagonal plus one cell of its centre."""
    low_m = torch.tensor(grid.low_m[:2], dtype=torch.float64)
    x_m = low_m[0] + (torch.arange(grid.nx) + 0.5) * grid.pillar_size_m - table[:, 1:2]
    y_m = low_m[1] + (torch.arange(grid.ny) + 0.5) * grid.pillar_size_m - table[:, 2:3]
    reach_m = torch.hypot(table[:, 4], table[:, 5]) / 2 + grid.pillar_size_m
    return (y_m[:, :, None] ** 2 + x_m[:, None, :] ** 2 <= (reach_m**2)[:, None, None]).float()
