from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from data_specs.objects import ObjectClass
from perception.batch import SensorBatch, collate
from perception.config import DetectorConfig
from perception.fold import folded, for_cpu, with_pillars
from perception.head import HeadMaps
from perception.ops.canvas_static import pillar_canvas_static
from tests.perception.detectors import CAMERA_ONLY, LIDAR_ONLY, assert_strongest_of, seasoned
from tests.perception.scenes import TINY, TINY_CAMERA, scene_with

CAR = [(ObjectClass.CAR, 6.0, 1.0, 0.3)]


def street() -> SensorBatch:
    """Two scenes: one with all four cameras, one with a single camera and no LiDAR."""
    return collate([scene_with(CAR, cameras=4), replace(scene_with(CAR, cameras=1, seed=1), lidar_lost=True)])


def assert_same_maps(got: HeadMaps, expected: HeadMaps) -> None:
    for field in fields(HeadMaps):
        torch.testing.assert_close(getattr(got, field.name), getattr(expected, field.name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [TINY, LIDAR_ONLY, CAMERA_ONLY,
                                    replace(TINY, camera=replace(TINY_CAMERA, bottleneck=True, finest_stage=1))],
                         ids=["both", "lidar", "camera", "bottleneck"])
def test_folding_and_the_cpus_kernels_change_the_maps_by_rounding_alone(config: DetectorConfig):
    network, batch = seasoned(config).network, street()
    with torch.inference_mode():
        expected = network(batch)
        assert_same_maps(folded(network)(batch), expected)
        assert_same_maps(for_cpu(network)(batch), expected)
        assert_same_maps(with_pillars(folded(network), pillar_canvas_static)(batch), expected)


def test_no_batch_norm_is_left_and_the_network_given_keeps_its_own():
    network = seasoned().network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ready = for_cpu(network)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in ready.modules())
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_strongest_cells_are_those_of_the_maps():
    network, batch = seasoned().network, street()
    with torch.inference_mode():
        assert_strongest_of(network(batch), for_cpu(network).candidates(batch), 1e-4)


def test_pictures_that_arrive_later_than_the_sweep_are_projected_anew():
    network, scene = seasoned(CAMERA_ONLY).network, scene_with(CAR, cameras=2)
    moved = replace(scene, pixels_from_ego=scene.pixels_from_ego + 0.01)
    ready = for_cpu(network)
    with torch.inference_mode():
        ready(collate([scene]))
        assert_same_maps(ready(collate([moved])), network(collate([moved])))
