import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data_specs.errors import InputError, MissingInput
from perception.checkpoint import FORMAT, build_detector, load_weights, read_facts, save_weights
from tests.perception.scenes import TINY, sample_of


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, build_detector(TINY), TINY, {"steps": 3})
    return path


def test_a_weights_file_rebuilds_the_same_detector(weights):
    torch.manual_seed(0)
    built, loaded = build_detector(TINY).eval(), load_weights(weights)
    sample = sample_of(np.random.default_rng(0).uniform(0, 1, (500, 4)))
    for detector in (built, loaded):
        torch.nn.init.constant_(detector.head.heatmap[-1].bias, 0.0)
    np.testing.assert_array_equal(built.detect(sample).boxes.center_m, loaded.detect(sample).boxes.center_m)
    assert (loaded.name, read_facts(weights)) == ("tiny", {"steps": 3})
    assert list(weights.parent.iterdir()) == [weights]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"none\.safetensors: missing, expected a weights file"):
        load_weights(tmp_path / "none.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="expected a safetensors file"):
        load_weights(tmp_path / "x.safetensors")


def test_weights_of_another_house_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="format 'none', expected 'roadweave-lidar-1'"):
        load_weights(tmp_path / "x.safetensors")


def rewritten(path, change, config: str = TINY.to_json()):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": FORMAT, "config": config})
    return path


def test_a_renamed_tensor_is_named_with_its_nearest_match(weights):
    def rename(tensors):
        tensors["bev.outs.0.weight"] = tensors.pop("bev.out.0.weight")

    with pytest.raises(InputError, match=r"1 tensors missing, first 'bev\.out\.0\.weight' \(nearest: 'bev\.outs\.0\.weight'\)"):
        load_weights(rewritten(weights, rename))


def test_a_foreign_tensor_is_named(weights):
    with pytest.raises(InputError, match=r"1 foreign tensors, first 'bev\.out\.0\.weigth'"):
        load_weights(rewritten(weights, lambda tensors: tensors.update({"bev.out.0.weigth": torch.zeros(1)})))


def test_a_tensor_of_another_shape_is_named(weights):
    with pytest.raises(InputError, match=r"bev\.out\.1\.bias: shape \(2,\), expected \(8,\)"):
        load_weights(rewritten(weights, lambda tensors: tensors.update({"bev.out.1.bias": torch.zeros(2)})))


@pytest.mark.parametrize("config, complaint", [
    ("{", "configuration that is no JSON"),
    ("[]", "configuration of type list"),
    (json.dumps({"pilar_size_m": 0.4}), r"configuration keys \['pilar_size_m'\]"),
    (json.dumps({"range_m": 51.2, "pillar_size_m": 0.5}), "expected a whole number"),
    (json.dumps({"classes": ["cat"]}), "class 'cat'"),
])
def test_a_wrong_configuration_is_refused_in_one_line(weights, config, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        load_weights(rewritten(weights, lambda tensors: None, config))
    assert "\n" not in str(caught.value)
