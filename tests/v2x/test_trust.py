import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from tests.v2x.scene import START_NS, objects_at
from v2x.observation import ROADSIDE, VEHICLE, observe
from v2x.tracker import TrackerConfig, TrackerState, step
from v2x.trust import Agreement, learned, offsets_beside

PLACES = [[0.0, 0.0], [12.0, 3.0], [-9.0, 20.0]]


@pytest.fixture(scope="module")
def state():
    tracked = TrackerState.start()
    for tick in range(8):
        time_ns = START_NS + tick * 100_000_000
        tracked = step(tracked, observe(objects_at("map", "v", time_ns, PLACES), time_ns, "vehicle", VEHICLE), TrackerConfig())
    return tracked


def seen(xy_m, state, label=ObjectClass.CAR):
    return observe(objects_at("map", "rsu-1", state.time_ns, xy_m, label=label), state.time_ns, "rsu-1", ROADSIDE)


@settings(max_examples=20)
@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_a_shift_of_all_that_a_unit_sees_is_found_and_becomes_doubt(state, x_m, y_m):
    agreement = Agreement()
    for _ in range(5):
        shifted = seen(np.add([*PLACES, [60.0, 60.0]], [x_m, y_m]), state)
        agreement = learned(agreement, offsets_beside(state, "vehicle", shifted, 400_000_000))
    np.testing.assert_allclose(agreement.offset_m, [x_m, y_m], atol=0.02)
    assert agreement.common_m == pytest.approx(np.hypot(x_m, y_m) / np.sqrt(2.0), abs=0.02)


def test_one_wrong_pair_among_many_does_not_count():
    agreement = learned(Agreement(), np.array([[0.1, 0.0], [0.1, 0.0], [3.5, -3.0]]))
    assert agreement.offset_m == pytest.approx((0.1, 0.0))


def test_walkers_are_not_compared_with_cars_nor_far_objects_with_each_other(state):
    for other in (seen(PLACES, state, label=ObjectClass.PEDESTRIAN), seen([[5.0, -5.0]], state), seen([], state)):
        assert offsets_beside(state, "vehicle", other, 400_000_000).shape == (0, 2)


def test_without_the_vehicle_nothing_is_learned(state):
    assert len(offsets_beside(state, "another", seen(PLACES, state), 400_000_000)) == 0
    assert learned(Agreement(), np.zeros((0, 2))) == Agreement()
