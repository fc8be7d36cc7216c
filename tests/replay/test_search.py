import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import roadweave
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError, UnknownFormat
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.site import Crossing, Rsu, Site
from replay import search_tables
from replay.drive import EGO_POSES, FUSED_TRACKS, ROADSIDE_MESSAGES, TRUTH, Event
from replay.recorded import open_drive
from replay.recorder import Recorder
from replay.search import ask, candidates, search
from replay.search_index import INDEX, INDEX_FOLDER, gather
from replay.search_phrase import read_phrase
from replay.search_sql import moments_sql
from replay.search_tables import TABLES, flat_tables
from tests.replay.drives import START_NS, STEP_NS, drive_info, message

CAR, PEDESTRIAN = ObjectClass.CAR, ObjectClass.PEDESTRIAN


def listed(time_ns, source, rows):
    """Rows of (class, track, x, y, vx), in map, with footprints of 4 x 2 m or 0.6 x 0.6 m."""
    label, track, x, y, vx = (np.array(column) for column in zip(*rows))
    size = np.where((label == CAR)[:, None], [4.0, 2.0, 1.6], [0.6, 0.6, 1.7])
    boxes = Boxes3D("map", np.column_stack([x, y, np.zeros(len(x))]).astype(float), size, np.zeros(len(x)))
    return ObjectList.build(boxes, source, time_ns, label.astype(np.uint8), track_id=track,
                            velocity_mps=np.column_stack([vx, np.zeros(len(x))]).astype(float))


def scene(ticks=20):
    """The ego drives at 10 m/s along x. A pedestrian stands ahead at x = 24; a car brakes from 10 m/s; a ghost is tracked."""
    for tick in range(ticks):
        time_ns, t_s = START_NS + tick * STEP_NS, tick / 10
        pose = SE3("map", "ego", np.eye(3), np.array([10.0 * t_s, 0.0, 0.0]))
        yield Event(time_ns, EGO_POSES, EgoPose(time_ns, pose, np.array([10.0, 0.0, 0.0]), np.full((6, 6), np.nan)))
        speed = max(10.0 - 6.0 * t_s, 0.0)
        rows = [(PEDESTRIAN, 1, 24.0, 0.0, 0.0), (CAR, 2, 60.0, 10.0, speed)]
        hidden = np.array([tick >= 15, False])
        yield Event(time_ns, TRUTH, Truth.build(listed(time_ns, "truth", rows), points_in_box=np.where(hidden, 0, 50),
                                                pixels_visible=np.where(hidden, 0, 900), roadside_points=np.full(2, 30)))
        ghost = [(CAR, 9, -40.0, 0.0, 0.0)] if 5 <= tick < 8 else []
        yield Event(time_ns, FUSED_TRACKS, listed(time_ns, "fused", [*rows, *ghost]))
        if tick < 4 or tick == 19:
            yield Event(time_ns, ROADSIDE_MESSAGES, message(time_ns, np.random.default_rng(tick)))


def recorded(folder, ticks=20):
    with Recorder(folder, drive_info()) as recorder:
        for event in scene(ticks):
            recorder.write(event)
    return folder


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("search") / "one")


def found(drive, phrase):
    """(from, to, track) of each moment."""
    table = search([drive], phrase).to_pydict()
    return [(round(a, 3), round(b, 3), track) for a, b, track in zip(table["from_s"], table["to_s"], table["track_id"])]


def test_who_is_near_and_about_to_be_hit_is_one_moment(drive):
    gap_at = {t: 24.0 - 0.3 - 10.0 * t - 2.2 for t in np.arange(20) / 10}
    near = [t for t, gap in gap_at.items() if gap <= 6.0]
    assert found(drive, "pedestrian within 6 m of ego and ttc < 1.5") == [(round(near[0], 3), round(near[-1], 3), 1)]


