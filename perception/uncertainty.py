"""From what a head says to what may be believed: calibrated scores and covariances.

Sources: Platt, Probabilistic outputs for support vector machines (1999); Guo et al., On Calibration of Modern Neural Networks
(ICML 2017). Both are fitted on drives that neither trained the network nor test it.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.head import UNCERTAIN, Peaks


class Calibration(nn.Module):
    """Per class a line through the score's logit, per box number a factor on the variance; the identity until fitted."""

    score_slope: Tensor  # [c]
    score_offset: Tensor  # [c]
    variance_scale: Tensor  # [7], UNCERTAIN

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("score_slope", torch.ones(classes))
        self.register_buffer("score_offset", torch.zeros(classes))
        self.register_buffer("variance_scale", torch.ones(len(UNCERTAIN)))

    def score(self, peaks: Peaks) -> Tensor:
        """Probability [m] that an object of the class stands within 2 m; keeps the order of scores within a class."""
        return torch.sigmoid(self.score_slope[peaks.label] * torch.logit(peaks.score, eps=1e-6) + self.score_offset[peaks.label])

    def variance(self, peaks: Peaks) -> Tensor:
        """Variances [m, 7] of x, y, z (m^2), yaw (rad^2) and the logarithms of length, width, height."""
        return peaks.log_variance.exp() * self.variance_scale


def covariance_of(variance: Tensor) -> Tensor:
    """Covariance [m, 6, 6] of x, y, z, yaw, vx, vy from variances [m, 7]; NaN where it is unmeasured: velocity."""
    covariance = variance.new_zeros(len(variance), 6, 6)
    covariance[:, range(4), range(4)] = variance[:, :4]
    covariance[:, 4:, :] = torch.nan
    covariance[:, :, 4:] = torch.nan
    return covariance


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


def fit_variance_scale(residual: Tensor, log_variance: Tensor) -> Tensor:
    """Factors [d] that bring the mean squared normalised residual of [k, d] to one; ones where there are under 20 rows."""
    if len(residual) < 20:
        return torch.ones(residual.shape[1])
    return (residual**2 * torch.exp(-log_variance)).mean(dim=0).clamp(min=0.05, max=20.0).float()
