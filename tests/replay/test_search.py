import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import roadweave
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, FUSED_TRACKS, ROADSIDE_MESSAGES, TRUTH, Event
from replay.recorded import open_drive
from replay.recorder import Recorder
from replay.search import ask, moments, search
from replay.search_index import INDEX_FOLDER, gather
from replay.search_phrase import compile_phrase
from replay.search_tables import flat_tables
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
    ("", "empty", None, "phrase"),
])
def test_what_cannot_be_read_is_pointed_at(phrase, word, place, expected):
    with pytest.raises(SpecError) as caught:
        compile_phrase(phrase)
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
    assert set(files) == {"index.json", *(f"{d}.{t}.parquet" for d in ("a", "b%2Fc") for t in ("objects", "messages", "ego"))}
    assert len(search([tmp_path], "car braking over 5")) == 2
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / INDEX_FOLDER).iterdir()} == files
    shutil.rmtree(tmp_path / "a")
    recorded(tmp_path / "a", ticks=4)
    assert [row["drive"] for row in search([tmp_path], "car braking over 5").to_pylist()] == ["b/c"]


def test_an_index_that_is_damaged_or_of_another_version_is_made_anew(tmp_path, drive):
    shutil.copytree(drive, tmp_path / "a")
    for text in ("", "{", json.dumps({"version": 0, "drives": {"a": 3}})):
        search([tmp_path], "car")
        (tmp_path / INDEX_FOLDER / "index.json").write_text(text)
        assert len(search([tmp_path], "car braking over 5")) == 1


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


def test_rows_are_written_whole_and_explained(tmp_path, drive):
    out = tmp_path / "moments.parquet"
    run = CliRunner().invoke(roadweave.app, ["search", "car", str(drive), "--out", str(out), "--limit", "1", "--json"])
    assert len(json.loads(run.stdout)["found"]) == 1 and pq.read_table(out).num_rows == 2
    explained = CliRunner().invoke(roadweave.app, ["search", "car ttc < 2", "--explain"])
    assert explained.exit_code == 0 and "o0.ttc_s < 2" in explained.stdout


def test_no_hits_are_no_moments():
    hits = pa.table({name: pa.array([], kind) for name, kind in (
        ("drive", pa.string()), ("time_ns", pa.int64()), ("t_s", pa.float64()), ("lasts_s", pa.float64()), ("what", pa.string()),
        ("track_id", pa.int64()), ("quantity", pa.string()), ("value", pa.float64()))})
    assert moments(hits).num_rows == 0


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