def test_numbers_of_a_moment_are_those_of_the_quantity_named_first(drive):
    row = search([drive], "pedestrian ttc < 1 and distance < 50").to_pylist()[0]
    assert row["quantity"] == "ttc_s" and row["least"] == pytest.approx((24.0 - 0.3 - 19.0 - 2.2) / 10, abs=1e-3)
    assert row["link"] == f"/drive?drive=one&t={row['from_s']:.2f}"


@pytest.mark.parametrize(("phrase", "moments"), [
    ("car faster than 36 km/h", []),
    ("car faster than 35 km/h", [(0.0, 0.0, 2)]),
    ("car braking over 5 m/s2", [(0.4, 1.7, 2)]),
    ("car brakes over 7", []),
    ("truth person hidden from ego", [(1.5, 1.9, 1)]),
    ("persons hidden", [(1.5, 1.9, 1)]),
    ("fused.tracks without truth within 2 m", [(0.5, 0.7, 9)]),
    ("vehicle track = 9 and ego faster than 9 m/s", [(0.5, 0.7, 9)]),
    ("vehicle track = 9 and ego faster than 11 m/s", []),
    ("object in truth distance > 61", []),
    ("car track = 9 and no message for 1 s", [(0.5, 0.7, 9)]),
    ("no message for 1 s", [(0.3, 1.9, -1)]),
    ("no message from nobody for 1 s", []),
    ("pedestrian or car track = 1", [(0.0, 1.9, 1)]),
    ("car track = 9 or pedestrian ttc < 0.3", [(0.5, 0.7, 9), (1.9, 1.9, 1)]),
    ("pedestrian ttc < 0.3 or t between 0 and 100 ms", [(0.0, 0.1, 1), (1.9, 1.9, 1)]),
    ("pedestrian not ttc at least 0.3", [(1.9, 1.9, 1)]),
    ("truth person not hidden t over 1.3", [(1.4, 1.4, 1)]),
    ("car standing t > 1", [(1.6, 1.9, 2)]),
    ("car moving for 1.6 s", []),
    ("car moving for at least 1.5 s", [(0.0, 1.5, 2)]),
    ("vehicle behind ego", [(0.5, 0.7, 9)]),
    ("car left of ego t < 0.05", [(0.0, 0.0, 2)]),
    ("car right of ego", []),
    ("pedestrian ahead approaching ego t > 1.85", [(1.9, 1.9, 1)]),
    ("object in truth class = bus", []),
    ("pedestrian source = fused t > 1.85", [(1.9, 1.9, 1)]),
    ("pedestrian from nobody", []),
    ("hard braking over 1 m/s2", []),
    ("ego time < 0.05", [(0.0, 0.0, -1)]),
    ("message format = cpm t > 1", [(1.9, 1.9, -1)]),
    ("message kind = SignalMessage", []),
    ("pedestrian within 40 m of car and t > 1.85", [(1.9, 1.9, 1)]),
])
def test_phrases_find_what_they_say(drive, phrase, moments):
    assert found(drive, phrase) == moments


@pytest.mark.parametrize(("phrase", "word", "place", "expected"), [
    ("pedestran within 2 m of ego", "'pedestran'", 0, "'pedestrian'?"),
    ("car within 2 m", "the end", 14, "expected of"),
    ("car within x m of ego", "'x'", 11, "a number"),
    ("car speed > 3 s", "'s'", 14, "km/h"),
    ("car ttc 3", "'3'", 8, "<="),
    ("message ttc < 3", "'ttc'", 8, "delay"),
    ("car and", "the end", 7, "faster than"),
    ("", "the end", 0, "a phrase such as"),
    ("car within 2 m of ego and hiden", "'hiden'", 26, "'hidden'?"),
    ("car ttc < 2 for 3 s and", "'and'", 20, "the end"),
    ("car ! 3", "'!'", 4, "not"),
    ("car hard turning", "'turning'", 9, "braking"),
    ("car not in truth", "'in'", 8, "crossing"),
    ("car class = lorry", "'lorry'", 12, "truck"),
    ("car left < 3", "'<'", 9, "of"),
    ("hard car", "'car'", 5, "braking"),
    ("no pedestrian", "'pedestrian'", 3, "message"),
])
def test_what_cannot_be_read_is_pointed_at(phrase, word, place, expected):
    with pytest.raises(SpecError) as caught:
        read_phrase(phrase)
    said = str(caught.value).splitlines()
    assert word in said[0] and expected in said[0]
    assert place is None or said[2] == "  " + " " * place + "^"


