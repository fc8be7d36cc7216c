"""What training does to a scene before a network sees it: turned and mirrored streets, failing sensors, other light.

Sources: Huang et al., BEVDet (2021) for turning the bird's-eye view while the cameras keep their pictures; Ge et al., MetaBEV
(ICCV 2023) for dropping modalities; Hahner et al., Fog Simulation on Real LiDAR Point Clouds (ICCV 2021) for what weather does.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import SpecError
from perception.scene import Scene

LIDAR_HEIGHT_M = 1.84  # in ego: a beam keeps its elevation as seen from there


@dataclass(frozen=True, slots=True)
class SensorLoss:
    """How often which sensors fail in training, each a chance from 0 to 1."""

    no_lidar: float = 0.25
    no_cameras: float = 0.15
    one_camera: float = 0.15  # of those that still have pictures: a camera or more is lost, but not all
    no_history: float = 0.05  # the first sweep after a start

    def __post_init__(self) -> None:
        if not 0.0 <= self.no_lidar + self.no_cameras <= 1.0:
            raise SpecError(f"no_lidar {self.no_lidar} and no_cameras {self.no_cameras}, expected chances that sum to 1 or less")


def augment(scene: Scene, donor: Callable[[], Scene] | None, rng: np.random.Generator, loss: SensorLoss) -> Scene:
    """One training view of a scene; all that is random comes from `rng`.

    Objects of the scene that `donor` loads are pasted in where no picture would show that they are not there.
    """
    scene = lose_sensors(scene, rng, loss)
    if donor is not None and not len(scene.images):
        scene = pasted(scene, donor())
    scene = weather(scene, rng)
    return turned(replace(scene, images=relit(scene.images, rng)), rng)


def turned(scene: Scene, rng: np.random.Generator, max_scale: float = 0.05) -> Scene:
    """A mirrored, turned and scaled copy: a flip of y half the time, any heading, sizes within 1 +- max_scale.

    Pictures stay; their projection takes the change back, so depths stay those that the cameras saw.
    """
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn_rad = rng.uniform(-np.pi, np.pi)
    scale = rng.uniform(1 - max_scale, 1 + max_scale)
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    linear = scale * np.array([[c, -s * mirror, 0.0], [s, c * mirror, 0.0], [0.0, 0.0, 1.0]])
    back = np.eye(4)
    back[:3, :3] = np.linalg.inv(linear)
    boxes = Boxes3D("ego", scene.boxes.center_m @ linear.T, scene.boxes.size_lwh_m * scale,
                    wrap_rad(mirror * scene.boxes.yaw_rad + turn_rad))
    points = scene.points.copy()
    points[:, :3] = np.ascontiguousarray(scene.points[:, :3]) @ linear.T.astype(np.float32)
    points.setflags(write=False)
    return replace(scene, points=points, pixels_from_ego=(scene.pixels_from_ego @ back).astype(np.float32), boxes=boxes,
                   velocity_mps=scene.velocity_mps @ linear[:2, :2].T)


def lose_sensors(scene: Scene, rng: np.random.Generator, loss: SensorLoss) -> Scene:
    """A copy without LiDAR, without cameras, without some camera or without earlier sweeps, as chance has it."""
    draw, cameras = rng.random(), len(scene.images)
    if draw < loss.no_lidar and cameras:
        scene = without_lidar(scene)
    elif draw < loss.no_lidar + loss.no_cameras:
        scene = without_cameras(scene, np.zeros(cameras, bool))
    elif rng.random() < loss.one_camera:
        kept = rng.random(cameras) > 1.5 / max(cameras, 1)
        scene = without_cameras(scene, kept) if kept.any() else scene
    if rng.random() < loss.no_history:
        scene = replace(scene, points=scene.points[scene.points[:, 4] == 0.0])
    return scene


def without_lidar(scene: Scene) -> Scene:
    """A scene that only its cameras see; its points remain to supervise depth.

    Whose pixels nobody counted may be visible: it is unknown to both sensors then, unless the LiDAR had no return of it either.
    """
    unsure = (scene.pixels_visible < 0) & (scene.points_in_box != 0)
    return replace(scene, lidar_lost=True, points_in_box=np.where(unsure, -1, 0).astype(np.int32))


def without_cameras(scene: Scene, kept: Array) -> Scene:
    """A scene with the kept cameras [c] alone; who stands in none of their pictures is not visible any more."""
    seen = np.zeros(len(scene.boxes), bool)
    height, width = scene.images.shape[1:3]
    for matrix in scene.pixels_from_ego[kept]:
        u, v, depth_m = matrix.astype(float) @ np.column_stack([scene.boxes.center_m, np.ones(len(scene.boxes))]).T
        ahead = depth_m > 0.5
        depth_m = np.where(ahead, depth_m, 1.0)
        seen |= ahead & (u / depth_m >= 0) & (u / depth_m < width) & (v / depth_m >= -height) & (v / depth_m < 2 * height)
    unsure = (scene.pixels_visible < 0) & (scene.points_in_box < 0)
    return replace(scene, images=scene.images[kept], pixels_from_ego=scene.pixels_from_ego[kept],
                   pixels_visible=np.where(seen | unsure, scene.pixels_visible, 0))


def pasted(scene: Scene, donor: Scene, fewest_points: int = 5, clearance_m: float = 1.0) -> Scene:
    """A copy with the donor's objects that find room: where they stood, with the returns that they gave, and nothing behind lost.

    Source: Yan, Mao, Li, SECOND (Sensors 2018), 3.3.
    """
    reach_m = np.hypot(donor.boxes.size_lwh_m[:, 0], donor.boxes.size_lwh_m[:, 1]) / 2 + clearance_m
    others_m = np.hypot(scene.boxes.size_lwh_m[:, 0], scene.boxes.size_lwh_m[:, 1]) / 2
    apart_m = np.hypot(*(donor.boxes.center_m[:, None, :2] - scene.boxes.center_m[None, :, :2]).transpose(2, 0, 1))
    room = (apart_m > reach_m[:, None] + others_m[None]).all(axis=1)
    rows = np.flatnonzero(room & (donor.points_in_box >= fewest_points))
    if not len(rows):
        return scene
    brought = points_of(donor, rows)
    cleared = scene.points[~points_of(replace(donor, points=scene.points), rows)]
    boxes = Boxes3D.concatenate([scene.boxes, donor.boxes[rows]])
    return replace(
        scene, points=np.concatenate([cleared, donor.points[brought]]), boxes=boxes,
        label=np.concatenate([scene.label, donor.label[rows]]),
        velocity_mps=np.concatenate([scene.velocity_mps, donor.velocity_mps[rows]]),
        points_in_box=np.concatenate([scene.points_in_box, donor.points_in_box[rows]]),
        pixels_visible=np.concatenate([scene.pixels_visible, np.zeros(len(rows), np.int32)]))


def points_of(scene: Scene, rows: Array, margin_m: float = 0.1) -> Array:
    """Mask [n] of the points on the objects `rows`, each object moved back to where it was when a sweep was taken."""
    inside = np.zeros(len(scene.points), bool)
    for age_s in np.unique(scene.points[:, 4]):
        swept = scene.points[:, 4] == age_s
        back_m = np.nan_to_num(scene.velocity_mps[rows]) * age_s
        boxes = scene.boxes[rows]
        then = Boxes3D("ego", boxes.center_m - np.column_stack([back_m, np.zeros(len(rows))]), boxes.size_lwh_m + margin_m,
                       boxes.yaw_rad)
        inside[swept] = then.contains(scene.points[swept, :3].astype(float)).any(axis=0)
    return inside


def weather(scene: Scene, rng: np.random.Generator) -> Scene:
    """Rain and fog as the LiDAR sees them, on one scene in three: returns lost with range, and false ones near the sensor.

    Beams fail too, on one scene in five: all returns within a few narrow fans of elevation are lost.
    """
    points = scene.points
    range_m = np.hypot(points[:, 0], points[:, 1])
    if rng.random() < 0.33 and len(points):
        extinction_per_m = rng.uniform(0.0005, 0.006)
        points = points[rng.random(len(points)) < np.exp(-2 * extinction_per_m * range_m)]
        drops = rng.integers(0, 400)
        away_m, angle_rad = rng.gamma(2.0, 2.5, drops) + 1.5, rng.uniform(-np.pi, np.pi, drops)
        false = np.column_stack([away_m * np.cos(angle_rad), away_m * np.sin(angle_rad), rng.uniform(0.3, 2.6, drops),
                                 rng.uniform(0.0, 0.15, drops), rng.choice(np.unique(points[:, 4]), drops) if len(points)
                                 else np.zeros(drops)])
        points = np.concatenate([points, false.astype(np.float32)])
    if rng.random() < 0.2 and len(points):
        elevation = np.arctan2(points[:, 2] - LIDAR_HEIGHT_M, np.hypot(points[:, 0], points[:, 1]))
        lost = np.zeros(len(points), bool)
        for middle in rng.uniform(-0.5, 0.18, rng.integers(1, 5)):
            lost |= np.abs(elevation - middle) < 0.01
        points = points[~lost]
    return replace(scene, points=points)


def relit(images: Array, rng: np.random.Generator) -> Array:
    """Pictures with another exposure, contrast, white balance and sensor noise, the same for all but the noise."""
    if not len(images):
        return images
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.9, 1.1, 3)
    gamma = rng.uniform(0.8, 1.25)
    curve = 255.0 * (np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain).clip(0.0, 1.0)
    lit = np.empty_like(images)
    for channel in range(3):
        lit[..., channel] = curve[:, channel].astype(np.uint8)[images[..., channel]]
    if rng.random() < 0.5:
        noise = rng.integers(-8, 9, lit.shape, dtype=np.int16)
        lit = (lit.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)
    return lit
