"""Points into voxels on CUDA and ROCm, bit for bit as the contract of perception.ops.voxels says; five launches, no sort.

1. Scratch is cleared. 2. Every point sets its voxel's bit in a map of the grid. 3. Bits are counted: a voxel's row is the number
of bits before its own; the rows in use have their sums cleared. 4. Every point looks up its row and adds its numbers to it, as
integers, so their order does not matter. 5. Sums become means. Nothing waits for the host and shapes are static.

The third step scans the map in one pass: a program publishes how many bits its tile holds and waits for those of the tiles
before (Merrill and Garland, Single-pass Parallel Prefix Scan with Decoupled Look-back, NVIDIA 2016, without the look-back: there
are a few hundred tiles at most, which one program reads at once). Tiles are handed out in the order in which programs start and
each publishes before it waits, so no program waits for one that has not started.

Rounding is that of the contract with or without fused multiply-add: every product that is added to is exact in its type.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton
from triton import knobs

from data_specs.errors import SpecError
from perception.grid import VoxelGrid
from perception.ops.voxels import LARGEST_VALUE, MOST_CELLS, UNITS_PER_ONE, MeanVoxels, Voxels, capacity_for, require_points

INTERPRETED = bool(knobs.runtime.interpret)
POINTS = 1024 if INTERPRETED else 256  # points of a program; the interpreter pays by the program
ROWS = 1024 if INTERPRETED else 256  # voxels of a program
WORDS = 8  # 32-bit words of a group, which is one 32-byte sector of memory
GROUPS = 1024  # groups of a tile

TICKET, DROPPED, NUMBER = (tl.constexpr(i) for i in range(3))  # words at the front of the scratch
FRONT = 8  # words before the published totals
LARGEST = tl.constexpr(LARGEST_VALUE)
UNITS = tl.constexpr(UNITS_PER_ONE)


@triton.jit
def key_of(points, batch_id, row, here, frame, batches, COLUMNS: tl.constexpr, SHAPE: tl.constexpr, HAS_BATCH: tl.constexpr):
    """Key of the voxel of each point; -1 = dropped. `frame` is low x, y, z and size x, y, z; SHAPE is nx, ny, nz."""
    outside = float("nan")
    x = tl.load(points + row * COLUMNS, mask=here, other=outside)
    y = tl.load(points + row * COLUMNS + 1, mask=here, other=outside)
    z = tl.load(points + row * COLUMNS + 2, mask=here, other=outside)
    ix = tl.floor(tl.div_rn(x - frame[0], frame[3]))  # div_rn, because plain division may be approximate
    iy = tl.floor(tl.div_rn(y - frame[1], frame[4]))
    iz = tl.floor(tl.div_rn(z - frame[2], frame[5]))
    inside = (ix >= 0) & (ix < SHAPE[0]) & (iy >= 0) & (iy < SHAPE[1]) & (iz >= 0) & (iz < SHAPE[2])
    plane = tl.where(inside, iz, 0.0).to(tl.int32)
    if HAS_BATCH:
        batch = tl.load(batch_id + row, mask=here, other=-1)
        inside = inside & (batch >= 0) & (batch < batches)
        plane += tl.where(inside, batch, 0).to(tl.int32) * SHAPE[2]
    line = plane * SHAPE[1] + tl.where(inside, iy, 0.0).to(tl.int32)
    return tl.where(inside, line * SHAPE[0] + tl.where(inside, ix, 0.0).to(tl.int32), -1)


@triton.jit
def ones(word):
    """How many bits of each 32-bit word are set."""
    word = word.to(tl.uint32, bitcast=True)
    word = word - ((word >> 1) & 0x55555555)
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def looked_at(words, mask):
    """What stands at each address now; 1 off the mask. An atomic: a load may come from a cache that does not see others' work."""
    return tl.where(mask, tl.atomic_or(words, 0, mask=mask, sem="relaxed"), 1)


