"""The fusion worker: reads vehicle objects and roadside messages from a bus, publishes fused tracks and the units' health.

The work itself is in v2x/crossing.py, crossing by crossing; here is only the loop: poll, decode, fuse, publish, commit. What was
not committed is read again, by this worker or by the one that takes over, which begins a few seconds before: it reads on the
bus what was published last, makes the same tracks anew and publishes what is later. A worker that was stopped for so long that
others have its crossings finds out before it publishes anything more.
"""
from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from data_specs.errors import InputError
from replay.bus import Bus, BusRecord
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, VEHICLE_OBJECTS, DriveInfo, Event
from v2x.crossing import CrossingWork
from v2x.known import WORKERS_TOPICS
from v2x.metrics_http import Histogram
from v2x.records import DEAD_LETTERS, dead_letter, from_bus_record, origin_of, to_bus_record
from v2x.resume import Published, published_by_key

REWIND_NS = 5_000_000_000  # tracks live for two or three seconds; what is older changes them no more
HOLD_S = 2.0  # how long a worker takes its crossings to be its own without asking
READ_TOPICS = (VEHICLE_OBJECTS, ROADSIDE_MESSAGES)
_REMEMBERED = 20_000  # timings kept for percentiles


def _timings() -> deque[float]:
    return deque(maxlen=_REMEMBERED)


@dataclass
class WorkerTimes:
    """What the worker measured of itself: milliseconds, newest last, and the same as counts since the start."""

    decode_ms: deque[float] = field(default_factory=_timings)  # of one record: octets to objects
    fuse_ms: deque[float] = field(default_factory=_timings)  # of one event through the core
    wait_ms: deque[float] = field(default_factory=_timings)  # from a vehicle's record being read to its tracks being published
    decode: Histogram = field(default_factory=Histogram)
    fuse: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)

    def add(self, name: str, seconds: float) -> None:
        """Note one duration of "decode", "fuse" or "wait"."""
        getattr(self, f"{name}_ms").append(seconds * 1e3)
        getattr(self, name).observe(seconds)


class _LostPlaces(Exception):
    """Others have this worker's crossings now."""