def test_a_quote_in_a_name_stays_a_name(drive):
    assert found(drive, "message from x'OR'1 delay > 0") == []


def test_sql_sees_the_same_rows_as_the_drive_holds(drive):
    rows = ask(gather([drive]), "SELECT topic, count(*) AS n FROM objects GROUP BY topic ORDER BY topic").to_pylist()
    info = open_drive(drive).info
    assert {row["topic"]: row["n"] for row in rows} == {name: info.topics[name].objects for name in (FUSED_TRACKS, TRUTH)}


@pytest.mark.parametrize("sql", ["SELECT foo FROM objects", "SELEC 1"])
def test_sql_that_is_wrong_is_refused_with_duckdbs_reason(drive, sql):
    with pytest.raises(InputError, match="Error"):
        ask(gather([drive]), sql)


def test_an_unclosed_drive_has_the_same_tables(tmp_path, drive):
    recorder = Recorder(tmp_path / "killed", drive_info())
    for event in scene():
        recorder.write(event)
    recorder.flush()
    killed, closed = flat_tables(open_drive(tmp_path / "killed")), flat_tables(open_drive(drive))
    assert killed["objects"].num_rows
    assert all(repr(killed[name].to_pydict()) == repr(closed[name].to_pydict()) for name in closed)  # NaN equals no NaN
    recorder.close()


def test_a_folder_is_indexed_once_and_a_changed_drive_anew(tmp_path, drive):
    for name in ("a", "b/c"):
        shutil.copytree(drive, tmp_path / name)
    assert len(search([tmp_path], "car braking over 5")) == 2
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / INDEX_FOLDER).iterdir()}
    assert set(files) == {"index.parquet", *(f"{d}.{t}.parquet" for d in ("a", "b%2Fc") for t in TABLES)}
    assert len(search([tmp_path], "car braking over 5")) == 2
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / INDEX_FOLDER).iterdir()} == files
    shutil.rmtree(tmp_path / "a")
    recorded(tmp_path / "a", ticks=4)
    assert [row["drive"] for row in search([tmp_path], "car braking over 5").to_pylist()] == ["b/c"]


@pytest.mark.parametrize("damage", [
    lambda index: index.write_bytes(b""), lambda index: index.write_bytes(index.read_bytes()[:-40]), lambda index: index.unlink(),
    lambda index: pq.write_table(pq.read_table(index).replace_schema_metadata({"version": "0"}), index),
])
def test_an_index_that_is_damaged_or_of_another_version_is_made_anew(tmp_path, drive, damage):
    shutil.copytree(drive, tmp_path / "a")
    search(tmp_path, "car")
    damage(tmp_path / INDEX_FOLDER / INDEX)
    assert len(search(tmp_path, "car braking over 5")) == 1
    assert pq.read_table(tmp_path / INDEX_FOLDER / INDEX)["drive"].to_pylist() == ["a"]


def test_a_table_that_was_cut_short_is_made_anew(tmp_path, drive):
    shutil.copytree(drive, tmp_path / "a")
    search(tmp_path, "car")
    table = tmp_path / INDEX_FOLDER / "a.objects.parquet"
    table.write_bytes(table.read_bytes()[:100])
    assert len(search(tmp_path, "car braking over 5")) == 1


