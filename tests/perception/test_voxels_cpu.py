import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import SpecError
from perception.grid import VoxelGrid
from perception.ops import voxels_cpu
from perception.ops.cells_cpu import in_parts
from perception.ops.voxels import Voxels, mean_voxels_reference
from perception.ops.voxels_cpu import dynamic_voxels_cpu, mean_voxels_cpu

GRID = VoxelGrid((-4.0, 4.0), (-2.0, 2.0), (-1.0, 1.0), (0.1, 0.2, 0.5))


def cloud(points: int, spread_m: float = 3.0, columns: int = 5, seed: int = 0) -> torch.Tensor:
    """Points f32[n, c] around the origin, some of them outside of the grid."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, spread_m, (points, columns)).astype(np.float32))


def assert_same_voxels(got: Voxels, expected: Voxels) -> None:
    expected = expected.trimmed()
    for name in ("voxel_of_point", "cell", "count", "number", "dropped"):
        assert torch.equal(getattr(got, name), getattr(expected, name)), name
        assert getattr(got, name).dtype == getattr(expected, name).dtype, name


@pytest.fixture
def two_threads():
    """Enough threads for a cloud to be cut into parts, whatever the rest of the run uses."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 600), st.sampled_from([0.02, 1.0, 10.0]), st.sampled_from([3, 5, 9]), st.integers(0, 2**32 - 1))
def test_voxels_and_means_equal_the_reference_bit_for_bit(points, spread_m, columns, seed):
    points = cloud(points, spread_m, columns, seed)
    mean, expected = mean_voxels_cpu(points, GRID), mean_voxels_reference(points, GRID).trimmed()
    assert_same_voxels(mean.voxels, expected.voxels)
    assert_same_voxels(dynamic_voxels_cpu(points, GRID), expected.voxels)
    assert torch.equal(mean.mean, expected.mean)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_clouds_of_a_batch_stay_apart_and_points_of_no_cloud_are_dropped(seed):
    points, batch_id = cloud(300, 1.0, seed=seed), torch.from_numpy(np.random.default_rng(seed).integers(-1, 4, 300))
    mean, expected = mean_voxels_cpu(points, GRID, batch_id, 3), mean_voxels_reference(points, GRID, batch_id, 3).trimmed()
    assert_same_voxels(mean.voxels, expected.voxels)
    assert torch.equal(mean.mean, expected.mean)


def test_points_that_are_not_finite_are_dropped_and_features_that_are_not_finite_count_as_the_contract_says():
    points = cloud(200, 1.0)
    points[0, 0], points[1, 1], points[2, 2] = torch.nan, torch.inf, -torch.inf
    points[3, 3], points[4, 3], points[5, 4] = torch.nan, torch.inf, -1e30
    mean, expected = mean_voxels_cpu(points, GRID), mean_voxels_reference(points, GRID).trimmed()
    assert mean.voxels.voxel_of_point[:3].tolist() == [-1, -1, -1]
    assert_same_voxels(mean.voxels, expected.voxels)
    assert torch.equal(mean.mean, expected.mean)


def test_a_cloud_cut_into_parts_gives_the_same(two_threads):
    points = cloud(100_000)
    mean, expected = mean_voxels_cpu(points, GRID), mean_voxels_reference(points, GRID).trimmed()
    assert_same_voxels(mean.voxels, expected.voxels)
    assert_same_voxels(dynamic_voxels_cpu(points, GRID), expected.voxels)
    assert torch.equal(mean.mean, expected.mean)


def test_clouds_too_large_for_one_exact_sum_are_summed_in_parts(monkeypatch):
    monkeypatch.setattr(voxels_cpu, "POINTS_OF_EXACT_SUM", 1000)
    points = cloud(4321, 0.5)
    assert torch.equal(mean_voxels_cpu(points, GRID).mean, mean_voxels_reference(points, GRID).trimmed().mean)


@pytest.mark.parametrize("batches", [1, 3])
def test_a_grid_too_large_for_one_bitmap_gives_the_same(two_threads, batches):
    grid = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.15, 0.15, 0.2))
    points = cloud(50_000, 15.0)
    batch_id = torch.arange(50_000) % (batches + 1) if batches > 1 else None
    mean = mean_voxels_cpu(points, grid, batch_id, batches)
    expected = mean_voxels_reference(points, grid, batch_id, batches).trimmed()
    assert_same_voxels(mean.voxels, expected.voxels)
    assert torch.equal(mean.mean, expected.mean)


def test_every_voxel_of_a_full_grid_is_found_in_order():
    grid = VoxelGrid((0.0, 8.0), (0.0, 4.0), (0.0, 2.0), (1.0, 1.0, 1.0))
    iz, iy, ix = torch.meshgrid(torch.arange(2), torch.arange(4), torch.arange(8), indexing="ij")
    centers_m = torch.stack([ix, iy, iz], dim=-1).reshape(-1, 3) + 0.5
    shuffled = centers_m[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    mean = mean_voxels_cpu(shuffled, grid)
    assert torch.equal(mean.mean, centers_m)
    assert mean.voxels.count.tolist() == [1] * 64


def test_a_cloud_without_points_has_no_voxels():
    mean = mean_voxels_cpu(torch.zeros(0, 5), GRID)
    assert mean.mean.shape == (0, 5)
    assert int(mean.voxels.number) == 0
    assert dynamic_voxels_cpu(torch.zeros(0, 3), GRID).cell.shape == (0, 4)


def test_points_of_another_type_are_refused():
    with pytest.raises(SpecError, match=r"torch.float64 \(2, 3\), expected torch.float32"):
        mean_voxels_cpu(torch.zeros(2, 3, dtype=torch.float64), GRID)


def test_an_error_in_one_part_reaches_the_caller():
    def fail_in_part_1(part: int) -> None:
        if part == 1:
            raise SpecError("part 1")

    with pytest.raises(SpecError, match="part 1"):
        in_parts(fail_in_part_1, 2)


def test_parts_run_in_a_process_that_was_forked_after_threads_had_started(two_threads):
    points = cloud(40_000)
    mean_voxels_cpu(points, GRID)
    if (child := os.fork()) == 0:
        done: list[int] = []
        in_parts(done.append, 3)
        os._exit(len(done))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
