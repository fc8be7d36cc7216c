import json
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from mcap.reader import NonSeekingReader, make_reader

from data_specs.errors import InputError, TruncatedInput
from replay.manifest import MESSAGE_JOURNAL, OBJECT_JOURNAL, SENSORS
from replay.mcap_drive import CHUNK_BYTES
from replay.object_log import JOURNAL_BATCH_ROWS
from replay.recorded import open_drive
from replay.recorder import Recorder, lock_folder
from replay.repair import repair_drive
from tests.replay.drives import drive_info, events, same
from tests.replay.test_commands import roadweave

ROOT = Path(__file__).resolve().parents[2]
STEPS = 120
SAMPLE_BYTES = 500 * 21  # of points alone, before compression


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """A drive as a killed recorder leaves it, with two chunks of sensor data and the events that it was given."""
    path = tmp_path_factory.mktemp("repair") / "drive"
    made = events(STEPS)
    if os.fork() == 0:
        recorder = Recorder(path, drive_info(), sync_every_s=None)
        for event in made:
            recorder.write(event)
        os._exit(0)  # nothing is closed
    os.wait()
    return path, made


@pytest.fixture
def killed(left_behind, tmp_path):
    path, made = left_behind
    return Path(shutil.copytree(path, tmp_path / "drive")), made


def cut(path, size):
    with path.open("r+b") as stream:
        stream.truncate(size)


def damage(path, offset, data=b"\x55" * 64):
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def times(drive, topic):
    return [event.time_ns for event in drive.events(topics=[topic])]


def test_a_repaired_drive_holds_what_was_whole_and_is_closed(killed):
    path, made = killed
    before = list(open_drive(path).events())
    report = repair_drive(path)
    drive = open_drive(path)
    after = list(drive.events())
    assert [(e.time_ns, e.topic) for e in after] == [(e.time_ns, e.topic) for e in before]
    assert all(same(a.payload, b.payload) for a, b in zip(after, before))
    assert dict(Counter(event.topic for event in after)) == report.kept == {k: v.count for k, v in drive.info.topics.items()}
    assert report.lost_at_least <= len(made) - len(after) <= 2 * JOURNAL_BATCH_ROWS + CHUNK_BYTES // SAMPLE_BYTES
    assert "recorder was killed" in drive.info.notes[-1] and not (path / OBJECT_JOURNAL).exists()


def test_repairing_again_changes_nothing(killed):
    path, _ = killed
    first = repair_drive(path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    again = repair_drive(path)
    assert first.repaired and not again.repaired and again.kept == first.kept
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_drive_that_was_closed_is_left_alone(tmp_path):
    with Recorder(tmp_path / "drive", drive_info()) as recorder:
        for event in events(3):
            recorder.write(event)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "drive").iterdir()}
    assert not repair_drive(tmp_path / "drive").repaired
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "drive").iterdir()} == before


def test_a_closed_drive_with_a_short_file_is_refused_by_name(tmp_path):
    with Recorder(tmp_path / "drive", drive_info()) as recorder:
        for event in events(3):
            recorder.write(event)
    cut(tmp_path / "drive" / SENSORS, 1000)
    with pytest.raises(TruncatedInput, match=r"sensors\.mcap: ends at byte 1000"):
        repair_drive(tmp_path / "drive")


def test_a_drive_that_is_being_recorded_is_refused(tmp_path):
    with Recorder(tmp_path / "drive", drive_info()) as recorder:
        recorder.write(events(1)[0])
        with pytest.raises(InputError, match="another process is writing, expected one whose recorder has ended"):
            repair_drive(tmp_path / "drive")
    assert not repair_drive(tmp_path / "drive").repaired


@pytest.mark.parametrize("share", [0.0, 0.001, 0.34, 0.6, 0.9999])
@pytest.mark.parametrize("name", [SENSORS, OBJECT_JOURNAL])
def test_wherever_a_file_breaks_off_all_before_is_kept_and_no_octet_is_unaccounted_for(killed, name, share):
    path, _ = killed
    size = int((path / name).stat().st_size * share)
    whole = {topic: info.count for topic, info in open_drive(path).info.topics.items()}
    cut(path / name, size)
    report = repair_drive(path)
    (loss,) = [file for file in report.files if file.name == name]
    assert loss.octets == size and loss.gaps[-1].offset + loss.gaps[-1].octets == size and loss.gaps[-1].before_ns is None
    untouched = [topic for topic in whole if topic.endswith(".samples") != (name == SENSORS)]
    assert all(report.kept[topic] == whole[topic] for topic in untouched)
    drive = open_drive(path)
    assert {topic: len(drive.times(topic)) for topic in drive.info.topics} == report.kept
    if share > 0.9:
        assert loss.dropped_octets > 0 and loss.kept > 0


