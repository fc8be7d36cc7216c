"""The kernels on a GPU: the references bit for bit, the same each time, in a CUDA graph, without a wait, in little memory."""
import dataclasses

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed: torch here is a build without CUDA")

from perception.grid import BevGrid, VoxelGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.canvas_triton import pillar_canvas_op
from perception.ops.voxel_ops import dynamic_voxels, hard_voxels, mean_voxels, pillar_canvas
from perception.ops.voxels import MeanVoxels, Voxels, mean_voxels_reference
from perception.ops.voxels_triton import float32_numbers, mean_voxels_op
from tests.bench.lidar_cloud import street_cloud

NO_GPU = not torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(NO_GPU, reason="no CUDA device: the kernels did not run on a GPU")]

FINE = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.075, 0.075, 0.2))
PILLARS = BevGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), 0.2)
MIB = 1 << 20
CHANNELS = 64


@pytest.fixture(scope="module")
def points():
    cloud = torch.from_numpy(street_cloud(300_000, 10))
    cloud[::1000, 0] = torch.nan
    return cloud.cuda()


@pytest.fixture(scope="module")
def net():
    rng = torch.Generator().manual_seed(0)
    return PillarNet(*(torch.randn(shape, generator=rng).cuda() / 3 for shape in ((CHANNELS, 11), (CHANNELS,), (CHANNELS,))))


def tensors(found: MeanVoxels | Voxels) -> list[torch.Tensor]:
    fields = [getattr(found, field.name) for field in dataclasses.fields(found)]
    return [tensor for field in fields for tensor in (tensors(field) if isinstance(field, Voxels) else [field])]


def captured(work):
    """A CUDA graph of `work` and what it returned while captured, which a replay fills in."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph, result


def memory_beyond_result(work) -> int:
    """Bytes at the peak of `work` beyond what was there before and what it returns."""
    work()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = work()
    torch.cuda.synchronize()
    after = torch.cuda.memory_allocated()
    assert kept is not None and after > before
    return torch.cuda.max_memory_allocated() - after


@pytest.mark.parametrize("grid", [FINE, PILLARS.voxels], ids=["voxels", "pillars"])
def test_voxels_and_means_equal_the_reference_bit_for_bit(points, grid):
    batch_id = torch.arange(len(points), device="cuda") % 4 - 1
    for arguments in ((points, grid), (points, grid, batch_id, 3), (points[:0], grid), (points[:1], grid)):
        expected = mean_voxels_reference(*(a.cpu() if isinstance(a, torch.Tensor) else a for a in arguments))
        for got, wanted in zip(tensors(mean_voxels(*arguments)), tensors(expected), strict=True):
            assert torch.equal(got.cpu(), wanted)
        for got, wanted in zip(tensors(dynamic_voxels(*arguments)), tensors(expected.voxels), strict=True):
            assert torch.equal(got.cpu(), wanted)


def test_a_full_grid_and_one_crowded_voxel_equal_the_reference():
    grid = VoxelGrid((0.0, 32.0), (0.0, 32.0), (0.0, 4.0), (0.5, 0.5, 0.5))
    axes = [torch.arange(cells) * 0.5 for cells in (grid.nx, grid.ny, grid.nz)]
    full = torch.cartesian_prod(*axes) + 0.1
    for cloud in (full, full[:1].repeat(300_000, 1)):
        found, expected = mean_voxels(cloud.cuda(), grid), mean_voxels_reference(cloud, grid)
        for got, wanted in zip(tensors(found), tensors(expected), strict=True):
            assert torch.equal(got.cpu(), wanted)


def test_hard_voxels_equal_those_of_the_cpu(points):
    got, wanted = hard_voxels(points, FINE, 5, 20_000), hard_voxels(points.cpu(), FINE, 5, 20_000)
    for field in dataclasses.fields(got):
        a, b = getattr(got, field.name), getattr(wanted, field.name)
        assert torch.equal(a.cpu(), b) if isinstance(a, torch.Tensor) else a == b, field.name


@pytest.mark.parametrize("slots", [1, 2])
def test_the_canvas_and_its_gradients_are_near_the_reference_in_float64(points, net, slots):
    cloud = points[:: 3].clone()
    batch_id = (cloud[:, 4] > 0).long()
    exact = PillarNet(net.weight.double(), net.scale.double(), net.shift.double())
    canvas = pillar_canvas(cloud, PILLARS, net, batch_id, 2, slots)
    expected = pillar_canvas_reference(cloud.double(), PILLARS, exact, batch_id, 2, slots)
    assert canvas.stride() == expected.stride()
    assert float((canvas - expected).abs().max()) <= 1e-5 * float(expected.max())
    learnt = PillarNet(*(tensor.clone().requires_grad_() for tensor in (net.weight, net.scale, net.shift)))
    pillar_canvas(cloud, PILLARS, learnt, batch_id, 2, slots).square().mean().backward()
    wanted = PillarNet(*(tensor.clone().requires_grad_() for tensor in (net.weight, net.scale, net.shift)))
    pillar_canvas_reference(cloud, PILLARS, wanted, batch_id, 2, slots).square().mean().backward()
    for name in ("weight", "scale", "shift"):
        torch.testing.assert_close(getattr(learnt, name).grad, getattr(wanted, name).grad, rtol=1e-3, atol=1e-6)


def test_twenty_runs_give_the_same_bits(points, net):
    first = [*tensors(mean_voxels(points, FINE)), pillar_canvas(points, PILLARS, net)]
    for _ in range(20):
        again = [*tensors(mean_voxels(points, FINE)), pillar_canvas(points, PILLARS, net)]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_captured_graph_follows_its_input_and_equals_the_eager_call(points, net):
    still = points.clone()
    graph, (means, canvas) = captured(lambda: (mean_voxels(still, FINE), pillar_canvas(still, PILLARS, net)))
    for turn in (1.0, -1.0):
        still.copy_(points * turn)
        graph.replay()
        torch.cuda.synchronize()
        eager = [*tensors(mean_voxels(still, FINE)), pillar_canvas(still, PILLARS, net)]
        for got, wanted in zip([*tensors(means), canvas], eager, strict=True):
            assert torch.equal(got, wanted)


def test_no_call_waits_for_the_device(points, net):
    mean_voxels(points, FINE), pillar_canvas(points, PILLARS, net)
    torch.cuda.set_sync_debug_mode("error")
    try:
        means, _, canvas = mean_voxels(points, FINE), dynamic_voxels(points, FINE), pillar_canvas(points, PILLARS, net)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(result.is_cuda for result in [*tensors(means), canvas])  # a wait raises above; these calls left all there


def test_the_operators_keep_torchs_rules(points, net):
    few, frame = points[:2000].contiguous(), float32_numbers(FINE)
    torch.library.opcheck(mean_voxels_op, (few, None, 1, 5, (FINE.nx, FINE.ny, FINE.nz), frame))
    ranges = (PILLARS.x_range_m, PILLARS.y_range_m, PILLARS.z_range_m, PILLARS.pillar_size_m)
    torch.library.opcheck(pillar_canvas_op, (few, None, net.weight, net.scale, net.shift, 1, 1, *ranges))


def test_memory_beyond_inputs_and_outputs_stays_under_64_mib(points, net):
    assert memory_beyond_result(lambda: mean_voxels(points, FINE)) < 64 * MIB
    assert memory_beyond_result(lambda: pillar_canvas(points, PILLARS, net)) < 64 * MIB
