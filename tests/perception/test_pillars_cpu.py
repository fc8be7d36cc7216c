import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.pillars_cpu import pillar_canvas_cpu

GRID = BevGrid((-8.0, 8.0), (-4.0, 4.0), (-3.0, 3.0), 0.5)


def net_of(channels: int, seed: int = 0) -> PillarNet:
    """A linear layer as torch starts it, and a norm with scales of both signs."""
    rng = torch.Generator().manual_seed(seed)
    return PillarNet((torch.rand(channels, 11, generator=rng) - 0.5) * 0.6, torch.randn(channels, generator=rng),
                     torch.randn(channels, generator=rng))


def cloud(points: int, seed: int = 0) -> torch.Tensor:
    """Points f32[n, 5], some of them outside of the grid."""
    rng = np.random.default_rng(seed)
    xyz_m = rng.normal(0.0, [4.0, 2.5, 1.0], (points, 3))
    return torch.from_numpy(np.column_stack([xyz_m, rng.random(points), rng.integers(0, 3, points) * 0.1]).astype(np.float32))


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of the reference, relative to a feature's usual size of about one."""
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2000), st.sampled_from([1, 24, 32]), st.sampled_from([(1, 1), (2, 1), (2, 2), (6, 2)]),
       st.integers(0, 2**32 - 1))
def test_the_canvas_is_the_references(points, channels, clouds, seed):
    points, (batches, slots) = cloud(points, seed), clouds
    batch_id = torch.from_numpy(np.random.default_rng(seed).integers(0, batches, len(points)))
    arguments = (points, GRID, net_of(channels, seed % 100), batch_id, batches, slots)
    canvas = pillar_canvas_cpu(*arguments)
    assert_close(canvas, pillar_canvas_reference(*arguments))
    assert canvas.is_contiguous(memory_format=torch.channels_last)


def test_the_canvas_repeats_exactly_whatever_the_number_of_threads():
    net, points = net_of(24), cloud(100_000)
    before = torch.get_num_threads()
    canvases = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        canvases.append(pillar_canvas_cpu(points, GRID, net))
    torch.set_num_threads(before)
    assert torch.equal(canvases[0], canvases[1])
    assert torch.equal(canvases[1], canvases[2])
    assert_close(canvases[0], pillar_canvas_reference(points, GRID, net))


def test_a_cell_without_points_is_zero_and_a_cloud_without_points_gives_an_empty_canvas():
    assert not pillar_canvas_cpu(torch.zeros(0, 5), GRID, net_of(8)).any()
    canvas = pillar_canvas_cpu(torch.tensor([[0.1, 0.1, 0.0, 0.5, 0.0]]), GRID, net_of(8))
    assert canvas[0].any(dim=0).nonzero().tolist() == [[8, 16]]


def test_points_that_are_not_finite_or_belong_to_no_cloud_are_dropped():
    points = cloud(200)
    points[0, 0], points[1, 1], points[2, 2] = torch.nan, torch.inf, -torch.inf
    batch_id = torch.zeros(200, dtype=torch.int64)
    batch_id[3] = -1
    with_them = pillar_canvas_cpu(points, GRID, net_of(8), batch_id)
    assert torch.equal(with_them, pillar_canvas_cpu(points[4:], GRID, net_of(8)))


def test_intensity_and_age_that_are_not_finite_count_as_the_contract_says():
    points = cloud(50)
    points[0, 3], points[1, 3], points[2, 4] = torch.nan, -torch.inf, 1e30
    net = net_of(8)
    canvas, expected = pillar_canvas_cpu(points, GRID, net), pillar_canvas_reference(points, GRID, net)
    torch.testing.assert_close(canvas, expected, rtol=1e-5, atol=1e-5)


def test_points_without_an_age_are_refused():
    with pytest.raises(SpecError, match="points: 4 columns, expected 5"):
        pillar_canvas_cpu(torch.zeros(3, 4), GRID, net_of(8))


def test_a_gradient_is_refused_rather_than_lost():
    net = net_of(8)
    net.weight.requires_grad_()
    with pytest.raises(SpecError, match="one of them requires a gradient, expected none"):
        pillar_canvas_cpu(cloud(10), GRID, net)
    with torch.no_grad():
        assert pillar_canvas_cpu(cloud(10), GRID, net).shape == (1, 8, GRID.ny, GRID.nx)
