"""Between a drive and a bus: what a drive holds is played onto a bus, what a bus carries is recorded into a drive.

The description of a drive (where `map` has its origin, which units stand where) travels too, on a topic of its own: without
it nobody could place what comes after.
"""
from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from data_specs.errors import BusError, InputError
from data_specs.site import Site, read_signed_site
from replay.bus import Bus, BusRecord
from replay.console import say
from replay.drive import DriveInfo, Event
from replay.manifest import info_from_dict, info_to_dict
from replay.recorder import Recorder, make_way
from v2x.buses import open_bus
from v2x.known import WORKERS_TOPICS, Known, output_id
from v2x.records import BUS_TOPICS, bus_key, from_bus_record, origin_of, to_bus_record
from v2x.topics import DRIVE_INFO

_LISTEN_S = 0.5  # the longest a recorder waits before it looks at the clock


class Publisher(Protocol):
    """As much of a bus as publishing needs."""

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        """Hand a record over; may buffer. BusError when it is refused."""
        ...


class BusSink:
    """A Sink that publishes the events of a drive, counted by topic; its description goes first."""

    def __init__(self, bus: Publisher, info: DriveInfo) -> None:
        self._bus, self._info = bus, info
        self.counts: Counter[str] = Counter()
        bus.publish(DRIVE_INFO, json.dumps(info_to_dict(info)).encode(), key=info.drive_id, time_ns=info.start_ns)

    def write(self, event: Event) -> None:
        """Publish an event; SpecError for a topic that does not travel, BusError when the bus is gone."""
        self.publish(self.record(event))

    def record(self, event: Event) -> BusRecord:
        """The record of an event, not published yet; SpecError for a topic that does not travel."""
        key = bus_key(self._info, event)
        return to_bus_record(event, key, origin_of(self._info, key))

    def publish(self, record: BusRecord) -> None:
        """Publish a record; BusError when the bus is gone."""
        self._bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)
        self.counts[record.topic] += 1


def record_bus(path: Path, url: str, seconds: float | None, site: Path | None, from_start: bool) -> tuple[DriveInfo, int, str]:
    """Record the bus at `url` into a drive at `path`: its description, how many records could not be read, and the last reason.

    Ends after `seconds`, or with Ctrl-C. Where `map` lies is told by the first crossing of the site file, else by the
    description last sent on the bus; InputError where there is neither.
    """
    make_way(path, overwrite=False, remove=False)
    told = read_signed_site(site) if site is not None else None
    bus = open_bus(url)
    try:
        played = read_info(bus) if told is None else site_info(told, str(site))
        if played is None:
            raise InputError(f"{url}, topic {DRIVE_INFO}", "no drive's description", "one, as 'roadweave replay' sends it",
                             "say where map lies with --site FILE")
        recording = BusRecording(bus, path, recording_info(played, path.name, url), from_start=from_start)
        say(f"recording {url} into {path}; Ctrl-C ends it")
        ends_at, stopped = float("inf") if seconds is None else time.monotonic() + seconds, threading.Event()
        with on_interrupt(stopped.set):
            info = recording.run(lambda: time.monotonic() < ends_at and not stopped.is_set())
    finally:
        bus.close()
    return info, recording.refused.total(), recording.last_trouble


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Inside the block Ctrl-C and SIGTERM call `stop` instead of breaking off whatever runs."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class BusRecording:
    """Records what a bus carries, from now on or from its start, until told to stop."""

    def __init__(self, bus: Bus, path: Path, info: DriveInfo, *, from_start: bool = False) -> None:
        self._bus, self._path, self._info = bus, path, info
        self._reader = bus.subscribe(BUS_TOPICS, from_start=from_start)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()  # records that could not be read, by topic
        self.repeated = 0  # what a worker published twice, as one that is killed at the wrong moment may
        self.last_trouble = ""
        self._known = Known()

    def run(self, goes_on: Callable[[], bool]) -> DriveInfo:
        """Record while `goes_on()`; BusError if nothing came at all, and no drive is left then."""
        with Recorder(self._path, self._info) as recorder:
            while goes_on():
                for record in self._reader.poll(_LISTEN_S):
                    self._take(record, recorder)
        self._reader.close()
        if not self.counts:
            shutil.rmtree(self._path)
            trouble = f"; {self.refused.total()} records could not be read: {self.last_trouble}" if self.refused else ""
            raise BusError(f"{self._path}: nothing was recorded, expected records of {', '.join(BUS_TOPICS)}{trouble}")
        return recorder.info

    def _take(self, record: BusRecord, recorder: Recorder) -> None:
        try:
            event = from_bus_record(record)
        except InputError as error:
            self.refused[record.topic] += 1
            self.last_trouble = str(error)
            return
        if event.topic in WORKERS_TOPICS and not self._known.is_new(output_id(event, record.key)):
            self.repeated += 1
            return
        recorder.write(event)
        self.counts[event.topic] += 1


def read_info(bus: Bus, patience_s: float = 2.0) -> DriveInfo | None:
    """The description last published on a bus; None where there is none, InputError where it cannot be read."""
    reader = bus.subscribe([DRIVE_INFO])
    last: BusRecord | None = None
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        records = reader.poll(0.2)
        if not records and last is not None:
            break
        last = records[-1] if records else last
    reader.close()
    if last is None:
        return None
    where = f"{DRIVE_INFO}, offset {last.offset}"
    try:
        return info_from_dict(json.loads(last.value), where)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(where, f"{type(error).__name__} {error}", "a description as 'roadweave replay' sends it") from error


def site_info(site: Site, where: str) -> DriveInfo:
    """The description of whatever happens at a site: `map` has its origin at the first crossing; InputError if there is none."""
    if not site.crossings:
        raise InputError(where, "no crossing", "at least one: the first one's origin is that of map")
    return DriveInfo(site.crossings[0].id, site.crossings[0].origin, 0, 0, {}, site, "site")


def recording_info(played: DriveInfo, drive_id: str, url: str) -> DriveInfo:
    """The description of a recording from a bus: the site and origin of what is played there, its own name and story.

    How the played topics were made is said of the drive that they were made in alone.
    """
    kept = {name: fact for name, fact in played.facts.items() if name not in BUS_TOPICS}
    return replace(played, drive_id=drive_id, importer="record", topics={}, start_ns=0, end_ns=0,
                   notes=(*played.notes, f"recorded from {url}"),
                   facts={**kept, "recorded_from": url, "played": played.drive_id})


def travelling(info: DriveInfo, asked: Sequence[str]) -> list[str]:
    """The topics of a drive to publish: those asked for, or all that travel; InputError for one that is not there."""
    there = [topic for topic in BUS_TOPICS if topic in info.topics]
    if not there:
        raise InputError(f"drive {info.drive_id}", f"topics {', '.join(sorted(info.topics)) or 'none'}",
                         f"at least one that travels: {', '.join(BUS_TOPICS)}")
    for topic in asked:
        if topic not in there:
            raise InputError("--topics", repr(topic), f"one of {', '.join(there)}")
    return list(asked) or there
