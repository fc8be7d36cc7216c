"""What the sample before showed, moved with the ego, beside what this one shows.

The two maps are of one grid, each in its own ego frame; the ego's motion between them brings the old one into the new frame.
What stands still then lies on itself, and what moved by itself does not, which is how a network sees velocity.
Source: Huang & Huang, BEVDet4D (2022), 3.2, for aligning the bird's-eye view of the frame before; its motion here is planar.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_specs.pose import SE3
from data_specs.sensors import Sample
from perception.grid import BevGrid
from perception.precision import full_precision

SPAN_NS = 620_000_000  # a map older than this says little of now; two samples a second are within it


@dataclass(frozen=True, slots=True)
class EarlierMap:
    """The merged map of an earlier moment of b scenes, and how the ego has moved since."""

    features: Tensor  # [b, c, ny, nx], in the ego frame of then
    then_from_now: Tensor  # f32 [b, 3, 3], planar: x, y (m) in the ego frame of then from those of now


class BevMemory(nn.Module):
    """Adds what a convolution makes of the earlier map to the map of now, [b, channels, ny, nx]; shape is kept.

    The convolution starts at zero: a network that learns to remember starts from what it knows without.
    """

    def __init__(self, grid: BevGrid, channels: int) -> None:
        super().__init__()
        self.grid = grid
        self.recall = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.recall.parameters():
            nn.init.zeros_(parameter)

    def forward(self, merged: Tensor, earlier: EarlierMap | None) -> Tensor:
        """The map of now alone where there is no earlier one."""
        if earlier is None:
            return merged
        return merged + self.recall(moved(earlier, self.grid).to(merged.dtype))


@full_precision
def moved(earlier: EarlierMap, grid: BevGrid) -> Tensor:
    """The earlier features in the ego frame of now, [b, c, ny, nx], bilinear; zero where they did not reach."""
    ends_m = torch.tensor([grid.x_range_m, grid.y_range_m], dtype=torch.float32, device=earlier.features.device)
    half_m, middle_m = (ends_m[:, 1] - ends_m[:, 0]) / 2, ends_m.mean(dim=1)
    metres_from_unit = torch.eye(3, device=ends_m.device)  # of grid_sample's coordinates, -1 to 1 from edge to edge
    metres_from_unit[:2, :2], metres_from_unit[:2, 2] = torch.diag(half_m), middle_m
    unit_from_unit = torch.linalg.inv(metres_from_unit) @ earlier.then_from_now @ metres_from_unit
    features = earlier.features.float()
    at = F.affine_grid(unit_from_unit[:, :2], list(features.shape), align_corners=False)
    return F.grid_sample(features, at, align_corners=False)


def planar(pose: SE3) -> Tensor:
    """A transform of the ego frame as one of its plane, f32 [3, 3]; height, roll and pitch are left out."""
    matrix = torch.eye(3)
    matrix[:2, :2] = torch.from_numpy(pose.rotation[:2, :2].copy())
    matrix[:2, 2] = torch.from_numpy(pose.translation_m[:2].copy())
    return matrix


class LastMap:
    """The merged map of the last sample of a stream; another drive, or a jump in time, forgets it."""

    def __init__(self, span_ns: int = SPAN_NS) -> None:
        self.span_ns = span_ns
        self._kept: tuple[Sample, Tensor] | None = None

    def exchange(self, sample: Sample, merged: Tensor) -> EarlierMap | None:
        """The map before that of `sample`, if it is of the same drive and older by at most the span.

        `merged` [1, c, ny, nx], the map of `sample`, is kept in its place.
        """
        kept, self._kept = self._kept, (sample, merged)
        if kept is None:
            return None
        then, features = kept
        if then.drive_id != sample.drive_id or not 0 < sample.taken_ns - then.taken_ns <= self.span_ns:
            return None
        then_from_now = planar(then.map_from_ego.inverse() @ sample.map_from_ego)
        return EarlierMap(features, then_from_now[None].to(features.device))
