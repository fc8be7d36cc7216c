import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import FrameError, SpecError
from data_specs.pose import SE3, EgoPose, interpolate, pose_at
from tests.data_specs.strategies import poses, vectors


@given(poses("map", "ego"), vectors)
def test_a_transform_and_its_inverse_cancel(map_from_ego, point_m):
    back_m = map_from_ego.inverse().apply(map_from_ego.apply(point_m[None]))
    np.testing.assert_allclose(back_m, point_m[None], atol=1e-8)


@given(poses("a", "b"), poses("b", "c"), poses("c", "d"), vectors)
def test_chaining_is_associative_and_means_applying_in_turn(a_from_b, b_from_c, c_from_d, point_m):
    left, right = (a_from_b @ b_from_c) @ c_from_d, a_from_b @ (b_from_c @ c_from_d)
    np.testing.assert_allclose(left.matrix(), right.matrix(), atol=1e-8)
    stepwise_m = a_from_b.apply(b_from_c.apply(c_from_d.apply(point_m[None])))
    np.testing.assert_allclose(left.apply(point_m[None]), stepwise_m, atol=1e-7)


@given(poses("map", "ego"))
def test_a_quaternion_and_a_matrix_say_the_same_pose(pose):
    np.testing.assert_allclose(
        SE3.from_quaternion("map", "ego", pose.quaternion_wxyz(), pose.translation_m).matrix(), pose.matrix(), atol=1e-9)
    np.testing.assert_allclose(SE3.from_matrix("map", "ego", pose.matrix()).matrix(), pose.matrix(), atol=1e-9)


@given(poses("map", "ego"), poses("map", "ego"), st.floats(0, 1))
def test_interpolation_meets_both_ends_and_runs_straight(a, b, fraction):
    np.testing.assert_allclose(interpolate(a, b, 0.0).matrix(), a.matrix(), atol=1e-6)
    np.testing.assert_allclose(interpolate(a, b, 1.0).matrix(), b.matrix(), atol=1e-6)
    between = interpolate(a, b, fraction)
    np.testing.assert_allclose(between.translation_m, (1 - fraction) * a.translation_m + fraction * b.translation_m, atol=1e-9)


def test_frames_that_do_not_meet_are_refused():
    ego_from_lidar = SE3.identity("ego", "lidar")
    with pytest.raises(FrameError, match="cannot chain ego_from_lidar with ego_from_lidar"):
        ego_from_lidar @ ego_from_lidar


@pytest.mark.parametrize("wrong", [np.diag([1.0, 1.0, -1.0]), 2 * np.eye(3), np.full((3, 3), np.nan)])
def test_what_is_no_rotation_is_refused(wrong):
    with pytest.raises(SpecError, match="rotation: not a rotation"):
        SE3("map", "ego", wrong, np.zeros(3))


def test_a_translation_that_is_nan_is_refused():
    with pytest.raises(SpecError, match=r"translation_m: nan at index \[2\]"):
        SE3("map", "ego", np.eye(3), np.array([0.0, 0.0, np.nan]))


def pose_of(taken_ns, x_m):
    unknown = np.full((6, 6), np.nan)
    return EgoPose(taken_ns, SE3.from_yaw("map", "ego", 0.0, np.array([x_m, 0.0, 0.0])), np.full(3, np.nan), unknown)


def test_a_pose_between_two_stamps_is_interpolated_and_none_is_invented_outside():
    track = [pose_of(100, 0.0), pose_of(200, 10.0)]
    assert pose_at(track, 150).translation_m[0] == pytest.approx(5.0)
    assert pose_at(track, 200).translation_m[0] == 10.0
    with pytest.raises(SpecError, match=r"taken_ns: 201 is outside the known poses, expected within 100\.\.200"):
        pose_at(track, 201)
