"""What joins cameras with points and with the bird's-eye view, on the CPU: few pixels and voxels matter, and only they cost.

Each function equals one of perception.camera or perception.view, named in its docstring, up to float32's rounding: a point
within a thousandth of a pixel of a border may fall to the other side. Pictures and rows of the grid are shared out over
threads, and no two threads write to one place, so results repeat exactly. For inference: nothing here has a gradient.
"""
from __future__ import annotations

from math import log

import numpy as np
import torch
from torch import Tensor

from perception.ops.cells_cpu import BLOCK, in_parts, kernel

NEAREST_M = 0.5  # what is closer to a lens, or behind it, is not looked up
NOTHING = np.float32(np.inf)


def lidar_depth_cpu(points: Tensor, scene: Tensor, pixels_from_ego: Tensor, hw: tuple[int, int], stride: int) -> Tensor:
    """Depth f32[b, c, h, w] of the newest of points f32[n, 5] in cells of `stride` pixels, 0 = none (camera.lidar_depth_m)."""
    matrices = pixels_from_ego.numpy()
    b, c = matrices.shape[:2]
    depth_m = np.empty((b, c, *hw), np.float32)
    rows, ends = points.numpy(), np.searchsorted(scene.numpy(), np.arange(b + 1))

    def one(part: int) -> None:
        for picture in range(part, b * c, threads):
            i, camera = divmod(picture, c)
            write_depth(rows[ends[i]:ends[i + 1]], matrices[i, camera], np.float32(stride), depth_m[i, camera])

    threads = _threads(b * c)
    in_parts(one, threads)
    return torch.from_numpy(depth_m)


def add_lidar_logits_cpu(logits: Tensor, depth_m: Tensor, place: Tensor, weight: Tensor) -> None:
    """Add to logits f32[n, h, w, bins] what measured depths say: camera.CameraEncoder.spread of two_hot.

    depth_m and place [n, h, w]: depths, 0 = none, and where they lie among the bins; weight f32[bins, 1, 3, 3].
    """
    rows, taps = logits.numpy(), weight[:, 0].contiguous().numpy()
    depths, places = depth_m.numpy(), place.numpy()

    def one(part: int) -> None:
        for picture in range(part, len(rows), threads):
            add_logits(depths[picture], places[picture], taps, rows[picture])

    threads = _threads(len(rows))
    in_parts(one, threads)


def lift_cpu(context: Tensor, likelihood: Tensor, pixels_from_ego: Tensor, has_image: Tensor, centers_m: Tensor,
             grid_yx: tuple[int, int], stride: int, bins_m: tuple[float, float]) -> Tensor:
    """Features f32[b, levels * (channels + 1), ny, nx], channels last, of voxels f32[ny * nx * levels, 3] (ViewTransform.lift).

    context f32[b, c, h, w, channels] and likelihood f32[b, c, h, w, bins] (it sums to one over the bins) of c pictures,
    pixels_from_ego f32[b, c, 3, 4], has_image bool[b, c]; bins reach from bins_m[0] to bins_m[1] by equal ratios.
    """
    features, likely, matrices, has = context.numpy(), likelihood.numpy(), pixels_from_ego.numpy(), has_image.numpy()
    b, ny, voxels = len(features), grid_yx[0], centers_m.numpy().reshape(grid_yx[0], -1, 3)
    canvas = np.empty((b, *voxels.shape[:2], features.shape[-1] + 1), np.float32)
    bins_per_log = np.float32((likely.shape[-1] - 1) / log(bins_m[1] / bins_m[0]))

    def one(part: int) -> None:
        for row in range(part, b * ny, threads):
            i, iy = divmod(row, ny)
            write_lifted(voxels[iy], matrices[i], has[i], features[i], likely[i], np.float32(stride), np.float32(1 / bins_m[0]),
                         bins_per_log, canvas[i, iy])

    threads = _threads(b * ny)
    in_parts(one, threads)
    return torch.from_numpy(canvas).view(b, *grid_yx, -1).permute(0, 3, 1, 2)


def _threads(pieces: int) -> int:
    return max(1, min(torch.get_num_threads(), pieces))


