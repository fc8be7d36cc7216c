"""mmdetection3d behind our types: its boxes to ours and back, and its LiDAR detectors as detectors of ours.

mmdetection3d keeps LiDAR boxes as x, y, z, length, width, height, yaw with z at the BOTTOM face; ours is the geometric
centre. The correction is made here and nowhere else. Nothing of mmdetection3d is imported until a detector of its is made.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_specs.arrays import Array, require_shape
from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import MissingExtra
from data_specs.objects import ObjectClass, ObjectList
from data_specs.sensors import Sample
from perception.frustum import points_seen
from perception.scene import ego_points

HALF_HEIGHT = np.array([0.0, 0.0, 0.5])


def boxes_from_mmdet3d(rows: Array, frame: str) -> Boxes3D:
    """Rows [n, 7] of mmdetection3d's LiDAR boxes (z at the bottom) as boxes in `frame`."""
    require_shape("rows", rows, (None, 7))
    rows = np.asarray(rows, np.float64)
    return Boxes3D(frame, rows[:, :3] + rows[:, 5:6] * HALF_HEIGHT, rows[:, 3:6], wrap_rad(rows[:, 6]))


def mmdet3d_from_boxes(boxes: Boxes3D) -> Array:
    """The inverse of `boxes_from_mmdet3d`: rows [n, 7] f64."""
    bottom_m = boxes.center_m - boxes.size_lwh_m[:, 2:] * HALF_HEIGHT
    return np.column_stack([bottom_m, boxes.size_lwh_m, boxes.yaw_rad])


class Mmdet3dDetector:
    """A LiDAR detector that mmdetection3d itself builds and runs (perception.stage.ObjectDetector).

    `classes` are its labels in order; `camera` is a camera whose view the cloud is cut to where the sample has it.
    """

    def __init__(self, config: Path, checkpoint: Path, classes: Sequence[ObjectClass], camera: str = "") -> None:
        try:
            from mmdet3d.apis import init_model  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtra("mmdetection3d's own detector", "mmdet3d") from error
        self.classes, self.camera = tuple(classes), camera
        self.model = init_model(str(config), str(checkpoint), device="cpu")

    @property
    def name(self) -> str:
        return f"mmdet3d-{type(self.model).__name__.lower()}"

    def detect(self, sample: Sample) -> ObjectList:
        """Objects in ego, in mmdetection3d's order."""
        from mmdet3d.apis import inference_detector  # pyright: ignore[reportMissingImports]

        points = points_seen(ego_points(sample), sample, self.camera)
        if not len(points):
            return ObjectList.empty("ego", self.name)
        found = inference_detector(self.model, points)[0].pred_instances_3d
        label = np.array([int(c) for c in self.classes], np.uint8)[found.labels_3d.numpy()]
        score = found.scores_3d.double().numpy()
        return ObjectList.build(boxes_from_mmdet3d(found.bboxes_3d.tensor.numpy(), "ego"), self.name, sample.taken_ns, label,
                                score=score, existence=score.astype(np.float32))
