import numpy as np
import pytest

from data_specs.objects import NUSCENES_CLASSES
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive, TopicInfo
from replay.metrics.detection import evaluate_nuscenes
from replay.metrics.drawn_scores import drawn_scores
from replay.metrics.outcomes import concatenated, outcomes_of
from replay.metrics.slices import slices_of
from tests.replay.drives import drive_info
from tests.replay.metrics.scored import random_drive

CLASSES = list(NUSCENES_CLASSES.values())


def recorded(scored, start_ns=0):
    """A drive in memory of a drive for scoring; its frame is called map."""
    made = []
    for i, (found, truth) in enumerate(zip(scored.found, scored.truths)):
        time_ns = start_ns + i + 1
        map_from_ego = SE3("map", "ego", np.eye(3), np.zeros(3))
        pose = EgoPose(time_ns, map_from_ego, np.zeros(3), np.zeros((6, 6)))
        payloads = {EGO_POSES: pose, TRUTH: truth, VEHICLE_OBJECTS: found}
        made += [Event(time_ns, topic, payload) for topic, payload in payloads.items()]
    topics = {name: TopicInfo("x", 1) for name in (EGO_POSES, TRUTH, VEHICLE_OBJECTS)}
    return MemoryDrive(drive_info(drive_id=scored.drive_id, topics=topics), made)


def random_drives(count, seed=0):
    rng = np.random.default_rng(seed)
    return [recorded(random_drive(rng, f"d{i}", CLASSES), start_ns=1000 * i) for i in range(count)]


def as_one(drives, times):
    """One drive that holds each drive's moments as often as it is drawn; no two moments at one time."""
    made, shift_ns = [], 0
    for drive, count in zip(drives, times):
        for _ in range(count):
            shift_ns += 100_000
            made += [Event(event.time_ns + shift_ns, event.topic, event.payload) for event in drive.all_events]
    return MemoryDrive(drives[0].info, made)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_a_draw_are_those_of_its_drives_as_one(seed):
    drives = random_drives(4, seed)
    times = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 4, 0, 0]])
    found = drawn_scores([outcomes_of(drive) for drive in drives], times)
    scores, drawn = found.scores, found.by_round
    for row, counts in enumerate(times):
        expected = evaluate_nuscenes(as_one(drives, counts))
        for column, score in enumerate(scores):
            if (score.name, score.slice) == ("recall", "all"):
                continue
            if score.slice == "all":
                assert drawn[row, column] == pytest.approx(expected.value(score.name), abs=1e-9), score
            elif f"{score.slice}_{score.name}" in {one.name for one in expected.scores}:
                want = expected.value(f"{score.slice}_{score.name}", score.slice)
                assert drawn[row, column] == pytest.approx(want, abs=1e-9, nan_ok=True), score


def test_a_row_that_draws_every_drive_once_is_the_whole():
    parts = [outcomes_of(drive) for drive in random_drives(3)]
    found = drawn_scores(parts, np.ones((1, 3), np.int64))
    np.testing.assert_array_equal(found.by_round[0], [score.value for score in found.scores])


def test_every_truth_of_known_range_is_in_one_slice_of_range_and_counted_there():
    outcomes = concatenated([outcomes_of(drive) for drive in random_drives(3)])
    masks = [mask for name, mask in slices_of(outcomes, np.zeros(len(outcomes), np.int64), [{}]) if name.startswith("range")]
    assert (np.sum(masks, axis=0) == 1).all()
    scores = drawn_scores([outcomes], np.ones((1, 1), np.int64)).scores
    counted = sum(score.count for score in scores if score.name == "AP" and score.slice.startswith("range"))
    assert counted == (outcomes.is_truth & outcomes.counts).sum() == next(score.count for score in scores if score.name == "mAP")


def test_a_detection_that_takes_a_truth_stands_in_its_slices():
    outcomes = outcomes_of(random_drives(1)[0])
    taken = outcomes[~outcomes.is_truth & outcomes.right[:, -1]]
    truths = outcomes[outcomes.is_truth]
    assert len(taken) and np.isin(taken.range_m, truths.range_m).all() and np.isin(taken.speed_mps, truths.speed_mps).all()
