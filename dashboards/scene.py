"""What a canvas shows at one moment, in the frame `map`, and its packet. Drive page and Live page send the same scene.

Columns of the packet's arrays (all metres, radians, metres a second, seconds; NaN = unmeasured):
    points  f4 [p, 4]   x, y, z, intensity (0 to 1) of the ego's clouds
    roadside_points  f4 [q, 4]   the same of the roadside units' clouds
    boxes   f4 [n, 16]  x, y, z, length, width, height, yaw, vx, vy, score, class, layer, age, sigma, lidar points, pixels
    ids     i8 [n]      track id of each box, -1 none
    trails  f4 [t, 4]   x, y, age, layer; rows of one track follow one another, a row of NaN ends a track
    image/<name>  u1   a JPEG; its size, age and map-to-pixel matrix stand in meta.images
`layer` is the row of meta.layers; `sigma` the standard deviation of the position in the plane; `lidar points` and
`pixels` are what the ego saw of a true object, -1 where nobody counted.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboards.packet import pack
from data_specs.arrays import Array
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.sensors import CameraModel

BOX_COLUMNS = 16
POINT_COLUMNS = 4
TRAIL_COLUMNS = 4
LAYER_KINDS = ("truth", "vehicle", "roadside", "sensor", "fused")


@dataclass(frozen=True, slots=True)
class Layer:
    """The objects of one source, in map."""

    name: str
    kind: str  # one of LAYER_KINDS: decides the colour
    objects: ObjectList
    lidar_points: Array | None = None  # [n], of truth alone
    pixels: Array | None = None  # [n], of truth alone


@dataclass(frozen=True, slots=True)
class Picture:
    """One camera's image as a JPEG, and where points of the map fell in it when it was taken."""

    name: str
    taken_ns: int
    camera: CameraModel
    map_from_camera: SE3
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is drawn for one moment."""

    time_ns: int
    layers: tuple[Layer, ...] = ()
    map_from_ego: SE3 | None = None
    points: Array = field(default_factory=lambda: np.zeros((0, POINT_COLUMNS), np.float32))
    roadside_points: Array = field(default_factory=lambda: np.zeros((0, POINT_COLUMNS), np.float32))
    pictures: tuple[Picture, ...] = ()
    trails: Array = field(default_factory=lambda: np.zeros((0, TRAIL_COLUMNS), np.float32))


def pack_scene(scene: Scene, start_ns: int, extra: dict[str, Any] | None = None) -> bytes:
    """The scene as a packet; times in it count from `start_ns` (a browser's numbers cannot hold Unix nanoseconds)."""
    ego = scene.map_from_ego
    meta: dict[str, Any] = {
        "time_ns": scene.time_ns - start_ns,
        "layers": [{"name": layer.name, "kind": layer.kind, "count": len(layer.objects)} for layer in scene.layers],
        "ego": None if ego is None else [*np.round(ego.translation_m, 4).tolist(), round(ego.yaw_rad, 6)],
        "images": [{"name": picture.name, "width": picture.camera.width_px, "height": picture.camera.height_px,
                    "age_s": (scene.time_ns - picture.taken_ns) / 1e9,
                    "pixels_from_map": pixels_from_map(picture).ravel().tolist()} for picture in scene.pictures],
        **(extra or {}),
    }
    ids = [layer.objects.track_id for layer in scene.layers]
    arrays = {
        "points": scene.points.astype(np.float32, copy=False),
        "roadside_points": scene.roadside_points.astype(np.float32, copy=False),
        "boxes": box_table(scene.layers, scene.time_ns),
        "ids": np.concatenate(ids) if ids else np.zeros(0, np.int64),
        "trails": scene.trails.astype(np.float32, copy=False),
    }
    arrays |= {f"image/{picture.name}": np.frombuffer(picture.jpeg, np.uint8) for picture in scene.pictures}
    return pack(meta, arrays)


def pixels_from_map(picture: Picture) -> Array:
    """The [3, 4] matrix from homogeneous map coordinates to homogeneous pixels (u w, v w, w = depth in metres)."""
    camera_from_map = picture.map_from_camera.inverse().matrix()[:3]
    return picture.camera.matrix_px @ camera_from_map


def box_table(layers: Sequence[Layer], time_ns: int) -> Array:
    """f4 [n, 16] of all layers' objects, columns as the module says."""
    tables = [_layer_table(layer, row, time_ns) for row, layer in enumerate(layers)]
    return np.concatenate(tables) if tables else np.zeros((0, BOX_COLUMNS), np.float32)


def class_titles() -> list[str]:
    """Class names by number, for the canvas."""
    return [kind.title.replace("_", " ") for kind in ObjectClass]


def _layer_table(layer: Layer, row: int, time_ns: int) -> Array:
    objects = layer.objects
    n = len(objects)
    table = np.empty((n, BOX_COLUMNS), np.float32)
    table[:, 0:3] = objects.boxes.center_m
    table[:, 3:6] = objects.boxes.size_lwh_m
    table[:, 6] = objects.boxes.yaw_rad
    table[:, 7:9] = objects.velocity_mps
    table[:, 9] = objects.score
    table[:, 10] = objects.label
    table[:, 11] = row
    table[:, 12] = (time_ns - objects.measured_ns) / 1e9
    table[:, 13] = np.sqrt((objects.covariance[:, 0, 0] + objects.covariance[:, 1, 1]) / 2)
    table[:, 14] = -1 if layer.lidar_points is None else layer.lidar_points
    table[:, 15] = -1 if layer.pixels is None else layer.pixels
    return table
