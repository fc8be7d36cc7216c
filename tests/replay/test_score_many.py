import json
import os

import pytest

from data_specs.errors import InputError, UnknownFormat
from replay import score_many
from replay.evaluate import Scoring
from replay.recorder import Recorder
from replay.results_folder import Shard, read_results
from replay.score_many import Done, evaluate_into, score_one
from tests.replay.metrics.test_outcomes import random_drives
from tests.replay.test_commands import roadweave

NUSCENES = Scoring("nuscenes")


def record(folder, drive):
    with Recorder(folder, drive.info, sync_every_s=None) as recorder:
        for event in drive.all_events:
            recorder.write(event)
    return folder


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drives")
    return [record(folder / drive.info.drive_id, drive) for drive in random_drives(4)]


@pytest.fixture
def broken(tmp_path, paths):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "drive.json").write_text("{")
    return tmp_path / "broken"


def octets(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.arrow")}


def test_a_drive_that_cannot_be_scored_is_named_and_loses_no_other(tmp_path, paths, broken):
    done = evaluate_into([*paths, broken], NUSCENES, tmp_path / "results")
    assert done.drives == ("d0", "d1", "d2", "d3") and [path for path, _ in done.failed] == [str(broken)]
    assert len(read_results(tmp_path / "results")) == 4
    with pytest.raises(InputError, match=r"1 of 5 drives not scored.*results are kept; .*broken.*drive\.json"):
        done.require_all()


def test_a_shard_that_lacks_a_drive_is_not_done(tmp_path, paths, broken):
    evaluate_into([*paths, broken], NUSCENES, tmp_path / "results", Shard(1, 1))
    assert not list((tmp_path / "results").glob("shard-*"))


def test_two_drives_of_one_id_are_refused_before_anything_is_scored(tmp_path, paths):
    twin = record(tmp_path / "twin", random_drives(1)[0])
    with pytest.raises(InputError, match=r"drive 'd0', as .* is too, expected drives with ids of their own"):
        evaluate_into([*paths, twin], NUSCENES, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_unknown_engine_is_refused_with_those_that_are_known(tmp_path, paths):
    with pytest.raises(UnknownFormat, match="--engine: 'slurm', expected one of processes, ray"):
        evaluate_into(paths, NUSCENES, tmp_path / "results", engine="slurm")


def test_an_error_that_nobody_foresaw_is_told_with_its_kind(monkeypatch, paths):
    def fail(*_):
        raise KeyError("speed")

    monkeypatch.setattr(score_many, "drive_result", fail)
    assert score_one(paths[0], NUSCENES, paths[0]).error == "KeyError: 'speed'"


def test_nothing_is_raised_where_all_was_scored():
    Done(("a",), ()).require_all()


@pytest.mark.slow
def test_processes_give_the_same_octets_as_one_and_survive_a_broken_drive(tmp_path, paths, broken):
    assert roadweave("evaluate", *paths, "--out", tmp_path / "one")[0] == 0
    code, out, err = roadweave("evaluate", *paths, broken, "--out", tmp_path / "two", "--workers", 2, "--json")
    assert code == 2 and err.count("\n") == 1 and "broken" in err
    said = json.loads(out)
    assert said["drives"] == ["d0", "d1", "d2", "d3"] and list(said["failed"]) == [str(broken)]
    assert octets(tmp_path / "one") == octets(tmp_path / "two") and len(octets(tmp_path / "one")) == 4



def test_a_process_that_dies_is_named_and_the_others_are_scored_again(tmp_path, monkeypatch, paths):
    monkeypatch.setattr(score_many, "_in_processes", _dying_on(paths[1]))
    done = evaluate_into(paths, NUSCENES, tmp_path / "results", workers=2)
    assert done.drives == ("d0", "d2", "d3")
    assert done.failed == ((str(paths[1]), "the process that scored it died, as for want of memory"),)


def _dying_on(deadly):
    from concurrent.futures.process import BrokenProcessPool

    def scored(chosen, scoring, _workers):
        for path in chosen:
            if path == deadly:
                raise BrokenProcessPool
            yield score_one(path, scoring, path)

    return scored


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ray_gives_the_same_octets_as_one_process(tmp_path, monkeypatch, paths):
    pytest.importorskip("ray", reason="the extra [ray] is not installed: pip install 'roadweave[ray]'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    relative = [os.path.relpath(path, tmp_path) for path in paths]
    words = ("evaluate", *relative, "--protocol", "nuscenes", "--out")
    assert roadweave(*words, "one")[0] == 0
    code, _, err = roadweave(*words, "two", "--engine", "ray", "--workers", 2)
    assert code == 0, err
    assert octets(tmp_path / "one") == octets(tmp_path / "two") and len(octets(tmp_path / "one")) == 4
