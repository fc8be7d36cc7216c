"""A drive played onto a real Kafka by one process and recorded from it by another is the same drive."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.site import Crossing, Rsu, Site
from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS, DriveInfo, Event, rsu_objects
from replay.recorded import open_drive
from replay.recorder import Recorder
from tests.same import assert_same
from v2x.broker import DevelopmentBroker, free_ports
from v2x.broker_jars import what_is_missing
from v2x.kafka import KafkaBus
from v2x.records import BUS_TOPICS
from v2x.rsu import RoadsideUnit

START_NS = 1_700_000_000_000_000_000
STEP_NS = 50_000_000
ORIGIN = GeoPoint(48.1, 11.5, 520.0)
RSU = Rsu("rsu-1", "north", 101, "", "", SE3.from_yaw("map", "rsu-1", 0.5, np.array([10.0, 5.0, 6.0])))
SITE = Site((Crossing("north", ORIGIN, np.array([[-80.0, -80.0], [80.0, -80.0], [0.0, 80.0]]), "off"),), (RSU,))


def seen(frame: str, source: str, time_ns: int) -> ObjectList:
    rng = np.random.default_rng(time_ns % 1_000_003)
    boxes = Boxes3D(frame, rng.normal(0.0, 15.0, (4, 3)), rng.uniform(1.0, 4.0, (4, 3)), rng.uniform(-3.0, 3.0, 4))
    return ObjectList.build(boxes, source, time_ns, np.ones(4, np.uint8), score=rng.uniform(0.0, 1.0, 4))


def happenings(steps: int) -> Iterator[Event]:
    """What a drive of the demo's kind holds, without sensors: poses, objects, truth, and messages as real octets."""
    unit = RoadsideUnit(RSU, ORIGIN, latency_ns=30_000_000)
    for time_ns in range(START_NS, START_NS + steps * STEP_NS, STEP_NS):
        pose = SE3.from_yaw("map", "ego", 0.1, np.array([(time_ns - START_NS) / 1e9, 0.0, 0.0]))
        yield Event(time_ns, EGO_POSES, EgoPose(time_ns, pose, np.array([1.0, 0.0, 0.0]), np.eye(6)))
        yield from unit.process(Event(time_ns, rsu_objects("rsu-1"), seen("rsu-1", "rsu-1", time_ns)))
        yield Event(time_ns, TRUTH, Truth.build(seen("map", "truth", time_ns)))
        yield Event(time_ns, VEHICLE_OBJECTS, seen("map", "vehicle", time_ns))


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drives") / "crossing"
    with Recorder(path, DriveInfo("crossing", ORIGIN, 0, 0, {}, SITE, "test")) as recorder:
        for event in happenings(30):
            recorder.write(event)
    return path


@pytest.fixture
def own_broker() -> Iterator[DevelopmentBroker]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker() as started:
        yield started


