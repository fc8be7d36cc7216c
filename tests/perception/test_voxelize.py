import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.ops.voxelize import (
    dynamic_pillars,
    dynamic_pillars_reference,
    pillar_max,
    pillar_mean,
)

GRID = BevGrid((-1.0, 1.0), (-1.5, 1.5), (-1.0, 1.0), 0.5)  # 4 x 6
anything = st.one_of(st.floats(-1.75, 1.75, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 3e38, 0.5, -1.0, 1.0]))


@st.composite
def clouds(draw):
    points = draw(arrays(np.float32, st.tuples(st.integers(0, 60), st.just(4)), elements=anything))
    batch_id = draw(arrays(np.int64, len(points), elements=st.integers(0, 2)))
    return torch.from_numpy(points.copy()), torch.from_numpy(batch_id.copy())


def assert_same(got, want):
    for field in dataclasses.fields(got):
        a, b = getattr(got, field.name), getattr(want, field.name)
        assert np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True), field.name


@given(clouds())
def test_fast_dynamic_pillars_equal_the_reference(cloud):
    points, batch_id = cloud
    assert_same(dynamic_pillars(points, GRID, batch_id), dynamic_pillars_reference(points, GRID, batch_id))
    assert_same(dynamic_pillars(points, GRID), dynamic_pillars_reference(points, GRID))


@given(clouds())
def test_every_point_is_in_the_pillar_that_covers_it_or_is_counted_as_dropped(cloud):
    points, batch_id = cloud
    pillars = dynamic_pillars(points, GRID, batch_id)
    kept = pillars.pillar_of_point >= 0
    assert int(pillars.count.sum()) + pillars.dropped == len(points)
    batch, iy, ix = pillars.cell[pillars.pillar_of_point[kept]].T
    assert torch.equal(batch, batch_id[kept])
    assert torch.equal(ix, torch.floor((points[kept, 0] + 1.0) / 0.5).long())
    assert torch.equal(iy, torch.floor((points[kept, 1] + 1.5) / 0.5).long())


def test_nan_and_far_points_are_dropped():
    points = torch.tensor([[math.nan, 0, 0], [0, math.inf, 0], [0, 0, 5.0], [1.0, 0, 0], [0, 0, 0]])
    pillars = dynamic_pillars(points, GRID)
    assert pillars.pillar_of_point.tolist() == [-1, -1, -1, -1, 0]
    assert pillars.dropped == 4


def test_mean_and_max_pass_gradients_to_the_features_of_kept_points():
    points = torch.tensor([[0.1, 0.1, 0.0], [0.2, 0.2, 0.0], [-0.9, 0.1, 0.0], [9.0, 0.0, 0.0]])
    features = torch.tensor([[1.0], [3.0], [5.0], [7.0]], dtype=torch.float64, requires_grad=True)
    pillars = dynamic_pillars(points, GRID)
    assert pillar_mean(features, pillars)[:, 0].tolist() == [5.0, 2.0]
    assert pillar_max(features, pillars)[:, 0].tolist() == [5.0, 3.0]
    for reduce in (pillar_mean, pillar_max):
        assert torch.autograd.gradcheck(lambda f, reduce=reduce: reduce(f, pillars), (features,))
    pillar_max(features, pillars).sum().backward()
    assert features.grad is not None and features.grad[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_an_empty_cloud_has_no_pillars():
    pillars = dynamic_pillars(torch.zeros(0, 3), GRID)
    assert len(pillars.cell) == 0 and pillars.dropped == 0
    assert pillar_mean(torch.zeros(0, 2), pillars).shape == (0, 2)


def test_a_grid_that_does_not_divide_is_refused():
    with pytest.raises(SpecError, match=r"x_range_m: 1 m is 3\.33333 pillars of 0\.3 m, expected a whole number"):
        BevGrid((0.0, 1.0), (0.0, 0.9), (0.0, 1.0), 0.3)
    with pytest.raises(SpecError, match=r"z_range_m: 1\.0 to 1\.0, expected finite metres, low < high"):
        BevGrid((0.0, 1.0), (0.0, 1.0), (1.0, 1.0), 0.5)
    with pytest.raises(SpecError, match="pillar_size_m: nan"):
        BevGrid((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), math.nan)


def test_points_of_the_wrong_type_are_refused():
    with pytest.raises(SpecError, match=r"torch\.float64 \(2, 3\), expected torch\.float32"):
        dynamic_pillars(torch.zeros(2, 3, dtype=torch.float64), GRID)
    with pytest.raises(SpecError, match=r"batch_id: torch\.int64 \(3,\)"):
        dynamic_pillars(torch.zeros(2, 3), GRID, torch.zeros(3, dtype=torch.int64))


def test_the_kitti_grid_has_432_by_496_pillars():
    grid = BevGrid((0.0, 69.12), (-39.68, 39.68), (-3.0, 1.0), 0.16)
    assert (grid.nx, grid.ny) == (432, 496)
