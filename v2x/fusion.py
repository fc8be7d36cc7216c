"""Fusion of a vehicle's objects and roadside messages: a pure core `(state, event) -> (state, events)`.

Events are put in the order of their measurement times, never of their arrival: what comes in is held until nothing earlier can
come any more, and then everything of one time is handled in a fixed order. So any interleaving of arrivals within the
lateness bound, over any bus, gives the same tracks byte for byte. `received_ns` is looked at for the reported age alone.
Source of the watermark: Akidau et al., The Dataflow Model (VLDB 2015).
"""
from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import groupby

import numpy as np

from data_specs.clock import NS_PER_S
from data_specs.messages import GeoPoint, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList, concatenate
from data_specs.pose import SE3
from replay.drive import (
    EGO_SAMPLES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
)
from v2x.geodesy import map_from_geo
from v2x.health import Tally, heard, refused, reports
from v2x.observation import ROADSIDE, STATION, VEHICLE, SourceModel, observe, with_more_common
from v2x.tracker import TrackerConfig, TrackerState, objects_of, step
from v2x.trust import Agreement, learned, offsets_beside

VEHICLE_SOURCE = "vehicle"
FUSED_SOURCE = "fused"
STATIONS_SOURCE = "stations"  # of everybody who speaks of themselves
_STATIONS_PAUSE_NS = 250_000_000  # between lists of tracks, where nobody but stations is heard
_ANY_HEIGHT_M2 = 1e4  # of a station's altitude: of the ground, above one or another zero
_PATIENCE_EVENTS = 100  # roadside messages without a word from the vehicle before its clock stops being the measure


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """`expected` names the sources that are waited for; others join when they are first heard.

    With `in_order`, each source is trusted to send in the order of its own times but for `disorder_ns` (a bus keeps the order
    of a key), so an event is released as soon as every source has passed it; without, only the lateness bound releases.
    """

    origin: GeoPoint
    expected: tuple[str, ...] = ()
    in_order: bool = False
    disorder_ns: int = 100_000_000
    lateness_ns: int = 500_000_000
    silent_after_ns: int = 5_000_000_000  # a source that lags this much is no longer waited for
    oldest_object_s: float = 2.0  # an object measured longer before its message is left out
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    vehicle: SourceModel = VEHICLE
    roadside: SourceModel = ROADSIDE
    station: SourceModel = STATION


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """A source's objects in `map`, waiting for their turn; ordered by what decides the turn."""

    time_ns: int
    rank: int  # the roadside before the vehicle, so that the vehicle's moment shows both
    source: str
    segment: int
    digest: bytes
    objects: ObjectList = field(compare=False)
    received_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FusionState:
    tracker: TrackerState
    held: tuple[Held, ...] = ()
    latest_ns: Mapping[str, int] = field(default_factory=dict)  # of each source heard
    since_vehicle: int = 0  # roadside messages since the vehicle was last heard
    released_ns: int | None = None  # everything before has been handled
    last_output_ns: int | None = None
    last_vehicle_ns: int | None = None
    health: Mapping[str, Tally] = field(default_factory=dict)
    agreement: Mapping[str, Agreement] = field(default_factory=dict)  # of each unit with the vehicle
    late: int = 0  # events that came after their turn, and were dropped
    repeated: int = 0  # copies of an event still held, dropped

    @classmethod
    def start(cls) -> FusionState:
        return cls(TrackerState.start())


def config_for(info: DriveInfo, *, in_order: bool) -> FusionConfig:
    """The configuration for a drive's site and origin; a vehicle is expected unless the drive is known to have none."""
    units = tuple(info.site.publisher_of(rsu) for rsu in info.site.rsus)  # as their messages name the publisher
    has_vehicle = not info.topics or VEHICLE_OBJECTS in info.topics or EGO_SAMPLES in info.topics
    return FusionConfig(info.origin, (VEHICLE_SOURCE, *units) if has_vehicle else units, in_order)