def test_a_drive_named_by_itself_is_read_from_its_folders_index(tmp_path, drive, monkeypatch):
    for name in ("a", "b"):
        shutil.copytree(drive, tmp_path / name)
    assert len(search(tmp_path / "a", "car braking over 5")) == 1 and not (tmp_path / INDEX_FOLDER).exists()
    search(tmp_path, "car")
    shutil.rmtree(tmp_path / "b")
    recorded(tmp_path / "b", ticks=4)
    assert len(search(tmp_path / "b", "car braking over 5")) == 0
    monkeypatch.setattr("replay.search_index.open_drive", lambda drive: pytest.fail(f"{drive} is read again"))
    assert [len(search(tmp_path / name, "car braking over 5")) for name in ("a", "b")] == [1, 0]
    assert len(search(tmp_path, "car braking over 5")) == 1


def test_tables_of_a_drive_that_is_gone_go_too(tmp_path, drive):
    for name in ("a", "b"):
        shutil.copytree(drive, tmp_path / name)
    search(tmp_path, "car")
    shutil.rmtree(tmp_path / "a")
    search(tmp_path, "car")
    assert {path.name.split(".")[0] for path in (tmp_path / INDEX_FOLDER).iterdir()} == {"b", "index"}


def test_a_folder_that_cannot_be_written_is_searched_all_the_same(tmp_path, drive, monkeypatch):
    shutil.copytree(drive, tmp_path / "a")

    def refuse(path, table):
        raise PermissionError(path)

    monkeypatch.setattr("replay.search_index._put", refuse)
    assert len(search(tmp_path, "car braking over 5")) == 1


def test_a_drive_that_still_grows_is_read_anew(tmp_path):
    recorder = Recorder(tmp_path / "growing", drive_info())
    *early, last = [event for event in scene() if event.topic == TRUTH]
    for event in early:
        recorder.write(event)
    recorder.flush()
    before = len(early), search(tmp_path, "truth car").to_pylist()[0]["hits"]
    recorder.write(last)
    recorder.flush()
    assert (*before, search(tmp_path, "truth car").to_pylist()[0]["hits"]) == (19, 19, 20)
    recorder.close()


@pytest.mark.parametrize(("phrase", "reads"), [
    ("tram", 0), ("car faster than 20 m/s", 0), ("car faster than 5 m/s", 1), ("truck or car faster than 5 m/s", 1),
    ("car ttc < 1 or speed > 5", 1), ("car speed > 50 or gap < -1", 0), ("car speed between 60 and 70", 0), ("car hidden", 0),
    ("pedestrian hidden", 1), ("car faster than 5 and ego faster than 50", 0), ("tram or hard braking over 99", 0),
    ("tram or pedestrian within 1 km of ego", 1), ("car not faster than 20", 1), ("no message for 1 s", 1),
    ("rsu.objects car", 0),
])
def test_drives_whose_summary_rules_a_phrase_out_are_not_read(drive, phrase, reads):
    assert len(candidates(gather([drive]), read_phrase(phrase)).drives) == reads


@pytest.mark.parametrize("phrase", [
    "car", "car faster than 5", "pedestrian hidden", "vehicle speed = 0", "car gap between 20 and 30", "car closing > 9",
    "car closing > 9 or pet < 1", "pedestrian crossing or ttc < 1", "ego faster than 9.999",
])
def test_a_summary_never_rules_out_a_drive_with_hits(drive, phrase):
    searched = gather([drive])
    asked = read_phrase(phrase)
    assert bool(len(ask(searched, moments_sql(asked)))) <= bool(candidates(searched, asked).drives)


def test_a_folder_without_drives_is_told(tmp_path):
    with pytest.raises(MissingInput, match=r"no drive.json"):
        gather([tmp_path])


