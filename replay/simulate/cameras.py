"""The ego's six cameras: where they sit, the rays of their pixels, the pictures, and how much of whom they see.

Named and arranged as on nuScenes; 352 x 128 px pinholes without distortion. All six look at the same moment.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from data_specs.arrays import Array
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel
from replay.simulate.scene import Hits, Scene
from replay.simulate.shading import Light, developed, shade

WIDTH_PX, HEIGHT_PX = 352, 128
FOCAL_PX, HORIZON_PX = 235.0, 54.0  # 74 degrees wide; a little more road than sky
EDGE_CONTRAST = 0.14  # of linear brightness between neighbours, above which a pixel is sampled more finely
# Rotated grid of four samples in a pixel: each lies in a row and a column of its own.
_SUBPIXELS = ((-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375))
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # x right, y down, z forward in x forward, y left


def _mounted(name: str, heading_deg: float, x_m: float, y_m: float) -> SE3:
    heading = SE3.from_yaw("ego", name, np.deg2rad(heading_deg), np.zeros(3)).rotation
    return SE3("ego", name, heading @ _OPTICAL, np.array([x_m, y_m, 1.62]))


EGO_FROM_CAMERA = {name: _mounted(name, *place) for name, place in {
    "CAM_FRONT": (0.0, 0.8, 0.0), "CAM_FRONT_RIGHT": (-60.0, 0.6, -0.5), "CAM_BACK_RIGHT": (-120.0, 0.1, -0.5),
    "CAM_BACK": (180.0, -0.8, 0.0), "CAM_BACK_LEFT": (120.0, 0.1, 0.5), "CAM_FRONT_LEFT": (60.0, 0.6, 0.5)}.items()}
_MATRIX_PX = np.array([[FOCAL_PX, 0.0, WIDTH_PX / 2], [0.0, FOCAL_PX, HORIZON_PX], [0.0, 0.0, 1.0]])
MODELS = tuple(CameraModel(name, WIDTH_PX, HEIGHT_PX, _MATRIX_PX, np.zeros(0)) for name in EGO_FROM_CAMERA)


@dataclass(frozen=True)
class View:
    """What all six cameras' rays hit at one moment; rays are camera by camera, row by row."""

    rays: Array  # [r, 6] float32, in map
    hits: Hits
    every_px: int  # rows and columns between the rays

    def pixels_by_owner(self, scene: Scene) -> Array:
        """Pixels [rows] that each row of the cast covers in the camera that sees most of it.

        Where only some pixels were looked through, each stands for those around it.
        """
        owner = scene.owner_of(self.hits).reshape(len(MODELS), -1)
        return np.max([scene.count_by_owner(one) for one in owner], axis=0) * self.every_px ** 2


def look(scene: Scene, map_from_ego: SE3, every_px: int = 1) -> View:
    """Cast a ray through the middle of every pixel of all six cameras, or of every so many rows and columns."""
    rays = _rays(map_from_ego, _pixels(every_px), 0.0, 0.0)
    return View(rays, scene.cast_rays(rays), every_px)


def take_pictures(scene: Scene, view: View, map_from_ego: SE3, light: Light, taken_ns: int,
                  rng: np.random.Generator) -> tuple[CameraImage, ...]:
    """Six pictures of a view of every pixel; those at edges are sampled four times, and all get a little sensor noise."""
    linear = shade(scene, view.rays, view.hits, light)
    edges = np.flatnonzero(_at_edge(linear.reshape(len(MODELS), HEIGHT_PX, WIDTH_PX, 3)))
    finer = np.zeros((len(edges), 3), np.float32)
    for right_px, down_px in _SUBPIXELS:
        rays = _rays(map_from_ego, edges, right_px, down_px)
        finer += shade(scene, rays, scene.cast_rays(rays), light) / len(_SUBPIXELS)
    linear[edges] = finer
    noise = rng.standard_normal(linear.shape, dtype=np.float32) * (0.002 + 0.008 * np.sqrt(np.maximum(linear, 0)))
    rgb = developed(linear + noise, light).reshape(len(MODELS), HEIGHT_PX, WIDTH_PX, 3)
    return tuple(CameraImage(taken_ns, picture, model) for picture, model in zip(rgb, MODELS))


@cache
def _pixels(every_px: int) -> Array:
    """Indices over all cameras, rising, of every so many rows and columns."""
    numbered = np.arange(len(MODELS) * HEIGHT_PX * WIDTH_PX).reshape(len(MODELS), HEIGHT_PX, WIDTH_PX)
    return numbered[:, every_px // 2::every_px, every_px // 2::every_px].ravel()


def _rays(map_from_ego: SE3, pixel: Array, right_px: float, down_px: float) -> Array:
    """Rays [p, 6] float32 in map of pixels (rising indices over all cameras), shifted from their middles."""
    camera, inside = np.divmod(pixel, HEIGHT_PX * WIDTH_PX)
    row, column = np.divmod(inside, WIDTH_PX)
    # A pixel's middle is at its index plus a half: the left edge is 0.0, as in the projection of CameraModel.
    x = ((column + (0.5 + right_px - WIDTH_PX / 2)) / FOCAL_PX).astype(np.float32)
    y = ((row + (0.5 + down_px - HORIZON_PX)) / FOCAL_PX).astype(np.float32)
    directions = np.stack([x, y, np.ones_like(x)], axis=1) / np.sqrt(x * x + y * y + 1)[:, None]
    rays = np.empty((len(pixel), 6), np.float32)
    for index, model in enumerate(MODELS):
        pose = map_from_ego @ EGO_FROM_CAMERA[model.frame]
        mine = slice(*np.searchsorted(camera, [index, index + 1]))
        rays[mine, :3] = pose.translation_m
        rays[mine, 3:] = directions[mine] @ pose.rotation.T.astype(np.float32)
    return rays


def _at_edge(pictures: Array) -> Array:
    """Mask [c, h, w] of pixels that differ from the one to the right or below, or are that neighbour."""
    brightness = pictures @ np.full(3, 1 / 3, np.float32)
    edge = np.zeros(brightness.shape, bool)
    beside = np.abs(np.diff(brightness, axis=2)) > EDGE_CONTRAST
    below = np.abs(np.diff(brightness, axis=1)) > EDGE_CONTRAST
    edge[:, :, 1:] |= beside
    edge[:, :, :-1] |= beside
    edge[:, 1:] |= below
    edge[:, :-1] |= below
    return edge
