import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from v2x.motion import first_speed_sigma_mps, process_noise, transition

labels = st.lists(st.sampled_from(list(ObjectClass)), min_size=1, max_size=5).map(lambda classes: np.array(classes))
spans_s = st.floats(0.001, 5.0)


@given(spans_s, spans_s)
def test_moving_twice_is_moving_once_for_as_long(a_s, b_s):
    twice = transition(np.array([a_s])) @ transition(np.array([b_s]))
    np.testing.assert_allclose(twice, transition(np.array([a_s + b_s])), atol=1e-12)


@given(spans_s)
def test_moving_back_undoes_moving_on(dt_s):
    np.testing.assert_allclose(transition(np.array([dt_s])) @ transition(np.array([-dt_s])), np.eye(6)[None], atol=1e-12)


@given(labels, spans_s, spans_s)
def test_noise_of_two_steps_adds_up_to_that_of_one(label, a_s, b_s):
    move = transition(np.full(len(label), b_s))
    in_two = move @ process_noise(a_s, label) @ np.swapaxes(move, 1, 2) + process_noise(b_s, label)
    np.testing.assert_allclose(in_two, process_noise(a_s + b_s, label), rtol=1e-9, atol=1e-12)


@given(labels, spans_s)
def test_noise_is_a_covariance(label, dt_s):
    noise = process_noise(dt_s, label)
    np.testing.assert_allclose(noise, np.swapaxes(noise, 1, 2))
    assert (np.linalg.eigvalsh(noise) >= -1e-12).all()


def test_a_car_may_change_more_than_a_walker_and_a_cone_hardly_at_all():
    car, walker, cone = first_speed_sigma_mps(np.array([ObjectClass.CAR, ObjectClass.PEDESTRIAN, ObjectClass.TRAFFIC_CONE]))
    assert car > walker > 10 * cone
