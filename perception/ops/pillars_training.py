"""The pillar feature net's maximum with its gradient, on the CPU: only the point that wins a pillar's channel is learnt from.

A norm and a ReLU that follow a linear layer do not change which point that is, once the norm is folded into the layer; so no
[n, channels] tensor is ever kept, forward or backward.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perception.ops.cells_cpu import kernel


def highest_products(numbers: Tensor, weight: Tensor, pillar_of_point: Tensor, pillars: int) -> Tensor:
    """Maximum f32[p, channels] of numbers f32[n, k] @ weight[channels, k].T over each pillar's points; weight takes a gradient.

    pillar_of_point i64[n], -1 = none; every one of the p pillars has a point. Of equal points the first one wins.
    """
    highest: Any = _Highest.apply(weight, numbers, pillar_of_point, pillars)
    return highest


class _Highest(torch.autograd.Function):
    """highest_products, weight first."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, numbers: Tensor, pillar_of_point: Tensor, pillars: int) -> Tensor:
        highest = torch.full((pillars, len(weight)), -torch.inf)
        winner = torch.zeros(pillars, len(weight), dtype=torch.int32)
        ctx.save_for_backward(numbers, winner)
        write_highest((numbers @ weight.T).numpy(), pillar_of_point.numpy(), highest.numpy(), winner.numpy())
        return highest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        numbers, winner = ctx.saved_tensors
        to_weight = torch.zeros(winner.shape[1], numbers.shape[1])
        add_winners(gradients[0].contiguous().numpy(), winner.numpy(), numbers.numpy(), to_weight.numpy())
        return to_weight, None, None, None


@kernel
def write_highest(products, pillar_of_point, highest, winner):
    """highest f32[p, c] (from below everything) and the row of its point, winner i32[p, c], of products f32[n, c]."""
    for i in range(len(products)):
        pillar = pillar_of_point[i]
        if pillar < 0:
            continue
        for channel in range(products.shape[1]):
            better = products[i, channel] > highest[pillar, channel]
            highest[pillar, channel] = products[i, channel] if better else highest[pillar, channel]
            winner[pillar, channel] = i if better else winner[pillar, channel]


@kernel
def add_winners(gradient, winner, numbers, to_weight):
    """to_weight f32[c, k]: the sum over pillars of gradient f32[p, c] times the numbers of the winner."""
    for pillar in range(len(gradient)):
        for channel in range(gradient.shape[1]):
            some = gradient[pillar, channel]
            if some == 0:
                continue
            point = winner[pillar, channel]
            for k in range(numbers.shape[1]):
                to_weight[channel, k] += some * numbers[point, k]
