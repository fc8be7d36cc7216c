"""Points to a pillar canvas on the CPU in one go, as the contract of perception.ops.canvas says; no point's numbers are stored.

Of the eleven numbers of a point most are the same for all points of a pillar, or follow from its coordinates. So per point five
products remain of eleven, of coordinates taken from the pillar's centre, and the maximum is over these alone:

    numbers @ weight.T * scale + shift = of_point @ [dx, dy, z, intensity, age] + of_pillar @ [centre, mean, log2(count), 1]

Points are brought together by counting, in the order in which they came, so results repeat exactly whatever the number of
threads. For inference: nothing here has a gradient.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from data_specs.arrays import Array
from data_specs.errors import SpecError
from perception.grid import BevGrid
from perception.ops.canvas import PillarNet, reach_m, require_canvas
from perception.ops.cells_cpu import (
    batch_rows,
    cloud_keys,
    count_keys,
    frame_of,
    in_parts,
    kernel,
    part_of,
    parts_for,
    point_rows,
)
from perception.ops.voxels import LARGEST_VALUE


def pillar_canvas_cpu(points: Tensor, grid: BevGrid, net: PillarNet, batch_id: Tensor | None = None, batches: int = 1,
                      slots: int = 1) -> Tensor:
    """`pillar_canvas_reference` within 1e-5 of a feature's usual size of one; SpecError where a gradient is wanted."""
    require_canvas(points, grid, net, batch_id, batches, slots)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (points, net.weight, net.scale, net.shift)):
        raise SpecError("points and net: one of them requires a gradient, expected none; pillar_canvas_reference has one")
    channels = len(net.shift)
    starts, together = sorted_points(point_rows(points), batch_rows(batch_id), grid, batches)
    canvas = np.empty((batches // slots * grid.ny, grid.nx, slots, channels), np.float32)
    of_point, of_pillar = folded_net(net, grid)
    frame = frame_of(grid.voxels)
    parts = parts_for(len(points))

    def one(part: int) -> None:
        write_canvas(together, starts, frame, of_point, of_pillar, part, parts, grid.ny, canvas)

    in_parts(one, parts)
    return torch.from_numpy(canvas).view(-1, grid.ny, grid.nx, slots * channels).permute(0, 3, 1, 2)


def folded_net(net: PillarNet, grid: BevGrid) -> tuple[Array, Array]:
    """of_point f32[5, c] and of_pillar f32[7, c] (centre x, y; mean x, y from it, mean z; log2 of the count; 1)."""
    of = (net.weight.detach().double() * net.scale.detach().double()[:, None]).numpy().T  # [11, c]
    per_reach, half_m = 1 / reach_m(grid), grid.pillar_size_m / 2
    of_point = [of[0] * per_reach + of[5] + of[8] / half_m, of[1] * per_reach + of[6] + of[9] / half_m, of[2] / 2 + of[7],
                of[3], of[4]]
    of_pillar = [of[0] * per_reach, of[1] * per_reach, -of[5], -of[6], -of[7], of[10] / 4, net.shift.detach().double().numpy()]
    return np.stack(of_point).astype(np.float32), np.stack(of_pillar).astype(np.float32)


def sorted_points(cloud: Array, batch: Array, grid: BevGrid, batches: int) -> tuple[Array, Array]:
    """Where each pillar's points start i32[cells + 1], and the points f32[n, 5] pillar after pillar, in order of arrival."""
    parts = parts_for(len(cloud))
    ends = np.zeros((parts, batches * grid.nx * grid.ny), np.int32)
    key = cloud_keys(cloud, batch, grid.voxels, batches, parts, lambda part, part_key: count_keys(part_key, ends[part]))
    starts = np.empty(ends.shape[1] + 1, np.int32)
    write_starts(ends, starts)
    together = np.empty((starts[-1], 5), np.float32)

    def place(part: int) -> None:
        rows = part_of(len(cloud), part, parts)
        write_together(cloud[rows], key[rows], ends[part], together)

    in_parts(place, parts)
    return starts, together


@kernel
def write_starts(counts, starts):
    """starts i32[cells + 1] from counts i32[p, cells], which become where each part's points of a cell start."""
    total = np.int32(0)
    for cell in range(counts.shape[1]):
        starts[cell] = total
        for part in range(len(counts)):
            count = counts[part, cell]
            counts[part, cell] = total
            total += count
    starts[counts.shape[1]] = total


@kernel
def write_together(points, key, start, together):
    """Points f32[n, 5] into rows of their cells, which begin at start i32[cells]; start moves on."""
    for i in range(len(points)):
        if key[i] < 0:
            continue
        row = np.uint32(start[np.uint32(key[i])])
        start[np.uint32(key[i])] += 1
        for column in range(5):
            together[row, column] = points[i, column]


@kernel
def write_canvas(points, starts, frame, of_point, of_pillar, part, parts, ny, canvas):
    """Every parts-th row of canvas f32[scenes * ny, nx, slots, c], from `part` on, of points f32[n, 5] sorted by pillar."""
    rows, nx, slots, _ = canvas.shape
    shared = np.empty(7, np.float32)
    for row in range(part, rows, parts):
        scene, iy = row // ny, row % ny
        canvas[row].reshape(-1)[:] = np.float32(0.0)
        for slot in range(slots):
            first = ((scene * slots + slot) * ny + iy) * nx
            for ix in range(nx):
                start, stop = starts[first + ix], starts[first + ix + 1]
                if start < stop:
                    pillar = points[start:stop]
                    share(pillar, frame, ix, iy, shared)
                    write_feature(pillar, shared, of_point, of_pillar, canvas[row, ix, slot])


@kernel
def share(pillar, frame, ix, iy, shared):
    """What the points f32[n, 5] of a pillar have in common, into shared f32[7].

    Their x and y become offsets from the centre; intensity and age are bounded as the contract says.
    """
    shared[0] = frame[0] + np.float32(2 * ix + 1) * (frame[3] / np.float32(2.0))
    shared[1] = frame[1] + np.float32(2 * iy + 1) * (frame[4] / np.float32(2.0))
    x, y, z = 0.0, 0.0, 0.0
    for i in range(len(pillar)):
        pillar[i, 0] -= shared[0]
        pillar[i, 1] -= shared[1]
        x += np.float64(pillar[i, 0])
        y += np.float64(pillar[i, 1])
        z += np.float64(pillar[i, 2])
        pillar[i, 3], pillar[i, 4] = bounded(pillar[i, 3]), bounded(pillar[i, 4])
    shared[2], shared[3], shared[4] = x / len(pillar), y / len(pillar), z / len(pillar)
    shared[5], shared[6] = np.log2(np.float64(len(pillar))), 1.0


@kernel
def bounded(value):
    """NaN is 0; beyond the largest value is the largest value."""
    number = value if value == value else np.float32(0.0)
    return min(max(number, np.float32(-LARGEST_VALUE)), np.float32(LARGEST_VALUE))


@kernel
def write_feature(pillar, shared, of_point, of_pillar, feature):
    """feature f32[c] = relu(max over points of of_point @ point + of_pillar @ shared)."""
    feature[:] = np.float32(-np.inf)
    for i in range(len(pillar)):
        dx, dy, z, intensity, age_s = pillar[i, 0], pillar[i, 1], pillar[i, 2], pillar[i, 3], pillar[i, 4]
        for channel in range(len(feature)):
            value = (of_point[0, channel] * dx + of_point[1, channel] * dy + of_point[2, channel] * z
                     + of_point[3, channel] * intensity + of_point[4, channel] * age_s)
            feature[channel] = value if value > feature[channel] else feature[channel]
    for channel in range(len(feature)):
        value = feature[channel]
        for number in range(7):
            value += of_pillar[number, channel] * shared[number]
        feature[channel] = value if value > 0.0 else np.float32(0.0)
