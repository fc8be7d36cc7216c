"""The voxelization benchmark on CUDA: microseconds in a CUDA graph, beside torch's own operations and mmcv's algorithm.

Peers run as they are used, eagerly: both wait for the number of voxels. "stable sort" sorts the points by voxel and reduces runs.
"mmcv's algorithm" is its deterministic hard_voxelize written anew from its description, not its code: every point looks through
all earlier ones for those of its voxel, one thread numbers the voxels, the host waits for their number, points are copied, and
the mean is taken of those kept. Ours, the points and what it writes stay in the L2 cache from one replay to the next.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor

from perception.grid import BevGrid, VoxelGrid
from perception.ops.canvas import PillarNet, pillar_canvas_reference
from perception.ops.canvas_triton import pillar_canvas_triton
from perception.ops.voxels import voxel_keys
from perception.ops.voxels_triton import mean_voxels_triton
from tests.bench import bench_voxelize as bench
from tests.bench.lidar_cloud import street_cloud
from tests.bench.memory_rows import MemoryRow

LARGE_CANVAS = BevGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), 0.2)
WINDOWS, CALLS = 5, 20
MIB = 1 << 20


def eager_us(work: Callable[[], object]) -> float:
    """Microseconds a call, launches and waits included: the best of five windows."""
    work()
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    best_ms = float("inf")
    for _ in range(WINDOWS):
        torch.cuda.synchronize()
        start.record()
        for _ in range(CALLS):
            work()
        stop.record()
        stop.synchronize()
        best_ms = min(best_ms, start.elapsed_time(stop) / CALLS)
    return best_ms * 1e3


def graph_us(work: Callable[[], object]) -> float:
    """Microseconds a replay of the call captured in a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # kernels are compiled and memory is found before the capture
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return eager_us(graph.replay)


