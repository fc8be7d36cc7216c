import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from replay.metrics.consistency import cells_that_miss, consistency, judge, nees
from tests.replay.metrics.scored import CAR, drive, objects, truth

SIGMA = np.array([0.4, 0.2, 0.1, 0.05, 0.5, 0.3])  # of x, y, z, yaw, vx, vy
STATED = np.diag(SIGMA**2)


LINE_M = np.column_stack([np.linspace(3.0, 47.0, 10), np.zeros(10)])
RING_M = 7.0 * np.column_stack([np.cos(np.arange(10) * 0.628), np.sin(np.arange(10) * 0.628)])


def honest_drive(rng, name, moments=40, scale=1.0, places_m=LINE_M, covariance=STATED):
    """Ten cars a moment, all found; the errors are as large as stated, times `scale`."""
    pairs = []
    for _ in range(moments):
        there = truth(places_m)
        error = scale * rng.normal(size=(10, 6)) * SIGMA
        boxes = there.objects.boxes
        found = objects(boxes.center_m[:, :2] + error[:, :2], covariance=covariance)
        boxes = replace(boxes, center_m=boxes.center_m + error[:, :3], yaw_rad=boxes.yaw_rad + error[:, 3])
        pairs.append((replace(found, boxes=boxes, velocity_mps=error[:, 4:]), there))
    return drive(*pairs, name=name)


@pytest.fixture(scope="module")
def honest():
    rng = np.random.default_rng(2)
    return consistency([honest_drive(rng, f"d{i}") for i in range(8)], [CAR])


def test_the_squared_error_is_counted_in_stated_variances():
    covariance = np.array([[[4.0, 0.0], [0.0, 1.0]], [[2.0, 1.0], [1.0, 2.0]], [[np.nan, 0.0], [0.0, 1.0]]])
    squared = nees(np.array([[2.0, 3.0], [1.0, 1.0], [1.0, 1.0]]), covariance)
    np.testing.assert_allclose(squared, [1.0 + 9.0, 2.0 / 3.0, np.nan])


@given(st.integers(0, 10_000))
def test_turning_errors_and_covariances_together_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(4, 3, 3))
    covariance, error = half @ half.transpose(0, 2, 1) + 0.1 * np.eye(3), rng.normal(size=(4, 3))
    turn = Rotation.random(rng=rng).as_matrix()
    np.testing.assert_allclose(nees(error @ turn.T, turn @ covariance @ turn.T), nees(error, covariance), rtol=1e-6)


def test_a_covariance_that_is_none_is_refused():
    with pytest.raises(SpecError, match=r"covariance: least eigenvalue -1 at row 1, expected above 0"):
        nees(np.ones((2, 2)), np.array([np.eye(2), np.diag([1.0, -1.0])]))


def test_errors_as_large_as_stated_have_anees_one_and_fill_nine_tenths_of_every_region(honest):
    assert honest.value("ANEES") == pytest.approx(1.0, abs=0.04)
    for number in ("xy", "x", "y", "z", "yaw", "velocity"):
        assert honest.value(f"held_90_{number}") == pytest.approx(0.9, abs=0.012), number
    assert cells_that_miss(honest) == ()


def test_slices_are_the_whole_the_classes_and_the_cells_and_count_their_matches(honest):
    cells = [f"car {near}-{near + 10} m" for near in range(0, 50, 10)]
    assert list(dict.fromkeys(score.slice for score in honest.scores)) == ["all", "car", *cells]
    count = {score.slice: score.count for score in honest.scores if score.name == "held_90_xy"}
    assert count["all"] == count["car"] == sum(count[cell] for cell in cells)
    assert count["all"] == 3200
    low, high = next(score.interval for score in honest.scores if score.name == "held_90_xy")
    assert low < 0.9 < high and high - low < 0.04


@pytest.mark.parametrize("scale, anees", [(2.0, 4.0), (0.5, 0.25)])
def test_boxes_too_sure_or_too_doubtful_are_told_cell_by_cell(scale, anees):
    rng = np.random.default_rng(4)
    result = consistency([honest_drive(rng, f"d{i}", 30, scale, RING_M) for i in range(4)], [CAR])
    assert result.value("ANEES") == pytest.approx(anees, rel=0.12)
    (cell,) = cells_that_miss(result)
    assert cell.slice == "car 0-10 m" and cell.count >= 1000


def test_a_cell_of_few_objects_is_not_told():
    result = consistency([honest_drive(np.random.default_rng(4), "d", 10, 2.0, RING_M)], [CAR])
    assert result.value("ANEES") > 3.0 and cells_that_miss(result) == ()


def test_judged_is_what_is_sure_enough_and_nearer_than_two_metres_to_a_truth_of_its_class_that_is_seen():
    there = truth([(0, 0), (10, 0), (20, 0), (30, 0)], (CAR, CAR, CAR, ObjectClass.BUS), points=[5, 5, 0, 5], pixels=0)
    found = objects([(0, 1.9), (0, 2.1), (10, 0), (20, 0), (30, 0)], [0.3, 0.9, 0.29, 0.9, 0.9], covariance=STATED)
    judged = judge([drive((found, there))])
    assert len(judged.label) == 1
    np.testing.assert_allclose(judged.nees[0, :3], [(1.9 / 0.2) ** 2, 0.0, (1.9 / 0.2) ** 2], atol=1e-12)


def test_an_object_judges_the_best_scored_of_its_detections_and_outliers_are_kept():
    found = objects([(0, 0.1), (0, -1.0), (30, 1.9)], [0.9, 0.8, 0.7], covariance=STATED)
    judged = judge([drive((found, truth([(0, 0), (30, 0)])))])
    np.testing.assert_allclose(judged.nees[:, 0], [0.25, (1.9 / 0.2) ** 2])


def test_numbers_that_no_detection_states_are_unknown():
    covariance = STATED.copy()
    covariance[4:], covariance[:, 4:] = np.nan, np.nan
    result = consistency([honest_drive(np.random.default_rng(1), "d", 5, covariance=covariance)], [CAR])
    velocity = next(score for score in result.scores if score.name == "held_90_velocity")
    assert math.isnan(velocity.value) and velocity.count == 0 and result.value("ANEES") > 0.5


def test_without_matches_there_are_no_slices_and_without_drives_no_answer():
    assert consistency([drive((objects([]), truth([(0, 0)])))]).scores == ()
    with pytest.raises(SpecError, match="drives: none, expected at least one to judge"):
        consistency([])
