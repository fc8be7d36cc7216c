"""Calibration on errors whose law is known: what is fitted on some must come out right on others."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from perception.calibration import RANGE_KNOTS_M, Calibration, fit_by_class, score_facts, variance_loss
from perception.head import Peaks
from perception.uncertainty import covariance_of, sigma_of

FEW, MANY = 60, 6000  # peaks of a rare class and of a common one
REGION = float(chi2.ppf(0.9, 2))


def peaks_of(label: torch.Tensor, score: torch.Tensor, xy_m: torch.Tensor, spread: torch.Tensor) -> Peaks:
    m = len(label)
    center_m = torch.cat([xy_m, torch.zeros(m, 1)], dim=1)
    return Peaks(torch.zeros(m, dtype=torch.int64), label, score, center_m, torch.ones(m, 3), torch.zeros(m), torch.zeros(m, 2),
                 spread)


def drawn(m: int, seed: int) -> Peaks:
    """Peaks within 50 m, trusted to any degree; class 1 is rare."""
    generator = torch.Generator().manual_seed(seed)
    label = (torch.arange(m) % (MANY // FEW) == 0).long()
    score = 0.3 + 0.68 * torch.rand(m, generator=generator)
    angle, range_m = 2 * torch.pi * torch.rand(m, generator=generator), 50.0 * torch.rand(m, generator=generator)
    xy_m = range_m[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return peaks_of(label, score, xy_m, 0.3 * torch.randn(m, 10, generator=generator) - 1.0)


def scenes_of(peaks: Peaks) -> list[Peaks]:
    """The peaks by scenes of 50."""
    return [peaks[rows] for rows in torch.arange(len(peaks.score)).split(50)]


def variance_facts(calibration: Calibration, peaks: Peaks) -> torch.Tensor:
    return torch.cat([calibration.variance_facts(scene) for scene in scenes_of(peaks)])


def heavy_errors(peaks: Peaks, seed: int) -> torch.Tensor:
    """Errors [m, 9]: Student's t of 4 degrees in units of the spread, wider with range, and outliers where the score is low."""
    generator = torch.Generator().manual_seed(seed)
    m = len(peaks.score)
    tail = torch.randn(m, 4, dtype=torch.float64, generator=generator).square().mean(dim=1, keepdim=True).sqrt()
    unit = torch.randn(m, 9, dtype=torch.float64, generator=generator) / tail
    wider = 1.0 + peaks.center_m[:, :2].norm(dim=1, keepdim=True) / 25.0
    outlier = torch.rand(m, generator=generator) < 0.1 * (1.0 - peaks.score)
    unit = unit * wider * torch.where(outlier, 3.0, 1.0)[:, None]
    error = unit * sigma_of(peaks.spread)
    error[:, 1] = peaks.spread[:, 2] * unit[:, 0] + peaks.spread[:, 1].exp() * unit[:, 1]  # which moves with that of x
    return error


@pytest.fixture(scope="module")
def judged() -> tuple[Calibration, Peaks, torch.Tensor, torch.Tensor]:
    """A calibration fitted on heavy-tailed errors; other peaks, their squared whitened errors (x, y), and factors [m, 9]."""
    calibration = Calibration(2)
    for seed, fits in ((1, True), (2, False)):
        peaks = drawn(MANY, seed)
        facts, error = variance_facts(calibration, peaks), heavy_errors(peaks, seed + 10)
        if fits:
            calibration.fit_variances(peaks.label, facts, error, peaks.spread)
    factor = calibration.variance_factor(facts, peaks.label).double()
    place = covariance_of(peaks.spread.double(), factor)[:, :2, :2]
    squared = (error[:, :2] * torch.linalg.solve(place, error[:, :2])).sum(dim=1)
    return calibration, peaks, squared, (error / sigma_of(peaks.spread)).square() / factor


def test_mean_square_and_region_both_come_out_right_on_other_errors(judged):
    _, _, squared, _ = judged
    assert 0.9 < float(squared.mean()) / 2 < 1.15
    assert 0.88 < float((squared <= REGION).double().mean()) < 0.92


@pytest.mark.parametrize("near_m", [0, 10, 20, 30, 40])
def test_the_region_holds_at_every_range(judged, near_m):
    _, peaks, squared, _ = judged
    range_m = peaks.center_m[:, :2].norm(dim=1)
    held = (squared <= REGION)[(range_m >= near_m) & (range_m < near_m + 10)]
    assert 0.87 < float(held.double().mean()) < 0.93


def test_the_region_holds_for_sure_and_doubtful_detections(judged):
    _, peaks, squared, _ = judged
    for rows in (peaks.score < 0.5, (peaks.score >= 0.5) & (peaks.score < 0.8), peaks.score >= 0.8):
        assert 0.87 < float((squared <= REGION)[rows].double().mean()) < 0.93


