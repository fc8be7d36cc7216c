import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_specs.errors import SpecError
from perception.grid import VoxelGrid
from perception.ops.hard_voxels import HardVoxels, hard_voxels_reference, hard_voxels_sorted
from perception.ops.voxels_cpu import hard_voxels_cpu

GRID = VoxelGrid((-1.0, 1.0), (-1.5, 1.5), (-1.0, 1.0), (0.5, 0.5, 1.0))  # 4 x 6 x 2
anything = st.one_of(st.floats(-1.75, 1.75, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 3e38, 0.5, -1.0, 1.0]))
IMPLEMENTATIONS = (hard_voxels_sorted, hard_voxels_cpu)


@st.composite
def clouds(draw):
    points = draw(arrays(np.float32, st.tuples(st.integers(0, 60), st.just(4)), elements=anything))
    batch_id = draw(arrays(np.int64, len(points), elements=st.integers(-1, 3)))
    return torch.from_numpy(points.copy()), torch.from_numpy(batch_id.copy())


def assert_same(got: HardVoxels, expected: HardVoxels) -> None:
    for field in dataclasses.fields(HardVoxels):
        a, b = np.asarray(getattr(got, field.name)), np.asarray(getattr(expected, field.name))
        assert np.array_equal(a, b, equal_nan=True), field.name
        assert a.dtype == b.dtype, field.name


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@settings(max_examples=60, deadline=None)
@given(cloud=clouds(), max_points=st.integers(1, 4), max_voxels=st.integers(1, 12))
def test_every_implementation_keeps_the_same_points_in_the_same_order(implementation, cloud, max_points, max_voxels):
    points, batch_id = cloud
    assert_same(implementation(points, GRID, max_points, max_voxels), hard_voxels_reference(points, GRID, max_points, max_voxels))
    assert_same(implementation(points, GRID, max_points, max_voxels, batch_id, 3),
                hard_voxels_reference(points, GRID, max_points, max_voxels, batch_id, 3))


@pytest.mark.parametrize("implementation", (hard_voxels_reference, *IMPLEMENTATIONS))
def test_first_come_first_kept_and_the_rest_is_counted(implementation):
    x_m = torch.tensor([0.1, -0.9, 0.2, 0.3, 0.6, -0.8, 9.0])
    points = torch.stack([x_m, torch.zeros(7), torch.zeros(7)], dim=1)
    voxels = implementation(points, GRID, max_points=2, max_voxels=2)
    assert voxels.cell.tolist() == [[0, 1, 3, 2], [0, 1, 3, 0]]
    assert voxels.count.tolist() == [2, 2]
    assert torch.equal(voxels.points[:, :, 0], x_m[torch.tensor([[0, 2], [1, 5]])])
    assert (voxels.dropped, voxels.over_points, voxels.over_voxels) == (1, 1, 1)


@pytest.mark.parametrize("implementation", (hard_voxels_reference, *IMPLEMENTATIONS))
def test_limits_that_keep_nothing_are_refused(implementation):
    with pytest.raises(SpecError, match="max_points: 0, expected 1 or more"):
        implementation(torch.zeros(1, 3), GRID, 0, 5)
    with pytest.raises(SpecError, match="max_voxels: -1, expected 1 or more"):
        implementation(torch.zeros(1, 3), GRID, 5, -1)


def test_a_large_cloud_cut_into_parts_keeps_the_same():
    grid = VoxelGrid((-8.0, 8.0), (-8.0, 8.0), (-2.0, 2.0), (0.2, 0.2, 4.0))
    points = torch.from_numpy(np.random.default_rng(0).normal(0.0, 3.0, (100_000, 5)).astype(np.float32))
    assert_same(hard_voxels_cpu(points, grid, 20, 4000), hard_voxels_sorted(points, grid, 20, 4000))
