import pytest

from perception.grid import BevGrid, VoxelGrid
from perception.ops.voxels_cost import (
    Launch,
    implied_s,
    mean_voxels_cost,
    pillar_canvas_cost,
    scratch_bytes_of_canvas,
    scratch_bytes_of_means,
)

FINE = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.075, 0.075, 0.2))
PILLARS = BevGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), 0.2)
MIB = 1 << 20


def test_a_launch_costs_its_bytes_at_the_memorys_speed_and_its_start():
    launches = (Launch("one", read=3000, written=1000, beside=4000), Launch("two", read=0, written=0))
    assert implied_s(launches, bytes_per_s=1e9) == pytest.approx(4e-6 + 2 * 2e-6)
    assert implied_s(launches, bytes_per_s=1e9, sectors=True) == pytest.approx(8e-6 + 2 * 2e-6)


def test_what_is_written_holds_the_outputs():
    canvas = pillar_canvas_cost(300_000, 280_000, 20_000, PILLARS, channels=64)
    assert canvas[-1].written == 512 * 512 * 64 * 4
    means = mean_voxels_cost(300_000, 5, 280_000, 100_000, FINE)
    outputs = 300_000 * 4 + 300_000 * (4 * 4 + 4 + 5 * 4)  # voxel_of_point; cell, count and mean of each row
    assert sum(launch.written for launch in means) > outputs
    assert sum(launch.atomics for launch in means) == 280_000 * 7  # a bit, five numbers and a count


def test_an_empty_cloud_still_clears_what_the_grid_needs():
    assert mean_voxels_cost(0, 5, 0, 0, FINE)[0].written == 1440 * 1440 * 40 // 8
    assert sum(launch.atomics for launch in mean_voxels_cost(0, 5, 0, 0, FINE)) == 0


def test_memory_beyond_inputs_and_outputs_is_under_64_mib():
    assert scratch_bytes_of_means(300_000, 5, FINE) < 64 * MIB
    assert scratch_bytes_of_canvas(300_000, PILLARS) < 64 * MIB
