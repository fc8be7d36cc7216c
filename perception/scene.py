"""One moment of sensor data in the ego frame, with or without its truth: what training draws from and detection begins with.

Earlier sweeps and pictures are moved into the newest ego frame by the ego's own poses; what moved by itself meanwhile stays
where it was, which is how a network sees velocity.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from PIL import Image

from data_specs.arrays import Array, Spec, lock_fields, require_finite
from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, Sample

SWEEP_AGES_S = (0.2, 0.5)  # of the earlier sweeps that are taken, each the nearest within SWEEP_TOLERANCE_S
SWEEP_TOLERANCE_S = 0.11
OLDEST_IMAGE_S = 0.35
BLACK_BELOW = 2.0  # mean of 0 to 255: a covered lens, or a dead camera
HORIZON = 0.42  # of an image's height: where the principal point is put when a picture is cut to a network's size


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment with its truth; n points, c pictures, m objects. Everything is in the ego frame of the newest sweep."""

    points: Annotated[Array, Spec("f4", "n", 5)]  # x, y, z (m), intensity (0 to 1), age (s, 0 = newest sweep)
    images: Annotated[Array, Spec("u1", "c", "h", "w", 3)]
    pixels_from_ego: Annotated[Array, Spec("f4", "c", 3, 4)]  # K [R | t]: pixels times depth, and depth in m
    boxes: Boxes3D
    label: Annotated[Array, Spec("u1", "m")]  # ObjectClass
    velocity_mps: Annotated[Array, Spec("f8", "m", 2)]  # over ground; NaN unknown
    points_in_box: Annotated[Array, Spec("i4", "m")]  # of the newest sweep; -1 unknown
    pixels_visible: Annotated[Array, Spec("i4", "m")]  # the most in any camera; -1 unknown
    lidar_lost: bool = False  # the network does not get the points; training still knows them

    def __post_init__(self) -> None:
        lock_fields(self)
        require_finite("pixels_from_ego", self.pixels_from_ego)
        if self.boxes.frame != "ego":
            raise FrameError(f"boxes: frame is {self.boxes.frame!r}, expected 'ego'")
        if len(self.boxes) != len(self.label):
            raise SpecError(f"label: {len(self.label)} rows, expected {len(self.boxes)} as in boxes")


def scene_of(sample: Sample, earlier: Sequence[Sample], truth: Truth | None, image_hw: tuple[int, int]) -> Scene:
    """A sample, the samples before it (newest first) and its truth (in map) as one scene; pictures are cut to image_hw.

    What the truth ignores is of unknown class: neither to be found nor punished. Raises SpecError if there is neither a point
    cloud nor a picture.
    """
    if not sample.clouds and not any(s.images for s in (sample, *earlier)):
        raise SpecError(f"sample {sample.drive_id} at {sample.taken_ns} ns: neither a point cloud nor a picture, expected one")
    images, pixels_from_ego = newest_images(sample, earlier, image_hw)
    if truth is None:
        truth = Truth.build(ObjectList.empty("map", "truth"))
    objects = truth.objects.transformed(sample.map_from_ego.inverse())
    label = np.where(truth.ignore, np.uint8(ObjectClass.UNKNOWN), objects.label)
    return Scene(point_rows(sample, earlier), images, pixels_from_ego, objects.boxes, label, objects.velocity_mps,
                 truth.points_in_box, truth.pixels_visible)


def point_rows(sample: Sample, earlier: Sequence[Sample] = ()) -> Array:
    """Rows [n, 5] of Scene.points: the sample's own returns, then those of the earlier sweeps; what is not finite is dropped."""
    rows = [np.zeros((0, 5), np.float32), *_rows_of(sample, sample)]
    with_cloud = [s for s in earlier if s.clouds and s.drive_id == sample.drive_id]
    for age_s in SWEEP_AGES_S if with_cloud else ():
        best = min(with_cloud, key=lambda s: abs(_age_s(sample, s) - age_s))
        if abs(_age_s(sample, best) - age_s) <= SWEEP_TOLERANCE_S:
            rows += _rows_of(best, sample)
    points = np.concatenate(rows)
    points.setflags(write=False)  # a Scene then takes it without another copy
    return points


