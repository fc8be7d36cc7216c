"""Points into voxels on the CPU, bit for bit as the contract of perception.ops.voxels says; compiled by numba at first use.

A bitmap of the cells says which are used; how many bits stand before a cell's is its voxel's row. So nothing is sorted. In a
large grid a first bitmap says which blocks of cells are used, and only those have bits. Sums of whole numbers below 2^53 are
exact in a float64, which vector units add faster than integers: each part of a cloud is summed so, and the parts are added as
integers.

Nothing waits for a device here, so rows of voxels that are not in use are left out: capacity = number.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data_specs.arrays import Array
from perception.grid import VoxelGrid
from perception.ops.cells_cpu import (
    BLOCK,
    batch_rows,
    cloud_keys,
    count_keys,
    frame_of,
    in_parts,
    kernel,
    part_of,
    parts_for,
    point_rows,
    shape_of,
)
from perception.ops.hard_voxels import HardVoxels, require_limits
from perception.ops.voxels import LARGEST_VALUE, UNITS_PER_ONE, MeanVoxels, Voxels, require_points

POINTS_OF_EXACT_SUM = 1 << 22  # as many values of at most 2^31 units add up to 2^53
CELLS_OF_ONE_BITMAP = 1 << 22  # 512 KB; a larger one would cost more to clear and look through than two
BLOCK_SHIFT = 9  # 512 cells: their bits are one cache line
LANE = 8  # sums of a voxel are padded to a multiple of this, one cache line


def dynamic_voxels_cpu(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> Voxels:
    """`dynamic_voxels_reference`, without rows that are not in use."""
    require_points(points, grid, batch_id, batches)
    cloud = point_rows(points)
    parts = parts_for(len(cloud))
    key, bits, before, voxel_key = _used_cells(cloud, batch_rows(batch_id), grid, batches, parts)
    row = np.empty(len(cloud), np.int32)
    counts = np.zeros((parts, len(voxel_key)), np.int32)

    def one(part: int) -> None:
        rows = part_of(len(cloud), part, parts)
        write_rows(key[rows], bits, before, row[rows])
        count_keys(row[rows], counts[part])

    in_parts(one, parts)
    return _voxels(row, voxel_key, counts.sum(axis=0, dtype=np.int32), grid)


def mean_voxels_cpu(points: Tensor, grid: VoxelGrid, batch_id: Tensor | None = None, batches: int = 1) -> MeanVoxels:
    """`mean_voxels_reference`, without rows that are not in use."""
    require_points(points, grid, batch_id, batches)
    cloud = point_rows(points)
    n, columns = cloud.shape
    parts = max(parts_for(n), -(-n // POINTS_OF_EXACT_SUM))
    key, bits, before, voxel_key = _used_cells(cloud, batch_rows(batch_id), grid, batches, parts)
    row = np.empty(n, np.int32)
    sums = np.zeros((parts, len(voxel_key), -(-(columns + 1) // LANE) * LANE))
    frame, shape = frame_of(grid), shape_of(grid)

    def add(part: int) -> None:
        rows = part_of(n, part, parts)
        add_fixed_point(cloud[rows], key[rows], bits, before, frame, (0,) * (columns + 1), row[rows], sums[part])

    in_parts(add, parts)
    mean, count = np.empty((len(voxel_key), columns), np.float32), np.empty(len(voxel_key), np.int32)

    def divide(part: int) -> None:
        rows = part_of(len(voxel_key), part, parts)
        write_means(sums[:, rows], voxel_key[rows], frame, shape, mean[rows], count[rows])

    in_parts(divide, parts)
    return MeanVoxels(_voxels(row, voxel_key, count, grid), torch.from_numpy(mean))


def hard_voxels_cpu(points: Tensor, grid: VoxelGrid, max_points: int, max_voxels: int, batch_id: Tensor | None = None,
                    batches: int = 1) -> HardVoxels:
    """`hard_voxels_reference`: at most max_points a voxel and max_voxels a cloud, first come, first kept."""
    require_limits(max_points, max_voxels)
    voxels = dynamic_voxels_cpu(points, grid, batch_id, batches)
    cloud, row, cell = point_rows(points), voxels.voxel_of_point.numpy(), voxels.cell.numpy()
    seat, used = np.full(len(cell), -1, np.int32), np.zeros(batches, np.int32)
    write_seats(row, cell, max_voxels, seat, used)
    first = np.cumsum(used) - used
    seat = np.where(seat >= 0, seat + first[cell[:, 0]], -1).astype(np.int32)
    kept = np.empty((used.sum(), max_points, cloud.shape[1]), np.float32)
    count = np.zeros(len(kept), np.int32)
    over_points, over_voxels = write_kept(cloud, row, seat, kept, count)
    parts = parts_for(len(cloud))

    def clear(part: int) -> None:
        rows = part_of(len(kept), part, parts)
        clear_rest(kept[rows], count[rows])

    in_parts(clear, parts)
    seated = np.empty((len(kept), 4), np.int32)
    seated[seat[seat >= 0]] = cell[seat >= 0]
    return HardVoxels(torch.from_numpy(kept), torch.from_numpy(count), torch.from_numpy(seated), int(voxels.dropped),
                      over_points, over_voxels)


def _used_cells(cloud: Array, batch: Array, grid: VoxelGrid, batches: int, parts: int) -> tuple[Array, Array, Array, Array]:
    """Place i32[n] of each point in a bitmap u64[w] of cells, used cells before each word i32[w], and key i32[v] of each voxel.

    The bitmap is of all cells, or in a large grid of those of used blocks alone.
    """
    cells = batches * grid.cells
    shift = 0 if cells <= CELLS_OF_ONE_BITMAP else BLOCK_SHIFT
    bitmaps = np.zeros((parts, (cells >> shift) // 64 + 1), np.uint64)
    key = cloud_keys(cloud, batch, grid, batches, parts, lambda part, part_key: mark_cells(part_key, shift, bitmaps[part]))
    before, used = _numbered(bitmaps, min(len(cloud), cells))
    if shift == 0:
        return key, bitmaps[0], before, used
    of_blocks = np.zeros((parts, (len(used) << shift) // 64), np.uint64)

    def refine(part: int) -> None:
        mark_in_blocks(key[part_of(len(key), part, parts)], shift, bitmaps[0], before, of_blocks[part])

    in_parts(refine, parts)
    before_in_blocks, place = _numbered(of_blocks, min(len(cloud), cells))
    return key, of_blocks[0], before_in_blocks, (used[place >> shift] << shift) + (place & ((1 << shift) - 1))


def _numbered(bitmaps: Array, most: int) -> tuple[Array, Array]:
    """Bits set before each word i32[w] of bitmaps u64[p, w], united in the first; places i32[v] of the bits, `most` at most."""
    before, place = np.empty(bitmaps.shape[1], np.int32), np.empty(most, np.int32)
    return before, place[:number_cells(bitmaps, before, place)]


def _voxels(row: Array, voxel_key: Array, count: Array, grid: VoxelGrid) -> Voxels:
    cell = np.empty((len(voxel_key), 4), np.int32)
    write_cells(voxel_key, shape_of(grid), cell)
    kept = int(count.sum(dtype=np.int64))
    return Voxels(torch.from_numpy(row), torch.from_numpy(cell), torch.from_numpy(count),
                  torch.tensor(len(voxel_key), dtype=torch.int32), torch.tensor(len(row) - kept, dtype=torch.int32))


@kernel
def mark_cells(key, shift, bitmap):
    """Set the bits of the blocks of 2^shift cells of keys i32[n] in bitmap u64[w]."""
    for i in range(len(key)):
        if key[i] >= 0:
            block = key[i] >> shift
            bitmap[block >> 6] |= np.uint64(1) << np.uint64(block & 63)


@kernel
def mark_in_blocks(key, shift, bits, before, bitmap):
    """Keys i32[n] become places among the cells of used blocks alone, whose bits are set in bitmap u64[w]."""
    for i in range(len(key)):
        if key[i] < 0:
            continue
        place = (row_of(key[i] >> shift, bits, before) << shift) + (key[i] & ((1 << shift) - 1))
        bitmap[place >> 6] |= np.uint64(1) << np.uint64(place & 63)
        key[i] = place


@kernel
def number_cells(bitmaps, before, voxel_key):
    """Unite bitmaps u64[p, w] in the first; bits before each word into before i32[w], their keys into voxel_key; how many."""
    united = bitmaps[0]
    used = 0
    for word in range(len(united)):
        bits = united[word]
        for part in range(1, len(bitmaps)):
            bits |= bitmaps[part, word]
        before[word] = used
        if bits == 0:
            continue
        united[word] = bits
        while bits != 0:
            lowest = bits & (~bits + np.uint64(1))
            voxel_key[used] = word * 64 + ones(lowest - np.uint64(1))
            used += 1
            bits ^= lowest
    return used


@kernel
def ones(word):
    """How many bits of a u64 are set; the compiler knows the pattern and emits one instruction."""
    pairs = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + ((pairs >> np.uint64(2)) & np.uint64(0x3333333333333333))
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int32((eights * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def row_of(place, bits, before):
    """Bits set before a place >= 0."""
    word = np.uint32(place) >> np.uint32(6)
    below = (np.uint64(1) << np.uint64(place & 63)) - np.uint64(1)
    return before[word] + ones(bits[word] & below)


@kernel
def write_rows(key, bits, before, row):
    """row i32[n] of the voxel of each place i32[n]: used cells before it; -1 of -1."""
    for i in range(len(key)):
        row[i] = row_of(key[i], bits, before) if key[i] >= 0 else -1


@kernel
def fixed_point(value):
    """A float64 in units of 2^-20, rounded half up, as a whole float64."""
    number = value if value == value else 0.0
    return np.floor(min(max(number, -LARGEST_VALUE), LARGEST_VALUE) * UNITS_PER_ONE + 0.5)


@kernel
def write_fixed_point(block, frame, numbers, whole):
    """Columns of block f32[m, c] in units of 2^-20 into whole f64[c, m]: xyz from the low corner of the point's voxel."""
    for axis in range(block.shape[1]):
        column = whole[axis]
        for i in range(len(block)):  # copied out first: only loops over packed numbers become vector code
            numbers[i] = block[i, axis]
        if axis < 3:
            low, size = frame[axis], frame[axis + 3]
            low_m, size_m = np.float64(low), np.float64(size)
            for i in range(len(block)):
                index = np.floor((numbers[i] - low) / size)
                column[i] = fixed_point((np.float64(numbers[i]) - low_m) - np.float64(index) * size_m)
        else:
            for i in range(len(block)):
                column[i] = fixed_point(np.float64(numbers[i]))


