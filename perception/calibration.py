"""From what a head says to what may be believed: calibrated scores and covariances.

Both follow straight lines through a few facts of a peak, per class: its range, how near a better peak of its class stands, its
score and, for variances, the variance that the head states. A class's lines are drawn to those of all classes, so few examples
stay near them. Scores: logistic regression (Platt, Probabilistic outputs for support vector machines, 1999). The logarithm of
a variance's factor: the sum of two convex losses, the Gaussian likelihood, least where the mean square of the errors is right,
and the quantile loss (Koenker & Bassett, Regression Quantiles, 1978), least where the region that should hold 90 % does.
Errors have heavier tails than a Gaussian's, so the two disagree; the sum lies between.
"""
from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.head import Peaks
from perception.uncertainty import ERRORS, covariance_of, sigma_of, whitened

RANGE_KNOTS_M = (5.0, 15.0, 25.0, 35.0, 45.0)  # lines bend here, and are level beyond
CROWD_M = 3.0  # farther away, a peak says nothing about another
TRUSTED, SURE = 0.3, 0.97  # lines of variances are fitted from the first score on, and are level beyond both
PLACE_FACTS = len(RANGE_KNOTS_M) + 3
TYPICAL_SIGMA = (0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.5)  # of ERRORS
PAIRS = ((0, 1), (7, 8))  # of ERRORS, which are judged together too: places and velocities
HELD = 0.9
REGION = {1: 2.705543, 2: 4.605170}  # chi-square's quantile of HELD by dimensions: squared errors within it are held
QUANTILE_WEIGHT = 8.0  # 0.03 of the share held count as much as a quarter of the mean square
SOFTNESS = 0.1  # of the quantile loss's bend, in logarithms of squared errors
MOST_CHANGE = log(50.0)  # of a variance
LEAST_SLOPE = 0.1  # of a score's logit, so that the order of scores never turns
SCORE_RIDGE, VARIANCE_RIDGE = 2.0, 50.0  # examples' worth of trust that a class is as all are, and all as the head says


class Calibration(nn.Module):
    """Lines per class for scores and variances; the identity until fitted."""

    score_weights: Tensor  # [c, PLACE_FACTS + 1]
    variance_weights: Tensor  # [c, 9, PLACE_FACTS + 2], of ERRORS

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("score_weights", torch.zeros(classes, PLACE_FACTS + 1))
        self.register_buffer("variance_weights", torch.zeros(classes, len(ERRORS), PLACE_FACTS + 2))

    def score(self, peaks: Peaks) -> Tensor:
        """Probability [m] that an object of the class stands within 2 m of each peak of one scene."""
        facts = score_facts(peaks)
        return torch.sigmoid(facts[:, -1] + (facts * self.score_weights[peaks.label]).sum(dim=1))

    def uncertainty(self, peaks: Peaks) -> tuple[Tensor, Tensor]:
        """Covariance f64[m, 6, 6] of x, y, z, yaw, vx, vy (m, rad, m/s) of peaks of one scene.

        And the standard deviations f64[m, 3] of length, width and height, relative to them.
        """
        spread = peaks.spread.double()
        factor = self.variance_factor(self.variance_facts(peaks), peaks.label).double()
        return covariance_of(spread, factor), (sigma_of(spread) * factor.sqrt())[:, 4:7]

    def variance_facts(self, peaks: Peaks) -> Tensor:
        """What the variances of ERRORS follow from, [m, 9, PLACE_FACTS + 2], of peaks of one scene; alike within PAIRS."""
        logit = torch.logit(self.score(peaks).clamp(TRUSTED, SURE))
        shared = torch.cat([_place(peaks), logit[:, None]], dim=1)
        stated = (sigma_of(peaks.spread) / peaks.spread.new_tensor(TYPICAL_SIGMA)).log()
        for pair in PAIRS:
            stated[:, pair] = stated[:, pair].mean(dim=1, keepdim=True)
        return torch.cat([shared[:, None].expand(-1, len(ERRORS), -1), stated[:, :, None]], dim=2)

    def variance_factor(self, facts: Tensor, label: Tensor) -> Tensor:
        """Factors [m, 9] on the variances of ERRORS."""
        return (facts * self.variance_weights[label]).sum(dim=2).clamp(-MOST_CHANGE, MOST_CHANGE).exp()

    def fit_scores(self, label: Tensor, facts: Tensor, is_true: Tensor) -> None:
        """Set the lines of scores from score_facts [m, ..] of many scenes and whether each peak is right, bool [m]."""
        weights = fit_by_class(facts, label, len(self.score_weights), SCORE_RIDGE, lambda move:
                               F.binary_cross_entropy_with_logits(facts[:, -1] + move, is_true.to(move), reduction="sum"))
        weights[:, -1] = weights[:, -1].clamp(min=LEAST_SLOPE - 1)
        self.score_weights.copy_(weights)

    def fit_variances(self, label: Tensor, facts: Tensor, residual: Tensor, spread: Tensor) -> None:
        """Set the lines of variances from variance_facts, errors f64[m, 9] and spreads [m, 10] of trusted peaks.

        First each number for itself, then both of a pair alike. NaN errors are left out.
        """
        facts, spread = facts.double(), spread.double()
        squared = (residual / sigma_of(spread)).square()
        for number in range(len(ERRORS)):
            self.variance_weights[:, number] = self._lines(facts[:, number], label, squared[:, number], 1, 0.0)
        # A few boxes turned the wrong way would spoil a mean square: places alone are held to theirs.
        for pair, mean_square in zip(PAIRS, (1.0, 0.0)):
            factor = self.variance_factor(facts, label)
            unit, _ = whitened(residual / factor.sqrt(), spread)
            lines = self._lines(facts[:, pair[0]], label, unit[:, pair].square().sum(dim=1), 2, mean_square)
            self.variance_weights[:, pair] += lines[:, None]

    def _lines(self, facts: Tensor, label: Tensor, squared: Tensor, dimensions: int, mean_square: float) -> Tensor:
        """Weights f32[c, PLACE_FACTS + 2] that fit squared errors [m] in units of their variance; NaN are left out."""
        known = torch.isfinite(squared)
        return fit_by_class(facts[known], label[known], len(self.variance_weights), VARIANCE_RIDGE,
                            lambda move: variance_loss(move, squared[known], dimensions, mean_square)).float()