def accept(state: FusionState, event: Event, config: FusionConfig) -> tuple[FusionState, list[Event]]:
    """Take one event of any topic in; what is thereby settled comes out: fused.tracks, roadside.objects, rsu.health."""
    held = _held(event, config)
    if held is None:
        return state, []
    if held.source != STATIONS_SOURCE:
        state = replace(state, since_vehicle=0 if held.source == VEHICLE_SOURCE else state.since_vehicle + 1)
    if state.released_ns is not None and held.time_ns < state.released_ns:
        state = state if held.source in (VEHICLE_SOURCE, STATIONS_SOURCE) else refuse(state, held.source)
        return replace(state, late=state.late + 1), []
    if held in state.held:
        return replace(state, repeated=state.repeated + 1), []
    queue = list(state.held)
    insort(queue, held)
    latest_ns = {**state.latest_ns, held.source: max(held.time_ns, state.latest_ns.get(held.source, held.time_ns))}
    return release(replace(state, held=tuple(queue), latest_ns=latest_ns), config)


def finish(state: FusionState, config: FusionConfig) -> tuple[FusionState, list[Event]]:
    """Handle all that is still held: nothing more will come."""
    end_ns = max((held.time_ns for held in state.held), default=-1) + 1
    return _release_before(state, max(end_ns, state.released_ns or end_ns), config)


def refuse(state: FusionState, publisher: str) -> FusionState:
    """Count a message that could not be used."""
    return replace(state, health={**state.health, publisher: refused(state.health.get(publisher, Tally()))})


def roadside_in_map(message: RoadsideMessage | StationMessage, origin: GeoPoint) -> ObjectList:
    """A message's objects in `map`, said to come from its publisher.

    The axes at the message's reference position and at the origin are taken as parallel (within 10 km they lean less than
    0.1 degree): so an unmeasured height leaves the doubts in the plane alone.
    """
    position_m = map_from_geo(origin, [message.position])[0]
    objects = message.objects.transformed(SE3("map", message.objects.boxes.frame, np.eye(3), position_m))
    return replace(objects, source=message.header.publisher)


def station_in_map(message: StationMessage, origin: GeoPoint) -> ObjectList:
    """A station in `map`, on its plane since its height cannot be trusted; nobody, where it does not say how it moves.

    What stands still for good, a roadside unit above all, tells of itself without a speed.
    """
    station = roadside_in_map(message, origin)
    center_m, covariance = station.boxes.center_m.copy(), station.covariance.copy()
    center_m[:, 2] = covariance[:, 2, :] = covariance[:, :, 2] = 0.0
    covariance[:, 2, 2] = _ANY_HEIGHT_M2
    placed = replace(station, boxes=replace(station.boxes, center_m=center_m), covariance=covariance)
    return placed[np.isfinite(station.velocity_mps[:, 0])]


def _held(event: Event, config: FusionConfig) -> Held | None:
    payload = event.payload
    if event.topic == VEHICLE_OBJECTS and isinstance(payload, ObjectList):
        if payload.boxes.frame != "map":
            return None
        digest = blake2b(payload.boxes.center_m.tobytes() + payload.score.tobytes(), digest_size=8).digest()
        return Held(event.time_ns, 1, VEHICLE_SOURCE, 0, digest, payload)
    if event.topic == ROADSIDE_MESSAGES and isinstance(payload, RoadsideMessage):
        header = payload.header
        digest = blake2b(header.raw, digest_size=8).digest()
        return Held(header.generated_ns, 0, header.publisher, header.segment, digest, roadside_in_map(payload, config.origin),
                    header.received_ns)
    if event.topic == ROADSIDE_MESSAGES and isinstance(payload, StationMessage):
        header = payload.header
        digest = blake2b(header.raw + header.publisher.encode(), digest_size=8).digest()
        return Held(header.generated_ns, 0, STATIONS_SOURCE, header.segment, digest, station_in_map(payload, config.origin),
                    header.received_ns)
    return None


def release(state: FusionState, config: FusionConfig) -> tuple[FusionState, list[Event]]:
    """Handle what nothing earlier can overtake any more."""
    horizon_ns = _horizon_ns(state, config)
    if horizon_ns is None or (state.released_ns is not None and horizon_ns <= state.released_ns):
        return state, []
    return _release_before(state, horizon_ns, config)


