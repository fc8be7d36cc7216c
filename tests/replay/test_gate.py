import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.results import RunResult, Score
from replay import results_folder
from replay.drive import VEHICLE_OBJECTS, Event
from replay.gate import FAIL, PASS, UNCLEAR, Limit, judge, worse_if_higher
from replay.metrics import hota, tracking
from replay.metrics.outcomes import outcomes_of
from replay.recorder import Recorder
from replay.report_text import MARKDOWN_LIMIT, markdown_page
from replay.results_folder import DriveResult, read_results, write_baseline, write_result
from tests.replay.metrics.test_outcomes import random_drives
from tests.replay.test_commands import roadweave

LIMITS = [Limit("mAP", "all", 0.005)]


def worse(drive, share, seed=1):
    """The same drive with a share of its detections lost."""
    rng = np.random.default_rng(seed)
    made = [Event(e.time_ns, e.topic, e.payload[rng.uniform(size=len(e.payload)) >= share]) if e.topic == VEHICLE_OBJECTS else e
            for e in drive.all_events]
    return type(drive)(drive.info, made)


def results_of(drives):
    return [DriveResult(d.info.drive_id, d.info.drive_id, RunResult("nuscenes", (d.info.drive_id,), ()), outcomes_of(d))
            for d in drives]


@pytest.fixture(scope="module")
def drives():
    return random_drives(14)


@pytest.fixture(scope="module")
def before(drives):
    return results_of(drives)


def test_a_run_like_its_baseline_passes_even_strictly(before):
    said = judge(before, before, LIMITS, strict=True, rounds=200)
    assert said.verdict == PASS and all(row.drop == 0 and row.p == 1 for row in said.rows)


def test_a_clear_drop_fails_and_names_score_size_and_certainty(drives, before):
    said = judge(results_of([worse(drive, 0.3) for drive in drives]), before, LIMITS, rounds=200)
    assert said.verdict == FAIL and said.rows[0].low > 0.005
    assert "mAP of all" in said.reasons[0] and "0.005 allowed; significant" in said.reasons[0]
    assert {row.score.slice for row in said.rows if not row.gated} >= {"car", "pedestrian", "range 0-20 m"}


def test_a_gain_is_no_failure(drives, before):
    said = judge(before, results_of([worse(drive, 0.3) for drive in drives]), LIMITS, strict=True, rounds=200)
    assert said.rows[0].drop < 0 and said.rows[0].verdict == PASS


def test_errors_are_worse_when_they_rise(before):
    moved = [DriveResult(one.drive_id, one.path, RunResult("cooperative", (one.drive_id,), (
        Score("position_error_m", 1.0 + 0.1 * i, "m", "fused", 20),)), None) for i, one in enumerate(before)]
    raised = [DriveResult(one.drive_id, one.path, RunResult("cooperative", (one.drive_id,), (
        Score("position_error_m", 2.0 + 0.1 * i, "m", "fused", 20),)), None) for i, one in enumerate(before)]
    said = judge(raised, moved, [Limit("position_error_m", "fused", 0.1)], rounds=200)
    assert said.rows[0].drop == pytest.approx(1.0) and said.verdict == FAIL


@pytest.mark.parametrize("names, worse", [
    (("mATE", "AOE", "mAAE", "duplicates", "position_error_m", "co_visible_distance_m", "latency_p95_ms", "age_mean_ms", "ECE",
      "bytes_per_s", "average_byte", "car_IDS", "truck_AMOTP"), True),
    (("mAP", "NDS", "AP", "recall", "precision", "car_AMOTA", "Car_3D_AP40_moderate_0.70", "coverage_share"), False),
    (tuple({*tracking.FIGURES} - {"AMOTA", "RECALL", "MOTAR", "GT", "MOTA", "MT", "TP"}), True),
    (("AMOTA", "RECALL", "MOTAR", "MOTA", "MT", "TP", *hota.FIGURES), False),
])
def test_every_score_has_its_direction(names, worse):
    assert {name: worse_if_higher(name) for name in names} == dict.fromkeys(names, worse)


