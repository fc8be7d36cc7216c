"""The same drive, faults and seed put the same records on a bus, octet for octet; what cannot be played is named."""
from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_specs.errors import BusError, InputError
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.bus import MemoryBus
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
    MemoryDrive,
    TopicInfo,
    rsu_objects,
)
from replay.faults import Link
from replay.player import MAX_SPEED
from replay.player_faults import Faults, Outage
from replay.recorded import open_drive
from replay.recorder import Recorder
from tests.replay.drives import START_NS, STEP_NS, drive_info, events, message
from tests.v2x.scene import ORIGIN, TICK_NS, objects_at, vehicle_event
from v2x.records import BUS_TOPICS, DEAD_LETTERS
from v2x.replay_drive import Rehearsal, Stretch, bounds_ns, play_onto, replay_drive
from v2x.rsu import RoadsideUnit
from v2x.worker import FusionWorker

FAULTS = Faults(Link(loss=0.2, duplicate=0.2, jitter_ms=150.0), reorder=0.2, corrupt=0.5, clock_offset_ms=20.0, seed=3)


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drives") / "crossing"
    with Recorder(path, drive_info()) as recorder:
        for event in events(12):
            recorder.write(event)
    return path


def published(path: Path, stretch: Stretch) -> tuple[list[tuple], str]:
    bus = MemoryBus()
    replayed = play_onto(bus, open_drive(path), stretch)
    records = bus.subscribe(("drive.info", *BUS_TOPICS)).poll(max_records=10_000)
    return [(r.topic, r.key, r.value, r.time_ns, dict(r.headers)) for r in records], replayed.sha256


def test_the_same_drive_and_seed_give_the_same_bytes(drive):
    fast, again = (published(drive, Stretch(MAX_SPEED, faults=FAULTS)) for _ in range(2))
    assert fast == again
    assert published(drive, Stretch(20.0, faults=FAULTS)) == fast
    assert published(drive, Stretch(MAX_SPEED, faults=Faults(FAULTS.link, seed=4)))[1] != fast[1]
    assert published(drive, Stretch(MAX_SPEED))[1] != fast[1]


def test_faults_befall_messages_alone(drive):
    clean, struck = (published(drive, Stretch(MAX_SPEED, faults=faults))[0] for faults in (None, FAULTS))
    others = [[record for record in records if record[0] != ROADSIDE_MESSAGES] for records in (clean, struck)]
    assert others[0] == others[1]
    values = {record[2] for record in clean if record[0] == ROADSIDE_MESSAGES}
    assert any(record[2] not in values for record in struck if record[0] == ROADSIDE_MESSAGES)


def heard_drive() -> MemoryDrive:
    """Three seconds of a vehicle and of a unit that sends real octets, both of which see one car."""
    rsu = Rsu("rsu-1", "x", 101, "", "", SE3.from_yaw("map", "rsu-1", 0.5, np.array([10.0, 5.0, 6.0])))
    unit, made = RoadsideUnit(rsu, ORIGIN, latency_ns=30_000_000), []
    for time_ns in range(START_NS, START_NS + 30 * TICK_NS, TICK_NS):
        seen = objects_at("rsu-1", "rsu-1", time_ns, [[10.0, 0.0]], sigma_m=0.3)
        made += [vehicle_event(time_ns, [[20.0, 0.0]], sigma_m=0.3), *unit.process(Event(time_ns, rsu_objects("rsu-1"), seen))]
    topics = {name: TopicInfo("x", 30) for name in (VEHICLE_OBJECTS, ROADSIDE_MESSAGES)}
    site = Site((Crossing("x", ORIGIN, np.array([[-80.0, -80.0], [80.0, -80.0], [0.0, 80.0]]), "off"),), (rsu,))
    return MemoryDrive(DriveInfo("heard", ORIGIN, START_NS, START_NS + 29 * TICK_NS, topics, site, "test"), made)


@pytest.mark.parametrize(("faults", "read", "refused"), [
    (None, 60, 0), (Faults(outages=(Outage("rsu-1", 1.0, 2.0),)), 50, 0), (Faults(Link(duplicate=1.0)), 90, 0),
    (Faults(corrupt=1.0), 60, None), (Faults(Link(loss=0.3, jitter_ms=60.0), reorder=0.3, clock_offset_ms=-20.0, seed=1), 54, 0),
])
def test_whatever_befalls_messages_the_worker_goes_on_and_keeps_what_it_cannot_read(faults, read, refused):
    drive, bus = heard_drive(), MemoryBus()
    worker = FusionWorker(bus, drive.info)
    play_onto(bus, drive, Stretch(MAX_SPEED, faults=faults))
    while worker.step():
        pass
    worker.finish()
    worker.close()
    letters = bus.subscribe([DEAD_LETTERS]).poll()
    assert worker.counts["records"] == read
    assert worker.counts["refused"] == len(letters)
    assert len(letters) == refused if refused is not None else len(letters) > 0
    assert worker.topics[FUSED_TRACKS] == 30


