import numpy as np
import pytest
from hypothesis import given

from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import FrameError, SpecError
from tests.data_specs.strategies import level_poses, random_objects


def unit_box(yaw_rad=0.0):
    return Boxes3D("ego", np.zeros((1, 3)), np.array([[4.0, 2.0, 1.0]]), np.array([yaw_rad]))


def test_corners_go_round_the_bottom_from_front_left_then_the_top():
    corners_m = unit_box().corners_m()[0]
    np.testing.assert_allclose(corners_m[:4], [[2, 1, -0.5], [-2, 1, -0.5], [-2, -1, -0.5], [2, -1, -0.5]])
    np.testing.assert_allclose(corners_m[4:, 2], 0.5)


def test_yaw_turns_counter_clockwise_from_x():
    np.testing.assert_allclose(unit_box(np.pi / 2).corners_m()[0, 0], [-1, 2, -0.5], atol=1e-12)


@given(level_poses("map", "ego"))
def test_moving_boxes_moves_their_corners(map_from_ego):
    boxes = random_objects(5, "ego").boxes
    moved = boxes.transformed(map_from_ego)
    corners_m = map_from_ego.apply(boxes.corners_m().reshape(-1, 3)).reshape(5, 8, 3)
    np.testing.assert_allclose(moved.corners_m(), corners_m, atol=1e-8)


@given(level_poses("map", "ego"))
def test_there_and_back_gives_the_same_boxes(map_from_ego):
    boxes = random_objects(4, "ego").boxes
    back = boxes.transformed(map_from_ego).transformed(map_from_ego.inverse())
    np.testing.assert_allclose(back.center_m, boxes.center_m, atol=1e-8)
    np.testing.assert_allclose(wrap_rad(back.yaw_rad - boxes.yaw_rad), 0.0, atol=1e-9)


def test_containment_follows_the_yaw_and_counts_the_faces():
    points_m = np.array([[1.9, 0.0, 0.0], [0.0, 1.9, 0.0], [2.0, 1.0, 0.5], [0.0, 0.0, 0.6]])
    assert unit_box().contains(points_m).tolist() == [[True, False, True, False]]
    assert unit_box(np.pi / 2).contains(points_m).tolist() == [[False, True, False, False]]


def test_boxes_that_cannot_be_are_refused():
    with pytest.raises(SpecError, match=r"center_m: shape is \(3, 3\)|yaw_rad: n is 2, expected 3"):
        Boxes3D("ego", np.zeros((3, 3)), np.ones((3, 3)), np.zeros(2))
    with pytest.raises(SpecError, match=r"yaw_rad: nan at index \[0\]"):
        unit_box(np.nan)
    with pytest.raises(SpecError, match=r"size_lwh_m: \[-1\.0, 1\.0, 1\.0\] at row 0"):
        Boxes3D("ego", np.zeros((1, 3)), np.array([[-1.0, 1.0, 1.0]]), np.zeros(1))


def test_boxes_of_two_frames_never_mix():
    with pytest.raises(FrameError, match="expected one frame"):
        Boxes3D.concatenate([Boxes3D.empty("ego"), Boxes3D.empty("map")])
