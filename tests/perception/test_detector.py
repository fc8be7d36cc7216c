from copy import deepcopy
from dataclasses import fields, replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from perception.assemble import build_detector
from perception.batch import SensorBatch, collate
from perception.config import DetectorConfig
from perception.detector import Detector
from perception.head import HeadMaps
from perception.scene import Scene
from tests.perception.scenes import IMAGE_HW, TINY, TINY_CAMERA, TINY_LIDAR, scene_with

OBJECTS = [(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)]
SCENE = scene_with(OBJECTS, cameras=4)
LIDAR_ALONE, CAMERAS_ALONE = replace(TINY, camera=None), replace(TINY, lidar=None)


@cache
def network(config: DetectorConfig = TINY) -> Detector:
    """A fresh network whose batch norms have seen the scene, so that what reaches a layer is about one in size."""
    torch.manual_seed(0)
    built = build_detector(config).network.train()
    with torch.no_grad():
        for _ in range(20):
            built(collate([SCENE, scene_with([], seed=1, cameras=4)]))
    return built.eval()


def seen_by(scene: Scene, cameras: list[bool], lidar: bool) -> Scene:
    """The scene as the cameras that work and the LiDAR, if it works, show it."""
    kept = np.array(cameras)
    return replace(scene, images=scene.images[kept], pixels_from_ego=scene.pixels_from_ego[kept], lidar_lost=not lidar)


def maps_of(built: Detector, *scenes: Scene) -> HeadMaps:
    with torch.inference_mode():
        return built(collate(scenes))


def assert_close(got: HeadMaps, expected: HeadMaps, atol: float = 1e-4) -> None:
    for field in fields(HeadMaps):
        torch.testing.assert_close(getattr(got, field.name), getattr(expected, field.name), rtol=1e-4, atol=atol)


@pytest.mark.parametrize("lidar, cameras", list(product([True, False], [4, 2, 1, 0])))
def test_whatever_sensors_fail_the_maps_are_finite_and_of_one_size(lidar, cameras):
    maps = maps_of(network(), seen_by(SCENE, [c < cameras for c in range(4)], lidar))
    for values, channels in ((maps.heatmap, 2), (maps.box, 10), (maps.quality, 1), (maps.spread, 10)):
        assert values.shape == (1, channels, 32, 32)
        assert torch.isfinite(values).all()
        assert values.abs().max() < 100


@pytest.mark.parametrize("lost", range(4))
def test_a_camera_that_is_lost_changes_what_lies_in_its_view_most(lost):
    """Behind the camera's back only the convolutions' reach changes the map, so the strongest change lies ahead of it."""
    built = network(CAMERAS_ALONE)
    whole = maps_of(built, SCENE).heatmap
    without = maps_of(built, seen_by(SCENE, [c != lost for c in range(4)], True)).heatmap
    change = (whole - without)[0].abs().sum(dim=0)
    iy, ix = divmod(int(change.argmax()), 32)
    x_m, y_m = (np.array([ix, iy]) - 15.5) * TINY.cell_m
    ahead = [x_m, y_m, -x_m, -y_m][lost]
    assert ahead > 0


@pytest.mark.parametrize("config", [TINY, LIDAR_ALONE, CAMERAS_ALONE])
def test_scenes_of_a_batch_are_seen_as_if_alone(config):
    built = network(config)
    scenes = [SCENE, seen_by(scene_with(OBJECTS[:1], seed=3, cameras=4), [True, False, True, True], True),
              seen_by(scene_with(OBJECTS[1:], seed=4, cameras=4), [False] * 4, True), seen_by(SCENE, [True] * 4, False)]
    together = maps_of(built, *scenes)
    for i, scene in enumerate(scenes):
        alone = maps_of(built, scene)
        assert_close(HeadMaps(*(getattr(together, field.name)[i:i + 1] for field in fields(HeadMaps))), alone)


def test_the_order_of_cameras_does_not_matter():
    built, order = network(), [2, 0, 3, 1]
    shuffled = replace(SCENE, images=SCENE.images[order], pixels_from_ego=SCENE.pixels_from_ego[order])
    assert_close(maps_of(built, shuffled), maps_of(built, SCENE))


