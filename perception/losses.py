"""What training minimises: focal loss on heatmaps, L1 and then beta-NLL on boxes, overlap for quality, depth where measured.

Sources: Law & Deng, CornerNet (2018), eq. 1 and Zhou et al., Objects as Points (2019), eq. 1 for the focal loss; Seitzer et al.,
On the Pitfalls of Heteroscedastic Uncertainty Estimation (ICLR 2022), eq. 5 for beta-NLL.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from perception.uncertainty import whitened


def heatmap_focal_loss(logits: Tensor, heatmap: Tensor, weight: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss, a scalar: summed over cells and divided by the number of peaks (at least 1).

    `logits` and `heatmap` are [b, c, h, w], peaks are cells where heatmap is exactly 1; `weight` [b, 1, h, w] is 0 where a
    false peak goes unpunished. Peaks count whatever their weight.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = log_p.exp()
    peak = (heatmap == 1.0).to(logits.dtype)
    found = peak * (1 - p) ** alpha * log_p
    false = (1 - peak) * weight * (1 - heatmap) ** beta * p**alpha * log_not_p
    return -(found + false).sum() / peak.sum().clamp(min=1.0)


def box_l1_loss(predicted: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Mean over objects of the scaled absolute errors [k, d] summed over d; 0 without objects, NaN targets are left out."""
    known = torch.isfinite(target)
    error = (predicted - torch.where(known, target, predicted)).abs()
    return (error * scale).sum() / max(len(target), 1)


def velocity_loss(predicted: Tensor, target: Tensor, turn_mps: float = 5.0) -> Tensor:
    """Mean over objects of Huber's loss of velocities [k, 2] in m/s, summed and divided by `turn_mps`; NaN targets are left out.

    Most objects stand. L1 seeks the median, which is standing still wherever a network is not yet sure, and it stays there;
    squares below `turn_mps` seek the mean, and move with the first doubt.
    """
    known = torch.isfinite(target)
    wanted = torch.where(known, target, predicted)
    return F.huber_loss(predicted, wanted, reduction="sum", delta=turn_mps) / turn_mps / max(len(target), 1)


def beta_nll(residual: Tensor, spread: Tensor, beta: float = 0.5) -> Tensor:
    """Mean over objects of the Gaussian negative log likelihood, its parts weighed by variance to the power of beta; a scalar.

    `residual` [k, 9] and `spread` [k, 10] as in perception.uncertainty; NaN residuals are left out. With beta 0.5 the weight of a
    hard object's error shrinks with its sigma, not with its variance, so that it cannot buy its way out.
    """
    known = torch.isfinite(residual)
    unit, log_sigma = whitened(torch.where(known, residual, 0.0), spread)
    likelihood = (0.5 * unit.square() + log_sigma) * known
    weight = (2 * beta * log_sigma.detach()).exp()
    return (weight * likelihood).sum() / max(len(residual), 1)


def gaussian_nll(residual: Tensor, spread: Tensor) -> Tensor:
    """The same likelihood without weights, for spreads alone: the residual takes no gradient."""
    return beta_nll(residual.detach(), spread, beta=0.0)


def quality_loss(logits: Tensor, overlap: Tensor) -> Tensor:
    """Cross entropy of the quality [k] with the overlap [k], 0 to 1, that the box really has; a scalar, 0 for none."""
    return F.binary_cross_entropy_with_logits(logits, overlap.detach(), reduction="sum") / max(len(logits), 1)


def depth_loss(depth_logits: Tensor, place: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of the depth distribution with the bins around the measured depth; a scalar, 0 where none is measured.

    `depth_logits` [n, bins, h, w]; `place` [n, h, w] continuous bin numbers; `known` [n, h, w] bool.
    """
    picked = depth_logits.permute(0, 2, 3, 1)[known]
    low = place[known].floor().long().clamp(max=picked.shape[1] - 2)
    share = place[known] - low
    log_p = picked.float().log_softmax(dim=1)
    near, far = log_p.gather(1, low[:, None])[:, 0], log_p.gather(1, low[:, None] + 1)[:, 0]
    return -((1 - share) * near + share * far).sum() / max(int(known.sum()), 1)
