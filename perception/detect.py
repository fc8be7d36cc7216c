"""A network with its calibration as an ObjectDetector: samples in, objects with honest scores and covariances out."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError
from data_specs.objects import ObjectList
from data_specs.sensors import Sample
from perception.batch import collate
from perception.config import DetectorConfig
from perception.detector import Detector
from perception.head import Peaks, decode, one_for_each_place
from perception.scene import Scene, scene_of
from perception.uncertainty import Calibration

LEAST_SCORE = 0.02  # two thirds of all peaks are right less often: they cost fusion time and give AP 0.002


class CalibratedDetector(nn.Module):
    """Camera pictures and LiDAR points to objects in "ego" (perception.stage.ObjectDetector)."""

    def __init__(self, network: Detector, config: DetectorConfig) -> None:
        super().__init__()
        self.network, self.config, self.name = network, config, config.name
        self.calibration = Calibration(len(config.classes))

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        """Objects in "ego" at sample.taken_ns; none where no sensor gave anything.

        `earlier` samples of the drive, newest first, give sweeps, which show motion, and pictures that are still fresh. SpecError
        if the sample lacks the sensors that the network reads.
        """
        self._require_sensors(sample, earlier)
        scene = scene_of(sample, earlier, None, self.config.image_hw)
        if not len(scene.points) and not len(scene.images):
            return ObjectList.empty("ego", self.name)
        found = self.objects(self.peaks(scene), sample.taken_ns)
        return found[found.score >= LEAST_SCORE]

    @torch.inference_mode()
    def peaks(self, scene: Scene) -> Peaks:
        """What stands out in one scene, as the head says it, one for each place."""
        return one_for_each_place(decode(self.network(collate([scene])), self.config.grid))

    def objects(self, peaks: Peaks, measured_ns: int) -> ObjectList:
        """Peaks of one scene as objects with calibrated scores and covariances."""
        score = self.calibration.score(peaks.label, peaks.score).double().numpy()
        size_m = peaks.size_lwh_m.double()
        boxes = Boxes3D("ego", peaks.center_m.double().numpy(), size_m.numpy(), peaks.yaw_rad.double().numpy())
        label = np.array([int(c) for c in self.network.head.classes], np.uint8)[peaks.label.numpy()]
        return ObjectList.build(boxes, self.name, measured_ns, label, score=score, existence=score.astype(np.float32),
                                velocity_mps=peaks.velocity_mps.double().numpy(),
                                covariance=self.calibration.covariance(peaks.label, peaks.spread.double()).numpy(),
                                size_sigma_m=(size_m * self.calibration.size_sigma(peaks.label, peaks.spread)).numpy())

    def _require_sensors(self, sample: Sample, earlier: Sequence[Sample]) -> None:
        lidar, camera = self.config.lidar is not None, self.config.camera is not None
        has_cloud, has_image = bool(sample.clouds), any(s.images for s in (sample, *earlier))
        if not ((lidar and has_cloud) or (camera and has_image)):
            wanted = " or ".join([*(["a point cloud"] if lidar else []), *(["a camera image"] if camera else [])])
            raise SpecError(f"sample {sample.drive_id} at {sample.taken_ns} ns: {len(sample.clouds)} point clouds, "
                            f"{len(sample.images)} images, expected {wanted} for {self.name}")