def ego_points(sample: Sample) -> Array:
    """The sample's own returns as rows [n, 4] f32: x, y, z (m, ego), intensity; SpecError if it has no LiDAR at all."""
    if not sample.clouds:
        raise SpecError(f"sample {sample.drive_id} at {sample.taken_ns} ns: no point cloud, expected at least one LiDAR")
    return point_rows(sample)[:, :4]


def newest_images(sample: Sample, earlier: Sequence[Sample], image_hw: tuple[int, int]) -> tuple[Array, Array]:
    """Pictures u8 [c, h, w, 3], the newest of each camera, and pixels_from_ego [c, 3, 4]; black and old ones are left out."""
    taken: dict[str, tuple[Array, Array]] = {}
    for source in (sample, *earlier):
        if source.drive_id != sample.drive_id or not -1e-6 <= _age_s(sample, source) <= OLDEST_IMAGE_S:
            continue
        for image in source.images:
            if image.camera.frame not in taken and image.rgb.mean() >= BLACK_BELOW:
                rgb, matrix_px = fitted(image, image_hw)
                pose = source.ego_from_sensor[image.camera.frame].inverse() @ _moved(source, sample)
                taken[image.camera.frame] = rgb, matrix_px @ pose.matrix()[:3]
    if not taken:
        return np.zeros((0, *image_hw, 3), np.uint8), np.zeros((0, 3, 4), np.float32)
    return np.stack([rgb for rgb, _ in taken.values()]), np.stack([m for _, m in taken.values()]).astype(np.float32)


def fitted(image: CameraImage, image_hw: tuple[int, int]) -> tuple[Array, Array]:
    """A picture scaled to a width and cut to a height, [h, w, 3], and its camera matrix; rows that are missing are black."""
    height, width = image_hw
    model = image.camera
    if (model.height_px, model.width_px) == image_hw:
        return image.rgb, model.matrix_px
    scale = width / model.width_px
    rows = max(1, round(model.height_px * scale))
    scaled = np.asarray(Image.fromarray(image.rgb).resize((width, rows), Image.Resampling.BILINEAR))
    top = round(model.matrix_px[1, 2] * scale - HORIZON * height)
    top = min(max(top, 0), max(rows - height, 0))
    cut = np.zeros((height, width, 3), np.uint8)
    kept = scaled[top:top + height]
    cut[:len(kept)] = kept
    matrix_px = np.diag([scale, rows / model.height_px, 1.0]) @ model.matrix_px
    matrix_px[1, 2] -= top
    return cut, matrix_px


def _rows_of(source: Sample, sample: Sample) -> list[Array]:
    """All returns of `source` as rows in the ego frame of `sample`, one array for each cloud."""
    rows = []
    age_s = max(_age_s(sample, source), 0.0)
    for cloud in source.clouds:
        pose = source.ego_from_sensor[cloud.frame]
        if source is not sample:
            pose = _moved(source, sample).inverse() @ pose
        some = np.empty((len(cloud.xyz_m), 5), np.float32)
        with np.errstate(invalid="ignore"):  # infinite coordinates become NaN, and are dropped here
            some[:, :3] = pose.apply(cloud.xyz_m)
            some[:, 3], some[:, 4] = cloud.intensity, age_s
            finite = np.isfinite(some @ np.ones(5, np.float32))  # of a row's sum: eight times as fast as of each number
        rows.append(some if finite.all() else some[finite])
    return rows


def _moved(source: Sample, sample: Sample) -> SE3:
    """The pose ego-then from ego-now."""
    return source.map_from_ego.inverse() @ sample.map_from_ego


def _age_s(sample: Sample, source: Sample) -> float:
    return (sample.taken_ns - source.taken_ns) / 1e9
