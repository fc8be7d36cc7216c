import json

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.objects import ObjectClass, ObjectList
from replay.drive import VEHICLE_OBJECTS, Event, MemoryDrive, TopicInfo
from replay.metrics.nuscenes_json import NUSCENES_RESULTS, read_detections, read_tracks, write_detections
from tests.replay.drives import drive_info

DETECTION = {"sample_token": "a", "translation": [1, 2.5, 3], "size": [2, 4, 1.5], "rotation": [1, 0, 0, 0],
             "velocity": [float("nan"), 0.5], "detection_name": "car", "detection_score": 0.5, "attribute_name": ""}
TRACK = {**{key: DETECTION[key] for key in ("sample_token", "translation", "size", "rotation", "velocity")},
         "tracking_id": "x", "tracking_name": "car", "tracking_score": 0.5}


def file(tmp_path, *boxes):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"meta": {}, "results": {"a": list(boxes), "b": []}}))
    return path


def test_detections_come_back_as_they_went_out(tmp_path):
    boxes = Boxes3D("map", np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[4.0, 2, 1.5], [1, 0.5, 1.8]]), np.array([3.0, -1.2]))
    found = ObjectList.build(boxes, "test", 5, np.array([ObjectClass.CAR, ObjectClass.PEDESTRIAN]), score=np.array([0.9, 0.3]),
                             velocity_mps=np.array([[1.0, 2.0], [np.nan, np.nan]]))
    events = [Event(k, VEHICLE_OBJECTS, found[rows]) for k, rows in ((5, slice(2)), (6, slice(0)), (7, slice(1, 2)))]
    drive = MemoryDrive(drive_info(topics={VEHICLE_OBJECTS: TopicInfo("ObjectList", 3)}), events)
    assert write_detections(drive, tmp_path / "out") == 3
    tokens, flat = read_detections(tmp_path / "out" / NUSCENES_RESULTS)
    assert tokens == ("5", "6", "7") and flat.sample.tolist() == [0, 0, 2] and flat.row.tolist() == [0, 1, 0]
    np.testing.assert_allclose(flat.center_m, boxes.center_m[[0, 1, 1]])
    np.testing.assert_allclose(flat.size_lwh_m, boxes.size_lwh_m[[0, 1, 1]])
    np.testing.assert_allclose(flat.yaw_rad, boxes.yaw_rad[[0, 1, 1]])
    np.testing.assert_array_equal(flat.velocity_mps, found.velocity_mps[[0, 1, 1]])
    assert flat.score.tolist() == [0.9, 0.3, 0.3] and flat.label.tolist() == [1, 6, 6]


def test_a_rotation_of_any_length_has_its_heading(tmp_path):
    _, flat = read_detections(file(tmp_path, {**DETECTION, "rotation": [2.0, 0, 0, 2.0]}))
    assert flat.yaw_rad[0] == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("changes, error, complaint", [
    ({"detection_name": "tram"}, UnknownFormat, r"box 1 \(sample a\): class 'tram', expected one of car, truck"),
    ({"attribute_name": "flying"}, UnknownFormat, r"box 1 \(sample a\): attribute 'flying', expected one of vehicle.moving"),
    ({"translation": [1, 2]}, InputError, r"box 1 \(sample a\): translation \[1, 2\], expected 3 numbers"),
    ({"translation": [1, 2, float("nan")]}, InputError, r"translation \[1, 2, nan\], expected 3 numbers"),
    ({"translation": "here"}, InputError, "translation 'here'"),
    ({"size": [0, 4, 1]}, InputError, r"size \[0.0, 4.0, 1.0\], expected three lengths above 0"),
    ({"detection_score": float("nan")}, InputError, "detection_score NaN, expected a number"),
    ({"detection_score": None}, InputError, "detection_score None"),
])
def test_a_box_that_cannot_be_one_is_named(tmp_path, changes, error, complaint):
    with pytest.raises(error, match=complaint):
        read_detections(file(tmp_path, DETECTION, {**DETECTION, **changes}))


def test_a_missing_key_too_many_boxes_and_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"box 0 \(sample a\): no tracking_id, expected a box of nuScenes' results"):
        read_tracks(file(tmp_path, DETECTION))
    with pytest.raises(InputError, match="sample a: 501 boxes, expected at most 500 a sample"):
        read_detections(file(tmp_path, *[DETECTION] * 501))
    with pytest.raises(MissingInput, match="missing, expected a nuScenes results JSON"):
        read_detections(tmp_path / "nowhere.json")
    (tmp_path / "broken.json").write_text('{"results": {"a"')
    with pytest.raises(InputError, match="no results"):
        read_detections(tmp_path / "broken.json")


def test_tracks_are_numbered_by_first_appearance(tmp_path):
    _, boxes = read_tracks(file(tmp_path, TRACK, {**TRACK, "tracking_id": "y"}))
    assert boxes.track_id.tolist() == [0, 1]
    with pytest.raises(UnknownFormat, match="class 'barrier', expected one of car"):
        read_tracks(file(tmp_path, {**TRACK, "tracking_name": "barrier"}))
