"""Pictures to features and a distribution of depth: a residual network, a feature pyramid, and what the LiDAR knows of depth.

Sources: He et al., Deep Residual Learning (2016), with torchvision's names so that its state dicts load; Lin et al., Feature
Pyramid Networks (2017); Philion & Fidler, Lift, Splat, Shoot (ECCV 2020) for depth as a distribution; Li et al., BEVDepth (AAAI
2023) for its supervision by LiDAR.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.bev import ConvNormRelu
from perception.precision import full_precision

MEAN_RGB, SIGMA_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's weights expect


@dataclass(frozen=True, slots=True)
class DepthBins:
    """Depths from `nearest_m` to `farthest_m`, `count` of them, spaced by equal ratios: errors of depth grow with depth."""

    nearest_m: float = 1.5
    farthest_m: float = 72.0
    count: int = 40

    def place(self, depth_m: Tensor) -> Tensor:
        """Where depths lie among the bins, 0 to count - 1, continuous; clipped to the ends."""
        step = log(self.farthest_m / self.nearest_m) / (self.count - 1)
        return ((depth_m.clamp(min=1e-3) / self.nearest_m).log() / step).clamp(0.0, self.count - 1.0)


@dataclass(frozen=True, slots=True)
class CameraFeatures:
    """What b x c pictures show, at the camera encoder's stride."""

    context: Tensor  # [b, c, channels, h, w]
    depth_logits: Tensor  # [b, c, bins, h, w]
    lidar_depth_m: Tensor  # [b, c, h, w], 0 where no point of the newest sweep falls


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and 34)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50); the stride is the 3x3's, as in torchvision."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(in_channels, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


class ResNet(nn.Module):
    """Pictures [n, 3, h, w] to the maps of every stage, at strides 4, 8, 16 and so on."""

    def __init__(self, blocks: Sequence[int], width: int = 64, bottleneck: bool = False) -> None:
        super().__init__()
        block = Bottleneck if bottleneck else BasicBlock
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.channels = [width * 2**stage * block.expansion for stage in range(len(blocks))]
        before = [width, *self.channels]
        for stage, count in enumerate(blocks):
            stride = 1 if stage == 0 else 2
            layers = [block(before[stage], width * 2**stage, stride)]
            layers += [block(self.channels[stage], width * 2**stage, 1) for _ in range(count - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.stages = len(blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images)), inplace=True), 3, 2, 1)
        maps = []
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
            maps.append(x)
        return maps