@kernel
def write_depth(points, matrix, stride, depth_m):
    """depth_m f32[h, w]: the least depth of points f32[n, 5] of age 0 in each cell of a picture; 0 where there is none."""
    h, w = depth_m.shape
    depth_m[:] = NOTHING
    ray = np.empty((3, BLOCK), np.float32)
    for start in range(0, len(points), BLOCK):
        block = points[start:start + BLOCK]
        for axis in range(3):
            for i in range(len(block)):
                ray[axis, i] = (matrix[axis, 0] * block[i, 0] + matrix[axis, 1] * block[i, 1] + matrix[axis, 2] * block[i, 2]
                                + matrix[axis, 3])
        for i in range(len(block)):
            if block[i, 4] != 0.0 or not ray[2, i] > np.float32(NEAREST_M):
                continue
            column, row = np.floor(ray[0, i] / (ray[2, i] * stride)), np.floor(ray[1, i] / (ray[2, i] * stride))
            if column >= 0 and column < w and row >= 0 and row < h:
                cell = depth_m[int(row)]
                cell[int(column)] = min(cell[int(column)], ray[2, i])
    for row in range(h):
        for column in range(w):
            if depth_m[row, column] == NOTHING:
                depth_m[row, column] = np.float32(0.0)


@kernel
def add_logits(depth_m, place, taps, logits):
    """Add known depths of [h, w], each to its two nearest bins of logits f32[h, w, bins] around it, by taps f32[bins, 3, 3]."""
    h, w, bins = logits.shape
    for row in range(h):
        for column in range(w):
            if not depth_m[row, column] > 0:
                continue
            low = min(int(place[row, column]), bins - 2)
            far = place[row, column] - np.float32(low)
            for y in range(max(row - 1, 0), min(row + 2, h)):
                for x in range(max(column - 1, 0), min(column + 2, w)):
                    logits[y, x, low] += taps[low, row - y + 1, column - x + 1] * (np.float32(1.0) - far)
                    logits[y, x, low + 1] += taps[low + 1, row - y + 1, column - x + 1] * far


@kernel
def write_lifted(voxels, matrices, has_image, features, likely, stride, per_nearest, bins_per_log, canvas):
    """canvas f32[v, channels + 1] of voxels f32[v, 3]: bilinear features times likelihood of depth, and that likelihood."""
    count = len(voxels)
    _, h, w, channels = features.shape
    bins = likely.shape[3]
    best = np.full(count, NOTHING, np.float32)
    camera, seen = np.zeros(count, np.int32), np.zeros((3, count), np.float32)
    for index in range(len(matrices)):
        if has_image[index]:
            pick_nearer_to_middle(voxels, matrices[index], index, np.float32(w) * stride, np.float32(h) * stride, best, camera,
                                  seen)
    for i in range(count):
        if best[i] == NOTHING:
            canvas[i] = np.float32(0.0)
            continue
        column = min(max(seen[0, i] / stride - np.float32(0.5), np.float32(0.0)), np.float32(w - 1))
        row = min(max(seen[1, i] / stride - np.float32(0.5), np.float32(0.0)), np.float32(h - 1))
        left, top = min(int(column), w - 2), min(int(row), h - 2)
        right, down = column - np.float32(left), row - np.float32(top)
        place = min(max(np.log(seen[2, i] * per_nearest) * bins_per_log, np.float32(0.0)), np.float32(bins - 1))
        near = min(int(place), bins - 2)
        far = place - np.float32(near)
        of_picture, likely_of_picture = features[camera[i]], likely[camera[i]]
        share = ((np.float32(1.0) - down) * (np.float32(1.0) - right), (np.float32(1.0) - down) * right,
                 down * (np.float32(1.0) - right), down * right)
        total = np.float32(0.0)
        for k in range(4):
            depths = likely_of_picture[top + k // 2, left + k % 2]
            total += share[k] * ((np.float32(1.0) - far) * depths[near] + far * depths[near + 1])
        a, b = of_picture[top, left], of_picture[top, left + 1]
        c, d = of_picture[top + 1, left], of_picture[top + 1, left + 1]
        for channel in range(channels):
            canvas[i, channel] = total * (share[0] * a[channel] + share[1] * b[channel] + share[2] * c[channel]
                                          + share[3] * d[channel])
        canvas[i, channels] = total


@kernel
def pick_nearer_to_middle(voxels, matrix, index, width, height, best, camera, seen):
    """Where this camera sees a voxel nearer to its middle column than `best` [v] says, put its index, and u, v, depth [3, v]."""
    for i in range(len(voxels)):
        x, y, z = voxels[i, 0], voxels[i, 1], voxels[i, 2]
        depth_m = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        safe_m = max(depth_m, np.float32(NEAREST_M))
        u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / safe_m
        v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / safe_m
        off_middle = abs(u - width / np.float32(2.0))
        nearer = ((depth_m > np.float32(NEAREST_M)) & (u >= 0) & (u < width) & (v >= 0) & (v < height) & (off_middle < best[i]))
        best[i] = off_middle if nearer else best[i]
        camera[i] = index if nearer else camera[i]
        seen[0, i] = u if nearer else seen[0, i]
        seen[1, i] = v if nearer else seen[1, i]
        seen[2, i] = depth_m if nearer else seen[2, i]
