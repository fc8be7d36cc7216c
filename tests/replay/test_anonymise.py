import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import roadweave
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint, HazardMessage, Header, StationMessage
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.anonymise import Pseudonyms, anonymise, read_key
from replay.drive import EGO_SAMPLES, ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, TRUTH, VEHICLE_OBJECTS, Event
from replay.recorded import open_drive
from replay.recorder import Recorder
from tests.replay.drives import START_NS, drive_info, events, objects

KEY = b"a secret of some length"
SECRETS = ("00005e0053af", "02aabbccddee", "deadbeefdeadbeef", "my-own-street", "driver's name")
STATION, HAZARD, UNIT = 987_654_321, 123_456_789, 314_159_265
PLACE = GeoPoint(48.1, 11.5, 520.0)


def header(publisher, raw):
    return Header(publisher, "etsi-cam-1.4.1", START_NS, START_NS + 5, 0, 1, raw)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    crossing = Crossing("x", PLACE, np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0]]), "off")
    rsu = Rsu("rsu-1", "x", UNIT, SECRETS[0], SECRETS[2], SE3.identity("map", "rsu-1"))
    info = drive_info(drive_id=SECRETS[3], site=Site((crossing,), (rsu,)), notes=(f"by {SECRETS[4]}",),
                      facts={"seed": 3, "source": SECRETS[3]})
    folder = tmp_path_factory.mktemp("anonymise") / "drive"
    own = ObjectList.build(Boxes3D("reference", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1)), SECRETS[1], START_NS,
                           np.array([1], np.uint8), track_id=np.array([STATION]))
    with Recorder(folder, info) as recorder:
        for event in events(4):
            recorder.write(event)
        raw = b"\x01" + SECRETS[1].encode()
        recorder.write(Event(START_NS, ROADSIDE_MESSAGES, StationMessage(header(SECRETS[1], raw), STATION, PLACE, own)))
        recorder.write(Event(START_NS, ROADSIDE_MESSAGES, HazardMessage(header(SECRETS[1], b"x"), HAZARD, PLACE, 1, 2, START_NS,
                                                                        START_NS, False)))
        found = objects(2, START_NS, np.random.default_rng(0))
        recorder.write(Event(START_NS, ROADSIDE_OBJECTS, replace(found, source=SECRETS[0])))
    return folder


def everything_in(folder):
    """All that the files say, decompressed, as one text; no file but these is there."""
    text = (folder / "drive.json").read_text()
    for path in sorted(folder.iterdir()):
        if path.suffix == ".parquet":
            text += str(pq.read_table(path).to_pylist())
        else:
            assert path.name in ("drive.json", "sensors.mcap"), path
    return text


def test_no_name_number_or_octet_of_a_sender_is_left(drive, tmp_path):
    before = everything_in(drive)
    assert all(secret in before for secret in (*SECRETS[:4], str(STATION), str(HAZARD), str(UNIT)))
    anonymise(drive, tmp_path / "out", KEY)
    after = everything_in(tmp_path / "out")
    for secret in (*SECRETS, str(STATION), str(HAZARD), str(UNIT), "rsu-1"):
        assert secret not in after, secret
    assert not any("rsu-1" in path.name for path in (tmp_path / "out").iterdir())
    assert all(event.payload.header.raw == b"" for event in open_drive(tmp_path / "out").events(topics=[ROADSIDE_MESSAGES]))


def test_units_of_the_site_go_by_the_names_that_their_messages_have(tmp_path):
    crossing = Crossing("x", PLACE, np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0]]), "required")
    rsu = Rsu("rsu-1", "x", UNIT, "", "", SE3.identity("map", "rsu-1"))  # without an address its name is the publisher
    with Recorder(tmp_path / "drive", drive_info(site=Site((crossing,), (rsu,)))) as recorder:
        for event in events(2):
            recorder.write(event)
    info = anonymise(tmp_path / "drive", tmp_path / "out", KEY)
    heard = {event.payload.header.publisher for event in open_drive(tmp_path / "out").events(topics=[ROADSIDE_MESSAGES])}
    assert heard == {info.site.publisher_of(info.site.rsus[0])}


def test_no_two_stations_get_one_number_and_one_that_is_none_is_refused():
    numbers = [Pseudonyms(KEY).number(old) for old in [*range(20_000), (1 << 32) - 1]]
    assert len(set(numbers)) == len(numbers) and min(numbers) >= 0 and max(numbers) < 1 << 32
    with pytest.raises(SpecError, match="station id -1"):
        Pseudonyms(KEY).number(-1)


def test_objects_stay_and_sensor_data_go(drive, tmp_path):
    info = anonymise(drive, tmp_path / "out", KEY)
    assert EGO_SAMPLES not in info.topics and not any(topic.kind == "Sample" for topic in info.topics.values())
    for topic in (TRUTH, VEHICLE_OBJECTS):
        pairs = zip(open_drive(drive).events(topics=[topic]), open_drive(tmp_path / "out").events(topics=[topic]), strict=True)
        for before, after in pairs:
            a, b = ((event.payload.objects if topic == TRUTH else event.payload).boxes.center_m for event in (before, after))
            assert before.time_ns == after.time_ns and np.array_equal(a, b)


def test_a_sender_has_one_new_name_by_one_key_and_another_by_another(drive, tmp_path):
    drives = [anonymise(drive, tmp_path / name, key) and open_drive(tmp_path / name)
              for name, key in (("a", KEY), ("b", KEY), ("c", b"another secret, as long"))]
    heard = [{event.payload.header.publisher for event in one.events(topics=[ROADSIDE_MESSAGES])} for one in drives]
    assert heard[0] == heard[1] and not heard[0] & heard[2] and len(heard[0]) == 2
    station = next(event.payload for event in drives[0].events(topics=[ROADSIDE_MESSAGES])
                   if isinstance(event.payload, StationMessage))
    assert station.objects.track_id.tolist() == [station.station_id] == [Pseudonyms(KEY).number(STATION)]


@pytest.mark.parametrize(("keep", "there", "gone"), [
    ("objects", TRUTH, ROADSIDE_MESSAGES), ("messages", ROADSIDE_MESSAGES, TRUTH),
])
def test_only_what_is_asked_for_is_kept(drive, tmp_path, keep, there, gone):
    info = anonymise(drive, tmp_path / "out", KEY, [keep])
    assert there in info.topics and gone not in info.topics


def test_how_long_it_may_be_kept_stands_in_its_manifest(drive, tmp_path):
    run = CliRunner().invoke(roadweave.app, ["anonymise", str(drive), str(tmp_path / "out"), "--retain-days", "30", "--json"])
    told = json.loads(run.stdout)
    assert run.exit_code == 0 and told["facts"]["anonymised"] and set(told["facts"]) == {"seed", "anonymised", "retain_until"}
    assert told["notes"][1] == f"to be deleted after {told['facts']['retain_until']}"


def test_a_bad_key_and_a_bad_kind_are_refused(drive, tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(InputError, match="5 octets, expected a secret of 16"):
        read_key(tmp_path / "key")
    with pytest.raises(MissingInput, match="a secret"):
        read_key(tmp_path / "none")
    (tmp_path / "key").write_bytes(b"x" * 100)
    assert len(read_key(tmp_path / "key")) == 64 and read_key(None) != read_key(None)
    with pytest.raises(InputError, match="'pictures', expected of objects, messages"):
        anonymise(drive, tmp_path / "out", KEY, ["pictures"])
    assert not (tmp_path / "out").exists()
