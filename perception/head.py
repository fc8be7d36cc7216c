"""Objects as peaks of class heatmaps, with a box, a velocity, a quality and an uncertainty at each peak.

Sources: Yin, Zhou, Krähenbühl, Center-based 3D Object Detection and Tracking (CVPR 2021); Wu et al., IoU-aware Single-stage
Object Detector (2020) for the quality that rescores.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_specs.objects import ObjectClass
from perception.bev import ConvNormRelu
from perception.grid import BevGrid
from perception.ops.nms import rotated_nms
from perception.targets import BOX_NUMBERS
from perception.uncertainty import SPREAD_NUMBERS

SHARED_PLACE_IOU = 0.2  # two objects of a street do not overlap more, seen from above
PRIOR = 0.02  # of a peak at the start: Lin et al., Focal Loss (2017), 4.1, keeps the first steps calm
QUALITY_SHARE = 0.3  # exponent of the quality in a score; the heatmap has the rest


@dataclass(frozen=True, slots=True)
class HeadMaps:
    """What the head says at every cell of b scenes."""

    heatmap: Tensor  # logits [b, c, h, w]
    box: Tensor  # [b, 10, h, w], BOX_NUMBERS
    quality: Tensor  # logits [b, 1, h, w] of the overlap of the box with its object
    spread: Tensor  # [b, 10, h, w], SPREAD_NUMBERS


@dataclass(frozen=True, slots=True)
class Peaks:
    """Objects found in b scenes, best first within each; m rows in all."""

    scene: Tensor  # i64[m]
    label: Tensor  # i64[m], index into the head's classes
    score: Tensor  # [m], 0 to 1
    center_m: Tensor  # [m, 3], ego
    size_lwh_m: Tensor  # [m, 3]
    yaw_rad: Tensor  # [m]
    velocity_mps: Tensor  # [m, 2], over ground along the ego's axes
    spread: Tensor  # [m, 10], SPREAD_NUMBERS

    def __getitem__(self, rows: Tensor) -> Peaks:
        """The peaks at an index or mask."""
        return Peaks(*(getattr(self, field.name)[rows] for field in fields(Peaks)))


class CenterHead(nn.Module):
    """Features [b, in_channels, h, w] to HeadMaps of the same h and w."""

    def __init__(self, classes: Sequence[ObjectClass], in_channels: int = 48, width: int = 48) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.heatmap = self._tower(in_channels, width, len(self.classes))
        self.geometry = ConvNormRelu(in_channels, width)
        self.box = nn.Conv2d(width, len(BOX_NUMBERS), 1)
        self.quality = nn.Conv2d(width, 1, 1)
        self.spread = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, len(SPREAD_NUMBERS), 1))
        nn.init.constant_(self.heatmap[-1].get_parameter("bias"), -log(1 / PRIOR - 1))

    def forward(self, features: Tensor) -> HeadMaps:
        geometry = self.geometry(features)
        # Quality and spread read the geometry and leave it alone: what they learn must not move the boxes.
        return HeadMaps(self.heatmap(features).float(), self.box(geometry).float(), self.quality(geometry.detach()).float(),
                        self.spread(geometry.detach()).float().clamp(-8.0, 5.0))

    @staticmethod
    def _tower(in_channels: int, width: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(ConvNormRelu(in_channels, width), nn.Conv2d(width, out_channels, 1))


def decode(maps: HeadMaps, grid: BevGrid, least_score: float = 0.05, most: int = 200) -> Peaks:
    """Cells that are the greatest of their 3x3 neighbours in their class, as boxes; at most `most` in each scene.

    A score is the heatmap's probability and the box's quality, multiplied with exponents that sum to one; the peaks are chosen by
    the heatmap alone.
    """
    b, c, h, w = maps.heatmap.shape
    probability = maps.heatmap.sigmoid()
    is_peak = F.max_pool2d(probability, 3, stride=1, padding=1) == probability
    best, flat = (probability * is_peak).reshape(b, -1).topk(min(most, c * h * w), dim=1)
    kept = best >= least_score
    scene = torch.arange(b, device=best.device)[:, None].expand_as(best)[kept]
    label, cell = flat[kept] // (h * w), flat[kept] % (h * w)
    iy, ix = cell // w, cell % w
    box = maps.box[scene, :, iy, ix]
    quality = maps.quality[scene, 0, iy, ix].sigmoid()
    score = best[kept] ** (1 - QUALITY_SHARE) * quality**QUALITY_SHARE
    center = torch.stack([ix, iy], dim=1) + 0.5 + box[:, 0:2]
    xy_m = box.new_tensor(grid.low_m[:2]) + center * grid.pillar_size_m
    found = Peaks(scene, label, score, torch.cat([xy_m, box[:, 2:3]], dim=1), box[:, 3:6].clamp(-3.0, 3.5).exp(),
                  torch.atan2(box[:, 6], box[:, 7]), box[:, 8:10], maps.spread[scene, :, iy, ix])
    order = torch.argsort(score, descending=True, stable=True)
    return found[order[torch.argsort(scene[order], stable=True)]]


def one_for_each_place(peaks: Peaks) -> Peaks:
    """The peaks of one scene, best first, without those that share the place of a better one, whatever their classes."""
    rectangles = torch.cat([peaks.center_m[:, :2], peaks.size_lwh_m[:, :2], peaks.yaw_rad[:, None]], dim=1)
    kept = rotated_nms(rectangles.double().cpu().numpy(), peaks.score.double().cpu().numpy(), SHARED_PLACE_IOU)
    return peaks[torch.from_numpy(kept).to(peaks.score.device)]
