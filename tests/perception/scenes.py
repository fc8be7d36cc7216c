"""Small made-up scenes and a small detector that the tests of this folder share."""
from __future__ import annotations

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from data_specs.sensors import PointCloud, Sample
from perception.batch import Scene
from perception.config import DetectorConfig

TINY = DetectorConfig(name="tiny", classes=("car", "pedestrian"), range_m=12.8, pillar_size_m=0.4, pillar_channels=8,
                      stage_channels=(8, 16), feature_channels=8)
SIZES_LWH_M = {ObjectClass.CAR: (4.5, 1.9, 1.6), ObjectClass.PEDESTRIAN: (0.7, 0.7, 1.7)}


def scene_with(objects: list[tuple[ObjectClass, float, float, float]], points_in_box: int = 80, seed: int = 0) -> Scene:
    """Boxes (class, x, y, yaw) on a plane, each filled with points, and a thousand points of ground."""
    rng = np.random.default_rng(seed)
    size_m = np.array([SIZES_LWH_M[c] for c, *_ in objects]).reshape(-1, 3)
    xy_yaw = np.array([rest for _, *rest in objects]).reshape(-1, 3)
    boxes = Boxes3D("ego", np.column_stack([xy_yaw[:, :2], size_m[:, 2] / 2]), size_m, xy_yaw[:, 2])
    ground = np.column_stack([rng.uniform(-12.0, 12.0, (1000, 2)), rng.normal(0.0, 0.02, 1000)])
    inside = [SE3.from_yaw("ego", "box", yaw, center).apply((rng.random((points_in_box, 3)) - 0.5) * size)
              for center, size, yaw in zip(boxes.center_m, size_m, boxes.yaw_rad)]
    xyz_m = np.concatenate([ground, *inside])
    points = np.column_stack([xyz_m, rng.random(len(xyz_m))]).astype(np.float32)
    label = np.array([int(c) for c, *_ in objects], np.uint8)
    return Scene(points, boxes, label, np.full(len(objects), points_in_box, np.int32))


def sample_of(points: np.ndarray, taken_ns: int = 7, ego_from_lidar: SE3 | None = None) -> Sample:
    """A sample with one cloud of point rows x, y, z, intensity in the LiDAR's frame."""
    n = len(points)
    cloud = PointCloud("LIDAR_TOP", taken_ns, points[:, :3].astype(np.float32), points[:, 3].astype(np.float32),
                       np.zeros(n, np.uint8), np.zeros(n, np.int32))
    pose = ego_from_lidar or SE3.identity("ego", "LIDAR_TOP")
    return Sample("drive", taken_ns, (cloud,), (), SE3.identity("map", "ego"), {"LIDAR_TOP": pose})