def _horizon_ns(state: FusionState, config: FusionConfig) -> int | None:
    """The time before which everything has come; None while that cannot be said.

    The vehicle's clock is the measure as long as the vehicle speaks: a unit whose clock runs ahead makes itself wait, not
    everybody else late.
    """
    latest_ns = {source: time_ns for source, time_ns in state.latest_ns.items() if source != STATIONS_SOURCE} or state.latest_ns
    if VEHICLE_SOURCE in latest_ns or VEHICLE_SOURCE in config.expected:
        if state.since_vehicle <= _PATIENCE_EVENTS:
            measure_ns = latest_ns.get(VEHICLE_SOURCE)
        else:
            measure_ns = max(latest_ns.values())
    else:
        measure_ns = max(latest_ns.values())
    if measure_ns is None:
        return None
    bound_ns = measure_ns - config.lateness_ns
    if not config.in_order:
        return bound_ns
    waited_for = {source: latest_ns.get(source) for source in (*config.expected, *latest_ns)}
    if any(latest is None for latest in waited_for.values()):
        return bound_ns
    passed = [latest for latest in waited_for.values() if latest is not None and latest > measure_ns - config.silent_after_ns]
    return max(bound_ns, min(passed) - config.disorder_ns)


def _release_before(state: FusionState, end_ns: int, config: FusionConfig) -> tuple[FusionState, list[Event]]:
    ready = [held for held in state.held if held.time_ns < end_ns]
    state = replace(state, held=state.held[len(ready):], released_ns=end_ns)
    events: list[Event] = []
    for _, group in groupby(ready, key=lambda held: (held.time_ns, held.rank, held.source)):
        state, new = _handle(state, list(group), config)
        events += new
    return state, events


def _handle(state: FusionState, group: list[Held], config: FusionConfig) -> tuple[FusionState, list[Event]]:
    """Fuse all that one source measured at one time."""
    time_ns, source = group[0].time_ns, group[0].source
    objects = concatenate([held.objects for held in group], source)
    age_s = (time_ns - objects.measured_ns) / NS_PER_S
    objects = objects[(age_s >= -0.5) & (age_s <= config.oldest_object_s)]
    is_vehicle, is_roadside = source == VEHICLE_SOURCE, source not in (VEHICLE_SOURCE, STATIONS_SOURCE)
    state = _tallied(state, group) if is_roadside else state
    model = config.roadside if is_roadside else config.vehicle if is_vehicle else config.station
    seen = observe(objects, time_ns, source, model)
    if model.learns_common:
        offsets_m = offsets_beside(state.tracker, VEHICLE_SOURCE, seen, config.tracker.recent_ns)
        agreement = learned(state.agreement.get(source, Agreement()), offsets_m)
        state = replace(state, agreement={**state.agreement, source: agreement})
        seen = with_more_common(seen, agreement.common_m)
    tracker = step(state.tracker, seen, config.tracker)
    events = [Event(time_ns, ROADSIDE_OBJECTS, objects)] if is_roadside else []
    speaks = is_vehicle or VEHICLE_SOURCE not in state.latest_ns or (
        state.last_vehicle_ns is not None and time_ns - state.last_vehicle_ns > NS_PER_S)
    last_output_ns = state.last_output_ns
    if source == STATIONS_SOURCE and last_output_ns is not None:
        speaks = speaks and time_ns - last_output_ns >= _STATIONS_PAUSE_NS
    if speaks:
        events += reports(state.health, last_output_ns, time_ns)
        events.append(Event(time_ns, FUSED_TRACKS, objects_of(tracker, FUSED_SOURCE, config.tracker)))
        last_output_ns = time_ns
    last_vehicle_ns = time_ns if is_vehicle else state.last_vehicle_ns
    return replace(state, tracker=tracker, last_output_ns=last_output_ns, last_vehicle_ns=last_vehicle_ns), events


def _tallied(state: FusionState, group: list[Held]) -> FusionState:
    tally = state.health.get(group[0].source, Tally())
    for held in group:
        tally = heard(tally, held.time_ns, held.received_ns, len(held.objects))
    return replace(state, health={**state.health, group[0].source: tally})


def fuse_all(events: Iterable[Event], config: FusionConfig) -> list[Event]:
    """Everything that follows from these events, in any order within the lateness bound."""
    state, out = FusionState.start(), []
    for event in events:
        state, new = accept(state, event, config)
        out += new
    return out + finish(state, config)[1]