def test_slices_of_a_score_are_known_by_their_own_names_or_with_the_class_before_it(before):
    scores = (Score("AMOTA", 0.5, "1", "all", 60), Score("car_AMOTA", 0.5, "1", "car", 60), Score("car_IDS", 3, "1", "car", 60))
    some = [DriveResult(one.drive_id, "", RunResult("tracking", (one.drive_id,), scores), None) for one in before]
    said = judge(some, some, [Limit("AMOTA", "all", 0.01)], rounds=100)
    assert [(row.score.name, row.gated) for row in said.rows] == [("AMOTA", True), ("car_AMOTA", False)]


def test_a_slice_of_few_drives_is_not_told(before):
    foggy = [DriveResult(one.drive_id, one.path, one.result, one.outcomes, {"weather": "fog" if i < 9 else "clear"})
             for i, one in enumerate(before)]
    said = judge(foggy, foggy, LIMITS, rounds=100)
    verdicts = {row.score.slice: (row.drives, row.verdict) for row in said.rows}
    assert verdicts["weather fog"] == (9, UNCLEAR) and verdicts["range 20-40 m"] == (14, PASS) and said.verdict == PASS


def test_nine_drives_cannot_tell(drives, before):
    said = judge(results_of([worse(drive, 0.9) for drive in drives[:9]]), before[:9], LIMITS, rounds=200)
    assert said.verdict == UNCLEAR and said.reasons[0].startswith("9 drives, expected at least 10")


def test_a_few_truths_cannot_tell(before):
    poor = [DriveResult(one.drive_id, "", RunResult("x", (one.drive_id,), (Score("recall", 0.5, "1", "all", 2),)), None)
            for one in before]
    said = judge(poor, poor, [Limit("recall", "all", 0.01)], rounds=200)
    assert said.verdict == UNCLEAR and "28 truths, expected at least 50" in said.reasons[0]


def test_one_lucky_drive_makes_no_verdict(before):
    def scored(values):
        return [DriveResult(one.drive_id, "", RunResult("x", (one.drive_id,), (Score("recall", value, "1", "all", 50),)), None)
                for one, value in zip(before, values)]
    said = judge(scored([0.1] + [0.5] * 13), scored([0.5] * 14), [Limit("recall", "all", 0.005)], rounds=500)
    assert said.rows[0].drop > 0.02 and said.verdict == UNCLEAR and "not certain" in said.reasons[0]


def test_a_missing_drive_other_truth_and_unknown_scores_are_named(drives, before):
    with pytest.raises(InputError, match="no drive d3, expected all 14 drives of the baseline"):
        judge([one for one in before if one.drive_id != "d3"], before, LIMITS)
    other = results_of(random_drives(14, seed=5))
    with pytest.raises(InputError, match=r"truths, expected .* as in the baseline; its truth has changed"):
        judge(other, before, LIMITS)
    with pytest.raises(InputError, match="mAPP@all, expected a score of the results; of all drives: mAP, NDS"):
        judge(before, before, [Limit("mAPP", "all", 0.1)])


@pytest.mark.parametrize("text", ["mAP", "mAP:", "mAP:-1", "mAP:nan", ":0.1", "mAP:x", "mAP:1e999"])
def test_a_limit_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="--max-drop"):
        Limit.parse(text)


def test_results_and_baselines_come_back_the_same(tmp_path, before):
    (tmp_path / "results").mkdir()
    for one in before:
        write_result(tmp_path / "results", one)
    write_baseline(tmp_path / "baseline.json", before)
    for read in (read_results(tmp_path / "results"), read_results(tmp_path / "baseline.json")):
        said = judge(read, before, LIMITS, rounds=100)
        assert len(read) == 14 and said.rows[0].drop == 0.0
    with pytest.raises(InputError, match=r"d0\.results\.arrow: there already"):
        write_result(tmp_path / "results", before[0])


def test_damaged_or_foreign_results_are_refused(tmp_path):
    (tmp_path / "a.results.arrow").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.results\.arrow: .* expected a drive's results"):
        read_results(tmp_path)
    (tmp_path / "baseline.json").write_text("[]")
    with pytest.raises(InputError, match="expected a baseline that"):
        read_results(tmp_path / "baseline.json")
    with pytest.raises(MissingInput, match="roadweave evaluate --out"):
        read_results(tmp_path / "nowhere")


