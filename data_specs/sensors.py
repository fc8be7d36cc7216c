"""What sensors gave: point clouds, pinhole cameras, images, and the bundle of them taken at one moment.

Camera frames are x right, y down, z forward (optical); a LiDAR's frame is its own and is placed by `ego_from_sensor`.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields, require_finite, require_shape
from data_specs.errors import FrameError, SpecError
from data_specs.pose import SE3


@dataclass(frozen=True, slots=True)
class PointCloud:
    """One LiDAR sweep in its sensor's frame."""

    frame: str
    taken_ns: int
    xyz_m: Annotated[Array, Spec("f4", "n", 3)]
    intensity: Annotated[Array, Spec("f4", "n")]  # 0 to 1
    ring: Annotated[Array, Spec("u1", "n")]  # 0 where the sensor does not say
    offset_ns: Annotated[Array, Spec("i4", "n")]  # of each point's own time from taken_ns

    def __post_init__(self) -> None:
        lock_fields(self)

    def __len__(self) -> int:
        return len(self.xyz_m)


@dataclass(frozen=True, slots=True)
class CameraModel:
    """A pinhole camera; images are undistorted where `distortion` is empty."""

    frame: str
    width_px: int
    height_px: int
    matrix_px: Annotated[Array, Spec("f8", 3, 3)]
    distortion: Annotated[Array, Spec("f8", "k")]  # plumb_bob k1 k2 p1 p2 k3; empty = none

    def __post_init__(self) -> None:
        lock_fields(self)
        require_finite("matrix_px", self.matrix_px)
        if not (self.width_px > 0 and self.height_px > 0 and self.matrix_px[0, 0] > 0 and self.matrix_px[1, 1] > 0):
            raise SpecError(f"camera {self.frame}: {self.width_px} x {self.height_px} px with focal lengths "
                            f"{self.matrix_px[0, 0]:.4g}, {self.matrix_px[1, 1]:.4g} px, expected all positive")

    def project(self, xyz_camera_m: Array) -> tuple[Array, Array]:
        """Points [n, 3] in the camera's frame to pixels [n, 2] and depths [n] in metres; pixels are NaN behind the lens.

        Pure pinhole: the lens' distortion is not applied.
        """
        require_shape("xyz_camera_m", xyz_camera_m, (None, 3))
        depth_m = xyz_camera_m[:, 2].astype(np.float64)
        in_front = depth_m > 1e-6
        projected = xyz_camera_m.astype(np.float64) @ self.matrix_px.T
        pixels = np.full((len(projected), 2), np.nan)
        pixels[in_front] = projected[in_front, :2] / projected[in_front, 2:]
        return pixels, depth_m

    def sees(self, pixels: Array) -> Array:
        """Mask [n] of pixels [n, 2] that fall inside the image; NaN does not."""
        u, v = pixels[:, 0], pixels[:, 1]
        return (u >= 0) & (u < self.width_px) & (v >= 0) & (v < self.height_px)


@dataclass(frozen=True, slots=True)
class CameraImage:
    taken_ns: int
    rgb: Annotated[Array, Spec("u1", "h", "w", 3)]
    camera: CameraModel

    def __post_init__(self) -> None:
        lock_fields(self)
        want = (self.camera.height_px, self.camera.width_px)
        if self.rgb.shape[:2] != want:
            raise SpecError(f"rgb: {self.rgb.shape[:2]} pixels, expected {want} as in camera {self.camera.frame}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One synchronised bundle of sensor data of one platform: the ego, or a roadside unit's mast.

    `map_from_ego` and `ego_from_sensor` place the platform; for a roadside unit their inner frame is `platform`
    instead of "ego".
    """

    drive_id: str
    taken_ns: int
    clouds: tuple[PointCloud, ...]
    images: tuple[CameraImage, ...]
    map_from_ego: SE3
    ego_from_sensor: Mapping[str, SE3]  # by sensor frame
    blind_cameras: tuple[CameraModel, ...] = ()  # calibrated, but without an image here: they bound what the labels cover

    def __post_init__(self) -> None:
        object.__setattr__(self, "clouds", tuple(self.clouds))
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "blind_cameras", tuple(self.blind_cameras))
        object.__setattr__(self, "ego_from_sensor", MappingProxyType(dict(self.ego_from_sensor)))
        if self.map_from_ego.dst != "map":
            raise FrameError(f"map_from_ego: leads to frame {self.map_from_ego.dst!r}, expected 'map'")
        for frame in [cloud.frame for cloud in self.clouds] + [camera.frame for camera in self.cameras]:
            pose = self.ego_from_sensor.get(frame)
            if pose is None:
                raise FrameError(f"ego_from_sensor: no pose of sensor {frame!r}, got {sorted(self.ego_from_sensor)}")
            if (pose.dst, pose.src) != (self.platform, frame):
                raise FrameError(f"ego_from_sensor[{frame!r}] joins {pose.dst}_from_{pose.src}, "
                                 f"expected {self.platform}_from_{frame}")

    @property
    def cameras(self) -> tuple[CameraModel, ...]:
        """Every calibrated camera, with an image here or without."""
        return tuple(image.camera for image in self.images) + self.blind_cameras

    @property
    def platform(self) -> str:
        """Frame name of who carries the sensors: "ego", or a roadside unit's name."""
        return self.map_from_ego.src
