import numpy as np
import pytest

from data_specs.messages import GeoPoint
from data_specs.site import Crossing, Site
from replay.drive import ROADSIDE_MESSAGES, TRUTH, Event, MemoryDrive
from replay.metrics.drawn_scores import drawn_scores
from replay.metrics.outcomes import BY_EGO, BY_NOBODY, BY_RSU_ALONE, NOT_SAID, outcomes_of
from replay.metrics.slices import conditions_of
from tests.replay.drives import drive_info, message
from tests.replay.metrics.scored import drive, objects, truth
from tests.replay.metrics.test_outcomes import recorded


def scores_of(*drives, conditions=None, times=None):
    found = drawn_scores([outcomes_of(one) for one in drives], np.ones((1, len(drives)), np.int64) if times is None else times,
                         conditions)
    return {(score.name, score.slice): score for score in found.scores}


def seen_drive():
    """Four cars: seen by the ego, by a roadside unit alone, by nobody, and nobody knows; the first two are found."""
    there = truth([(5, 0), (15, 0), (25, 0), (35, 0)], points=[9, 0, 0, -1], pixels=[900, 0, 0, -1])
    there = type(there).build(there.objects, points_in_box=there.points_in_box, pixels_visible=there.pixels_visible,
                              roadside_points=np.array([0, 8, 4, -1]))
    return recorded(drive((objects([(5, 0.2), (15, 0.3)], [0.9, 0.8]), there)))


def test_who_sees_a_truth_is_told_and_what_is_hidden_has_a_recall():
    outcomes = outcomes_of(seen_drive())
    truths = outcomes[outcomes.is_truth]
    assert truths.seen_by.tolist() == [BY_EGO, BY_RSU_ALONE, BY_NOBODY, NOT_SAID]
    assert truths.counts.tolist() == [True, False, False, True]
    np.testing.assert_array_equal(truths.score, [0.9, 0.8, np.nan, np.nan])
    scores = scores_of(seen_drive())
    recalls = {name: scores["recall", name] for name in ("seen by ego", "seen by RSU alone", "hidden from both", "all")}
    assert [(score.value, score.count) for score in recalls.values()] == [(1.0, 1), (1.0, 1), (0.0, 1), (0.5, 2)]
    assert ("AP", "seen by ego") not in scores


def test_a_detection_of_what_does_not_count_stays_wrong_to_ap():
    outcomes = outcomes_of(seen_drive())
    assert outcomes.right[~outcomes.is_truth].tolist() == [[True] * 4, [False] * 4]
    assert outcomes.range_m[~outcomes.is_truth].tolist() == [5.0, 15.0]  # both stand in their truths' slices


def test_a_weak_detection_is_no_recall():
    weak = recorded(drive((objects([(5, 0.2)], [0.29]), truth([(5, 0)]))))
    assert scores_of(weak)["recall", "all"].value == 0.0


def test_weather_scenario_and_area_are_slices_of_the_drives_that_tell_them():
    good = recorded(drive((objects([(5, 5)], [0.9]), truth([(5, 5)]))))
    bad = recorded(drive((objects([]), truth([(5, -5)])), name="e"))
    scores = scores_of(good, bad, conditions=[{"weather": "clear", "scenario": "busy", "map": "north"},
                                              {"weather": "fog", "map": "north"}])
    told = {name: (scores["recall", name].value, scores["AP", name].count) for _, name in scores
            if name.split(" ")[0] in ("weather", "scenario", "area")}
    assert told == {"weather clear": (1.0, 1), "weather fog": (0.0, 1), "scenario busy": (1.0, 1),
                    "area north E0-50 N0-50": (1.0, 1), "area north E0-50 S0-50": (0.0, 1)}


def test_a_draw_without_a_slice_has_no_score_of_it():
    drives = [recorded(drive((objects([(5, 5)], [0.9]), truth([(5, 5)])), name=name)) for name in "ab"]
    found = drawn_scores([outcomes_of(one) for one in drives], np.array([[2, 0], [0, 2]]), [{"weather": "fog"}, {}])
    column = [(score.name, score.slice) for score in found.scores].index(("AP", "weather fog"))
    assert found.by_round[0, column] == pytest.approx(1.0) and np.isnan(found.by_round[1, column])
    assert found.drives[column] == 1 and found.drives[0] == 2


def test_the_age_of_v2x_is_a_slice_and_so_is_its_absence():
    rng = np.random.default_rng(0)
    made = recorded(drive(*[(objects([(5, 0)], [0.9]), truth([(5, 0)]))] * 3), start_ns=1_000_000_000)
    moved = [Event(event.time_ns + 200_000_000 * (event.time_ns - 1_000_000_001), event.topic, event.payload)
             for event in made.all_events]
    times_ns = [event.time_ns for event in moved if event.topic == TRUTH]
    heard = Event(times_ns[1] - 50_000_000, ROADSIDE_MESSAGES, message(times_ns[1] - 50_000_000, rng))  # received 5 ms later
    outcomes = outcomes_of(MemoryDrive(made.info, [*moved, heard]))
    np.testing.assert_allclose(outcomes.v2x_age_s[outcomes.is_truth], [np.nan, 0.05, 0.25], atol=1e-6)
    scores = scores_of(MemoryDrive(made.info, [*moved, heard]))
    assert {name for _, name in scores if "V2X" in name} == {"V2X age 0-0.1 s", "V2X age 0.1-0.3 s", "no V2X"}
    assert not any("V2X" in name for _, name in scores_of(made))


@pytest.mark.parametrize("facts, weather", [({"conditions": {"haze_per_m": 0.0004}}, "clear"), ({"weather": "rain"}, "rain"),
                                            ({"conditions": {"haze_per_m": 0.002}}, "haze"), ({}, None),
                                            ({"conditions": {"haze_per_m": 0.01}}, "fog"), ({"conditions": "wet"}, None),
                                            ({"conditions": {"haze_per_m": 0.0}}, "clear")])
def test_weather_is_what_the_drive_says_or_how_far_one_sees(facts, weather):
    assert conditions_of(drive_info(facts=facts)).get("weather") == weather


def test_the_map_is_named_by_the_sites_crossings_or_the_data_sets_location():
    square = np.array([[0.0, 0], [1, 0], [1, 1]])
    site = Site(tuple(Crossing(name, GeoPoint(48, 11, 0), square, "off") for name in ("north", "south")), ())
    assert conditions_of(drive_info(site=site, facts={"scenario": "busy"})) == {"scenario": "busy", "map": "north+south"}
    assert conditions_of(drive_info(facts={"location": "singapore"})) == {"map": "singapore"}
