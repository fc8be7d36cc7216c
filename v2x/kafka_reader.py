"""Reading from Kafka: one member of a group, or one reader of everything; at least once, and rewound when it takes over.

Beside each offset a member commits, in the commit's metadata, the offset of the first record within `rewind_ns` of record time
before it: whoever takes the partition over begins there and has the same few seconds behind it (ARCHITECTURE, "How data
flows"). Kafka's own index is over publishing times, which say nothing of a drive that is replayed slower or faster.
"""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from replay.bus import BusRecord
from v2x.kafka_client import Connection
from v2x.kafka_contact import PROBE_EVERY_S, Watch

TIME_HEADER = "time_ns"
SESSION_TIMEOUT_S = 6.0  # a member that was not heard for so long has lost its places
_SHARE_BYTES = 1 << 18  # of a partition, at a time
_FETCHED = 2_000  # records taken from the client at a time
_MOST_FETCHES = 8  # in search of records of a partition that has some but none here yet
_TRAIL_STEP_NS = 50_000_000  # between the places that a trail remembers
_TAIL_STEP = 256  # records that a tail goes back by, twice as many each time
_TAIL_MOST = 1 << 15


class Trail:
    """Where in a partition the last `span_ns` of record time began; a clock that jumps back further than that starts anew."""

    def __init__(self, span_ns: int) -> None:
        self._span_ns = span_ns
        self._places: deque[tuple[int, int]] = deque()  # (time_ns, offset), both rising

    def passed(self, time_ns: int, offset: int) -> None:
        """Note a record that was read."""
        places = self._places
        if places and time_ns < places[-1][0] - self._span_ns:
            places.clear()
        if not places or time_ns >= places[-1][0] + min(_TRAIL_STEP_NS, self._span_ns):
            places.append((time_ns, offset))
        while len(places) > 1 and places[1][0] <= places[-1][0] - self._span_ns:
            places.popleft()

    def start(self, otherwise: int) -> int:
        """The offset to go back to; `otherwise` where nothing was read or nothing is to be rewound."""
        return self._places[0][1] if self._places and self._span_ns > 0 else otherwise


class _Place(NamedTuple):
    """How far a partition was dealt with before this member got it."""

    committed: int
    rewound: int


