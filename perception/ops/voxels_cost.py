"""What the GPU kernels of voxels_triton and canvas_triton move, launch by launch, and the time that this implies: a model.

Bytes are those that a kernel reads and writes, each once; what scattered accesses ask for is counted every time, and an atomic
reads its word and writes it. Memory answers in sectors of 32 bytes, so a scattered word costs up to eight times itself there; but
all scratch together is smaller than the second-level cache of an H200 (50 MB), where it is found again. `beside` is what comes
on top if every scattered access paid for its whole sector and nothing were found again.

What no byte count tells, and only a GPU can: latency, contention of atomics on one word, how long programs wait for those before
them, and the pillar with most points, which one program looks through by itself.
"""
from __future__ import annotations

from dataclasses import dataclass

from perception.grid import BevGrid, VoxelGrid

H200_BYTES_PER_S = 4.3e12  # what large copies reach of the 4.8e12 of its data sheet
LAUNCH_S = 2e-6  # a kernel in a CUDA graph
SECTOR = 32
WORD, LONG = 4, 8


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel: bytes that it asks for, by kind, and how many atomics are among it."""

    kernel: str
    read: int
    written: int
    atomics: int = 0
    beside: int = 0  # further bytes of the sectors that scattered accesses touch


def mean_voxels_cost(points: int, columns: int, kept: int, voxels: int, grid: VoxelGrid, batches: int = 1) -> tuple[Launch, ...]:
    """`mean_voxels_triton` of so many points, `kept` of them inside of the grid, in `voxels` voxels."""
    bitmap = -(-batches * grid.cells // 32) * WORD
    rows, fields, capacity = points * columns * WORD, columns + 1, min(points, batches * grid.cells)
    batch = points * LONG if batches > 1 else 0
    ids = points * WORD
    row_sectors = -(-fields * LONG // SECTOR) * SECTOR
    return (
        Launch("clear", 0, bitmap),
        Launch("mark_voxels", rows + batch + kept * WORD, kept * WORD, atomics=kept, beside=2 * kept * (SECTOR - WORD)),
        Launch("rank_voxels", bitmap, bitmap // 8 + voxels * fields * LONG),
        Launch("add_points", rows + batch + kept * (SECTOR + WORD + fields * LONG), ids + kept * (4 * WORD + fields * LONG),
               atomics=kept * fields, beside=kept * (SECTOR - WORD + SECTOR - 4 * WORD + 2 * (row_sectors - fields * LONG))),
        Launch("divide_sums", voxels * (fields * LONG + 3 * WORD), capacity * fields * WORD + (capacity - voxels) * 4 * WORD),
    )


def pillar_canvas_cost(points: int, kept: int, pillars: int, grid: BevGrid, channels: int,
                       batches: int = 1) -> tuple[Launch, ...]:
    """`pillar_canvas_triton` of so many points, `kept` of them inside of the grid, in `pillars` pillars."""
    n_cells = batches * grid.nx * grid.ny
    cells, rows, ids, kept_ids = n_cells * WORD, points * 5 * WORD, points * WORD, kept * WORD
    batch = points * LONG if batches > 1 else 0
    return (
        Launch("clear", 0, cells),
        Launch("count_points", rows + batch + kept_ids, ids + 2 * kept_ids, atomics=kept, beside=2 * kept * (SECTOR - WORD)),
        Launch("order_points", 2 * cells + ids + 2 * kept_ids, cells + kept_ids, atomics=n_cells,
               beside=2 * kept * (SECTOR - WORD)),
        Launch("write_canvas", cells + kept_ids + kept * 5 * WORD + pillars * WORD, n_cells * channels * WORD,
               beside=(kept + pillars) * (SECTOR - WORD) + kept * (SECTOR - 5 * WORD)),
    )


def scratch_bytes_of_means(points: int, columns: int, grid: VoxelGrid, batches: int = 1) -> int:
    """Memory of `mean_voxels_triton` beyond inputs and outputs, but for padding to whole tiles."""
    bitmap = -(-batches * grid.cells // 32) * WORD
    return bitmap + bitmap // 8 + min(points, batches * grid.cells) * (columns + 1) * LONG


def scratch_bytes_of_canvas(points: int, grid: BevGrid, batches: int = 1) -> int:
    """Memory of `pillar_canvas_triton` beyond inputs and outputs, but for padding to whole tiles."""
    return (batches * grid.nx * grid.ny + 3 * points) * WORD


def implied_s(launches: tuple[Launch, ...], bytes_per_s: float = H200_BYTES_PER_S, sectors: bool = False) -> float:
    """Seconds at a memory's speed, plus what each launch costs; `sectors` counts whole sectors."""
    moved = sum(launch.read + launch.written + (launch.beside if sectors else 0) for launch in launches)
    return moved / bytes_per_s + len(launches) * LAUNCH_S
