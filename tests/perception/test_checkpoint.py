import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data_specs.errors import InputError, MissingInput, OutOfMemory
from perception.assemble import build_detector
from perception.checkpoint import FORMAT, load_weights, read_facts, save_weights
from tests.perception.scenes import TINY, sample_of, scene_with

REMEMBERS = replace(TINY, name="tiny-memory", memory=True)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, build_detector(TINY), TINY, {"steps": 3})
    return path


@pytest.mark.parametrize("config", [TINY, replace(TINY, camera=None), replace(TINY, lidar=None), REMEMBERS])
def test_a_weights_file_rebuilds_the_same_detector(tmp_path, config):
    torch.manual_seed(0)
    built, path = build_detector(config).eval(), tmp_path / "x.safetensors"
    torch.nn.init.constant_(built.network.head.heatmap[-1].get_parameter("bias"), 0.0)
    save_weights(path, built, config, {"steps": 3})
    loaded, scene = load_weights(path), scene_with([])
    sample = sample_of(scene.points, pictures={"CAM_FRONT": scene.images[0]})
    assert len(built.detect(sample)) > 0
    np.testing.assert_array_equal(built.detect(sample).boxes.center_m, loaded.detect(sample).boxes.center_m)
    assert (loaded.name, loaded.config, read_facts(path)) == (config.name, config, {"steps": 3})
    assert list(tmp_path.iterdir()) == [path]


def test_a_configuration_from_before_an_option_keeps_its_default(weights):
    old = json.loads(TINY.to_json())
    del old["memory"]
    assert load_weights(rewritten(weights, lambda tensors: None, json.dumps(old))).config == TINY


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"none\.safetensors: missing, expected a weights file"):
        load_weights(tmp_path / "none.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="expected a safetensors file"):
        load_weights(tmp_path / "x.safetensors")


def test_weights_of_another_house_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=f"format 'none', expected '{FORMAT}' with its configuration"):
        load_weights(tmp_path / "x.safetensors")


def test_weights_of_the_old_network_are_told_apart(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors", {"format": "roadweave-lidar-1", "config": "{}"})
    told = f"format 'roadweave-lidar-1', the LiDAR-only network of version 0.1, expected '{FORMAT}'; take the weights that come"
    with pytest.raises(InputError, match=told):
        load_weights(tmp_path / "x.safetensors")


def rewritten(path, change, config: str = TINY.to_json()):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": FORMAT, "config": config})
    return path


def test_a_renamed_tensor_is_named_with_its_nearest_match(weights):
    def rename(tensors):
        tensors["network.bev.outs.0.weight"] = tensors.pop("network.bev.out.0.weight")

    told = r"1 tensors missing, first 'network\.bev\.out\.0\.weight' \(nearest: 'network\.bev\.outs\.0\.weight'\)"
    with pytest.raises(InputError, match=told):
        load_weights(rewritten(weights, rename))


def test_a_foreign_tensor_is_named(weights):
    told = r"1 foreign tensors, first 'network\.bev\.out\.1\.bais' \(nearest: 'network\.bev\.out\.1\.bias'"
    with pytest.raises(InputError, match=told):
        load_weights(rewritten(weights, lambda tensors: tensors.update({"network.bev.out.1.bais": torch.zeros(1)})))


def test_a_tensor_of_another_shape_is_named(weights):
    with pytest.raises(InputError, match=r"network\.bev\.out\.1\.bias: shape \(2,\), expected \(8,\)"):
        load_weights(rewritten(weights, lambda tensors: tensors.update({"network.bev.out.1.bias": torch.zeros(2)})))


def test_a_tensor_with_numbers_that_are_not_finite_is_named(weights):
    def damage(tensors):
        tensors["network.bev.out.1.bias"][3] = torch.nan

    with pytest.raises(InputError, match=r"network\.bev\.out\.1\.bias: 1 of 8 numbers NaN or infinite, expected finite ones"):
        load_weights(rewritten(weights, damage))


def test_a_grid_too_large_for_this_machine_is_told_with_the_size_it_needs(weights):
    absurd = replace(TINY, range_m=0.8 * 2**21).to_json()  # 2^44 cells of two voxels, each of three numbers of 4 bytes
    with pytest.raises(OutOfMemory, match=r"tiny\.safetensors: needs [\d,.]+ GiB at once") as caught:
        load_weights(rewritten(weights, lambda tensors: None, absurd))
    assert caught.value.needed_bytes is not None and caught.value.needed_bytes >= 2**46


@pytest.mark.parametrize("config, complaint", [
    ("{", "configuration that is no JSON"),
    ("[]", "expected a table of keys and values"),
    (json.dumps({"feature_chanels": 8}), r"unknown key 'feature_chanels' \(nearest: 'feature_channels'\)"),
    (json.dumps({"range_m": 51.2, "cell_m": 0.7}), "expected a whole number"),
    (json.dumps({"classes": ["cat"]}), "class 'cat'"),
])
def test_a_wrong_configuration_is_refused_in_one_line(weights, config, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        load_weights(rewritten(weights, lambda tensors: None, config))
    assert "\n" not in str(caught.value)
