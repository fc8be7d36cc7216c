import numpy as np
import pytest
import torch

from data_specs.errors import InputError, MissingInput, RoadweaveError, UnknownFormat
from perception.assemble import build_detector
from perception.checkpoint import save_weights
from perception.load import load_detector, shipped_weights
from tests.perception.scenes import TINY, sample_of, scene_with


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    built, path = build_detector(TINY), tmp_path / "tiny.safetensors"
    torch.nn.init.constant_(built.network.head.heatmap[-1].get_parameter("bias"), 0.0)
    save_weights(path, built, TINY, {})
    return path


def test_what_is_loaded_for_the_cpu_detects_as_the_network_does(weights):
    scene = scene_with([], cameras=2)
    sample = sample_of(scene.points, pictures={"CAM_FRONT": scene.images[0], "CAM_LEFT": scene.images[1]})
    torch.manual_seed(0)
    plain = build_detector(TINY).eval()
    torch.nn.init.constant_(plain.network.head.heatmap[-1].get_parameter("bias"), 0.0)
    expected, got = plain.detect(sample), load_detector(weights, "cpu").detect(sample)
    assert (got.source, len(got)) == ("tiny", len(expected))
    np.testing.assert_allclose(np.sort(got.score), np.sort(expected.score), atol=1e-5)


def test_what_a_file_is_its_content_says(weights):
    misnamed = weights.rename(weights.with_suffix(".pth"))
    assert load_detector(misnamed, "cpu").name == "tiny"


@pytest.mark.parametrize("content, kind, complaint", [
    (None, MissingInput, "missing, expected a file of weights"),
    (b"", UnknownFormat, "expected safetensors or a torch checkpoint"),
    (b"nothing of the kind", UnknownFormat, "a file that starts with b'noth'"),
    (b"\x10\x00\x00\x00\x00\x00\x00\x00{", InputError, "expected a safetensors file"),
])
def test_files_that_are_no_weights_are_told_apart(tmp_path, content, kind, complaint):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=complaint):
        load_detector(path, "cpu")


def test_a_device_that_is_not_here_is_refused(weights):
    with pytest.raises(RoadweaveError, match=r"device 'tpu', expected auto, cpu, cuda"):
        load_detector(weights, "tpu")
    with pytest.raises(RoadweaveError, match=r"device 'cuda:99': torch finds (no|\d+) GPU"):
        load_detector(weights, "cuda:99")


def test_the_shipped_weights_are_those_of_nano():
    assert shipped_weights().name == "nano.safetensors"
