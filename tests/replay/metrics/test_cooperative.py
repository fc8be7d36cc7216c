from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.site import Crossing, Rsu, Site
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_OBJECTS,
    TRUTH,
    VEHICLE_OBJECTS,
    Event,
    MemoryDrive,
    TopicInfo,
    rsu_objects,
)
from replay.metrics.cooperative import best_f1_threshold, evaluate_cooperative, match_xy
from replay.metrics.demo_scores import score_sources
from replay.metrics.sources import merged, moved_to
from tests.replay.drives import START_NS, drive_info

CAR = ObjectClass.CAR


def listed(source, xy_m, *, time_ns=START_NS, label=CAR, frame="map", score=None, velocity_mps=None):
    n = len(xy_m)
    center_m = np.hstack([np.array(xy_m, float).reshape(n, 2), np.zeros((n, 1))])
    boxes = Boxes3D(frame, center_m, np.tile([4.0, 2.0, 1.5], (n, 1)), np.zeros(n))
    return ObjectList.build(boxes, source, time_ns, np.full(n, label, np.uint8), velocity_mps=velocity_mps,
                            score=None if score is None else np.array(score))


def drive_of(events, **changes):
    topics = {event.topic: TopicInfo(type(event.payload).__name__, 1) for event in events}
    return MemoryDrive(drive_info(topics=topics, **changes), events)


def scene(vehicle, roadside, fused, truth=((0, 0), (20, 0))):
    return drive_of([
        Event(START_NS, TRUTH, Truth.build(listed("truth", truth))),
        Event(START_NS, VEHICLE_OBJECTS, listed("v", vehicle)), Event(START_NS, FUSED_TRACKS, listed("fused", fused)),
        Event(START_NS + 10_000_000, ROADSIDE_OBJECTS, listed("rsu-1", roadside, time_ns=START_NS + 10_000_000))])


def test_each_source_is_scored_by_itself():
    result = evaluate_cooperative(scene(vehicle=[(0, 0)], roadside=[(1.5, 0), (21.5, 0)], fused=[(0, 0), (21, 0), (50, 0)]))
    recall = {source: result.value("recall", source) for source in ("vehicle", "roadside", "fused")}
    assert recall == {"vehicle": 0.5, "roadside": 1.0, "fused": 1.0}
    assert result.value("precision", "fused") == pytest.approx(2 / 3)
    assert result.value("position_error_m", "roadside") == pytest.approx(1.5)
    assert result.value("position_error_m", "fused") == pytest.approx(0.5)
    assert result.value("co_visible_distance_m") == pytest.approx(1.5)


def test_an_object_left_over_beside_a_found_truth_is_a_duplicate_and_one_far_off_is_not():
    result = evaluate_cooperative(scene(vehicle=[(0, 0), (2.2, 0), (60, 0)], roadside=[], fused=[(0, 0)]))
    assert result.value("duplicates", "vehicle") == 1.0
    assert result.value("duplicates", "fused") == 0.0
    assert np.isnan(result.value("co_visible_distance_m"))


def test_what_the_truth_does_not_know_is_not_held_against_a_source():
    events = list(scene(vehicle=[(0, 0), (20, 0)], roadside=[], fused=[]).all_events)
    cones = listed("fused", [(5, 5)] * 4, label=ObjectClass.TRAFFIC_CONE)
    drive = drive_of([event if event.topic != FUSED_TRACKS else Event(START_NS, FUSED_TRACKS, cones) for event in events])
    assert evaluate_cooperative(drive).value("precision", "vehicle") == 1.0
    assert np.isnan(evaluate_cooperative(drive).value("precision", "fused"))


def test_the_units_own_boxes_serve_until_the_drive_is_fused():
    crossing = Crossing("c", drive_info().origin, np.zeros((0, 2)), "off")
    rsu = Rsu("rsu-1", "c", 1, "", "", SE3.from_yaw("map", "rsu-1", np.pi / 2, np.array([10.0, 0.0, 0.0])))
    found = listed("rsu-1", [(5, 0)], frame="rsu-1")
    drive = drive_of([Event(START_NS, TRUTH, Truth.build(listed("truth", [(10, 5)]))),
                      Event(START_NS, rsu_objects("rsu-1"), found)], site=Site((crossing,), (rsu,)))
    result = evaluate_cooperative(drive)
    assert result.value("recall", "roadside") == 1.0
    assert result.value("position_error_m", "roadside") == pytest.approx(0.0, abs=1e-9)


