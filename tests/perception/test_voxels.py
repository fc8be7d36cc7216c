"""The contract of voxels, held to plain Python on one side; its Triton kernels, in the interpreter, on the other."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_specs.errors import SpecError
from perception.grid import BevGrid, VoxelGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.voxel_ops import dynamic_voxels, hard_voxels, mean_voxels, pillar_canvas
from perception.ops.voxels import dynamic_voxels_reference, mean_voxels_reference

GRID = VoxelGrid((-1.0, 1.0), (-1.5, 1.5), (-1.0, 1.0), (0.5, 0.5, 1.0))  # 4 x 6 x 2
PILLARS = BevGrid((-1.0, 1.0), (-1.5, 1.5), (-1.0, 1.0), 0.5)
ROOT = Path(__file__).resolve().parents[2]
odd_numbers = st.one_of(st.floats(-1.75, 1.75, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 0.5, -1.0, 1.0]))


@st.composite
def clouds(draw):
    points = draw(arrays(np.float32, st.tuples(st.integers(0, 60), st.just(4)), elements=odd_numbers))
    batch_id = draw(arrays(np.int64, len(points), elements=st.integers(-1, 3)))
    return torch.from_numpy(points.copy()), torch.from_numpy(batch_id.copy())


@given(clouds())
def test_each_point_is_in_the_voxel_that_covers_it_or_is_counted_as_dropped(cloud):
    points, batch_id = cloud
    voxels = dynamic_voxels_reference(points, GRID, batch_id, 3)
    kept = voxels.voxel_of_point >= 0
    assert int(voxels.count.sum()) == int(kept.sum()) == len(points) - int(voxels.dropped)
    batch, iz, iy, ix = voxels.cell[voxels.voxel_of_point[kept]].T
    assert torch.equal(batch, batch_id[kept].int())
    assert torch.equal(ix, torch.floor((points[kept, 0] + 1.0) / 0.5).int())
    assert torch.equal(iy, torch.floor((points[kept, 1] + 1.5) / 0.5).int())
    assert torch.equal(iz, torch.floor(points[kept, 2] + 1.0).int())


@given(clouds())
def test_voxels_stand_in_the_order_of_their_keys_and_rows_not_in_use_say_so(cloud):
    points, batch_id = cloud
    voxels = dynamic_voxels_reference(points, GRID, batch_id, 3)
    used = int(voxels.number)
    batch, iz, iy, ix = voxels.cell[:used].T
    key = ((batch * GRID.nz + iz) * GRID.ny + iy) * GRID.nx + ix
    assert (key.diff() > 0).all() and (voxels.count[:used] > 0).all()
    assert (voxels.cell[used:] == -1).all() and (voxels.count[used:] == 0).all()
    assert len(voxels.cell) == min(len(points), 3 * GRID.cells)
    assert len(voxels.trimmed().cell) == used


@settings(max_examples=40)
@given(clouds(), st.integers(0, 2**32 - 1))
def test_means_do_not_depend_on_the_order_of_the_points(cloud, seed):
    points, batch_id = cloud
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(points)))
    one = mean_voxels_reference(points, GRID, batch_id, 3)
    other = mean_voxels_reference(points[shuffled], GRID, batch_id[shuffled], 3)
    assert torch.equal(one.mean, other.mean) and torch.equal(one.voxels.cell, other.voxels.cell)


def test_means_are_within_a_micrometre_and_far_numbers_are_held_at_2048():
    points = torch.from_numpy(np.random.default_rng(0).uniform(-1.0, 1.0, (4000, 4)).astype(np.float32))
    found = mean_voxels_reference(points, GRID).trimmed()
    for voxel in (0, 7, len(found.mean) - 1):
        expected = points[found.voxels.voxel_of_point == voxel].double().mean(dim=0)
        torch.testing.assert_close(found.mean[voxel].double(), expected, atol=1e-6, rtol=0)
    odd = torch.tensor([[0.1, 0.1, 0.1, np.inf], [0.1, 0.1, 0.1, np.nan], [0.6, 0.1, 0.1, -1e9]])
    assert mean_voxels_reference(odd, GRID).trimmed().mean[:, 3].tolist() == [1024.0, -2048.0]


def test_three_hundred_thousand_points_in_one_voxel_do_not_overflow():
    points = torch.full((300_000, 4), 0.25)
    points[:, 3] = 2048.0
    found = mean_voxels_reference(points, GRID).trimmed()
    assert found.mean.tolist() == [[0.25, 0.25, 0.25, 2048.0]] and found.voxels.count.tolist() == [300_000]


def test_what_does_not_fit_is_refused():
    points = torch.zeros(4, 3)
    with pytest.raises(SpecError, match=r"points: torch\.float64 \(4, 3\), expected torch\.float32 \(n, 3 or more\)"):
        dynamic_voxels(points.double(), GRID)
    with pytest.raises(SpecError, match=r"batch_id: torch\.float32 \(4,\), expected torch\.int64 \(4,\)"):
        dynamic_voxels(points, GRID, torch.zeros(4), 2)
    with pytest.raises(SpecError, match="batches: 2, expected 1 or more, and 1 where there is no batch_id"):
        dynamic_voxels(points, GRID, None, 2)
    with pytest.raises(SpecError, match="60000000 batches of 48 voxels: 2880000000, expected at most 2147483647"):
        dynamic_voxels(points, GRID, torch.zeros(4, dtype=torch.int64), 60_000_000)
    with pytest.raises(SpecError, match=r"z_range_m: 2 m is 6\.66667 voxels of 0\.3 m, expected a whole number"):
        VoxelGrid((-1.0, 1.0), (-1.5, 1.5), (-1.0, 1.0), (0.5, 0.5, 0.3))
    with pytest.raises(SpecError, match="points: 3 columns, expected 5: x, y, z, intensity, age"):
        pillar_canvas(points, PILLARS, net_of(2))
    with pytest.raises(SpecError, match=r"weight: torch\.float32 \(2, 10\), expected torch\.float32 \(2, 11\)"):
        PillarNet(torch.zeros(2, 10), torch.zeros(2), torch.zeros(2))


def test_the_gradient_of_a_mean_goes_to_its_points_in_equal_parts():
    points = torch.tensor([[0.1, 0.1, 0.1, 1.0], [0.2, 0.2, 0.2, 3.0], [np.nan, 0.0, 0.0, 5.0], [-0.9, 0.1, 0.1, 7.0]])
    points.requires_grad_()
    found = mean_voxels(points, GRID)
    assert torch.equal(found.mean, mean_voxels_reference(points.detach(), GRID).trimmed().mean)
    (found.mean[:, 3] * torch.tensor([1.0, 10.0])).sum().backward()
    assert points.grad is not None
    assert points.grad[:, 3].tolist() == [5.0, 5.0, 0.0, 1.0]


def test_the_doors_answers_are_the_references_on_the_cpu():
    points = torch.from_numpy(np.random.default_rng(1).normal(0.0, 1.0, (500, 5)).astype(np.float32))
    voxels, expected = dynamic_voxels(points, GRID), dynamic_voxels_reference(points, GRID).trimmed()
    assert torch.equal(voxels.voxel_of_point, expected.voxel_of_point) and torch.equal(voxels.cell, expected.cell)
    assert hard_voxels(points, GRID, 3, 7).points.shape == (7, 3, 5)
    arguments = (points, PILLARS, net_of(6))
    torch.testing.assert_close(pillar_canvas(*arguments), pillar_canvas_reference(*arguments), atol=1e-5, rtol=1e-5)


def net_of(channels: int) -> PillarNet:
    rng = torch.Generator().manual_seed(channels)
    return PillarNet(torch.randn(channels, 11, generator=rng) / 3, torch.rand(channels, generator=rng) + 0.5,
                     torch.randn(channels, generator=rng) / 3)


def test_the_canvas_passes_gradcheck_in_float64():
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-0.9, 0.9, (12, 3)), rng.random((12, 2))])
    points[:, :3] = np.round(points[:, :3], 1) + 0.033  # away from the borders of pillars
    leaves = [torch.from_numpy(points), *(t.double() for t in (net_of(3).weight, net_of(3).scale, net_of(3).shift))]
    for leaf in leaves:
        leaf.requires_grad_()
    batch_id = torch.tensor([0, 1] * 6)
    assert torch.autograd.gradcheck(
        lambda moved, *net: pillar_canvas_reference(moved, PILLARS, PillarNet(*net), batch_id, 2, 2), leaves)


@pytest.mark.slow
def test_the_kernels_in_tritons_interpreter_equal_the_references():
    """In a process of its own: the interpreter is chosen when triton is first imported."""
    pytest.importorskip("triton", reason="triton is not installed: torch here is a build without CUDA")
    done = subprocess.run([sys.executable, "-m", "tests.perception.interpreted"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("equal") == 9, done.stdout