class KafkaReader:
    """A Subscription (replay/bus.py) over a kafka-python consumer, with a watch over its brokers."""

    def __init__(self, connection: Connection, watch: Watch, topics: Sequence[str], group: str | None, from_start: bool,
                 rewind_ns: int) -> None:
        self.generation, self.resumed, self.moved = 0, False, False
        self._connection, self._watch, self._group, self._rewind_ns = connection, watch, group, rewind_ns
        self._closed = False
        self._given: set[Any] | None = None  # partitions that a rebalance has just handed over
        self._held: dict[Any, deque[BusRecord]] = {}  # by partition, fetched and not handed out
        self._next: dict[Any, int] = {}  # by partition, behind what was handed out
        self._before: dict[Any, _Place] = {}
        self._committed: dict[Any, Any] = {}
        self._trails: dict[Any, Trail] = {}
        self._consumer = connection.kafka.KafkaConsumer(
            **connection.arguments(), group_id=group, enable_auto_commit=False,
            auto_offset_reset="earliest" if from_start else "latest", metrics_enabled=False,
            max_partition_fetch_bytes=_SHARE_BYTES, session_timeout_ms=int(SESSION_TIMEOUT_S * 1e3), heartbeat_interval_ms=500,
            fetch_max_wait_ms=100, request_timeout_ms=10_000, partition_assignment_strategy=_same_places_of_all_topics())
        for topic in topics:  # a group's leader that does not know a topic yet gives its partitions to nobody
            self._consumer.partitions_for_topic(topic)
        if group is None:
            self._assign_all(topics, from_start)
        else:
            self._consumer.subscribe(list(topics), listener=_listener(self))
        if group is not None and not from_start:
            self._join()

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        """What has come, waiting up to `timeout_s`; BusError once no broker has answered for a few seconds."""
        deadline = time.monotonic() + timeout_s
        while True:
            wait_s = min(max(deadline - time.monotonic(), 0.0), PROBE_EVERY_S)
            with self._connection.errors("poll"):
                self._gather(wait_s)
            if any(self._held.values()) and not self.moved:
                self._watch.heard()
                return self._handed_out(max_records)
            self._watch.check()
            if time.monotonic() >= deadline:
                return []

    def commit(self) -> bool:
        """Commit what was polled; False where another member has taken over: it is that member's, and is read again there."""
        self._committed = {place: self._said(place, offset) for place, offset in self._next.items()}
        return self.holds()

    def holds(self) -> bool:
        """Whether the group still takes this member's word: says again what was committed last."""
        if self.moved:
            return False
        if self._group is None or not self._committed:
            return True
        with self._connection.errors("commit"):
            return self._commit(self._committed)

    def behind(self) -> int:
        """How many records of this reader's partitions were not polled yet, as its last fetches said."""
        ends = {place: self._consumer.highwater(place) for place in self._next}
        return sum(max(0, end - self._next[place]) for place, end in ends.items() if end is not None)

    def places(self) -> set[tuple[str, int]]:
        """The (topic, partition) pairs that are this reader's now."""
        return {(place.topic, place.partition) for place in self._consumer.assignment()}

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        if not self._closed:
            self._closed = True
            self._consumer.close(autocommit=False, timeout_ms=1_000)

    def leave_places(self) -> None:
        """Called by the client before it rebalances, also between two polls: from now on others may have the places."""
        self.moved = True

    def take_places(self, places: Sequence[Any]) -> None:
        """Called by the client when it has rebalanced; nothing may be asked of the broker here."""
        self.moved, self._given = True, set(places)

    def _gather(self, wait_s: float) -> None:
        """Fetch until every partition that has records has some here: a backlog of several topics is read side by side."""
        self._fetch(0.0 if any(self._held.values()) else wait_s)
        for _ in range(_MOST_FETCHES):
            empty = [place for place in self._consumer.assignment() if not self._held.get(place) and place in self._next]
            if not any((self._consumer.highwater(place) or 0) > self._next[place] for place in empty):
                return
            self._fetch(0.0)

    def _fetch(self, wait_s: float) -> None:
        found = self._consumer.poll(timeout_ms=int(wait_s * 1e3), max_records=_FETCHED)
        if self._given is not None:
            found = self._begin_anew(found)
        for place, records in found.items():
            self._held.setdefault(place, deque()).extend(bus_record(record) for record in records)

    def _begin_anew(self, found: Mapping[Any, list[Any]]) -> Mapping[Any, list[Any]]:
        """Go to the rewound places of partitions that were just handed over; what is then left of the records found."""
        given, self._given = self._given or set(), None
        self.generation, self.moved = self.generation + 1, False
        self._held, self._next, self._before, self._committed = {}, {}, {}, {}
        self._trails = {place: Trail(self._rewind_ns) for place in given}
        kept = dict(found)
        self.resumed, fresh = False, {}
        for place in given:
            said = self._consumer.committed(place, metadata=True, timeout_ms=5_000)
            if said is None:
                fresh[place] = self._consumer.position(place, timeout_ms=5_000)
                continue
            self.resumed = True
            rewound = min(int(said.metadata), said.offset) if said.metadata.isdigit() and self._rewind_ns > 0 else said.offset
            self._before[place] = _Place(said.offset, rewound)
            if rewound < said.offset:
                kept.pop(place, None)
                self._consumer.seek(place, rewound)
        # Said before anything is made of it: whoever follows knows then that there may be something.
        starts = {place: found[place][0].offset if place in found else offset for place, offset in fresh.items()}
        taken = not starts or self._commit({place: self._said(place, offset) for place, offset in starts.items()})
        return kept if taken else {}  # refused: the group is giving its places out anew, from the same beginning

    def _commit(self, offsets: Mapping[Any, Any]) -> bool:
        """Commit; False where the group has other members in these places, or is just giving them out anew."""
        from kafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

        try:
            self._consumer.commit(dict(offsets), timeout_ms=5_000)
        except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
            return False
        return True

    def _handed_out(self, max_records: int) -> list[BusRecord]:
        """Up to `max_records` of those held, as many of each partition as of the others."""
        records: list[BusRecord] = []
        waiting = sorted((place for place, held in self._held.items() if held), key=lambda place: len(self._held[place]))
        for i, place in enumerate(waiting):
            held = self._held[place]
            share = (max_records - len(records)) // (len(waiting) - i)
            new = [held.popleft() for _ in range(min(share, len(held)))]
            if new:
                self._passed(place, new)
            records += new
        return records

    def _passed(self, place: Any, records: Sequence[BusRecord]) -> None:
        self._next[place] = records[-1].offset + 1
        if self._group is not None:
            trail = self._trails.setdefault(place, Trail(self._rewind_ns))
            for record in records:
                trail.passed(record.time_ns, record.offset)

    def _said(self, place: Any, offset: int) -> Any:
        """What is committed of a partition: never less than before, so that a rewind does not undo what was dealt with."""
        from kafka.structs import OffsetAndMetadata

        before = self._before.get(place)
        if before is not None and offset < before.committed:
            return OffsetAndMetadata(before.committed, str(before.rewound), -1)
        return OffsetAndMetadata(offset, str(self._trails[place].start(offset)), -1)

    def _assign_all(self, topics: Sequence[str], from_start: bool) -> None:
        partition = self._connection.kafka.TopicPartition
        places = [partition(topic, i) for topic in topics for i in sorted(self._consumer.partitions_for_topic(topic) or {0})]
        self._consumer.assign(places)
        self.generation += 1
        if from_start:
            self._consumer.seek_to_beginning(*places)
            return
        for place, end in self._consumer.end_offsets(places).items():  # fixed now: what is published after this is read
            self._consumer.seek(place, end)

    def _join(self) -> None:
        """Join the group and fix this member's places now, so that what is published after `subscribe` is read."""
        deadline = time.monotonic() + 5.0
        while not self._consumer.assignment() and time.monotonic() < deadline:
            self._fetch(0.1)
        for place in self._consumer.assignment():
            self._consumer.position(place, timeout_ms=5_000)


