"""Points to a pillar canvas on CUDA and ROCm, as the contract of perception.ops.canvas says; four launches, no sort.

1. Counts are cleared. 2. Every point counts itself in its cell and remembers how many came before it. 3. Cells are given room
for their points, one after the other, and the points are put there: a counting sort. 4. Each cell of the canvas is written
once, by one program that sees all of its points, so the canvas needs no clearing and its maximum needs no atomics.

In the fourth step the layer is taken apart: what all points of a pillar share (the offset to their mean, their number, the
pillar's place) is added after the maximum, for max(a_i + b) = max(a_i) + b. So one pass over the points finds their mean and
their maximum, and a point costs five products a channel. Within a pillar points come in any order, but neither a maximum nor a
sum of whole numbers (2^-20 m) depends on it: the canvas is the same bit for bit each time.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

from perception.grid import BevGrid
from perception.ops.canvas import POINT_COLUMNS, POINT_NUMBERS, PillarNet, pillar_canvas_reference, reach_m, require_canvas
from perception.ops.voxels_triton import (
    FRONT,
    INTERPRETED,
    LARGEST,
    POINTS,
    TICKET,
    UNITS,
    float32_numbers,
    key_of,
    looked_at,
    total_before,
)

TILE = 2048  # cells of a program that makes room
STRIP = 128 if INTERPRETED else 32  # cells of a program that writes those without points
SPAN = 1024 if INTERPRETED else 16  # points of a program that writes those with points
AT_ONCE = 128 if INTERPRETED else 16  # points of a cell that are looked at together


@triton.jit
def count_points(points, batch_id, cells, cell_of_point, place_in_cell, n, batches, low_x, low_y, low_z, size_x, size_y, size_z,
                 COLUMNS: tl.constexpr, SHAPE: tl.constexpr, HAS_BATCH: tl.constexpr, SLOTS: tl.constexpr, POINTS: tl.constexpr):
    """Points of each cell; of each point its cell (-1 = dropped) and how many points of that cell were counted before it."""
    row = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    here = row < n
    frame = (low_x, low_y, low_z, size_x, size_y, size_z)
    key = key_of(points, batch_id, row, here, frame, batches, COLUMNS, SHAPE, HAS_BATCH)
    inside = key >= 0
    cloud, pillar = key // (SHAPE[0] * SHAPE[1]), key % (SHAPE[0] * SHAPE[1])
    cell = (cloud // SLOTS * (SHAPE[0] * SHAPE[1]) + pillar) * SLOTS + cloud % SLOTS  # as the canvas stands in memory
    place = tl.atomic_add(cells + tl.where(inside, cell, 0), 1, mask=inside, sem="relaxed")
    tl.store(cell_of_point + row, tl.where(inside, cell, -1), mask=here)
    tl.store(place_in_cell + row, place, mask=inside)


@triton.jit
def order_points(scratch, published, cells, cell_of_point, place_in_cell, order, n, tiles, TILES: tl.constexpr,
                 TILE: tl.constexpr, POINTS: tl.constexpr):
    """Points by cell. Programs that start first turn counts into -1 - where a cell's points begin; the others wait for that.

    None waits for a program that starts later than itself, so none waits for ever.
    """
    ticket = tl.atomic_add(scratch + TICKET, 1, sem="relaxed")
    if ticket < tiles:
        cell = ticket * TILE + tl.arange(0, TILE)
        count = tl.load(cells + cell)
        before = total_before(published, ticket, tl.sum(count, axis=0), TILES)
        tl.atomic_xchg(cells + cell, -1 - (before + tl.cumsum(count, axis=0) - count), sem="relaxed")
    else:
        row = (ticket - tiles) * POINTS + tl.arange(0, POINTS)
        own = tl.load(cell_of_point + row, mask=row < n, other=-1)
        inside = own >= 0
        at = cells + tl.where(inside, own, 0)
        start = tl.load(at, mask=inside, other=-1, volatile=True)  # may be old, but what is below zero is final
        while tl.max(start, axis=0) >= 0:
            start = tl.where(inside, looked_at(at, inside), -1)
        place = tl.load(place_in_cell + row, mask=inside, other=0)
        tl.store(order + tl.where(inside, place - 1 - start, 0), row, mask=inside)


@triton.jit
def number_of(weight, factor, channel, real, number, NUMBERS: tl.constexpr):
    """What one of the eleven numbers of a point weighs in each channel, norm included."""
    return tl.load(weight + channel * NUMBERS + number, mask=real, other=0.0) * factor


@triton.jit
def bounded(value):
    """NaN is 0; beyond the largest value is the largest value."""
    return tl.minimum(tl.maximum(tl.where(value == value, value, 0.0), -LARGEST), LARGEST)


@triton.jit
def in_units(offset_m, here):
    """Sum of metres in whole units of 2^-20 m, int64."""
    return tl.sum(tl.where(here, tl.floor(offset_m * UNITS + 0.5), 0.0).to(tl.int64), axis=0)


@triton.jit
def sums_and_peak(points, order, start, end, center_x, center_y, per_x, per_y, per_z, per_intensity, per_age,
                  COLUMNS: tl.constexpr, AT_ONCE: tl.constexpr):
    """Sums of the offsets x, y, z of a cell's points, in units, and the greatest value of each channel."""
    sum_x, sum_y, sum_z = start.to(tl.int64) * 0, start.to(tl.int64) * 0, start.to(tl.int64) * 0
    peak = per_x * 0.0 + float("-inf")
    for first in range(start, end, AT_ONCE):
        k = first + tl.arange(0, AT_ONCE)
        here = k < end
        row = points + tl.load(order + k, mask=here, other=0) * COLUMNS
        x = tl.load(row, mask=here, other=0.0) - center_x
        y = tl.load(row + 1, mask=here, other=0.0) - center_y
        z = tl.load(row + 2, mask=here, other=0.0)
        intensity = bounded(tl.load(row + 3, mask=here, other=0.0))
        age = bounded(tl.load(row + 4, mask=here, other=0.0))
        sum_x += in_units(x, here)
        sum_y += in_units(y, here)
        sum_z += in_units(z, here)
        value = x[:, None] * per_x[None, :] + y[:, None] * per_y[None, :] + z[:, None] * per_z[None, :]
        value += intensity[:, None] * per_intensity[None, :] + age[:, None] * per_age[None, :]
        peak = tl.maximum(peak, tl.max(tl.where(here[:, None], value, float("-inf")), axis=0))
    return sum_x, sum_y, sum_z, peak


