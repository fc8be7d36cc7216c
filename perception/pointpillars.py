"""PointPillars for KITTI: our own network for the checkpoint that mmdetection3d publishes.

Source: Lang et al., PointPillars: Fast Encoders for Object Detection from Point Clouds, CVPR 2019. The constants are those
of hv_pointpillars_secfpn_6x8_160e_kitti-3d-3class (mmdetection3d model zoo, 2022-03-01), module names those of its keys.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data_specs.arrays import Array
from data_specs.boxes import wrap_rad
from data_specs.objects import ObjectClass, ObjectList
from data_specs.sensors import Sample
from perception.checkpoint import require_fit
from perception.frustum import points_seen
from perception.grid import BevGrid
from perception.interop_mmdet3d import boxes_from_mmdet3d
from perception.ops.hard_voxels import HardVoxels
from perception.ops.nms import rotated_nms
from perception.ops.voxel_ops import hard_voxels
from perception.scene import ego_points

BATCH_NORM_EPS = 1e-3
KITTI_GRID = BevGrid((0.0, 69.12), (-39.68, 39.68), (-3.0, 1.0), 0.16)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A box that the head starts from, at every cell, along x and along y."""

    label: ObjectClass
    size_lwh_m: tuple[float, float, float]
    bottom_m: float  # height of its bottom face, in ego


@dataclass(frozen=True, slots=True)
class PointPillarsConfig:
    """What the published checkpoint was trained and is tested with."""

    grid: BevGrid = KITTI_GRID
    camera: str = "CAM_2"  # points outside of its view are dropped: nothing outside was labelled in training
    max_points: int = 32
    max_pillars: int = 40_000
    anchors: tuple[Anchor, ...] = (
        Anchor(ObjectClass.PEDESTRIAN, (0.8, 0.6, 1.73), -0.6),
        Anchor(ObjectClass.BICYCLE, (1.76, 0.6, 1.73), -0.6),
        Anchor(ObjectClass.CAR, (3.9, 1.6, 1.56), -1.78),
    )
    anchor_yaws_rad: tuple[float, float] = (0.0, 1.57)
    score_threshold: float = 0.1
    nms_iou: float = 0.01
    max_candidates: int = 4096
    max_objects: int = 100


KITTI = PointPillarsConfig()


class PillarLayer(nn.Module):
    """Rows of numbers to one feature a pillar: the maximum over its rows."""

    def __init__(self, numbers: int, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(numbers, features, bias=False)
        self.norm = nn.BatchNorm1d(features, eps=BATCH_NORM_EPS, momentum=0.01)

    def forward(self, rows: Tensor, pillar: Tensor, has_empty: Tensor) -> Tensor:
        """Rows [k, numbers] of pillars `pillar` [k] to features [p, c]; `has_empty` [p] pillars hold fewer than they could.

        In training their empty rows went through the layer as zeros and could be the maximum: so they count here.
        """
        of_empty = torch.relu(self.norm(rows.new_zeros(1, self.linear.in_features) @ self.linear.weight.T))
        least = of_empty * has_empty[:, None]  # 0 elsewhere, which no maximum of what ReLU lets through is below
        features = torch.relu(self.norm(self.linear(rows)))
        return least.scatter_reduce(0, pillar[:, None].expand_as(features), features, reduce="amax")


class PillarEncoder(nn.Module):
    """Ten numbers a point (offsets from the pillar's middle twice, reflectance, offsets from the points' mean), one layer."""

    def __init__(self, grid: BevGrid, features: int = 64) -> None:
        super().__init__()
        self.grid = grid
        self.pfn_layers = nn.ModuleList([PillarLayer(10, features)])

    def forward(self, pillars: HardVoxels) -> Tensor:
        """Features [p, c]."""
        points, count = pillars.points, pillars.count
        mean_m = points[:, :, :3].sum(dim=1, keepdim=True) / count[:, None, None]
        middle_m = self._middle_m(pillars.cell)[:, None]
        # The checkpoint was trained with offsets written over the coordinates themselves ("legacy"), so they come twice.
        offset_m = points[:, :, :3] - middle_m
        rows = torch.cat([offset_m, points[:, :, 3:4], points[:, :, :3] - mean_m, offset_m], dim=2)
        filled = torch.arange(points.shape[1], device=points.device) < count[:, None]
        return self.pfn_layers[0](rows[filled], torch.nonzero(filled)[:, 0], count < points.shape[1])

    def _middle_m(self, cell: Tensor) -> Tensor:
        """Middles [p, 3] of cells (batch, iz, iy, ix)."""
        low, size = self.grid.low_m, self.grid.cell_m
        index = cell[:, [3, 2, 1]].float()
        scale = torch.tensor(size, device=cell.device)
        return index * scale + torch.tensor([s / 2 + start for s, start in zip(size, low)], device=cell.device)


class Backbone(nn.Module):
    """Three blocks of 3x3 convolutions, each at half the resolution of the one before (SECOND)."""

    def __init__(self, channels: tuple[int, ...] = (64, 64, 128, 256), layers: tuple[int, ...] = (3, 5, 5)) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for before, after, more in zip(channels, channels[1:], layers):
            steps = [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), *_norm_relu(after)]
            for _ in range(more):
                steps += [nn.Conv2d(after, after, 3, padding=1, bias=False), *_norm_relu(after)]
            self.blocks.append(nn.Sequential(*steps))

    def forward(self, bev: Tensor) -> list[Tensor]:
        levels = []
        for block in self.blocks:
            bev = block(bev)
            levels.append(bev)
        return levels


