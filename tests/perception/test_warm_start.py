"""A network of two sensors that begins from one of one sensor sees at first just as that one does."""
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from data_specs.errors import InputError, MissingInput
from perception.assemble import build_detector
from perception.batch import collate
from perception.checkpoint import save_weights
from perception.config import DetectorConfig, TrainConfig
from perception.detect import CalibratedDetector
from perception.head import HeadMaps
from perception.training_run import Run, new_run
from perception.warm_start import start_from
from tests.perception.scenes import TINY
from tests.perception.test_detector import CAMERAS_ALONE, LIDAR_ALONE, SCENE, network


def weights_of(config: DetectorConfig, path: Path) -> CalibratedDetector:
    """A network that has seen a scene, and its file."""
    detector = build_detector(config)
    detector.network.load_state_dict(deepcopy(network(config)).state_dict())
    save_weights(path, detector, config, {})
    return detector.eval()


def fresh_run() -> Run:
    return new_run(TrainConfig(seed=5), TINY)


def test_pictures_say_nothing_at_first_to_a_network_begun_from_points(tmp_path):
    lidar, run = weights_of(LIDAR_ALONE, tmp_path / "lidar.safetensors"), fresh_run()
    start_from(run, [tmp_path / "lidar.safetensors"])
    with torch.inference_mode():
        expected, got = lidar.network(collate([SCENE])), run.average.network.eval()(collate([SCENE]))
    for field in fields(HeadMaps):
        torch.testing.assert_close(getattr(got, field.name), getattr(expected, field.name))


def test_a_tensor_comes_from_the_first_file_that_has_it(tmp_path):
    lidar, camera = (weights_of(config, tmp_path / name) for config, name in ((LIDAR_ALONE, "l"), (CAMERAS_ALONE, "c")))
    run = fresh_run()
    start_from(run, [tmp_path / "l", tmp_path / "c"])
    begun, points, pictures = (net.network.state_dict() for net in (run.detector, lidar, camera))
    of_points = [name for name in begun if name.startswith(("lidar.", "bev.", "head."))]
    assert all(torch.equal(begun[name], points[name]) for name in of_points)
    assert all(torch.equal(tensor, pictures[name]) for name, tensor in begun.items() if name.startswith("camera."))


@pytest.mark.parametrize("config", [replace(TINY, head_channels=12, feature_channels=12, stage_channels=(12, 20)), TINY])
def test_a_file_of_which_nothing_is_left_to_take_is_named(tmp_path, config):
    weights_of(TINY, tmp_path / "first")
    weights_of(config, tmp_path / "second")
    with pytest.raises(InputError, match=r"second: .*no tensor that fits and that no file before it has"):
        start_from(fresh_run(), [tmp_path / "first", tmp_path / "second"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"none\.safetensors"):
        start_from(fresh_run(), [tmp_path / "none.safetensors"])