@kernel
def add_fixed_point(points, key, bits, before, frame, lanes, row, sums):
    """Row i32[n] of each point f32[n, c], and its columns and a 1 added to that row of sums f64[v, c + 1 or more].

    lanes is a tuple of c + 1 numbers: its length, unlike c, is known when this is compiled, so that the loop is unrolled.
    """
    columns = points.shape[1]
    numbers = np.empty(BLOCK, np.float32)
    whole = np.ones((columns + 1, BLOCK))
    for start in range(0, len(points), BLOCK):
        block_row = row[start:start + BLOCK]
        write_rows(key[start:start + BLOCK], bits, before, block_row)
        write_fixed_point(points[start:start + BLOCK], frame, numbers, whole)
        for i in range(len(block_row)):
            if block_row[i] < 0:
                continue
            voxel = np.uint32(block_row[i])
            for column in range(len(lanes)):
                sums[voxel, column] += whole[column, i]


@kernel
def write_means(sums, voxel_key, frame, shape, mean, count):
    """mean f32[v, c] and count i32[v] from the sums f64[p, v, c + 1 or more] of p parts."""
    nx, ny, nz = np.uint32(shape[0]), np.uint32(shape[1]), np.uint32(shape[2])
    columns = mean.shape[1]
    for voxel in range(len(mean)):
        points = np.int64(0)
        for part in range(len(sums)):
            points += np.int64(sums[part, voxel, columns])
        count[voxel] = points
        row = np.uint32(voxel_key[voxel]) // nx
        index = (np.uint32(voxel_key[voxel]) - row * nx, row % ny, row // ny % nz)
        for column in range(columns):
            total = np.int64(0)
            for part in range(len(sums)):
                total += np.int64(sums[part, voxel, column])
            value = np.float64(total) / (np.float64(points) * UNITS_PER_ONE)
            if column < 3:
                value += np.float64(frame[column]) + np.float64(index[column]) * np.float64(frame[column + 3])
            mean[voxel, column] = value


@kernel
def write_cells(voxel_key, shape, cell):
    """batch, iz, iy, ix into cell i32[v, 4], of keys i32[v]."""
    nx, ny, nz = np.uint32(shape[0]), np.uint32(shape[1]), np.uint32(shape[2])
    for voxel in range(len(voxel_key)):
        key = np.uint32(voxel_key[voxel])
        row = key // nx
        layer = row // ny
        cell[voxel, 0] = layer // nz
        cell[voxel, 1] = layer % nz
        cell[voxel, 2] = row - layer * ny
        cell[voxel, 3] = key - row * nx


@kernel
def write_seats(row, cell, max_voxels, seat, used):
    """Number the voxels [v] of each cloud in the order in which their first point came, up to max_voxels; others stay -1."""
    for i in range(len(row)):
        if row[i] < 0:
            continue
        voxel = np.uint32(row[i])
        cloud = cell[voxel, 0]
        if seat[voxel] == -1 and used[cloud] < max_voxels:
            seat[voxel] = used[cloud]
            used[cloud] += 1


@kernel
def write_kept(points, row, seat, kept, count):
    """Points f32[n, c] into their voxels' places f32[v, max_points, c] while there is room; points without, and of no seat."""
    over_points, over_voxels = 0, 0
    for i in range(len(points)):
        if row[i] < 0:
            continue
        voxel = seat[np.uint32(row[i])]
        if voxel < 0:
            over_voxels += 1
        elif count[voxel] == kept.shape[1]:
            over_points += 1
        else:
            for column in range(points.shape[1]):
                kept[voxel, count[voxel], column] = points[i, column]
            count[voxel] += 1
    return over_points, over_voxels


@kernel
def clear_rest(kept, count):
    """Zero the places f32[v, max_points, c] that no point took."""
    for voxel in range(len(kept)):
        kept[voxel, count[voxel]:] = np.float32(0.0)
