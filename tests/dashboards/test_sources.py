import threading
import time
from functools import partial

import pytest

from dashboards.feed import LiveFeed
from dashboards.load import Library
from dashboards.sources import drain, first_fusible, replay_forever, replay_once, watch_bus
from data_specs.errors import BusError, SpecError
from replay.bus import BusRecord, MemoryBus
from replay.drive import FUSED_TRACKS, VEHICLE_OBJECTS
from replay.recorded import open_drive
from tests.dashboards.small_drive import SmallDrive, record_small_drive
from v2x.records import bus_key, to_bus_record


class Breaking:
    """A subscription that gives what it has and then loses its broker."""

    def __init__(self, records: list[BusRecord]) -> None:
        self.records = records

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        if not self.records:
            raise BusError("the broker is gone")
        return [self.records.pop(0)]


class BreakingBus(MemoryBus):
    def __init__(self, records: list[BusRecord]) -> None:
        super().__init__()
        self.records = records

    def subscribe(self, topics, *, group=None, from_start=True):
        return Breaking(self.records)


def records_of(topic: str, count: int) -> list[BusRecord]:
    info = SmallDrive().describe()
    events = [event for event in SmallDrive(steps=count, sensors=False) if event.topic == topic]
    return [to_bus_record(event, bus_key(info, event)) for event in events]


def until(holds, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)


def test_a_broker_that_dies_is_told_and_met_again():
    buses = [BreakingBus(records_of(VEHICLE_OBJECTS, 3)), BreakingBus(records_of(FUSED_TRACKS, 3))]
    feed, stop, links = LiveFeed(), threading.Event(), []

    def open_bus():
        links.append(feed.status().link)
        if not buses:
            raise BusError("no broker at 127.0.0.1:1")
        return buses.pop(0)

    watcher = threading.Thread(target=watch_bus, args=(feed, open_bus, stop), daemon=True)
    watcher.start()
    until(lambda: len(links) >= 3)
    until(lambda: feed.status().trouble == "no broker at 127.0.0.1:1")
    stop.set()
    watcher.join(5.0)
    assert links == ["connecting", "down", "down"]
    assert set(feed.status().rates_hz) == {VEHICLE_OBJECTS, FUSED_TRACKS}


def test_a_record_that_does_not_decode_is_counted_and_the_rest_is_read():
    bus, feed = MemoryBus(), LiveFeed()
    bus.publish(FUSED_TRACKS, b"rubbish", key="demo", time_ns=1)
    for record in records_of(FUSED_TRACKS, 2):
        bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns)
    assert drain(bus.subscribe([FUSED_TRACKS]), feed, 0.0) == 3
    status = feed.status()
    assert (status.unreadable, status.fused) == (1, {"car": 1})
    assert "fused.tracks, partition 0, offset 0" in status.last_unreadable


def test_a_replayed_drive_reaches_the_page_fused(tmp_path):
    drive = open_drive(record_small_drive(tmp_path / "small", steps=20, sensors=False))
    feed = LiveFeed(drive.info)
    replay_once(feed, drive, threading.Event(), speed=20.0)
    status = feed.status()
    assert status.fused == {"car": 1}
    assert status.rsus[0].messages == 20
    assert status.fusion_ms[0] > 0.0
    kinds = [layer.kind for layer in feed.scene()[1].layers]
    assert kinds == ["roadside", "vehicle", "fused"]


def test_a_replay_that_fails_says_why_and_stays_up():
    class Broken:
        info = SmallDrive().describe()

        def events(self, start_ns=None, end_ns=None, topics=None):
            raise SpecError("the drive is torn")

    feed, stop = LiveFeed(), threading.Event()
    replaying = threading.Thread(target=replay_forever, args=(feed, Broken(), stop), daemon=True)
    replaying.start()
    until(lambda: feed.status().trouble == "the drive is torn")
    assert replaying.is_alive()
    stop.set()


def test_the_drive_to_replay_is_the_first_that_can_be_fused(tmp_path):
    assert first_fusible(Library(tmp_path)) is None
    record_small_drive(tmp_path / "b", steps=2, sensors=False)
    record_small_drive(tmp_path / "a", steps=2, sensors=False)
    assert first_fusible(Library(tmp_path)) == tmp_path / "a"


@pytest.mark.parametrize("watch", [partial(watch_bus, LiveFeed(), MemoryBus)])
def test_a_watcher_ends_when_told(watch):
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(stop,), daemon=True)
    watcher.start()
    stop.set()
    watcher.join(5.0)
    assert not watcher.is_alive()
