import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perception.uncertainty import ERRORS, SPREAD_NUMBERS, box_residual, covariance_of, sigma_of, whitened

spreads = arrays(np.float64, (5, len(SPREAD_NUMBERS)), elements=st.floats(-4.0, 3.0)).map(torch.from_numpy)
factors = arrays(np.float64, (5, len(ERRORS)), elements=st.floats(0.02, 50.0)).map(torch.from_numpy)


@given(spreads, factors)
def test_a_covariance_is_symmetric_and_positive_definite(spread, factor):
    covariance = covariance_of(spread, factor)
    torch.testing.assert_close(covariance, covariance.transpose(1, 2), atol=0, rtol=0)
    assert (torch.linalg.cholesky_ex(covariance).info == 0).all()


@given(spreads, factors)
def test_a_factor_scales_the_variance_of_its_own_number_alone(spread, factor):
    variance = covariance_of(spread, factor).diagonal(dim1=1, dim2=2)
    wanted = (sigma_of(spread).square() * factor)[:, [0, 1, 2, 3, 7, 8]]
    torch.testing.assert_close(variance, wanted)


@given(spreads, factors)
def test_a_factor_leaves_the_correlation_of_x_and_y_as_it_is(spread, factor):
    correlations = []
    for by in (torch.ones_like(factor), factor):
        covariance = covariance_of(spread, by)
        correlations.append(covariance[:, 0, 1] / (covariance[:, 0, 0] * covariance[:, 1, 1]).sqrt())
    torch.testing.assert_close(correlations[1], correlations[0])


def test_whitened_samples_of_a_covariance_have_unit_variance():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([[-0.5, 0.3, 0.8, -1.0, -2.0, -1.0, -1.5, -2.0, 0.5, 0.2]], dtype=torch.float64)
    lower = torch.linalg.cholesky(covariance_of(spread, torch.ones(1, 9, dtype=torch.float64)))[0]
    drawn = torch.randn(40_000, 6, dtype=torch.float64, generator=generator) @ lower.T
    sizes = torch.randn(40_000, 3, dtype=torch.float64, generator=generator) * spread[:, 5:8].exp()
    unit, _ = whitened(torch.cat([drawn[:, :4], sizes, drawn[:, 4:]], dim=1), spread.expand(len(drawn), -1))
    torch.testing.assert_close(torch.cov(unit.T), torch.eye(9, dtype=torch.float64), atol=0.03, rtol=0)


@given(spreads)
def test_whitening_turns_the_error_at_one_deviation_into_a_unit(spread):
    error = torch.zeros(5, 9, dtype=torch.float64)
    error[:, 0], error[:, 1] = spread[:, 0].exp(), spread[:, 2]
    unit, _ = whitened(error, spread)
    torch.testing.assert_close(unit, torch.eye(9, dtype=torch.float64)[:1].expand(5, -1))


def test_an_unknown_velocity_stays_unknown_and_spoils_nothing_else():
    box, target = torch.zeros(1, 10), torch.zeros(1, 10)
    box[:, 7] = target[:, 7] = 1.0
    target[:, 8:] = torch.nan
    unit, _ = whitened(box_residual(box, target, 0.8), torch.zeros(1, 10))
    assert unit[0].isnan().tolist() == [False] * 7 + [True] * 2


@given(st.floats(-7.0, 7.0), st.floats(-3.1, 3.1))
def test_headings_differ_by_at_most_half_a_turn(heading, turn):
    box, target = torch.zeros(1, 10, dtype=torch.float64), torch.zeros(1, 10, dtype=torch.float64)
    target[0, 6:8] = torch.tensor([np.sin(heading), np.cos(heading)])
    box[0, 6:8] = 3.0 * torch.tensor([np.sin(heading + turn), np.cos(heading + turn)])
    assert abs(float(box_residual(box, target, 0.8)[0, 3]) - turn) < 1e-9


def test_offsets_become_metres():
    box = torch.zeros(1, 10)
    box[:, :3] = torch.tensor([1.0, -0.5, 2.0])
    assert box_residual(box, torch.zeros(1, 10), cell_m=0.5)[0, :3].tolist() == [0.5, -0.25, 2.0]
