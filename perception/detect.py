"""A network with its calibration as an ObjectDetector: samples in, objects with honest scores and covariances out."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn

from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError
from data_specs.objects import ObjectList
from data_specs.sensors import Sample
from perception.batch import collate
from perception.calibration import Calibration
from perception.config import DetectorConfig
from perception.detector import Detector
from perception.device_memory import out_of_memory_named
from perception.head import Peaks, one_for_each_place, peaks_of
from perception.memory import EarlierMap, LastMap
from perception.scene import Scene, scene_of

LEAST_SCORE = 0.02  # two thirds of all peaks are right less often: they cost fusion time and give AP 0.002


class CalibratedDetector(nn.Module):
    """Camera pictures and LiDAR points to objects in "ego" (perception.stage.ObjectDetector)."""

    def __init__(self, network: Detector, config: DetectorConfig) -> None:
        super().__init__()
        self.network, self.config, self.name = network, config, config.name
        self.calibration = Calibration(len(config.classes))
        both = config.lidar is not None and config.camera is not None
        self.camera_calibration = Calibration(len(config.classes)) if both else None  # of scenes without a return
        self._last_map = LastMap()

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        """Objects in "ego" at sample.taken_ns; none where no sensor gave anything.

        `earlier` samples of the drive, newest first, give sweeps, which show motion, and pictures that are still fresh. A network
        with a memory also looks back at what it saw of the sample before, if it was given that one. Raises SpecError if the
        sample lacks the sensors that the network reads or what it says is not finite, OutOfMemory with the size.
        """
        self._require_sensors(sample, earlier)
        with out_of_memory_named(self.name):
            scene = scene_of(sample, earlier, None, self.config.image_hw)
            if not self._sees(scene):
                return ObjectList.empty("ego", self.name)
            found = self.objects(self.peaks(scene, sample), sample.taken_ns, has_returns=len(scene.points) > 0)
        return found[found.score >= LEAST_SCORE]

    @torch.inference_mode()
    def peaks(self, scene: Scene, sample: Sample | None = None) -> Peaks:
        """What stands out in one scene, as the head says it, one for each place.

        `sample` says when and where the scene is, for networks with a memory; without it there is nothing to look back at.
        """

        def recall(merged: Tensor) -> EarlierMap | None:
            return None if self.network.memory is None or sample is None else self._last_map.exchange(sample, merged)

        peaks = peaks_of(self.network.candidates(collate([scene]), recall), self.config.grid, self.config.grid.nx)
        require_finite_peaks(peaks, self.name)
        return one_for_each_place(peaks)

    def objects(self, peaks: Peaks, measured_ns: int, has_returns: bool = True) -> ObjectList:
        """Peaks of one scene, one with LiDAR returns or without, as objects with calibrated scores and covariances."""
        calibration = self.calibration if has_returns or self.camera_calibration is None else self.camera_calibration
        score = calibration.score(peaks).double().numpy()
        covariance, size_sigma = calibration.uncertainty(peaks)
        velocity_mps = peaks.velocity_mps.double().numpy()
        if not self.config.tells_velocity:
            covariance[:, 4:, :] = covariance[:, :, 4:] = torch.nan
            velocity_mps = np.full_like(velocity_mps, np.nan)
        size_m = peaks.size_lwh_m.double()
        boxes = Boxes3D("ego", peaks.center_m.double().numpy(), size_m.numpy(), peaks.yaw_rad.double().numpy())
        label = np.array([int(c) for c in self.network.head.classes], np.uint8)[peaks.label.numpy()]
        return ObjectList.build(boxes, self.name, measured_ns, label, score=score, existence=score.astype(np.float32),
                                velocity_mps=velocity_mps, covariance=covariance.numpy(),
                                size_sigma_m=(size_m * size_sigma).numpy())

    def _sees(self, scene: Scene) -> bool:
        """Whether a branch of the network has something to look at."""
        return bool((self.config.lidar and len(scene.points)) or (self.config.camera and len(scene.images)))

    def _require_sensors(self, sample: Sample, earlier: Sequence[Sample]) -> None:
        lidar, camera = self.config.lidar is not None, self.config.camera is not None
        has_cloud, has_image = bool(sample.clouds), any(s.images for s in (sample, *earlier))
        if not ((lidar and has_cloud) or (camera and has_image)):
            wanted = " or ".join([*(["a point cloud"] if lidar else []), *(["a camera image"] if camera else [])])
            raise SpecError(f"sample {sample.drive_id} at {sample.taken_ns} ns: {len(sample.clouds)} point clouds, "
                            f"{len(sample.images)} images, expected {wanted} for {self.name}")


def require_finite_peaks(peaks: Peaks, network: str) -> None:
    """Raise SpecError if a number of any peak is NaN or infinite: a list of objects must not hide that a network broke down."""
    for field in fields(Peaks):
        values = getattr(peaks, field.name)
        wrong = int((~torch.isfinite(values)).sum())
        if wrong:
            raise SpecError(f"{network}: {wrong} of {values.numel()} numbers of {field.name} are NaN or infinite, expected all "
                            "finite; its weights or its input are damaged")
