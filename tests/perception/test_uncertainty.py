import numpy as np
import torch

from perception.head import Peaks
from perception.uncertainty import Calibration, covariance_of, fit_score, fit_variance_scale


def peaks(score: list[float]) -> Peaks:
    m = len(score)
    return Peaks(torch.zeros(m, dtype=torch.int64), torch.zeros(m, dtype=torch.int64), torch.tensor(score), torch.zeros(m, 3),
                 torch.ones(m, 3), torch.zeros(m), torch.zeros(m, 7))


def test_an_unfitted_calibration_changes_nothing():
    calibration = Calibration(1)
    torch.testing.assert_close(calibration.score(peaks([0.1, 0.9])), torch.tensor([0.1, 0.9]))
    torch.testing.assert_close(calibration.variance(peaks([0.5])), torch.ones(1, 7))


def test_fitted_scores_say_how_often_they_are_right():
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(4000, generator=generator)
    right = torch.rand(4000, generator=generator) < torch.sigmoid(0.5 * torch.logit(score) - 1.0)
    slope, offset = fit_score(score, right)
    np.testing.assert_allclose([slope, offset], [0.5, -1.0], atol=0.12)


def test_scores_without_any_truth_stay_in_order_and_finite():
    slope, offset = fit_score(torch.tensor([0.2, 0.4, 0.9]), torch.zeros(3, dtype=torch.bool))
    assert slope >= 0.1 and np.isfinite(offset)
    assert fit_score(torch.zeros(0), torch.zeros(0, dtype=torch.bool)) == (1.0, 0.0)


def test_the_variance_scale_brings_the_normalised_error_to_one():
    residual = 3.0 * torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    scale = fit_variance_scale(residual, torch.zeros(5000, 2))
    torch.testing.assert_close(scale, torch.full((2,), 9.0), rtol=0.1, atol=0)


def test_few_matches_leave_the_variance_alone():
    assert fit_variance_scale(torch.full((19, 2), 9.0), torch.zeros(19, 2)).tolist() == [1.0, 1.0]


def test_velocity_is_unmeasured_in_the_covariance():
    covariance = covariance_of(torch.arange(1.0, 8.0)[None])
    assert covariance[0].diagonal()[:4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert covariance[0, 4:].isnan().all() and covariance[0, :, 4:].isnan().all()
    assert covariance[0, 0, 1] == 0.0
