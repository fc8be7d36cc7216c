"""How closely `roadweave replay` keeps to a drive's timing at speed 1: lag between when a record is due and when it is published.

The peer is what one would write in ten lines: read, encode, sleep until due, publish. Both play the same drive of five seconds,
six records every tenth of a second, into a bus that only notes the time, by turns; each figure is the best of three plays. Times
are wall-clock times: where a machine does other work, that shows in both. The last row is how many records go out at --speed max.
"""
from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_specs.arrays import Array
from replay.arrival import by_arrival
from replay.drive import Drive
from replay.recorded import open_drive
from replay.recorder import Recorder
from tests.bench.harness import Row, report
from tests.replay.drives import drive_info, events
from v2x.bus_drive import BusSink, travelling
from v2x.replay_drive import Rehearsal, Stretch, play_onto

STEPS = 50  # of 0.1 s
PLAYS = 3


class Noted(Rehearsal):
    """A bus that notes when each record came; the drive's description, which is not played, is left out."""

    def __init__(self) -> None:
        self.came_ns: list[int] = []

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        self.came_ns.append(time.perf_counter_ns())


def plain_loop(bus: Noted, drive: Drive) -> None:
    """The peer."""
    sink, began_ns = BusSink(bus, drive.info), None
    for due_ns, event in by_arrival(drive.events(topics=travelling(drive.info, ()))):
        began_ns = began_ns or time.perf_counter_ns() - (due_ns - drive.info.start_ns)
        time.sleep(max(0.0, (began_ns + due_ns - drive.info.start_ns - time.perf_counter_ns()) / 1e9))
        sink.write(event)


def lags_ms(bus: Noted, due_ns: Array) -> Array:
    """How far from its time each record came; time begins with the earliest of them."""
    came_ns = np.array(bus.came_ns[1:]) - due_ns
    return (came_ns - came_ns.min()) / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive"
        with Recorder(path, drive_info()) as recorder:
            for event in events(STEPS):
                recorder.write(event)
        drive = open_drive(path)
        due_ns = np.array([at_ns for at_ns, _ in by_arrival(drive.events(topics=travelling(drive.info, ())))])
        ours, peer = [Noted() for _ in range(PLAYS)], [Noted() for _ in range(PLAYS)]
        for mine, theirs in zip(ours, peer):
            play_onto(mine, drive, Stretch())
            plain_loop(theirs, drive)
        started = time.perf_counter()
        count = play_onto(Rehearsal(), drive, Stretch(speed=float("inf"))).played.events
        per_s = count / (time.perf_counter() - started)
    rows = []
    for name, share in (("lag_p50", 50.0), ("lag_p99", 99.0), ("lag_worst", 100.0)):
        mine, theirs = (min(float(np.percentile(lags_ms(bus, due_ns), share)) for bus in plays) for plays in (ours, peer))
        rows.append(Row(name, mine, "ms", "encode, sleep, publish", theirs, theirs / mine))
    report("replay at speed 1", [*rows, Row("max_speed", per_s, "records/s")])


if __name__ == "__main__":
    main()
