"""The cell of each point, and work in parts on several threads: what the CPU's voxels and its pillar network start from.

Kernels release the interpreter's lock and are shared out over threads of our own: numba's parallel loops either spin between
two calls, which starves the network that runs next on the same cores, or end the process when two threads call at once.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numba import njit
from torch import Tensor

from data_specs.arrays import Array
from perception.grid import VoxelGrid

BLOCK = 256  # points at a time: their columns stay in the innermost cache
POINTS_PER_PART = 1 << 14  # fewer are not worth waking another thread for
MOST_PARTS = 8  # each has a bitmap and sums of its own

kernel = njit(nogil=True, cache=True, error_model="numpy")
Frame = tuple[np.float32, ...]  # low x, y, z, then size x, y, z, in metres
Shape = tuple[int, int, int]  # nx, ny, nz


def frame_of(grid: VoxelGrid) -> Frame:
    """The float32 numbers that decide on cells."""
    return tuple(np.float32(number) for number in (*grid.low_m, *grid.voxel_size_m))


def shape_of(grid: VoxelGrid) -> Shape:
    """Cells along x, y and z."""
    return grid.nx, grid.ny, grid.nz


def parts_for(points: int) -> int:
    """Into how many parts to cut a cloud: one for each of torch's threads, fewer for small ones."""
    return max(1, min(torch.get_num_threads(), MOST_PARTS, points // POINTS_PER_PART))


def part_of(total: int, part: int, parts: int) -> slice:
    """Rows of one of `parts` equal parts of `total` rows."""
    return slice(total * part // parts, total * (part + 1) // parts)


def in_parts(work: Callable[[int], None], parts: int) -> None:
    """Call work(0) .. work(parts - 1), side by side; part 0 on this thread."""
    others = [_threads().submit(work, part) for part in range(1, parts)]
    work(0)
    for other in others:
        other.result()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="voxels")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not outlive a fork


def point_rows(points: Tensor) -> Array:
    """The same memory as an array f32[n, c]; a copy if its rows are not packed."""
    return points.detach().contiguous().numpy()


def batch_rows(batch_id: Tensor | None) -> Array:
    """i64[n], or i64[0] where all points are of one cloud."""
    return np.zeros(0, np.int64) if batch_id is None else batch_id.long().contiguous().numpy()


def cloud_keys(points: Array, batch: Array, grid: VoxelGrid, batches: int, parts: int,
               then: Callable[[int, Array], None]) -> Array:
    """Key i32[n] of each point, -1 = dropped; `then` is called with each part and its keys as soon as they are there."""
    key = np.empty(len(points), np.int32)
    frame, shape = frame_of(grid), shape_of(grid)

    def one(part: int) -> None:
        rows = part_of(len(points), part, parts)
        write_keys(points[rows], batch[rows], frame, shape, batches, key[rows])
        then(part, key[rows])

    in_parts(one, parts)
    return key


@kernel
def write_keys(points, batch, frame, shape, batches, key):
    """key i32[n] = ((batch * nz + iz) * ny + iy) * nx + ix of points f32[n, c], -1 where the contract drops a point."""
    nx, ny, nz = np.int32(shape[0]), np.int32(shape[1]), np.int32(shape[2])
    columns = np.empty((3, BLOCK), np.float32)  # copied out first: only loops over packed numbers become vector code
    x, y, z = columns[0], columns[1], columns[2]
    zero = np.float32(0.0)
    for start in range(0, len(points), BLOCK):
        block, block_key = points[start:start + BLOCK], key[start:start + BLOCK]
        for axis in range(3):
            column = columns[axis]
            for i in range(len(block)):
                column[i] = block[i, axis]
        for i in range(len(block)):
            ix = np.floor((x[i] - frame[0]) / frame[3])
            iy = np.floor((y[i] - frame[1]) / frame[4])
            iz = np.floor((z[i] - frame[2]) / frame[5])
            inside = ((ix >= zero) & (ix < np.float32(nx)) & (iy >= zero) & (iy < np.float32(ny))
                      & (iz >= zero) & (iz < np.float32(nz)))
            cell = (np.int32(iz) * ny + np.int32(iy)) * nx + np.int32(ix)
            block_key[i] = cell if inside else np.int32(-1)
    for i in range(len(batch)):
        of_grid = (batch[i] >= 0) & (batch[i] < batches) & (key[i] >= 0)
        key[i] = key[i] + np.int32(batch[i]) * (nx * ny * nz) if of_grid else np.int32(-1)


@kernel
def count_keys(key, count):
    """Add to count i32[cells] how many of key i32[n] name each cell, or row; -1 names none."""
    for i in range(len(key)):
        if key[i] >= 0:
            count[np.uint32(key[i])] += 1
