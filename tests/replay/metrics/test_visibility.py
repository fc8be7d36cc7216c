"""Who counts as seen by the vehicle, as visible to it, and as hidden from it."""
import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectList, Truth
from replay.metrics.visibility import hidden_from_ego, seen_by_ego, visible_to_ego


def one_truth(x_m=30.0, points=0, pixels=24, roadside=5, ignore=False) -> Truth:
    boxes = Boxes3D("map", np.array([[x_m, 0.0, 1.0]]), np.ones((1, 3)), np.zeros(1))
    objects = ObjectList.build(boxes, "truth", 0, np.ones(1, np.uint8))
    return Truth.build(objects, points_in_box=np.array([points]), pixels_visible=np.array([pixels]),
                       roadside_points=np.array([roadside]), ignore=np.array([ignore]))


def test_an_object_without_returns_or_pixels_that_a_roadside_unit_sees_is_hidden():
    assert hidden_from_ego(one_truth(), np.zeros(3)).tolist() == [True]


@pytest.mark.parametrize("change", [
    {"points": 1}, {"pixels": 25}, {"roadside": 4}, {"x_m": 50.1}, {"ignore": True}, {"points": -1}, {"pixels": -1},
    {"roadside": -1}])
def test_one_return_or_25_pixels_or_too_few_roadside_returns_or_distance_or_not_knowing_end_it(change):
    assert hidden_from_ego(one_truth(**change), np.zeros(3)).tolist() == [False]


@pytest.mark.parametrize("points, pixels, seen", [
    (0, 24, False), (0, 0, False), (1, 0, True), (0, 25, True), (-1, 0, True), (0, -1, True), (-1, -1, True)])
def test_one_return_or_25_pixels_or_not_knowing_is_being_seen(points, pixels, seen):
    assert seen_by_ego(one_truth(points=points, pixels=pixels)).tolist() == [seen]


def test_visible_is_what_is_seen_and_in_its_class_range_and_not_ignored():
    ego_m = np.array([100.0, 30.0])
    assert visible_to_ego(one_truth(x_m=130.0, points=1), ego_m).tolist() == [True]
    assert visible_to_ego(one_truth(x_m=130.0, points=0), ego_m).tolist() == [False]
    assert visible_to_ego(one_truth(x_m=150.0, points=1), ego_m).tolist() == [False]
    assert visible_to_ego(one_truth(x_m=130.0, points=1, ignore=True), ego_m).tolist() == [False]


def test_distance_is_measured_from_the_ego():
    assert hidden_from_ego(one_truth(x_m=130.0), np.array([100.0, 30.0])).tolist() == [True]


def test_without_objects_the_mask_is_empty():
    assert hidden_from_ego(Truth.build(ObjectList.empty("map", "truth")), np.zeros(3)).shape == (0,)
