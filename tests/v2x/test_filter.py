import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from v2x.filter import YAW, Estimate, covariance_intersection, update

square = arrays(np.float64, (6, 6), elements=st.floats(-2.0, 2.0))
state = arrays(np.float64, 6, elements=st.floats(-0.7, 0.7))


def covariance(root):
    return root @ root.T + 0.05 * np.eye(6)


def estimate(mean, independent, common=None):
    return Estimate(np.array([mean]), np.array([independent]), np.array([np.zeros((6, 6)) if common is None else common]))


@settings(max_examples=40)
@given(state, state, square, square)
def test_where_nothing_is_shared_it_is_the_kalman_update(mean, measured, root_a, root_b):
    p, r = covariance(root_a), covariance(root_b)
    after = update(estimate(mean, p), estimate(measured, r), np.eye(6)[None])
    gain = p @ np.linalg.inv(p + r)
    np.testing.assert_allclose(after.covariance[0], (np.eye(6) - gain) @ p, atol=1e-7)
    np.testing.assert_allclose(after.mean[0], mean + gain @ (measured - mean), atol=1e-7)
    assert np.abs(after.common).max() < 1e-7


@settings(max_examples=40)
@given(square, square, st.floats(-1.0, 1.0))
def test_the_intersection_is_honest_however_the_errors_are_related(root_a, root_b, relation):
    p, r = covariance(root_a), covariance(root_b)
    cross = relation * np.linalg.cholesky(p) @ np.linalg.cholesky(r).T  # true, and unknown to the filter
    joined = covariance_intersection(estimate(np.zeros(6), p), estimate(np.zeros(6), r))
    gain = np.stack([covariance_intersection(estimate(np.zeros(6), p), estimate(1e-3 * axis, r)).mean[0] / 1e-3
                     for axis in np.eye(6)], axis=1)
    keep = np.eye(6) - gain
    true = keep @ p @ keep.T + gain @ r @ gain.T + keep @ cross @ gain.T + gain @ cross.T @ keep.T
    assert np.linalg.eigvalsh(joined.covariance[0] - true).min() > -1e-6


@given(square, st.integers(1, 30))
def test_hearing_the_same_thing_again_makes_nobody_surer_of_what_is_shared(root, times):
    shared = covariance(root)
    heard = estimate(np.zeros(6), 1e-6 * np.eye(6), shared)
    known = heard
    for _ in range(times):
        known = update(known, heard, np.eye(6)[None])
    assert np.linalg.det(known.covariance[0][:2, :2]) >= 0.97 * np.linalg.det(shared[:2, :2])


@settings(max_examples=40)
@given(state, state, square, square, square, square)
def test_both_parts_stay_covariances(mean, measured, a, b, c, d):
    prior, seen = estimate(mean, covariance(a), covariance(b)), estimate(measured, covariance(c), covariance(d))
    after = update(prior, seen, np.eye(6)[None])
    for part in (after.independent, after.common, after.covariance):
        np.testing.assert_allclose(part, np.swapaxes(part, 1, 2))
        assert np.linalg.eigvalsh(part[0]).min() > -1e-6


def test_the_front_of_an_object_taken_for_its_back_does_not_turn_it():
    backwards = np.zeros(6)
    backwards[YAW] = np.pi - 0.1
    after = update(estimate(np.zeros(6), np.eye(6)), estimate(backwards, np.eye(6)), np.eye(6)[None])
    np.testing.assert_allclose(after.mean[0, YAW], -0.05)


def test_what_nobody_measured_stays_as_it_was():
    measured = np.eye(6)
    measured[4, 4] = measured[5, 5] = 1e6
    after = update(estimate(np.full(6, 1.0), np.eye(6)), estimate(np.zeros(6), measured), np.eye(6)[None])
    np.testing.assert_allclose(after.mean[0, 4:], 1.0, atol=1e-5)
