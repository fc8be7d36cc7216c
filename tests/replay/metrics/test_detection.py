import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive
from replay.metrics import matching
from replay.metrics.detection import (
    DetectionProtocol,
    average_precision,
    best_f1_score,
    class_result,
    evaluate_nuscenes,
    precision_recall,
)
from replay.metrics.matching import flatten, match_greedily
from tests.replay.drives import drive_info

CAR, CONE = ObjectClass.CAR, ObjectClass.TRAFFIC_CONE


def objects(xy_m, score=None, cls=CAR, yaw_rad=0.0, velocity_mps=(0.0, 0.0), frame="map"):
    n = len(xy_m)
    center_m = np.column_stack([np.reshape(np.array(xy_m, float), (n, 2)), np.zeros(n)])
    boxes = Boxes3D(frame, center_m, np.tile([4.0, 2.0, 1.5], (n, 1)), np.full(n, yaw_rad))
    return ObjectList.build(boxes, "test", 0, np.full(n, cls, np.uint8), score=None if score is None else np.array(score),
                            velocity_mps=np.tile(velocity_mps, (n, 1)))


def truth(xy_m, **kwargs):
    return Truth.build(objects(xy_m, **kwargs))


def result_of(found, there, cls):
    return class_result(flatten(found), flatten([there]), cls, DetectionProtocol())


def test_ap_of_a_perfect_detector_is_one_and_of_a_blind_one_nought():
    there = [truth([(0, 0), (10, 0)]), truth([(5, 5)])]
    assert average_precision([t.objects for t in there], there, CAR, 0.5) == pytest.approx(1.0)
    assert average_precision([objects([]), objects([])], there, CAR, 0.5) == 0.0
    assert math.isnan(average_precision([objects([(0, 0)])], [truth([])], CAR, 0.5))


def test_ap_of_a_known_scene_is_what_the_hand_computes():
    """Right, wrong, right of two truths: (recall, precision) runs (0.5, 1), (0.5, 0.5), (1, 2/3).

    Interpolated over recall r: 1 below 0.5; at 0.5 the last detection of that recall, 0.5; from there a straight line to 2/3.
    AP = [39 (1 - 0.1) + sum over r = 0.50 .. 1.00 of (0.5 + (r - 0.5) / 3 - 0.1)] / 90 / 0.9.
    """
    found = [objects([(0.0, 0.2), (50, 0), (10, 0.3)], score=[0.9, 0.8, 0.7])]
    line = sum(0.4 + (i / 100) / 3 for i in range(51))
    assert average_precision(found, [truth([(0, 0), (10, 0)])], CAR, 1.0) == pytest.approx((39 * 0.9 + line) / 90 / 0.9)


def test_a_detection_takes_the_nearest_free_truth_strictly_within_the_distance():
    made, wanted = flatten([objects([(0.9, 0), (0.4, 0), (4, 0)], [0.9, 0.8, 0.7])]), flatten([truth([(0, 0), (2, 0)])])
    assert match_greedily(made, wanted, [0.5, 1.0, 2.0]).tolist() == [[-1, 0, -1], [0, -1, -1], [0, 1, -1]]


def test_samples_do_not_see_each_others_truth():
    there = [truth([(0, 0)]), truth([])]
    curve = precision_recall([objects([]), objects([(0, 0)], [0.9])], there, CAR, 2.0)
    assert curve.right.tolist() == [False] and curve.truths == 1


def plain_match(found, there, limit_m):
    """The definition, one detection after another."""
    taken, result = set(), {}
    rows = [(score, i, s, r) for i, (s, r, score) in enumerate(
        (s, r, float(f.score[r])) for s, f in enumerate(found) for r in range(len(f)))]
    for _, i, s, r in sorted(rows, reverse=True):
        away = [(np.linalg.norm(found[s].boxes.center_m[r, :2] - there[s].objects.boxes.center_m[t, :2]), t)
                for t in range(len(there[s])) if (s, t) not in taken]
        distance_m, t = min(away, default=(np.inf, -1))
        result[i] = (s, t) if distance_m < limit_m else None
        if result[i]:
            taken.add((s, t))
    return [result[i] for i in range(len(rows))]


points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6)


