"""Two runs over the same drives are told apart box by box, whichever way they were kept, and what cannot be compared is named."""
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_specs.errors import InputError, MissingInput
from data_specs.objects import NUSCENES_CLASSES, ObjectClass
from replay.compare import CHANGES, compare, tally
from replay.compare_report import changes_table, markdown, moment_link, moments, show, slices, to_json, tracks, write_report
from replay.compare_sources import judge_drive, read_side
from replay.drive import EGO_POSES, FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Event
from replay.evaluate import Scoring, drive_result
from replay.recorder import Recorder
from replay.results_folder import write_baseline, write_result
from tests.replay.drives import drive_info
from tests.replay.metrics.scored import drive as scored
from tests.replay.metrics.scored import objects, random_drive, truth
from tests.replay.metrics.test_outcomes import recorded
from tests.replay.test_commands import roadweave

PAGE = "http://page"


def judged(*found_and_truth, name="d"):
    """One run over a drive of (objects found, truth) pairs in memory."""
    return judge_drive(recorded(scored(*found_and_truth, name=name)), name, VEHICLE_OBJECTS, TRUTH)


def changed(a, b, **given):
    return tally(compare([a], [b], **given).fates)


def test_a_truth_that_one_run_alone_finds_is_lost_or_gained():
    there = truth([[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    a, b = judged((objects([[10.0, 0.5], [20.0, 0.5]]), there)), judged((objects([[20.0, 1.0], [30.0, 1.0]]), there))
    assert changed(a, b) == {"truths": 3, "found_a": 2, "found_b": 2, "false_a": 0, "false_b": 0, "lost": 1, "gained": 1,
                             "new_false": 0, "gone_false": 0}


def test_a_box_that_scores_too_little_finds_nothing_but_its_score_is_told():
    there = truth([[10.0, 0.0]])
    a, b = judged((objects([[10.0, 0.5]], [0.9]), there)), judged((objects([[10.0, 0.5]], [0.2]), there))
    fates = compare([a], [b]).fates
    assert (fates.changes()["lost"].tolist(), fates.score_a.tolist(), fates.score_b.tolist()) == ([True], [0.9], [0.2])
    assert changed(a, b, least_score=0.1)["lost"] == 0


def test_false_boxes_near_one_another_are_one_and_the_same():
    there = truth([[0.0, 30.0]])
    a = judged((objects([[10.0, 0.0], [20.0, 0.0]], [0.9, 0.8]), there))
    b = judged((objects([[10.0, 1.9], [20.0, 2.1]], [0.7, 0.6]), there))
    fates = compare([a], [b]).fates
    false = fates[~fates.is_truth]
    assert [false.in_a.tolist(), false.in_b.tolist()] == [[True, True, False], [False, True, True]]
    np.testing.assert_equal([false.score_a, false.score_b], [[0.8, 0.9, np.nan], [np.nan, 0.7, 0.6]])


def test_false_boxes_of_another_class_or_moment_are_others():
    there = truth([[0.0, 30.0]])
    nothing, car, truck = objects(np.zeros((0, 2))), ObjectClass.CAR, ObjectClass.TRUCK
    a = judged((objects([[10.0, 0.0], [20.0, 0.0]], label=[car, truck]), there), (nothing, there))
    b = judged((objects([[10.0, 0.0]], label=[truck]), there), (objects([[20.0, 0.0]], label=[truck]), there))
    assert {name: count for name, count in changed(a, b).items() if name in CHANGES} == {
        "lost": 0, "gained": 0, "new_false": 2, "gone_false": 2}


def test_two_close_false_boxes_are_paired_so_that_both_have_a_twin():
    there = truth([[0.0, 30.0]])
    a, b = judged((objects([[10.0, 0.0], [10.0, 1.5]]), there)), judged((objects([[10.0, 1.4], [10.0, 3.2]]), there))
    assert changed(a, b)["new_false"] == changed(a, b)["gone_false"] == 0


def test_a_box_on_a_truth_that_the_lidar_did_not_hit_is_not_false_and_the_truth_is_found():
    there = truth([[10.0, 0.0]], points=0)
    counts = changed(judged((objects([[10.0, 9.0]]), there)), judged((objects([[10.0, 0.5]]), there)))
    assert counts == {"truths": 1, "found_a": 0, "found_b": 1, "false_a": 1, "false_b": 0, "lost": 0, "gained": 1,
                      "new_false": 0, "gone_false": 1}


def random_runs(seed):
    """Two runs over three drives: the same truth, other boxes."""
    rng = np.random.default_rng(seed)
    drives = [random_drive(rng, f"d{i}", list(NUSCENES_CLASSES.values())) for i in range(3)]
    others = [replace(one, found=tuple(found[rng.uniform(size=len(found)) < 0.7] for found in one.found)) for one in drives]
    return [[judge_drive(recorded(one), one.drive_id, VEHICLE_OBJECTS, TRUTH) for one in run] for run in (drives, others)]


@pytest.mark.parametrize("seed", range(4))
def test_counts_balance_and_the_other_way_round_changes_change_sides(seed):
    a, b = random_runs(seed)
    there, back = compare(a, b), compare(b, a)
    for name, counts in slices(there.fates):
        assert counts["gained"] - counts["lost"] == counts["found_b"] - counts["found_a"], name
        assert counts["new_false"] - counts["gone_false"] == counts["false_b"] - counts["false_a"], name
    ours, theirs = tally(there.fates), tally(back.fates)
    assert [ours[name] for name in CHANGES] == [theirs[name] for name in ("gained", "lost", "gone_false", "new_false")]
    assert sum(ours[name] for name in CHANGES) > 0
    assert not any(tally(compare(a, a).fates)[name] for name in CHANGES)
    assert moments(compare(a, a), PAGE) == tracks(compare(a, a), PAGE) == []


def test_every_change_stands_in_one_moment_and_one_row_of_the_table():
    compared = compare(*random_runs(7))
    counts, rows = tally(compared.fates), changes_table(compared, PAGE).to_pylist()
    for name in CHANGES:
        assert sum(row["change"] == name for row in rows) == counts[name]
        assert sum(row[name] for row in moments(compared, PAGE)) == counts[name]
    assert [row["drive"] for row in rows] == sorted(row["drive"] for row in rows)
    assert {row["link"] for row in rows} == {row["link"] for row in moments(compared, PAGE)}


def test_the_worst_moment_comes_first_and_links_to_its_time():
    there = truth([[10.0, 0.0], [20.0, 0.0]])
    whole, half, none = objects([[10.0, 0.0], [20.0, 0.0]]), objects([[10.0, 0.0]]), objects(np.zeros((0, 2)))
    rows = moments(compare([judged((whole, there), (whole, there), (whole, there))],
                           [judged((whole, there), (half, there), (none, there))]), PAGE)
    assert [(row["lost"], row["link"]) for row in rows] == [(2, "http://page/drive?drive=d&t=0.001"),
                                                            (1, "http://page/drive?drive=d&t=0.001")]
    assert moment_link("http://page/", replace(judged((none, there)), folder="a b", start_ns=0), 2_500_000_001) == (
        "http://page/drive?drive=a%20b&t=2.501")


def with_ids(pair, ids):
    found, there = pair
    return found, replace(there, objects=replace(there.objects, track_id=np.array(ids)))


def test_a_track_tells_at_how_many_of_its_moments_each_run_found_it():
    pair = objects([[10.0, 0.0], [20.0, 0.0]]), truth([[10.0, 0.0], [20.0, 0.0]])
    missed = objects([[20.0, 0.0]]), pair[1]
    a = judged(*(with_ids(pair, [7, 8]) for _ in range(3)))
    b = judged(with_ids(pair, [7, 8]), with_ids(missed, [7, 8]), with_ids(missed, [7, 8]))
    row, = tracks(compare([a], [b]), PAGE)
    assert row.items() >= {"track_id": 7, "class": "car", "moments": 3, "found_a": 3, "found_b": 1, "lost": 2, "gained": 0,
                           "nearest_m": 10.0}.items()
    unnamed = [judged(*(with_ids(one, [-1, -1]) for one in run)) for run in ([pair], [missed])]
    assert tracks(compare([unnamed[0]], [unnamed[1]]), PAGE) == []


def test_runs_over_other_drives_or_other_truth_are_refused_and_drives_of_one_alone_are_told():
    here, nothing = truth([[10.0, 0.0]]), objects(np.zeros((0, 2)))
    a, b = judged((nothing, here), name="a"), judged((nothing, here), name="b")
    with pytest.raises(InputError, match="compare: drives a in A and b in B, expected two runs over the same drives"):
        compare([a], [b])
    compared = compare([a, b], [b])
    assert (compared.only_a, compared.only_b, [one.drive_id for one in compared.drives]) == (("a",), (), ["b"])
    assert "only A has a" in markdown(compared, "x", "y", PAGE)
    with pytest.raises(InputError, match="drive a: 1 truths in A, 1 in B, not the same ones, expected two runs judged against"):
        compare([a], [judged((nothing, truth([[10.0, 0.1]])), name="a")])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two folders of two drives each, of the same truth: the second run has lost some boxes."""
    folder, rng = tmp_path_factory.mktemp("runs"), np.random.default_rng(3)
    for name in ("d0", "d1"):
        made = random_drive(rng, name, [ObjectClass.CAR, ObjectClass.PEDESTRIAN])
        fewer = replace(made, found=tuple(found[::2] for found in made.found))
        for run, one in (("before", made), ("now", fewer)):
            _record(folder / run / name, recorded(one, start_ns=10**9).all_events, name)
    return folder


def _record(path, events, name):
    with Recorder(path, drive_info(drive_id=name)) as recorder:
        for event in events:
            recorder.write(event)


def test_drives_results_and_a_baseline_of_them_compare_alike(runs, tmp_path):
    results = [drive_result(path, Scoring("nuscenes")) for path in sorted((runs / "before").iterdir())]
    for one in results:
        write_result(tmp_path, one)
    write_baseline(tmp_path / "baseline.json", results)
    now, sources = read_side(runs / "now"), (runs / "before", tmp_path, tmp_path / "baseline.json")
    said = [to_json(compare(read_side(source), now), "a", "b", PAGE) for source in sources]
    assert said[0] == said[1] == said[2]
    assert said[0]["slices"]["all"]["lost"] > 0 and said[0]["drives"] == ["d0", "d1"]


def test_results_whose_drives_have_gone_compare_without_tracks(runs, tmp_path):
    pair = objects([[10.0, 0.0]]), truth([[10.0, 0.0]])
    _record(tmp_path / "d", recorded(scored(with_ids(pair, [5]), name="d"), 10**9).all_events, "d")
    write_result(tmp_path, drive_result(tmp_path / "d", Scoring("nuscenes")))
    assert read_side(tmp_path)[0].track_id.tolist() == [-1, 5]
    (tmp_path / "d").rename(tmp_path / "elsewhere")
    assert read_side(tmp_path)[0].track_id.tolist() == [-1, -1]


def test_two_sources_of_one_drive_compare_and_another_topic_can_stand_for_truth(tmp_path):
    there = truth([[10.0, 0.0], [20.0, 0.0]])
    events = recorded(scored((objects([[10.0, 0.0]]), there), (objects([[10.0, 0.0]]), there), name="d"), 10**9).all_events
    fused = [Event(one.time_ns, FUSED_TRACKS, there.objects) for one in events if one.topic == TRUTH][:1]
    _record(tmp_path / "d", [*events, *fused], "d")
    compared = compare(read_side(tmp_path / "d"), read_side(tmp_path / "d", FUSED_TRACKS))
    assert (tally(compared.fates)["gained"], tally(compared.fates)["lost"]) == (1, 1)
    assert "B says nothing, not even that there is nothing, at 1 moments of truth" in markdown(compared, "a", "b", PAGE)
    against, = read_side(tmp_path / "d", VEHICLE_OBJECTS, FUSED_TRACKS)
    assert tally(compare([against], [against]).fates)["truths"] == 2


def one_moment():
    return recorded(scored((objects([[1.0, 0.0]]), truth([[1.0, 0.0]]))), 10**9).all_events


def test_what_cannot_be_judged_is_named(runs, tmp_path):
    with pytest.raises(MissingInput, match=r"nowhere: missing, expected a drive, a folder of drives, or results"):
        read_side(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"drive d0: no fused.tracks, expected one of its topics: ego.poses, truth, vehicle"):
        read_side(runs / "now", FUSED_TRACKS)
    with pytest.raises(InputError, match="drive d0: no guess, expected one of its topics"):
        read_side(runs / "now", VEHICLE_OBJECTS, "guess")
    late = [Event(one.time_ns + 7 * (one.topic == VEHICLE_OBJECTS), one.topic, one.payload) for one in one_moment()]
    _record(tmp_path / "drives" / "late", late, "d")
    with pytest.raises(InputError, match=r"drive d, vehicle.objects: 1 lists, none at a moment of truth, expected lists at"):
        read_side(tmp_path / "drives")
    _record(tmp_path / "blind", [one for one in one_moment() if one.topic != TRUTH], "d")
    with pytest.raises(InputError, match=r"drive d: no truth, expected one of its topics: ego.poses, vehicle.objects"):
        read_side(tmp_path / "blind")
    for name in ("one", "two"):
        _record(tmp_path / "twice" / name, one_moment(), "d")
    with pytest.raises(InputError, match="twice: drives one and two with one id, 'd', expected each drive once"):
        read_side(tmp_path / "twice")


def test_results_of_another_protocol_or_asked_for_another_topic_are_named(runs, tmp_path):
    write_result(tmp_path, drive_result(runs / "now" / "d0", Scoring("nuscenes")))
    with pytest.raises(InputError, match=r"results, and topic fused.tracks against truth, expected drives: results are of"):
        read_side(tmp_path, FUSED_TRACKS)
    (tmp_path / "other").mkdir()
    write_result(tmp_path / "other", replace(drive_result(runs / "now" / "d0", Scoring("nuscenes")), outcomes=None))
    with pytest.raises(InputError, match="other: results of protocol nuscenes, expected protocol nuscenes, which keeps"):
        read_side(tmp_path / "other")


def test_a_report_is_a_folder_with_every_change_and_is_not_written_over(runs, tmp_path):
    compared = compare(read_side(runs / "before"), read_side(runs / "now"))
    write_report(tmp_path / "out", compared, "a|x", "b", PAGE)
    table = pq.read_table(tmp_path / "out" / "changes.parquet")
    assert table.num_rows == sum(tally(compared.fates)[name] for name in CHANGES) == changes_table(compared, PAGE).num_rows
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == to_json(compared, "a|x", "b", PAGE)
    page = (tmp_path / "out" / "compare.md").read_text()
    assert page.startswith("# a\\|x (A) and b (B)\n") and "](http://page/drive?drive=d0&t=" in page
    with pytest.raises(InputError, match="out: there already, expected an empty or new folder"):
        write_report(tmp_path / "out", compared, "a", "b", PAGE)


def test_people_are_shown_slices_moments_and_what_to_know(runs, capsys):
    show(compare(read_side(runs / "before"), read_side(runs / "now"), 0.5), "a", "b", PAGE)
    out = capsys.readouterr().out
    assert "2 drives; boxes that score 0.5 or more" in out and "http://page/drive?drive=d0&t=" in out


def test_the_command_prints_one_object_and_names_what_is_missing_in_one_line(runs, tmp_path):
    code, out, err = roadweave("compare", runs / "before", runs / "now", "--json", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert json.loads(out)["slices"]["all"]["lost"] > 0 and (tmp_path / "out" / "compare.md").is_file()
    code, out, err = roadweave("compare", runs / "before", runs / "now", "--topic-b", EGO_POSES)
    assert (code, out, err.count("\n")) == (2, "", 1)
