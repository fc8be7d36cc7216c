"""One crossing in the hands of a worker: its fusion, what it has seen already, and what was published before.

Nothing here knows a bus. A source may be read minutes ahead of another, so the lateness bound must not hold against what simply
has not been read yet: every expected source is waited for, and the bound applies only when nothing has gone on for PATIENCE_S.
"""
from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

from data_specs.messages import Message
from data_specs.objects import ObjectList
from replay.drive import FUSED_TRACKS, DriveInfo, Event
from v2x.fusion import VEHICLE_SOURCE, FusionConfig, FusionState, accept, config_for, finish, refuse, release
from v2x.known import Known, digest, message_id
from v2x.resume import Published, Renaming, renaming

PATIENCE_S = 0.5
JUMP_NS = 2_000_000_000  # further back than any late message: clocks were set back, or a drive starts over
_RECENT = 20  # events that must all be that far back
_FOREVER_NS = 2**62


class CrossingWork:
    """Events of one crossing in, events to publish out. Not safe to share between threads."""

    def __init__(self, info: DriveInfo, key: str, published: Published | None = None) -> None:
        self._config = crossing_config(info, key)
        self._patient = replace(self._config, lateness_ns=_FOREVER_NS, silent_after_ns=_FOREVER_NS)
        self._published = published
        self._late = 0  # in the states before the present one
        self.counts: Counter[str] = Counter()  # repeated, restarts, suppressed
        self._begin()

    @property
    def late(self) -> int:
        """Events that came after their turn."""
        return self._late + self._state.late

    @property
    def repeated(self) -> int:
        """Events that came twice."""
        return self.counts["repeated"] + self._state.repeated

    def take(self, event: Event, octets: bytes) -> list[Event]:
        """One event in, with the octets it was read from; what is to be published, in order."""
        self._recent_ns.append(event.time_ns)
        if self._clock_went_back():
            self._published = None
            self.counts["restarts"] += 1
            self._late += self._state.late
            self._begin()
        if not self._known.is_new(_id(event, octets)):
            self.counts["repeated"] += 1
            return []
        return self._after(accept(self._state, event, self._patient))

    def refuse(self, publisher: str) -> None:
        """Count a message that could not be used."""
        self._state = refuse(self._state, publisher)

    def lose_patience(self, now_s: float) -> list[Event]:
        """Called after each round: goes on without a source that has kept the others waiting for too long."""
        if self._state.released_ns != self._released_ns or not self._state.held:
            self._released_ns, self._stuck_since_s = self._state.released_ns, None
            return []
        self._stuck_since_s = now_s if self._stuck_since_s is None else self._stuck_since_s
        if now_s - self._stuck_since_s < PATIENCE_S:
            return []
        return self._after(release(self._state, self._config))

    def finish(self) -> list[Event]:
        """What is still held: nothing more will come."""
        return self._after(finish(self._state, self._config))

    def _begin(self) -> None:
        self._state, self._known = FusionState.start(), Known()
        self._recent_ns: deque[int] = deque(maxlen=_RECENT)
        self._released_ns: int | None = None
        self._stuck_since_s: float | None = None

    def _clock_went_back(self) -> bool:
        released_ns = self._state.released_ns
        return (released_ns is not None and len(self._recent_ns) == _RECENT and max(self._recent_ns) < released_ns - JUMP_NS)

    def _after(self, stepped: tuple[FusionState, list[Event]]) -> list[Event]:
        """Take the new state, and leave out what was published before this worker had the crossing."""
        self._state, events = stepped
        if self._published is None:
            return events
        new: list[Event] = []
        renamed: Renaming | None = None
        for event in events:
            event = event if renamed is None else renamed.event(event)
            if renamed is None and (renamed := self._names_for(event)) is not None:
                self._state, event = renamed.state(self._state), renamed.event(event)
            if self._published is not None and self._published.has(event):
                self.counts["suppressed"] += 1
            else:
                new.append(event)
        return new

    def _names_for(self, event: Event) -> Renaming | None:
        """The renaming that is due with this event: the first list that is not older than the last published one."""
        published = self._published
        if published is None or published.tracks is None or event.topic != FUSED_TRACKS:
            return None
        if event.time_ns < published.last_ns[event.topic, published.tracks.source] or not isinstance(event.payload, ObjectList):
            return None
        self._published = replace(published, tracks=None)
        return renaming(event.payload, published.tracks, published.highest_id)


def crossing_config(info: DriveInfo, key: str) -> FusionConfig:
    """Fusion for one crossing of a site: its own units are expected, the vehicle where its records go; all for another key."""
    config = config_for(info, in_order=True)
    ids = [crossing.id for crossing in info.site.crossings]
    if key not in ids:
        return config
    units = tuple(info.site.publisher_of(rsu) for rsu in info.site.rsus if rsu.crossing == key)
    has_vehicle = VEHICLE_SOURCE in config.expected and key == ids[0]
    return replace(config, expected=(VEHICLE_SOURCE, *units) if has_vehicle else units)


def _id(event: Event, octets: bytes) -> tuple[str, int, int, bytes]:
    if isinstance(event.payload, Message):
        return message_id(event.payload.header)
    return VEHICLE_SOURCE, event.time_ns, 0, digest(octets)