class FeaturePyramid(nn.Module):
    """Maps of rising stride to one of `out_channels` at the finest stride."""

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in in_channels)
        self.out = ConvNormRelu(out_channels, out_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        merged = self.laterals[-1](maps[-1])
        for lateral, finer in zip(reversed(self.laterals[:-1]), reversed(maps[:-1])):
            merged = lateral(finer) + F.interpolate(merged, size=finer.shape[-2:], mode="nearest")
        return self.out(merged)


class CameraEncoder(nn.Module):
    """Pictures u8 [b, c, 3, h, w] and the LiDAR's depths in them to CameraFeatures at `stride`."""

    mean: Tensor  # of a picture's channels, 0 to 255
    sigma: Tensor

    def __init__(self, backbone: ResNet, channels: int, bins: DepthBins, finest_stage: int = 0) -> None:
        super().__init__()
        self.backbone, self.bins, self.finest_stage = backbone, bins, finest_stage
        self.stride = 4 * 2**finest_stage
        self.pyramid = FeaturePyramid(backbone.channels[finest_stage:], channels)
        self.context = ConvNormRelu(channels + 2, channels)
        self.depth = nn.Conv2d(channels, bins.count, 1)
        # What the LiDAR measured spreads to the pixels around it, each depth by itself.
        self.spread = nn.Conv2d(bins.count, bins.count, 3, padding=1, groups=bins.count, bias=False)
        nn.init.constant_(self.spread.weight, 0.5)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("sigma", torch.tensor(SIGMA_RGB).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor, lidar_depth_m: Tensor) -> CameraFeatures:
        b, c = images.shape[:2]
        depth_m = lidar_depth_m.flatten(0, 1)
        context = self.context_of(images.flatten(0, 1), depth_m)
        logits = self.depth(context) + self.spread(self._two_hot(depth_m[:, None], (depth_m[:, None] > 0).float()))
        return CameraFeatures(context.unflatten(0, (b, c)), logits.unflatten(0, (b, c)), lidar_depth_m)

    def context_of(self, images: Tensor, depth_m: Tensor) -> Tensor:
        """Features [n, channels, h, w] of pictures u8 [n, 3, ..] and the LiDAR's depths [n, h, w] in them."""
        features = self.pyramid(self.backbone(self._normalized(images))[self.finest_stage:])
        known = (depth_m[:, None] > 0).float()
        inverse = known / depth_m[:, None].clamp(min=0.5)
        return self.context(torch.cat([features, 4 * inverse, known], dim=1))

    def _normalized(self, images: Tensor) -> Tensor:
        """Pictures [n, 3, h, w] less the mean, over sigma, channels last."""
        rows = images.permute(0, 2, 3, 1).flatten(2).float()  # [n, h, w * 3]: long rows of numbers are what a CPU is fast with
        scale = (1 / self.sigma).flatten().repeat(images.shape[3])
        offset = (-self.mean / self.sigma).flatten().repeat(images.shape[3])
        return torch.addcmul(offset, rows, scale).unflatten(2, (-1, 3)).permute(0, 3, 1, 2)

    def _two_hot(self, depth_m: Tensor, known: Tensor) -> Tensor:
        """[n, bins, h, w]: each known depth shared between its two nearest bins, by nearness."""
        bins = torch.arange(self.bins.count, device=depth_m.device, dtype=depth_m.dtype).view(1, -1, 1, 1)
        return (1 - (self.bins.place(depth_m) - bins).abs()).clamp(min=0.0) * known


@full_precision
def lidar_depth_m(points: Tensor, scene: Tensor, pixels_from_ego: Tensor, image_hw: tuple[int, int], stride: int) -> Tensor:
    """Depth of the newest sweep's nearest point in each cell of the pictures, [b, c, h / stride, w / stride]; 0 = none.

    `points` [n, 5] and `scene` [n] as in SensorBatch, `pixels_from_ego` [b, c, 3, 4].
    """
    b, c = pixels_from_ego.shape[:2]
    h, w = image_hw[0] // stride, image_hw[1] // stride
    u, v, depth_m = _projected(points[:, :3], scene, pixels_from_ego)
    newest = (points[:, 4] == 0.0) & (depth_m > 0.5)
    safe_m = torch.where(newest, depth_m, 1.0) * stride
    column, row = torch.floor(u / safe_m), torch.floor(v / safe_m)
    inside = newest & (column >= 0) & (column < w) & (row >= 0) & (row < h)
    cell = torch.where(inside, row * w + column, 0.0).long() + torch.arange(c, device=points.device)[:, None] * (h * w)
    nearest = points.new_full((b * c * h * w,), torch.inf)
    nearest = nearest.scatter_reduce(0, (cell + scene * (c * h * w)).flatten(),
                                     torch.where(inside, depth_m, torch.inf).flatten(), "amin")
    return torch.where(torch.isfinite(nearest), nearest, 0.0).view(b, c, h, w)


def _projected(xyz_m: Tensor, scene: Tensor, pixels_from_ego: Tensor) -> Tensor:
    """Pixels times depth, and depth, [3, c, n] of points [n, 3] in the cameras of their scenes; points are sorted by scene."""
    b, c = pixels_from_ego.shape[:2]
    lengths = [len(xyz_m)] if b == 1 else torch.bincount(scene, minlength=b).tolist()
    rows = pixels_from_ego.transpose(1, 2).reshape(b, 3 * c, 4)
    parts = [torch.addmm(matrix[:, 3:], matrix[:, :3], some.T) for matrix, some in zip(rows, xyz_m.split(lengths))]
    return torch.cat(parts, dim=1).view(3, c, -1)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
