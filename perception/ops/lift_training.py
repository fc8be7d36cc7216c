"""The view transform's lookup with its gradient, on the CPU: what perception.view.ViewTransform.lift does in training.

Autograd would sort a million indices and hold a dozen tensors of all voxels; here each voxel is visited once forward and once
backward. Scenes are shared out over threads; a scene's voxels come in their order, so results repeat exactly.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_specs.arrays import Array
from perception.ops.cameras_cpu import NOTHING, pick_nearer_to_middle
from perception.ops.cells_cpu import in_parts, kernel

UNSEEN = -1


def lift_with_gradient(context: Tensor, likelihood: Tensor, looks: tuple[Array, Array]) -> Tensor:
    """Features f32[b, v, channels + 1]: each voxel's bilinear features times its likelihood of depth, and that likelihood.

    context f32[b, c, h, w, channels] and likelihood f32[b, c, h, w, bins] take gradients; `looks` as look_up gives them.
    """
    lifted: Any = _Lift.apply(context.contiguous(), likelihood.contiguous(), *looks)
    return lifted


def look_up(centers_m: Tensor, pixels_from_ego: Tensor, has_image: Tensor, hw: tuple[int, int],
            stride: int) -> tuple[Array, Array]:
    """Where voxels f32[v, 3] look: the picture i32[b, v], UNSEEN = none; and column, row and depth (m), f32[b, 3, v].

    The picture is the one in which a voxel lies nearest to the middle column; columns and rows are of maps of `hw` cells of
    `stride` pixels, kept half a cell off the border.
    """
    b, v = len(pixels_from_ego), len(centers_m)
    camera, seen = np.full((b, v), UNSEEN, np.int32), np.zeros((b, 3, v), np.float32)
    voxels, matrices, given = centers_m.numpy(), pixels_from_ego.numpy(), has_image.numpy()
    height, width = np.float32(hw[0] * stride), np.float32(hw[1] * stride)

    def one(part: int) -> None:
        for scene in range(part, b, threads):
            best = np.full(v, NOTHING, np.float32)
            for index in np.flatnonzero(given[scene]):
                pick_nearer_to_middle(voxels, matrices[scene, index], index, width, height, best, camera[scene], seen[scene])

    threads = _threads(b)
    in_parts(one, threads)
    for axis, cells in ((0, hw[1]), (1, hw[0])):
        seen[:, axis] = (seen[:, axis] / np.float32(stride) - np.float32(0.5)).clip(0, cells - 1)
    return camera, seen


class _Lift(torch.autograd.Function):
    """lift_with_gradient; `seen` holds the place among the bins where look_up had depths."""

    @staticmethod
    def forward(ctx: Any, context: Tensor, likelihood: Tensor, camera: Array, seen: Array) -> Tensor:
        ctx.save_for_backward(context, likelihood)
        ctx.looks = camera, seen
        lifted = torch.zeros(*camera.shape, context.shape[-1] + 1)
        features, likely, canvas = context.numpy(), likelihood.numpy(), lifted.numpy()

        def one(part: int) -> None:
            for scene in range(part, len(canvas), threads):
                write_lifted(camera[scene], seen[scene], features[scene], likely[scene], canvas[scene])

        threads = _threads(len(canvas))
        in_parts(one, threads)
        return lifted

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        context, likelihood = ctx.saved_tensors
        to_context, to_likelihood = torch.zeros_like(context), torch.zeros_like(likelihood)
        camera, seen = ctx.looks
        arrays = [t.detach().numpy() for t in (context, likelihood, gradients[0].contiguous(), to_context, to_likelihood)]

        def one(part: int) -> None:
            for scene in range(part, len(camera), threads):
                add_gradients(camera[scene], seen[scene], *(array[scene] for array in arrays))

        threads = _threads(len(camera))
        in_parts(one, threads)
        return to_context, to_likelihood, None, None


@kernel
def corners(column, row, h, w):
    """Left and top cell of the four around a place, and the shares of the four: left and right above, then below."""
    left, top = min(int(column), w - 2), min(int(row), h - 2)
    right, down = column - np.float32(left), row - np.float32(top)
    one = np.float32(1.0)
    return left, top, ((one - down) * (one - right), (one - down) * right, down * (one - right), down * right)


@kernel
def write_lifted(camera, seen, features, likely, canvas):
    """canvas f32[v, channels + 1] of one scene, zero before; features [c, h, w, channels], likely [c, h, w, bins]."""
    _, h, w, channels = features.shape
    bins = likely.shape[3]
    for i in range(len(camera)):
        picture = camera[i]
        if picture < 0:
            continue
        left, top, share = corners(seen[0, i], seen[1, i], h, w)
        near = min(int(seen[2, i]), bins - 2)
        far = seen[2, i] - np.float32(near)
        total = np.float32(0.0)
        for k in range(4):
            depths = likely[picture, top + k // 2, left + k % 2]
            total += share[k] * ((np.float32(1.0) - far) * depths[near] + far * depths[near + 1])
        a, b = features[picture, top, left], features[picture, top, left + 1]
        c, d = features[picture, top + 1, left], features[picture, top + 1, left + 1]
        for channel in range(channels):
            canvas[i, channel] = total * (share[0] * a[channel] + share[1] * b[channel] + share[2] * c[channel]
                                          + share[3] * d[channel])
        canvas[i, channels] = total


@kernel
def add_gradients(camera, seen, features, likely, gradient, to_features, to_likely):
    """Add what `gradient` f32[v, channels + 1] on a scene's canvas means for features and likelihoods."""
    _, h, w, channels = features.shape
    bins = likely.shape[3]
    for i in range(len(camera)):
        picture = camera[i]
        if picture < 0:
            continue
        left, top, share = corners(seen[0, i], seen[1, i], h, w)
        near = min(int(seen[2, i]), bins - 2)
        far = seen[2, i] - np.float32(near)
        total, to_total = np.float32(0.0), gradient[i, channels]
        for k in range(4):
            depths, some = likely[picture, top + k // 2, left + k % 2], features[picture, top + k // 2, left + k % 2]
            total += share[k] * ((np.float32(1.0) - far) * depths[near] + far * depths[near + 1])
            product = np.float32(0.0)
            for channel in range(channels):
                product += gradient[i, channel] * some[channel]
            to_total += share[k] * product
        for k in range(4):
            y, x, part = top + k // 2, left + k % 2, share[k] * total
            for channel in range(channels):
                to_features[picture, y, x, channel] += part * gradient[i, channel]
            to_likely[picture, y, x, near] += share[k] * (np.float32(1.0) - far) * to_total
            to_likely[picture, y, x, near + 1] += share[k] * far * to_total


def _threads(scenes: int) -> int:
    return max(1, min(torch.get_num_threads(), scenes))
