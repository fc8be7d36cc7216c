"""Points into voxels and pillars beside the peers in the same run, and how near the memory's own speed that is.

python tests/bench/bench_voxelize.py [--json] [--static], on whatever device is there. The rows with a target are
mean_pillar_0.2m and mean_voxel_0.075m. Ours keeps every point, and its sums do not depend on their order.

On a CPU the peer is mmcv's hard_voxelize on the same points and as many threads (make setup-mmdet3d). It keeps at most so many
points a voxel and so many voxels: mmdetection3d's settings for nuScenes, at 0.2 m those of PointPillars (64 points a pillar)
and, as `_tight`, those of CenterPoint (20), which are faster and drop more. On CUDA see voxelize_cuda.py. --static needs no GPU:
what the compiled kernels move and what time that implies (voxelize_static.py). It is a model.
"""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from perception.grid import BevGrid, VoxelGrid  # noqa: E402
from perception.ops.canvas import POINT_NUMBERS, PillarNet, pillar_canvas_reference  # noqa: E402
from perception.ops.hard_voxels import HardVoxels  # noqa: E402
from perception.ops.voxels import MeanVoxels, voxel_indices  # noqa: E402
from tests.bench.harness import best_of  # noqa: E402
from tests.bench.lidar_cloud import street_cloud  # noqa: E402
from tests.bench.memory_rows import MemoryRow, show  # noqa: E402

PEER_PYTHON = ROOT / ".venv-mmdet3d" / "bin" / "python"
THREADS = 2
POINTS, SWEEPS = 300_000, 10
CANVAS_POINTS, CANVAS_SWEEPS, SLOTS = 100_000, 3, 2  # what the real-time network sees
COPY_FLOATS = 1 << 26


@dataclass(frozen=True, slots=True)
class Setting:
    """A grid, and what mmcv may keep of a cloud in it."""

    name: str
    grid: VoxelGrid
    max_points: int
    max_voxels: int

    def job(self) -> dict[str, Any]:
        """For the peer."""
        ranges = (self.grid.x_range_m, self.grid.y_range_m, self.grid.z_range_m)
        return {"name": self.name, "voxel_size": list(self.grid.voxel_size_m), "max_points": self.max_points,
                "max_voxels": self.max_voxels, "range": [low for low, _ in ranges] + [high for _, high in ranges]}


PILLARS = VoxelGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), (0.2, 0.2, 8.0))
VOXELS = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.075, 0.075, 0.2))
SETTINGS = (Setting("pillar_0.2m", PILLARS, 64, 40_000), Setting("pillar_0.2m_tight", PILLARS, 20, 40_000),
            Setting("voxel_0.075m", VOXELS, 10, 160_000))
CANVAS = BevGrid((-51.2, 51.2), (-51.2, 51.2), (-5.0, 3.0), 0.4)


def copied_bytes_per_s() -> float:
    """Bytes read and written a second by a plain copy of 256 MB on all threads."""
    source = torch.ones(COPY_FLOATS)
    target = torch.empty_like(source)
    return 2 * source.nbytes / best_of(lambda: target.copy_(source))


