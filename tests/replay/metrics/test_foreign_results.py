import json

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, UnknownFormat
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, MemoryDrive
from replay.evaluate import Scoring, drive_result, evaluate, open_scored
from replay.metrics.foreign_results import with_results
from replay.metrics.kitti import evaluate_kitti, write_kitti_results
from replay.metrics.nuscenes_json import NUSCENES_RESULTS
from tests.replay.metrics.test_kitti import CAR, SPOTS, VAN, detections, truth
from tests.replay.metrics.test_kitti import drive as kitti_drive
from tests.replay.metrics.test_outcomes import random_drives
from tests.replay.test_evaluate import drive as nuscenes_drive
from tests.replay.test_score_many import record


def without_detections(drive):
    return MemoryDrive(drive.info, [event for event in drive.all_events if event.topic != VEHICLE_OBJECTS])


def kitti():
    """Two frames: five cars, most of them found, and one that nothing is found in."""
    found = detections(SPOTS[:4], [0.9, 0.8, 0.7, 0.6], [CAR, CAR, VAN, CAR])
    return kitti_drive((truth(SPOTS), found), (truth(SPOTS), detections([], [])))


def test_kitti_results_that_went_out_score_the_same_when_they_come_back(tmp_path):
    assert write_kitti_results(kitti(), tmp_path / "out") == 2
    back = with_results(without_detections(kitti()), tmp_path / "out")
    mine, theirs = evaluate_kitti(kitti()).scores, evaluate_kitti(back).scores
    assert [score.value for score in theirs] == pytest.approx([score.value for score in mine], abs=1e-9)
    assert back.info.topics[VEHICLE_OBJECTS].count == 2 and back.info.topics[VEHICLE_OBJECTS].objects == 4


def test_nuscenes_results_that_went_out_score_the_same_when_they_come_back(tmp_path):
    made = nuscenes_drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS)
    mine = evaluate(made, "nuscenes", tmp_path / "out")
    back = with_results(without_detections(made), tmp_path / "out" / NUSCENES_RESULTS)
    for score in mine.scores:
        np.testing.assert_allclose(evaluate(back, "nuscenes").value(score.name, score.slice), score.value, atol=1e-9)


def test_own_detections_are_hidden_and_times_and_topics_are_kept_to(tmp_path):
    write_kitti_results(kitti(), tmp_path / "out")
    back = with_results(kitti(), tmp_path / "out")
    assert [(event.time_ns, event.topic) for event in back.events()] == [
        (0, TRUTH), (0, VEHICLE_OBJECTS), (1, TRUTH), (1, VEHICLE_OBJECTS)]
    assert {event.payload.source for event in back.events(topics=[VEHICLE_OBJECTS])} == {"results"}
    assert [event.topic for event in back.events(start_ns=1, topics=[TRUTH])] == [TRUTH]
    assert [event.time_ns for event in back.events(end_ns=1)] == [0, 0]


LINE = "Car -1 -1 0.1 10 10 50 50 1.5 1.7 4.0 1.0 1.6 12.0 0.2 0.9"


@pytest.mark.parametrize("line, error, complaint", [
    (LINE.replace("Car", "Boat"), UnknownFormat, r"000000\.txt:2: class 'Boat', expected one of Car, Van"),
    (LINE[:-4], InputError, r"000000\.txt:2: 15 fields, expected 16: type, 14 numbers and the score"),
    (LINE.replace("12.0", "far"), InputError, r"000000\.txt:2: could not convert .*'far', expected numbers"),
    (LINE.replace("12.0", "nan"), InputError, r"000000\.txt:2: .*nan.*, expected dimensions above 0"),
    (LINE.replace("1.7", "0.0"), InputError, "expected dimensions above 0, place and heading finite, a score of 0 to 1"),
    (LINE.replace("0.9", "7.5"), InputError, "a score of 0 to 1"),
])
def test_a_line_that_cannot_be_one_is_named(tmp_path, line, error, complaint):
    (tmp_path / "000000.txt").write_text(f"{LINE}\n{line}\n")
    with pytest.raises(error, match=complaint):
        with_results(kitti(), tmp_path)


def test_frames_and_samples_that_are_missing_are_named(tmp_path):
    (tmp_path / "000000.txt").write_text(LINE)
    with pytest.raises(MissingInput, match=r"000001\.txt: missing, expected a result file for every frame of the drive"):
        with_results(kitti(), tmp_path)
    (tmp_path / "other.json").write_text(json.dumps({"meta": {}, "results": {"elsewhere": []}}))
    with pytest.raises(InputError, match=r"other\.json: no sample 'abc', expected every moment of truth of drive test"):
        with_results(nuscenes_drive(EGO_POSES, TRUTH), tmp_path / "other.json")
    with pytest.raises(MissingInput, match="nowhere: missing, expected a nuScenes results JSON, or a folder"):
        with_results(kitti(), tmp_path / "nowhere")


def test_a_recorded_drive_is_scored_on_files_and_keeps_what_was_scored(tmp_path):
    (made,) = random_drives(1)
    mine = evaluate(made, "nuscenes", tmp_path / "out")
    path = record(tmp_path / "d0", without_detections(made))
    scored = drive_result(path, Scoring("nuscenes", results=tmp_path / "out" / NUSCENES_RESULTS))
    assert scored.result.value("mAP") == pytest.approx(mine.value("mAP")) and scored.topic == VEHICLE_OBJECTS
    assert open_scored(path, Scoring("nuscenes")).info.topics.keys() == {EGO_POSES, TRUTH}
