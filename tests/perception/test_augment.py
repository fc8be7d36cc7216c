from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from perception.augment import (
    SensorLoss,
    augment,
    lose_sensors,
    pasted,
    relit,
    turned,
    weather,
    without_cameras,
    without_lidar,
)
from perception.targets import seen_by_sensors
from tests.perception.scenes import scene_with

CAR, PEDESTRIAN = (ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)
SCENE = scene_with([CAR, PEDESTRIAN], cameras=4)
SEEDS = st.integers(0, 2**32 - 1)
NO_LOSS = SensorLoss(0.0, 0.0, 0.0, 0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(SEEDS)
def test_a_turned_scene_keeps_each_point_in_its_box_and_the_shape_of_boxes(seed):
    scene = turned(SCENE, rng(seed))
    shrunk = Boxes3D("ego", SCENE.boxes.center_m, SCENE.boxes.size_lwh_m - 1e-3, SCENE.boxes.yaw_rad)
    was_inside = shrunk.contains(SCENE.points[:, :3])
    assert (scene.boxes.contains(scene.points[:, :3]) | ~was_inside).all()
    proportions = scene.boxes.size_lwh_m / SCENE.boxes.size_lwh_m
    np.testing.assert_allclose(proportions, proportions[0, 0])
    np.testing.assert_array_equal(scene.points[:, 3:], SCENE.points[:, 3:])


@given(SEEDS)
def test_a_turned_point_falls_on_the_same_pixel_at_the_same_depth(seed):
    scene = turned(SCENE, rng(seed))
    before, after = (s.pixels_from_ego.astype(float) @ np.column_stack([s.points[:, :3], np.ones(len(s.points))]).T
                     for s in (SCENE, scene))
    np.testing.assert_allclose(after, before, atol=2e-3)


@given(SEEDS, st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
def test_velocities_turn_and_scale_with_the_boxes_that_they_move(seed, vx, vy):
    velocity = np.array([[vx, vy], [np.nan, np.nan]])
    later = replace(SCENE.boxes, center_m=SCENE.boxes.center_m + np.array([[vx, vy, 0.0], [0.0, 0.0, 0.0]]))
    now = turned(replace(SCENE, velocity_mps=velocity), rng(seed))
    then = turned(replace(SCENE, boxes=later), rng(seed))
    np.testing.assert_allclose((then.boxes.center_m - now.boxes.center_m)[0, :2], now.velocity_mps[0], atol=1e-9)
    assert np.isnan(now.velocity_mps[1]).all()


def test_a_mirrored_street_occurs_as_often_as_the_other():
    handed = [np.linalg.det(np.linalg.lstsq(SCENE.points[:, :3], turned(SCENE, rng(seed)).points[:, :3])[0]) > 0
              for seed in range(60)]
    assert 18 <= sum(handed) <= 42


@settings(max_examples=30)
@given(SEEDS)
def test_augmentation_repeats_with_its_seed_and_leaves_its_scene_alone(seed):
    before = SCENE.points.copy(), SCENE.images.copy()
    first, second = (augment(SCENE, lambda: SCENE, rng(seed), SensorLoss()) for _ in range(2))
    for name in ("points", "images", "pixels_from_ego", "label", "velocity_mps", "points_in_box", "pixels_visible"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(SCENE.points, before[0])
    np.testing.assert_array_equal(SCENE.images, before[1])


def test_sensors_are_lost_as_often_as_asked():
    loss = SensorLoss(no_lidar=0.3, no_cameras=0.2, one_camera=0.0, no_history=0.25)
    views = [lose_sensors(SCENE, rng(seed), loss) for seed in range(400)]
    assert np.mean([view.lidar_lost for view in views]) == pytest.approx(0.3, abs=0.07)
    assert np.mean([len(view.images) == 0 for view in views]) == pytest.approx(0.2, abs=0.07)
    assert np.mean([view.points[:, 4].max() == 0 for view in views]) == pytest.approx(0.25, abs=0.07)
    assert all(len(view.images) or not view.lidar_lost for view in views)


def test_a_lost_camera_never_is_the_last_one():
    loss = SensorLoss(no_lidar=0.0, no_cameras=0.0, one_camera=1.0, no_history=0.0)
    kept = [len(lose_sensors(SCENE, rng(seed), loss).images) for seed in range(100)]
    assert min(kept) >= 1 and min(kept) < 4
    alone = scene_with([CAR], cameras=1)
    assert all(len(lose_sensors(alone, rng(seed), loss).images) == 1 for seed in range(20))


def test_chances_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match=r"no_lidar 0\.7 and no_cameras 0\.5, expected chances that sum to 1 or less"):
        SensorLoss(no_lidar=0.7, no_cameras=0.5)


def test_without_lidar_only_what_pictures_show_is_seen():
    hidden = replace(SCENE, pixels_visible=np.array([0, 300], np.int32))
    assert seen_by_sensors(without_lidar(hidden)).tolist() == [False, True]
    assert len(without_lidar(hidden).points) == len(SCENE.points)


def test_without_lidar_who_was_never_counted_in_pictures_may_be_seen():
    uncounted = replace(SCENE, pixels_visible=np.array([-1, -1], np.int32), points_in_box=np.array([30, 0], np.int32))
    assert seen_by_sensors(without_lidar(uncounted)).tolist() == [True, False]


def test_without_a_camera_who_stands_in_its_picture_alone_is_not_visible():
    scene = scene_with([(ObjectClass.CAR, 8.0, 0.0, 0.0), (ObjectClass.CAR, -8.0, 0.0, 0.0)], cameras=4)
    front = without_cameras(scene, np.array([True, False, False, False]))
    assert (front.pixels_visible > 0).tolist() == [True, False]
    assert len(front.images) == len(front.pixels_from_ego) == 1


def test_without_cameras_who_nobody_counted_stays_unknown():
    scene = replace(SCENE, pixels_visible=np.array([-1, -1], np.int32), points_in_box=np.array([-1, 7], np.int32))
    assert without_cameras(scene, np.zeros(4, bool)).pixels_visible.tolist() == [-1, 0]


def test_pasted_objects_bring_their_points_and_truth_and_clear_what_was_in_their_place():
    scene, donor = scene_with([CAR], cameras=0), scene_with([PEDESTRIAN], seed=1, cameras=0)
    both = pasted(scene, donor)
    assert both.label.tolist() == [ObjectClass.CAR, ObjectClass.PEDESTRIAN]
    assert both.pixels_visible.tolist()[1] == 0
    inside = donor.boxes.contains(both.points[:, :3].astype(float))[0]
    brought = donor.boxes.contains(donor.points[:, :3].astype(float))[0]
    assert inside.sum() == brought.sum() >= 2 * 80


def test_objects_without_room_or_points_are_not_pasted():
    scene = scene_with([CAR], cameras=0)
    assert pasted(scene, scene_with([(ObjectClass.CAR, 6.0, 2.0, 0.0)], cameras=0)) is scene
    assert pasted(scene, scene_with([PEDESTRIAN], points_in_box=2, cameras=0)) is scene


def test_a_moving_object_brings_the_points_of_each_sweep_from_where_it_was():
    donor = scene_with([PEDESTRIAN], cameras=0, older_sweep=False)
    newest = donor.boxes.contains(donor.points[:, :3].astype(float))[0]
    trail = donor.points[newest] - np.array([2.0, 0.0, 0.0, 0.0, -0.5], np.float32)
    donor = replace(donor, points=np.concatenate([donor.points, trail]), velocity_mps=np.array([[4.0, 0.0]]))
    both = pasted(scene_with([CAR], cameras=0), donor)
    assert (both.points[:, 4] == 0.5).sum() == len(trail)


def test_nothing_is_pasted_where_a_picture_would_show_that_it_is_not_there():
    donor = scene_with([(ObjectClass.PEDESTRIAN, 8.0, -8.0, 0.0)], cameras=0)
    assert len(augment(SCENE, lambda: donor, rng(), NO_LOSS).label) == 2
    assert len(augment(scene_with([CAR, PEDESTRIAN], cameras=0), lambda: donor, rng(), NO_LOSS).label) == 3


def test_weather_loses_returns_with_range_and_adds_few():
    views = [weather(SCENE, rng(seed)) for seed in range(60)]
    lengths = np.array([len(view.points) for view in views])
    assert (lengths == len(SCENE.points)).mean() > 0.4
    assert lengths.min() < len(SCENE.points)
    assert all(np.isfinite(view.points).all() and view.points.dtype == np.float32 for view in views)
    assert all(set(np.unique(view.points[:, 4])) <= {np.float32(0.0), np.float32(0.2)} for view in views)


def test_weather_leaves_an_empty_cloud_empty():
    empty = replace(SCENE, points=np.zeros((0, 5), np.float32))
    assert all(len(weather(empty, rng(seed)).points) == 0 for seed in range(20))


def test_light_changes_pictures_and_keeps_their_size():
    lit = [relit(SCENE.images, rng(seed)) for seed in range(10)]
    assert all(image.shape == SCENE.images.shape and image.dtype == np.uint8 for image in lit)
    assert len({image.tobytes() for image in lit}) == 10
    assert relit(SCENE.images[:0], rng()).shape == (0, *SCENE.images.shape[1:])
