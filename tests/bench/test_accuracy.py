"""What the accuracy benchmark hands to detectors, and what it says of one that cannot err."""
from itertools import islice
from pathlib import Path

import pytest

from replay.metrics.perception_scores import score_drives
from replay.simulate import sweep_pairs
from tests.bench import bench_accuracy
from tests.bench.bench_accuracy import Run, detect_drives, only, to_json


@pytest.fixture(scope="module")
def pairs():
    return list(islice(sweep_pairs("busy", 2, 2.0, 2.0), 2, 4))  # late enough to have samples before


class Oracle:
    """Finds exactly what is true, and remembers what sensors it was given."""

    def __init__(self, pairs):
        self.truth = {sample.taken_ns: truth.transformed(sample.map_from_ego.inverse()) for sample, _, truth in pairs}
        self.given = []

    def detect(self, sample, earlier=()):
        self.given.append((len(sample.clouds), len(sample.images), [len(one.clouds) for one in earlier]))
        return self.truth[sample.taken_ns].objects


@pytest.mark.slow
def test_every_run_gets_its_sensors_alone_and_the_truth_scores_nearly_one(pairs, monkeypatch):
    oracle = Oracle(pairs)
    monkeypatch.setattr(bench_accuracy, "load_detector", lambda path, device, dtype: oracle)
    monkeypatch.setattr(bench_accuracy, "held_out_pairs", lambda scenario, seed: pairs)
    runs = [Run(Path("nano.safetensors"), modality) for modality in ("both", "lidar", "camera")]
    scored = detect_drives(runs, [("busy", 2)])
    assert oracle.given == [(1, 6, [1, 1]), (1, 0, [1, 1]), (0, 6, [])] * 2
    results = {run: score_drives(drives, rounds=2) for run, drives in scored.items()}
    values = {score.name: score.value for score in results[runs[0]].scores}
    assert values["car_AP"] > 0.97 and values["car_ATE"] < 0.02
    said = to_json(results, {})
    assert list(said) == ["nano, camera + LiDAR", "nano, LiDAR", "nano, camera"]
    assert said["nano, camera"]["mAP_gain_of_first"]["value"] == 0.0


@pytest.mark.slow
def test_a_sample_keeps_its_place_without_a_sensor(pairs):
    sample = pairs[0][0]
    assert only(sample, "camera").map_from_ego == sample.map_from_ego and only(sample, "both") == sample