def test_a_missing_camera_is_as_one_marked_without_a_picture():
    built, batch = network(), collate([SCENE])
    lost = batch.has_image.clone()
    lost[0, 2] = False
    damaged = batch.images.clone()
    damaged[0, 2] = 255
    with torch.inference_mode():
        marked = built(SensorBatch(batch.points, batch.scene, damaged, batch.pixels_from_ego, lost, batch.has_points))
    assert_close(marked, maps_of(built, seen_by(SCENE, [True, True, False, True], True)))


def test_both_sensors_and_both_slots_of_time_take_part():
    built = network()
    whole = maps_of(built, SCENE).heatmap
    for less in (seen_by(SCENE, [False] * 4, True), seen_by(SCENE, [True] * 4, False),
                 replace(SCENE, points=SCENE.points[SCENE.points[:, 4] == 0])):
        assert not torch.allclose(maps_of(built, less).heatmap, whole, atol=1e-3)


def test_a_network_of_one_branch_does_not_look_at_the_other_sensor():
    blind, deaf = network(LIDAR_ALONE), network(CAMERAS_ALONE)
    assert_close(maps_of(blind, seen_by(SCENE, [False] * 4, True)), maps_of(blind, SCENE))
    assert blind.camera is None and deaf.lidar is None
    without_camera_weights = {name for name, _ in network().named_parameters() if not name.startswith("camera.")}
    assert {name for name, _ in blind.named_parameters()} == without_camera_weights


@pytest.mark.parametrize("config", [TINY, LIDAR_ALONE, CAMERAS_ALONE])
def test_the_gradient_reaches_every_weight(config):
    built = deepcopy(network(config)).train()
    maps, features = built.maps(collate([SCENE, SCENE]))
    total = sum((getattr(maps, field.name).square().sum() for field in fields(HeadMaps)), torch.zeros(()))
    if features is not None:
        total = total + features.depth_logits.square().sum()
    total.backward()
    assert [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_from_pictures_to_the_map_nothing_waits_for_the_device():
    """Tensors of the meta device have no values: whatever would read one on the host raises."""
    built, batch = build_detector(CAMERAS_ALONE).network.eval().to("meta"), collate([SCENE]).to("meta")
    maps, features = built.maps(batch)
    assert maps.box.shape == (1, 10, 32, 32)
    assert features is not None and features.lidar_depth_m.shape == (1, 4, IMAGE_HW[0] // 4, IMAGE_HW[1] // 4)


def test_a_fresh_detector_follows_from_torchs_seed():
    torch.manual_seed(3)
    first = build_detector(TINY).state_dict()
    torch.manual_seed(3)
    torch.testing.assert_close(build_detector(TINY).state_dict(), first, rtol=0, atol=0)


@pytest.mark.parametrize("change, complaint", [
    ({"lidar": replace(TINY_LIDAR, pillar_size_m=0.37)}, r"0.37 with 1 stages of stem gives cells of 0.74 m"),
    ({"cell_m": 0.7}, "expected a whole number"),
    ({"range_m": 12.4, "stage_channels": (8, 16, 16), "stage_blocks": (1, 1, 1)}, r"grid of 31 cells, expected a multiple of 4"),
    ({"lidar": None, "camera": None}, "both None, expected at least one branch"),
    ({"stage_blocks": (1,)}, "1 stages, expected 2"),
])
def test_a_grid_that_does_not_divide_is_refused(change, complaint):
    with pytest.raises(SpecError, match=complaint):
        build_detector(replace(TINY, **change))


@pytest.mark.parametrize("change, complaint", [
    ({"image_hw": (30, 64)}, "image_hw: 30 x 64 pixels, expected multiples of 4"),
    ({"image_hw": (32, 4)}, "image_hw: 32 x 4 pixels, expected multiples of 4, the stride of its features, and at least two"),
    ({"finest_stage": 2}, "finest_stage: 2, expected 0 to 1"),
    ({"depth_bins": 1}, "depth_bins 1 and 2 heights_m, expected at least 2 and 1"),
])
def test_pictures_that_do_not_divide_are_refused(change, complaint):
    with pytest.raises(SpecError, match=complaint):
        replace(TINY_CAMERA, **change)


def test_a_feature_pyramid_may_begin_at_a_later_stage():
    coarse = network(replace(TINY, camera=replace(TINY_CAMERA, finest_stage=1)))
    assert torch.isfinite(maps_of(coarse, SCENE).heatmap).all()
