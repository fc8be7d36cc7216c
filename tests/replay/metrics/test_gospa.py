from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import SpecError
from replay.metrics.gospa import gospa, ospa

points = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=4).map(
    lambda rows: np.array(rows, float).reshape(-1, 2))


def test_a_pair_a_missed_and_a_false_point_add_up():
    said = gospa(np.array([[0.0, 0], [50, 0]]), np.array([[3.0, 4], [0, 90]]), cutoff_m=10.0)
    assert (said.localisation, said.missed, said.false, said.pairs) == pytest.approx((25.0, 50.0, 50.0, 1))
    assert said.distance_m == pytest.approx(np.sqrt(125.0))


def test_ospa_of_a_pair_and_a_point_too_many():
    assert ospa(np.array([[0.0, 0]]), np.array([[3.0, 4], [90, 0]]), cutoff_m=10.0) == pytest.approx(np.sqrt((25 + 100) / 2))
    assert ospa(np.array([[0.0, 0]]), np.array([[3.0, 4]]), cutoff_m=10.0, power=1.0) == pytest.approx(5.0)


def test_two_empty_sets_are_at_no_distance_and_one_alone_at_the_most():
    none, two = np.zeros((0, 2)), np.zeros((2, 2))
    assert gospa(none, none, 5.0).distance_m == ospa(none, none, 5.0) == 0.0
    assert ospa(none, two, 5.0) == pytest.approx(5.0) and gospa(two, none, 5.0).missed == pytest.approx(25.0)


def best_of_all(true_m, found_m, cutoff_m, price):
    """The least cost over every assignment of the smaller set, and `price` for each point without a partner."""
    small, large = sorted((true_m, found_m), key=len)
    costs = [sum(min(np.linalg.norm(small[i] - large[k]), cutoff_m) ** 2 for i, k in enumerate(chosen))
             for chosen in permutations(range(len(large)), len(small))]
    return min(costs) + price * (len(large) - len(small))


@given(points, points)
def test_both_are_the_least_over_all_assignments(true_m, found_m):
    expected = best_of_all(true_m, found_m, 4.0, price=8.0)
    assert gospa(true_m, found_m, 4.0).distance_m ** 2 == pytest.approx(expected, abs=1e-9)
    larger = max(len(true_m), len(found_m), 1)
    assert ospa(true_m, found_m, 4.0) ** 2 == pytest.approx(best_of_all(true_m, found_m, 4.0, price=16.0) / larger, abs=1e-9)


@given(points, points, points)
def test_both_keep_the_triangle_inequality(a_m, b_m, c_m):
    assert gospa(a_m, c_m, 4.0).distance_m <= gospa(a_m, b_m, 4.0).distance_m + gospa(b_m, c_m, 4.0).distance_m + 1e-9
    assert ospa(a_m, c_m, 4.0) <= ospa(a_m, b_m, 4.0) + ospa(b_m, c_m, 4.0) + 1e-9


def test_a_cutoff_or_points_that_cannot_be_are_refused():
    with pytest.raises(SpecError, match=r"cutoff_m and power: 0.0 and 2.0, expected above 0 and at least 1"):
        gospa(np.zeros((1, 2)), np.zeros((1, 2)), 0.0)
    with pytest.raises(SpecError, match=r"found_m: nan at index \[0, 1\]"):
        ospa(np.zeros((1, 2)), np.array([[0.0, np.nan]]), 1.0)
