"""The fusion worker: reads vehicle objects and roadside messages from a bus, publishes fused tracks and the units' health.

The work itself is the pure core in v2x/fusion.py; here is only the loop: poll, decode, fuse, publish, commit.
A bus hands records over topic by topic, so one source may be read minutes ahead of another: the lateness bound must not hold
against what simply has not been read yet. The worker waits for every source it expects, and applies the bound only when
nothing has gone on for PATIENCE_S on its own clock.
"""
from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from data_specs.errors import InputError
from replay.bus import Bus, BusRecord
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, VEHICLE_OBJECTS, DriveInfo, Event
from v2x.fusion import FusionState, accept, config_for, finish, refuse, release
from v2x.records import bus_key, from_bus_record, to_bus_record

PATIENCE_S = 0.5
_REMEMBERED = 20_000  # timings kept for percentiles
_FOREVER_NS = 2**62


def _timings() -> deque[float]:
    return deque(maxlen=_REMEMBERED)


@dataclass
class WorkerTimes:
    """What the worker measured of itself, in milliseconds, newest last."""

    decode_ms: deque[float] = field(default_factory=_timings)  # of one record: octets to objects
    fuse_ms: deque[float] = field(default_factory=_timings)  # of one event through the core
    wait_ms: deque[float] = field(default_factory=_timings)  # from a vehicle's record being read to its tracks being published


class FusionWorker:
    """One member of the group that fuses what a bus carries. One crossing's records all reach the same member."""

    def __init__(self, bus: Bus, info: DriveInfo, group: str = "fusion", from_start: bool = True) -> None:
        self._bus, self._info = bus, info
        self._config = config_for(info, in_order=True)
        self._patient = replace(self._config, lateness_ns=_FOREVER_NS, silent_after_ns=_FOREVER_NS)
        self._stuck_since_s: float | None = None
        self._state = FusionState.start()
        self._subscription = bus.subscribe([VEHICLE_OBJECTS, ROADSIDE_MESSAGES], group=group, from_start=from_start)
        self._read_s: dict[int, float] = {}  # when the vehicle's record of an event time was read
        self.times = WorkerTimes()
        self.counts: Counter[str] = Counter()  # records read and refused, events and tracks published

    def step(self, timeout_s: float = 0.0) -> int:
        """Deal with what has come, waiting up to timeout_s for a first record; the number of records read."""
        records = self._subscription.poll(timeout_s)
        released_ns = self._state.released_ns
        for record in records:
            self._take(record)
        self._lose_patience(released_ns)
        if records:
            self._bus.flush()  # what came of the records is safe before they count as dealt with
            self._subscription.commit()
        return len(records)

    def finish(self) -> None:
        """Fuse and publish what is still held, and wait until the bus has it all."""
        self._state, events = finish(self._state, self._config)
        self._publish(events)
        self._bus.flush()

    @property
    def dropped(self) -> int:
        """Events that came too late, or twice."""
        return self._state.late + self._state.repeated

    def close(self) -> None:
        self._subscription.close()

    def _lose_patience(self, released_ns: int | None) -> None:
        """Go on without a source that has kept the others waiting for too long."""
        if self._state.released_ns != released_ns or not self._state.held:
            self._stuck_since_s = None
            return
        now_s = time.monotonic()
        self._stuck_since_s = self._stuck_since_s or now_s
        if now_s - self._stuck_since_s >= PATIENCE_S:
            self._state, events = release(self._state, self._config)
            self._publish(events)

    def _take(self, record: BusRecord) -> None:
        """One record through the core; one that cannot be read is counted against its publisher."""
        self.counts["records"] += 1
        read_s = time.perf_counter()
        try:
            event = from_bus_record(record)
        except InputError:
            self.counts["refused"] += 1
            publisher = record.headers.get("publisher", b"")
            if record.topic == ROADSIDE_MESSAGES:
                self._state = refuse(self._state, publisher.decode("utf-8", "replace"))
            return
        decoded_s = time.perf_counter()
        if event.topic == VEHICLE_OBJECTS:
            self._read_s[event.time_ns] = read_s
        self._state, events = accept(self._state, event, self._patient)
        self.times.decode_ms.append((decoded_s - read_s) * 1e3)
        self.times.fuse_ms.append((time.perf_counter() - decoded_s) * 1e3)
        self._publish(events)

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            record = to_bus_record(event, bus_key(self._info, event))
            self._bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)
            self.counts["published"] += 1
            if event.topic == FUSED_TRACKS:
                self.counts["tracks"] += len(event.payload)  # type: ignore[arg-type]
                if event.time_ns in self._read_s:
                    self.times.wait_ms.append((time.perf_counter() - self._read_s[event.time_ns]) * 1e3)
                self._read_s = {time_ns: read_s for time_ns, read_s in self._read_s.items() if time_ns > event.time_ns}
