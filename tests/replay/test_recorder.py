import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from data_specs.errors import InputError, SpecError
from replay.drive import EGO_SAMPLES, FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Event
from replay.recorded import open_drive
from replay.recorder import Recorder, extend_drive, import_drive
from tests.replay.drives import START_NS, STEP_NS, drive_info, events, same


def record(path, made, **kwargs):
    with Recorder(path, drive_info(), **kwargs) as recorder:
        for event in made:
            recorder.write(event)
    return recorder.info


class ListImporter:
    def __init__(self, made, fails_after=None):
        self.made, self.fails_after = made, fails_after

    def describe(self):
        return drive_info()

    def __len__(self):
        return len(self.made)

    def __iter__(self):
        for i, event in enumerate(self.made):
            if i == self.fails_after:
                raise InputError("source.bin", "damaged", "something whole")
            yield event


def test_what_is_recorded_comes_back_the_same_and_in_order(tmp_path):
    made = events(70)
    info = record(tmp_path / "drive", made)
    read = list(open_drive(tmp_path / "drive").events())
    assert [(e.time_ns, e.topic) for e in read] == [(e.time_ns, e.topic) for e in made]
    assert all(same(a.payload, b.payload) for a, b in zip(made, read))
    assert info == open_drive(tmp_path / "drive").info
    assert info.topics["rsu.messages"].kind == "RoadsideMessage, SignalMessage"
    assert info.topics["rsu.messages"].count == 140
    assert any("JPEG" in note for note in info.notes)


def test_records_written_late_are_read_in_order_of_time(tmp_path):
    made = [e for e in events(30) if e.topic == TRUTH]
    record(tmp_path / "drive", made[20:] + made[:20])
    assert [e.time_ns for e in open_drive(tmp_path / "drive").events()] == [e.time_ns for e in made]


def test_samples_that_go_back_in_time_are_refused(tmp_path):
    made = [e for e in events(3) if e.topic == EGO_SAMPLES]
    with pytest.raises(SpecError, match=r"ego\.samples: a sample of time \d+ after one of \d+, expected order of time"):
        record(tmp_path / "drive", made[::-1])


def test_a_target_that_is_there_is_refused_unless_it_may_be_overwritten(tmp_path):
    record(tmp_path / "drive", events(2))
    with pytest.raises(InputError, match=r"drive: something is there already, expected .* not exist yet; overwrite"):
        record(tmp_path / "drive", events(2))
    record(tmp_path / "drive", events(1), overwrite=True)
    assert open_drive(tmp_path / "drive").info.topics[TRUTH].count == 1


def test_a_folder_that_is_no_drive_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="something that is not a drive"):
        Recorder(tmp_path, drive_info(), overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_an_import_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match=r"source\.bin: damaged"):
        import_drive(ListImporter(events(3), fails_after=7), tmp_path / "drive")
    assert list(tmp_path.iterdir()) == []


def test_an_import_that_fails_leaves_the_drive_it_was_to_overwrite(tmp_path):
    import_drive(ListImporter(events(3)), tmp_path / "drive")
    with pytest.raises(InputError, match=r"source\.bin"):
        import_drive(ListImporter(events(3), fails_after=7), tmp_path / "drive", overwrite=True)
    assert open_drive(tmp_path / "drive").info.topics[TRUTH].count == 3
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]


def test_an_error_while_recording_leaves_a_drive_that_says_it_was_not_closed(tmp_path):
    with pytest.raises(RuntimeError):
        with Recorder(tmp_path / "drive", drive_info()) as recorder:
            for event in events(5):
                recorder.write(event)
            raise RuntimeError("the stage fell over")
    drive = open_drive(tmp_path / "drive")
    assert "this drive was not closed" in drive.info.notes[-1]
    assert len(list(drive.events())) == 40


def test_a_recorder_that_is_killed_loses_at_most_its_last_chunk_and_batch(tmp_path):
    program = textwrap.dedent("""
        import sys, time
        from replay.recorder import Recorder
        from tests.replay.drives import drive_info, events
        recorder = Recorder(sys.argv[1], drive_info())
        for event in events(120):
            recorder.write(event)
        print("written", flush=True)
        time.sleep(60)
    """)
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "drive")], stdout=subprocess.PIPE,
                             cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONPATH": "."})
    assert child.stdout is not None and child.stdout.readline() == b"written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    drive = open_drive(tmp_path / "drive")
    made = events(120)
    read = list(drive.events())
    records = [e for e in read if e.topic != EGO_SAMPLES and not e.topic.endswith(".samples")]
    assert len(records) >= 120 * 6 - 2 * 16
    samples = [e for e in read if e.topic == EGO_SAMPLES]
    assert len(samples) * 2 * 500 * 21 >= 120 * 2 * 500 * 21 - 1.1 * 2**20
    wanted = [e for e in made if e.topic == EGO_SAMPLES][:len(samples)]
    assert all(same(a.payload, b.payload) for a, b in zip(wanted, samples))
    assert "not closed" in drive.info.notes[-1] and "sensors.mcap" in drive.info.notes[-1]


def test_a_drive_is_extended_and_the_topics_named_are_replaced(tmp_path):
    path = tmp_path / "drive"
    record(path, events(10))
    made = [e for e in events(10, seed=5) if e.topic == VEHICLE_OBJECTS]
    fused = [Event(e.time_ns + 1, FUSED_TRACKS, e.payload) for e in made]
    for _ in range(2):
        info = extend_drive(path, made[:4] + fused, [VEHICLE_OBJECTS, FUSED_TRACKS], facts={"weights": "nano"})
    assert (info.topics[VEHICLE_OBJECTS].count, info.topics[FUSED_TRACKS].count, info.facts["weights"]) == (4, 10, "nano")
    drive = open_drive(path)
    assert all(same(a.payload, b.payload) for a, b in zip(made, drive.events(topics=[VEHICLE_OBJECTS])))
    assert len(list(drive.events(topics=[TRUTH]))) == 10
    assert drive.info.end_ns == START_NS + 9 * STEP_NS + 1
    assert len(list(path.glob("vehicle.objects*"))) == 1


def test_extending_with_a_topic_that_is_there_is_refused_and_changes_nothing(tmp_path):
    path = tmp_path / "drive"
    record(path, events(4))
    before = sorted((p.name, p.stat().st_size) for p in path.iterdir())
    with pytest.raises(SpecError, match=r"truth: is in the drive already, expected a new topic or one that is replaced"):
        extend_drive(path, [e for e in events(4) if e.topic == TRUTH])
    with pytest.raises(SpecError, match=r"ego\.samples: a Sample, expected one of EgoPose"):
        extend_drive(path, [e for e in events(4) if e.topic == EGO_SAMPLES], [EGO_SAMPLES])
    assert sorted((p.name, p.stat().st_size) for p in path.iterdir()) == before


def test_facts_that_are_not_plain_json_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"facts: .*not JSON serializable, expected plain JSON"):
        Recorder(tmp_path / "drive", drive_info(facts={"folder": tmp_path}))
