"""The peer of the voxel benchmark: mmcv's own CPU hard_voxelize. Runs in .venv-mmdet3d, knows nothing of us.

Standard input: {"points" (path of an .npy, f32[n, 5]), "threads", "jobs": [{"name", "voxel_size", "range", "max_points",
"max_voxels"}]}. Standard output: {"version", name: {"hard_ms", "mean_ms", "voxels", "points"}}; mean_ms is hard_voxelize
and the mean of each voxel's points, as mmdetection3d's HardSimpleVFE takes it; points are those it kept.
"""
from __future__ import annotations

import json
import sys
import time


def main() -> None:
    import mmcv
    import numpy as np
    import torch
    from mmcv.ops import voxelization

    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    points = torch.from_numpy(np.load(job["points"]))
    figures = {"version": mmcv.__version__}
    for one in job["jobs"]:
        settings = (one["voxel_size"], one["range"], one["max_points"], one["max_voxels"], True)

        def hard(settings=settings):
            return voxelization(points, *settings)

        def mean(hard=hard):
            voxels, _, count = hard()
            return voxels.sum(dim=1) / count.to(voxels.dtype)[:, None]

        _, _, count = hard()
        figures[one["name"]] = {"hard_ms": best_ms(hard), "mean_ms": best_ms(mean), "voxels": len(count),
                                "points": int(count.sum())}
    print(json.dumps(figures))


def best_ms(work):
    """Milliseconds a call: the best of five windows of half a second."""
    work()
    best = float("inf")
    for _ in range(5):
        calls, started = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - started < 0.5:
            work()
            calls += 1
        best = min(best, (time.perf_counter() - started) / calls)
    return best * 1e3


if __name__ == "__main__":
    main()