def score_facts(peaks: Peaks) -> Tensor:
    """What scores follow from, [m, PLACE_FACTS + 1], of peaks of one scene; the last is the logit of the head's own."""
    return torch.cat([_place(peaks), torch.logit(peaks.score, eps=1e-6)[:, None]], dim=1)


def variance_loss(log_factor: Tensor, squared: Tensor, dimensions: int, mean_square: float) -> Tensor:
    """Sum over examples of quantile loss and, weighed by `mean_square`, likelihood of squared whitened errors [k], a scalar."""
    over = squared.clamp(min=1e-9).log() - log(REGION[dimensions]) - log_factor
    quantile = HELD * over + SOFTNESS * F.softplus(-over / SOFTNESS)
    likelihood = (squared * torch.exp(-log_factor) / dimensions + log_factor) if mean_square else torch.zeros_like(over)
    return (QUANTILE_WEIGHT * quantile + mean_square * likelihood).sum()


def fit_by_class(facts: Tensor, label: Tensor, classes: int, ridge: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Weights f64[classes, f] whose (facts [k, f] * weights).sum() make a convex `loss` of [k] least.

    Each class's weights are common ones and its own; `ridge` is what the square of either costs.
    """
    facts = facts.double()
    common = facts.new_zeros(facts.shape[1], requires_grad=True)
    own = facts.new_zeros(classes, facts.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([common, own], max_iter=500, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        search.zero_grad()
        total = loss((facts * (common + own)[label]).sum(dim=1)) + ridge / 2 * (common.square().sum() + own.square().sum())
        total.backward()
        return total

    search.step(cost)
    return (common + own).detach()


def _place(peaks: Peaks) -> Tensor:
    """Where each peak stands, [m, PLACE_FACTS], as shares from 0 to 1.

    Of each range knot, by how near it the range is; then how near the nearest better peak of its class, any of its class and
    any of another class stands: 1 - distance / CROWD_M.
    """
    knots_m = peaks.score.new_tensor(RANGE_KNOTS_M)
    range_m = peaks.center_m[:, :2].norm(dim=1, keepdim=True).clamp(knots_m[0], knots_m[-1])
    at_knot = (1 - (range_m - knots_m).abs() / (knots_m[1] - knots_m[0])).clamp(min=0.0)
    apart_m = torch.cdist(peaks.center_m[:, :2], peaks.center_m[:, :2])
    near = (1 - apart_m / CROWD_M).clamp(min=0.0).fill_diagonal_(0.0)
    alike = peaks.label[:, None] == peaks.label
    better = peaks.score[:, None] < peaks.score
    crowds = [torch.cat([near * there, near.new_zeros(len(near), 1)], dim=1).amax(dim=1)  # the added column: nobody at all
              for there in (alike & better, alike, ~alike)]
    return torch.cat([at_knot, torch.stack(crowds, dim=1)], dim=1)
