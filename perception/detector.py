"""The detector, assembled from parts: sensors to a map of the bird's-eye view, the map to objects."""
from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from perception.batch import SensorBatch
from perception.bev import BevEncoder
from perception.camera import CameraEncoder, CameraFeatures, lidar_depth_m
from perception.head import Candidates, CenterHead, HeadMaps
from perception.lidar import LidarEncoder
from perception.memory import BevMemory, EarlierMap
from perception.merge import Merge
from perception.view import ViewTransform

Recall = Callable[[Tensor], EarlierMap | None]  # a merged map to the one before it


class CameraBranch(nn.Module):
    """Pictures to features of the bird's-eye view, guided by the depths that the LiDAR measured."""

    def __init__(self, encoder: CameraEncoder, view: ViewTransform) -> None:
        super().__init__()
        self.encoder, self.view = encoder, view

    def forward(self, batch: SensorBatch) -> tuple[Tensor, CameraFeatures]:
        features = self.encoder(batch.images, self.depth_m(batch))
        return self.view(features, batch.pixels_from_ego, batch.has_image), features

    def depth_m(self, batch: SensorBatch) -> Tensor:
        """What the LiDAR measured in each cell of the pictures (lidar_depth_m); in training on the CPU by a faster kernel."""
        image_hw, stride = (batch.images.shape[-2], batch.images.shape[-1]), self.encoder.stride
        if self.training and batch.points.device.type == "cpu":
            from perception.ops.cameras_cpu import lidar_depth_cpu

            cells_hw = (image_hw[0] // stride, image_hw[1] // stride)
            return lidar_depth_cpu(batch.points, batch.scene, batch.pixels_from_ego, cells_hw, stride)
        return lidar_depth_m(batch.points, batch.scene, batch.pixels_from_ego, image_hw, stride)


def nothing_recalled(merged: Tensor) -> EarlierMap | None:
    """There is no earlier map."""
    return None


class Detector(nn.Module):
    """Sensor data of b scenes to what the head says about them; a branch may be None, and a sensor may fail in any scene."""

    def __init__(self, lidar: LidarEncoder | None, camera: CameraBranch | None, merge: Merge, bev: BevEncoder,
                 head: CenterHead, memory: BevMemory | None = None) -> None:
        super().__init__()
        self.lidar, self.camera, self.merge, self.bev, self.head, self.memory = lidar, camera, merge, bev, head, memory

    def forward(self, batch: SensorBatch) -> HeadMaps:
        return self.maps(batch)[0]

    def maps(self, batch: SensorBatch, earlier: EarlierMap | None = None) -> tuple[HeadMaps, CameraFeatures | None]:
        """The head's maps, and what the cameras said on the way: training supervises their depths."""
        merged, features = self.merged(batch)
        return self.head(self.encoded(merged, earlier)), features

    def candidates(self, batch: SensorBatch, recall: Recall = nothing_recalled) -> Candidates:
        """The strongest cells alone: what detection wants of the maps, for less work."""
        merged, _ = self.merged(batch)
        return self.head.candidates(self.encoded(merged, recall(merged)))

    def merged(self, batch: SensorBatch) -> tuple[Tensor, CameraFeatures | None]:
        """The map [b, c, ny, nx] on which the sensors meet, and what the cameras said on the way."""
        lidar = camera = features = None
        if self.lidar is not None:
            lidar = self.lidar(self.lidar.pillars(batch.points, batch.scene, batch.size))
        if self.camera is not None and batch.images.shape[1]:
            camera, features = self.camera(batch)
        return self.merge(lidar, camera, batch.has_points, batch.has_image.any(dim=1)), features

    def encoded(self, merged: Tensor, earlier: EarlierMap | None = None) -> Tensor:
        """What the head reads, of a merged map and, where the network has a memory, of the map before it."""
        if self.memory is not None:
            merged = self.memory(merged, earlier)
        return self.bev(merged)