def copied_bytes_per_s() -> float:
    """Bytes read and written a second by a copy of 256 MB, which the L2 cache does not hold."""
    source = torch.ones(bench.COPY_FLOATS, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / (eager_us(lambda: target.copy_(source)) / 1e6)


def stable_sort_mean(points: Tensor, grid: VoxelGrid) -> Tensor:
    """Means [v, c] by a stable sort of the points by voxel."""
    key, order = torch.sort(voxel_keys(points, grid, None, 1), stable=True)
    first = torch.searchsorted(key, 0)  # dropped points have key -1
    _, count = torch.unique_consecutive(key[first:], return_counts=True)
    return torch.segment_reduce(points[order[first:]], "mean", lengths=count)


@triton.jit
def look_through_earlier(key, first, place, n, POINTS: tl.constexpr, AT_ONCE: tl.constexpr):
    """Of each point: the first point of its voxel, and how many of its voxel came before it; -1 if dropped. O(n^2)."""
    row = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    own = tl.load(key + row, mask=row < n, other=-1)
    earliest, count = row, tl.zeros([POINTS], tl.int32)
    for start in range(0, (tl.program_id(0) + 1) * POINTS, AT_ONCE):
        other = start + tl.arange(0, AT_ONCE)
        others = tl.load(key + other, mask=other < n, other=-2)
        same = (own[:, None] == others[None, :]) & (other[None, :] < row[:, None])
        count += tl.sum(same.to(tl.int32), axis=1)
        earliest = tl.minimum(earliest, tl.min(tl.where(same, other[None, :], n), axis=1))
    tl.store(first + row, tl.where(own >= 0, earliest, -1), mask=row < n)
    tl.store(place + row, tl.where(own >= 0, count, -1), mask=row < n)


@triton.jit
def number_in_order(first, voxel, voxels, n, max_voxels):
    """Voxel of each point, numbered as they come, by one thread; -1 = dropped or beyond max_voxels."""
    used = 0
    for row in range(n):
        earliest = tl.load(first + row)
        if earliest == row:
            tl.store(voxel + row, tl.where(used < max_voxels, used, -1))
            used = tl.minimum(used + 1, max_voxels)
        else:
            tl.debug_barrier()  # what the program has stored is read again
            tl.store(voxel + row, tl.load(voxel + earliest, mask=earliest >= 0, other=-1))
    tl.store(voxels, used)


def mmcv_algorithm(points: Tensor, grid: VoxelGrid, max_points: int, max_voxels: int) -> tuple[Tensor, Tensor]:
    """Points f32[v, max_points, c] and count i64[v] of the voxels in the order in which they came."""
    n = len(points)
    key = voxel_keys(points, grid, None, 1).int()
    first, place, voxel = (torch.empty(n, dtype=torch.int32, device=points.device) for _ in range(3))
    voxels = torch.empty((), dtype=torch.int32, device=points.device)
    look_through_earlier[(triton.cdiv(n, 128),)](key, first, place, n, POINTS=128, AT_ONCE=16)
    number_in_order[(1,)](first, voxel, voxels, n, max_voxels, num_warps=1)
    number = int(voxels)
    kept = (voxel >= 0) & (place < max_points)
    filled = points.new_zeros(number, max_points, points.shape[1])
    filled[voxel[kept].long(), place[kept].long()] = points[kept]
    return filled, torch.bincount(voxel[kept], minlength=number)


def mmcv_mean(points: Tensor, setting: bench.Setting) -> Tensor:
    """Means of the points that mmcv's algorithm keeps."""
    filled, count = mmcv_algorithm(points, setting.grid, setting.max_points, setting.max_voxels)
    return filled.sum(dim=1) / count[:, None]


def scratch_mib(work: Callable[[], object], results: int) -> float:
    """MiB that a call holds at most beyond its inputs and `results` bytes of outputs."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return max(torch.cuda.max_memory_allocated() - before - results, 0) / MIB


def mean_rows(points: Tensor, setting: bench.Setting, bytes_per_s: float) -> list[MemoryRow]:
    """Means of all points of each voxel, beside both peers, and the memory this takes."""
    result = mean_voxels_triton(points, setting.grid)
    moved = bench.bytes_of(points, result)
    us = graph_us(lambda: mean_voxels_triton(points, setting.grid))
    share = moved / (us / 1e6) / bytes_per_s
    sorted_us, mmcv_us = eager_us(lambda: stable_sort_mean(points, setting.grid)), eager_us(lambda: mmcv_mean(points, setting))
    scratch = scratch_mib(lambda: mean_voxels_triton(points, setting.grid), moved - points.nbytes)
    name = f"mean_{setting.name}"
    return [MemoryRow(name, us, "us", "torch stable sort", sorted_us, moved, share),
            MemoryRow(f"{name}_beside_mmcv", us, "us", "mmcv's algorithm", mmcv_us, moved, share),
            MemoryRow(f"{name}_scratch", scratch, "MiB")]


def canvas_row(points: Tensor, grid: BevGrid, channels: int, slots: int, bytes_per_s: float) -> MemoryRow:
    """The pillar feature net beside its reference in torch's operations, which sorts."""
    net = PillarNet(*(tensor.cuda() for tensor in bench.weights_of(channels)))
    arguments = (points, grid, net, (points[:, 4] > 0).long() if slots > 1 else None, slots, slots)
    with torch.inference_mode():
        us = graph_us(lambda: pillar_canvas_triton(*arguments))
        theirs_us = eager_us(lambda: pillar_canvas_reference(*arguments))
    moved = points.nbytes + slots * channels * grid.nx * grid.ny * 4
    return MemoryRow(f"pillar_canvas_{grid.pillar_size_m}m_{channels}", us, "us", "torch sort + scatter", theirs_us, moved,
                     moved / (us / 1e6) / bytes_per_s)


def cuda_report() -> tuple[list[MemoryRow], list[str]]:
    """All rows of this GPU, and what is to be said about them."""
    points = torch.from_numpy(street_cloud(bench.POINTS, bench.SWEEPS)).cuda()
    three_sweeps = torch.from_numpy(street_cloud(bench.CANVAS_POINTS, bench.CANVAS_SWEEPS)).cuda()
    bytes_per_s = copied_bytes_per_s()
    rows = [row for setting in bench.SETTINGS if not setting.name.endswith("_tight")
            for row in mean_rows(points, setting, bytes_per_s)]
    rows += [canvas_row(points, LARGE_CANVAS, 64, 1, bytes_per_s), canvas_row(three_sweeps, bench.CANVAS, 32, 2, bytes_per_s)]
    return rows, [f"{torch.cuda.get_device_name()}: {bench.POINTS} points of {bench.SWEEPS} sweeps, ours in a CUDA graph; "
                  f"a copy moves {bytes_per_s / 1e12:.2f} TB/s"]
