import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_specs.boxes import Boxes3D
from data_specs.errors import MissingInput
from data_specs.objects import ObjectClass, ObjectList, Truth
from perception.checkpoint import load_weights, read_facts
from perception.commands import app
from perception.config import TrainConfig
from perception.train import new_run
from perception.training_job import CALIBRATION_DRIVES, train_to_file
from tests.perception.scenes import TINY, sample_of, scene_with

CONFIG = TrainConfig(steps=50, batch=1, drives=2, drive_seconds=2.0, samples_hz=1.0, bf16=False)


class Simulator:
    """A car somewhere in each sample; remembers which drives it was asked for."""

    def __init__(self) -> None:
        self.seeds: set[int] = set()

    def __call__(self, scenario: str, seed: int, seconds: float, hz: float):
        self.seeds.add(seed)
        for i in range(int(seconds * hz)):
            scene = scene_with([(ObjectClass.CAR, 1.0 + i, seed % 5, 0.3)])
            boxes = Boxes3D("map", scene.boxes.center_m, scene.boxes.size_lwh_m, scene.boxes.yaw_rad)
            yield sample_of(scene.points), Truth.build(ObjectList.build(boxes, "truth", 0, scene.label))


@pytest.fixture
def places(tmp_path):
    return {"cache": tmp_path / "scenes", "checkpoint": tmp_path / "run.pt"}


def test_a_run_leaves_weights_that_load_and_metrics_by_step(tmp_path, places):
    simulator, out = Simulator(), tmp_path / "tiny.safetensors"
    train_to_file(out, CONFIG, TINY, 5.0, **places, pairs=simulator)
    assert load_weights(out).name == "tiny"
    assert read_facts(out)["step"] == 50
    rows = pq.read_table(tmp_path / "tiny.parquet").to_pylist()
    assert rows[-1]["step"] == 50 and np.isfinite(rows[-1]["heatmap"])
    assert simulator.seeds <= {1000, 1001, *CALIBRATION_DRIVES}


def test_no_minutes_and_no_checkpoint_are_refused(tmp_path, places):
    with pytest.raises(MissingInput, match=r"run\.pt: missing, expected the checkpoint of a training run"):
        train_to_file(tmp_path / "a.safetensors", CONFIG, TINY, 0.0, **places, pairs=Simulator())
    assert not list(tmp_path.iterdir())


def test_no_minutes_write_the_weights_of_the_checkpoint_and_leave_it_alone(tmp_path, places):
    train_to_file(tmp_path / "a.safetensors", CONFIG, TINY, 5.0, **places, pairs=Simulator())
    before = places["checkpoint"].read_bytes()
    run = train_to_file(tmp_path / "b.safetensors", CONFIG, TINY, 0.0, **places, pairs=Simulator())
    assert run.step == 50
    assert places["checkpoint"].read_bytes() == before
    assert (tmp_path / "b.safetensors").stat().st_size == (tmp_path / "a.safetensors").stat().st_size


def test_the_command_prints_one_json_object_and_nothing_else(tmp_path, monkeypatch):
    asked = {}

    def fake(out, config, network, minutes, cache, checkpoint):
        asked.update(seed=config.seed, steps=config.steps, minutes=minutes, checkpoint=checkpoint)
        run = new_run(config, TINY)
        run.step, run.rows = 7, [{"step": 7, "seconds": 1.0, "heatmap": 0.5, "box": 1.0, "variance": float("nan")}]
        return run

    monkeypatch.setattr("perception.training_job.train_to_file", fake)
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "x.safetensors"), "--seed", "3", "--steps", "9",
                                      "--cache", str(tmp_path / "scenes"), "--json"])
    assert json.loads(result.stdout)["losses"]["variance"] is None
    assert asked == {"seed": 3, "steps": 9, "minutes": 60.0, "checkpoint": tmp_path / "x.pt"}
