import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from data_specs.errors import InputError, MissingInput, RoadweaveError, SpecError, TruncatedInput, UnknownFormat
from replay.drive import EGO_SAMPLES, ROADSIDE_MESSAGES, TRUTH, VEHICLE_OBJECTS, Event, objects_in
from replay.info import info_json, info_rows
from replay.recorded import open_drive
from replay.recorder import Recorder
from tests.replay.drives import START_NS, STEP_NS, drive_info, events, objects, same, sample

STEPS = 150  # three row groups, several chunks


@pytest.fixture(scope="module")
def made():
    return events(STEPS)


@pytest.fixture(scope="module")
def recorded(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "drive"
    with Recorder(path, drive_info()) as recorder:
        for event in made:
            recorder.write(event)
    return path


@pytest.fixture
def copy(recorded, tmp_path):
    """A drive that a test may damage."""
    path = tmp_path / "drive"
    path.mkdir()
    for file in recorded.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


def keys(read):
    return [(event.time_ns, event.topic) for event in read]


times = st.integers(START_NS - STEP_NS, START_NS + (STEPS + 1) * STEP_NS)


@settings(max_examples=40)
@given(times, times, st.sampled_from([[TRUTH], [ROADSIDE_MESSAGES, VEHICLE_OBJECTS], ["no.such.topic"]]))
def test_a_range_is_half_open_and_holds_all_between(recorded, made, start_ns, end_ns, topics):
    wanted = [e for e in made if start_ns <= e.time_ns < end_ns and e.topic in topics]
    assert keys(open_drive(recorded).events(start_ns, end_ns, topics)) == keys(wanted)


@pytest.mark.parametrize("first, last", [(0, 5), (7, 7), (60, 80), (STEPS - 2, STEPS + 9)])
def test_a_range_of_sensor_data_is_half_open_too(recorded, made, first, last):
    start_ns, end_ns = START_NS + first * STEP_NS, START_NS + last * STEP_NS
    wanted = [e for e in made if start_ns <= e.time_ns < end_ns]
    assert keys(open_drive(recorded).events(start_ns, end_ns)) == keys(wanted)


@pytest.mark.parametrize("step", [0, 70, STEPS - 1])
def test_one_moment_holds_every_topic(recorded, made, step):
    time_ns = START_NS + step * STEP_NS
    wanted = [e for e in made if e.time_ns == time_ns]
    read = list(open_drive(recorded).events(time_ns, time_ns + 1))
    assert keys(read) == keys(wanted) and all(same(a.payload, b.payload) for a, b in zip(wanted, read))


def test_several_threads_read_one_drive(recorded, made):
    drive = open_drive(recorded)
    moments_ns = [START_NS + step * STEP_NS for step in (0, 90, 3, 149, 64, 65, 20, 110)]

    def read(time_ns):
        return keys(drive.events(time_ns, time_ns + 1))

    with ThreadPoolExecutor(4) as pool:
        for time_ns, found in zip(moments_ns * 3, pool.map(read, moments_ns * 3)):
            assert found == keys(e for e in made if e.time_ns == time_ns)


def test_the_times_of_a_topic_are_known_without_its_events(recorded):
    drive = open_drive(recorded)
    for topic in (EGO_SAMPLES, TRUTH):
        assert drive.times(topic).dtype == np.int64
        assert drive.times(topic).tolist() == [START_NS + i * STEP_NS for i in range(STEPS)]
    assert len(drive.times(ROADSIDE_MESSAGES)) == 2 * STEPS
    with pytest.raises(SpecError, match=r"no topic 'fused\.tracks', expected one of ego\.poses"):
        drive.times("fused.tracks")


@pytest.mark.parametrize("offset_ns, step", [
    (-10**12, 0), (0, 0), (49_000_000, 0), (50_000_000, 0), (51_000_000, 1), (10**13, STEPS - 1)])
def test_the_nearest_event_in_time_is_found(recorded, offset_ns, step):
    assert open_drive(recorded).nearest(TRUTH, START_NS + offset_ns).time_ns == START_NS + step * STEP_NS


def test_images_are_handed_on_as_they_were_written(recorded):
    jpegs = open_drive(recorded).jpegs(START_NS + 3 * STEP_NS)
    assert list(jpegs) == ["CAM_0", "CAM_1"] and all(data.startswith(b"\xff\xd8\xff") for data in jpegs.values())
    with pytest.raises(SpecError, match=r"ego\.samples: no sample at 7, expected one of the topic's times"):
        open_drive(recorded).jpegs(7)


def test_info_counts_records_and_the_objects_in_them(recorded):
    info = open_drive(recorded).info
    said = info_json(info)
    drive = open_drive(recorded)
    held = {topic: sum(objects_in(event.payload) for event in drive.events(topics=[topic])) for topic in info.topics}
    assert (said["messages"], said["samples"], said["objects"]) == (2 * STEPS, 2 * STEPS, sum(held.values()))
    assert said["duration_s"] == pytest.approx((STEPS - 1) / 10)
    assert said["topics"][TRUTH] == {"kind": "Truth", "count": STEPS, "objects": held[TRUTH]}
    assert (VEHICLE_OBJECTS, "ObjectList", STEPS, held[VEHICLE_OBJECTS]) in info_rows(info)
    assert held[VEHICLE_OBJECTS] > 0


def test_info_reads_the_manifest_alone(recorded):
    program = ("import sys; from replay.recorded import open_drive; open_drive(sys.argv[1]).info; "
               "print({'pyarrow', 'mcap', 'google.protobuf', 'torch'} & set(sys.modules))")
    said = subprocess.run([sys.executable, "-c", program, str(recorded)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": "."}, cwd=Path(__file__).parents[2])
    assert said.stdout.strip() == "set()"


def test_other_readers_open_the_sensor_file(recorded):
    with (recorded / "sensors.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and all(chunk.compression == "zstd" for chunk in summary.chunk_indexes)
        schema, channel, message = next(iter(reader.iter_messages([f"{EGO_SAMPLES}/LIDAR_TOP/points"])))
    assert schema is not None and (schema.name, schema.encoding, channel.message_encoding) == (
        "foxglove.PointCloud", "protobuf", "protobuf")
    cloud = PointCloud.FromString(message.data)
    assert cloud.frame_id == "LIDAR_TOP" and len(cloud.data) == 500 * cloud.point_stride
    assert [field.name for field in cloud.fields][:4] == ["x", "y", "z", "intensity"]


def test_other_readers_open_the_records(recorded):
    table = pq.read_table(recorded / "truth.Truth.parquet")
    assert table.column_names == ["time_ns", "sequence", "record"] and len(table) == STEPS
    assert table["record"][2]["points_in_box"].as_py() == [0, 1]


def test_a_folder_that_is_no_drive_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"drive\.json: missing, expected a drive: a folder with a drive\.json"):
        open_drive(tmp_path)


def test_a_drive_of_a_newer_format_is_refused_with_both_versions(copy):
    manifest = json.loads((copy / "drive.json").read_text())
    (copy / "drive.json").write_text(json.dumps(manifest | {"format_version": 2}))
    with pytest.raises(UnknownFormat, match=r"drive\.json: drive format version 2, expected version 1; made by another version"):
        open_drive(copy)


@pytest.mark.parametrize("text, complaint", [
    ("{", "at byte 1, expected JSON"),
    ('{"a": 1}', "a JSON file of another kind"),
    ('{"format": "roadweave-drive", "format_version": 1}', "KeyError 'state', expected a manifest of drive format 1"),
])
def test_a_damaged_manifest_is_named(copy, text, complaint):
    (copy / "drive.json").write_text(text)
    with pytest.raises(InputError, match=complaint):
        open_drive(copy)


def test_a_file_outside_the_drive_is_refused(copy):
    manifest = json.loads((copy / "drive.json").read_text())
    manifest["files"][0]["name"] = "../sensors.mcap"
    (copy / "drive.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"'\.\./sensors\.mcap', expected a name inside the drive's folder"):
        open_drive(copy)


@pytest.mark.parametrize("name", ["sensors.mcap", "truth.Truth.parquet"])
def test_a_missing_or_cut_file_is_named_with_the_byte_when_the_drive_is_opened(copy, name):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[:1000])
    with pytest.raises(TruncatedInput, match=rf"{name}: ends at byte 1000, expected {len(whole)} bytes"):
        open_drive(copy)
    (copy / name).unlink()
    with pytest.raises(MissingInput, match=rf"{name}: missing"):
        open_drive(copy)


def test_a_damaged_chunk_is_named_after_all_that_is_whole_before_it(copy):
    with (copy / "sensors.mcap").open("rb") as stream:
        chunks = make_reader(stream).get_summary().chunk_indexes
    place = chunks[2].chunk_start_offset + 1000
    data = bytearray((copy / "sensors.mcap").read_bytes())
    data[place] ^= 0xFF
    (copy / "sensors.mcap").write_bytes(data)
    damaged, read = open_drive(copy).events(topics=[EGO_SAMPLES]), []
    with pytest.raises(InputError, match=rf"sensors\.mcap, byte {chunks[2].chunk_start_offset}: damaged"):
        while True:
            read.append(next(damaged))
    assert read[-1].time_ns >= chunks[1].message_start_time and len(read) > 20


def test_a_damaged_record_page_is_named(copy):
    data = bytearray((copy / "truth.Truth.parquet").read_bytes())
    data[2000:2100] = bytes(100)
    (copy / "truth.Truth.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"truth\.Truth\.parquet, row group 0 at byte \d+"):
        list(open_drive(copy).events(topics=[TRUTH]))


def test_a_drive_still_being_recorded_opens_with_what_is_whole(tmp_path):
    recorder = Recorder(tmp_path / "drive", drive_info())
    for event in events(60):
        recorder.write(event)
    drive = open_drive(tmp_path / "drive")
    assert "was not closed" in drive.info.notes[-1]
    topics = drive.info.topics
    assert 0 < topics[TRUTH].count <= 60 and topics[ROADSIDE_MESSAGES].kind == "RoadsideMessage, SignalMessage"
    assert len(list(drive.events())) == sum(topic.count for topic in drive.info.topics.values())
    assert drive.times(EGO_SAMPLES).tolist() == [e.time_ns for e in drive.events(topics=[EGO_SAMPLES])]
    recorder.flush()
    assert open_drive(tmp_path / "drive").info.topics[TRUTH].count == 60
    recorder.close()


def test_an_unclosed_drive_cut_anywhere_opens_with_what_is_whole(tmp_path):
    recorder = Recorder(tmp_path / "drive", drive_info())
    for event in events(40):
        recorder.write(event)
    recorder.flush()
    for name in ("objects.arrows", "sensors.mcap"):
        path = tmp_path / "drive" / name
        whole = path.read_bytes()
        for length in np.linspace(0, len(whole), 6, dtype=int):
            path.write_bytes(whole[:length])
            drive = open_drive(tmp_path / "drive")
            assert len(list(drive.events())) == sum(topic.count for topic in drive.info.topics.values())
        path.write_bytes(whole)


@pytest.mark.parametrize("closed", [True, False])
def test_flipped_bytes_are_told_and_never_read_as_something_else(tmp_path, closed):
    made, path = events(3), tmp_path / "drive"
    recorder = Recorder(path, drive_info())
    for event in made:
        recorder.write(event)
    recorder.close() if closed else recorder.flush()
    rng = np.random.default_rng(0)
    for name in [file.name for file in path.iterdir() if file.name != "drive.json"] * 6:
        whole = (path / name).read_bytes()
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        (path / name).write_bytes(damaged)
        read = list(iter_until_error(path))
        assert all(any(same(event.payload, other.payload) for other in made if other.topic == event.topic) for event in read)
        (path / name).write_bytes(whole)


def iter_until_error(path):
    with contextlib.suppress(RoadweaveError):
        yield from open_drive(path).events()


def test_a_drive_with_nothing_in_it_is_a_drive(tmp_path):
    with Recorder(tmp_path / "drive", drive_info()):
        pass
    assert list(open_drive(tmp_path / "drive").events()) == []


def test_topics_with_odd_names_stay_inside_the_folder(tmp_path):
    rng = np.random.default_rng(0)
    with Recorder(tmp_path / "drive", drive_info()) as recorder:
        recorder.write(Event(1, "rsu.../../etc.objects", objects(2, 1, rng)))
        recorder.write(Event(1, "rsu.Straße 1/b.samples", sample(1, rng, "Straße 1/b", cameras=1)))
    drive = open_drive(tmp_path / "drive")
    assert keys(drive.events()) == [(1, "rsu.../../etc.objects"), (1, "rsu.Straße 1/b.samples")]
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]
