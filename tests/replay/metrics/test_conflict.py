import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from replay.metrics.conflict import footprint_corners_m, gap_m, time_to_collision_s

places = st.floats(-30, 30)
sizes = st.floats(0.5, 12)
yaws = st.floats(-3.1, 3.1)
boxes = st.tuples(places, places, sizes, sizes, yaws)


def corners(*rows):
    table = np.array(rows, float)
    return footprint_corners_m(table[:, :2], table[:, 2:4], table[:, 4])


CAR = (0.0, 0.0, 4.0, 2.0, 0.0)


def test_the_gap_of_known_scenes():
    others = [(10.0, 0.0, 4.0, 2.0, 0.0), (0.0, 5.0, 4.0, 2.0, 0.0), (5.0, 5.0, 2.0, 2.0, 0.0), (1.0, 0.5, 4.0, 2.0, 1.0)]
    assert np.allclose(gap_m(corners(*[CAR] * 4), corners(*others)), [6.0, 3.0, np.hypot(2.0, 3.0), 0.0])


def test_one_rectangle_inside_of_another_has_no_gap():
    assert gap_m(corners((0.0, 0.0, 20.0, 20.0, 0.3)), corners((1.0, 1.0, 1.0, 1.0, 0.0))) == 0.0


def test_a_car_that_drives_up_to_a_standing_one_touches_it_after_the_gap_over_the_speed():
    assert np.allclose(time_to_collision_s(corners(CAR), corners((34.0, 0.0, 4.0, 2.0, 0.0)), np.array([[10.0, 0.0]])), 3.0)


def test_cars_that_pass_side_by_side_never_touch():
    passing = time_to_collision_s(corners(CAR), corners((34.0, 3.0, 4.0, 2.0, 0.0)), np.array([[10.0, 0.0]]))
    leaving = time_to_collision_s(corners(CAR), corners((-34.0, 0.0, 4.0, 2.0, 0.0)), np.array([[10.0, 0.0]]))
    standing = time_to_collision_s(corners(CAR), corners((34.0, 0.0, 4.0, 2.0, 0.0)), np.zeros((1, 2)))
    assert np.isinf([passing, leaving, standing]).all()


def test_an_unknown_speed_gives_no_time():
    assert np.isnan(time_to_collision_s(corners(CAR), corners(CAR), np.array([[np.nan, 0.0]]))).all()


@given(boxes, boxes)
def test_the_gap_is_the_same_both_ways(one, other):
    assert np.allclose(gap_m(corners(one), corners(other)), gap_m(corners(other), corners(one)), atol=1e-9)


@given(boxes, boxes, st.floats(-20, 20), st.floats(-20, 20))
def test_at_the_time_to_collision_the_gap_is_gone_and_just_before_it_is_not(one, other, vx, vy):
    approach = np.array([[vx, vy]])
    time_s = time_to_collision_s(corners(one), corners(other), approach)
    if not np.isfinite(time_s).all() or time_s[0] > 100:
        return
    touching = corners(one) + approach[:, None] * time_s
    assert gap_m(touching, corners(other))[0] < 1e-6
    if time_s[0] > 1e-3 and np.hypot(vx, vy) > 0.5:
        before = corners(one) + approach[:, None] * (time_s - 1e-3)
        assert gap_m(before, corners(other))[0] > 0.0