def test_every_number_is_held_by_its_own_interval(judged):
    *_, squared = judged
    held = (squared <= float(chi2.ppf(0.9, 1))).double().mean(dim=0)
    assert ((held > 0.87) & (held < 0.93)).all()


def test_a_class_of_few_examples_stays_near_the_others(judged):
    _, peaks, squared, _ = judged
    assert 0.75 < float((squared <= REGION)[peaks.label == 1].double().mean()) < 0.99


def test_without_examples_nothing_changes():
    calibration, none = Calibration(2), drawn(0, 0)
    calibration.fit_scores(none.label, score_facts(none), torch.zeros(0, dtype=torch.bool))
    calibration.fit_variances(none.label, calibration.variance_facts(none), torch.zeros(0, 9).double(), none.spread)
    assert not calibration.score_weights.any() and not calibration.variance_weights.any()
    peaks = drawn(3, 0)
    torch.testing.assert_close(calibration.score(peaks), peaks.score)
    torch.testing.assert_close(calibration.uncertainty(peaks)[0], covariance_of(peaks.spread.double(), torch.ones(3, 9).double()))


def test_unknown_velocities_leave_the_rest_to_be_fitted():
    calibration, peaks = Calibration(2), drawn(300, 3)
    error = heavy_errors(peaks, 3)
    error[:, 7:] = torch.nan
    calibration.fit_variances(peaks.label, variance_facts(calibration, peaks), error, peaks.spread)
    assert torch.isfinite(calibration.variance_weights).all()
    assert calibration.variance_weights[:, :7].any() and not calibration.variance_weights[:, 7:].any()


def test_fitted_scores_say_how_often_they_are_right():
    calibration, peaks = Calibration(2), drawn(MANY, 4)
    facts = torch.cat([score_facts(scene) for scene in scenes_of(peaks)])
    wanted = torch.sigmoid(0.5 * torch.logit(peaks.score) - 1.0 + 0.02 * peaks.center_m[:, 0].abs())
    right = torch.rand(MANY, generator=torch.Generator().manual_seed(5)) < wanted
    calibration.fit_scores(peaks.label, facts, right)
    said = torch.sigmoid(facts[:, -1] + (facts * calibration.score_weights[peaks.label]).sum(dim=1))
    for rows in (said < 0.4, (said >= 0.4) & (said < 0.55), said >= 0.55):
        assert abs(float(said[rows].mean() - right[rows].double().mean())) < 0.03


def test_a_score_that_misleads_keeps_its_order():
    calibration, peaks = Calibration(2), drawn(400, 6)
    facts = torch.cat([score_facts(scene) for scene in scenes_of(peaks)])
    calibration.fit_scores(peaks.label, facts, peaks.score < 0.5)
    apart = peaks_of(torch.tensor([0, 0]), torch.tensor([0.9, 0.4]), torch.tensor([[9.0, 0.0], [-9.0, 0.0]]), torch.zeros(2, 10))
    high, low = calibration.score(apart)
    assert low < high


def test_a_better_peak_nearby_crowds_only_the_worse_one():
    peaks = peaks_of(torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.4, 0.5]), torch.tensor([[5.0, 0.0], [6.5, 0.0], [5.0, 30.0]]),
                     torch.zeros(3, 10))
    better, alike, other = score_facts(peaks)[:, len(RANGE_KNOTS_M):-1].T.tolist()
    assert better == [0.0, 0.5, 0.0] and alike == [0.5, 0.5, 0.0] and other == [0.0, 0.0, 0.0]


@given(st.floats(0.0, 200.0))
def test_shares_of_the_range_sum_to_one(range_m):
    one = peaks_of(torch.tensor([0]), torch.tensor([0.5]), torch.tensor([[0.0, range_m]]), torch.zeros(1, 10))
    assert float(score_facts(one)[0, :len(RANGE_KNOTS_M)].sum()) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_the_quantile_loss_alone_finds_the_quantile(seed):
    squared = torch.randn(4000, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).mul(1.5).exp()
    ones, label = torch.ones(4000, 1), torch.zeros(4000, dtype=torch.int64)
    lines = fit_by_class(ones, label, 1, 1.0, lambda move: variance_loss(move, squared, 1, mean_square=0.0))
    held = torch.mean((squared <= float(lines[0, 0].exp()) * float(chi2.ppf(0.9, 1))).double())
    assert float(held) == pytest.approx(0.9, abs=0.01)


def test_gaussian_errors_satisfy_both_losses_at_once():
    generator = torch.Generator().manual_seed(7)
    squared = 4.0 * torch.randn(20_000, 2, dtype=torch.float64, generator=generator).square().sum(dim=1)
    ones, label = torch.ones(20_000, 1), torch.zeros(20_000, dtype=torch.int64)
    lines = fit_by_class(ones, label, 1, 1.0, lambda move: variance_loss(move, squared, 2, mean_square=1.0))
    assert float(lines[0, 0].exp()) == pytest.approx(4.0, rel=0.03)
