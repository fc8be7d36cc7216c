import json
from dataclasses import replace

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, SpecError, UnknownFormat
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.results import RunResult, Score
from replay.drive import EGO_POSES, FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive, TopicInfo
from replay.evaluate import evaluate, left_out, score_tables
from replay.metrics.outcomes import outcomes_of
from tests.replay.drives import drive_info


def drive(*topics):
    boxes = Boxes3D("map", np.array([[10.0, 0, 1], [20, 0, 1]]), np.tile([4.0, 2, 1.5], (2, 1)), np.array([0.0, np.pi / 2]))
    found = ObjectList.build(boxes, "test", 5, np.array([ObjectClass.CAR, ObjectClass.TRAM]), score=np.array([0.9, 0.8]))
    payloads = {
        EGO_POSES: EgoPose(5, SE3.identity("map", "ego"), np.zeros(3), np.zeros((6, 6))), TRUTH: Truth.build(found),
        VEHICLE_OBJECTS: found,
    }
    info = drive_info(topics={name: TopicInfo(type(payloads[name]).__name__, 1) for name in topics},
                      facts={"sample_tokens": {"5": "abc"}, "global_from_map_m": [400.0, 1000.0, 0.0]})
    return MemoryDrive(info, [Event(5, name, payloads[name]) for name in topics])


def test_nuscenes_scores_come_with_a_results_file_in_the_global_frame(tmp_path):
    result = evaluate(drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS), "nuscenes", tmp_path / "results")
    assert result.value("car_AP_0.5", "car") == pytest.approx(1.0)
    written = json.loads((tmp_path / "results" / "results_nusc.json").read_text())
    (row,) = written["results"]["abc"]  # nuScenes has no class for a tram
    assert (row["translation"], row["size"], row["detection_name"]) == ([410.0, 1000.0, 1.0], [2.0, 4.0, 1.5], "car")
    assert row["rotation"] == [1.0, 0.0, 0.0, 0.0] and row["detection_score"] == 0.9
    assert row["attribute_name"] == "vehicle.parked"  # its speed is unknown
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_an_unknown_protocol_is_named_with_those_that_are_known():
    with pytest.raises(UnknownFormat, match="protocol: 'coco', expected one of nuscenes, tracking, kitti, cooperative"):
        evaluate(drive(TRUTH), "coco")


