import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.gate_statistics import expanded_interval, holm, p_value
from replay.metrics.bootstrap import drive_draws

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


@given(p_values)
def test_holm_never_lowers_a_p_value_keeps_their_order_and_stays_below_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_gives_the_known_case():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


@given(p_values)
def test_what_has_no_p_value_is_not_counted(p):
    assert np.isnan(holm(np.append(p, np.nan))[-1])
    np.testing.assert_array_equal(holm(np.append(p, np.nan))[:-1], holm(p))


@given(st.integers(10, 40), st.integers(0, 100))
def test_a_difference_and_its_opposite_are_as_significant(drives, seed):
    each = np.random.default_rng(seed).normal(0.01, 0.05, drives)
    drawn = drive_draws(drives, 200, seed) @ each / drives
    assert p_value(each.mean(), drawn, drives) == pytest.approx(p_value(-each.mean(), -drawn, drives))
    (low, high), (other_low, other_high) = expanded_interval(drawn, drives), expanded_interval(-drawn, drives)
    assert (other_low, other_high) == pytest.approx((-high, -low)) and low <= high


def test_where_nothing_differs_nothing_is_significant_and_one_drive_tells_nothing():
    assert p_value(0.0, np.zeros(100), 12) == 1.0 and p_value(0.1, np.full(100, 0.1), 12) == 0.0
    assert np.isnan(p_value(0.1, np.full(100, 0.1), 1)) and np.isnan(expanded_interval(np.zeros(9), 1)).all()


def test_intervals_of_ten_drives_hold_the_truth_and_false_alarms_are_rare():
    draws, rng = drive_draws(10, 1000), np.random.default_rng(1)
    held = alarms = 0
    for _ in range(400):
        each = rng.normal(0.0, 1.0, 10)
        drawn = draws @ each / 10
        low, high = expanded_interval(drawn, 10)
        held += low <= 0.0 <= high
        alarms += p_value(each.mean(), drawn, 10) < 0.05
    assert 0.92 <= held / 400 <= 0.98 and alarms / 400 <= 0.08