@triton.jit
def write_empty(cells, canvas, strip, n_cells, channel, real, CHANNELS: tl.constexpr, STRIP: tl.constexpr):
    """Zeros for the cells of a strip that hold no point."""
    cell = strip * STRIP + tl.arange(0, STRIP)
    here = cell < n_cells
    empty = tl.load(cells + cell, mask=here, other=0) == tl.load(cells + cell + 1, mask=here, other=1)
    at = canvas + cell.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
    tl.store(at, 0.0, mask=empty[:, None] & real[None, :])


@triton.jit
def write_cells(points, cells, cell_of_point, order, weight, scale, shift, canvas, n_cells, tile, low_x, low_y, size_x, size_y,
                per_reach, channel, real, COLUMNS: tl.constexpr, NUMBERS: tl.constexpr, NX: tl.constexpr, NY: tl.constexpr,
                SLOTS: tl.constexpr, CHANNELS: tl.constexpr, SPAN: tl.constexpr, AT_ONCE: tl.constexpr):
    """The channels of each cell whose first point is one of SPAN points in a row, in order."""
    factor = tl.load(scale + channel, mask=real, other=0.0)
    base = tl.load(shift + channel, mask=real, other=0.0)
    of_x = number_of(weight, factor, channel, real, 0, NUMBERS) * per_reach
    of_y = number_of(weight, factor, channel, real, 1, NUMBERS) * per_reach
    mean_x = number_of(weight, factor, channel, real, 5, NUMBERS)
    mean_y = number_of(weight, factor, channel, real, 6, NUMBERS)
    mean_z = number_of(weight, factor, channel, real, 7, NUMBERS)
    per_x = of_x + mean_x + tl.div_rn(number_of(weight, factor, channel, real, 8, NUMBERS), size_x / 2)
    per_y = of_y + mean_y + tl.div_rn(number_of(weight, factor, channel, real, 9, NUMBERS), size_y / 2)
    per_z = number_of(weight, factor, channel, real, 2, NUMBERS) / 2 + mean_z
    per_intensity = number_of(weight, factor, channel, real, 3, NUMBERS)
    per_age = number_of(weight, factor, channel, real, 4, NUMBERS)
    crowd = number_of(weight, factor, channel, real, 10, NUMBERS) / 4

    kept = -1 - tl.load(cells + n_cells)
    start, stop = tile * SPAN, tl.minimum(tile * SPAN + SPAN, kept)
    while start < stop:
        cell = tl.load(cell_of_point + tl.load(order + start))
        end = -1 - tl.load(cells + cell + 1)
        if start == -1 - tl.load(cells + cell):
            center_x = low_x + (2 * (cell // SLOTS % NX) + 1).to(tl.float32) * (size_x / 2)
            center_y = low_y + (2 * (cell // SLOTS // NX % NY) + 1).to(tl.float32) * (size_y / 2)
            sum_x, sum_y, sum_z, peak = sums_and_peak(  # pyright: ignore[reportGeneralTypeIssues]: triton's types say NoReturn
                points, order, start, end, center_x, center_y, per_x, per_y, per_z, per_intensity, per_age, COLUMNS, AT_ONCE)
            count = (end - start).to(tl.float32)
            shared = base + of_x * center_x + of_y * center_y + crowd * tl.log2(count)
            shared -= mean_x * tl.div_rn(sum_x.to(tl.float32), count * UNITS)
            shared -= mean_y * tl.div_rn(sum_y.to(tl.float32), count * UNITS)
            shared -= mean_z * tl.div_rn(sum_z.to(tl.float32), count * UNITS)
            tl.store(canvas + cell.to(tl.int64) * CHANNELS + channel, tl.maximum(peak + shared, 0.0), mask=real)
        start = end


@triton.jit
def write_canvas(points, cells, cell_of_point, order, weight, scale, shift, canvas, n_cells, strips, low_x, low_y, size_x, size_y,
                 per_reach, COLUMNS: tl.constexpr, NUMBERS: tl.constexpr, NX: tl.constexpr, NY: tl.constexpr, SLOTS: tl.constexpr,
                 CHANNELS: tl.constexpr, PADDED: tl.constexpr, STRIP: tl.constexpr, SPAN: tl.constexpr, AT_ONCE: tl.constexpr):
    """Every cell once: some programs write those without points, by place, the others those with points, by their points.

    So a program has about SPAN points to look at, however unevenly they lie; only a fuller pillar keeps one longer.
    """
    channel = tl.arange(0, PADDED)
    real = channel < CHANNELS
    program = tl.program_id(0)
    spans = tl.num_programs(0) - strips
    if program < spans:  # first, since they take longer
        write_cells(points, cells, cell_of_point, order, weight, scale, shift, canvas, n_cells, program, low_x, low_y, size_x,
                    size_y, per_reach, channel, real, COLUMNS, NUMBERS, NX, NY, SLOTS, CHANNELS, SPAN, AT_ONCE)
    else:
        write_empty(cells, canvas, program - spans, n_cells, channel, real, CHANNELS, STRIP)


@triton_op("roadweave::pillar_canvas", mutates_args={})
def pillar_canvas_op(points: Tensor, batch_id: Tensor | None, weight: Tensor, scale: Tensor, shift: Tensor, batches: int,
                     slots: int, x_range_m: Sequence[float], y_range_m: Sequence[float], z_range_m: Sequence[float],
                     pillar_size_m: float) -> Tensor:
    """Canvas [batches / slots, ny, nx, slots * channels]; arguments as `pillar_canvas_triton` checks them."""
    grid = _grid(x_range_m, y_range_m, z_range_m, pillar_size_m)
    n, channels, n_cells = len(points), len(shift), batches * grid.nx * grid.ny
    tiles = -(-(n_cells + 1) // TILE)  # one cell more, which begins where the last one ends
    blank: dict[str, Any] = {"dtype": torch.int32, "device": points.device}
    scratch = torch.zeros(FRONT + tiles + tiles * TILE, **blank)
    published, cells = scratch[FRONT:], scratch[FRONT + tiles:]
    cell_of_point, place_in_cell, order = (torch.empty(n, **blank) for _ in range(3))
    canvas = torch.empty((batches // slots, grid.ny, grid.nx, slots * channels), dtype=torch.float32, device=points.device)

    frame = float32_numbers(grid.voxels)
    kind: dict[str, Any] = {"COLUMNS": POINT_COLUMNS, "SLOTS": slots}
    programs = -(-n // POINTS)
    wrap_triton(count_points)[(max(programs, 1),)](
        points, points if batch_id is None else batch_id, cells, cell_of_point, place_in_cell, n, batches, *frame,
        SHAPE=(grid.nx, grid.ny, 1), HAS_BATCH=batch_id is not None, POINTS=POINTS, **kind)
    wrap_triton(order_points)[(tiles + programs,)](
        scratch, published, cells, cell_of_point, place_in_cell, order, n, tiles, TILES=triton.next_power_of_2(tiles), TILE=TILE,
        POINTS=POINTS, num_warps=8)
    strips = -(-n_cells // STRIP)
    wrap_triton(write_canvas)[(-(-n // SPAN) + strips,)](
        points, cells, cell_of_point, order, weight, scale, shift, canvas, n_cells, strips, *frame[:2], *frame[3:5],
        1.0 / reach_m(grid), NUMBERS=POINT_NUMBERS, NX=grid.nx, NY=grid.ny, CHANNELS=channels,
        PADDED=triton.next_power_of_2(channels), STRIP=STRIP, SPAN=SPAN, AT_ONCE=AT_ONCE, num_warps=2, **kind)
    return canvas


def _keep_inputs(ctx, inputs, output) -> None:
    points, batch_id, weight, scale, shift, *rest = inputs
    ctx.save_for_backward(points, batch_id, weight, scale, shift)
    ctx.rest = rest


def _gradient(ctx, of_canvas: Tensor) -> tuple[Tensor | None, ...]:
    """The reference once more, this time to be differentiated."""
    points, batch_id, weight, scale, shift = ctx.saved_tensors
    batches, slots, *ranges = ctx.rest
    wanted = [ctx.needs_input_grad[i] for i in (0, 2, 3, 4)]
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_(want) for leaf, want in zip((points, weight, scale, shift), wanted)]
        canvas = pillar_canvas_reference(leaves[0], _grid(*ranges), PillarNet(*leaves[1:]), batch_id, batches, slots)
        found = iter(torch.autograd.grad(canvas.permute(0, 2, 3, 1), [leaf for leaf in leaves if leaf.requires_grad], of_canvas))
    of_points, *of_net = (next(found) if want else None for want in wanted)
    return of_points, None, *of_net, *(None,) * 6


pillar_canvas_op.register_autograd(_gradient, setup_context=_keep_inputs)


def pillar_canvas_triton(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None = None, batches: int = 1,
                         slots: int = 1) -> Tensor:
    """`pillar_canvas_reference` within 1e-5 of the largest value; no wait for the device, so it can be captured in a graph."""
    require_canvas(points, grid, net, batch_id, batches, slots)
    batch_id = None if batch_id is None else batch_id.contiguous()
    canvas = pillar_canvas_op(
        points.contiguous(), batch_id, net.weight.contiguous(), net.scale.contiguous(), net.shift.contiguous(), batches, slots,
        grid.x_range_m, grid.y_range_m, grid.z_range_m, grid.pillar_size_m)
    return canvas.permute(0, 3, 1, 2)


def _grid(x_range_m: Sequence[float], y_range_m: Sequence[float], z_range_m: Sequence[float], pillar_size_m: float) -> BevGrid:
    x, y, z = ((low, high) for low, high in (x_range_m, y_range_m, z_range_m))
    return BevGrid(x, y, z, pillar_size_m)
