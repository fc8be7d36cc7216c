"""Every kernel compiles for GPUs that are not here, and needs no more of them than it did when that was last written down."""
import importlib.util
import re

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed: torch here is a build without CUDA", allow_module_level=True)

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from perception.grid import BevGrid, VoxelGrid
from perception.ops import canvas_triton, voxels_triton
from perception.ops.canvas import PillarNet
from tests.perception.compiled import TARGETS, compiled

NUMBERS = {
    **dict.fromkeys(("low_x", "low_y", "low_z", "size_x", "size_y", "size_z", "per_reach"), "fp32"),
    **dict.fromkeys(("points", "mean", "weight", "scale", "shift", "canvas"), "*fp32"),
    **dict.fromkeys(("batch_id", "totals"), "*i64"),
    **dict.fromkeys(("scratch", "published", "bitmap", "rank_of_group", "voxel_of_point", "cell_of_voxel", "count", "number",
                     "dropped", "cells", "cell_of_point", "place_in_cell", "order"), "*i32"),
    **dict.fromkeys(("n", "batches", "capacity", "tiles", "n_cells", "strips"), "i32"),
}
MEANS = {"COLUMNS": 5, "SHAPE": (1440, 1440, 40), "HAS_BATCH": True, "POINTS": 256, "SUMMED": 5, "PADDED": 8, "ROWS": 256,
         "WORDS": 8, "GROUPS": 1024, "TILES": 512, "FIELDS": 6}
CANVAS = {"COLUMNS": 5, "SHAPE": (512, 512, 1), "HAS_BATCH": True, "POINTS": 256, "SLOTS": 2, "TILE": 2048, "TILES": 256,
          "NUMBERS": 11, "NX": 512, "NY": 512, "CHANNELS": 64, "PADDED": 64, "STRIP": 32, "SPAN": 16, "AT_ONCE": 16}
# Registers of a thread as compiled with triton 3.7.1, in the order of TARGETS: sm_80, sm_90, sm_100, sm_120, gfx942, gfx1100.
KERNELS = {
    "mark_voxels": (voxels_triton.mark_voxels, MEANS, 4, (36, 39, 39, 40, 12, 32)),
    "rank_voxels": (voxels_triton.rank_voxels, MEANS, 8, (40, 40, 43, 42, 33, 54)),
    "add_points": (voxels_triton.add_points, MEANS, 4, (89, 90, 90, 78, 40, 67)),
    "divide_sums": (voxels_triton.divide_sums, MEANS, 4, (120, 102, 102, 101, 49, 98)),
    "count_points": (canvas_triton.count_points, CANVAS, 4, (27, 29, 29, 27, 12, 34)),
    "order_points": (canvas_triton.order_points, CANVAS, 8, (30, 31, 31, 34, 21, 30)),
    "write_canvas": (canvas_triton.write_canvas, CANVAS, 2, (110, 113, 123, 125, 96, 126)),
}
RETURNS_NOTHING = {"mark_voxels": r"REDG?\.E\.OR", "add_points": r"REDG?\.E\.ADD\.64"}  # atomics that need not answer are faster


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Compiled here and now, not found from before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


class AbsentGpu:
    """What triton asks of a driver before it compiles a launch."""

    def get_current_device(self) -> int:
        return -1  # kernels are kept by device: none that is there may find these

    def get_current_stream(self, device: int) -> int:
        return device

    def get_current_target(self):
        return TARGETS["sm_90"]

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


@pytest.fixture
def launches(monkeypatch):
    """Names of the kernels launched; each is compiled as for a GPU, with what triton makes of its arguments, and not run."""
    names = []
    compile_and_launch = JITFunction.run

    def compile_alone(kernel, *args, grid, warmup, **options):
        names.append(kernel.__name__)
        return compile_and_launch(kernel, *args, grid=grid, warmup=True, **options)

    monkeypatch.setattr(JITFunction, "run", compile_alone)
    monkeypatch.setattr(driver, "_active", AbsentGpu())
    return names


@pytest.mark.slow
@pytest.mark.parametrize("points", [0, 1, 47], ids=["no points", "one point", "points"])
def test_launches_as_they_are_made_compile(launches, points):
    """Triton makes a constant of an argument that is 1, and of sizes that divide by 16; kernels must do with both."""
    rows, batch_id = torch.zeros(points, 5), torch.zeros(points, dtype=torch.int64)
    net = PillarNet(torch.zeros(24, 11), torch.zeros(24), torch.zeros(24))
    for size_m in (0.5, 8.0):
        voxels_triton.mean_voxels_triton(rows, VoxelGrid((-4.0, 4.0), (-4.0, 4.0), (-4.0, 4.0), (size_m, size_m, size_m)))
        canvas_triton.pillar_canvas_triton(rows, BevGrid((-4.0, 4.0), (-4.0, 4.0), (-4.0, 4.0), size_m), net)
    voxels_triton.dynamic_voxels_triton(rows, VoxelGrid((-4.0, 4.0), (-4.0, 4.0), (-4.0, 4.0), (0.5, 0.5, 0.5)), batch_id, 3)
    canvas_triton.pillar_canvas_triton(rows, BevGrid((-4.0, 4.0), (-4.0, 4.0), (-4.0, 4.0), 0.5), net, batch_id, 4, 2)
    assert launches == [*KERNELS] * 3


def test_the_operators_can_be_traced_without_a_gpu():
    with FakeTensorMode():
        points, vector = torch.empty(100, 5, device="cuda"), torch.empty(24, device="cuda")
        means = voxels_triton.mean_voxels_triton(points, VoxelGrid((-4.0, 4.0), (-4.0, 4.0), (-4.0, 4.0), (0.5, 0.5, 0.5)))
        net = PillarNet(torch.empty(24, 11, device="cuda"), vector, vector)
        canvas = canvas_triton.pillar_canvas_triton(points, BevGrid((-4.0, 4.0), (-2.0, 2.0), (-4.0, 4.0), 0.5), net)
    assert means.mean.shape == (100, 5) and means.voxels.cell.shape == (100, 4) and means.voxels.number.shape == ()
    assert canvas.shape == (1, 24, 8, 16) and canvas.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_the_kernel_compiles_for_six_gpus_without_spilling_a_register(name):
    kernel, constants, warps, recorded = KERNELS[name]
    types = {argument: NUMBERS[argument] for argument in kernel.arg_names if argument in NUMBERS}
    fixed = {argument: constants[argument] for argument in kernel.arg_names if argument in constants}
    for target, registers in zip(TARGETS, recorded):
        usage = compiled(kernel, types, fixed, target, warps)
        assert usage.spilled_bytes == 0, target
        assert usage.registers <= registers, f"{target}: {usage.registers} registers, {registers} when last written down"
        if target.startswith("sm_") and name in RETURNS_NOTHING:
            assert re.search(RETURNS_NOTHING[name], usage.assembly) and "ATOMG" not in usage.assembly, target


def test_the_launches_use_the_sizes_that_are_compiled_here():
    assert (MEANS["POINTS"], MEANS["ROWS"], MEANS["WORDS"], MEANS["GROUPS"]) == (
        voxels_triton.POINTS, voxels_triton.ROWS, voxels_triton.WORDS, voxels_triton.GROUPS)
    assert tuple(CANVAS[name] for name in ("TILE", "STRIP", "SPAN", "AT_ONCE")) == (
        canvas_triton.TILE, canvas_triton.STRIP, canvas_triton.SPAN, canvas_triton.AT_ONCE)
