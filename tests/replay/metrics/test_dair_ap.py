from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from replay.drive import MemoryDrive, TopicInfo
from replay.importers.dair_v2x import DairV2xImporter
from replay.metrics.dair_ap import average_precision, evaluate_dair, frame_scores, in_range, overlaps, right_boxes

CAR, BUS, CYCLE = ObjectClass.CAR, ObjectClass.BUS, ObjectClass.BICYCLE
GOLDEN = [
    (0, {"car_3D_AP_0.30": 0.34921775223499374, "car_3D_AP_0.50": 0.34921775223499374, "car_3D_AP_0.70": 0.0676132521974307,
         "car_BEV_AP_0.30": 0.3507957559681697, "car_BEV_AP_0.50": 0.3507957559681697, "car_BEV_AP_0.70": 0.29244031830238726,
         "pedestrian_3D_AP_0.25": 0.4722222222222222, "pedestrian_3D_AP_0.50": 0.4722222222222222,
         "pedestrian_BEV_AP_0.25": 0.5428571428571429, "pedestrian_BEV_AP_0.50": 0.5428571428571429,
         "cyclist_3D_AP_0.25": 0.29004329004329005, "cyclist_3D_AP_0.50": 0.29004329004329005,
         "cyclist_BEV_AP_0.25": 0.29004329004329005, "cyclist_BEV_AP_0.50": 0.29004329004329005}),
    (1, {"car_3D_AP_0.30": 0.4310704002266889, "car_3D_AP_0.50": 0.4310704002266889, "car_3D_AP_0.70": 0.05921052631578948,
         "car_BEV_AP_0.30": 0.4994399041080963, "car_BEV_AP_0.50": 0.42468524251805984,
         "car_BEV_AP_0.70": 0.39738437001594895, "pedestrian_3D_AP_0.25": 0.35, "pedestrian_3D_AP_0.50": 0.35,
         "pedestrian_BEV_AP_0.25": 0.5, "pedestrian_BEV_AP_0.50": 0.5, "cyclist_3D_AP_0.25": 0.47051282051282056,
         "cyclist_3D_AP_0.50": 0.47051282051282056, "cyclist_BEV_AP_0.25": 0.6054605887939222,
         "cyclist_BEV_AP_0.50": 0.6054605887939222}),
]


def cars(xy_m, score=None, label=CAR, z_m=0.0):
    n = len(xy_m)
    center_m = np.column_stack([np.reshape(np.array(xy_m, float), (n, 2)), np.full(n, z_m)])
    boxes = Boxes3D("map", center_m, np.tile([4.0, 2.0, 1.5], (n, 1)), np.zeros(n))
    return ObjectList.build(boxes, "test", 0, np.broadcast_to(np.array(label, np.uint8), n),
                            score=None if score is None else np.array(score, float))


def test_the_step_to_the_first_recall_is_left_out_as_the_evaluator_does():
    places = [(0, 0), (10, 0), (20, 0), (30, 0)]
    assert average_precision([(cars(places), cars(places, [0.9, 0.8, 0.7, 0.6]))], 0.7, "3D") == pytest.approx(0.75)
    assert average_precision([(cars(places), cars(places, [0.9, 0.8, 0.7, 0.6]))] * 5, 0.7, "BEV") == pytest.approx(0.95)


def test_wrong_boxes_that_score_more_lower_the_precision_behind_them():
    found = cars([(50, 0), (0, 0), (10, 0)], [0.9, 0.8, 0.7])
    assert average_precision([(cars([(0, 0), (10, 0)]), found)], 0.5, "3D") == pytest.approx(2 / 3)


def test_a_truth_takes_the_box_that_overlaps_it_most_whatever_that_scores():
    overlap = np.array([[0.5, 0.9, 0.0], [0.6, 0.95, 0.0]])
    assert right_boxes(overlap, 0.5).tolist() == [1, 0]  # the first truth chooses first
    assert right_boxes(overlap, 0.7).tolist() == [1]
    assert right_boxes(np.array([[0.8, 0.8]]), 0.8).tolist() == [1]  # the threshold is enough; of equals the later
    assert right_boxes(np.zeros((2, 0)), 0.3).tolist() == []


