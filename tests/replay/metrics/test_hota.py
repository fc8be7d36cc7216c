import math

import numpy as np
import pytest

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from replay.metrics.hota import ALPHAS, Frame, hota_results, mean_figures, scene_hota
from tests.replay.metrics.tracked import boxes_of, times

CAR = ObjectClass.CAR


def frame(objects, tracks, similarity):
    return Frame(np.array(objects), np.array(tracks), np.array(similarity, float).reshape(len(objects), len(tracks)))


def test_perfect_tracks_score_one_in_everything():
    figures = scene_hota([frame([0, 1], [0, 1], np.eye(2))] * 3).figures()
    assert all(value == pytest.approx(1.0) for value in figures.values())


def test_a_track_that_changes_its_number_halfway_is_half_associated():
    result = scene_hota([frame([0], [0], [1.0])] * 5 + [frame([0], [1], [1.0])] * 5)
    figures = result.figures()
    assert (figures["DetA"], figures["AssA"], figures["AssRe"], figures["AssPr"]) == pytest.approx((1.0, 0.5, 0.5, 1.0))
    assert figures["HOTA"] == pytest.approx(math.sqrt(0.5))


def test_a_pair_counts_up_to_its_similarity():
    result = scene_hota([frame([0], [0], [0.5])])
    assert result.found.tolist() == [float(alpha < 0.51) for alpha in ALPHAS]
    assert result.false.tolist() == result.missed.tolist() == [float(alpha > 0.51) for alpha in ALPHAS]


def test_boxes_are_as_similar_as_their_centres_are_near():
    truths = boxes_of([(0, CAR, 0.0, 0.0, 1.0, 7)])
    made = boxes_of([(0, CAR, 0.6, 0.8, 0.9, 3)])  # 1 m of 2 m
    assert hota_results(made, truths, times(1, 2), [CAR])[CAR].loc_a[0] == pytest.approx(0.5)


def test_without_truth_and_tracks_there_is_nothing_to_average():
    empty = boxes_of([])
    results = hota_results(empty, empty, times(1, 2), [CAR])
    assert results[CAR].figures()["HOTA"] == 0.0 and results[CAR].figures()["LocA"] == 1.0
    assert all(math.isnan(value) for value in mean_figures(results).values())


def test_a_similarity_of_another_shape_is_refused():
    with pytest.raises(SpecError, match=r"similarity: shape is \(1, 2\) in frame 0, expected \(1, 1\)"):
        scene_hota([Frame(np.array([0]), np.array([0]), np.zeros((1, 2)))])
