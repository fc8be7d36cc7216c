"""A recorded drive as if it happened now: published at its own pace, in order of arrival, and fused by the worker on the way.

Each lap carries times one lap later (replay/shift.py), so whoever listens never sees time run backwards.
"""
from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_specs.errors import RoadweaveError
from replay.arrival import by_arrival
from replay.bus import Bus
from replay.console import say
from replay.drive import EGO_POSES, ROADSIDE_MESSAGES, VEHICLE_OBJECTS, Drive
from replay.player import LAP_GAP_NS
from replay.shift import shifted
from v2x.bus_drive import BusSink
from v2x.buses import open_bus
from v2x.worker import FusionWorker

PLAYED_TOPICS = (EGO_POSES, VEHICLE_OBJECTS, ROADSIDE_MESSAGES)
_POLL_S = 0.1
_RETRY_S = 1.0


@contextmanager
def looped_on_bus(path: Path, url: str, speed: float = 1.0) -> Iterator[None]:
    """While the block runs, the drive at `path` is played on the bus at `url` and fused there, lap after lap.

    A bus that goes away is said on standard error and tried again each second.
    """
    from replay.recorded import open_drive

    drive, stop = open_drive(path), threading.Event()
    thread = threading.Thread(target=_laps, args=(drive, url, stop, speed), name="looped-drive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5.0)


def play_lap(bus: Bus, drive: Drive, stop: threading.Event, speed: float = 1.0, shift_ns: int = 0) -> None:
    """Publish a drive once, `speed` times as fast as it happened, while a worker of its own fuses what it reads of it.

    Returns at the drive's end, or soon after `stop` is set. Raises BusError when the bus goes away, and what the drive raises.
    """
    worker = FusionWorker(bus, drive.info, group=f"fusion-{uuid.uuid4()}", from_start=False)
    done, failed = threading.Event(), []

    def work() -> None:
        try:
            while worker.step(_POLL_S) or not done.is_set():
                pass
            worker.finish()
        except RoadweaveError as error:
            failed.append(error)
        finally:
            worker.close()

    thread = threading.Thread(target=work, name="fusion-worker", daemon=True)
    thread.start()
    try:
        _publish(bus, drive, stop, speed, shift_ns, failed)
    finally:
        done.set()
        thread.join(10.0)
    if failed:
        raise failed[0]


def _publish(bus: Bus, drive: Drive, stop: threading.Event, speed: float, shift_ns: int, failed: list) -> None:
    sink = BusSink(bus, drive.info)
    began_s, first_ns = time.monotonic(), None
    for at_ns, event in by_arrival(drive.events(topics=PLAYED_TOPICS)):
        first_ns = at_ns if first_ns is None else first_ns
        if stop.wait(max(0.0, began_s + (at_ns - first_ns) / 1e9 / speed - time.monotonic())) or failed:
            return
        sink.write(shifted(event, shift_ns))


def _laps(drive: Drive, url: str, stop: threading.Event, speed: float) -> None:
    lap_ns, shift_ns = drive.info.end_ns - drive.info.start_ns + LAP_GAP_NS, 0
    while not stop.is_set():
        try:
            bus = open_bus(url)
            try:
                while not stop.is_set():
                    play_lap(bus, drive, stop, speed, shift_ns)
                    shift_ns += lap_ns
            finally:
                bus.close()
        except (RoadweaveError, OSError) as error:
            say(f"roadweave: {error}")
            stop.wait(_RETRY_S)