@pytest.mark.parametrize("topics, protocol, complaint", [
    ((EGO_POSES, TRUTH), "nuscenes", r"no vehicle\.objects.*roadweave perceive"),
    ((EGO_POSES, VEHICLE_OBJECTS), "nuscenes", "no truth"),
    ((EGO_POSES, VEHICLE_OBJECTS), "kitti", "kitti|KITTI"),
    ((EGO_POSES, VEHICLE_OBJECTS), "cooperative", "truth"),
    ((EGO_POSES, TRUTH), "messages", r"no rsu\.messages"),
    ((EGO_POSES, VEHICLE_OBJECTS), "dair-v2x", "no truth"),
    ((EGO_POSES, VEHICLE_OBJECTS), "calibration", "no truth"),
    ((EGO_POSES, TRUTH), "calibration", "expected objects of the vehicle"),
    ((EGO_POSES, TRUTH, VEHICLE_OBJECTS), "dair-v2x", r"no pose of 'ego-lidar' in ego\.samples"),
])
def test_a_drive_with_nothing_to_score_is_refused(topics, protocol, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate(drive(*topics), protocol)


def test_another_topic_is_scored_by_the_protocols_that_have_a_choice():
    made = drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    fused = MemoryDrive(made.info, [replace(event, topic=FUSED_TRACKS) if event.topic == VEHICLE_OBJECTS else event
                                    for event in made.all_events])
    assert evaluate(fused, "nuscenes", topic=FUSED_TRACKS).to_json() == evaluate(made, "nuscenes").to_json()
    with pytest.raises(InputError, match=r"--topic: fused\.tracks for protocol kitti, expected protocol nuscenes or tracking"):
        evaluate(fused, "kitti", topic=FUSED_TRACKS)


def test_files_are_not_written_of_another_topic(tmp_path):
    with pytest.raises(InputError, match=r"--topic: fused\.tracks with --write-results, expected one of the two"):
        evaluate(drive(TRUTH), "nuscenes", tmp_path / "out", FUSED_TRACKS)
    assert not (tmp_path / "out").exists()


def test_classes_that_a_protocol_lacks_are_named_with_their_counts():
    made = drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    assert left_out(made, "nuscenes") == "test: left out, since nuScenes has no such class: tram (1 truths, 1 boxes)"
    assert left_out(made, "tracking") == "" and left_out(drive(EGO_POSES), "nuscenes") == ""


def test_two_lists_of_one_moment_are_refused():
    made = drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    twice = MemoryDrive(made.info, [*made.all_events, made.all_events[-1]])
    with pytest.raises(InputError, match=r"drive test, vehicle\.objects at 5: two lists, expected one list a moment"):
        evaluate(twice, "nuscenes")


def test_a_drive_with_empty_predictions_scores_nought_and_its_errors_are_one():
    made = drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    empty = MemoryDrive(made.info, [Event(5, VEHICLE_OBJECTS, ObjectList.empty("map", "test")), *made.all_events[:2]])
    result = evaluate(empty, "nuscenes")
    assert result.value("mAP") == 0.0 and result.value("mATE") == 1.0 and result.value("car_AP", "car") == 0.0
    outcomes = outcomes_of(empty)
    assert len(outcomes) == outcomes.is_truth.sum() == 1


def test_a_truth_of_nothing_scores_nought_and_is_unknown_by_class():
    made = drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    nothing = Truth.build(ObjectList.empty("map", "test"))
    empty = MemoryDrive(made.info, [made.all_events[0], Event(5, TRUTH, nothing), made.all_events[2]])
    result = evaluate(empty, "nuscenes")
    assert result.value("mAP") == 0.0 and np.isnan(result.value("car_AP", "car")) and np.isnan(result.value("mAP_present"))


@pytest.mark.parametrize("changes", [{"center_m": np.array([[np.nan, 0, 0]])}, {"yaw_rad": np.array([np.nan])},
                                     {"size_lwh_m": np.array([[4.0, np.inf, 1.5]])}])
def test_a_box_that_is_not_a_number_is_named_where_it_is_made(changes):
    given = {"center_m": np.zeros((1, 3)), "size_lwh_m": np.ones((1, 3)), "yaw_rad": np.zeros(1)} | changes
    with pytest.raises(SpecError, match=f"{next(iter(changes))}: (nan|inf) at index .*, expected finite values"):
        Boxes3D("map", **given)


def test_result_files_never_overwrite_and_have_no_cooperative_form(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="there already, expected an empty or new folder"):
        evaluate(drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS), "nuscenes", tmp_path)
    with pytest.raises(InputError, match="no common format for cooperative results"):
        evaluate(drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS), "cooperative", tmp_path)


def test_slices_that_count_one_thing_become_rows_and_empty_ones_are_left_out():
    scores = (Score("mAP", 0.5, "1", "all", 3), Score("car_AP", 0.7, "1", "car", 3), Score("car_ATE", 0.1, "m", "car", 3),
              Score("bus_AP", float("nan"), "1", "bus", 0))
    whole, slices = score_tables(RunResult("nuscenes", ("d",), scores))
    assert whole == (["score", "slice", "value", "unit", "count"], [["mAP", "all", 0.5, "1", 3]])
    assert slices == (["slice", "AP", "ATE", "count"], [["car", 0.7, 0.1, 3]])


def test_scores_that_count_different_things_stay_one_a_row():
    scores = (Score("recall", 0.5, "1", "fused", 10), Score("precision", 0.6, "1", "fused", 8))
    whole, slices = score_tables(RunResult("cooperative", ("d",), scores))
    assert whole is not None and [row[-1] for row in whole[1]] == [10, 8] and slices is None


def test_slices_with_many_scores_become_columns():
    scores = [Score(f"{name}_S{k}", k / 10, "1", name, 3) for name in ("car", "bus") for k in range(20)]
    _, slices = score_tables(RunResult("tracking", ("d",), tuple(scores)))
    assert slices is not None and slices[0] == ["score", "car", "bus"]
    assert slices[1][:2] == [["S0", 0.0, 0.0], ["S1", 0.1, 0.1]] and slices[1][-1] == ["count", 3, 3]
