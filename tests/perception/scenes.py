"""Small made-up scenes and a small detector that the tests of this folder share."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from perception.config import CameraConfig, DetectorConfig, LidarConfig
from perception.scene import Scene

IMAGE_HW = (32, 64)
TINY_LIDAR = LidarConfig(pillar_size_m=0.4, pillar_channels=4, stem_channels=(8,))
TINY_CAMERA = CameraConfig(image_hw=IMAGE_HW, width=4, blocks=(1, 1), channels=4, depth_bins=8, farthest_m=20.0,
                           heights_m=(0.4, 1.2), bev_channels=4)
TINY = DetectorConfig(name="tiny", classes=("car", "pedestrian"), range_m=12.8, lidar=TINY_LIDAR, camera=TINY_CAMERA,
                      stage_channels=(8, 16), stage_blocks=(1, 1), feature_channels=8, head_channels=8)
SIZES_LWH_M = {ObjectClass.CAR: (4.5, 1.9, 1.6), ObjectClass.PEDESTRIAN: (0.7, 0.7, 1.7)}
COLOURS = {ObjectClass.CAR: (210, 40, 40), ObjectClass.PEDESTRIAN: (40, 200, 60)}
GREY = 90
CAMERA_YAWS_RAD = {"CAM_FRONT": 0.0, "CAM_LEFT": np.pi / 2, "CAM_BACK": np.pi, "CAM_RIGHT": -np.pi / 2}
AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # of a camera that looks ahead, in ego


def scene_with(objects: Sequence[tuple[ObjectClass, float, float, float]], points_in_box: int = 80, seed: int = 0,
               cameras: int = 1, older_sweep: bool = True) -> Scene:
    """Boxes (class, x, y, yaw) that stand still, each filled with points, on a thousand points of ground.

    The first `cameras` of CAMERA_YAWS_RAD show them as coloured rectangles on grey; an older sweep has the same points again.
    """
    rng = np.random.default_rng(seed)
    size_m = np.array([SIZES_LWH_M[c] for c, *_ in objects]).reshape(-1, 3)
    xy_yaw = np.array([rest for _, *rest in objects]).reshape(-1, 3)
    boxes = Boxes3D("ego", np.column_stack([xy_yaw[:, :2], size_m[:, 2] / 2]), size_m, xy_yaw[:, 2])
    label = np.array([int(c) for c, *_ in objects], np.uint8)
    ground = np.column_stack([rng.uniform(-12.0, 12.0, (1000, 2)), rng.normal(0.0, 0.02, 1000)])
    inside = [SE3.from_yaw("ego", "box", yaw, center).apply((rng.random((points_in_box, 3)) - 0.5) * size)
              for center, size, yaw in zip(boxes.center_m, size_m, boxes.yaw_rad)]
    xyz_m = np.concatenate([ground, *inside])
    intensity, ages_s = rng.random(len(xyz_m)), (0.0, 0.2) if older_sweep else (0.0,)
    rows = np.concatenate([np.column_stack([xyz_m, intensity, np.full(len(xyz_m), age_s)]) for age_s in ages_s])
    pictures = [picture_of(boxes, label, name) for name in list(CAMERA_YAWS_RAD)[:cameras]]
    images = np.stack([rgb for rgb, *_ in pictures]) if pictures else np.zeros((0, *IMAGE_HW, 3), np.uint8)
    matrices = np.array([matrix for _, matrix, _ in pictures], np.float32).reshape(-1, 3, 4)
    visible = np.max([np.zeros(len(label)), *(pixels for *_, pixels in pictures)], axis=0).astype(np.int32)
    return Scene(rows.astype(np.float32), images, matrices, boxes, label, np.zeros((len(label), 2)),
                 np.full(len(label), points_in_box, np.int32), visible)


def picture_of(boxes: Boxes3D, label: Array, camera: str) -> tuple[Array, Array, Array]:
    """Picture [h, w, 3] of boxes painted far to near, pixels_from_ego [3, 4], and how many pixels each box covers."""
    matrix = pixels_from_ego(camera)
    rgb = np.full((*IMAGE_HW, 3), GREY, np.uint8)
    pixels = np.zeros(len(boxes), np.int64)
    corners = np.concatenate([boxes.corners_m(), np.ones((len(boxes), 8, 1))], axis=2)
    u, v, depth_m = np.moveaxis(corners @ matrix.T, 2, 0)
    for row in np.argsort(-depth_m.min(axis=1, initial=np.inf)):
        if depth_m[row].min() > 0.5:
            left, right = (u[row] / depth_m[row]).min(), (u[row] / depth_m[row]).max()
            top, bottom = (v[row] / depth_m[row]).min(), (v[row] / depth_m[row]).max()
            (y0, y1), (x0, x1) = (np.clip(np.round(ends), 0, most).astype(int)
                                  for ends, most in zip(((top, bottom), (left, right)), IMAGE_HW))
            rgb[y0:y1, x0:x1] = COLOURS[ObjectClass(label[row])]
            pixels[row] = (y1 - y0) * (x1 - x0)
    return rgb, matrix, pixels


def camera_model(camera: str) -> CameraModel:
    """A pinhole camera whose pictures have IMAGE_HW and show a right angle."""
    height, width = IMAGE_HW
    matrix_px = np.array([[width / 2, 0.0, width / 2], [0.0, width / 2, height / 2], [0.0, 0.0, 1.0]])
    return CameraModel(camera, width, height, matrix_px, np.zeros(0))


def ego_from_camera(camera: str) -> SE3:
    """Where the cameras of CAMERA_YAWS_RAD stand: 1.5 m above the origin, looking level."""
    yaw = SE3.from_yaw("ego", camera, CAMERA_YAWS_RAD[camera], np.array([0.0, 0.0, 1.5]))
    return SE3("ego", camera, yaw.rotation @ AXES, yaw.translation_m)


def pixels_from_ego(camera: str) -> Array:
    """K [R | t] of a camera, [3, 4]."""
    return camera_model(camera).matrix_px @ ego_from_camera(camera).inverse().matrix()[:3]


def sample_of(points: Array, taken_ns: int = 7, ego_from_lidar: SE3 | None = None, pictures: dict[str, Array] | None = None,
              map_from_ego: SE3 | None = None) -> Sample:
    """A sample with one cloud of rows x, y, z, intensity (and more) in the LiDAR's frame, and pictures by camera."""
    n = len(points)
    cloud = PointCloud("LIDAR_TOP", taken_ns, points[:, :3].astype(np.float32), points[:, 3].astype(np.float32),
                       np.zeros(n, np.uint8), np.zeros(n, np.int32))
    images = [CameraImage(taken_ns, rgb, camera_model(name)) for name, rgb in (pictures or {}).items()]
    poses = {"LIDAR_TOP": ego_from_lidar or SE3.identity("ego", "LIDAR_TOP"),
             **{name: ego_from_camera(name) for name in pictures or {}}}
    return Sample("drive", taken_ns, (cloud,), tuple(images), map_from_ego or SE3.identity("map", "ego"), poses)