def mmcv_figures(cloud: np.ndarray) -> dict[str, Any]:
    """mmcv's figures on this cloud; empty where it is not installed."""
    if not PEER_PYTHON.is_file():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.npy"
        np.save(path, cloud)
        job = {"points": str(path), "threads": THREADS, "jobs": [setting.job() for setting in SETTINGS]}
        done = subprocess.run([str(PEER_PYTHON), str(Path(__file__).with_name("peer_mmcv.py"))], input=json.dumps(job),
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench_voxelize: the peer failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return json.loads(done.stdout)


def bytes_of(points: Tensor, result: MeanVoxels | HardVoxels) -> int:
    """Inputs and outputs: no implementation moves less."""
    if isinstance(result, HardVoxels):
        return sum(tensor.nbytes for tensor in (points, result.points, result.count, result.cell))
    voxels = result.voxels
    return sum(tensor.nbytes for tensor in (points, voxels.voxel_of_point, voxels.cell, voxels.count, result.mean))


def voxel_rows(points: Tensor, theirs: dict[str, Any], bytes_per_s: float) -> list[MemoryRow]:
    """Means of all points of each voxel, and the voxels with their points, beside mmcv's of those it keeps."""
    from perception.ops.voxels_cpu import hard_voxels_cpu, mean_voxels_cpu

    rows = []
    for setting in SETTINGS:
        works = {
            "mean": ("mmcv hard_voxelize + mean", lambda s=setting: mean_voxels_cpu(points, s.grid)),
            "hard": ("mmcv hard_voxelize", lambda s=setting: hard_voxels_cpu(points, s.grid, s.max_points, s.max_voxels)),
        }
        for kind, (peer, work) in works.items():
            seconds, moved = best_of(work), bytes_of(points, work())
            peer_ms = theirs[setting.name][f"{kind}_ms"] if theirs else None
            rows.append(MemoryRow(f"{kind}_{setting.name}", seconds * 1e3, "ms", peer if theirs else "not installed", peer_ms,
                                  moved, moved / seconds / bytes_per_s))
    return rows


def weights_of(channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, scale and shift of a pillar feature net, at random."""
    rng = torch.Generator().manual_seed(channels)
    return (torch.randn(channels, POINT_NUMBERS, generator=rng), torch.randn(channels, generator=rng),
            torch.randn(channels, generator=rng))


def canvas_rows(points: Tensor, bytes_per_s: float) -> list[MemoryRow]:
    """The pillar feature net of the real-time network on three sweeps, beside its reference in torch's operations."""
    from perception.ops.pillars_cpu import pillar_canvas_cpu

    slot, rows = (points[:, 4] > 0).long(), []
    for channels in (24, 32):
        arguments = (points, CANVAS, PillarNet(*weights_of(channels)), slot, SLOTS, SLOTS)
        with torch.inference_mode():
            seconds = best_of(lambda a=arguments: pillar_canvas_cpu(*a))
            theirs = best_of(lambda a=arguments: pillar_canvas_reference(*a))
        moved = points.nbytes + slot.nbytes + SLOTS * channels * CANVAS.nx * CANVAS.ny * 4
        rows.append(MemoryRow(f"pillar_canvas_0.4m_{channels}", seconds * 1e3, "ms", "torch sort + scatter", theirs * 1e3,
                              moved, moved / seconds / bytes_per_s))
    return rows


def cpu_report() -> tuple[list[MemoryRow], list[str]]:
    """All rows of this processor, and what is to be said about them."""
    torch.set_num_threads(THREADS)
    cloud = street_cloud(POINTS, SWEEPS)
    bytes_per_s = copied_bytes_per_s()
    theirs = mmcv_figures(cloud)
    points, three_sweeps = torch.from_numpy(cloud), torch.from_numpy(street_cloud(CANVAS_POINTS, CANVAS_SWEEPS))
    rows = [*voxel_rows(points, theirs, bytes_per_s), *canvas_rows(three_sweeps, bytes_per_s)]
    notes = [f"{POINTS} points of {SWEEPS} sweeps ({CANVAS_POINTS} of {CANVAS_SWEEPS} for the canvas), {THREADS} threads; "
             f"a copy moves {bytes_per_s / 1e9:.1f} GB/s"]
    if not theirs:
        return rows, [*notes, "no peer: make setup-mmdet3d"]
    for setting in SETTINGS:
        inside = int(voxel_indices(points, setting.grid)[1].sum())
        notes.append(f"{setting.name}: mmcv {theirs['version']}, at most {setting.max_points} points a voxel and "
                     f"{setting.max_voxels} voxels, keeps {theirs[setting.name]['points'] / inside:.0%} of the points")
    return rows, notes


def main() -> None:
    if "--static" in sys.argv:
        from tests.bench.voxelize_static import static_report

        static_report()
    elif torch.cuda.is_available():
        from tests.bench.voxelize_cuda import cuda_report

        show("Voxelization, CUDA", *cuda_report())
    else:
        show("Voxelization, CPU", *cpu_report())


if __name__ == "__main__":
    main()
