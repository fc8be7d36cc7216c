"""Fits a detector's scores and spreads to what it really gets right, on drives that did not train it.

A detection is right if it is the best of its class that lies within 2 m of an object of that class which no better one took
(the matching of nuScenes' detection metric).
"""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from perception.detect import CalibratedDetector
from perception.head import Peaks
from perception.scene import Scene
from perception.uncertainty import box_residual, fit_score, fit_variance_scale

MATCH_M = 2.0
TRUSTED = 0.3  # the score from which on an object's position counts: variances are fitted over these


def calibrate(detector: CalibratedDetector, scenes: Iterable[Scene]) -> None:
    """Set the detector's calibration from the scenes; it must be in evaluation mode."""
    found, rights, residuals = [], [], []
    for scene in scenes:
        peaks = detector.peaks(scene)
        truth = match(peaks, scene, [int(c) for c in detector.network.head.classes])
        found.append(peaks)
        rights.append(truth >= 0)
        residuals.append(_residual(peaks[truth >= 0], scene, truth[truth >= 0]))
    label, score = torch.cat([peaks.label for peaks in found]), torch.cat([peaks.score for peaks in found])
    right = torch.cat(rights)
    for i in range(len(detector.network.head.classes)):
        slope, offset = fit_score(score[label == i], right[label == i])
        detector.calibration.score_slope[i], detector.calibration.score_offset[i] = slope, offset
    trusted = detector.calibration.score(label[right], score[right]) >= TRUSTED
    spread, residual = torch.cat([peaks.spread for peaks in found])[right][trusted], torch.cat(residuals)[trusted]
    for i in range(len(detector.network.head.classes)):
        rows = label[right][trusted] == i
        detector.calibration.variance_scale[i] = fit_variance_scale(residual[rows], spread[rows])


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


def _residual(peaks: Peaks, scene: Scene, truth: Tensor) -> Tensor:
    """Errors [k, 9] of matched peaks, as perception.uncertainty.ERRORS."""
    boxes = scene.boxes[truth.numpy()]
    yaw = torch.from_numpy(boxes.yaw_rad.copy())[:, None]
    said = torch.cat([peaks.center_m, peaks.size_lwh_m.log(), peaks.yaw_rad[:, None].sin(), peaks.yaw_rad[:, None].cos(),
                      peaks.velocity_mps], dim=1)
    true = torch.cat([torch.from_numpy(boxes.center_m.copy()), torch.from_numpy(boxes.size_lwh_m.copy()).log(), yaw.sin(),
                      yaw.cos(), torch.from_numpy(scene.velocity_mps[truth.numpy()])], dim=1)
    return box_residual(said.double(), true, cell_m=1.0)