class Neck(nn.Module):
    """Brings the three levels to the resolution of the first and stacks them."""

    def __init__(self, channels: tuple[int, ...] = (64, 128, 256), strides: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.deblocks = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, 128, stride, stride=stride, bias=False), *_norm_relu(128))
            for before, stride in zip(channels, strides)
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        return torch.cat([deblock(level) for deblock, level in zip(self.deblocks, levels)], dim=1)


class AnchorHead(nn.Module):
    """Scores, box corrections and the direction's half for each anchor of each cell."""

    def __init__(self, classes: int, anchors: int, features: int = 384) -> None:
        super().__init__()
        self.conv_cls = nn.Conv2d(features, anchors * classes, 1)
        self.conv_reg = nn.Conv2d(features, anchors * 7, 1)
        self.conv_dir_cls = nn.Conv2d(features, anchors * 2, 1)

    def forward(self, bev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [b, anchors of all cells, classes], corrections [b, ., 7] and direction logits [b, ., 2]."""
        flat = [conv(bev).permute(0, 2, 3, 1).flatten(1) for conv in (self.conv_cls, self.conv_reg, self.conv_dir_cls)]
        classes = self.conv_cls.out_channels * 7 // self.conv_reg.out_channels
        logits, corrections, direction = (t.reshape(len(bev), -1, width) for t, width in zip(flat, (classes, 7, 2)))
        return logits, corrections, direction


class PointPillarsNet(nn.Module):
    """Points in the frame of the grid to what the head says of every anchor."""

    def __init__(self, config: PointPillarsConfig) -> None:
        super().__init__()
        self.config = config
        self.voxel_encoder = PillarEncoder(config.grid)
        self.backbone = Backbone()
        self.neck = Neck()
        self.bbox_head = AnchorHead(len(config.anchors), len(config.anchors) * len(config.anchor_yaws_rad))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of points f32[n, 4]: logits [a, classes], corrections [a, 7], direction logits [a, 2]."""
        config = self.config
        pillars = hard_voxels(points, config.grid.voxels, config.max_points, config.max_pillars)
        features = self.voxel_encoder(pillars)
        canvas = features.new_zeros(features.shape[1], config.grid.ny * config.grid.nx)
        canvas[:, pillars.cell[:, 2] * config.grid.nx + pillars.cell[:, 3]] = features.T
        bev = canvas.reshape(1, -1, config.grid.ny, config.grid.nx)
        logits, corrections, direction = self.bbox_head(self.neck(self.backbone(bev)))
        return logits[0], corrections[0], direction[0]


class PointPillars:
    """The KITTI PointPillars as a detector of cars, cyclists and pedestrians ahead (perception.stage.ObjectDetector)."""

    name = "pointpillars-kitti"

    def __init__(self, state: Mapping[str, Tensor], device: torch.device | str = "cpu",
                 config: PointPillarsConfig = KITTI, where: str = "weights") -> None:
        self.config = config
        self.device = torch.device(device)
        net = PointPillarsNet(config)
        require_fit(net.state_dict(), state, where)
        net.load_state_dict(dict(state))
        net.eval()
        for stack in (net.backbone.blocks, net.neck.deblocks):
            for i in range(len(stack)):
                stack[i] = _folded(stack.get_submodule(str(i)))
        self.net = net.to(self.device).to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        self.anchors = anchor_boxes(config).to(self.device)

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        """Objects in ego, best score first; the cloud is cut to the view of the config's camera where the sample has it.

        It was trained on single sweeps: `earlier` samples are not looked at.
        """
        points = torch.tensor(points_in_view(sample, self.config), device=self.device)
        if not len(points):
            return ObjectList.empty("ego", self.name)
        with torch.inference_mode():
            logits, corrections, direction = self.net(points)
            best, rows = torch.topk(logits.amax(dim=1), min(self.config.max_candidates, len(logits)))
            rows = rows[torch.sigmoid(best) > self.config.score_threshold]
            boxes = decode(self.anchors[rows], corrections[rows])
            scores, backward = torch.sigmoid(logits[rows]), direction[rows].argmax(dim=1)
        return self._chosen(boxes.cpu().numpy(), scores.cpu().numpy(), backward.cpu().numpy(), sample.taken_ns)

    def _chosen(self, boxes: Array, scores: Array, backward: Array, taken_ns: int) -> ObjectList:
        """Of candidates [n, 7], scores [n, classes]: non-maximum suppression class by class, then the best of all."""
        kept, label = [], []
        for row, anchor in enumerate(self.config.anchors):
            above = np.flatnonzero(scores[:, row] > self.config.score_threshold)
            chosen = above[rotated_nms(boxes[above][:, [0, 1, 3, 4, 6]], scores[above, row], self.config.nms_iou)]
            kept += [(scores[i, row], i) for i in chosen]
            label += [anchor.label] * len(chosen)
        score = np.array([s for s, _ in kept], np.float64)
        order = np.argsort(-score, kind="stable")[: self.config.max_objects]
        rows = np.array([i for _, i in kept], np.int64)[order]
        found = np.column_stack([boxes[rows, :6], faced(boxes[rows, 6], backward[rows])])
        return ObjectList.build(boxes_from_mmdet3d(found, "ego"), self.name, taken_ns, np.array(label, np.uint8)[order],
                                score=score[order], existence=score[order].astype(np.float32))


def points_in_view(sample: Sample, config: PointPillarsConfig) -> Array:
    """LiDAR points f32[n, 4] in ego, strictly inside of the grid's box and, where the camera is known, inside of its view."""
    points = ego_points(sample)
    grid = config.grid
    low_m, high_m = np.array([grid.x_range_m, grid.y_range_m, grid.z_range_m], np.float32).T
    inside = ((points[:, :3] > low_m) & (points[:, :3] < high_m)).all(axis=1)
    return points_seen(points[inside], sample, config.camera)


def anchor_boxes(config: PointPillarsConfig) -> Tensor:
    """All anchors [ny/2 * nx/2 * classes * yaws, 7]: x, y, bottom z, length, width, height, yaw, in the head's order."""
    grid = config.grid
    x_m, y_m = (torch.linspace(low, high, cells + 1) for low, high, cells in (
        (*grid.x_range_m, grid.nx // 2), (*grid.y_range_m, grid.ny // 2)))
    x_m, y_m = x_m[:-1] + (x_m[1] - x_m[0]) / 2, y_m[:-1] + (y_m[1] - y_m[0]) / 2
    kinds = torch.tensor([[a.bottom_m, *a.size_lwh_m, yaw] for a in config.anchors for yaw in config.anchor_yaws_rad])
    y, x = torch.meshgrid(y_m, x_m, indexing="ij")
    xy = torch.stack([x, y], dim=-1)[:, :, None].expand(-1, -1, len(kinds), -1)
    return torch.cat([xy, kinds.expand(*y.shape, -1, -1)], dim=-1).reshape(-1, 7)


def decode(anchors: Tensor, corrections: Tensor) -> Tensor:
    """Boxes [n, 7] (bottom z) from anchors and the head's corrections (Lang et al., section 2.2)."""
    xyz_m, size_m = anchors[:, :3], anchors[:, 3:6]
    diagonal_m = torch.hypot(size_m[:, 0], size_m[:, 1])
    xy_m = corrections[:, :2] * diagonal_m[:, None] + xyz_m[:, :2]
    middle_m = corrections[:, 2] * size_m[:, 2] + xyz_m[:, 2] + size_m[:, 2] / 2
    decoded_m = torch.exp(corrections[:, 3:6]) * size_m
    bottom_m = middle_m - decoded_m[:, 2] / 2
    return torch.cat([xy_m, bottom_m[:, None], decoded_m, (anchors[:, 6] + corrections[:, 6])[:, None]], dim=1)


def faced(yaw_rad: Array, backward: Array) -> Array:
    """Yaws [n] turned so that they agree with the direction classifier: it splits the circle at -pi/2 and at pi/2."""
    half = (yaw_rad + pi / 2) % pi - pi / 2
    return wrap_rad(half + pi * backward)


def _folded(steps: nn.Module) -> nn.Sequential:
    """The same layers with each normalisation multiplied into the convolution before it: a fifth faster on CPU."""
    folded: list[nn.Module] = []
    for step in steps.children():
        convolution = folded[-1] if folded else step
        if isinstance(step, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
            folded.pop()
            folded.append(fuse_conv_bn_eval(convolution, step, transpose=isinstance(convolution, nn.ConvTranspose2d)))
        else:
            folded.append(step)
    return nn.Sequential(*folded)


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=0.01), nn.ReLU(inplace=True)
