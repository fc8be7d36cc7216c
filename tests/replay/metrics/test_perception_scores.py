import math
from dataclasses import replace

import numpy as np
import pytest

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive
from replay.metrics.bootstrap import drive_draws
from replay.metrics.detection import evaluate_nuscenes
from replay.metrics.perception_scores import CLASSES, score_drives
from tests.replay.drives import drive_info
from tests.replay.metrics.scored import CAR, drive, joined, objects, random_drive, truth

BUS = ObjectClass.BUS


def scores_of(drives, classes=(CAR,), rounds=20):
    return {score.name: score for score in score_drives(drives, classes, rounds).result().scores}


@pytest.fixture(scope="module")
def drives():
    rng = np.random.default_rng(5)
    return [random_drive(rng, f"d{i}", CLASSES) for i in range(6)]


def test_a_perfect_detector_has_map_and_nds_one_whatever_drives_are_drawn():
    there = [truth([(0, 0), (10, 0), (20, 5)]), truth([(5, 5)])]
    scores = scores_of([drive((there[0].objects, there[0])), drive((there[1].objects, there[1]), name="e")])
    assert (scores["mAP"].value, scores["NDS"].value) == pytest.approx((1.0, 1.0))
    assert scores["mAP"].interval == pytest.approx((1.0, 1.0)) and scores["mAP"].count == 4
    assert [scores[name].value for name in ("mATE", "mASE", "mAOE", "mAVE", "mAAE")] == [0.0] * 5


def test_what_no_sensor_sees_is_neither_missed_nor_wrongly_found():
    there = truth([(0, 0), (20, 0), (30, 0)], points=[3, 0, 0], pixels=[0, 24, 24])
    scores = scores_of([drive((objects([(0, 0), (20, 0.2)], [0.8, 0.9]), there))])
    assert scores["car_AP"].value == pytest.approx(1.0) and scores["car_AP"].count == 1
    seen = truth([(0, 0), (20, 0), (30, 0)], points=[3, 0, -1], pixels=[0, 25, 24])
    assert scores_of([drive((objects([(0, 0), (20, 0.2)], [0.8, 0.9]), seen))])["car_AP"].count == 3


def test_a_false_detection_far_from_what_is_hidden_is_wrong():
    there = truth([(0, 0), (20, 0)], points=[3, 0], pixels=[0, 0])
    wrong = scores_of([drive((objects([(0, 0), (24.5, 0)], [0.8, 0.9]), there))])["car_AP"].value
    recall = np.arange(11, 101) / 100
    assert wrong == pytest.approx(np.maximum(recall / 2 - 0.1, 0.0).mean() / 0.9)  # a line from (0, 0) to (1, 1/2)


def test_what_is_out_of_its_class_range_does_not_count():
    there, label = truth([(0, 0), (45, 0)], (CAR, ObjectClass.PEDESTRIAN)), ObjectClass.PEDESTRIAN
    scores = scores_of([drive((objects([(0, 0), (51, 0)], [0.5, 0.9]), there))], (CAR, label))
    assert scores["car_AP"].value == pytest.approx(1.0)
    assert scores["pedestrian_AP"].count == 0


def test_a_class_without_truth_is_nought_in_the_means_and_unknown_by_itself():
    there = truth([(0, 0)])
    scores = scores_of([drive((there.objects, there))], (CAR, BUS))
    assert scores["mAP"].value == pytest.approx(0.5) and math.isnan(scores["bus_AP"].value)
    assert scores["NDS"].value == pytest.approx((5 * 0.5 + 5 * 0.5) / 10)
    assert all(math.isnan(bound) for bound in scores["bus_AP"].interval)


def test_drives_matched_one_by_one_score_as_all_their_moments_together(drives):
    apart, together = scores_of(drives, CLASSES), scores_of([joined(drives)], CLASSES)
    for name, score in apart.items():
        np.testing.assert_allclose(score.value, together[name].value, rtol=1e-12, err_msg=name)
        assert score.count == together[name].count


def test_equal_scores_of_many_drives_keep_the_metrics_own_order():
    rng = np.random.default_rng(9)
    drives = [random_drive(rng, f"d{i}", [CAR]) for i in range(5)]
    drives = [replace(one, found=tuple(replace(found, score=np.round(found.score, 1)) for found in one.found)) for one in drives]
    apart, together = scores_of(drives), scores_of([joined(drives)])
    assert [score.value for score in apart.values()] == [score.value for score in together.values()]


def test_a_round_scores_the_drives_that_it_draws(drives):
    scores = score_drives(drives, CLASSES, rounds=4, seed=3)
    for times, values in zip(drive_draws(len(drives), 4, seed=3), scores.by_round):
        drawn = [drives[i] for i in np.repeat(np.arange(len(drives)), times)]
        expected = [score.value for score in score_drives([joined(drawn)], CLASSES, rounds=1).scores]
        np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_intervals_hold_the_score_and_repeat(drives):
    first, second = score_drives(drives, CLASSES, rounds=200).result(), score_drives(drives, CLASSES, rounds=200).result()
    assert first == second
    low, high = first.scores[0].interval
    assert low < first.scores[0].value < high


def test_the_scores_are_evaluate_nuscenes_own_over_the_classes_that_it_shares(drives):
    events = []
    for time_ns, (found, there) in enumerate(zip(drives[0].found, drives[0].truths)):
        map_from_ego = SE3.identity("map", "ego")
        seen = there[there.points_in_box != 0]  # nuScenes drops what the LiDAR does not hit
        events += [Event(time_ns, EGO_POSES, EgoPose(time_ns, map_from_ego, np.zeros(3), np.zeros((6, 6)))),
                   Event(time_ns, TRUTH, seen.transformed(map_from_ego)),
                   Event(time_ns, VEHICLE_OBJECTS, found.transformed(map_from_ego))]
    theirs = evaluate_nuscenes(MemoryDrive(drive_info(), events))
    hit = replace(drives[0], truths=tuple(one[one.points_in_box != 0] for one in drives[0].truths))
    for score in score_drives([hit], CLASSES, rounds=1).scores:
        if score.slice != "all":
            np.testing.assert_allclose(score.value, theirs.value(score.name, score.slice), rtol=1e-9, err_msg=score.name)


def test_a_gain_is_paired_by_drive(drives):
    better = [replace(one, found=tuple(replace(found, score=np.ones(len(found))) for found in one.found)) for one in drives]
    mine, other = score_drives(drives, CLASSES, 50), score_drives(better, CLASSES, 50)
    assert mine.gain_over(mine).interval == (0.0, 0.0)
    gain = mine.gain_over(other)
    assert (gain.name, gain.value) == ("mAP_gain", mine.scores[0].value - other.scores[0].value)
    low, high = gain.interval
    assert low == pytest.approx(np.percentile(mine.by_round[:, 0] - other.by_round[:, 0], 2.5)) and low <= high
    with pytest.raises(SpecError, match="5 other drives, expected the same 6"):
        mine.gain_over(score_drives(drives[:5], CLASSES, 50))


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(SpecError, match="drives: none, expected at least one to score"):
        score_drives([])
    with pytest.raises(SpecError, match="drive d: 1 lists of objects, 1 truths and 2 places of the ego"):
        replace(drive((objects([]), truth([]))), ego_m=np.zeros((2, 2)))
