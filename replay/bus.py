"""The bus between parts: topics of keyed byte records, ordered within a key. In memory here; Kafka in `v2x/kafka.py`."""
from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from data_specs.errors import BusError


@dataclass(frozen=True, slots=True)
class BusRecord:
    """One record; `offset` counts within its topic and partition."""

    topic: str
    key: str
    value: bytes
    time_ns: int
    headers: Mapping[str, bytes] = field(default_factory=dict)
    partition: int = 0
    offset: int = -1


class Subscription(Protocol):
    """A reader's place in its topics.

    `generation` grows each time the reader is given its places, at first or anew (another member came or went): what is
    polled from then on follows from those places, not from what was polled before. `resumed` tells whether the group had
    committed something there before. `moved` is set while the group gives its places out anew: what was polled before that is
    read again by whoever gets them.
    """

    generation: int
    resumed: bool
    moved: bool

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        """What has come since the last poll, waiting up to `timeout_s` for a first record; BusError when the bus is gone."""
        ...

    def commit(self) -> bool:
        """Say that all polled so far is dealt with: a restarted member of the group goes on behind it.

        False where other members have these places by now: what was polled is read again there.
        """
        ...

    def holds(self) -> bool:
        """Whether this reader's places are still its own; asks the bus. A member that was away for long has lost them."""
        ...

    def behind(self) -> int:
        """How many records have come that were not polled yet, as far as is known."""
        ...

    def close(self) -> None: ...


class Bus(Protocol):
    """Publishes and subscribes. One key's records keep their order."""

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        """Hand a record over; may buffer. BusError when the bus refuses or is gone."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once everything published is acknowledged; BusError if that takes longer."""
        ...

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True,
                  rewind_ns: int = 0) -> Subscription:
        """Read topics: all of them for one member without a group, shared and committed within a group.

        A member that takes places over begins `rewind_ns` of record time before what was committed there.
        """
        ...

    def tail(self, topics: Sequence[str], span_ns: int) -> list[BusRecord]:
        """The last records of topics: those of the last `span_ns` of record time in each partition, and perhaps some more."""
        ...

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each of these topics has: how many members of a group can share it."""
        ...

    def ready(self, topics: Sequence[str]) -> None:
        """Do now what the first record of each topic would otherwise wait for; for whoever publishes by the clock."""
        ...

    def close(self) -> None: ...


class MemoryBus:
    """A bus inside one process: threads may publish and poll. Nothing is shared with other processes."""

    def __init__(self) -> None:
        self._logs: dict[str, list[BusRecord]] = defaultdict(list)
        self._committed: dict[tuple[str, str], int] = {}
        self._arrived = threading.Condition()
        self._closed = False

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        with self._arrived:
            if self._closed:
                raise BusError("the in-memory bus is closed")
            log = self._logs[topic]
            log.append(BusRecord(topic, key, bytes(value), time_ns, dict(headers or {}), 0, len(log)))
            self._arrived.notify_all()

    def flush(self, timeout_s: float = 10.0) -> None:
        return None

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True,
                  rewind_ns: int = 0) -> Subscription:
        return _MemorySubscription(self, tuple(topics), group, from_start, rewind_ns)

    def tail(self, topics: Sequence[str], span_ns: int) -> list[BusRecord]:
        with self._arrived:
            return [record for topic in topics for record in self._logs[topic][_rewound(self._logs[topic], None, span_ns):]]

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(topics, 1)

    def ready(self, topics: Sequence[str]) -> None:
        return None

    def close(self) -> None:
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()


class _MemorySubscription:
    def __init__(self, bus: MemoryBus, topics: tuple[str, ...], group: str | None, from_start: bool, rewind_ns: int) -> None:
        self._bus, self._group = bus, group
        self.generation, self.moved = 1, False
        with bus._arrived:
            self.resumed = any((group or "", topic) in bus._committed for topic in topics)
            self._next = {
                topic: _rewound(bus._logs[topic], bus._committed[group or "", topic], rewind_ns)
                if (group or "", topic) in bus._committed else 0 if from_start else len(bus._logs[topic]) for topic in topics
            }

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        bus = self._bus
        with bus._arrived:
            bus._arrived.wait_for(lambda: bus._closed or self._waiting(), timeout_s)
            records: list[BusRecord] = []
            waiting = [topic for topic, place in self._next.items() if len(bus._logs[topic]) > place]
            for i, topic in enumerate(waiting):
                share = (max_records - len(records)) // (len(waiting) - i)  # so that a backlog of topics is read side by side
                new = bus._logs[topic][self._next[topic]:self._next[topic] + share]
                self._next[topic] += len(new)
                records += new
        return records

    def commit(self) -> bool:
        if self._group is not None:
            with self._bus._arrived:
                self._bus._committed.update({(self._group, topic): place for topic, place in self._next.items()})
        return True

    def holds(self) -> bool:
        return True

    def behind(self) -> int:
        with self._bus._arrived:
            return sum(len(self._bus._logs[topic]) - place for topic, place in self._next.items())

    def close(self) -> None:
        return None

    def _waiting(self) -> bool:
        return any(len(self._bus._logs[topic]) > place for topic, place in self._next.items())


def _rewound(log: Sequence[BusRecord], place: int | None, span_ns: int) -> int:
    """The first of the records before `place` (None: the log's end) that are within `span_ns` of the last of them."""
    place = len(log) if place is None else place
    horizon_ns = log[place - 1].time_ns - span_ns if place else 0
    while place > 0 and log[place - 1].time_ns > horizon_ns:
        place -= 1
    return place
