"""Events in the order in which they reached us: a message arrives after it was generated, all else counts as there at once."""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from data_specs.messages import Message
from replay.drive import Event

MAX_DELAY_NS = 2_000_000_000  # what looks longer is a sender's clock that is wrong, not a delay


def arrival_ns(event: Event) -> int:
    """When an event reaches us: a message at its received_ns, at most MAX_DELAY_NS late, all else at its own time."""
    if isinstance(event.payload, Message):
        return min(max(event.payload.header.received_ns, event.time_ns), event.time_ns + MAX_DELAY_NS)
    return event.time_ns


def by_arrival(events: Iterable[Event]) -> Iterator[tuple[int, Event]]:
    """(arrival, event) in order of arrival, of events in order of measurement."""
    in_the_air: list[tuple[int, int, Event]] = []
    for number, event in enumerate(events):
        while in_the_air and in_the_air[0][0] <= event.time_ns:
            yield _landed(in_the_air)
        heapq.heappush(in_the_air, (arrival_ns(event), number, event))
    while in_the_air:
        yield _landed(in_the_air)


def _landed(in_the_air: list[tuple[int, int, Event]]) -> tuple[int, Event]:
    at_ns, _, event = heapq.heappop(in_the_air)
    return at_ns, event
