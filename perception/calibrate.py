"""Fits a detector's scores and variances to what it really gets right, on drives that did not train it.

A detection is right if it is the best of its class that lies within 2 m of an object of that class which no better one took
(the matching of nuScenes' detection metric).
"""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from perception.batch import Scene
from perception.detector import Detector
from perception.head import Peaks
from perception.train import box_residual
from perception.uncertainty import fit_score, fit_variance_scale

MATCH_M = 2.0
TRUSTED = 0.3  # the score from which on an object's position counts: variances are fitted over these


def calibrate(detector: Detector, scenes: Iterable[Scene]) -> None:
    """Set the detector's calibration from the scenes; it must be in evaluation mode."""
    found, rights, residuals = [], [], []
    for scene in scenes:
        peaks = detector.peaks(scene.points)
        truth = match(peaks, scene, [int(c) for c in detector.head.classes])
        found.append(peaks)
        rights.append(truth >= 0)
        residuals.append(_residual(peaks[truth >= 0], scene, truth[truth >= 0]))
    label, score = torch.cat([peaks.label for peaks in found]), torch.cat([peaks.score for peaks in found])
    right = torch.cat(rights)
    for i in range(len(detector.head.classes)):
        slope, offset = fit_score(score[label == i], right[label == i])
        detector.calibration.score_slope[i], detector.calibration.score_offset[i] = slope, offset
    trusted = torch.cat([detector.calibration.score(peaks) for peaks in found])[right] >= TRUSTED
    log_variance = torch.cat([peaks.log_variance for peaks in found])[right]
    detector.calibration.variance_scale.copy_(fit_variance_scale(torch.cat(residuals)[trusted], log_variance[trusted]))


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
    """Errors [k, 7] of matched peaks, in the order and units of perception.head.UNCERTAIN."""
    boxes = scene.boxes[truth.numpy()]
    said = torch.cat([peaks.center_m, peaks.size_lwh_m.log(), peaks.yaw_rad[:, None].sin(), peaks.yaw_rad[:, None].cos()], dim=1)
    yaw = torch.from_numpy(boxes.yaw_rad.copy())[:, None]
    true = torch.cat([torch.from_numpy(boxes.center_m.copy()), torch.from_numpy(boxes.size_lwh_m.copy()).log(), yaw.sin(),
                      yaw.cos()], dim=1)
    return box_residual(said.double(), true, cell_m=1.0)
