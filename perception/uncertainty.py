"""From what a head says to what may be believed: calibrated scores and covariances.

A spread is ten numbers for each box: the Cholesky factor of the covariance of x and y (the logarithms of its diagonal, and
what stands below), then logarithms of the standard deviations of z, yaw, log length, log width, log height and velocity.
Sources: Platt, Probabilistic outputs for support vector machines (1999); Guo et al., On Calibration of Modern Neural Networks
(ICML 2017). Both are fitted on drives that neither trained the network nor test it.
"""
from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPREAD_NUMBERS = ("log_xx", "log_yy", "yx", "log_z", "log_yaw", "log_l", "log_w", "log_h", "log_vx", "log_vy")
ERRORS = ("x", "y", "z", "yaw", "log_l", "log_w", "log_h", "vx", "vy")  # m, m, m, rad, 1, 1, 1, m/s, m/s
_SIZES = slice(4, 7)  # of ERRORS


class Calibration(nn.Module):
    """Per class a line through the score's logit, and a factor on the variance of each number; the identity until fitted."""

    score_slope: Tensor  # [c]
    score_offset: Tensor  # [c]
    variance_scale: Tensor  # [c, 9], ERRORS

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("score_slope", torch.ones(classes))
        self.register_buffer("score_offset", torch.zeros(classes))
        self.register_buffer("variance_scale", torch.ones(classes, len(ERRORS)))

    def score(self, label: Tensor, score: Tensor) -> Tensor:
        """Probability [m] that an object of the class stands within 2 m; keeps the order of scores within a class."""
        return torch.sigmoid(self.score_slope[label] * torch.logit(score, eps=1e-6) + self.score_offset[label])

    def covariance(self, label: Tensor, spread: Tensor) -> Tensor:
        """Covariance [m, 6, 6] of x, y, z, yaw, vx, vy; m, rad, m/s."""
        return covariance_of(spread, self.variance_scale[label])

    def size_sigma(self, label: Tensor, spread: Tensor) -> Tensor:
        """Standard deviations [m, 3] of length, width and height, relative to them."""
        return spread[:, 5:8].exp() * self.variance_scale[label][:, _SIZES].sqrt()


def whitened(residual: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals [k, 9] in units of their own spread, and the logarithms of what they were divided by, both [k, 9]."""
    log_sigma = torch.cat([spread[:, :2], spread[:, 3:]], dim=1)
    first = residual[:, 0] * torch.exp(-spread[:, 0])
    second = (residual[:, 1] - spread[:, 2] * first) * torch.exp(-spread[:, 1])
    rest = residual[:, 2:] * torch.exp(-spread[:, 3:])
    return torch.cat([first[:, None], second[:, None], rest], dim=1), log_sigma


def covariance_of(spread: Tensor, variance_scale: Tensor) -> Tensor:
    """Covariance [m, 6, 6] of x, y, z, yaw, vx, vy from spreads [m, 10] and factors [m, 9] on each number's variance."""
    lower = spread.new_zeros(len(spread), 6, 6)
    log_sigma = torch.cat([spread[:, :2], spread[:, 3:5], spread[:, 8:10]], dim=1)
    lower[:, range(6), range(6)] = log_sigma.exp()
    lower[:, 1, 0] = spread[:, 2]
    factor = torch.cat([variance_scale[:, :4], variance_scale[:, 7:]], dim=1).sqrt()
    lower = lower * factor[:, :, None]
    return lower @ lower.transpose(1, 2)


def box_residual(box: Tensor, target: Tensor, cell_m: float) -> Tensor:
    """What spreads are about, [k, 9]: errors (ERRORS) of boxes [k, 10] as perception.targets.BOX_NUMBERS; NaN stays."""
    yaw = torch.atan2(box[:, 6], box[:, 7]) - torch.atan2(target[:, 6], target[:, 7])
    error = box - target
    wrapped = torch.remainder(yaw + pi, 2 * pi) - pi
    return torch.cat([error[:, :2] * cell_m, error[:, 2:3], wrapped[:, None], error[:, 3:6], error[:, 8:10]], dim=1)


def fit_score(score: Tensor, is_true: Tensor, prior_weights: tuple[float, float] = (20.0, 1.0),
              rounds: int = 50) -> tuple[float, float]:
    """Slope and offset of the logistic line through logit(score) that best tells true detections from false ones.

    Newton's method, halving steps that overshoot, on the likelihood with a Gaussian prior around the identity, so that few
    or one-sided examples stay near it, the slope more so than the offset. The slope is kept at 0.1 or more, so that the order
    of scores never turns.
    """
    logit = torch.logit(score.double(), eps=1e-6)
    x, y = torch.stack([logit, torch.ones_like(logit)], dim=1), is_true.double()
    identity = torch.tensor([1.0, 0.0], dtype=torch.float64)
    prior = torch.tensor(prior_weights, dtype=torch.float64)

    def cost(line: Tensor) -> Tensor:
        misfit = F.binary_cross_entropy_with_logits(x @ line, y, reduction="sum")
        return misfit + (prior * (line - identity).square()).sum() / 2

    line = identity.clone()
    for _ in range(rounds):
        p = torch.sigmoid(x @ line)
        gradient = x.T @ (p - y) + prior * (line - identity)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + torch.diag(prior)
        move = torch.linalg.solve(hessian, gradient)
        while cost(line - move) > cost(line) and move.abs().max() > 1e-9:
            move = move / 2
        line = line - move
    return max(float(line[0]), 0.1), float(line[1])


def fit_variance_scale(residual: Tensor, spread: Tensor) -> Tensor:
    """Factors [9] that bring the mean squared whitened residual of [k, 9] to one; ones where there are under 20 rows."""
    if len(residual) < 20:
        return torch.ones(len(ERRORS))
    unit, _ = whitened(residual, spread)
    return unit.square().nanmean(dim=0).nan_to_num(1.0).clamp(min=0.05, max=20.0).float()
