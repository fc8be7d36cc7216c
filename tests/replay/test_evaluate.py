import json

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, UnknownFormat
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive, TopicInfo
from replay.evaluate import evaluate
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
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_an_unknown_protocol_is_named_with_those_that_are_known():
    with pytest.raises(UnknownFormat, match="protocol: 'coco', expected one of nuscenes, kitti, cooperative"):
        evaluate(drive(TRUTH), "coco")


@pytest.mark.parametrize("topics, protocol, complaint", [
    ((EGO_POSES, TRUTH), "nuscenes", r"no vehicle\.objects.*roadweave perceive"),
    ((EGO_POSES, VEHICLE_OBJECTS), "nuscenes", "no truth"),
    ((EGO_POSES, VEHICLE_OBJECTS), "kitti", "kitti|KITTI"),
    ((EGO_POSES, VEHICLE_OBJECTS), "cooperative", "truth"),
])
def test_a_drive_with_nothing_to_score_is_refused(topics, protocol, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate(drive(*topics), protocol)


def test_result_files_never_overwrite_and_have_no_cooperative_form(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="there already, expected an empty or new folder"):
        evaluate(drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS), "nuscenes", tmp_path)
    with pytest.raises(InputError, match="no common format for cooperative results"):
        evaluate(drive(EGO_POSES, TRUTH, VEHICLE_OBJECTS), "cooperative", tmp_path)
