from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, Sample
from perception.scene import Scene, ego_points, fitted, newest_images, point_rows, scene_of
from tests.perception.scenes import GREY, IMAGE_HW, sample_of, scene_with

SECOND_NS = 1_000_000_000
PICTURE = np.full((*IMAGE_HW, 3), GREY, np.uint8)


def sample_at(time_s: float, points_in_map, map_from_ego: SE3, pictures=None) -> Sample:
    """What a LiDAR at the ego's origin sees of points [n, 3] in the map."""
    xyz_m = map_from_ego.inverse().apply(np.asarray(points_in_map, float))
    rows = np.column_stack([xyz_m, np.full(len(xyz_m), 0.5)])
    return sample_of(rows, taken_ns=round(time_s * SECOND_NS), map_from_ego=map_from_ego, pictures=pictures)


def pose(x_m: float, yaw_rad: float = 0.0) -> SE3:
    return SE3.from_yaw("map", "ego", yaw_rad, np.array([x_m, 0.0, 0.0]))


def test_points_come_out_in_the_ego_frame_and_rows_that_are_not_finite_are_dropped():
    rows = np.array([[1.0, 0.0, 0.0, 0.5], [np.nan, 0.0, 0.0, 0.5], [0.0, np.inf, 0.0, 0.5], [0.0, 0.0, 0.0, np.nan]])
    mounted = SE3.from_yaw("ego", "LIDAR_TOP", np.pi / 2, np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(ego_points(sample_of(rows, ego_from_lidar=mounted)), [[0.0, 1.0, 2.0, 0.5]], atol=1e-6)


def test_a_sample_without_a_lidar_is_refused_with_its_time():
    with pytest.raises(SpecError, match="sample drive at 9 ns: no point cloud, expected at least one LiDAR"):
        ego_points(Sample("drive", 9, (), (), SE3.identity("map", "ego"), {}))


@given(st.floats(-20.0, 20.0), st.floats(-3.0, 3.0), st.floats(-30.0, 30.0), st.floats(-30.0, 30.0))
def test_what_stands_still_stays_put_however_the_ego_moves(x_m, yaw_rad, px_m, py_m):
    before = sample_at(1.0, [[px_m, py_m, 0.5]], pose(0.0))
    now = sample_at(1.2, [[px_m, py_m, 0.5]], pose(x_m, yaw_rad))
    newest, older = point_rows(now, (before,))
    np.testing.assert_allclose(older[:3], newest[:3], atol=1e-4)
    assert (newest[4], older[4]) == (0.0, pytest.approx(0.2))


def test_what_moves_leaves_its_older_points_behind():
    before, now = sample_at(1.0, [[10.0, 0.0, 0.5]], pose(0.0)), sample_at(1.2, [[11.0, 0.0, 0.5]], pose(3.0))
    newest, older = point_rows(now, (before,))
    np.testing.assert_allclose(newest[:3] - older[:3], [1.0, 0.0, 0.0], atol=1e-5)


def test_sweeps_are_taken_near_their_ages_and_from_the_same_drive_alone():
    now = sample_at(2.0, [[1.0, 0.0, 0.0]], pose(0.0))
    earlier = tuple(sample_at(2.0 - age, [[1.0, 0.0, 0.0]], pose(0.0)) for age in (0.1, 0.25, 0.35, 0.55, 0.9))
    np.testing.assert_allclose(point_rows(now, earlier)[:, 4], [0.0, 0.25, 0.55], atol=1e-6)
    strangers = tuple(replace(sample, drive_id="another") for sample in earlier)
    assert len(point_rows(now, strangers)) == 1


def test_a_late_picture_is_projected_from_where_it_was_taken():
    post = np.array([[12.0, 1.0, 1.0]])
    before, now = sample_at(1.0, post, pose(0.0), {"CAM_FRONT": PICTURE}), sample_at(1.2, post, pose(4.0))
    _, (late,) = newest_images(now, (before,), IMAGE_HW)
    _, (fresh,) = newest_images(before, (), IMAGE_HW)
    in_new_ego, in_old_ego = post[0] - [4.0, 0.0, 0.0], post[0]
    np.testing.assert_allclose(late @ [*in_new_ego, 1.0], fresh @ [*in_old_ego, 1.0], rtol=1e-5)


def test_the_newest_picture_of_each_camera_counts_and_old_ones_do_not():
    light = np.full_like(PICTURE, 200)
    before = sample_at(1.0, [[1.0, 0.0, 0.0]], pose(0.0), {"CAM_FRONT": light, "CAM_LEFT": light})
    now = sample_at(1.2, [[1.0, 0.0, 0.0]], pose(0.0), {"CAM_FRONT": PICTURE})
    images, _ = newest_images(now, (before,), IMAGE_HW)
    assert sorted(int(image.mean()) for image in images) == [GREY, 200]
    images, _ = newest_images(sample_at(1.5, [[1.0, 0.0, 0.0]], pose(0.0)), (before,), IMAGE_HW)
    assert images.shape == (0, *IMAGE_HW, 3)


def test_a_black_picture_is_no_picture():
    now = sample_at(1.0, [[1.0, 0.0, 0.0]], pose(0.0), {"CAM_FRONT": np.zeros_like(PICTURE), "CAM_LEFT": PICTURE})
    images, _ = newest_images(now, (), IMAGE_HW)
    assert len(images) == 1


@pytest.mark.parametrize("size_hw", [(360, 640), (240, 900), (700, 500)])
def test_a_fitted_picture_shows_a_point_where_its_matrix_says(size_hw):
    height, width = size_hw
    focal_px = width / 2
    matrix = np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])
    point = np.array([0.8, 0.05, 5.0])
    u, v, depth_m = matrix @ point
    rgb = np.zeros((*size_hw, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    rgb[np.hypot(rows - v / depth_m, columns - u / depth_m) < width / 25] = 255
    cut, cut_matrix = fitted(CameraImage(0, rgb, CameraModel("CAM", width, height, matrix, np.zeros(0))), (128, 352))
    assert cut.shape == (128, 352, 3)
    u, v, depth_m = cut_matrix @ point
    weight = cut[..., 0].astype(float)
    rows, columns = np.mgrid[:128, :352] + 0.5
    assert (weight * columns).sum() / weight.sum() == pytest.approx(u / depth_m, abs=0.6)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(v / depth_m, abs=0.6)


def test_rows_that_a_flat_picture_lacks_are_black():
    model = CameraModel("CAM", 704, 100, np.array([[300.0, 0.0, 352.0], [0.0, 300.0, 50.0], [0.0, 0.0, 1.0]]), np.zeros(0))
    cut, _ = fitted(CameraImage(0, np.full((100, 704, 3), 90, np.uint8), model), (128, 352))
    assert cut[:50].min() == 90 and not cut[50:].any()


def test_a_scene_brings_the_truth_from_the_map_to_the_ego():
    sample = replace(sample_of(np.zeros((1, 4))), map_from_ego=SE3.from_yaw("map", "ego", np.pi / 2, np.array([100.0, 0.0, 0.0])))
    boxes = Boxes3D("map", np.array([[100.0, 10.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.array([np.pi / 2]))
    objects = ObjectList.build(boxes, "truth", 7, np.array([1], np.uint8), velocity_mps=np.array([[0.0, 3.0]]))
    scene = scene_of(sample, (), Truth.build(objects, points_in_box=np.array([3])), IMAGE_HW)
    np.testing.assert_allclose(scene.boxes.center_m, [[10.0, 0.0, 0.8]], atol=1e-9)
    np.testing.assert_allclose(scene.boxes.yaw_rad, [0.0], atol=1e-9)
    np.testing.assert_allclose(scene.velocity_mps, [[3.0, 0.0]], atol=1e-9)
    assert scene.points_in_box.tolist() == [3]
    assert scene.pixels_visible.tolist() == [-1]


def test_what_the_truth_ignores_is_of_unknown_class():
    boxes = Boxes3D("map", np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2))
    objects = ObjectList.build(boxes, "truth", 7, np.array([1, 6], np.uint8))
    scene = scene_of(sample_of(np.zeros((1, 4))), (), Truth.build(objects, ignore=np.array([True, False])), IMAGE_HW)
    assert scene.label.tolist() == [ObjectClass.UNKNOWN, ObjectClass.PEDESTRIAN]


def test_a_sample_without_any_sensor_is_refused():
    with pytest.raises(SpecError, match="sample drive at 9 ns: neither a point cloud nor a picture, expected one"):
        scene_of(Sample("drive", 9, (), (), SE3.identity("map", "ego"), {}), (), None, IMAGE_HW)


def test_a_scene_in_another_frame_is_refused():
    scene = scene_with([])
    with pytest.raises(FrameError, match="boxes: frame is 'map', expected 'ego'"):
        replace(scene, boxes=Boxes3D.empty("map"))


def test_a_scene_whose_labels_are_not_those_of_its_boxes_is_refused():
    scene = scene_with([(ObjectClass.CAR, 5.0, 0.0, 0.0)])
    with pytest.raises(SpecError, match="label: 1 rows, expected 0 as in boxes"):
        Scene(scene.points, scene.images, scene.pixels_from_ego, Boxes3D.empty("ego"), scene.label, scene.velocity_mps,
              scene.points_in_box, scene.pixels_visible)
