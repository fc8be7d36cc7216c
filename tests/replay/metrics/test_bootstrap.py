import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from replay.metrics.bootstrap import drive_draws, interval_95


@given(st.integers(1, 60), st.integers(0, 1000))
def test_a_round_draws_as_many_drives_as_there_are_and_a_seed_repeats(drives, seed):
    draws = drive_draws(drives, rounds=20, seed=seed)
    assert draws.shape == (20, drives) and (draws.sum(axis=1) == drives).all() and (draws >= 0).all()
    assert np.array_equal(draws, drive_draws(drives, rounds=20, seed=seed))


def test_the_interval_of_a_mean_is_about_two_standard_errors_each_way():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    low, high = interval_95(drive_draws(400) @ values / 400)
    assert abs((high - low) / 2 - 1.96 * values.std() / 20) < 0.02 and low < values.mean() < high


def test_rounds_without_a_value_are_left_out():
    bounds = interval_95(np.array([[1.0, np.nan], [np.nan, np.nan], [1.0, np.nan]]))
    assert bounds[:, 0].tolist() == [1.0, 1.0] and np.isnan(bounds[:, 1]).all()