def roadweave(*words: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "roadweave", *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.kafka
@pytest.mark.slow
def test_what_one_process_plays_another_records_bit_for_bit(own_broker, drive, tmp_path):
    first = outcome(roadweave("replay", drive, "--bus", own_broker.url, "--speed", "max", "--to", "0.01", "--json"))
    assert first[0] == 0, first[2]
    recorder = roadweave("record", tmp_path / "recorded", "--bus", own_broker.url, "--json")
    assert recorder.stderr.readline().startswith("recording kafka://")
    code, out, err = outcome(roadweave("replay", drive, "--bus", own_broker.url, "--json"))
    assert code == 0, err
    played = json.loads(out)
    assert played["events"] == 120
    assert played["topics"] == {EGO_POSES: 30, "rsu.messages": 30, TRUTH: 30, VEHICLE_OBJECTS: 30}
    time.sleep(8.0)  # it is a moment behind, on a busy machine a long one
    recorder.send_signal(signal.SIGINT)
    code, out, err = outcome(recorder)
    assert code == 0, err
    assert {name: topic["count"] for name, topic in json.loads(out)["topics"].items()} == played["topics"]
    recorded = open_drive(tmp_path / "recorded")
    assert (recorded.info.origin, recorded.info.facts["played"]) == (ORIGIN, "crossing")
    for got, expected in zip(recorded.events(), open_drive(drive).events(topics=BUS_TOPICS), strict=True):
        assert_same(got, expected)


@pytest.mark.kafka
@pytest.mark.slow
def test_damaged_records_are_counted_told_and_left_out(own_broker, drive, tmp_path):
    outcome(roadweave("replay", drive, "--bus", own_broker.url, "--speed", "max"))
    bus = KafkaBus(own_broker.bootstrap)
    bus.publish(VEHICLE_OBJECTS, b"no Arrow", key="north", time_ns=START_NS)
    bus.publish("rsu.messages", b"\x02\x0e no CPM", key="north", time_ns=START_NS)
    bus.close()
    code, out, err = outcome(roadweave("record", tmp_path / "recorded", "--bus", own_broker.url, "--seconds", "2", "--from-start",
                                       "--json"))
    assert code == 0, err
    assert json.loads(out)["topics"]["rsu.messages"]["count"] == 30
    assert "roadweave: 2 records could not be read; the last: " in err


@pytest.mark.kafka
@pytest.mark.slow
def test_a_site_file_says_where_map_lies_when_nobody_else_does(own_broker, drive, tmp_path):
    code, _, err = outcome(roadweave("record", tmp_path / "recorded", "--bus", own_broker.url, "--seconds", "1"))
    assert code == 2
    assert "topic drive.info: no drive's description, expected one, as 'roadweave replay' sends it; say where map lies" in err
    site = '[[crossing]]\nid = "x"\norigin = [48.0, 11.0, 500.0]\npolygon_m = [[0, 0], [1, 0], [0, 1]]\n'
    (tmp_path / "site.toml").write_text(site)
    words = ("record", tmp_path / "recorded", "--bus", own_broker.url, "--seconds", "1", "--site", tmp_path / "site.toml")
    code, _, err = outcome(roadweave(*words))
    assert (code, "nothing was recorded, expected records of vehicle.objects" in err) == (2, True), err
    assert not (tmp_path / "recorded").exists()


def test_a_recorder_of_a_bus_of_one_process_is_refused_in_one_line(tmp_path):
    code, _, err = outcome(roadweave("record", tmp_path / "drive", "--bus", "memory:"))
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("roadweave: record: memory: lives inside one process, expected kafka://host:port")


def test_two_rehearsals_with_the_same_faults_say_the_same_hash_and_what_befell(drive, tmp_path):
    (tmp_path / "rain.toml").write_text('jitter_ms = 40\nseed = 7\n[[outage]]\nrsu = "rsu-1"\nfrom_s = 0.5\nto_s = 0.8\n')
    words = ("replay", drive, "--bus", "memory", "--speed", "max", "--faults", tmp_path / "rain.toml", "--loss", "0.3", "--json")
    said = []
    for process in [roadweave(*words), roadweave(*words)]:
        code, out, err = outcome(process)
        assert code == 0, err
        said.append(json.loads(out))
    assert said[0] == said[1]
    assert said[0]["faults"]["silenced"] == 6
    assert said[0]["topics"]["rsu.messages"] == 24 - said[0]["faults"]["lost"]


def test_a_bus_that_is_down_is_named_in_one_line(drive, tmp_path):
    url = f"kafka://127.0.0.1:{free_ports(1)[0]}"
    for words in (("replay", drive, "--bus", url), ("record", tmp_path / "new", "--bus", url)):
        code, _, err = outcome(roadweave(*words))
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"roadweave: {url}: no broker answers")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("words", "said"), [
    (("--topics", "weather"), "--topics: 'weather', expected one of vehicle.objects"),
    (("--from", "99"), "--from, --to: 99.0 to the end s, expected a stretch of the 1.4 s"),
    (("--outage", "rsu-9:1-2"), "--outage: 'rsu-9', expected a unit of the drive's site: rsu-1"),
    (("--loss", "1.5"), "faults: loss: 1.5, expected a chance from 0 to 1"),
    (("--speed", "fast"), "'fast', expected a positive factor or max"),
])
def test_what_cannot_be_played_is_refused_before_the_bus_is_asked(drive, words, said):
    code, _, err = outcome(roadweave("replay", drive, "--bus", "kafka://127.0.0.1:1", *words))
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())
