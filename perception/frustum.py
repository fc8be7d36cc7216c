"""Cuts a cloud to what a camera sees: KITTI labels nothing outside of its image, so networks trained on it expect the cut."""
from __future__ import annotations

from data_specs.arrays import Array
from data_specs.sensors import Sample


def points_seen(points: Array, sample: Sample, camera_frame: str) -> Array:
    """The rows of points [n, 3 or more], xyz in ego first, that project into the camera's image; all if it has no such camera."""
    for camera in sample.cameras:
        if camera.frame == camera_frame:
            camera_from_ego = sample.ego_from_sensor[camera.frame].inverse()
            pixels, _ = camera.project(camera_from_ego.apply(points[:, :3].astype("f8")))
            return points[camera.sees(pixels)]
    return points
