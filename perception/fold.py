"""A trained network made ready to detect: the same maps, up to rounding, from less work.

A batch norm that no longer learns is a scale and a shift, and goes into the convolution or linear layer before it (Jacob et al.,
Quantization and Training of Neural Networks, CVPR 2018, 3.2). On the CPU the steps that touch few pixels, points or voxels go
to kernels (perception.ops).
"""
from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from perception.batch import SensorBatch
from perception.camera import CameraFeatures
from perception.detector import CameraBranch, Detector
from perception.grid import BevGrid
from perception.lidar import SLOTS, PillarEncoder
from perception.merge import Merge
from perception.ops.cameras_cpu import add_lidar_logits_cpu, lidar_depth_cpu, lift_cpu
from perception.ops.canvas import PillarNet
from perception.ops.stem_cpu import pillar_stem_cpu
from perception.precision import full_precision

Module = TypeVar("Module", bound=nn.Module)
Canvas = Callable[[Tensor, BevGrid, PillarNet, Tensor | None, int, int], Tensor]  # as pillar_canvas_reference


def folded(network: Module) -> Module:
    """A copy, for evaluation, whose batch norms are part of the layers registered before them."""
    copy = deepcopy(network).eval()
    for module in list(copy.modules()):
        for (name, layer), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                fused: nn.Module = fuse_conv_bn_eval(layer, norm)
                weight = fused.get_parameter("weight")
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                fused = fuse_linear_bn_eval(layer, norm)
            else:
                continue
            setattr(module, name, fused)
            setattr(module, norm_name, nn.Identity())
    return copy.requires_grad_(False)


def for_cpu(network: Detector) -> Detector:
    """The network with the CPU's kernels; it detects, and does not train."""
    ready = folded(network)
    if ready.lidar is not None:
        first = cast(nn.Sequential, ready.lidar.stem[0])
        ready.lidar.add_module("pillars", CpuPillars(ready.lidar.pillars, first.get_submodule("0.0")))
        first[0] = nn.Identity()
    if ready.camera is not None:
        ready.camera = CpuCameras(ready.camera.encoder, ready.camera.view)
    ready.merge = CpuMerge(ready.merge)
    return ready


def with_pillars(network: Detector, canvas: Canvas) -> Detector:
    """The folded network itself, its points now brought to the canvas by one function."""
    if network.lidar is not None:
        network.lidar.add_module("pillars", FoldedPillars(network.lidar.pillars, canvas))
    return network


class FoldedPillars(nn.Module):
    """A folded PillarEncoder in one go, by one of the functions that meet the contract of perception.ops.canvas."""

    ones: Tensor  # the norm's scale, which is in the weight

    def __init__(self, pillars: PillarEncoder, canvas: Canvas) -> None:
        super().__init__()
        self.grid, self.linear, self.canvas = pillars.grid, pillars.linear, canvas
        self.register_buffer("ones", torch.ones(pillars.channels), persistent=False)

    @full_precision
    def forward(self, points: Tensor, scene: Tensor, size: int) -> Tensor:
        """As PillarEncoder; points that are not finite count for nothing."""
        net = PillarNet(self.linear.weight, self.ones, self.linear.bias)
        return self.canvas(points, self.grid, net, scene * SLOTS + (points[:, 4] > 0), size * SLOTS, SLOTS)


class CpuPillars(nn.Module):
    """A folded PillarEncoder and the first convolution of the stem, whose zeros cost nothing (perception.ops.stem_cpu)."""

    def __init__(self, pillars: PillarEncoder, convolution: nn.Module) -> None:
        super().__init__()
        self.grid, self.linear, self.convolution = pillars.grid, pillars.linear, convolution

    def forward(self, points: Tensor, scene: Tensor, size: int) -> Tensor:
        """What the stem makes of PillarEncoder's canvas first."""
        net = PillarNet(self.linear.weight, torch.ones(len(self.linear.weight)), self.linear.bias)
        return pillar_stem_cpu(points, self.grid, net, self.convolution.get_parameter("weight"),
                               self.convolution.get_parameter("bias"), scene * SLOTS + (points[:, 4] > 0), size * SLOTS, SLOTS)


class CpuCameras(CameraBranch):
    """A folded CameraBranch whose steps between pictures, points and voxels are kernels (perception.ops.cameras_cpu)."""

    def forward(self, batch: SensorBatch) -> tuple[Tensor, CameraFeatures]:
        (b, c), encoder, view = batch.has_image.shape, self.encoder, self.view
        h, w = (size // encoder.stride for size in batch.images.shape[-2:])
        depth_m = lidar_depth_cpu(batch.points, batch.scene, batch.pixels_from_ego, (h, w), encoder.stride)
        of_pictures = depth_m.flatten(0, 1)
        context = encoder.context_of(batch.images.flatten(0, 1), of_pictures)
        logits = _channels_last_rows(encoder.depth(context))
        add_lidar_logits_cpu(logits, of_pictures, encoder.bins.place(of_pictures), encoder.spread.weight)
        canvas = lift_cpu(_channels_last_rows(context).unflatten(0, (b, c)), logits.softmax(dim=-1).unflatten(0, (b, c)),
                          batch.pixels_from_ego, batch.has_image, view.centers_m, (view.grid.ny, view.grid.nx), view.stride,
                          (view.bins.nearest_m, view.bins.farthest_m))
        features = CameraFeatures(context.unflatten(0, (b, c)), logits.permute(0, 3, 1, 2).unflatten(0, (b, c)), depth_m)
        return view.smooth(view.collapse(canvas)), features


class CpuMerge(Merge):
    """A folded Merge that copies nothing where all scenes have what they should."""

    def __init__(self, merge: Merge) -> None:
        super().__init__(merge.grid, *merge.channels, out_channels=1)
        self.mix = merge.mix

    def forward(self, lidar: Tensor | None, camera: Tensor | None, has_points: Tensor, has_images: Tensor) -> Tensor:
        """As Merge."""
        if lidar is None or camera is None or not bool(has_points.all() & has_images.all()):
            return super().forward(lidar, camera, has_points, has_images)
        return self.mix(torch.cat([lidar, camera], dim=1))


def _channels_last_rows(maps: Tensor) -> Tensor:
    """Maps [n, c, h, w] as f32 [n, h, w, c], packed; free of charge where memory is so already."""
    return maps.float().permute(0, 2, 3, 1).contiguous()
