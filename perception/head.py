"""Objects as peaks of class heatmaps, with a box and its log variances at each peak.

Source: Yin, Zhou, Krähenbühl, Center-based 3D Object Detection and Tracking (CVPR 2021). A single sweep shows no motion, so
there is no velocity here.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_specs.objects import ObjectClass
from perception.bev import ConvNormRelu
from perception.grid import BevGrid
from perception.ops.nms import rotated_nms
from perception.targets import BOX_NUMBERS

UNCERTAIN = ("x", "y", "z", "yaw", "log_l", "log_w", "log_h")  # what a log variance is given for; m, m, m, rad, 1, 1, 1
SHARED_PLACE_IOU = 0.2  # two objects of a street do not overlap more, seen from above
PRIOR = 0.02  # of a peak at the start: Lin et al., Focal Loss (2017), 4.1, keeps the first steps calm


@dataclass(frozen=True, slots=True)
class HeadMaps:
    """What the head says at every cell of b scenes."""

    heatmap: Tensor  # logits [b, c, h, w]
    box: Tensor  # [b, 8, h, w], BOX_NUMBERS
    log_variance: Tensor  # [b, 7, h, w], UNCERTAIN


@dataclass(frozen=True, slots=True)
class Peaks:
    """Objects found in b scenes, best first within each; m rows in all."""

    scene: Tensor  # i64[m]
    label: Tensor  # i64[m], index into the head's classes
    score: Tensor  # [m], 0 to 1
    center_m: Tensor  # [m, 3], ego
    size_lwh_m: Tensor  # [m, 3]
    yaw_rad: Tensor  # [m]
    log_variance: Tensor  # [m, 7], UNCERTAIN

    def __getitem__(self, rows: Tensor) -> Peaks:
        """The peaks at an index or mask."""
        return Peaks(self.scene[rows], self.label[rows], self.score[rows], self.center_m[rows], self.size_lwh_m[rows],
                     self.yaw_rad[rows], self.log_variance[rows])


class CenterHead(nn.Module):
    """Features [b, in_channels, h, w] to HeadMaps of the same h and w."""

    def __init__(self, classes: Sequence[ObjectClass], in_channels: int = 64) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.heatmap = self._tower(in_channels, len(self.classes))
        self.box = self._tower(in_channels, len(BOX_NUMBERS))
        self.log_variance = nn.Sequential(nn.Conv2d(in_channels, in_channels, 1), nn.ReLU(inplace=True),
                                          nn.Conv2d(in_channels, len(UNCERTAIN), 1))
        nn.init.constant_(self.heatmap[-1].get_parameter("bias"), -log(1 / PRIOR - 1))

    def forward(self, features: Tensor) -> HeadMaps:
        # The variances read the features and leave them alone: what they learn must not move the boxes.
        return HeadMaps(self.heatmap(features).float(), self.box(features).float(),
                        self.log_variance(features.detach()).float().clamp(-10.0, 4.0))

    @staticmethod
    def _tower(in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(ConvNormRelu(in_channels, in_channels), nn.Conv2d(in_channels, out_channels, 1))


def decode(maps: HeadMaps, grid: BevGrid, least_score: float = 0.05, most: int = 200) -> Peaks:
    """Cells that are the greatest of their 3x3 neighbours in their class, as boxes; at most `most` in each scene."""
    b, c, h, w = maps.heatmap.shape
    probability = maps.heatmap.sigmoid()
    is_peak = F.max_pool2d(probability, 3, stride=1, padding=1) == probability
    best, flat = (probability * is_peak).reshape(b, -1).topk(min(most, c * h * w), dim=1)
    kept = best >= least_score
    scene = torch.arange(b, device=best.device)[:, None].expand_as(best)[kept]
    label, cell = flat[kept] // (h * w), flat[kept] % (h * w)
    iy, ix = cell // w, cell % w
    box = maps.box[scene, :, iy, ix]
    center = torch.stack([ix, iy], dim=1) + 0.5 + box[:, 0:2]
    xy_m = box.new_tensor(grid.low_m[:2]) + center * grid.pillar_size_m
    return Peaks(scene, label, best[kept], torch.cat([xy_m, box[:, 2:3]], dim=1), box[:, 3:6].clamp(-3.0, 3.5).exp(),
                 torch.atan2(box[:, 6], box[:, 7]), maps.log_variance[scene, :, iy, ix])


def one_for_each_place(peaks: Peaks) -> Peaks:
    """The peaks of one scene, best first, without those that share the place of a better one, whatever their classes."""
    rectangles = torch.cat([peaks.center_m[:, :2], peaks.size_lwh_m[:, :2], peaks.yaw_rad[:, None]], dim=1)
    kept = rotated_nms(rectangles.double().numpy(), peaks.score.double().numpy(), SHARED_PLACE_IOU)
    return peaks[torch.from_numpy(kept)]