@given(st.lists(st.tuples(points, points), min_size=1, max_size=4), st.integers(0, 100))
def test_matching_many_samples_at_once_equals_the_definition(scenes, seed):
    rng = np.random.default_rng(seed)
    there = [truth(wanted) for wanted, _ in scenes]
    found = [objects(np.reshape(made, (-1, 2)) + rng.normal(0, 0.5, (len(made), 2)), np.round(rng.uniform(0, 1, len(made)), 1))
             for _, made in scenes]
    wanted = flatten(there)
    for limit_m, taken in zip((0.5, 1.0, 2.0), match_greedily(flatten(found), wanted, (0.5, 1.0, 2.0))):
        got = [None if row < 0 else (int(wanted.sample[row]), int(wanted.row[row])) for row in taken]
        assert got == plain_match(found, there, limit_m)


def crowd(seed, samples=200):
    """Samples of very different sizes, some empty; places on a grid and scores with one decimal, so that both tie."""
    rng = np.random.default_rng(seed)
    there = [truth(rng.integers(-9, 9, (rng.integers(0, 6), 2))) for _ in range(samples)]
    found = []
    for _ in range(samples):
        xy_m = rng.integers(-18, 18, (rng.integers(0, 40), 2)) / 2
        found.append(objects(xy_m, np.round(rng.uniform(0, 1, len(xy_m)), 1)))
    return flatten(found), flatten(there)


@pytest.mark.parametrize("batch_pairs", [40, 2_000_000])
def test_compiled_loops_match_as_numpy_does(monkeypatch, batch_pairs):
    made, wanted = crowd(seed=1)
    plain = match_greedily(made, wanted, (0.5, 1.0, 2.0))
    monkeypatch.setattr(matching, "COMPILED_FROM", 1)
    monkeypatch.setattr(matching, "BATCH_PAIRS", batch_pairs)
    assert (plain >= 0).any(axis=1).all()
    np.testing.assert_array_equal(match_greedily(made, wanted, (0.5, 1.0, 2.0)), plain)


def test_a_detection_of_an_ignored_truth_is_neither_right_nor_wrong():
    there = truth([(0, 0), (10, 0)])
    there = dataclasses.replace(there, ignore=np.array([False, True]))
    curve = precision_recall([objects([(0, 0), (10, 0), (20, 0)], [0.7, 0.9, 0.8])], [there], CAR, 2.0)
    assert (curve.score.tolist(), curve.right.tolist(), curve.truths) == ([0.8, 0.7], [False, True], 1)


def test_a_detection_nearer_to_a_truth_that_counts_than_to_an_ignored_one_is_wrong_where_it_is_one_too_many():
    there = dataclasses.replace(truth([(0, 0), (3, 0)]), ignore=np.array([False, True]))
    curve = precision_recall([objects([(0, 0), (1, 0), (2, 0)], [0.9, 0.8, 0.7])], [there], CAR, 4.0)
    assert (curve.score.tolist(), curve.right.tolist()) == ([0.9, 0.8], [True, False])


def test_the_best_f1_score_is_the_lowest_score_worth_keeping():
    found = [objects([(0, 0), (10, 0), (50, 0), (60, 0)], [0.9, 0.6, 0.5, 0.4])]
    assert best_f1_score(found, [truth([(0, 0), (10, 0), (20, 0)])], [CAR], 2.0) == 0.6
    assert best_f1_score([objects([])], [truth([(0, 0)])], [CAR], 2.0) == 1.0


def test_errors_of_matched_boxes_are_in_their_units():
    found = [objects([(0.3, 0.4), (10.3, 0.4)], [0.9, 0.8], yaw_rad=0.2, velocity_mps=(3.0, 4.0))]
    result = result_of(found, truth([(0, 0), (10, 0)]), CAR)
    np.testing.assert_allclose(result.errors, [0.5, 0.0, 0.2, 5.0, 1.0])
    np.testing.assert_allclose(result.ap, [0.0, 1.0, 1.0, 1.0], atol=1e-12)  # 0.5 m is not below 0.5 m


def attributed(xy_m, names, **kwargs):
    return dataclasses.replace(truth(xy_m, **kwargs), attribute=tuple(names))


