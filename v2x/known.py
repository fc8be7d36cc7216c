"""What makes a message known, so that one that is read twice counts once.

A message is known by its publisher, its generation time, its segment and a hash of its octets; no standard's sequence number
has a part in it (the sample capture counts its stationId up). Segments of one collective perception message share publisher
and generation time and differ in segment: each is new, and fusion joins them. Something that the worker published is known by
its topic, its crossing, its time and its source: made anew after a rewind it may differ in the last bit.
"""
from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b

from data_specs.health import RsuHealth
from data_specs.messages import Header
from data_specs.objects import ObjectList
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, RSU_HEALTH, Event

MOST = 20_000  # ids kept: over a minute of a crossing with 300 messages a second
WORKERS_TOPICS = (FUSED_TRACKS, ROADSIDE_OBJECTS, RSU_HEALTH)


class Known:
    """The last `most` ids that were seen."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: dict[Hashable, None] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, id: Hashable) -> bool:
        """Whether this is seen for the first time, as far as is remembered; from now on it is known."""
        if id in self._seen:
            return False
        self._seen[id] = None
        if len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return True


def message_id(header: Header) -> tuple[str, int, int, bytes]:
    """What a V2X message is known by."""
    return header.publisher, header.generated_ns, header.segment, digest(header.raw)


def digest(octets: bytes) -> bytes:
    """A hash of 16 octets: two messages of one publisher and time never share one by chance."""
    return blake2b(octets, digest_size=16).digest()


def source_of(event: Event) -> str:
    """Whom an event of the worker is about: a unit, or all sources together."""
    payload = event.payload
    if isinstance(payload, RsuHealth):
        return payload.rsu
    return payload.source if isinstance(payload, ObjectList) else ""


def output_id(event: Event, key: str) -> tuple[str, str, int, str]:
    """What something that a worker published is known by."""
    return event.topic, key, event.time_ns, source_of(event)
