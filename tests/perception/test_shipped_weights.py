import numpy as np
import pytest

from data_specs.objects import ObjectClass
from perception.calibrate import match
from perception.checkpoint import DEFAULT_WEIGHTS, load_weights, read_facts
from perception.config import TrainConfig
from perception.scene import scene_of
from replay.metrics.demo_scores import RANGE_M, score_lists
from replay.simulate import sweep_pairs

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not DEFAULT_WEIGHTS.is_file(), reason=f"{DEFAULT_WEIGHTS.name} is not shipped: nothing to test")]
MOST_BYTES = 8_000_000


@pytest.fixture(scope="module")
def detector():
    return load_weights(DEFAULT_WEIGHTS)


@pytest.fixture(scope="module")
def moments():
    """Every other second of a drive that trained nothing: (sample, the samples before it, truth in map within 50 m)."""
    kept = []
    for sample, earlier, truth in sweep_pairs("crossing", 3, 20.0, 0.5):
        near = truth.transformed(sample.map_from_ego.inverse()).objects.range_m() <= RANGE_M
        kept.append((sample, earlier, truth[near]))
    return kept


def test_the_shipped_detector_finds_objects_of_a_drive_it_never_saw(detector, moments):
    lists = [detector.detect(sample, earlier) for sample, earlier, _ in moments]
    near = [found[found.range_m() <= RANGE_M] for found in lists]
    truths = [truth.transformed(sample.map_from_ego.inverse()) for sample, _, truth in moments]
    scores = score_lists(near, truths, [np.zeros(len(truth), bool) for truth in truths])
    assert scores.mean_ap > 0.3
    assert scores.ap[ObjectClass.CAR] > 0.5


def test_its_variances_are_of_the_size_of_its_errors(detector, moments):
    normalised = []
    for sample, earlier, truth in moments:
        scene = scene_of(sample, earlier, truth, detector.config.image_hw)
        peaks = detector.peaks(scene)
        row = match(peaks, scene, [int(c) for c in detector.network.head.classes]).numpy()
        objects = detector.objects(peaks, 0)[row >= 0]
        error_m = objects.boxes.center_m[:, :2] - scene.boxes.center_m[row[row >= 0], :2]
        normalised.append(error_m**2 / objects.covariance[:, range(2), range(2)])
    assert 0.3 < float(np.concatenate(normalised).mean()) < 3.0


def test_it_was_not_trained_on_what_is_held_out_and_is_small():
    trained = read_facts(DEFAULT_WEIGHTS)["train"]
    assert trained["first_drive"] >= 1000
    assert trained["seed"] == TrainConfig().seed
    assert DEFAULT_WEIGHTS.stat().st_size <= MOST_BYTES
