from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_specs.objects import ObjectClass
from v2x.associate import assign, class_penalty, gate2, planar_mahalanobis

FREE = 1e9


def test_a_far_detection_stays_unmatched():
    distance2 = np.array([[0.1, 900.0]])
    assert assign(distance2, np.zeros((1, 2)), gate2(2, 0.997)).tolist() == [[0, 0]]
    assert assign(distance2[:, 1:], np.zeros((1, 1)), gate2(2, 0.997)).tolist() == []


@given(arrays(np.float64, (3, 4), elements=st.floats(0.0, 5.0)))
def test_no_other_pairing_is_cheaper(distance2):
    pairs = assign(distance2, np.zeros_like(distance2), FREE)
    found = distance2[pairs[:, 0], pairs[:, 1]].sum()
    best = min(sum(distance2[i, j] for i, j in enumerate(choice)) for choice in permutations(range(4), 3))
    assert found == pytest.approx(best)


def test_a_refused_pair_is_not_made_even_when_nothing_else_is_left():
    assert assign(np.zeros((1, 1)), np.array([[np.inf]]), FREE).tolist() == []


def test_nothing_matches_nothing():
    assert assign(np.zeros((0, 3)), np.zeros((0, 3)), FREE).shape == (0, 2)


@given(arrays(np.float64, (2, 2), elements=st.floats(-3.0, 3.0)), arrays(np.float64, 2, elements=st.floats(-9.0, 9.0)))
def test_the_closed_form_is_the_definition(root, residual_m):
    covariance = root @ root.T + 0.1 * np.eye(2)
    distance2, log_determinant = planar_mahalanobis(residual_m, covariance)
    assert distance2 == pytest.approx(residual_m @ np.linalg.solve(covariance, residual_m), rel=1e-6, abs=1e-9)
    assert log_determinant == pytest.approx(np.log(np.linalg.det(covariance)))


@pytest.mark.parametrize(("probability", "limit"), [(0.95, 5.991), (0.99, 9.210)])
def test_the_gate_is_the_chi_square_quantile(probability, limit):
    assert gate2(2, probability) == pytest.approx(limit, abs=1e-3)


def test_a_walker_is_never_a_car_but_may_be_a_rider():
    labels = np.array([ObjectClass.CAR, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.UNKNOWN])
    penalty = class_penalty(labels, labels)
    np.testing.assert_array_equal(penalty, penalty.T)
    assert np.isinf(penalty[0, 1]) and np.isinf(penalty[0, 2])
    assert 0.0 == penalty[1, 1] < penalty[0, 3] < penalty[1, 2] < np.inf
