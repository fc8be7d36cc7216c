"""Spreads: what a head says about the errors of its own boxes, and the covariances that follow.

A spread is ten numbers for each box: the Cholesky factor of the covariance of x and y (the logarithms of its diagonal, and
what stands below), then logarithms of the standard deviations of z, yaw, log length, log width, log height and velocity.
"""
from __future__ import annotations

from math import pi

import torch
from torch import Tensor

SPREAD_NUMBERS = ("log_xx", "log_yy", "yx", "log_z", "log_yaw", "log_l", "log_w", "log_h", "log_vx", "log_vy")
ERRORS = ("x", "y", "z", "yaw", "log_l", "log_w", "log_h", "vx", "vy")  # m, m, m, rad, 1, 1, 1, m/s, m/s


def whitened(residual: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals [k, 9] in units of their own spread, and the logarithms of what they were divided by, both [k, 9]."""
    log_sigma = torch.cat([spread[:, :2], spread[:, 3:]], dim=1)
    unit = residual * torch.exp(-log_sigma)
    second = (residual[:, 1] - spread[:, 2] * unit[:, 0]) * torch.exp(-spread[:, 1])
    return torch.cat([unit[:, :1], second[:, None], unit[:, 2:]], dim=1), log_sigma


def sigma_of(spread: Tensor) -> Tensor:
    """Standard deviations [m, 9] of ERRORS, each by itself."""
    y = torch.hypot(spread[:, 1].exp(), spread[:, 2])
    return torch.cat([spread[:, :1].exp(), y[:, None], spread[:, 3:].exp()], dim=1)


def covariance_of(spread: Tensor, variance_factor: Tensor) -> Tensor:
    """Covariance [m, 6, 6] of x, y, z, yaw, vx, vy from spreads [m, 10] and factors [m, 9] on the variances of ERRORS."""
    sigma = sigma_of(spread)
    lower = torch.diag_embed(torch.cat([sigma[:, :4], sigma[:, 7:]], dim=1))
    lower[:, 1, 0], lower[:, 1, 1] = spread[:, 2], spread[:, 1].exp()
    lower = lower * torch.cat([variance_factor[:, :4], variance_factor[:, 7:]], dim=1).sqrt()[:, :, None]
    return lower @ lower.transpose(1, 2)


def box_residual(box: Tensor, target: Tensor, cell_m: float) -> Tensor:
    """What spreads are about, [k, 9]: errors (ERRORS) of boxes [k, 10] as perception.targets.BOX_NUMBERS; NaN stays."""
    yaw = torch.atan2(box[:, 6], box[:, 7]) - torch.atan2(target[:, 6], target[:, 7])
    error = box - target
    wrapped = torch.remainder(yaw + pi, 2 * pi) - pi
    return torch.cat([error[:, :2] * cell_m, error[:, 2:3], wrapped[:, None], error[:, 3:6], error[:, 8:10]], dim=1)
