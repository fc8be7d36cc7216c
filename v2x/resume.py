"""Going on where another worker stopped: what it published last is not published again, and its tracks keep their names.

A worker that takes a crossing over makes the last seconds of tracks anew from the messages. Its tracks have numbers of their own
then; at the first moment that is not older than the last published list, the two lists are laid upon one another and the new
tracks get the published numbers. Tracks without a counterpart, and all later ones, are numbered above every published one.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_specs.arrays import Array
from data_specs.objects import ObjectList
from replay.drive import FUSED_TRACKS, Event
from v2x.fusion import FusionState
from v2x.known import source_of

SAME_M = 2.0  # two tracks of one moment closer than this are one


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a crossing's last published records: the last time by topic and source, and the tracks' names."""

    last_ns: Mapping[tuple[str, str], int] = field(default_factory=dict)
    tracks: ObjectList | None = None  # of the last list
    highest_id: int = 0

    def with_record(self, event: Event) -> Published:
        """The same after one more published event."""
        last_ns = {**self.last_ns, (event.topic, source_of(event)): event.time_ns}
        if event.topic != FUSED_TRACKS or not isinstance(event.payload, ObjectList):
            return replace(self, last_ns=last_ns)
        highest_id = max(self.highest_id, int(event.payload.track_id.max(initial=0)))
        return Published(last_ns, event.payload, highest_id)

    def has(self, event: Event) -> bool:
        """Whether an event, or a later one of its kind, was published."""
        return event.time_ns <= self.last_ns.get((event.topic, source_of(event)), event.time_ns - 1)


@dataclass(frozen=True, slots=True)
class Renaming:
    """New numbers of tracks: those in `ids`, and for all others `above` more than they had."""

    ids: Mapping[int, int]
    above: int

    def of(self, track_id: Array) -> Array:
        """The new numbers [n] of tracks; -1 stays -1."""
        return np.array([self.ids.get(int(id), int(id) + self.above if id >= 0 else -1) for id in track_id], np.int64)

    def event(self, event: Event) -> Event:
        """An event with its tracks renamed; events of other topics are left alone."""
        if event.topic != FUSED_TRACKS or not isinstance(event.payload, ObjectList):
            return event
        return replace(event, payload=replace(event.payload, track_id=self.of(event.payload.track_id)))

    def state(self, state: FusionState) -> FusionState:
        """The state whose tracks, and those still to be born, have the new numbers."""
        tracker = state.tracker
        tracks = replace(tracker.tracks, id=self.of(tracker.tracks.id))
        return replace(state, tracker=replace(tracker, tracks=tracks, next_id=tracker.next_id + self.above))


def renaming(made: ObjectList, published: ObjectList, highest_id: int) -> Renaming:
    """How tracks made anew get the numbers of the published ones of the same moment: the closest, each at most once."""
    distance_m = np.linalg.norm(made.boxes.center_m[:, None, :2] - published.boxes.center_m[None, :, :2], axis=2)
    rows, columns = linear_sum_assignment(np.minimum(distance_m, 10.0 * SAME_M))
    near = distance_m[rows, columns] <= SAME_M
    ids = {int(made.track_id[row]): int(published.track_id[column]) for row, column in zip(rows[near], columns[near])}
    return Renaming(ids, highest_id)


def published_by_key(events: Iterable[tuple[str, Event]]) -> dict[str, Published]:
    """What (key, event) pairs, in the order of their publishing, leave known of each crossing."""
    found: dict[str, Published] = {}
    for key, event in events:
        found[key] = found.get(key, Published()).with_record(event)
    return found