def test_height_counts_in_space_and_not_from_above():
    truths, raised = cars([(0, 0)]), cars([(0, 0)], [0.9], z_m=0.75)
    assert overlaps(truths, raised, "BEV")[0, 0] == pytest.approx(1.0)
    assert overlaps(truths, raised, "3D")[0, 0] == pytest.approx(1 / 3)


def test_a_box_counts_with_one_corner_in_range():
    objects = cars([(80.5, 0), (81.2, 0), (0, 50.5), (0, 51), (-11.9, 0), (-12.1, 0)])
    assert in_range(objects, SE3.identity("lidar", "map")).tolist() == [True, False, True, False, True, False]
    assert in_range(cars([(0, 0)], z_m=1.76), SE3.identity("lidar", "map")).tolist() == [False]


def test_buses_are_cars_and_classes_without_truth_are_unknown():
    frame = cars([(0, 0), (9, 0)], label=[CAR, BUS]), cars([(0, 0), (9, 0)], [0.9, 0.8], [BUS, CAR])
    values = {score.name: (score.value, score.count) for score in frame_scores([frame], "fused")}
    assert values["car_3D_AP_0.70"] == (pytest.approx(0.5), 2) and len(values) == 14
    assert np.isnan(values["cyclist_BEV_AP_0.25"][0]) and values["cyclist_BEV_AP_0.25"][1] == 0


def test_without_boxes_the_precision_is_nought():
    assert average_precision([(cars([(0, 0)]), cars([], []))], 0.3, "3D") == 0.0


def random_frames(seed):
    rng = np.random.default_rng(seed)
    for _ in range(8):
        k = int(rng.integers(1, 10))
        label = rng.choice([int(cls) for cls in (CAR, ObjectClass.VAN, ObjectClass.TRUCK, BUS, ObjectClass.PEDESTRIAN, CYCLE)], k)
        center_m = np.column_stack([rng.uniform(-30, 30, (k, 2)), rng.uniform(-1, 1, k)])
        size_m, yaw_rad = rng.uniform(1.5, 5, (k, 3)), rng.uniform(-3, 3, k)
        of = rng.integers(0, k, 2 * k)
        made = Boxes3D("map", center_m[of] + rng.normal(0, 0.25, (2 * k, 3)), size_m[of] * rng.uniform(0.85, 1.15, (2 * k, 3)),
                       yaw_rad[of] + rng.normal(0, 0.1, 2 * k))
        yield (ObjectList.build(Boxes3D("map", center_m, size_m, yaw_rad), "truth", 0, label.astype(np.uint8)),
               ObjectList.build(made, "test", 0, label[of].astype(np.uint8), score=np.round(rng.uniform(0, 1, 2 * k), 1)))


@pytest.mark.parametrize("seed, figures", GOLDEN)
def test_random_frames_score_as_the_data_sets_own_evaluator_scored_them(seed, figures):
    """The figures are what v2x_utils/eval_utils.py of AIR-THU/DAIR-V2X printed for these frames."""
    values = {score.name: score.value for score in frame_scores(list(random_frames(seed)), "test")}
    assert values == pytest.approx(figures, abs=1e-12)


@pytest.mark.sample_data
def test_the_vehicles_own_labels_are_found_in_the_joint_truth(sample_data):
    importer = DairV2xImporter(sample_data / "dair_v2x_c")
    events = list(islice(importer, 90))
    info = replace(importer.describe(), topics={event.topic: TopicInfo("", 1) for event in events})
    result = evaluate_dair(MemoryDrive(info, events))
    vehicle = {score.name: score for score in result.scores if score.slice == "vehicle"}
    assert vehicle["car_3D_AP_0.70"].count > 20
    assert 0.3 < vehicle["car_3D_AP_0.70"].value <= vehicle["car_BEV_AP_0.30"].value <= 1.0
