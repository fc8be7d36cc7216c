"""The detector, assembled from parts: sensors to features of the bird's-eye view, features to objects."""
from __future__ import annotations

from torch import Tensor, nn

from perception.batch import SensorBatch
from perception.bev import BevEncoder
from perception.camera import CameraEncoder, CameraFeatures, lidar_depth_m
from perception.head import CenterHead, HeadMaps
from perception.lidar import LidarEncoder
from perception.merge import Merge
from perception.view import ViewTransform


class CameraBranch(nn.Module):
    """Pictures to features of the bird's-eye view, guided by the depths that the LiDAR measured."""

    def __init__(self, encoder: CameraEncoder, view: ViewTransform) -> None:
        super().__init__()
        self.encoder, self.view = encoder, view

    def forward(self, batch: SensorBatch) -> tuple[Tensor, CameraFeatures]:
        image_hw = (batch.images.shape[-2], batch.images.shape[-1])
        depth_m = lidar_depth_m(batch.points, batch.scene, batch.pixels_from_ego, image_hw, self.encoder.stride)
        features = self.encoder(batch.images, depth_m)
        return self.view(features, batch.pixels_from_ego, batch.has_image), features


class Detector(nn.Module):
    """Sensor data of b scenes to what the head says about them; a branch may be None, and a sensor may fail in any scene."""

    def __init__(self, lidar: LidarEncoder | None, camera: CameraBranch | None, merge: Merge, bev: BevEncoder,
                 head: CenterHead) -> None:
        super().__init__()
        self.lidar, self.camera, self.merge, self.bev, self.head = lidar, camera, merge, bev, head

    def forward(self, batch: SensorBatch) -> HeadMaps:
        return self.maps(batch)[0]

    def maps(self, batch: SensorBatch) -> tuple[HeadMaps, CameraFeatures | None]:
        """The head's maps, and what the cameras said on the way: training supervises their depths."""
        lidar = camera = features = None
        if self.lidar is not None:
            lidar = self.lidar(self.lidar.pillars(batch.points, batch.scene, batch.size))
        if self.camera is not None and batch.images.shape[1]:
            camera, features = self.camera(batch)
        merged = self.merge(lidar, camera, batch.has_points, batch.has_image.any(dim=1))
        return self.head(self.bev(merged)), features