@pytest.mark.parametrize("back", (1, 7, 8, 9, 30))
def test_every_length_of_a_torn_head_is_told(killed, back):
    path, _ = killed
    size = (path / MESSAGE_JOURNAL).stat().st_size
    cut(path / MESSAGE_JOURNAL, size - back)
    loss = repair_drive(path).files[2]
    assert loss.gaps[-1].offset + loss.gaps[-1].octets == size - back and loss.gaps[-1].octets > 0
    assert loss.kept % JOURNAL_BATCH_ROWS == 0


def test_a_damaged_chunk_in_the_middle_costs_itself_alone(killed):
    path, _ = killed
    before = {topic: times(open_drive(path), topic) for topic in ("ego.samples", "rsu.rsu-1.samples")}
    damage(path / SENSORS, 900_000)
    report = repair_drive(path)
    loss = report.files[0]
    gap = loss.gaps[0]
    assert gap.reason == "a chunk that does not match its checksum" and gap.octets < 1.1 * CHUNK_BYTES
    assert report.lost_at_least >= 30 and loss.incomplete >= 0
    drive = open_drive(path)
    for topic, had in before.items():
        kept = times(drive, topic)
        lost = sorted(set(had) - set(kept))
        assert kept[0] == had[0] and kept[-1] == had[-1]
        assert lost == had[had.index(lost[0]):had.index(lost[-1]) + 1] and gap.after_ns <= lost[0] <= lost[-1] <= gap.before_ns


def test_the_first_chunk_takes_no_other_with_it(killed):
    path, _ = killed
    last_ns = times(open_drive(path), "ego.samples")[-1]
    damage(path / SENSORS, 20_000)
    repair_drive(path)
    assert times(open_drive(path), "ego.samples")[-1] == last_ns


def test_a_length_that_lies_hides_no_chunk_behind_it(killed):
    path, _ = killed
    data = (path / SENSORS).read_bytes()
    second = data.index(b"\x04\x00\x00\x00zstd", 100_000) - 37
    damage(path / SENSORS, second + 1, (10**12).to_bytes(8, "little"))
    loss = repair_drive(path).files[0]
    assert loss.gaps[0].offset == second and loss.gaps[0].before_ns is not None


def test_a_damaged_batch_in_the_middle_costs_itself_alone(killed):
    path, made = killed
    had = sum(topic.count for topic in open_drive(path).info.topics.values())
    with pa.memory_map(str(path / OBJECT_JOURNAL)) as source:
        reader = pa.ipc.open_stream(source)
        for _ in range(5):
            reader.read_next_batch()
        place = source.tell()
    damage(path / OBJECT_JOURNAL, place)
    report = repair_drive(path)
    assert had - sum(report.kept.values()) == JOURNAL_BATCH_ROWS
    gap = report.files[1].gaps[0]
    assert gap.offset == place and gap.before_ns is not None
    assert 0 < report.lost_at_least <= len(made) - sum(report.kept.values())


