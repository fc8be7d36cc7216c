from dataclasses import fields

import numpy as np
import pytest
import torch

from data_specs.errors import RoadweaveError, SpecError
from data_specs.objects import ObjectClass
from perception.batch import collate
from perception.device import Device, chosen_device, ready
from perception.fold import folded, with_pillars
from perception.head import Candidates
from perception.ops.canvas_static import pillar_canvas_static
from perception.static import POINT_STEP, StaticDetector, packed, padded, unpacked
from tests.perception.detectors import CAMERA_ONLY, LIDAR_ONLY, assert_strongest_of, seasoned
from tests.perception.scenes import GREY, IMAGE_HW, TINY, sample_of, scene_with

SCENE = scene_with([(ObjectClass.CAR, 6.0, 1.0, 0.3)], cameras=3)
GREY_PICTURE = np.full((*IMAGE_HW, 3), GREY, np.uint8)


def static_of(detector) -> StaticDetector:
    """What a GPU runs, on the CPU and without a graph."""
    return StaticDetector(with_pillars(folded(detector.network), pillar_canvas_static), "cpu", torch.float32, graph=False)


def test_auto_is_full_precision_on_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_device() == Device("cpu", torch.float32, graph=False)
    assert chosen_device("cpu", "bf16").dtype == torch.bfloat16


def test_a_gpu_computes_in_halves_and_replays_a_graph(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert chosen_device() == Device("cuda", torch.float16, graph=True)
    assert chosen_device("cuda:1", "bf16") == Device("cuda:1", torch.bfloat16, graph=True)
    assert chosen_device("cpu") == Device("cpu", torch.float32, graph=False)
    with pytest.raises(RoadweaveError, match="device 'cuda:2': torch finds 2 GPUs here"):
        chosen_device("cuda:2")


@pytest.mark.parametrize(("name", "dtype", "message"), [
    ("tpu", "auto", "device 'tpu', expected auto, cpu, cuda or cuda:N"), ("cpu:0", "auto", "device 'cpu:0'"),
    ("cuda:x", "auto", "device 'cuda:x'"), ("cpu", "int4", "dtype 'int4', expected auto, fp32, fp16, bf16"),
    ("cpu", "fp16", "dtype 'fp16' on the CPU, expected fp32 or bf16"),
])
def test_what_is_not_known_is_refused(name, dtype, message):
    with pytest.raises(RoadweaveError, match=message):
        chosen_device(name, dtype)


def test_a_gpu_that_is_not_here_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RoadweaveError, match=r"device 'cuda': torch finds no GPUs here, .*use --device cpu"):
        chosen_device("cuda")


@pytest.mark.parametrize("config", [TINY, LIDAR_ONLY, CAMERA_ONLY], ids=["both", "lidar", "camera"])
def test_padded_inputs_give_the_same_candidates(config):
    detector, batch = seasoned(config), collate([SCENE])
    with torch.inference_mode():
        assert_strongest_of(detector.network(batch), static_of(detector).candidates(batch))


def test_a_second_scene_leaves_nothing_of_the_first():
    detector, other = seasoned(), collate([scene_with([], cameras=1, seed=5, older_sweep=False)])
    static = static_of(detector)
    with torch.inference_mode():
        static.candidates(collate([SCENE]))
        assert_strongest_of(detector.network(other), static.candidates(other))
    assert len(static._made) == 1


def test_more_points_than_there_is_room_for_get_more_room():
    batch = collate([SCENE])
    many = type(batch)(batch.points.repeat(60, 1), batch.scene.repeat(60), *(getattr(batch, f.name) for f in fields(batch)[2:]))
    assert POINT_STEP < len(many.points) < 2 * POINT_STEP
    detector = seasoned(LIDAR_ONLY)
    static = static_of(detector)
    with torch.inference_mode():
        assert_strongest_of(detector.network(many), static.candidates(many))
    assert list(static._made) == [(2 * POINT_STEP, 0)]


def test_a_batch_of_two_scenes_is_refused():
    with pytest.raises(SpecError, match="a batch of 2 scenes, expected 1"):
        static_of(seasoned()).candidates(collate([SCENE, SCENE]))


def test_padding_adds_nan_points_and_missing_cameras():
    batch = padded(collate([SCENE]), 5000, 6)
    assert (len(batch.points), batch.images.shape[1]) == (5000, 6)
    assert int(torch.isfinite(batch.points).all(dim=1).sum()) == len(SCENE.points)
    assert batch.has_image.tolist() == [[True] * 3 + [False] * 3]


def test_candidates_survive_the_trip_to_the_host_in_one_tensor():
    with torch.inference_mode():
        found = seasoned().network.candidates(collate([SCENE]))
    for field in fields(Candidates):
        assert torch.equal(getattr(unpacked(packed(found)), field.name), getattr(found, field.name))


def test_a_detector_made_ready_finds_the_same_objects():
    detector = seasoned()
    rows = SCENE.points[SCENE.points[:, 4] == 0]
    sample = sample_of(rows, pictures={"CAM_FRONT": GREY_PICTURE})
    found, expected = ready(detector, chosen_device("cpu")).detect(sample), detector.detect(sample)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(np.sort(found.score), np.sort(expected.score), atol=1e-3)
    apart_m = np.linalg.norm(found.boxes.center_m[:, None] - expected.boxes.center_m[None], axis=2)  # equal scores change places
    assert apart_m.min(axis=1).max() < 1e-3


def test_bfloat16_finds_nearly_the_same_heat():
    detector, batch = seasoned(), collate([SCENE])
    half = ready(detector, Device("cpu", torch.bfloat16, graph=False))
    with torch.inference_mode():
        found, expected = half.network.candidates(batch), detector.network.candidates(batch)
    torch.testing.assert_close(found.heat[:, :20], expected.heat[:, :20], rtol=0.05, atol=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: no graph was captured")
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_a_replayed_graph_gives_the_cpus_candidates(dtype):
    detector, batch = seasoned(), collate([SCENE])
    on_gpu = ready(detector, chosen_device("cuda", dtype))
    tolerance = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 5e-2}[dtype]
    with torch.inference_mode():
        expected = detector.network.candidates(batch)
        for _ in range(2):  # the capture, and a replay
            found = on_gpu.network.candidates(batch)
            torch.testing.assert_close(found.heat[:, :20], expected.heat[:, :20], rtol=tolerance, atol=tolerance)