@triton.jit
def total_before(published, tile, total, TILES: tl.constexpr):
    """Sum of the totals of the tiles before this one; TILES is the power of two at or above how many there are."""
    tl.atomic_xchg(published + tile, total + 1, sem="relaxed")  # plus one: zero says that it is not there yet
    earlier = tl.arange(0, TILES)
    seen = tl.load(published + earlier, mask=earlier < tile, other=1, volatile=True)  # may be old, but what is there is final
    while tl.min(seen, axis=0) == 0:
        seen = looked_at(published + earlier, earlier < tile)
    return tl.sum(seen, axis=0) - TILES


@triton.jit
def mark_voxels(points, batch_id, scratch, bitmap, n, batches, low_x, low_y, low_z, size_x, size_y, size_z, COLUMNS: tl.constexpr,
                SHAPE: tl.constexpr, HAS_BATCH: tl.constexpr, POINTS: tl.constexpr):
    """The bit of every voxel that holds a point; the points that no voxel holds are counted."""
    row = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    here = row < n
    frame = (low_x, low_y, low_z, size_x, size_y, size_z)
    key = key_of(points, batch_id, row, here, frame, batches, COLUMNS, SHAPE, HAS_BATCH)
    inside = key >= 0
    cell = tl.where(inside, key, 0)
    tl.atomic_or(bitmap + (cell >> 5), tl.full([POINTS], 1, tl.int32) << (cell & 31), mask=inside, sem="relaxed")
    tl.atomic_add(scratch + DROPPED, tl.sum((here & (key < 0)).to(tl.int32), axis=0), sem="relaxed")


@triton.jit
def rank_voxels(scratch, published, bitmap, rank_of_group, totals, tiles, FIELDS: tl.constexpr, TILES: tl.constexpr,
                GROUPS: tl.constexpr, WORDS: tl.constexpr):
    """Rows of the first voxel of each group of words; clears the sums of the rows of its tile."""
    tile = tl.atomic_add(scratch + TICKET, 1, sem="relaxed")
    group = tile * GROUPS + tl.arange(0, GROUPS)
    words = tl.load(bitmap + group[:, None] * WORDS + tl.arange(0, WORDS)[None, :])
    voxels = tl.sum(ones(words), axis=1)
    total = tl.sum(voxels, axis=0)
    before = total_before(published, tile, total, TILES)
    tl.store(rank_of_group + group, before + tl.cumsum(voxels, axis=0) - voxels)
    if tile == tiles - 1:
        tl.store(scratch + NUMBER, before + total)
    field = tl.arange(0, GROUPS)
    for start in range(before * FIELDS, (before + total) * FIELDS, GROUPS):
        tl.store(totals + start + field, tl.zeros([GROUPS], tl.int64), mask=start + field < (before + total) * FIELDS)


