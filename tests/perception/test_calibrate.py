from dataclasses import replace

import numpy as np
import pytest
import torch

from data_specs.objects import ObjectClass
from perception.assemble import build_detector
from perception.calibrate import calibrate, judged_residual, match
from perception.detect import CalibratedDetector
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
                 torch.tensor([[4.5, 1.9, 1.6]]).repeat(m, 1), torch.full((m,), 0.4), torch.zeros(m, 2), torch.zeros(m, 10))


def detector_that_says(said: Peaks, monkeypatch: pytest.MonkeyPatch) -> CalibratedDetector:
    detector = build_detector(TINY).eval()
    monkeypatch.setattr(detector, "peaks", lambda scene: said)
    return detector


def test_the_better_score_takes_the_object_and_the_other_is_false():
    assert match(peaks_at([(0, 0.5, 5.1, 2.0), (0, 0.9, 5.5, 2.0)]), SCENE, CLASSES).tolist() == [-1, 0]


def test_another_class_or_two_metres_away_is_false():
    assert match(peaks_at([(1, 0.9, 5.0, 2.0), (0, 0.8, 7.1, 2.0), (1, 0.7, -3.0, -6.5)]), SCENE, CLASSES).tolist() == [-1, -1, 1]


def test_a_scene_without_objects_makes_every_peak_false():
    assert match(peaks_at([(0, 0.9, 0.0, 0.0)]), scene_with([]), CLASSES).tolist() == [-1]
    assert match(peaks_at([]), SCENE, CLASSES).tolist() == []


def test_errors_are_those_of_trusted_detections_in_the_order_of_the_spread():
    residual = judged_residual(peaks_at([(0, 0.9, 5.5, 1.8), (1, 0.29, -3.0, -6.0), (0, 0.8, -9.0, 9.0)]), SCENE, CLASSES)
    np.testing.assert_allclose(residual[0], [0.5, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], atol=1e-6)
    assert residual[1:].isnan().all()


def test_an_object_that_no_sensor_sees_is_taken_but_not_judged():
    nobody = np.zeros(2, np.int32)
    hidden = replace(SCENE, points_in_box=nobody, pixels_visible=nobody)
    peaks = peaks_at([(0, 0.9, 5.5, 1.8)])
    assert match(peaks, hidden, CLASSES).tolist() == [0]
    assert judged_residual(peaks, hidden, CLASSES).isnan().all()


def test_a_detection_beyond_the_range_of_its_class_is_not_judged():
    far = scene_with([(ObjectClass.PEDESTRIAN, 41.0, 0.0, 0.0), (ObjectClass.CAR, 42.0, 9.0, 0.0)])
    judged = ~judged_residual(peaks_at([(1, 0.9, 41.0, 0.0), (0, 0.9, 42.0, 9.0)]), far, CLASSES).isnan()
    assert judged.any(dim=1).tolist() == [False, True]


def test_an_unknown_velocity_is_not_judged_but_the_place_is():
    scene = replace(SCENE, velocity_mps=np.full((2, 2), np.nan))
    residual = judged_residual(peaks_at([(0, 0.9, 5.5, 1.8)]), scene, CLASSES)
    assert residual[0].isnan().tolist() == [False] * 7 + [True] * 2


def test_calibration_lowers_the_scores_of_a_detector_that_is_mostly_wrong(monkeypatch):
    said = peaks_at([(0, 0.9, 5.0, 2.5), (0, 0.9, -5.0, 2.0), (0, 0.9, 0.0, -5.4), (0, 0.9, -2.0, 5.0)])
    detector = detector_that_says(said, monkeypatch)
    calibrate(detector, [SCENE] * 100)
    assert detector.calibration.score(said).tolist() == pytest.approx([0.25] * 4, abs=0.05)


def test_variances_are_fitted_to_the_errors_of_detections_to_be_trusted(monkeypatch):
    angle = torch.rand(200, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    said = iter([peaks_at([(0, 0.9, 5.0 + float(a.cos()) / 2, 2.0 + float(a.sin()) / 2), (0, 0.02, -9.0, 9.0)]) for a in angle])
    detector = build_detector(TINY).eval()
    monkeypatch.setattr(detector, "peaks", lambda scene: next(said))
    calibrate(detector, [scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4)], cameras=0)] * 200)
    variance = detector.calibration.uncertainty(peaks_at([(0, 0.9, 5.0, 2.0)]))[0][0].diagonal()[:2]
    assert ((variance > 0.05) & (variance < 0.2)).all()  # from 1; the mean square is 0.125


def test_cameras_alone_have_a_calibration_of_their_own(monkeypatch):
    scene = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4)], cameras=4)
    right, wrong = peaks_at([(0, 0.6, 5.0, 2.0)]), peaks_at([(0, 0.6, -9.0, 9.0)])
    detector = build_detector(TINY).eval()
    monkeypatch.setattr(detector, "peaks", lambda scene: wrong if scene.lidar_lost else right)
    calibrate(detector, [scene] * 100)
    assert detector.objects(right, 0).score[0] > 0.9
    assert detector.objects(wrong, 0, has_returns=False).score[0] < 0.1
    assert detector.objects(right, 0, has_returns=False).score[0] < 0.5


def test_without_scenes_everything_stays_as_the_head_says(monkeypatch):
    said = peaks_at([(0, 0.7, 5.0, 2.0)])
    detector = detector_that_says(said, monkeypatch)
    calibrate(detector, [])
    assert detector.calibration.score(said).tolist() == pytest.approx([0.7])


def test_a_detector_that_finds_nothing_keeps_its_calibration_finite(monkeypatch):
    detector = detector_that_says(peaks_at([]), monkeypatch)
    calibrate(detector, [SCENE] * 3)
    assert all(torch.isfinite(values).all() for values in detector.calibration.buffers())


def test_a_scene_is_only_read():
    before = {name: np.array(getattr(SCENE, name)) for name in ("points", "images", "label", "velocity_mps", "pixels_visible")}
    judged_residual(peaks_at([(0, 0.9, 5.0, 2.0)]), SCENE, CLASSES)
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(SCENE, name), values)
