import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.stem_cpu import pillar_stem_cpu

GRID = BevGrid((-8.0, 8.0), (-4.0, 4.0), (-3.0, 3.0), 0.5)


def cloud(points: int, seed: int) -> torch.Tensor:
    """Points f32[n, 5], some of them outside of the grid or not finite."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.normal(0.0, [4.0, 2.5, 1.0], (points, 3)), rng.random(points), rng.integers(0, 3, points) * 0.1])
    rows[::17, 0] = np.nan
    return torch.from_numpy(rows.astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2000), st.sampled_from([(1, 1), (2, 2), (4, 2)]), st.integers(0, 2**32 - 1))
def test_it_is_the_convolution_of_the_canvas(points, clouds, seed):
    batches, slots = clouds
    torch.manual_seed(seed % 1000)
    net = PillarNet(torch.randn(6, 11) * 0.3, torch.randn(6), torch.randn(6))
    weight, bias = torch.randn(5, slots * 6, 3, 3) * 0.2, torch.randn(5)
    rows = cloud(points, seed)
    batch_id = torch.from_numpy(np.random.default_rng(seed).integers(-1, batches, points))
    got = pillar_stem_cpu(rows, GRID, net, weight, bias, batch_id, batches, slots)
    canvas = pillar_canvas_reference(rows, GRID, net, batch_id, batches, slots)
    torch.testing.assert_close(got, F.conv2d(canvas, weight, bias, stride=2, padding=1).relu(), rtol=1e-4, atol=1e-4)


def test_no_points_give_the_bias():
    net = PillarNet(torch.randn(2, 11), torch.ones(2), torch.zeros(2))
    got = pillar_stem_cpu(torch.zeros(0, 5), GRID, net, torch.randn(3, 2, 3, 3), torch.tensor([-1.0, 0.0, 2.0]))
    assert torch.equal(got, torch.tensor([0.0, 0.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, 8, 16))


def test_points_without_their_ages_are_refused():
    net = PillarNet(torch.randn(2, 11), torch.ones(2), torch.zeros(2))
    with pytest.raises(SpecError, match="points: 4 columns, expected 5"):
        pillar_stem_cpu(torch.zeros(3, 4), GRID, net, torch.randn(3, 2, 3, 3), torch.zeros(3))