def read_tail(connection: Connection, topics: Sequence[str], span_ns: int) -> list[BusRecord]:
    """The last `span_ns` of record time in each partition of `topics`, and up to as many records more."""
    kafka = connection.kafka
    consumer = kafka.KafkaConsumer(**connection.arguments(), enable_auto_commit=False, metrics_enabled=False,
                                   fetch_max_wait_ms=50)
    try:
        places = [kafka.TopicPartition(topic, i) for topic in topics for i in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        ends, begins = consumer.end_offsets(places), consumer.beginning_offsets(places)
        return [record for place in places for record in _tail(consumer, place, begins[place], ends[place], span_ns)]
    finally:
        consumer.close(autocommit=False, timeout_ms=1_000)


def _tail(consumer: Any, place: Any, begin: int, end: int, span_ns: int) -> list[BusRecord]:
    consumer.pause(*(consumer.assignment() - {place}))
    consumer.resume(place)
    step, records = _TAIL_STEP, []
    while begin < end:
        start = max(begin, end - step)
        records = _between(consumer, place, start, end)
        newest_ns = max((record.time_ns for record in records), default=0)
        if start == begin or step >= _TAIL_MOST or (records and records[0].time_ns <= newest_ns - span_ns):
            break
        step *= 2
    return records


def _between(consumer: Any, place: Any, start: int, end: int, patience_s: float = 10.0) -> list[BusRecord]:
    """The records of a partition from one offset to another; fewer where compaction or a time-out took some."""
    consumer.seek(place, start)
    records: list[BusRecord] = []
    deadline = time.monotonic() + patience_s
    while consumer.position(place, timeout_ms=1_000) < end and time.monotonic() < deadline:
        records += [bus_record(r) for found in consumer.poll(timeout_ms=200, max_records=2_000).values() for r in found]
    return [record for record in records if record.offset < end]


def bus_record(record: Any) -> BusRecord:
    """A record of kafka-python as the bus knows it; one of another program has the broker's time."""
    headers = dict(record.headers)
    said = headers.pop(TIME_HEADER, None)
    time_ns = int(said) if said is not None and said.isdigit() else record.timestamp * 1_000_000
    key, value = (record.key or b"").decode("utf-8", "replace"), bytes(record.value or b"")
    return BusRecord(record.topic, key, value, time_ns, headers, record.partition, record.offset)


def _same_places_of_all_topics() -> list[type]:
    """Partition i of every topic goes to the same member: one crossing, one owner."""
    from kafka.coordinator.assignors.range import RangePartitionAssignor

    return [RangePartitionAssignor]


def _listener(reader: KafkaReader) -> Any:
    from kafka.consumer.subscription_state import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
            reader.leave_places()

        def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
            reader.take_places(assigned)

    return Listener()
