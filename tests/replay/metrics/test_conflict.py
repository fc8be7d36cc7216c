import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.metrics.conflict import footprint_corners_m, gap_m, post_encroachment_s, time_to_collision_s

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


def walked(start_m, velocity_mps, time_s, size_m=(0.6, 0.6)):
    """Footprints [n, 4, 2] of one who goes straight on, along its velocity."""
    center = np.asarray(start_m) + np.outer(time_s, velocity_mps)
    yaw = np.full(len(time_s), np.arctan2(velocity_mps[1], velocity_mps[0]))
    return footprint_corners_m(center, np.tile(size_m, (len(time_s), 1)).astype(float), yaw)


def test_post_encroachment_is_the_time_between_the_last_leaving_and_the_next_arriving():
    time_s = np.arange(0, 8, 0.02)
    ego = walked((0, 0), (10, 0), time_s, (4.0, 2.0))
    walker = walked((30, -2), (0, 1), time_s)
    pet_s = post_encroachment_s(time_s, walker, time_s, ego)
    assert pet_s.min() == 0.0  # the walker is in the lane from 0.7 to 3.3 s, the ego there from 2.6 s on: a collision
    late = post_encroachment_s(time_s, walked((20, -2), (0, 0.5), time_s), time_s, ego)
    assert late.min() == 0.0  # in the lane from 1.4 s, the ego there from 1.8 to 2.2 s
    after = post_encroachment_s(time_s, walked((10, -3), (0, 1), time_s), time_s, ego)  # enters at 1.7 s; the ego left at 1.23 s
    assert after.min() == pytest.approx(1.7 - 1.23, abs=0.03)


def test_post_encroachment_knows_no_pair_that_never_shares_a_place_or_comes_too_late():
    time_s = np.arange(0, 20, 0.1)
    ego = walked((0, 0), (10, 0), time_s, (4.0, 2.0))
    beside = walked((0, 5), (10, 0), time_s, (4.0, 2.0))
    assert np.isinf(post_encroachment_s(time_s, beside, time_s, ego)).all()
    ten_late = walked((10, -11), (0, 1), time_s)
    assert np.isinf(post_encroachment_s(time_s, ten_late, time_s, ego)).all()
    assert post_encroachment_s(time_s, ten_late, time_s, ego, within_s=12.0).min() == pytest.approx(8.5, abs=0.2)
    assert post_encroachment_s(time_s, ten_late, time_s[:0], ego[:0]).min() == np.inf
    assert len(post_encroachment_s(time_s[:0], ego[:0], time_s, ego)) == 0


def test_post_encroachment_of_a_follower_is_its_time_gap():
    time_s = np.arange(0, 10, 0.02)
    leader, follower = walked((20, 0), (10, 0), time_s, (4.0, 2.0)), walked((0, 0), (10, 0), time_s, (4.0, 2.0))
    assert post_encroachment_s(time_s, leader, time_s, follower)[:200].min() == pytest.approx(1.6, abs=0.03)