@triton.jit
def add_points(points, batch_id, bitmap, rank_of_group, totals, voxel_of_point, cell_of_voxel, n, batches, low_x, low_y, low_z,
               size_x, size_y, size_z, COLUMNS: tl.constexpr, SHAPE: tl.constexpr, HAS_BATCH: tl.constexpr, SUMMED: tl.constexpr,
               PADDED: tl.constexpr, POINTS: tl.constexpr, WORDS: tl.constexpr):
    """The row of every point's voxel; the point's numbers, in fixed point, are added to that row, and one to its count."""
    row = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    here = row < n
    frame = (low_x, low_y, low_z, size_x, size_y, size_z)
    key = key_of(points, batch_id, row, here, frame, batches, COLUMNS, SHAPE, HAS_BATCH)
    inside = key >= 0
    cell = tl.where(inside, key, 0)
    group, own, bit = cell // (32 * WORDS), cell // 32 % WORDS, cell & 31

    word = tl.arange(0, WORDS)[None, :]
    words = tl.load(bitmap + group[:, None] * WORDS + word, mask=inside[:, None], other=0)
    below = (tl.full([POINTS], 1, tl.int32) << bit) - 1
    words = tl.where(word < own[:, None], words, tl.where(word == own[:, None], words & below[:, None], 0))
    voxel = tl.load(rank_of_group + group, mask=inside, other=0) + tl.sum(ones(words), axis=1)
    tl.store(voxel_of_point + row, tl.where(inside, voxel, -1), mask=here)

    ix, line = cell % SHAPE[0], cell // SHAPE[0]
    iy, iz, batch = line % SHAPE[1], line // SHAPE[1] % SHAPE[2], line // (SHAPE[1] * SHAPE[2])
    part = tl.arange(0, 4)[None, :]
    parts = tl.where(part == 0, batch[:, None], tl.where(part == 1, iz[:, None], tl.where(part == 2, iy[:, None], ix[:, None])))
    tl.store(cell_of_voxel + voxel[:, None] * 4 + part, parts, mask=inside[:, None])  # all points of a voxel write the same

    field = tl.arange(0, PADDED)[None, :]
    value = tl.load(points + row[:, None] * COLUMNS + field, mask=inside[:, None] & (field < SUMMED), other=0.0).to(tl.float64)
    low_m = tl.where(field == 0, low_x, tl.where(field == 1, low_y, tl.where(field == 2, low_z, 0.0)))
    size_m = tl.where(field == 0, size_x, tl.where(field == 1, size_y, tl.where(field == 2, size_z, 0.0)))
    index = tl.where(field == 0, ix[:, None], tl.where(field == 1, iy[:, None], iz[:, None]))
    value = value - low_m.to(tl.float64) - index.to(tl.float64) * size_m.to(tl.float64)
    value = tl.where(value == value, value, 0.0)
    value = tl.minimum(tl.maximum(value, -LARGEST), LARGEST)
    units = tl.where(field == SUMMED, 1, tl.floor(value * UNITS + 0.5).to(tl.int64))
    tl.atomic_add(totals + voxel[:, None] * (SUMMED + 1) + field, units, mask=inside[:, None] & (field <= SUMMED), sem="relaxed")


