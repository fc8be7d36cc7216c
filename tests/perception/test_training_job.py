import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput
from data_specs.objects import ObjectClass, ObjectList, Truth
from perception.assemble import build_detector
from perception.checkpoint import load_weights, read_facts, save_weights
from perception.commands import app
from perception.config import TrainConfig
from perception.ranks import Ranks
from perception.training_job import CALIBRATION_DRIVES, split_recordings, train_to_file
from perception.training_run import new_run
from tests.perception.scenes import GREY, IMAGE_HW, TINY, sample_of, scene_with
from tests.perception.test_dataset import recorded

CONFIG = TrainConfig(steps=50, batch=1, drives=2, drive_seconds=2.0, samples_hz=1.0, half=False)


class Simulator:
    """A car somewhere in each sample; remembers which drives it was asked for."""

    def __init__(self) -> None:
        self.seeds: set[int] = set()

    def __call__(self, scenario: str, seed: int, seconds: float, hz: float):
        self.seeds.add(seed)
        for i in range(int(seconds * hz)):
            scene = scene_with([(ObjectClass.CAR, 1.0 + i, seed % 5, 0.3)])
            boxes = Boxes3D("map", scene.boxes.center_m, scene.boxes.size_lwh_m, scene.boxes.yaw_rad)
            sample = sample_of(scene.points, pictures={"CAM_FRONT": np.full((*IMAGE_HW, 3), GREY, np.uint8)})
            yield sample, (), Truth.build(ObjectList.build(boxes, "truth", 0, scene.label), points_in_box=scene.points_in_box)


@pytest.fixture
def places(tmp_path):
    return {"cache": tmp_path / "scenes", "checkpoint": tmp_path / "run.pt"}


def test_a_run_leaves_weights_that_load_metrics_by_step_and_a_learning_curve(tmp_path, places):
    simulator, out = Simulator(), tmp_path / "tiny.safetensors"
    train_to_file(out, CONFIG, TINY, 5.0, **places, pairs=simulator)
    assert load_weights(out).name == "tiny"
    assert read_facts(out)["step"] == 50
    rows = pq.read_table(tmp_path / "tiny.parquet").to_pylist()
    assert rows[-1]["step"] == 50 and rows[-1]["samples"] == 50 and np.isfinite(rows[-1]["heatmap"])
    assert (tmp_path / "tiny.svg").read_text().startswith("<svg ")
    assert simulator.seeds <= {1000, 1001, *CALIBRATION_DRIVES}


def test_a_new_run_begins_with_the_weights_it_is_given(tmp_path, places):
    trained, first, begun = build_detector(TINY), tmp_path / "first.safetensors", tmp_path / "begun.safetensors"
    save_weights(first, trained, TINY, {})
    train_to_file(begun, replace(CONFIG, steps=1, learning_rate=1e-12), TINY, 5.0, **places, pairs=Simulator(), start=[first])
    taken, weights = (detector.network.merge.mix.get_parameter("0.weight") for detector in (trained, load_weights(begun)))
    np.testing.assert_allclose(weights.detach().numpy(), taken.detach().numpy(), atol=1e-6)


def test_no_minutes_and_no_checkpoint_are_refused(tmp_path, places):
    with pytest.raises(MissingInput, match=r"run\.pt: missing, expected the checkpoint of a training run"):
        train_to_file(tmp_path / "a.safetensors", CONFIG, TINY, 0.0, **places, pairs=Simulator())
    assert not list(tmp_path.iterdir())


def test_no_minutes_write_the_weights_of_the_checkpoint_and_leave_it_alone(tmp_path, places):
    train_to_file(tmp_path / "a.safetensors", replace(CONFIG, steps=2), TINY, 5.0, **places, pairs=Simulator())
    before = places["checkpoint"].read_bytes()
    run = train_to_file(tmp_path / "b.safetensors", CONFIG, TINY, 0.0, **places, pairs=Simulator())
    assert run.step == 2
    assert places["checkpoint"].read_bytes() == before
    assert (tmp_path / "b.safetensors").is_file()


def test_more_processes_than_scenes_in_a_batch_are_refused(tmp_path, places):
    with pytest.raises(InputError, match="batch: 1 scenes for 2 processes, expected a scene or more for each"):
        train_to_file(tmp_path / "a.safetensors", CONFIG, TINY, 5.0, **places, ranks=Ranks(0, 2), pairs=Simulator())


def test_of_recorded_drives_a_tenth_calibrates_and_a_single_one_trains():
    names = tuple(str(i) for i in range(12))
    training, calibrating = split_recordings(names)
    assert calibrating == ("0", "10") and set(training) == set(names) - {"0", "10"}
    assert split_recordings(("one",)) == (("one",), ())


def test_the_command_trains_on_recorded_drives_and_prints_one_json_object(tmp_path):
    drives = [recorded(tmp_path / name, 1.0) for name in ("a", "b")]
    (tmp_path / "tiny.toml").write_text("""
        [network]
        name = "tiny"
        classes = ["car", "pedestrian"]
        range_m = 12.8
        camera = "none"
        stage_channels = [8, 16]
        stage_blocks = [1, 1]
        feature_channels = 8
        head_channels = 8
        [network.lidar]
        pillar_channels = 4
        stem_channels = [8]
        [train]
        steps = 4
        batch = 2
        """)
    out = tmp_path / "x.safetensors"
    options = ["--out", str(out), "--drives", str(drives[0]), "--drives", str(drives[1]), "--steps", "3",
               "--cache", str(tmp_path / "scenes" / "x"), "--json"]
    result = CliRunner().invoke(app, ["train", str(tmp_path / "tiny.toml"), *options], catch_exceptions=False)
    assert json.loads(result.stdout) | {"seconds": 0} == {"out": str(out), "step": 3, "seconds": 0, "losses": {}}
    assert read_facts(out)["train"]["recorded"] == [str(drive) for drive in drives]
    assert (tmp_path / "scenes" / "x.pt").is_file()


def test_options_of_the_command_override_its_configuration(tmp_path, monkeypatch):
    asked = {}

    def fake(out, config, network, minutes, cache, checkpoint, device, ranks, start):
        asked.update(seed=config.seed, steps=config.steps, minutes=minutes, checkpoint=checkpoint, name=network.name, start=start)
        run = new_run(config, TINY)
        run.step, run.rows = 7, [{"step": 7, "samples": 28, "seconds": 1.0, "heatmap": 0.5, "likelihood": float("nan")}]
        return run

    monkeypatch.setattr("perception.training_job.train_to_file", fake)
    options = ["--out", str(tmp_path / "x.safetensors"), "--seed", "3", "--steps", "9", "--cache", str(tmp_path / "scenes"),
               "--start", "a", "--start", "b"]
    result = CliRunner().invoke(app, ["train", "nano-lidar", *options, "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["losses"]["likelihood"] is None
    assert asked == {"seed": 3, "steps": 9, "minutes": 60.0, "checkpoint": tmp_path / "x.pt", "name": "nano-lidar",
                     "start": [Path("a"), Path("b")]}
    assert "step 7 of 9" in CliRunner().invoke(app, ["train", "nano-lidar", *options], catch_exceptions=False).stdout