def test_the_attribute_error_is_the_share_of_matches_whose_speed_says_another_attribute_than_the_truth():
    """Right, wrong, right, wrong along the scores: cumulative means 0, 1/2, 1/3, 1/2 at recalls 1/4, 1/2, 3/4, 1.

    At recalls below 1/4 the score is above every match's, so the error is the first one's; between, lines in the score.
    """
    places = [(0, 0), (10, 0), (20, 0), (30, 0)]
    found = [objects(places, [0.9, 0.8, 0.7, 0.6], velocity_mps=(3.0, 4.0))]
    there = attributed(places, ["vehicle.moving", "vehicle.stopped", "vehicle.moving", "vehicle.parked"], velocity_mps=(3.0, 4.0))
    recall = np.arange(11, 101) / 100
    expected = np.interp(recall, [0.25, 0.5, 0.75, 1.0], [0.0, 1 / 2, 1 / 3, 1 / 2])
    np.testing.assert_allclose(result_of(found, there, CAR).errors, [0, 0, 0, 0, expected.mean()], atol=1e-12)


def test_matches_whose_truth_has_no_attribute_say_nothing_of_the_attribute_error():
    places = [(0, 0), (10, 0)]
    found = [objects(places, [0.9, 0.8], velocity_mps=(3.0, 4.0))]
    assert result_of(found, attributed(places, ["vehicle.moving", ""]), CAR).errors[4] == 0.0
    assert result_of(found, attributed(places, ["", ""]), CAR).errors[4] == 1.0


def test_an_attribute_that_nuscenes_does_not_know_is_never_met():
    found = [objects([(0, 0)], [0.9], velocity_mps=(0.0, 0.0))]
    assert result_of(found, attributed([(0, 0)], ["parked"]), CAR).errors[4] == 1.0


def test_a_cone_has_no_heading_and_a_barrier_two():
    backwards = [objects([(0, 0)], [0.9], cls=CONE, yaw_rad=3.0)]
    assert np.isnan(result_of(backwards, truth([(0, 0)], cls=CONE), CONE).errors[2:]).all()
    backwards = [objects([(0, 0)], [0.9], cls=ObjectClass.BARRIER, yaw_rad=np.pi - 0.1)]
    result = result_of(backwards, truth([(0, 0)], cls=ObjectClass.BARRIER), ObjectClass.BARRIER)
    assert result.errors[2] == pytest.approx(0.1)


def test_frames_are_not_mixed():
    with pytest.raises(FrameError, match=r"samples are in frames \['ego', 'map'\], expected one frame"):
        flatten([objects([(0, 0)]), objects([(0, 0)], frame="ego")])


def drive(found, there, ego_m=(0.0, 0.0, 0.0)):
    pose = EgoPose(1, SE3("map", "ego", np.eye(3), np.array(ego_m)), np.zeros(3), np.zeros((6, 6)))
    events = [Event(1, EGO_POSES, pose)] + ([Event(1, TRUTH, there)] if there is not None else [])
    return MemoryDrive(drive_info(), events + ([Event(1, VEHICLE_OBJECTS, found)] if found is not None else []))


def test_a_drive_is_scored_within_each_class_range_of_the_ego():
    there = dataclasses.replace(truth([(100, 0), (149, 0), (151, 0), (120, 0)]), points_in_box=np.array([5, 1, 9, 0]))
    result = evaluate_nuscenes(drive(objects([(100, 0), (149, 0), (151, 0)], [0.9, 0.8, 0.99]), there, (100.0, 0, 0)))
    assert result.value("car_AP_2.0", "car") == pytest.approx(1.0)
    assert result.value("mAP") == pytest.approx(0.1)  # nine of ten classes have no truth, which nuScenes counts as 0
    assert result.value("mAP_present") == pytest.approx(1.0)
    assert result.value("NDS") == pytest.approx((5 * 0.1 + 0.1 + 0.1 + 1 / 9 + 1 / 8) / 10)
    assert math.isnan(result.value("bus_AP", "bus"))
    assert next(score for score in result.scores if score.name == "car_AP").count == 2


@pytest.mark.parametrize("found, there, complaint", [
    (None, truth([(0, 0)]), r"no vehicle\.objects, expected .*; run 'roadweave perceive' first"),
    (objects([(0, 0)]), None, "no truth, expected"),
    (objects([(0, 0)] * 501), truth([(0, 0)]), "501 objects, expected at most 500 a sample"),
])
def test_what_cannot_be_scored_is_refused(found, there, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate_nuscenes(drive(found, there))
