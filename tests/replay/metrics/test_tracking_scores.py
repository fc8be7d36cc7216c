import dataclasses

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, FUSED_TRACKS, TRUTH, Event, MemoryDrive, TopicInfo
from replay.evaluate import evaluate
from replay.metrics.nuscenes_json import NUSCENES_RESULTS, read_tracks
from tests.replay.drives import drive_info

STEP_NS = 100_000_000
CAR = int(ObjectClass.CAR)


def objects(xy_m, track_id, label=CAR, score=1.0):
    n = len(xy_m)
    boxes = Boxes3D("map", np.column_stack([np.array(xy_m, float).reshape(n, 2), np.zeros(n)]), np.tile([4.0, 2, 1.5], (n, 1)),
                    np.zeros(n))
    return ObjectList.build(boxes, "test", 0, np.full(n, label, np.uint8), score=np.full(n, score),
                            velocity_mps=np.zeros((n, 2)), track_id=np.array(track_id))


def drive(truths, tracks, late_ns=0):
    """One list of truths and one of tracks each tenth of a second; the ego stays at the origin."""
    made = []
    for k, (truth, said) in enumerate(zip(truths, tracks)):
        pose = EgoPose(k * STEP_NS, SE3.identity("map", "ego"), np.zeros(3), np.zeros((6, 6)))
        made += [Event(k * STEP_NS, EGO_POSES, pose), Event(k * STEP_NS, TRUTH, truth)]
        made += [] if said is None else [Event(k * STEP_NS + late_ns, FUSED_TRACKS, said)]
    topics = {event.topic: TopicInfo(type(event.payload).__name__, 1) for event in made}
    return MemoryDrive(drive_info(topics=topics), sorted(made, key=lambda event: event.time_ns))


def test_tracks_are_scored_at_the_moments_of_truth_in_seconds_of_the_drive():
    """An object is found from the fourth of ten moments on, 0.3 s late; another is out of range, a track of it too."""
    truths = [Truth.build(objects([(k, 0), (80, 0)], [1, 2])) for k in range(10)]
    tracks = [objects([(k, 0.5), (80, 0)], [7, 8]) if k >= 3 else None for k in range(10)]
    result = evaluate(drive(truths, tracks, late_ns=2_000_000), "tracking")
    assert {name: result.value(f"car_{name}", "car") for name in ("GT", "TP", "FN", "FP", "IDS")} == {
        "GT": 10, "TP": 7, "FN": 3, "FP": 0, "IDS": 0}
    assert (result.value("TID"), result.value("MOTP")) == pytest.approx((0.3, 0.5))
    assert result.value("AMOTA") == pytest.approx(27 / 40)  # 27 of the recalls are 0.7 or less
    assert result.value("DetA") == pytest.approx(0.7 * 15 / 19)  # similarity 0.75 passes 15 of the 19 strictnesses
    assert np.isnan(result.value("bus_HOTA", "bus")) and result.value("HOTA") > 0


def test_truth_that_no_sensor_has_a_point_of_or_that_is_to_be_ignored_need_not_be_tracked():
    truth = Truth.build(objects([(0, 0), (9, 0), (18, 0), (27, 0)], [1, 2, 3, 4]), points_in_box=np.array([5, 0, 0, 5]),
                        roadside_points=np.array([0, 0, 3, 0]), ignore=np.array([False, False, False, True]))
    result = evaluate(drive([truth] * 3, [objects([(0, 0), (18, 0)], [1, 2])] * 3), "tracking")
    assert (result.value("car_GT", "car"), result.value("car_MOTA", "car")) == (6, 1.0)


def test_tracks_go_out_as_nuscenes_json_and_come_back(tmp_path):
    truths = [Truth.build(objects([(k, 0)], [1])) for k in range(3)]
    tracks = [objects([(k, 0.5), (k, 9)], [7, 8], score=0.4) for k in range(2)] + [None]
    evaluate(drive(truths, tracks), "tracking", tmp_path / "out")
    tokens, boxes = read_tracks(tmp_path / "out" / NUSCENES_RESULTS)
    assert tokens == ("0", str(STEP_NS), str(2 * STEP_NS))
    assert boxes.sample.tolist() == [0, 0, 1, 1] and boxes.track_id.tolist() == [0, 1, 0, 1]
    assert boxes.xy_m.tolist() == [[0, 0.5], [0, 9], [1, 0.5], [1, 9]] and set(boxes.score) == {0.4}


TRUTHS = [Truth.build(objects([(0, 0)], [1]))]


@pytest.mark.parametrize("made, complaint", [
    (drive(TRUTHS, [None]), r"drive test: no fused\.tracks, expected truth and fused\.tracks; run 'roadweave fuse' first"),
    (drive([], []), "drive test: no truth"),
    (drive(TRUTHS, [objects([(0, 0)], [-1])]), "track_id: -1 in sample 0, expected every object to have a track"),
    (drive(TRUTHS, [objects([(0, 0), (9, 0)], [4, 4])]), "track_id: 4 stands twice in sample 0, expected once"),
])
def test_what_cannot_be_scored_is_refused(made, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate(made, "tracking")


def test_truth_without_an_ego_pose_is_refused():
    made = drive(TRUTHS, [objects([(0, 0)], [4])])
    made = dataclasses.replace(made, all_events=[event for event in made.all_events if event.topic != EGO_POSES])
    with pytest.raises(InputError, match="no ego pose of that time, expected one at every moment of truth"):
        evaluate(made, "tracking")
