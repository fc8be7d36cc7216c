import numpy as np
import torch

from data_specs.objects import ObjectClass
from perception.augment import without_cameras, without_lidar
from perception.batch import collate
from tests.perception.scenes import IMAGE_HW, scene_with

CAR = (ObjectClass.CAR, 5.0, 2.0, 0.4)


def test_points_know_their_scene_and_a_scene_that_lost_its_lidar_counts_without_them():
    scenes = [scene_with([CAR]), without_lidar(scene_with([CAR])), scene_with([])]
    batch = collate(scenes)
    assert batch.size == 3
    assert torch.bincount(batch.scene, minlength=3).tolist() == [len(scenes[0].points), 0, len(scenes[2].points)]
    assert batch.has_points.tolist() == [True, False, True]


def test_pictures_are_padded_to_the_most_cameras_and_padding_is_no_picture():
    batch = collate([scene_with([CAR], cameras=1), scene_with([CAR], cameras=3)])
    assert batch.images.shape == (2, 3, 3, *IMAGE_HW)
    assert batch.has_image.tolist() == [[True, False, False], [True, True, True]]
    assert not batch.images[0, 1:].any() and not batch.pixels_from_ego[0, 1:].any()


def test_pixels_keep_their_place_when_colours_come_first():
    scene = scene_with([CAR])
    batch = collate([scene])
    np.testing.assert_array_equal(batch.images[0, 0].permute(1, 2, 0).numpy(), scene.images[0])


def test_scenes_without_any_camera_make_a_batch_too():
    scene = scene_with([CAR])
    batch = collate([without_cameras(scene, np.zeros(1, bool))])
    assert batch.images.shape == (1, 0, 3, *IMAGE_HW)


def test_a_batch_does_not_share_memory_with_its_scenes():
    scene = scene_with([CAR])
    collate([scene]).points.zero_()
    assert scene.points.any()
