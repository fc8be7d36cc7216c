from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from replay.metrics.calibration import calibration_scores, reliability
from tests.replay.metrics.scored import CAR, objects, truth

BUS = ObjectClass.BUS


def test_boxes_that_are_right_as_often_as_they_say_have_no_error():
    bins = reliability(np.repeat([0.25, 0.75], 4), np.array([1, 0, 0, 0, 1, 1, 1, 0], bool))
    assert (bins.ece, bins.mce) == (0.0, 0.0) and bins.count.tolist() == [0, 0, 4, 0, 0, 0, 0, 4, 0, 0]
    assert np.isnan(bins.right[0]) and bins.right[7] == 0.75


def test_errors_are_weighted_by_boxes_and_the_largest_is_told():
    bins = reliability(np.array([0.95, 0.95, 0.95, 0.15]), np.array([False, False, False, False]))
    assert bins.ece == pytest.approx((3 * 0.95 + 0.15) / 4) and bins.mce == pytest.approx(0.95)


def test_one_is_in_the_last_bin_and_nought_in_the_first():
    assert reliability(np.array([0.0, 1.0]), np.array([False, True])).count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_without_boxes_nothing_is_known():
    bins = reliability(np.zeros(0), np.zeros(0, bool))
    assert np.isnan([bins.ece, bins.mce]).all() and np.isnan(bins.stated).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_errors_lie_between_nought_and_one_and_the_mean_is_not_above_the_largest(rows):
    bins = reliability(*(np.array(column) for column in zip(*rows)))
    assert 0.0 <= bins.ece <= bins.mce + 1e-12 <= 1.0 + 1e-9 and bins.count.sum() == len(rows)


def test_a_drives_sources_are_judged_by_class_and_by_existence():
    there = truth([(0, 0), (10, 0)], label=[CAR, BUS])
    said = objects([(0.5, 0), (10.5, 0), (30, 0)], [0.85, 0.65, 0.25], label=[CAR, CAR, CAR])
    values = {score.name: (score.value, score.count) for score in calibration_scores([said], [there], "vehicle")}
    assert values["score_ECE"] == (pytest.approx((0.15 + 0.65 + 0.25) / 3), 3)
    assert values["score_right_0.8"] == (1.0, 1) and values["score_right_0.6"] == (0.0, 1)
    assert values["existence_right_0.9"] == (pytest.approx(2 / 3), 3)  # all say that they exist for sure
    assert values["existence_MCE"][0] == pytest.approx(1 / 3)


def test_a_box_on_what_is_to_be_ignored_does_not_count():
    there = replace(truth([(0, 0), (10, 0)]), ignore=np.array([False, True]))
    values = {score.name: score for score in calibration_scores([objects([(0, 0), (10, 0)], [0.9, 0.9])], [there], "vehicle")}
    assert values["score_ECE"].count == 1 and values["score_ECE"].value == pytest.approx(0.1)


def test_a_source_that_said_nothing_has_no_error():
    values = [score.value for score in calibration_scores([objects([])], [truth([(0, 0)])], "vehicle")]
    assert np.isnan(values).all() and len(values) == 24
