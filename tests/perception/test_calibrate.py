import numpy as np
import pytest
import torch

from data_specs.objects import ObjectClass
from perception.batch import Scene
from perception.calibrate import calibrate, match
from perception.checkpoint import build_detector
from perception.head import Peaks
from tests.perception.scenes import TINY, scene_with

CLASSES = [int(ObjectClass.CAR), int(ObjectClass.PEDESTRIAN)]
SCENE = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)])


def peaks_at(rows: list[tuple[int, float, float, float]]) -> Peaks:
    """Peaks of (class index, score, x, y)."""
    table = torch.tensor(rows).reshape(-1, 4)
    m = len(table)
    center_m = torch.cat([table[:, 2:4], torch.full((m, 1), 0.8)], dim=1)
    return Peaks(torch.zeros(m, dtype=torch.int64), table[:, 0].long(), table[:, 1], center_m,
                 torch.tensor([[4.5, 1.9, 1.6]]).repeat(m, 1), torch.full((m,), 0.4), torch.zeros(m, 7))


def test_the_better_score_takes_the_object_and_the_other_is_false():
    assert match(peaks_at([(0, 0.5, 5.1, 2.0), (0, 0.9, 5.5, 2.0)]), SCENE, CLASSES).tolist() == [-1, 0]


def test_another_class_or_two_metres_away_is_false():
    assert match(peaks_at([(1, 0.9, 5.0, 2.0), (0, 0.8, 7.1, 2.0), (1, 0.7, -3.0, -6.5)]), SCENE, CLASSES).tolist() == [-1, -1, 1]


def test_a_scene_without_objects_makes_every_peak_false():
    assert match(peaks_at([(0, 0.9, 0.0, 0.0)]), scene_with([]), CLASSES).tolist() == [-1]
    assert match(peaks_at([]), SCENE, CLASSES).tolist() == []


def test_calibration_lowers_the_scores_of_a_detector_that_is_mostly_wrong(monkeypatch):
    detector = build_detector(TINY).eval()
    said = peaks_at([(0, 0.9, 5.0, 2.5), (0, 0.9, -5.0, 2.0), (0, 0.9, 9.0, 9.0), (0, 0.9, -9.0, 9.0)])
    monkeypatch.setattr(detector, "peaks", lambda points: said)
    calibrate(detector, [SCENE] * 40)
    assert detector.calibration.score(said).tolist() == pytest.approx([0.25] * 4, abs=0.05)


def test_variances_are_fitted_to_the_errors_of_detections_to_be_trusted(monkeypatch):
    detector = build_detector(TINY).eval()
    monkeypatch.setattr(detector, "peaks", lambda points: peaks_at([(0, 0.9, 5.0, 2.5), (0, 0.02, -9.0, 9.0)]))
    calibrate(detector, [SCENE] * 40)
    assert float(detector.calibration.variance_scale[1]) == pytest.approx(0.25)


def test_a_scene_is_only_read(monkeypatch):
    locked = Scene(SCENE.points, SCENE.boxes, SCENE.label, SCENE.points_in_box)
    match(peaks_at([(0, 0.9, 5.0, 2.0)]), locked, CLASSES)
    np.testing.assert_array_equal(locked.label, SCENE.label)
