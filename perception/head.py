"""Objects as peaks of class heatmaps, with a box, a velocity, a quality and an uncertainty at each peak.

Sources: Yin, Zhou, Krähenbühl, Center-based 3D Object Detection and Tracking (CVPR 2021); Wu et al., IoU-aware Single-stage
Object Detector (2020) for the quality that rescores.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log
from typing import cast

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
LEAST_HEAT = 0.05  # what the heatmap holds less likely is no peak
FAR_BELOW = 1e4  # a logit so much lower is a probability of 0
MOST_PEAKS = 200  # in a scene
QUALITY_SHARE = 0.3  # exponent of the quality in a score; the heatmap has the rest


@dataclass(frozen=True, slots=True)
class HeadMaps:
    """What the head says at every cell of b scenes."""

    heatmap: Tensor  # logits [b, c, h, w]
    box: Tensor  # [b, 10, h, w], BOX_NUMBERS
    quality: Tensor  # logits [b, 1, h, w] of the overlap of the box with its object
    spread: Tensor  # [b, 10, h, w], SPREAD_NUMBERS


@dataclass(frozen=True, slots=True)
class Candidates:
    """The strongest cells of b scenes, m in each whatever they show: shapes are static, as a CUDA graph wants them."""

    heat: Tensor  # [b, m] probability, greatest first; 0 where the map has no more peaks
    label: Tensor  # i64 [b, m], index into the head's classes
    cell: Tensor  # i64 [b, m]: iy * w + ix
    box: Tensor  # [b, m, 10], BOX_NUMBERS
    quality: Tensor  # logits [b, m, 1]
    spread: Tensor  # [b, m, 10], SPREAD_NUMBERS


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
        return HeadMaps(self.heatmap(features).float(), *self._numbers(self.geometry(features)))

    def candidates(self, features: Tensor, most: int = MOST_PEAKS) -> Candidates:
        """`strongest` of the maps that forward would give, without working out the boxes of all other cells."""
        heat, label, cell = strongest(self.heatmap(features).float(), most)
        convolution, norm, relu = self.geometry
        numbers = self._numbers(relu(norm(_convolved_at(features, cell, cast(nn.Conv2d, convolution)))))
        return Candidates(heat, label, cell, *(values[..., 0, 0].unflatten(0, cell.shape) for values in numbers))

    def _numbers(self, geometry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Box, quality and spread, as in HeadMaps."""
        # Quality and spread read the geometry and leave it alone: what they learn must not move the boxes.
        return (self.box(geometry).float(), self.quality(geometry.detach()).float(),
                self.spread(geometry.detach()).float().clamp(-8.0, 5.0))

    @staticmethod
    def _tower(in_channels: int, width: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(ConvNormRelu(in_channels, width), nn.Conv2d(width, out_channels, 1))


def decode(maps: HeadMaps, grid: BevGrid, least_score: float = LEAST_HEAT, most: int = MOST_PEAKS) -> Peaks:
    """Cells that are the greatest of their 3x3 neighbours in their class, as boxes; at most `most` in each scene."""
    heat, label, cell = strongest(maps.heatmap, most)
    numbers = (values.flatten(2).gather(2, cell[:, None].expand(-1, values.shape[1], -1)).transpose(1, 2)
               for values in (maps.box, maps.quality, maps.spread))
    return peaks_of(Candidates(heat, label, cell, *numbers), grid, maps.heatmap.shape[-1], least_score)


def strongest(heatmap: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Probability, class and cell iy * w + ix, all [b, m], of the greatest peaks of logits [b, c, h, w].

    m = min(most, c * h * w); where there are fewer peaks, cells of probability 0 fill up.
    """
    c, h, w = heatmap.shape[1:]
    beaten = _greatest_around(heatmap) > heatmap  # False for NaN, which must come out and not be lost
    # Far below, not at -inf: to find the greatest among many equals takes six times as long.
    best, flat = torch.where(beaten, heatmap - FAR_BELOW, heatmap).flatten(1).topk(min(most, c * h * w), dim=1)
    return best.sigmoid(), flat // (h * w), flat % (h * w)


def peaks_of(candidates: Candidates, grid: BevGrid, width: int, least_score: float = LEAST_HEAT) -> Peaks:
    """The candidates of at least this probability as boxes; `width` cells are a row of the map.

    A score is the heatmap's probability and the box's quality, multiplied with exponents that sum to one; the peaks are chosen by
    the heatmap alone.
    """
    kept = ~(candidates.heat < least_score)  # NaN too: whoever reads the peaks refuses it
    scene, heat, cell = torch.nonzero(kept)[:, 0], candidates.heat[kept], candidates.cell[kept]
    box, spread = candidates.box[kept], candidates.spread[kept]
    score = heat ** (1 - QUALITY_SHARE) * candidates.quality[kept][:, 0].sigmoid() ** QUALITY_SHARE
    center = torch.stack([cell % width, cell // width], dim=1) + 0.5 + box[:, 0:2]
    xy_m = box.new_tensor(grid.low_m[:2]) + center * grid.pillar_size_m
    found = Peaks(scene, candidates.label[kept], score, torch.cat([xy_m, box[:, 2:3]], dim=1), box[:, 3:6].clamp(-3.0, 3.5).exp(),
                  torch.atan2(box[:, 6], box[:, 7]), box[:, 8:10], spread)
    order = torch.argsort(score, descending=True, stable=True)
    return found[order[torch.argsort(scene[order], stable=True)]]


def one_for_each_place(peaks: Peaks) -> Peaks:
    """The peaks of one scene, best first, without those that share the place of a better one, whatever their classes."""
    rectangles = torch.cat([peaks.center_m[:, :2], peaks.size_lwh_m[:, :2], peaks.yaw_rad[:, None]], dim=1)
    kept = rotated_nms(rectangles.double().cpu().numpy(), peaks.score.double().cpu().numpy(), SHARED_PLACE_IOU)
    return peaks[torch.from_numpy(kept).to(peaks.score.device)]


def _convolved_at(features: Tensor, cell: Tensor, conv: nn.Conv2d) -> Tensor:
    """What a 3x3 convolution with zeros around gives at cells [b, m] of features [b, c, h, w]: [b * m, o, 1, 1]."""
    b, _, h, w = features.shape
    around, scene = torch.arange(-1, 2, device=cell.device), torch.arange(b, device=cell.device)[:, None]
    iy, ix = (cell // w)[..., None, None] + around[:, None], (cell % w)[..., None, None] + around
    inside = (iy >= 0) & (iy < h) & (ix >= 0) & (ix < w)  # [b, m, 3, 3]
    place = (scene * h)[..., None, None] * w + iy.clamp(0, h - 1) * w + ix.clamp(0, w - 1)
    rows = features.permute(0, 2, 3, 1).reshape(b * h * w, -1).index_select(0, place.flatten())
    patches = (rows * inside.flatten()[:, None]).view(-1, 3, 3, rows.shape[1]).permute(0, 3, 1, 2)
    return F.conv2d(patches, conv.weight, conv.bias)


def _greatest_around(maps: Tensor) -> Tensor:
    """The greatest of the 3x3 cells around each of [b, c, h, w]; a fifth of max_pool2d's time on a CPU."""
    wide = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
    rows = torch.maximum(torch.maximum(wide[:, :, :-2], wide[:, :, 1:-1]), wide[:, :, 2:])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
