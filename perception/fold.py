"""A trained network made ready to detect: the same maps, up to rounding, from less work.

A batch norm that no longer learns is a scale and a shift, and goes into the convolution or linear layer before it (Jacob et al.,
Quantization and Training of Neural Networks, CVPR 2018, 3.2). On the CPU the steps that touch few pixels, points or voxels go
to kernels (perception.ops); for export and CUDA graphs pillars get shapes that do not depend on the points.
"""
from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

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
from perception.ops.pillars_cpu import pillar_canvas_cpu
from perception.precision import full_precision

Module = TypeVar("Module", bound=nn.Module)


def folded(network: Module) -> Module:
    """A copy, for evaluation, whose batch norms are part of the layers registered before them."""
    copy = deepcopy(network).eval()
    for module in list(copy.modules()):
        for (name, layer), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                fused: nn.Module = fuse_conv_bn_eval(layer, norm).to(memory_format=torch.channels_last)
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
        ready.lidar.pillars = CpuPillars(ready.lidar.pillars)
    if ready.camera is not None:
        ready.camera = CpuCameras(ready.camera.encoder, ready.camera.view)
    ready.merge = CpuMerge(ready.merge)
    return ready


def for_static_shapes(network: Detector) -> Detector:
    """The network with shapes that follow from those of its input alone, in plain torch; rows of NaN are no points."""
    ready = folded(network)
    if ready.lidar is not None:
        ready.lidar.pillars = StaticPillars(ready.lidar.pillars)
    return ready


class CpuPillars(nn.Module):
    """A folded PillarEncoder as one kernel (perception.ops.pillars_cpu)."""

    def __init__(self, pillars: PillarEncoder) -> None:
        super().__init__()
        self.grid, self.channels, self.linear = pillars.grid, pillars.channels, pillars.linear

    def forward(self, points: Tensor, scene: Tensor, size: int) -> Tensor:
        """As PillarEncoder."""
        slot = scene * SLOTS + (points[:, 4] > 0)
        net = PillarNet(self.linear.weight, torch.ones(self.channels), self.linear.bias)
        return pillar_canvas_cpu(points, self.grid, net, slot, size * SLOTS, SLOTS)


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
        super().__init__(merge.grid, *merge.channels, 1)
        self.mix = merge.mix

    def forward(self, lidar: Tensor | None, camera: Tensor | None, has_points: Tensor, has_images: Tensor) -> Tensor:
        """As Merge."""
        if lidar is None or camera is None or not bool(has_points.all() & has_images.all()):
            return super().forward(lidar, camera, has_points, has_images)
        return self.mix(torch.cat([lidar, camera], dim=1))


class StaticPillars(nn.Module):
    """A folded PillarEncoder with a row for every cell of the canvas, and one more for what belongs to none."""

    low_m: Tensor  # f32 [3]
    size_m: Tensor  # f32 [3], of a cell
    shape: Tensor  # f32 [3], cells along x, y and z
    scale: Tensor  # f32 [3], brings coordinates to about one

    def __init__(self, pillars: PillarEncoder) -> None:
        super().__init__()
        self.grid, self.channels, self.linear = pillars.grid, pillars.channels, pillars.linear
        grid: BevGrid = pillars.grid
        reach_m = max(abs(edge) for edge in (*grid.x_range_m, *grid.y_range_m))
        # Buffers, since a CUDA graph cannot bring numbers from the host.
        self.register_buffer("low_m", torch.tensor(grid.low_m), persistent=False)
        self.register_buffer("size_m", torch.tensor(grid.cell_m), persistent=False)
        self.register_buffer("shape", torch.tensor([grid.nx, grid.ny, 1.0]), persistent=False)
        self.register_buffer("scale", torch.tensor([1 / reach_m, 1 / reach_m, 0.5]), persistent=False)

    @full_precision
    def forward(self, points: Tensor, scene: Tensor, size: int) -> Tensor:
        """As PillarEncoder; rows of points that are not finite or lie outside of the grid count for nothing."""
        xyz_m, nx, ny = points[:, :3], self.grid.nx, self.grid.ny
        index = torch.floor((xyz_m - self.low_m) / self.size_m)
        inside = ((index >= 0) & (index < self.shape)).all(dim=1)
        ix, iy = torch.where(inside[:, None], index, 0.0)[:, :2].long().unbind(1)
        nowhere = size * ny * nx * SLOTS
        place = torch.where(inside, ((scene * ny + iy) * nx + ix) * SLOTS + (points[:, 4] > 0), nowhere)
        ones = torch.ones_like(xyz_m[:, :1])
        total = points.new_zeros(nowhere + 1, 4).index_add(0, place, torch.cat([xyz_m, ones], dim=1))[place]
        center_m = self.low_m + (index + 0.5) * self.size_m
        numbers = torch.cat([xyz_m * self.scale, points[:, 3:5], xyz_m - total[:, :3] / total[:, 3:],
                             (xyz_m - center_m)[:, :2] / (self.size_m[:2] / 2), total[:, 3:].log2() / 4], dim=1)
        features = torch.where(inside[:, None], torch.relu(self.linear(numbers)), 0.0)
        canvas = points.new_zeros(nowhere + 1, self.channels).scatter_reduce(
            0, place[:, None].expand(-1, self.channels), features, "amax")
        return canvas[:nowhere].view(size, ny, nx, SLOTS * self.channels).permute(0, 3, 1, 2)


def _channels_last_rows(maps: Tensor) -> Tensor:
    """Maps [n, c, h, w] as f32 [n, h, w, c], packed; free of charge where memory is so already."""
    return maps.float().permute(0, 2, 3, 1).contiguous()
