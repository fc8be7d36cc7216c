import numpy as np
import pytest
import torch

from data_specs.errors import SpecError
from data_specs.pose import SE3
from data_specs.sensors import Sample
from perception.checkpoint import build_detector
from perception.detector import LEAST_SCORE, Detector
from perception.head import Peaks
from tests.perception.scenes import TINY, sample_of


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    return build_detector(TINY).eval()


def test_an_empty_cloud_gives_an_empty_list_in_ego(detector):
    objects = detector.detect(sample_of(np.zeros((0, 4))))
    assert (len(objects), objects.boxes.frame, objects.source) == (0, "ego", "tiny")


def test_a_cloud_of_nan_gives_an_empty_list(detector):
    assert len(detector.detect(sample_of(np.full((5, 4), np.nan)))) == 0


def test_a_sample_without_a_lidar_is_refused(detector):
    with pytest.raises(SpecError, match="no point cloud, expected at least one LiDAR"):
        detector.detect(Sample("drive", 9, (), (), SE3.identity("map", "ego"), {}))


def test_detection_repeats_to_the_bit(detector):
    torch.nn.init.constant_(detector.head.heatmap[-1].bias, 0.0)
    sample = sample_of(np.random.default_rng(0).uniform(-3, 3, (500, 4)).clip(-3, 3))
    first, second = detector.detect(sample), detector.detect(sample)
    assert len(first) > 0
    np.testing.assert_array_equal(first.boxes.center_m, second.boxes.center_m)
    np.testing.assert_array_equal(first.score, second.score)


def test_objects_carry_their_class_time_and_uncertainty_and_no_velocity(detector):
    peaks = Peaks(torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64), torch.tensor([0.7]),
                  torch.tensor([[3.0, 4.0, 0.9]]), torch.tensor([[0.7, 0.6, 1.7]]), torch.tensor([0.5]),
                  torch.log(torch.tensor([[0.04, 0.09, 0.01, 0.25, 0.01, 0.04, 0.09]])))
    objects = detector.objects(peaks, 7)
    assert (objects.label.tolist(), objects.measured_ns.tolist()) == ([6], [7])
    np.testing.assert_allclose(np.sqrt(np.diag(objects.covariance[0])[:4]), [0.2, 0.3, 0.1, 0.5], rtol=1e-5)
    np.testing.assert_allclose(objects.size_sigma_m, [[0.07, 0.12, 0.51]], rtol=1e-5)
    assert np.isnan(objects.velocity_mps).all()


def test_what_is_hardly_ever_right_is_left_out(detector, monkeypatch):
    two = Peaks(torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64), torch.tensor([0.7, LEAST_SCORE / 2]),
                torch.tensor([[3.0, 4.0, 0.9], [9.0, 4.0, 0.9]]), torch.ones(2, 3), torch.zeros(2), torch.zeros(2, 7))
    monkeypatch.setattr(detector, "peaks", lambda points: two)
    assert detector.detect(sample_of(np.zeros((3, 4)))).score.tolist() == pytest.approx([0.7])
