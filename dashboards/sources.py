"""Where the Live page's events come from: a broker, or a recorded drive played through the same worker in this process.

Both run in daemon threads of the dashboard, say on the feed how the link is, and never raise: a page that is up stays up.
"""
from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dashboards.feed import LiveFeed
from dashboards.load import Library
from data_specs.errors import RoadweaveError
from replay.bus import Bus, MemoryBus, Subscription
from replay.console import say
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    Drive,
)

LIVE_TOPICS = (EGO_POSES, VEHICLE_OBJECTS, ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, FUSED_TRACKS, RSU_HEALTH)
RETRY_S = 1.0
POLL_S = 0.1
BETWEEN_ROUNDS_S = 0.2


def start(watch: Callable[[threading.Event], None]) -> threading.Event:
    """Run `watch(stop)` in a daemon thread; setting the returned event ends it."""
    stop = threading.Event()
    threading.Thread(target=watch, args=(stop,), name="live-source", daemon=True).start()
    return stop


def watch_bus(feed: LiveFeed, open_bus: Callable[[], Bus], stop: threading.Event) -> None:
    """Feed what a broker carries from now on; when it goes away, say so on the feed and try again until it is back."""
    while not stop.is_set():
        try:
            bus = open_bus()
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
    """One round: a thread plays and fuses the drive on a bus in memory, this one feeds what that bus then carries."""
    from v2x.looped import play_lap

    bus = MemoryBus()
    subscription = bus.subscribe(LIVE_TOPICS)
    failed: list[Exception] = []

    def play() -> None:
        try:
            play_lap(bus, drive, stop, speed)
        except (RoadweaveError, OSError) as error:
            failed.append(error)

    player = threading.Thread(target=play, name="live-replay", daemon=True)
    player.start()
    while player.is_alive():
        drain(subscription, feed, POLL_S)
    drain(subscription, feed, 0.0)
    bus.close()
    if failed:
        raise failed[0]


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