def test_results_of_another_version_are_refused_with_both_versions(tmp_path, before, monkeypatch):
    monkeypatch.setattr(results_folder, "VERSION", 1)
    write_result(tmp_path, before[0])
    write_baseline(tmp_path / "baseline.json", before[:1])
    monkeypatch.undo()
    with pytest.raises(UnknownFormat, match=r"d0\.results\.arrow: 'roadweave-results' version 1, expected .* version 2"):
        read_results(tmp_path)
    with pytest.raises(UnknownFormat, match=r"'roadweave-baseline' version 1, expected 'roadweave-baseline' version 2"):
        read_results(tmp_path / "baseline.json")


def test_results_of_two_topics_are_not_mixed(tmp_path, before):
    write_result(tmp_path, before[0])
    write_result(tmp_path, replace(before[1], topic="fused.tracks"))
    with pytest.raises(InputError, match=r"results of  and of fused\.tracks, expected results of one topic"):
        read_results(tmp_path)


@pytest.mark.parametrize("reasons", [(), ("so | it < is \n",) * 3, ("ü" * 999,) * 999, ("x" * 70_000,)])
@pytest.mark.parametrize("times", [1, 400])
def test_markdown_stays_below_its_limit_whatever_the_gate_says(before, reasons, times):
    said = judge(before, before, LIMITS, rounds=100)
    page = markdown_page(type(said)(said.verdict, False, "x", said.drives, said.rows * times, reasons, ()))
    assert len(page.encode()) < MARKDOWN_LIMIT and ("more rows are in the HTML report" in page) == (times == 400)
    assert page.startswith("### Gate: pass") and "| score | slice |" in page
    assert ("more reasons" in page) == (len(str(reasons)) > 1e4)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, drives):
    """The drives on disk, good and with a third of the detections lost."""
    folder = tmp_path_factory.mktemp("gate")
    for name, some in (("good", drives[:11]), ("bad", [worse(drive, 0.35) for drive in drives[:11]])):
        for drive in some:
            with Recorder(folder / name / drive.info.drive_id, drive.info, sync_every_s=None) as recorder:
                for event in drive.all_events:
                    recorder.write(event)
    return folder


@pytest.mark.slow
def test_the_whole_line_from_drives_to_a_verdict(recorded):
    good, bad = (sorted((recorded / name).iterdir()) for name in ("good", "bad"))
    for i in (1, 2):
        assert roadweave("evaluate", *good, "--out", recorded / f"part-{i}", "--shard", f"{i}/2")[0] == 0
    code, _, err = roadweave("merge", recorded / "part-1", "--out", recorded / "half")
    assert code == 2 and "no shard 2, expected all 2 shards" in err and err.count("\n") == 1
    assert roadweave("merge", recorded / "part-1", recorded / "part-2", "--out", recorded / "merged")[0] == 0
    assert roadweave("gate", recorded / "merged", "--baseline", recorded / "baseline.json", "--write-baseline")[0] == 0
    assert roadweave("evaluate", *bad, "--out", recorded / "bad-results")[0] == 0
    words = ("--baseline", recorded / "baseline.json", "--max-drop", "mAP:0.005", "--rounds", "200")
    code, out, err = roadweave("gate", recorded / "merged", *words, "--strict", "--json")
    assert (code, err, json.loads(out)["verdict"]) == (0, "", "pass")
    files = {name: recorded / f"report.{name}" for name in ("junit", "markdown", "html")}
    code, out, _ = roadweave("gate", recorded / "bad-results", *words, *(w for n, p in files.items() for w in (f"--{n}", p)))
    assert code == 1 and "gate: FAIL" in out
    suite = ElementTree.parse(files["junit"]).getroot()
    assert int(suite.get("failures")) == len(suite.findall(".//failure")) == 1 and int(suite.get("tests")) > 10
    assert "### Gate: FAIL" in files["markdown"].read_text()
    page = files["html"].read_text()
    assert page.count("<svg") >= 3 and "/drive?drive=d" in page
    code, _, err = roadweave("gate", recorded / "bad-results", "--baseline", recorded / "nowhere.json", "--max-drop", "mAP:0")
    assert code == 2 and err.count("\n") == 1
    assert roadweave("gate", recorded / "bad-results", "--baseline", recorded / "baseline.json")[0] == 2