def test_roadside_objects_are_moved_to_the_moment_by_their_velocity():
    moving = listed("rsu-1", [(0, 0), (5, 5)], velocity_mps=np.array([[10.0, 0.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(moved_to(moving, START_NS + 200_000_000).boxes.center_m[:, :2], [[2.0, 0.0], [5.0, 5.0]])


def test_two_units_objects_of_one_car_count_once_the_better_one():
    lists = [listed("a", [(0, 0), (0, 1)], score=[0.5, 0.4]), listed("b", [(1, 0), (40, 0)], score=[0.9, 0.1])]
    assert merged(lists, "roadside").score.tolist() == [0.9, 0.1]
    assert len(merged(lists[:1], "roadside")) == 2  # one unit's own objects are its own business


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 40))
def test_no_other_cut_has_a_better_f1(rows, missed):
    score, found = np.array([s for s, _ in rows]), np.array([f for _, f in rows])
    truths = int(found.sum()) + missed

    def f1(cut):
        kept = score >= cut
        return 2 * found[kept].sum() / (kept.sum() + truths)

    assert f1(best_f1_threshold(score, found, truths)) == pytest.approx(max(f1(cut) for cut in score))


def test_pairs_are_one_to_one_and_strictly_near():
    a, b = listed("a", [(0, 0), (3, 0)]).boxes, listed("b", [(1.6, 0), (5, 0)]).boxes
    pairs, distance_m = match_xy(a, b, 2.0)
    assert pairs.tolist() == [[1, 0]]  # the pair 2.0 m apart is none, so the nearer of the other two stands
    assert distance_m == pytest.approx([1.4])
    assert len(match_xy(a, listed("none", []).boxes, 2.0)[0]) == 0


def test_a_drive_without_truth_is_refused():
    with pytest.raises(InputError, match=r"test: topics vehicle.objects, expected a drive with truth"):
        evaluate_cooperative(drive_of([Event(START_NS, VEHICLE_OBJECTS, listed("v", [(0, 0)]))]))


def demo_drive(fused):
    truth = Truth.build(listed("truth", [(10, 0), (0, 20), (70, 0)]), points_in_box=np.array([50, 0, 0]),
                        pixels_visible=np.array([400, 3, 0]), roadside_points=np.array([9, 30, 30]))
    before_ns = START_NS - 100_000_000
    pose = EgoPose(START_NS, SE3.identity("map", "ego"), np.zeros(3), np.zeros((6, 6)))
    return drive_of([Event(START_NS, EGO_POSES, pose), Event(START_NS, TRUTH, truth),
                     Event(START_NS, VEHICLE_OBJECTS, listed("v", [(10.3, 0)], score=[0.8])),
                     Event(before_ns, ROADSIDE_OBJECTS, listed("rsu-1", [(0, 19.6)], time_ns=before_ns)),
                     Event(START_NS, FUSED_TRACKS, fused)])


def test_the_demos_scores_tell_what_cooperation_adds():
    scores = score_sources(demo_drive(listed("fused", [(10.3, 0), (0, 19.6)], score=[0.9, 0.6])))
    assert list(scores) == ["vehicle", "roadside", "fused"]
    assert [scores[source].hidden_recall for source in scores] == [0.0, 1.0, 1.0]
    assert (scores["fused"].hidden, scores["fused"].truths) == (1, 2)  # the car at 70 m is out of range
    assert scores["fused"].mean_ap == pytest.approx(1.0) and scores["vehicle"].mean_ap < 0.5
    assert scores["vehicle"].position_error_m == pytest.approx(0.3)
    assert scores["fused"].to_json()["AP"] == {"car": pytest.approx(1.0)}


def test_a_stale_roadside_list_does_not_count():
    drive = demo_drive(listed("fused", []))
    stale = [replace(event, time_ns=START_NS - 600_000_000) if event.topic == ROADSIDE_OBJECTS else event
             for event in drive.all_events]
    assert score_sources(drive_of(stale))["roadside"].matches == 0


def test_a_source_that_says_nothing_scores_nothing():
    scores = score_sources(demo_drive(listed("fused", [])))["fused"]
    assert (scores.mean_ap, scores.hidden_recall, scores.matches) == (0.0, 0.0, 0)
    assert np.isnan(scores.position_error_m)
