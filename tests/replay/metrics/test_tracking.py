import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from replay.metrics import tracking, tracking_kernel
from replay.metrics.track_boxes import SampleTimes, TrackBoxes, with_gaps_filled, with_track_scores
from replay.metrics.tracking import FIGURES, TrackingProtocol, mean_figures, tracking_results
from tests.replay.metrics.tracked import boxes_of, scenes, times

CAR, BUS = ObjectClass.CAR, ObjectClass.BUS
PROTOCOL = TrackingProtocol()


def path(track, samples, y_m=0.0, score=1.0, label=CAR):
    return [(k, label, 3.0 * k, y_m, score, track) for k in samples]


def figures(truths, made, samples=10):
    return tracking_results(boxes_of(made), boxes_of(truths), times(1, samples), PROTOCOL)


def test_perfect_tracks_score_one():
    rows = path(1, range(10)) + path(2, range(4), y_m=20.0)
    car = figures(rows, rows)[CAR]
    ones = dict.fromkeys(("AMOTA", "RECALL", "MOTAR", "MOTA"), 1)
    assert car == pytest.approx(dict.fromkeys(FIGURES, 0) | ones | {"GT": 14, "TP": 14, "MT": 2}, abs=1e-6)


def test_a_track_that_is_found_late_lost_and_found_under_another_number_is_counted_as_that():
    """Of ten samples the first two are missed, and two in the middle; what comes after is another track, 1 m off."""
    made = path(5, range(2, 5), y_m=0.5) + path(6, range(7, 10), y_m=1.0)
    car = figures(path(1, range(10)), made)[CAR]
    assert {name: car[name] for name in ("TP", "IDS", "FN", "FP", "FRAG", "TID", "LGD")} == {
        "TP": 5, "IDS": 1, "FN": 4, "FP": 0, "FRAG": 1, "TID": 1.0, "LGD": 1.0}
    assert (car["MOTA"], car["RECALL"], car["MOTP"]) == pytest.approx((0.5, 0.6, 0.75))


def test_recalls_that_are_never_reached_count_as_the_worst():
    """Half of the boxes are found: 18 of the 40 recalls from 0.1 to 1 are 0.5 or less."""
    car = figures(path(1, range(10)), path(5, range(5)))[CAR]
    assert (car["AMOTA"], car["AMOTP"]) == pytest.approx((18 / 40, 2 * 22 / 40))


def test_a_class_without_truth_has_no_figures_and_one_that_is_never_matched_the_worst():
    result = figures(path(1, range(10)), path(5, range(10), label=BUS) + path(6, range(10), y_m=9.0))
    assert all(math.isnan(value) for value in result[BUS].values())
    assert {name: result[CAR][name] for name in ("AMOTA", "AMOTP", "ML", "FN", "FAF", "TID")} == {
        "AMOTA": 0, "AMOTP": 2, "ML": 1, "FN": 10, "FAF": 500, "TID": 20}
    assert math.isnan(result[CAR]["FP"]) and mean_figures(result)["FP"] == 0


def test_without_truth_or_tracks_everything_is_unknown_but_the_sums():
    known = {name for name, value in mean_figures(figures([], [])).items() if not math.isnan(value)}
    assert known == {"MT", "ML", "TP", "FP", "FN", "IDS", "FRAG"}


@pytest.mark.parametrize("seed", [1, 2])
def test_compiled_loops_follow_as_plain_python_does(monkeypatch, seed):
    truths, made, when = scenes(seed, objects=20)
    monkeypatch.setattr(tracking, "COMPILED_FROM", 10**9)
    plain = tracking_results(made, truths, when, PROTOCOL)
    monkeypatch.setattr(tracking, "COMPILED_FROM", 0)
    for cls, row in tracking_results(made, truths, when, PROTOCOL).items():
        assert row == pytest.approx(plain[cls], rel=0, abs=0, nan_ok=True)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_the_assignment_is_scipys_where_costs_tie_too(rows, columns, seed):
    cost = np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(float)
    row, column = linear_sum_assignment(cost)
    assigned = tracking_kernel.assign(cost)
    assert np.flatnonzero(assigned >= 0).tolist() == row.tolist()
    assert assigned[row].tolist() == column.tolist()


def test_gaps_of_a_track_are_filled_behind_the_boxes_that_were_there():
    boxes = boxes_of([(0, CAR, 0.0, 0.0, 0.4, 8), (2, CAR, 5.0, 5.0, 0.9, 9), (4, CAR, 8.0, 4.0, 0.8, 8)])
    filled = with_gaps_filled(with_track_scores(boxes, times(1, 5)), times(1, 5))
    assert list(zip(filled.sample.tolist(), filled.track_id.tolist())) == [(0, 8), (1, 8), (2, 9), (2, 8), (3, 8), (4, 8)]
    np.testing.assert_allclose(filled.score, [0.6, 0.6, 0.9, 0.6, 0.6, 0.6])
    np.testing.assert_allclose(filled.xy_m[3], [4.0, 2.0])
    np.testing.assert_allclose(filled.xy_m[1], [6.0, 3.0])  # a quarter of the way from the end: as the devkit has it


def test_a_track_ends_with_its_scene():
    boxes = boxes_of([(0, CAR, 0.0, 0.0, 0.4, 8), (5, CAR, 5.0, 5.0, 0.9, 8)])
    when = SampleTimes(np.repeat([0, 1], 3), np.tile([0, 1, 2], 2))
    assert len(with_gaps_filled(boxes, when)) == 2
    assert with_track_scores(boxes, when).score.tolist() == [0.4, 0.9]


@pytest.mark.parametrize("rows, complaint", [
    ([(3, CAR, 0, 0, 1, 7), (3, BUS, 5, 5, 1, 7)], "track_id: 7 stands twice in sample 3, expected once"),
    ([(3, CAR, np.nan, 0, 1, 7)], r"xy_m: nan at index \[0, 0\], expected finite values"),
    ([(3, CAR, 0, 0, np.nan, 7)], r"score: nan at index \[0\], expected finite values"),
])
def test_boxes_that_cannot_be_tracks_are_refused(rows, complaint):
    with pytest.raises(SpecError, match=complaint):
        boxes_of(rows)


def test_samples_out_of_order_are_refused():
    with pytest.raises(SpecError, match="sample 1 does not follow sample 0, expected scenes one after another and rising times"):
        SampleTimes(np.array([0, 0]), np.array([5, 5]))
    with pytest.raises(SpecError, match="sample: falls"):
        TrackBoxes(np.array([1, 0]), np.array([1, 1]), np.zeros((2, 2)), np.ones(2), np.array([1, 2]))