@triton.jit
def divide_sums(scratch, totals, cell_of_voxel, count, mean, number, dropped, capacity, low_x, low_y, low_z, size_x, size_y,
                size_z, SUMMED: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr):
    """Counts and means of the rows in use; what the others hold by the contract."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    used = tl.load(scratch + NUMBER)
    here, known = row < capacity, row < used
    points = tl.load(totals + row * (SUMMED + 1) + SUMMED, mask=known, other=0)
    tl.store(count + row, points.to(tl.int32), mask=here)

    part = tl.arange(0, 4)[None, :]
    tl.store(cell_of_voxel + row[:, None] * 4 + part, tl.full([ROWS, 4], -1, tl.int32), mask=(here & (row >= used))[:, None])

    field = tl.arange(0, PADDED)[None, :]
    total = tl.load(totals + row[:, None] * (SUMMED + 1) + field, mask=known[:, None] & (field < SUMMED), other=0)
    offset = total.to(tl.float64) / (tl.where(known, points, 1).to(tl.float64) * UNITS)[:, None]
    low_m = tl.where(field == 0, low_x, tl.where(field == 1, low_y, tl.where(field == 2, low_z, 0.0)))
    size_m = tl.where(field == 0, size_x, tl.where(field == 1, size_y, tl.where(field == 2, size_z, 0.0)))
    index = tl.load(cell_of_voxel + row[:, None] * 4 + 3 - field, mask=known[:, None] & (field < 3), other=0)
    # Rows not in use read zeros, but the corner of voxel 0 is not zero.
    value = tl.where(known[:, None], offset + (low_m.to(tl.float64) + index.to(tl.float64) * size_m.to(tl.float64)), 0.0)
    tl.store(mean + row[:, None] * SUMMED + field, value.to(tl.float32), mask=here[:, None] & (field < SUMMED))
    if tl.program_id(0) == 0:
        tl.store(number, used)
        tl.store(dropped, tl.load(scratch + DROPPED))


@triton_op("roadweave::mean_voxels", mutates_args={})
def mean_voxels_op(points: Tensor, batch_id: Tensor | None, batches: int, summed: int, shape: Sequence[int],
                   frame: Sequence[float]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """voxel_of_point, cell, count, number, dropped and the mean of the first `summed` columns; see `mean_voxels_triton`."""
    n, columns = points.shape
    cells = batches * shape[0] * shape[1] * shape[2]
    capacity, fields = min(n, cells), summed + 1
    padded = triton.next_power_of_2(fields)
    tiles = -(-cells // (32 * WORDS * GROUPS))
    blank: dict[str, Any] = {"dtype": torch.int32, "device": points.device}
    padded_tiles = -(-tiles // WORDS) * WORDS  # so that groups lie on whole sectors
    scratch = torch.zeros(FRONT + padded_tiles + tiles * GROUPS * WORDS, **blank)
    published, bitmap = scratch[FRONT:], scratch[FRONT + padded_tiles:]
    rank_of_group = torch.empty(tiles * GROUPS, **blank)
    totals = torch.empty(capacity * fields, dtype=torch.int64, device=points.device)
    voxel_of_point, cell = torch.empty(n, **blank), torch.empty((capacity, 4), **blank)
    count, number, dropped = torch.empty(capacity, **blank), torch.empty((), **blank), torch.empty((), **blank)
    mean = torch.empty((capacity, summed), dtype=torch.float32, device=points.device)

    batch = points if batch_id is None else batch_id
    programs = (max(triton.cdiv(n, POINTS), 1),)
    kind: dict[str, Any] = {"COLUMNS": columns, "SHAPE": tuple(shape), "HAS_BATCH": batch_id is not None, "POINTS": POINTS}
    sums: dict[str, Any] = {"SUMMED": summed, "PADDED": padded}
    wrap_triton(mark_voxels)[programs](points, batch, scratch, bitmap, n, batches, *frame, **kind)
    wrap_triton(rank_voxels)[(tiles,)](scratch, published, bitmap, rank_of_group, totals, tiles, FIELDS=fields,
                                       TILES=triton.next_power_of_2(tiles), GROUPS=GROUPS, WORDS=WORDS, num_warps=8)
    wrap_triton(add_points)[programs](points, batch, bitmap, rank_of_group, totals, voxel_of_point, cell, n, batches, *frame,
                                      **kind, **sums, WORDS=WORDS)
    wrap_triton(divide_sums)[(max(triton.cdiv(capacity, ROWS), 1),)](
        scratch, totals, cell, count, mean, number, dropped, capacity, *frame, **sums, ROWS=ROWS)
    return voxel_of_point, cell, count, number, dropped, mean


def mean_voxels_triton(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> MeanVoxels:
    """`mean_voxels_reference` bit for bit; no wait for the device, so it can be captured in a CUDA graph."""
    voxels, mean = _launch(points, grid, batch_id, batches, points.shape[-1])
    return MeanVoxels(voxels, mean)


def dynamic_voxels_triton(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> Voxels:
    """`dynamic_voxels_reference` bit for bit; no wait for the device, so it can be captured in a CUDA graph."""
    return _launch(points, grid, batch_id, batches, summed=0)[0]


def float32_numbers(grid: VoxelGrid) -> list[float]:
    """Low x, y, z and size x, y, z as the kernels take them: rounded to float32 here, whatever the caller of a kernel does."""
    return np.array([*grid.low_m, *grid.voxel_size_m], np.float32).astype(float).tolist()


def _launch(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None, batches: int, summed: int) -> tuple[Voxels, Tensor]:
    require_points(points, grid, batch_id, batches)
    numbers = capacity_for(points, grid, batches) * (summed + 1)
    if max(numbers, points.numel()) > MOST_CELLS:
        raise SpecError(f"points: {tuple(points.shape)}, expected at most {MOST_CELLS} numbers, sums and counts included")
    batch_id = None if batch_id is None else batch_id.contiguous()
    *parts, mean = mean_voxels_op(points.detach().contiguous(), batch_id, batches, summed, (grid.nx, grid.ny, grid.nz),
                                  float32_numbers(grid))
    return Voxels(*parts), mean
