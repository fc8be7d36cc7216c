"""What the GPU kernels would take, told without a GPU. A model, not a measurement.

Launches, bytes and atomics are those of perception.ops.voxels_cost for the cloud of the benchmark, whose voxels are counted on
the CPU. Registers and spilled bytes of a thread are read from the machine code of the very launches that the operators make:
they are recorded instead of launched, and compiled for the GPU named. Implied time is bytes over a memory's speed, plus what
a launch costs in a CUDA graph; it knows nothing of latency and of atomics that meet.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from perception.grid import BevGrid, VoxelGrid
from perception.ops import canvas_triton, voxels_triton
from perception.ops.canvas import PillarNet
from perception.ops.voxels_cost import (
    H200_BYTES_PER_S,
    LAUNCH_S,
    Launch,
    implied_s,
    mean_voxels_cost,
    pillar_canvas_cost,
    scratch_bytes_of_canvas,
    scratch_bytes_of_means,
)
from perception.ops.voxels_cpu import dynamic_voxels_cpu
from replay.console import print_table
from tests.bench import bench_voxelize as bench
from tests.bench.lidar_cloud import street_cloud
from tests.perception.compiled import Usage, compiled

TARGET = "sm_90"  # H100, H200
CANVAS = BevGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), 0.2)
CHANNELS = 64
KINDS = {torch.float32: "*fp32", torch.int32: "*i32", torch.int64: "*i64"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What would have been launched."""

    kernel: Any  # a triton.jit function
    arguments: dict[str, Any]  # by name
    warps: int


@dataclass(frozen=True, slots=True)
class Recorder:
    """A kernel as `wrap_triton` gives it, which is recorded instead of launched: recorder[grid](arguments)."""

    kernel: Any
    launches: list[Recorded]

    def __getitem__(self, grid: object) -> Callable[..., None]:
        def record(*args: object, num_warps: int = 4, **constants: object) -> None:
            self.launches.append(Recorded(self.kernel, {**dict(zip(self.kernel.arg_names, args)), **constants}, num_warps))

        return record


def usages(module: ModuleType, call: Callable[[], object]) -> dict[str, Usage]:
    """What a thread of each kernel that the call launches needs, compiled with the arguments of that launch."""
    launches: list[Recorded] = []
    with patch.object(module, "wrap_triton", lambda kernel: Recorder(kernel, launches)):
        call()
    found = {}
    for launch in launches:
        constants = {name: launch.arguments[name] for name in launch.kernel.arg_names if name.isupper()}
        types = {name: _type_of(value) for name, value in launch.arguments.items() if name not in constants}
        found[launch.kernel.__name__] = compiled(launch.kernel, types, constants, TARGET, launch.warps)
    return found


def _type_of(value: object) -> str:
    if isinstance(value, Tensor):
        return KINDS[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"


@dataclass(frozen=True, slots=True)
class Model:
    """An operator on the benchmark's cloud."""

    name: str
    launches: tuple[Launch, ...]
    usage: dict[str, Usage]
    scratch_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Totals, and each launch."""
        return {"implied_us": implied_s(self.launches) * 1e6,
                "implied_us_whole_sectors": implied_s(self.launches, sectors=True) * 1e6,
                "scratch_bytes": self.scratch_bytes, "launches": [self._launch_json(launch) for launch in self.launches]}

    def _launch_json(self, launch: Launch) -> dict[str, Any]:
        usage = self.usage.get(launch.kernel)
        return {"kernel": launch.kernel, "read": launch.read, "written": launch.written, "atomics": launch.atomics,
                "implied_us": implied_s((launch,)) * 1e6, "registers": usage.registers if usage else None,
                "spilled_bytes": usage.spilled_bytes if usage else None}

    def rows(self) -> list[tuple[str, ...]]:
        """For a table: each launch, then all together."""
        rows = [self._row(launch.kernel, (launch,)) for launch in self.launches]
        return [*rows, self._row(f"{len(self.launches)} launches", self.launches)]

    def _row(self, title: str, launches: tuple[Launch, ...]) -> tuple[str, ...]:
        usage = self.usage.get(title)
        return (title, f"{sum(launch.read for launch in launches) / 1e6:.2f}",
                f"{sum(launch.written for launch in launches) / 1e6:.2f}", f"{sum(launch.atomics for launch in launches):,}",
                f"{implied_s(launches) * 1e6:.1f}", f"{implied_s(launches, sectors=True) * 1e6:.1f}",
                str(usage.registers) if usage else "-", str(usage.spilled_bytes) if usage else "-")


def mean_model(name: str, points: Tensor, grid: VoxelGrid) -> Model:
    """`mean_voxels_triton` of the cloud."""
    voxels = dynamic_voxels_cpu(points, grid)
    launches = mean_voxels_cost(len(points), points.shape[1], len(points) - int(voxels.dropped), int(voxels.number), grid)
    usage = usages(voxels_triton, lambda: voxels_triton.mean_voxels_triton(points, grid))
    return Model(name, launches, usage, scratch_bytes_of_means(len(points), points.shape[1], grid))


def canvas_model(name: str, points: Tensor, grid: BevGrid, channels: int) -> Model:
    """`pillar_canvas_triton` of the cloud."""
    voxels = dynamic_voxels_cpu(points, grid.voxels)
    launches = pillar_canvas_cost(len(points), len(points) - int(voxels.dropped), int(voxels.number), grid, channels)
    net = PillarNet(*bench.weights_of(channels))
    usage = usages(canvas_triton, lambda: canvas_triton.pillar_canvas_triton(points, grid, net))
    return Model(name, launches, usage, scratch_bytes_of_canvas(len(points), grid))


def static_report() -> None:
    """A table for each operator, or with --json one object {name: totals and launches}."""
    points = torch.from_numpy(street_cloud(bench.POINTS, bench.SWEEPS))
    models = [mean_model("mean_pillar_0.2m", points, bench.PILLARS), mean_model("mean_voxel_0.075m", points, bench.VOXELS),
              canvas_model(f"pillar_canvas_0.2m_{CHANNELS}", points, CANVAS, CHANNELS)]
    if "--json" in sys.argv:
        print(json.dumps({model.name: model.as_json() for model in models}))
        return
    for model in models:
        print_table(f"{model.name}: a model, nothing was run on a GPU",
                    ["launch", "MB read", "MB written", "atomics", "us", "us, whole sectors", "registers", "spilled bytes"],
                    model.rows(), (f"memory beyond inputs and outputs: {model.scratch_bytes / (1 << 20):.1f} MiB",))
    print(f"{bench.POINTS} points; time is bytes at {H200_BYTES_PER_S / 1e12:.1f} TB/s and {LAUNCH_S * 1e6:.0f} us a launch; "
          f"compiled for {TARGET}")
