"""Points through the pillar feature net and the convolution after it, on the CPU, without the canvas between them.

Few cells of a canvas have points: about one in ten. A 3x3 convolution of stride 2 with zeros around, over the slots' channels
side by side, is added up from the pillars that there are (as in Graham et al., 3D Semantic Segmentation with Submanifold Sparse
Convolutional Networks, CVPR 2018); all other cells would have added nothing. For inference: nothing here has a gradient.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from perception.grid import BevGrid
from perception.ops.canvas import PillarNet, require_canvas
from perception.ops.cells_cpu import batch_rows, frame_of, in_parts, kernel, parts_for, point_rows
from perception.ops.pillars_cpu import folded_net, share, sorted_points, write_feature


def pillar_stem_cpu(points: Tensor, grid: BevGrid, net: PillarNet, weight: Tensor, bias: Tensor, batch_id: Tensor | None = None,
                    batches: int = 1, slots: int = 1) -> Tensor:
    """relu(conv2d(pillar_canvas_cpu(..), weight, bias, stride=2, padding=1)), f32[batches / slots, o, ny / 2, nx / 2].

    weight f32[o, slots * channels, 3, 3], bias f32[o]; nx and ny are even. Channels last in memory.
    """
    require_canvas(points, grid, net, batch_id, batches, slots)
    starts, together = sorted_points(point_rows(points), batch_rows(batch_id), grid, batches)
    occupied = starts[1:] > starts[:-1]
    rank = np.cumsum(occupied, dtype=np.int32)
    features = np.empty((rank[-1], len(net.shift)), np.float32)
    rank = np.where(occupied, rank - 1, np.int32(-1)).reshape(batches // slots, slots, grid.ny, grid.nx)
    of_point, of_pillar = folded_net(net, grid)
    taps = weight.detach().unflatten(1, (slots, -1)).permute(3, 4, 1, 2, 0).contiguous().numpy()  # [3, 3, slots, channels, o]
    out = np.empty((batches // slots * grid.ny // 2, grid.nx // 2, len(bias)), np.float32)
    frame, parts, shift = frame_of(grid.voxels), parts_for(len(points)), bias.detach().numpy()

    def describe(part: int) -> None:
        write_features(together, starts, rank.reshape(-1, grid.nx), grid.ny, frame, of_point, of_pillar, part, parts, features)

    def convolve(part: int) -> None:
        write_convolved(features, rank, taps, shift, part, parts, out)

    in_parts(describe, parts)
    in_parts(convolve, parts)
    return torch.from_numpy(out).view(-1, grid.ny // 2, grid.nx // 2, len(bias)).permute(0, 3, 1, 2)


@kernel
def write_features(points, starts, rank, ny, frame, of_point, of_pillar, part, parts, features):
    """features f32[p, c] of the pillars in every parts-th row of rank i32[clouds * ny, nx], from `part` on."""
    rows, nx = rank.shape
    shared = np.empty(7, np.float32)
    for row in range(part, rows, parts):
        for ix in range(nx):
            if rank[row, ix] >= 0:
                pillar = points[starts[row * nx + ix]:starts[row * nx + ix + 1]]
                share(pillar, frame, ix, row % ny, shared)
                write_feature(pillar, shared, of_point, of_pillar, features[rank[row, ix]])


@kernel
def write_convolved(features, rank, taps, bias, part, parts, out):
    """Every parts-th row of out f32[scenes * ny / 2, nx / 2, o], from `part` on: relu of the convolution and its bias."""
    _, slots, ny, nx = rank.shape
    rows, columns, _ = out.shape
    for row in range(part, rows, parts):
        scene, oy = row // (ny // 2), row % (ny // 2)
        for ox in range(columns):
            out[row, ox] = bias
        for ky in range(max(0, 1 - 2 * oy), 3):
            for slot in range(slots):
                of_row = rank[scene, slot, 2 * oy + ky - 1]
                for ix in range(nx):
                    if of_row[ix] >= 0:
                        for kx in range((ix + 1) % 2, 3, 2):
                            ox = (ix + 1 - kx) // 2
                            if ox < columns:
                                add_product(features[of_row[ix]], taps[ky, kx, slot], out[row, ox])
        for ox in range(columns):
            cell = out[row, ox]
            for channel in range(len(cell)):
                cell[channel] = max(cell[channel], np.float32(0.0))


@kernel
def add_product(feature, weight, cell):
    """cell f32[o] += feature f32[c] @ weight f32[c, o]; half of the features are zero."""
    for channel in range(len(feature)):
        value = feature[channel]
        if value != 0.0:
            for o in range(len(cell)):
                cell[o] += value * weight[channel, o]
