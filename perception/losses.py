"""What training minimises: a focal loss on heatmaps, L1 on box numbers, Gaussian likelihood on their log variances.

Sources: Law & Deng, CornerNet (2018), eq. 1 and Zhou et al., Objects as Points (2019), eq. 1 for the focal loss; Nix & Weigend,
Estimating the mean and variance of the target probability distribution (1994) for the likelihood.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    """Mean over objects of the scaled absolute errors [k, d] summed over d; 0 where there is no object."""
    return ((predicted - target).abs() * scale).sum() / max(len(target), 1)


def gaussian_nll(residual: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over objects of -log N(residual; 0, exp(log_variance)), without its constant, summed over [k, d]; 0 for none.

    The residual does not take a gradient: the likelihood moves the variances alone, so a hard object cannot buy a small
    loss with a large variance at the cost of its mean.
    """
    squared = residual.detach() ** 2
    return 0.5 * (squared * torch.exp(-log_variance) + log_variance).sum() / max(len(residual), 1)
