from dataclasses import replace

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, TRUTH, Event, MemoryDrive
from replay.metrics.conflict import EGO_SIZE_LW_M
from replay.metrics.conflict_scores import evaluate_conflicts
from tests.replay.drives import drive_info

STEP_NS = 100_000_000
LENGTH_M = EGO_SIZE_LW_M[0]


def drive(steps, *others, ego_mps=10.0):
    """The ego drives along x from the origin; others are (start xy, velocity, class), 4 m by 2 m, facing x."""
    events = []
    for i in range(steps):
        time_ns, t = i * STEP_NS, i / 10
        pose = SE3.from_yaw("map", "ego", 0.0, np.array([ego_mps * t, 0.0, 0.0]))
        events.append(Event(time_ns, EGO_POSES, EgoPose(time_ns, pose, np.array([ego_mps, 0.0, 0.0]), np.zeros((6, 6)))))
        start_m, velocity_mps = (np.array([row[k] for row in others], float).reshape(-1, 2) for k in (0, 1))
        center_m = np.column_stack([start_m + velocity_mps * t, np.zeros(len(others))])
        boxes = Boxes3D("map", center_m, np.tile([4.0, 2.0, 1.5], (len(others), 1)), np.zeros(len(others)))
        objects = ObjectList.build(boxes, "truth", time_ns, np.array([row[2] for row in others], np.uint8),
                                   velocity_mps=velocity_mps, track_id=np.arange(len(others)))
        events.append(Event(time_ns, TRUTH, Truth.build(objects)))
    return MemoryDrive(drive_info(), events)


CAR, BIKE = ObjectClass.CAR, ObjectClass.BICYCLE


def test_driving_up_to_a_standing_car_has_the_gap_and_time_that_are_left():
    front_m = LENGTH_M / 2 + 2.0
    result = evaluate_conflicts(drive(11, ((10.0 + 14.0 + front_m, 0), (0, 0), CAR)))  # 14 m are left after the last second
    assert result.value("gap_least_m") == pytest.approx(14.0) and result.value("ttc_least_s") == pytest.approx(1.4)
    assert result.value("ttc_exposed_s") == pytest.approx(0.1) and result.value("ttc_integrated_s2") == pytest.approx(0.01)
    assert result.value("conflicts") == 1.0 and np.isnan(result.value("pet_least_s"))
    assert {score.slice for score in result.scores} == {"all", "car"} and result.scores[0].count == 11


def test_a_bicycle_that_crosses_behind_the_ego_has_a_post_encroachment_time_and_no_time_to_collision():
    result = evaluate_conflicts(drive(31, ((10.0, -20.0), (0, 10.0), BIKE), ((0.0, 30.0), (10.0, 0), CAR)))
    assert 0.0 < result.value("pet_least_s", "bicycle") < 1.5 and np.isnan(result.value("pet_least_s", "car"))
    assert result.value("conflicts", "bicycle") == 1.0 and result.value("conflicts", "car") == 0.0
    assert np.isnan(result.value("ttc_least_s", "car")) and result.value("ttc_exposed_s", "car") == 0.0
    assert result.value("gap_least_m", "car") == pytest.approx(30.0 - 1.0 - EGO_SIZE_LW_M[1] / 2)


def test_objects_of_no_track_are_conflicts_once_a_moment():
    made = drive(11, ((10.0 + 9.0 + LENGTH_M / 2 + 2.0, 0), (0, 0), CAR))
    nameless = [replace(e, payload=replace(e.payload, objects=replace(e.payload.objects, track_id=np.array([-1]))))
                if e.topic == TRUTH else e for e in made.all_events]
    result = evaluate_conflicts(MemoryDrive(made.info, nameless))
    assert result.value("conflicts") == 6 and result.value("ttc_exposed_s") == pytest.approx(0.6)


def test_without_objects_nothing_is_known_and_nothing_happened():
    result = evaluate_conflicts(drive(3))
    values = [score.value for score in result.scores]
    assert np.isnan(values[:3]).all() and values[3:] == [0.0, 0.0, 0.0]


def test_a_drive_without_poses_or_objects_is_refused():
    made = drive(3)
    for topic in (EGO_POSES, TRUTH):
        with pytest.raises(InputError, match=rf"drive test: no {topic}, expected ego\.poses and truth"):
            evaluate_conflicts(MemoryDrive(made.info, [event for event in made.all_events if event.topic != topic]))
