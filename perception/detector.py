"""The detector, assembled from parts: sensors to features of the bird's-eye view, features to objects."""
from __future__ import annotations

import numpy as np
import torch
from torch import nn

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectList
from data_specs.sensors import Sample
from perception.batch import PointBatch, collate, ego_points
from perception.bev import BevEncoder
from perception.grid import BevGrid
from perception.head import CenterHead, HeadMaps, Peaks, decode, one_for_each_place
from perception.lidar import PillarEncoder
from perception.uncertainty import Calibration, covariance_of

LEAST_SCORE = 0.02  # two thirds of all peaks are right less often: they cost fusion time and give AP 0.002


class Detector(nn.Module):
    """LiDAR points to objects in "ego" (perception.stage.ObjectDetector). `camera` is the place of the camera branch."""

    def __init__(self, lidar: PillarEncoder, camera: None, bev: BevEncoder, head: CenterHead, name: str) -> None:
        super().__init__()
        self.lidar, self.camera, self.bev, self.head, self.name = lidar, camera, bev, head, name
        self.calibration = Calibration(len(head.classes))
        fine = lidar.grid
        self.grid = BevGrid(fine.x_range_m, fine.y_range_m, fine.z_range_m, fine.pillar_size_m * bev.stride)  # of the head

    def forward(self, batch: PointBatch) -> HeadMaps:
        return self.head(self.bev(self.lidar(batch).contiguous(memory_format=torch.channels_last)))

    def detect(self, sample: Sample) -> ObjectList:
        """Objects in "ego"; none where there is no point. SpecError if the sample has no LiDAR."""
        points = ego_points(sample)
        if not len(points):
            return ObjectList.empty("ego", self.name)
        found = self.objects(self.peaks(points), sample.taken_ns)
        return found[found.score >= LEAST_SCORE]

    @torch.inference_mode()
    def peaks(self, points: Array) -> Peaks:
        """What stands out among points [n, 4] of one scene, as the head says it, one for each place."""
        return one_for_each_place(decode(self(collate([points])), self.grid))

    def objects(self, peaks: Peaks, measured_ns: int) -> ObjectList:
        """Peaks of one scene as objects with calibrated scores and covariances."""
        score, variance = self.calibration.score(peaks), self.calibration.variance(peaks).double()
        size_m = peaks.size_lwh_m.double()
        boxes = Boxes3D("ego", peaks.center_m.double().numpy(), size_m.numpy(), peaks.yaw_rad.double().numpy())
        label = np.array([int(c) for c in self.head.classes], np.uint8)[peaks.label.numpy()]
        return ObjectList.build(boxes, self.name, measured_ns, label, score=score.double().numpy(),
                                existence=score.float().numpy(), covariance=covariance_of(variance).numpy(),
                                size_sigma_m=(size_m * variance[:, 4:].sqrt()).numpy())
