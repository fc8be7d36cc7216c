"""Fits a detector's scores and spreads to what it really gets right, on drives that neither trained it nor test it.

A detection is right if it is the best of its class that lies within 2 m of an object of that class which no better one took
(the matching of nuScenes' detection metric). Spreads are fitted to the errors of those right ones that
replay/metrics/consistency.py judges: trusted, in range, and of an object that some sensor sees.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from data_specs.objects import ObjectClass
from perception.augment import without_lidar
from perception.calibration import TRUSTED, Calibration, score_facts
from perception.detect import CalibratedDetector
from perception.head import Peaks
from perception.scene import Scene
from perception.targets import seen_by_sensors
from perception.uncertainty import box_residual
from replay.metrics.detection import RANGE_M

MATCH_M = 2.0
Seen = tuple[Peaks, Scene]  # what was found in a scene, and its truth


def calibrate(detector: CalibratedDetector, scenes: Iterable[Scene]) -> None:
    """Set the detector's calibration from the scenes; it must be in evaluation mode. Without scenes it stays as it is.

    A detector of both sensors sees every scene a second time without its LiDAR, for the calibration of its cameras alone.
    """
    found: list[Seen] = []
    by_camera: list[Seen] = []
    for scene in scenes:
        found.append((detector.peaks(scene), without_sensors(scene)))
        if detector.camera_calibration is not None and len(scene.images):
            dark = without_lidar(scene)
            by_camera.append((detector.peaks(dark), without_sensors(dark)))
    classes = [int(c) for c in detector.network.head.classes]
    if found:
        fit(detector.calibration, found, classes)
    if by_camera and detector.camera_calibration is not None:
        fit(detector.camera_calibration, by_camera, classes)


def fit(calibration: Calibration, found: Sequence[Seen], classes: list[int]) -> None:
    """Set one calibration from what was found in scenes, beside their truth."""
    label = torch.cat([peaks.label for peaks, _ in found])
    is_true = torch.cat([match(peaks, scene, classes) >= 0 for peaks, scene in found])
    calibration.fit_scores(label, torch.cat([score_facts(peaks) for peaks, _ in found]), is_true)
    residual = torch.cat([judged_residual(replace(peaks, score=calibration.score(peaks)), scene, classes)
                          for peaks, scene in found])
    facts = torch.cat([calibration.variance_facts(peaks) for peaks, _ in found])
    spread = torch.cat([peaks.spread for peaks, _ in found])
    judged = torch.isfinite(residual[:, 0])
    calibration.fit_variances(label[judged], facts[judged], residual[judged], spread[judged])


def match(peaks: Peaks, scene: Scene, classes: list[int], within_m: float = MATCH_M) -> Tensor:
    """Row of the true object of each peak, i64[m], -1 where it is false; the best score chooses first."""
    center_m = torch.from_numpy(scene.boxes.center_m[:, :2].copy())
    distance_m = torch.cdist(peaks.center_m[:, :2].double(), center_m)
    same_class = torch.tensor(classes)[peaks.label][:, None] == torch.from_numpy(scene.label.copy())[None]
    distance_m = torch.where(same_class, distance_m, torch.inf)
    truth = torch.full((len(peaks.score),), -1)
    if not distance_m.numel():
        return truth
    for row in torch.argsort(peaks.score, descending=True, stable=True).tolist():
        nearest = int(distance_m[row].argmin())
        if distance_m[row, nearest] < within_m:
            truth[row] = nearest
            distance_m[:, nearest] = torch.inf
    return truth


def judged_residual(peaks: Peaks, scene: Scene, classes: list[int]) -> Tensor:
    """Errors f64[m, 9] (perception.uncertainty.ERRORS) of peaks with calibrated scores; NaN in rows that are not judged."""
    limit_m = torch.tensor([RANGE_M[ObjectClass(c)] for c in classes])[peaks.label]
    counts = (peaks.score >= TRUSTED) & (peaks.center_m[:, :2].norm(dim=1) < limit_m)
    truth = match(peaks, scene, classes)
    seen = torch.from_numpy(np.append(seen_by_sensors(scene), False))  # row -1 is nobody
    objects = np.column_stack([scene.boxes.center_m, np.log(scene.boxes.size_lwh_m), np.sin(scene.boxes.yaw_rad),
                               np.cos(scene.boxes.yaw_rad), scene.velocity_mps])
    true = torch.from_numpy(np.append(objects, np.zeros((1, objects.shape[1])), axis=0))[truth]
    said = torch.cat([peaks.center_m, peaks.size_lwh_m.log(), peaks.yaw_rad[:, None].sin(), peaks.yaw_rad[:, None].cos(),
                      peaks.velocity_mps], dim=1).double()
    return torch.where((counts & seen[truth])[:, None], box_residual(said, true, cell_m=1.0), torch.nan)


def without_sensors(scene: Scene) -> Scene:
    """The truth of a scene alone, for keeping many."""
    return replace(scene, points=scene.points[:0].copy(), images=scene.images[:0].copy(),
                   pixels_from_ego=scene.pixels_from_ego[:0].copy())
