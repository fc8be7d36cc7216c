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
    """A reader's place in its topics."""

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        """What has come since the last poll, waiting up to `timeout_s` for a first record; BusError when the bus is gone."""
        ...

    def commit(self) -> None:
        """Say that all polled so far is dealt with: a restarted member of the group goes on behind it."""
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

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True) -> Subscription:
        """Read topics: all of them for one member without a group, shared and committed within a group."""
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

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True) -> Subscription:
        return _MemorySubscription(self, tuple(topics), group, from_start)

    def close(self) -> None:
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()


class _MemorySubscription:
    def __init__(self, bus: MemoryBus, topics: tuple[str, ...], group: str | None, from_start: bool) -> None:
        self._bus, self._group = bus, group
        with bus._arrived:
            self._next = {
                topic: bus._committed.get((group or "", topic), 0 if from_start else len(bus._logs[topic])) for topic in topics
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

    def commit(self) -> None:
        if self._group is not None:
            with self._bus._arrived:
                self._bus._committed.update({(self._group, topic): place for topic, place in self._next.items()})

    def close(self) -> None:
        return None

    def _waiting(self) -> bool:
        return any(len(self._bus._logs[topic]) > place for topic, place in self._next.items())