class Noted(Rehearsal):
    """A bus that notes how far from its time each record came, in ms from the one that kept to it best."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []

    def publish(self, topic, value, *, key, time_ns, headers=None) -> None:
        if topic != "drive.info":
            self._late_ms.append(time.perf_counter() * 1e3 - (time_ns - START_NS) / 1e6)

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self._late_ms, 99) - min(self._late_ms))


def sleeper_ms(seconds: float) -> float:
    """How late this machine wakes somebody who does nothing but sleep for a hundredth of a second, the 99th of 100 times."""
    bus, began_s = Noted(), time.perf_counter()
    for step in range(round(seconds * 100)):
        time.sleep(max(0.0, began_s + step / 100 - time.perf_counter()))
        bus.publish("", b"", key="", time_ns=START_NS + step * 10_000_000)
    return bus.p99_ms


def test_at_speed_one_records_are_on_the_bus_within_two_milliseconds_of_their_times(drive):
    tried_ms = []
    for _ in range(8):  # where other work keeps this machine from waking anybody in time, that is allowed for
        bus = Noted()
        play_onto(bus, open_drive(drive), Stretch(topics=(EGO_POSES, TRUTH, VEHICLE_OBJECTS)))
        if bus.p99_ms < 2.0:
            return
        tried_ms.append((bus.p99_ms, sleeper_ms(1.0)))
        if bus.p99_ms < 2.0 + tried_ms[-1][1]:
            return
    raise AssertionError(f"p99 of records and of a sleeper, ms: {tried_ms}")


def test_a_stretch_without_an_event_is_named(drive, tmp_path):
    opened = open_drive(drive)
    with pytest.raises(InputError, match=r"--from, --to: 9.0 to the end s, expected a stretch of the 1.1 s of drive test"):
        bounds_ns(opened, Stretch(from_s=9.0))
    with pytest.raises(InputError, match=r"--from, --to: 0.5 to 0.5 s, expected a stretch"):
        bounds_ns(opened, Stretch(from_s=0.5, to_s=0.5))
    with pytest.raises(InputError, match=r"drive test, 0.01 to 0.05 s: no event of truth, expected at least one"):
        bounds_ns(opened, Stretch(from_s=0.01, to_s=0.05, topics=(TRUTH,)))
    with Recorder(tmp_path / "empty", drive_info()) as recorder:
        assert not recorder.info.topics
    with pytest.raises(InputError, match=r"drive test: topics none, expected at least one that travels"):
        bounds_ns(open_drive(tmp_path / "empty"), Stretch())


def test_a_sender_whose_clock_jumped_is_told_with_how_many_of_its_messages(tmp_path):
    with Recorder(tmp_path / "jumped", drive_info()) as recorder:
        for i, late_ns in enumerate((5_000_000, -1, 3_000_000_000, 0)):
            said = message(START_NS + i * STEP_NS, np.random.default_rng(i))
            header = replace(said.header, received_ns=said.header.generated_ns + late_ns)
            recorder.write(Event(header.generated_ns, ROADSIDE_MESSAGES, replace(said, header=header)))
    replayed = play_onto(Rehearsal(), open_drive(tmp_path / "jumped"), Stretch(MAX_SPEED))
    assert (replayed.wrong_clocks, replayed.played.events) == ({"rsu-1": 2}, 4)


def test_stepping_where_nobody_can_step_is_refused(drive, monkeypatch):
    with open(os.devnull) as nothing, pytest.raises(
            InputError, match="--step: standard input is no terminal, expected a terminal to press keys in, or --control"):
        monkeypatch.setattr(sys, "stdin", nothing)
        replay_drive(drive, "memory:", Stretch(step=True))


def test_a_bus_that_fails_ends_playing(drive):
    bus = MemoryBus()
    bus.close()
    with pytest.raises(BusError, match="the in-memory bus is closed"):
        play_onto(bus, open_drive(drive), Stretch())


class Terminal:
    """`roadweave replay` in a terminal of its own."""

    def __init__(self, *words: object) -> None:
        self.ours, theirs = pty.openpty()
        command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "roadweave", "replay", *map(str, words)]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
        os.close(theirs)
        self.said = ""

    def until(self, text: str) -> None:
        """Read until the terminal has shown a text since the last one waited for."""
        deadline = time.monotonic() + 60.0
        while text not in self.said:
            left_s = deadline - time.monotonic()
            assert left_s > 0 and select.select([self.ours], [], [], left_s)[0], f"{text!r} not in {self.said!r}"
            self.said += os.read(self.ours, 4096).decode()
        self.said = self.said.partition(text)[2]

    def press(self, keys: bytes) -> None:
        os.write(self.ours, keys)


def test_in_a_terminal_keys_step_seek_pause_and_quit(drive):
    terminal = Terminal(drive, "--bus", "memory:", "--step", "--speed", "0.1", "--json")
    terminal.until("paused      0.0 / 1.1 s  x0.1  0 events")
    terminal.press(b".")
    terminal.until("x0.1  1 events")
    terminal.press(b"\x1b[C")
    terminal.until("paused      1.1 / 1.1 s")
    terminal.press(b"\x1b[D\x1b[B")
    terminal.until("paused      0.0 / 1.1 s  x0.05")
    terminal.press(b" ")
    terminal.until("playing")
    terminal.press(b"q")
    out, _ = terminal.process.communicate(timeout=60.0)
    os.close(terminal.ours)
    assert terminal.process.returncode == 0
    assert 1 <= json.loads(out)["events"] < 60


def test_without_a_terminal_a_program_steers_over_the_control_socket(drive, tmp_path):
    path = tmp_path / "player"
    words = ["replay", drive, "--bus", "memory:", "--step", "--control", path, "--json"]
    process = subprocess.Popen([sys.executable, "-m", "roadweave", *map(str, words)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60.0
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60.0)
        while line.connect_ex(str(path)) and time.monotonic() < deadline:
            time.sleep(0.01)  # it is there a moment before it listens
        with line.makefile("rw", encoding="utf-8") as talk:
            where = {"events": 0}
            talk.write("step 3\n")
            while where["events"] < 3 and time.monotonic() < deadline:
                talk.write("where\n")
                talk.flush()
                where = json.loads(talk.readline())
            assert (where["events"], where["paused"]) == (3, True)
            talk.write("stop\n")
            talk.flush()
            out, err = process.communicate(timeout=60.0)
    assert (process.returncode, err, json.loads(out)["events"], path.exists()) == (0, "", 3, False)
