"""Where the Live page's events come from: a broker, or a recorded drive played through the same worker in this process.

Both run in daemon threads of the dashboard, say on the feed how the link is, and never raise: a page that is up stays up.
"""
from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from dashboards.feed import LiveFeed
from dashboards.load import Library
from data_specs.errors import RoadweaveError
from data_specs.messages import RoadsideMessage
from replay.bus import MemoryBus, Subscription
from replay.console import say
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    Drive,
    Event,
)

PLAYED_TOPICS = (EGO_POSES, VEHICLE_OBJECTS, ROADSIDE_MESSAGES)
LIVE_TOPICS = (*PLAYED_TOPICS, ROADSIDE_OBJECTS, FUSED_TRACKS, RSU_HEALTH)
RETRY_S = 1.0
POLL_S = 0.1
BETWEEN_ROUNDS_S = 1.0


def start(watch: Callable[[threading.Event], None]) -> threading.Event:
    """Run `watch(stop)` in a daemon thread; setting the returned event ends it."""
    stop = threading.Event()
    threading.Thread(target=watch, args=(stop,), name="live-source", daemon=True).start()
    return stop


def watch_bus(feed: LiveFeed, url: str, stop: threading.Event) -> None:
    """Feed what a broker carries from now on; when it goes away, say so on the feed and try again until it is back."""
    from v2x.buses import open_bus

    while not stop.is_set():
        try:
            bus = open_bus(url)
            try:
                subscription = bus.subscribe(LIVE_TOPICS, from_start=False)
                feed.link("up")
                while not stop.is_set():
                    drain(subscription, feed, POLL_S)
            finally:
                bus.close()
        except (RoadweaveError, OSError) as error:
            feed.link("down", str(error))
            stop.wait(RETRY_S)


def replay(path: Path) -> LiveFeed:
    """A feed of the drive at `path`, played at speed 1 through the fusion worker, again and again."""
    from replay.recorded import open_drive

    drive = open_drive(path)
    feed = LiveFeed(drive.info)
    start(partial(replay_forever, feed, drive))
    return feed


def replay_forever(feed: LiveFeed, drive: Drive, stop: threading.Event) -> None:
    """Play round after round, each on a bus of its own (an in-memory bus keeps all it ever carried)."""
    while not stop.is_set():
        try:
            feed.link("up")
            replay_once(feed, drive, stop)
        except (RoadweaveError, OSError) as error:
            feed.link("down", str(error))
        stop.wait(BETWEEN_ROUNDS_S)


def replay_once(feed: LiveFeed, drive: Drive, stop: threading.Event, speed: float = 1.0) -> None:
    """One round: a thread publishes in real time, another runs the worker, this one feeds what the bus then carries."""
    from v2x.worker import FusionWorker

    bus, done = MemoryBus(), threading.Event()
    subscription = bus.subscribe(LIVE_TOPICS)
    worker = FusionWorker(bus, drive.info)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not done.is_set():
                worker.step(POLL_S)
        except RoadweaveError as error:
            failed.append(error)

    def play() -> None:
        try:
            publish(bus, drive, stop, speed)
        except (RoadweaveError, OSError) as error:
            failed.append(error)
        finally:
            done.set()

    threads = [threading.Thread(target=job, daemon=True) for job in (work, play)]
    for thread in threads:
        thread.start()
    while not (done.is_set() or failed):
        drain(subscription, feed, POLL_S)
    done.set()
    for thread in threads:
        thread.join(5.0)
    bus.close()
    if failed:
        raise failed[0]


def publish(bus: MemoryBus, drive: Drive, stop: threading.Event, speed: float = 1.0) -> None:
    """Publish what the vehicle and the roadside units said, each when it arrived, at `speed` times real time."""
    from v2x.records import bus_key, to_bus_record

    began_s, first_ns = time.monotonic(), 0
    for arrival_ns, event in by_arrival(drive.events(topics=PLAYED_TOPICS)):
        first_ns = first_ns or arrival_ns
        if stop.wait(max(0.0, began_s + (arrival_ns - first_ns) / 1e9 / speed - time.monotonic())):
            return
        record = to_bus_record(event, bus_key(drive.info, event))
        bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)


def by_arrival(events: Iterable[Event]) -> Iterator[tuple[int, Event]]:
    """(arrival, event) in order of arrival, of events in order of measurement: a message arrives when it was received."""
    waiting: list[tuple[int, int, Event]] = []
    for number, event in enumerate(events):
        header = event.payload.header if isinstance(event.payload, RoadsideMessage) else None
        heapq.heappush(waiting, (max(header.received_ns if header else 0, event.time_ns), number, event))
        while waiting and waiting[0][0] <= event.time_ns:
            arrival_ns, _, arrived = heapq.heappop(waiting)
            yield arrival_ns, arrived
    for arrival_ns, _, arrived in sorted(waiting, key=lambda item: item[:2]):
        yield arrival_ns, arrived


def drain(subscription: Subscription, feed: LiveFeed, timeout_s: float) -> int:
    """Feed what has come, waiting up to `timeout_s` for the first; a record that does not decode is counted, not fatal."""
    from v2x.records import from_bus_record

    records = subscription.poll(timeout_s)
    for record in records:
        try:
            feed.take(from_bus_record(record))
        except RoadweaveError as error:
            feed.refuse(str(error))
    return len(records)


def first_fusible(library: Library) -> Path | None:
    """The first drive of the library that holds what fusion takes: vehicle.objects and rsu.messages."""
    for name in library.names():
        try:
            if {VEHICLE_OBJECTS, ROADSIDE_MESSAGES} <= set(library.view(name).info.topics):
                return library.path(name)
        except RoadweaveError as error:
            say(f"roadweave: {error}")
    return None
