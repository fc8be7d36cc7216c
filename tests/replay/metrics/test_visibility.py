"""Who counts as hidden from the vehicle."""
import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectList, Truth
from replay.metrics.visibility import hidden_from_ego


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


def test_distance_is_measured_from_the_ego():
    assert hidden_from_ego(one_truth(x_m=130.0), np.array([100.0, 30.0])).tolist() == [True]


def test_without_objects_the_mask_is_empty():
    assert hidden_from_ego(Truth.build(ObjectList.empty("map", "truth")), np.zeros(3)).shape == (0,)
