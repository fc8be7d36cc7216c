import numpy as np
import pytest

from data_specs.errors import SpecError
from replay.metrics.innovation import judge_innovations, nis


def followed(rng, stated=1.0, steps=400):
    """Innovations [n, 1] and covariances of a constant-velocity Kalman filter that states `stated` times its measuring noise."""
    step, move, noise = np.array([[1.0, 0.1], [0.0, 1.0]]), np.diag([1e-4, 4e-3]), 0.25
    state, estimate, cov = np.zeros(2), np.zeros(2), np.eye(2)
    innovations, covariances = [], []
    for _ in range(steps):
        state = step @ state + rng.multivariate_normal(np.zeros(2), move)
        estimate, cov = step @ estimate, step @ cov @ step.T + move
        innovation, s = state[0] + rng.normal(0, np.sqrt(noise)) - estimate[0], cov[0, 0] + stated * noise
        gain = cov[:, 0] / s
        estimate, cov = estimate + gain * innovation, cov - np.outer(gain, gain) * s
        innovations.append([innovation])
        covariances.append([[s]])
    return np.array(innovations), np.array(covariances)


def test_a_filter_that_knows_its_noise_is_honest_nineteen_times_in_twenty():
    honest = [judge_innovations(*followed(np.random.default_rng(seed))).honest for seed in range(60)]
    assert 0.85 <= np.mean(honest) <= 1.0


def test_a_filter_that_states_too_little_noise_is_too_sure_and_one_that_states_too_much_too_doubtful():
    sure, doubtful = (judge_innovations(*followed(np.random.default_rng(0), stated)) for stated in (0.3, 3.0))
    assert sure.anis > sure.high and doubtful.anis < doubtful.low


def test_nis_is_the_length_in_units_of_the_covariance():
    squared = nis(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([np.diag([9.0, 16.0]), np.full((2, 2), np.nan)]))
    assert squared[0] == pytest.approx(2.0) and np.isnan(squared[1])


def test_without_innovations_nothing_is_known():
    nothing = judge_innovations(np.zeros((0, 2)), np.zeros((0, 2, 2)))
    assert np.isnan(nothing.anis) and nothing.count == 0 and not nothing.honest
    assert judge_innovations(np.ones((1, 1)), np.full((1, 1, 1), np.nan)).count == 0


def test_shapes_that_do_not_agree_and_covariances_that_are_none_are_refused():
    with pytest.raises(SpecError, match=r"covariance: shape is \(1, 3, 3\), expected \(1, 2, 2\)"):
        nis(np.zeros((1, 2)), np.zeros((1, 3, 3)))
    with pytest.raises(SpecError, match="least eigenvalue -1"):
        nis(np.zeros((1, 1)), -np.ones((1, 1, 1)))
