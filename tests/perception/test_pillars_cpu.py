import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.lidar import SLOTS, PillarEncoder, describe
from perception.ops.pillars_cpu import pillar_canvas_cpu
from perception.ops.voxelize import dynamic_pillars_reference, pillar_max

GRID = BevGrid((-8.0, 8.0), (-4.0, 4.0), (-3.0, 3.0), 0.5)


def encoder(channels: int, seed: int = 0) -> PillarEncoder:
    """The network's own pillar encoder, as trained: its normalization has statistics and scales of both signs."""
    torch.manual_seed(seed)
    net = PillarEncoder(GRID, channels).eval()
    with torch.no_grad():
        net.norm.weight.uniform_(-1.0, 1.0)
        net.norm.bias.normal_()
        net.norm.running_mean.normal_()
        net.norm.running_var.uniform_(0.5, 2.0)
    return net


def scale_and_shift(net: PillarEncoder) -> tuple[torch.Tensor, torch.Tensor]:
    scale = net.norm.weight / torch.sqrt(net.norm.running_var + net.norm.eps)
    return scale.detach(), (net.norm.bias - net.norm.running_mean * scale).detach()


def cloud(points: int, seed: int = 0) -> torch.Tensor:
    """Points f32[n, 5], some of them outside of the grid; a third of the newest sweep."""
    rng = np.random.default_rng(seed)
    xyz_m = rng.normal(0.0, [4.0, 2.5, 1.0], (points, 3))
    return torch.from_numpy(np.column_stack([xyz_m, rng.random(points), rng.integers(0, 3, points) * 0.1]).astype(np.float32))


def canvas_of(net: PillarEncoder, points: torch.Tensor, scene: torch.Tensor, size: int) -> torch.Tensor:
    scale, shift = scale_and_shift(net)
    slotted = scene * SLOTS + (points[:, 4] > 0).long()
    return pillar_canvas_cpu(points, GRID, net.linear.weight, scale, shift, slotted, size * SLOTS, SLOTS)


@torch.inference_mode()
def reference(net: PillarEncoder, points: torch.Tensor, scene: torch.Tensor, size: int) -> torch.Tensor:
    """The canvas as the features are written: each point described, each pillar's largest kept."""
    pillars = dynamic_pillars_reference(points, GRID, scene * SLOTS + (points[:, 4] > 0).long())
    canvas = torch.zeros(size, SLOTS, net.channels, GRID.ny, GRID.nx)
    features = torch.relu(net.norm(net.linear(describe(points, pillars, GRID))))
    slotted, iy, ix = pillars.cell.unbind(1)
    canvas[slotted // SLOTS, slotted % SLOTS, :, iy, ix] = pillar_max(features, pillars)
    return canvas.flatten(1, 2)


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of the reference, relative to a feature's usual size of about one."""
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2000), st.sampled_from([1, 24, 32]), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_canvas_is_that_of_the_features_as_they_are_written(points, channels, size, seed):
    net, points = encoder(channels, seed % 100), cloud(points, seed)
    scene = torch.from_numpy(np.random.default_rng(seed).integers(0, size, len(points)))
    got = canvas_of(net, points, scene, size)
    assert_close(got, reference(net, points, scene, size))
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_the_canvas_repeats_exactly_whatever_the_number_of_threads():
    net, points = encoder(24), cloud(100_000)
    scene = torch.zeros(len(points), dtype=torch.int64)
    before = torch.get_num_threads()
    canvases = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        canvases.append(canvas_of(net, points, scene, 1))
    torch.set_num_threads(before)
    assert torch.equal(canvases[0], canvases[1])
    assert torch.equal(canvases[1], canvases[2])
    assert_close(canvases[0], reference(net, points, scene, 1))


def test_a_cell_without_points_is_zero_and_a_cloud_without_points_gives_an_empty_canvas():
    net = encoder(8)
    assert not canvas_of(net, torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), 2).any()
    canvas = canvas_of(net, torch.tensor([[0.1, 0.1, 0.0, 0.5, 0.0]]), torch.zeros(1, dtype=torch.int64), 1)
    assert canvas[0].any(dim=0).nonzero().tolist() == [[8, 16]]


def test_points_that_are_not_finite_or_belong_to_no_cloud_are_dropped():
    net, points = encoder(8), cloud(200)
    points[0, 0], points[1, 1], points[2, 2] = torch.nan, torch.inf, -torch.inf
    scale, shift = scale_and_shift(net)
    batch_id = torch.zeros(200, dtype=torch.int64)
    batch_id[3] = -1
    with_them = pillar_canvas_cpu(points, GRID, net.linear.weight, scale, shift, batch_id)
    without = pillar_canvas_cpu(points[4:], GRID, net.linear.weight, scale, shift)
    assert torch.equal(with_them, without)


def test_wrong_shapes_are_refused():
    points, weight, ones = torch.zeros(3, 5), torch.zeros(8, 11), torch.ones(8)
    with pytest.raises(SpecError, match=r"weight: \(8, 10\), expected \(channels, 11\)"):
        pillar_canvas_cpu(points, GRID, weight[:, :10], ones, ones)
    with pytest.raises(SpecError, match=r"shift: \(3,\), expected \(8,\)"):
        pillar_canvas_cpu(points, GRID, weight, ones, ones[:3])
    with pytest.raises(SpecError, match=r"points: \(3, 4\), expected \(n, 5\)"):
        pillar_canvas_cpu(points[:, :4].contiguous(), GRID, weight, ones, ones)
    with pytest.raises(SpecError, match="slots: 2, expected a divisor of 1 batches"):
        pillar_canvas_cpu(points, GRID, weight, ones, ones, slots=2)