def test_a_damaged_drive_is_named_and_the_others_are_searched(tmp_path, drive):
    for name in ("good", "bad"):
        shutil.copytree(drive, tmp_path / name)
    (tmp_path / "bad" / "truth.Truth.parquet").unlink()
    run = CliRunner().invoke(roadweave.app, ["search", "car braking over 5", str(tmp_path), "--json"])
    told = json.loads(run.stdout)
    assert run.exit_code == 2 and told["rows"] == 1 and told["found"][0]["drive"] == "good"
    assert [skipped["drive"] for skipped in told["skipped"]] == [str(tmp_path / "bad")]
    assert "truth.Truth.parquet" in told["skipped"][0]["error"]
    again = CliRunner().invoke(roadweave.app, ["search", "car", str(tmp_path), "--json", "--skip-bad"])
    assert again.exit_code == 0


def test_a_drive_of_a_newer_format_is_named(tmp_path, drive):
    for name in ("good", "newer"):
        shutil.copytree(drive, tmp_path / name)
    manifest = tmp_path / "newer" / "drive.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    run = CliRunner().invoke(roadweave.app, ["search", "car braking over 5", str(tmp_path)])
    assert run.exit_code == 2 and "newer" in run.stderr and "99" in run.stderr and "good" in run.stdout
    with pytest.raises(UnknownFormat, match="99"):
        search(tmp_path, "car")


def test_a_unit_of_the_site_that_never_spoke_was_silent_all_along(tmp_path):
    crossing = Crossing("x", GeoPoint(48.1, 11.5, 520.0), np.zeros((0, 2)), "off")
    units = tuple(Rsu(name, "x", 1, "", "", SE3.identity("map", name)) for name in ("rsu-1", "rsu-2"))
    with Recorder(tmp_path / "one", drive_info(site=Site((crossing,), units))) as recorder:
        for event in scene():
            recorder.write(event)
    assert found(tmp_path / "one", "no message from rsu-2 for 1.5 s") == [(0.0, 1.9, -1)]
    assert found(tmp_path / "one", "no message from rsu-1 for 1.5 s") == [(0.3, 1.9, -1)]
    assert found(tmp_path / "one", "no message from rsu-3 for 1.5 s") == []


def test_rows_are_written_whole_and_explained(tmp_path, drive):
    out = tmp_path / "moments.parquet"
    run = CliRunner().invoke(roadweave.app, ["search", "car", str(drive), "--out", str(out), "--limit", "1", "--json"])
    assert len(json.loads(run.stdout)["found"]) == 1 and pq.read_table(out).num_rows == 2
    explained = CliRunner().invoke(roadweave.app, ["search", "car ttc < 2", "--explain"])
    assert explained.exit_code == 0 and "a.ttc_s < 2" in explained.stdout


def test_what_is_not_measured_meets_no_condition(tmp_path):
    with Recorder(tmp_path / "still", drive_info()) as recorder:
        for event in scene(5):
            if event.topic == FUSED_TRACKS:
                boxes = event.payload.boxes
                event = Event(event.time_ns, event.topic, ObjectList.build(boxes, "fused", event.time_ns, event.payload.label))
            recorder.write(event)
    for phrase in ("car faster than 1 m/s", "car slower than 99 m/s", "car ttc > 0", "car acceleration > -99"):
        assert found(tmp_path / "still", phrase) == []
    assert found(tmp_path / "still", "car distance > 1") != []


def test_every_phrase_of_the_page_is_understood(drive):
    page = (Path(search_tables.__file__).parents[1] / "data_specs" / "search.md").read_text()
    phrases = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    assert len(phrases) >= 12
    for phrase in phrases:
        ask(gather([drive]), moments_sql(read_phrase(phrase)))


def test_every_column_of_the_tables_is_on_the_page():
    page = (Path(search_tables.__file__).parents[1] / "data_specs" / "search.md").read_text()
    for schema in (search_tables.OBJECTS, search_tables.MESSAGES, search_tables.EGO, search_tables.EVENTS):
        assert [name for name in schema.names if name not in page] == []