def test_a_damaged_record_costs_itself_alone(killed):
    path, _ = killed
    had = sum(topic.count for topic in open_drive(path).info.topics.values())
    data = (path / OBJECT_JOURNAL).read_bytes()
    damage(path / OBJECT_JOURNAL, data.index(b"vehicle.objects", len(data) // 2), b"vehicle.objectz")
    report = repair_drive(path)
    assert had - sum(report.kept.values()) == 1 and "1 of 16 records" in report.files[1].gaps[0].reason


def test_a_repair_that_is_cut_short_is_taken_up_and_tells_the_same(killed, monkeypatch):
    path, _ = killed
    damage(path / SENSORS, 900_000)
    expected = repair_drive(Path(shutil.copytree(path, path.parent / "other")))
    real, moved = Path.replace, []

    def fails_at_the_sensors(self, target):
        moved.append(self.name)
        if len(moved) == 9:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fails_at_the_sensors)
    with pytest.raises(KeyboardInterrupt):
        repair_drive(path)
    monkeypatch.setattr(Path, "replace", real)
    assert sum(1 for _ in open_drive(path).events()) > 0  # still readable between the two
    assert repair_drive(path).to_json() == expected.to_json()
    assert not (path / ".repairing").exists()


def with_little_room(octets, program, *words):
    """Run a program whose files may not grow beyond `octets`, as if the disk were full."""
    return subprocess.run([sys.executable, "-c", program, *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets)),
                          env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_a_repair_without_room_leaves_the_drive_as_it_was(killed):
    path, _ = killed
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    program = "import sys; from roadweave import main; sys.argv[0] = 'roadweave'; main()"
    run = with_little_room(100_000, program, "repair", path)
    assert run.returncode == 2 and "no room for the repaired files" in run.stderr and run.stderr.count("\n") == 1
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert repair_drive(path).repaired


def test_a_recorder_without_room_stops_and_what_it_wrote_is_whole(tmp_path):
    program = ("import sys; from replay.recorder import Recorder; from tests.replay.drives import drive_info, events\n"
               "with Recorder(sys.argv[1], drive_info()) as recorder:\n"
               "    for event in events(120): recorder.write(event)")
    run = with_little_room(1_500_000, program, tmp_path / "drive")
    assert run.returncode == 1 and "the disk is full after" in run.stderr.splitlines()[-1]
    drive = open_drive(tmp_path / "drive")
    kept = sum(1 for _ in drive.events())
    assert kept > 300 and sum(repair_drive(tmp_path / "drive").kept.values()) == kept


def test_other_readers_open_a_repaired_sensors_file(killed):
    path, _ = killed
    repair_drive(path)
    with (path / SENSORS).open("rb") as stream:
        summary = make_reader(stream).get_summary()
        assert summary is not None and summary.statistics is not None
        stream.seek(0)
        assert sum(1 for _ in NonSeekingReader(stream).iter_messages()) == summary.statistics.message_count > 1000


@pytest.mark.slow
def test_ten_recorders_killed_at_random_moments_lose_at_most_a_chunk_each(tmp_path):
    run = subprocess.run([sys.executable, str(ROOT / "tests/replay/killed.py"), str(tmp_path), "7", "10"], check=True,
                         capture_output=True, text=True)
    for line in run.stdout.splitlines():
        check_killed(json.loads(line))


def check_killed(told):
    """A killed recorder's drive opens, is repaired, and lacks no more than its last chunk and batches."""
    path, written = Path(told["path"]), told["written"]
    readable = {topic: info.count for topic, info in open_drive(path).info.topics.items()}
    report = repair_drive(path)
    drive = open_drive(path)
    assert {topic: len(drive.times(topic)) for topic in drive.info.topics} == report.kept == readable
    lost = {topic: count - report.kept.get(topic, 0) for topic, count in written.items()}
    samples = sum(count for topic, count in lost.items() if topic.endswith(".samples"))
    records = sum(lost.values()) - samples
    assert samples <= CHUNK_BYTES // SAMPLE_BYTES + 1 and records <= 2 * JOURNAL_BATCH_ROWS
    assert report.lost_at_least <= max(sum(lost.values()), 0) + 1  # the event in the making may have its number already


def test_the_command_tells_what_was_lost_and_what_to_do(killed):
    path, _ = killed
    cut(path / SENSORS, 1_000_000)
    code, out, err = roadweave("repair", path, "--json")
    said = json.loads(out)
    assert (code, err, said["repaired"]) == (0, "", True)
    assert said["files"][0]["gaps"][0]["reason"] == "breaks off in a chunk" and said["files"][0]["dropped_octets"] > 0
    code, out, _ = roadweave("repair", path)
    assert code == 0 and "nothing to" in out and "dropped" not in out
    assert roadweave("repair", path.parent / "nowhere")[0] == 2


def test_a_lock_ends_with_its_handle(tmp_path):
    handle = lock_folder(tmp_path)
    with pytest.raises(InputError, match="another process"):
        lock_folder(tmp_path)
    os.close(handle)
    os.close(lock_folder(tmp_path))
