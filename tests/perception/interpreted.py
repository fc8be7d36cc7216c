"""Runs the Triton kernels in Triton's interpreter, on the CPU, against the references; one line a cloud.

python -m tests.perception.interpreted, with TRITON_INTERPRET=1.
"""
from __future__ import annotations

import dataclasses
import sys

import numpy as np
import torch
from torch import Tensor

from perception.grid import BevGrid, VoxelGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.canvas_triton import pillar_canvas_op, pillar_canvas_triton
from perception.ops.voxels import MeanVoxels, Voxels, dynamic_voxels_reference, mean_voxels_reference
from perception.ops.voxels_triton import INTERPRETED, dynamic_voxels_triton, float32_numbers, mean_voxels_op, mean_voxels_triton

GRID = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.3, 0.3, 0.2))
PILLARS = BevGrid((-8.0, 8.0), (-4.0, 4.0), (-3.0, 3.0), 1.0)
SMALL = VoxelGrid((0.0, 8.0), (0.0, 8.0), (0.0, 4.0), (0.5, 0.5, 0.5))  # full: every voxel has a point
STRETCH, HALF = torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0]), torch.tensor([8.0, 4.0, 2.0, 0.0, 0.0])  # of SMALL's points to PILLARS


def spread(points: int, sigma_m: tuple[float, float, float], seed: int) -> Tensor:
    """Points f32[n, 5] around the origin, some far off, NaN or infinite, some features too."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.normal(0.0, sigma_m, (points, 3)), rng.random(points), rng.integers(0, 3, points) * 0.1])
    odd = rng.integers(0, max(points, 1), points // 20)
    rows[odd, rng.integers(0, 5, len(odd))] = rng.choice([np.nan, np.inf, -np.inf, 3e38, -1e9, 54.0, -54.0], len(odd))
    return torch.from_numpy(rows.astype(np.float32))


def full() -> Tensor:
    """Two points in each voxel of SMALL, on its low corner and inside."""
    axes = [torch.arange(n) * 0.5 for n in (SMALL.nx, SMALL.ny, SMALL.nz)]
    corner = torch.cartesian_prod(*axes)
    points = torch.cat([corner, corner + 0.2])
    return torch.column_stack([points, torch.linspace(0.0, 1.0, len(points)), torch.zeros(len(points))])


def same(got: Voxels | MeanVoxels, expected: Voxels | MeanVoxels) -> bool:
    """Every field, bit for bit."""
    pairs = ((getattr(got, field.name), getattr(expected, field.name)) for field in dataclasses.fields(got))
    return all(same(a, b) if isinstance(a, Voxels) else a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def voxels_agree(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None, batches: int) -> bool:
    arguments = (points, grid, batch_id, batches)
    return same(mean_voxels_triton(*arguments), mean_voxels_reference(*arguments)) and same(
        dynamic_voxels_triton(*arguments), dynamic_voxels_reference(*arguments))


def canvas_agrees(points: Tensor, batch_id: Tensor | None, batches: int, slots: int) -> bool:
    """Values within 1e-5 of the largest, the same cells empty, and gradients of points and net as the reference has them."""
    rng = torch.Generator().manual_seed(0)
    net = PillarNet(*(torch.randn(shape, generator=rng) / 3 for shape in ((6, 11), (6,), (6,))))
    leaves = [leaf.requires_grad_() for leaf in (points.clone(), net.weight, net.scale, net.shift)]
    results = []
    for implementation in (pillar_canvas_triton, pillar_canvas_reference):
        canvas = implementation(leaves[0], PILLARS, PillarNet(*leaves[1:]), batch_id, batches, slots)
        weights = torch.linspace(-1.0, 1.0, canvas.numel()).view(canvas.shape)
        results.append((canvas.detach(), *torch.autograd.grad((canvas * weights).sum(), leaves)))
    got, expected = results
    closeness = [float((a - b).abs().max()) <= 1e-5 * max(float(b.abs().max()), 1e-3) for a, b in zip(got, expected) if a.numel()]
    return all(closeness) and got[0].stride() == expected[0].stride() and got[0].shape == expected[0].shape


def registered() -> bool:
    """The operators' schemas and gradients, by torch's own check of what needs no GPU; it raises what is wrong."""
    points, frame = spread(40, (2.0, 2.0, 1.0), 4), float32_numbers(SMALL)
    checks = ("test_schema", "test_autograd_registration")
    torch.library.opcheck(mean_voxels_op, (points, None, 1, 5, (SMALL.nx, SMALL.ny, SMALL.nz), frame), test_utils=checks)
    net = [torch.randn(shape).requires_grad_() for shape in ((6, 11), (6,), (6,))]
    ranges = (PILLARS.x_range_m, PILLARS.y_range_m, PILLARS.z_range_m, PILLARS.pillar_size_m)
    torch.library.opcheck(pillar_canvas_op, (points, None, *net, 1, 1, *ranges), test_utils=checks)
    return True


def main() -> int:
    assert INTERPRETED, "set TRITON_INTERPRET=1"
    several = torch.from_numpy(np.random.default_rng(5).integers(-1, 4, 3000))
    checks = {
        "random voxels": voxels_agree(spread(20_000, (25.0, 25.0, 1.5), 0), GRID, None, 1),
        "clustered voxels, three clouds": voxels_agree(spread(3000, (0.4, 0.4, 0.4), 1), GRID, several, 3),
        "no voxels": voxels_agree(torch.zeros(0, 5), GRID, None, 1) and voxels_agree(torch.full((9, 5), 99.0), GRID, None, 1),
        "all voxels": voxels_agree(full(), SMALL, None, 1),
        "random canvas": canvas_agrees(spread(200, (4.0, 2.0, 1.0), 2), None, 1, 1),
        "clustered canvas, two clouds of two slots": canvas_agrees(spread(3000, (0.5, 0.5, 0.5), 3), several, 4, 2),
        "no canvas": canvas_agrees(torch.full((9, 5), 99.0), None, 1, 1),
        "operators": registered(),
        "all of the canvas": canvas_agrees(full() * STRETCH - HALF, None, 1, 1),
    }
    for name, agrees in checks.items():
        print(name, "equal" if agrees else "DIFFERS")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
