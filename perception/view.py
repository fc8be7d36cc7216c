"""From the cameras' view to the bird's-eye view: voxel centres look up what the picture shows at their depth.

Every voxel (a cell of the grid at one of a few heights) is projected into the camera that sees it best, gathers that
picture's features bilinearly, and weighs them by how likely the picture's content lies at the voxel's depth. The heights
are then collapsed by a convolution. Pure torch, static shapes.
Sources: Harley et al., Simple-BEV (ICRA 2023) for pulling features to voxels; Li et al., BEVDepth (AAAI 2023) for the depths.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.bev import ConvNormRelu
from perception.camera import CameraFeatures, DepthBins
from perception.grid import BevGrid
from perception.precision import full_precision

NEAREST_M = 0.5  # what is closer to a lens, or behind it, is not looked up


class ViewTransform(nn.Module):
    """CameraFeatures to a canvas [b, out_channels, ny, nx]; zero where no camera looks, before its convolutions."""

    centers_m: Tensor  # f32 [voxels, 3]

    def __init__(self, grid: BevGrid, heights_m: Sequence[float], bins: DepthBins, channels: int, out_channels: int,
                 stride: int) -> None:
        super().__init__()
        self.grid, self.bins, self.stride, self.levels = grid, bins, stride, len(heights_m)
        self.register_buffer("centers_m", voxel_centers_m(grid, heights_m), persistent=False)
        self.collapse = nn.Sequential(nn.Conv2d((channels + 1) * self.levels, out_channels, 1, bias=False),
                                      nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
        self.smooth = ConvNormRelu(out_channels, out_channels)

    def forward(self, features: CameraFeatures, pixels_from_ego: Tensor, has_image: Tensor) -> Tensor:
        return self.smooth(self.collapse(self.lift(features, pixels_from_ego, has_image)))

    @full_precision
    def lift(self, features: CameraFeatures, pixels_from_ego: Tensor, has_image: Tensor) -> Tensor:
        """[b, levels * (channels + 1), ny, nx], channels last: features by likelihood of depth, and that likelihood itself."""
        b, c, channels, h, w = features.context.shape
        if self.training and features.context.device.type == "cpu":
            return self._lift_in_training(features, pixels_from_ego, has_image)
        camera, u, v, depth_m, seen = best_view(self.centers_m, pixels_from_ego, has_image, (h * self.stride, w * self.stride))
        column, row = (u / self.stride - 0.5).clamp(0, w - 1), (v / self.stride - 0.5).clamp(0, h - 1)
        likely = self._likelihood(features.depth_logits, camera, column, row, depth_m) * seen
        place, share = _four_neighbours(column, row, h, w)
        picture = camera + c * torch.arange(b, device=camera.device)[:, None]
        rows = features.context.float().permute(0, 1, 3, 4, 2).reshape(-1, channels)
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)  # the ones become the likelihood
        gathered = F.embedding_bag((place + (picture * (h * w))[..., None]).flatten(0, 1), rows, mode="sum",
                                   per_sample_weights=(share * likely[..., None]).flatten(0, 1))
        return gathered.view(b, self.grid.ny, self.grid.nx, -1).permute(0, 3, 1, 2)

    def _lift_in_training(self, features: CameraFeatures, pixels_from_ego: Tensor, has_image: Tensor) -> Tensor:
        """The same by kernels with a gradient of their own: the CPU is busy with little else otherwise."""
        from perception.ops.lift_training import lift_with_gradient, look_up

        b, _, _, h, w = features.context.shape
        camera, seen = look_up(self.centers_m, pixels_from_ego, has_image, (h, w), self.stride)
        seen[:, 2] = self.bins.place(torch.from_numpy(seen[:, 2])).numpy()
        context = features.context.permute(0, 1, 3, 4, 2).float()
        likelihood = features.depth_logits.permute(0, 1, 3, 4, 2).float().softmax(dim=-1)
        lifted = lift_with_gradient(context, likelihood, (camera, seen))
        return lifted.view(b, self.grid.ny, self.grid.nx, -1).permute(0, 3, 1, 2)

    def _likelihood(self, depth_logits: Tensor, camera: Tensor, column: Tensor, row: Tensor, depth_m: Tensor) -> Tensor:
        """[b, v]: probability of the bin at each voxel's depth, linear in pixels and between bins."""
        b, c, bins, h, w = depth_logits.shape
        # All pictures of a scene stand in one tall picture, so that one lookup serves; rows are kept off the seams.
        tall = depth_logits.float().softmax(dim=2).permute(0, 2, 1, 3, 4).reshape(b, 1, bins, c * h, w)
        x, y = 2 * (column + 0.5) / w - 1, 2 * (camera * h + row + 0.5) / (c * h) - 1
        z = 2 * (self.bins.place(depth_m) + 0.5) / bins - 1
        at = torch.stack([x, y, z], dim=-1)[:, None, None]
        return F.grid_sample(tall, at, padding_mode="border", align_corners=False)[:, 0, 0, 0]


def _four_neighbours(column: Tensor, row: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
    """Pixels row * w + column around continuous places, and their bilinear shares, both [.., 4]."""
    left, top = column.floor().clamp(max=w - 2), row.floor().clamp(max=h - 2)
    right_share, down_share = column - left, row - top
    corner = (top * w + left).long()
    place = torch.stack([corner, corner + 1, corner + w, corner + w + 1], dim=-1)
    share = torch.stack([(1 - down_share) * (1 - right_share), (1 - down_share) * right_share,
                         down_share * (1 - right_share), down_share * right_share], dim=-1)
    return place, share


def voxel_centers_m(grid: BevGrid, heights_m: Sequence[float]) -> Tensor:
    """Centres f32 [ny * nx * levels, 3] in ego: rows outermost, then columns, then heights."""
    x = grid.low_m[0] + (torch.arange(grid.nx) + 0.5) * grid.pillar_size_m
    y = grid.low_m[1] + (torch.arange(grid.ny) + 0.5) * grid.pillar_size_m
    y, x, z = torch.meshgrid(y, x, torch.tensor(heights_m), indexing="ij")
    return torch.stack([x, y, z], dim=-1).reshape(-1, 3).float()


def best_view(centers_m: Tensor, pixels_from_ego: Tensor, has_image: Tensor,
              image_hw: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The camera in which each voxel [v, 3] lies nearest to the middle column: its index, u, v (px), depth (m), whether it sees.

    All are [b, v]; where no camera sees a voxel, u, v and depth are finite and mean nothing.
    """
    height, width = image_hw
    rays = torch.einsum("bckl,vl->bckv", pixels_from_ego[..., :3], centers_m) + pixels_from_ego[..., 3:]
    depth_m = rays[:, :, 2]
    safe_m = depth_m.clamp(min=NEAREST_M)
    u, v = rays[:, :, 0] / safe_m, rays[:, :, 1] / safe_m
    inside = (depth_m > NEAREST_M) & (u >= 0) & (u < width) & (v >= 0) & (v < height) & has_image[:, :, None]
    off_middle = torch.where(inside, (u - width / 2).abs(), torch.inf)
    best = off_middle.argmin(dim=1, keepdim=True)
    picked = [values.gather(1, best)[:, 0] for values in (u, v, depth_m, inside)]
    return best[:, 0], picked[0].clamp(0, width), picked[1].clamp(0, height), picked[2], picked[3]
