import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.sensors import Sample
from perception.batch import Scene, augment, collate, ego_points, scene_of
from tests.perception.scenes import sample_of, scene_with


def test_points_come_out_in_the_ego_frame_and_rows_that_are_not_finite_are_dropped():
    rows = np.array([[1.0, 0.0, 0.0, 0.5], [np.nan, 0.0, 0.0, 0.5], [0.0, np.inf, 0.0, 0.5], [0.0, 0.0, 0.0, np.nan]])
    pose = SE3.from_yaw("ego", "LIDAR_TOP", np.pi / 2, np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(ego_points(sample_of(rows, ego_from_lidar=pose)), [[0.0, 1.0, 2.0, 0.5]], atol=1e-6)


def test_a_sample_without_a_lidar_is_refused_with_its_time():
    with pytest.raises(SpecError, match="sample drive at 9 ns: no point cloud, expected at least one LiDAR"):
        ego_points(Sample("drive", 9, (), (), SE3.identity("map", "ego"), {}))


def test_collated_points_know_their_scene_and_empty_scenes_count():
    batch = collate([np.ones((2, 4), np.float32), np.zeros((0, 4), np.float32), np.ones((1, 4), np.float32)])
    assert batch.size == 3
    assert batch.scene.tolist() == [0, 0, 2]
    assert batch.points.dtype == torch.float32


def test_a_scene_brings_the_truth_from_the_map_to_the_ego():
    pose = SE3.from_yaw("map", "ego", np.pi / 2, np.array([100.0, 0.0, 0.0]))
    sample = Sample("drive", 7, sample_of(np.zeros((1, 4))).clouds, (), pose, {"LIDAR_TOP": SE3.identity("ego", "LIDAR_TOP")})
    boxes = Boxes3D("map", np.array([[100.0, 10.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.array([np.pi / 2]))
    truth = Truth.build(ObjectList.build(boxes, "truth", 7, np.array([1], np.uint8)), points_in_box=np.array([3]))
    scene = scene_of(sample, truth)
    np.testing.assert_allclose(scene.boxes.center_m, [[10.0, 0.0, 0.8]], atol=1e-9)
    np.testing.assert_allclose(scene.boxes.yaw_rad, [0.0], atol=1e-9)
    assert scene.points_in_box.tolist() == [3]


def test_a_scene_in_another_frame_is_refused():
    with pytest.raises(FrameError, match="boxes: frame is 'map', expected 'ego'"):
        Scene(np.zeros((0, 4), np.float32), Boxes3D.empty("map"), np.zeros(0, np.uint8), np.zeros(0, np.int32))


@given(st.integers(0, 2**32 - 1))
def test_augmentation_keeps_each_point_in_its_box_and_the_shape_of_boxes(seed):
    scene = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)])
    turned = augment(scene, np.random.default_rng(seed))
    shrink = Boxes3D("ego", scene.boxes.center_m, scene.boxes.size_lwh_m - 1e-3, scene.boxes.yaw_rad)
    was_inside = shrink.contains(scene.points[:, :3])
    assert (turned.boxes.contains(turned.points[:, :3]) | ~was_inside).all()
    proportions = turned.boxes.size_lwh_m / scene.boxes.size_lwh_m
    np.testing.assert_allclose(proportions, proportions[0, 0])


def test_augmentation_repeats_with_its_seed():
    scene = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4)])
    first, second = (augment(scene, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