class FusionWorker:
    """One member of the group that fuses what a bus carries. One crossing's records all reach the same member."""

    def __init__(self, bus: Bus, info: DriveInfo, group: str = "fusion", from_start: bool = True,
                 rewind_ns: int = REWIND_NS) -> None:
        self._bus, self._info = bus, info
        self._works: dict[str, CrossingWork] = {}
        self._published: dict[str, Published] = {}  # by crossing, of those before this worker
        self._letters: set[bytes] = set()  # places of the records that are dead letters already
        self._past: Counter[str] = Counter()  # of crossings that were given up: late, repeated
        self._read_s: dict[tuple[str, int], float] = {}  # when the vehicle's record of a crossing and time was read
        self._held_s = float("-inf")  # when the places were this worker's for certain
        self.times = WorkerTimes()
        self.counts: Counter[str] = Counter()  # records read and refused, events and tracks published, take-overs
        self.topics: Counter[str] = Counter()  # events published, by topic
        self._subscription = bus.subscribe(READ_TOPICS, group=group, from_start=from_start, rewind_ns=rewind_ns)
        self._rewind_ns = rewind_ns
        self._generation = 0
        self.broken = False  # what was read and not committed is lost to this worker: another must take over

    def step(self, timeout_s: float = 0.0) -> int:
        """Deal with what has come, waiting up to timeout_s for a first record; the number of records read.

        BusError when the bus is gone; the worker may go on later unless it is `broken`.
        """
        records = self._subscription.poll(timeout_s)
        self.broken = True
        self._deal_with(records)
        self.broken = False
        return len(records)

    def finish(self) -> None:
        """Fuse and publish what is still held, and wait until the bus has it all."""
        for key, work in self._works.items():
            self._publish(key, work.finish())
        self._bus.flush()

    @property
    def dropped(self) -> int:
        """Events that came too late, or twice."""
        return self.late + self.repeated

    @property
    def late(self) -> int:
        return self._past["late"] + sum(work.late for work in self._works.values())

    @property
    def repeated(self) -> int:
        return self._past["repeated"] + sum(work.repeated for work in self._works.values())

    @property
    def restarts(self) -> int:
        """How often a crossing's clocks went back and it was begun anew."""
        return self._past["restarts"] + sum(work.counts["restarts"] for work in self._works.values())

    @property
    def crossings(self) -> tuple[str, ...]:
        """The crossings that this worker has heard of since it was given its places."""
        return tuple(self._works)

    def behind(self) -> int:
        """Records that wait to be read."""
        return self._subscription.behind()

    def close(self) -> None:
        """Leave: the others take over at once, a few seconds back. What is held here is theirs to publish."""
        self._subscription.close()

    def _deal_with(self, records: list[BusRecord]) -> None:
        if self._subscription.generation != self._generation:
            self._take_over()
        try:
            for record in records:
                self._take(record)
            for key, work in self._works.items():
                self._publish(key, work.lose_patience(time.monotonic()))
        except _LostPlaces:
            self._give_up()
            return
        if records:
            self._bus.flush()  # what came of the records is safe before they count as dealt with
            now_s = time.monotonic()
            self._held_s = now_s if self._subscription.commit() else float("-inf")

    def _take_over(self) -> None:
        """Begin anew with the places just given, and learn from the bus what was published before."""
        if self._generation:
            self.counts["take_overs"] += 1
        self._generation = self._subscription.generation
        self._give_up()
        self._letters, self._published = set(), {}
        if not self._subscription.resumed:
            return
        tail = self._bus.tail([*WORKERS_TOPICS, DEAD_LETTERS], self._rewind_ns)
        self._letters = {record.headers.get("place", b"") for record in tail if record.topic == DEAD_LETTERS}
        self._published = published_by_key(_readable(record for record in tail if record.topic != DEAD_LETTERS))

    def _give_up(self) -> None:
        self._past += Counter(late=self.late - self._past["late"], repeated=self.repeated - self._past["repeated"],
                              restarts=self.restarts - self._past["restarts"])
        self._works, self._read_s = {}, {}

    def _take(self, record: BusRecord) -> None:
        """One record through its crossing's core; one that cannot be read is counted against its publisher, and kept."""
        self.counts["records"] += 1
        if record.key not in self._works:
            self._works[record.key] = CrossingWork(self._info, record.key, self._published.get(record.key))
        work = self._works[record.key]
        read_s = time.perf_counter()
        try:
            event = from_bus_record(record)
        except InputError as error:
            self._refuse(record, work, error)
            return
        decoded_s = time.perf_counter()
        if event.topic == VEHICLE_OBJECTS:
            self._read_s[record.key, event.time_ns] = read_s
        events = work.take(event, record.value)
        self.times.add("decode", decoded_s - read_s)
        self.times.add("fuse", time.perf_counter() - decoded_s)
        self._publish(record.key, events)

    def _refuse(self, record: BusRecord, work: CrossingWork, error: InputError) -> None:
        self.counts["refused"] += 1
        publisher = record.headers.get("publisher", b"").decode("utf-8", "replace")
        if record.topic == ROADSIDE_MESSAGES:
            work.refuse(publisher)
        place = f"{record.topic}/{record.partition}/{record.offset}"
        if place.encode() in self._letters:
            return
        self._require_places()
        letter = dead_letter(record.value, str(error), publisher, record.time_ns, record.key, place)
        self._bus.publish(letter.topic, letter.value, key=letter.key, time_ns=letter.time_ns, headers=letter.headers)
        self.counts["dead_letters"] += 1

    def _require_places(self) -> None:
        """_LostPlaces where others have taken over or may; the bus is asked after a pause, as a stopped process has one."""
        if self._subscription.moved:
            raise _LostPlaces
        now_s = time.monotonic()
        if now_s - self._held_s > HOLD_S:
            if not self._subscription.holds():
                raise _LostPlaces
            self._held_s = now_s

    def _publish(self, key: str, events: list[Event]) -> None:
        if events:
            self._require_places()
        for event in events:
            record = to_bus_record(event, key, origin_of(self._info, key))
            self._bus.publish(record.topic, record.value, key=key, time_ns=record.time_ns, headers=record.headers)
            self.counts["published"] += 1
            self.topics[event.topic] += 1
            if event.topic == FUSED_TRACKS:
                self.counts["tracks"] += len(event.payload)  # type: ignore[arg-type]
                self._timed(key, event.time_ns)

    def _timed(self, key: str, time_ns: int) -> None:
        """Note how long a vehicle's record took to become tracks; older ones will not any more."""
        if (key, time_ns) in self._read_s:
            self.times.add("wait", time.perf_counter() - self._read_s[key, time_ns])
        self._read_s = {place: read_s for place, read_s in self._read_s.items() if place[0] != key or place[1] > time_ns}


def _readable(records: Iterator[BusRecord]) -> Iterator[tuple[str, Event]]:
    """Records with their crossings, as events; what cannot be read is left out."""
    for record in records:
        try:
            yield record.key, from_bus_record(record)
        except InputError:
            continue
