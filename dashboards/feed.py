"""What the Live page knows: the last few seconds of the bus, held in bounded windows, written by one thread, read by many.

Two clocks are kept apart. Event time (measurement time) decides what is drawn together; this machine's monotonic clock at
arrival decides rates, who was last seen when, and how long fusion took, so a replayed drive of last year counts the same as
a live one. Event time that jumps back (a replay that starts over) empties the scene and goes on.
"""
from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dashboards import layers, moments
from dashboards.scene import Layer, Scene
from data_specs.arrays import Array
from data_specs.health import RsuHealth
from data_specs.messages import GeoPoint, Message
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.site import Site
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, VEHICLE_OBJECTS, DriveInfo, Event

RATE_WINDOW_S = 5.0
LATENCY_KEPT = 2000
RECENT = 150  # durations of fusion that the page draws
TRAIL_NS = 3_000_000_000
JUMP_NS = 2_000_000_000  # further back than any late message: the stream started over
LAG_NS = 20_000_000_000  # fused lists further behind than this are no longer waited for
HISTORY = 400  # lists and poses kept per source: enough for that lag
MESSAGES_KEPT = 200
SEEN_GREEN_S, SEEN_AMBER_S = 0.5, 2.0
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class RsuSeen:
    """One roadside unit as the page lists it."""

    name: str
    seen_s: float  # since its last message arrived
    messages: int
    rate_hz: float  # over the last seconds
    objects: int  # in its last message
    latency_p50_ms: float  # received - generated; NaN = unknown
    refused: int

    @property
    def state(self) -> str:
        """ok | late | silent"""
        return "ok" if self.seen_s <= SEEN_GREEN_S else "late" if self.seen_s <= SEEN_AMBER_S else "silent"


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The figures beside the picture. NaN where nothing was measured yet."""

    link: str  # "connecting" | "up" | "down"
    trouble: str  # why the link is down, "" while it is up
    rates_hz: dict[str, float]  # records per second by topic
    latency_ms: tuple[float, float]  # p50, p99 of received - generated over V2X messages
    fusion_ms: tuple[float, float]  # p50, p99 from a vehicle list's arrival to the fused list of its time
    recent_fusion_ms: tuple[float, ...]  # the last of them, oldest first
    fused: dict[str, int]  # tracks of the last fused list that probably exist, by class
    rsus: tuple[RsuSeen, ...]
    unreadable: int  # records that did not decode
    last_unreadable: str  # why the last of them did not, "" if all did


class LiveFeed:
    """Takes events in, gives scenes and figures out. Safe to use from several threads."""

    def __init__(self, info: DriveInfo | None = None, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._lock = threading.Lock()
        self._clock_ns = clock_ns
        self._origin: GeoPoint | None = info.origin if info else None
        self._site = info.site if info else Site((), ())
        self._link, self._trouble = "connecting", ""
        self._revision = self._unreadable = 0
        self._last_unreadable = ""
        self._arrivals: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=LATENCY_KEPT))
        self._latency_ns: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=LATENCY_KEPT))
        self._counts: dict[str, int] = defaultdict(int)
        self._objects: dict[str, int] = defaultdict(int)
        self._refused: dict[str, int] = {}
        self._fusion_ns: deque[int] = deque(maxlen=LATENCY_KEPT)
        self._forget()

    def link(self, state: str, trouble: str = "") -> None:
        """Say how the link to the bus is: connecting, up, or down and why."""
        with self._lock:
            if (state, trouble) != (self._link, self._trouble):
                self._link, self._trouble = state, trouble
                self._revision += 1

    def take(self, event: Event) -> None:
        """One event that has just arrived."""
        with self._lock:
            now_ns = self._clock_ns()
            if event.time_ns < self._reached_ns.get(event.topic, 0) - JUMP_NS:  # by topic: fused lists may lag behind others
                self._forget()
            self._reached_ns[event.topic] = max(self._reached_ns.get(event.topic, 0), event.time_ns)
            self._epoch_ns = self._epoch_ns or event.time_ns
            self._newest_ns = max(self._newest_ns, event.time_ns)
            self._arrivals[event.topic].append(now_ns)
            self._revision += 1
            self._file(event, now_ns)

    def refuse(self, why: str) -> None:
        """Count a record that could not be read."""
        with self._lock:
            self._unreadable += 1
            self._last_unreadable = why

    def places(self) -> list[dict[str, object]]:
        """Where the roadside units stand, for the canvas."""
        return [{"name": rsu.name, "xyz_m": rsu.map_from_rsu.translation_m.tolist()} for rsu in self._site.rsus]

    @property
    def behind_s(self) -> float:
        """How far the newest fused list is behind the newest event; 0 before there is one."""
        return max(0, self._newest_ns - self._fused_at_ns) / 1e9 if self._fused_at_ns else 0.0

    @property
    def epoch_ns(self) -> int:
        """Event time that scenes count from: of the first event since the stream (re)started."""
        return self._epoch_ns

    @property
    def revision(self) -> int:
        """Counts up with everything taken: a reader that has seen it has seen all."""
        return self._revision

    def scene(self) -> tuple[int, Scene | None]:
        """The revision and the scene of the newest fused list (newest event where nothing fuses); None before any event."""
        with self._lock:
            if self._newest_ns == 0:
                return self._revision, None
            fusing = self._newest_ns - self._fused_at_ns <= LAG_NS
            at_ns = self._fused_at_ns if fusing else self._newest_ns
            shown = self._layers(at_ns)
            fused = next((row for row, layer in enumerate(shown) if layer.kind == "fused"), 0)
            tracks = [track for track in self._tracks if at_ns - track[0] <= TRAIL_NS]
            pose = _latest(self._poses, at_ns)
            ego = None if pose is None else pose.map_from_ego
            return self._revision, Scene(at_ns, tuple(shown), ego, trails=moments.trails_of(tracks, fused, at_ns))

    def status(self) -> LiveStatus:
        """The figures of this moment."""
        with self._lock:
            now_ns = self._clock_ns()
            rates = {t: rate_hz(stamps, now_ns) for t, stamps in sorted(self._arrivals.items()) if not t.startswith("rsu:")}
            latency = [ns for per_rsu in self._latency_ns.values() for ns in per_rsu]
            rsus = tuple(self._seen(name, now_ns) for name in sorted(self._counts))
            recent_ms = tuple(ns / 1e6 for ns in list(self._fusion_ns)[-RECENT:])
            return LiveStatus(self._link, self._trouble, rates, percentiles_ms(latency), percentiles_ms(self._fusion_ns),
                              recent_ms, dict(self._fused), rsus, self._unreadable, self._last_unreadable)

    def _forget(self) -> None:
        self._epoch_ns = 0
        self._newest_ns = 0
        self._reached_ns: dict[str, int] = {}
        self._fused_at_ns = 0
        self._poses: deque[tuple[int, EgoPose]] = deque(maxlen=HISTORY)
        self._lists: dict[tuple[str, str], deque[tuple[int, Layer]]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._tracks: deque[tuple[int, Array, Array]] = deque(maxlen=100)
        self._fused: Counter[str] = Counter()
        self._messages: deque[Message] = deque(maxlen=MESSAGES_KEPT)
        self._waiting: dict[int, int] = {}

    def _file(self, event: Event, now_ns: int) -> None:
        payload = event.payload
        if isinstance(payload, EgoPose):
            self._poses.append((event.time_ns, payload))
        elif isinstance(payload, RsuHealth):
            self._refused[layers.unit_name(payload.rsu, self._site)] = payload.refused
        elif isinstance(payload, Truth):
            self._lists[event.topic, ""].append((event.time_ns, layers.truth_layer(payload)))
        elif isinstance(payload, ObjectList):
            self._file_objects(event, payload, now_ns)
        elif event.topic == ROADSIDE_MESSAGES:
            self._file_message(payload, now_ns)  # type: ignore[arg-type]

    def _file_objects(self, event: Event, objects: ObjectList, now_ns: int) -> None:
        layer = layers.object_layer(event.topic, objects, self._site)
        self._lists[event.topic, layer.name].append((event.time_ns, layer))
        if event.topic == VEHICLE_OBJECTS:
            self._waiting[event.time_ns] = now_ns
            while len(self._waiting) > 100:
                self._waiting.pop(next(iter(self._waiting)))
        elif event.topic == FUSED_TRACKS:
            self._fused_at_ns = event.time_ns
            self._fused = Counter(ObjectClass(label).title.replace("_", " ")
                                  for label in objects[objects.existence >= layers.SURE].label.tolist())
            self._tracks.append((event.time_ns, layers.sure_ids(layer.objects), layer.objects.boxes.center_m))
            if event.time_ns in self._waiting:
                self._fusion_ns.append(now_ns - self._waiting.pop(event.time_ns))

    def _file_message(self, message: Message, now_ns: int) -> None:
        header = message.header
        name = layers.unit_name(header.publisher, self._site)
        self._counts[name] += 1
        self._arrivals[f"rsu:{name}"].append(now_ns)
        self._objects[name] = len(getattr(message, "objects", ()))
        if header.received_ns > 0:
            self._latency_ns[name].append(header.received_ns - header.generated_ns)
        self._messages.append(message)

    def _layers(self, at_ns: int) -> list[Layer]:
        order = {"truth": 0, "sensor": 1, "roadside": 2, "vehicle": 3, "fused": 4}
        shown = [layer for told in self._lists.values() if (layer := _latest(told, at_ns)) is not None]
        if self._origin is not None and not any(topic == ROADSIDE_OBJECTS for topic, _ in self._lists):
            recent = [m for m in self._messages if 0 <= at_ns - m.header.generated_ns <= moments.SHOWN_FOR_NS]
            shown += layers.message_layers(recent, self._origin, self._site)
        return sorted(shown, key=lambda layer: (order[layer.kind], layer.name))

    def _seen(self, name: str, now_ns: int) -> RsuSeen:
        stamps = self._arrivals[f"rsu:{name}"]
        return RsuSeen(name, (now_ns - stamps[-1]) / 1e9, self._counts[name], rate_hz(stamps, now_ns), self._objects[name],
                       percentiles_ms(self._latency_ns[name])[0], self._refused.get(name, 0))


def _latest(told: Iterable[tuple[int, Kind]], at_ns: int) -> Kind | None:
    """Of (time, what) the one that was the latest word at `at_ns`; None where that is too long ago."""
    known = [(time_ns, what) for time_ns, what in told if 0 <= at_ns - time_ns <= moments.SHOWN_FOR_NS]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def rate_hz(stamps_ns: Sequence[int], now_ns: int, window_s: float = RATE_WINDOW_S) -> float:
    """Events per second over the last `window_s`, or over the time since the first one where that is shorter."""
    if not stamps_ns:
        return 0.0
    recent = sum(1 for stamp in stamps_ns if now_ns - stamp <= window_s * 1e9)
    return recent / min(window_s, max((now_ns - stamps_ns[0]) / 1e9, 1.0))


def percentiles_ms(durations_ns: Sequence[int]) -> tuple[float, float]:
    """p50 and p99 in milliseconds; NaN, NaN of nothing."""
    if not durations_ns:
        return float("nan"), float("nan")
    p50, p99 = np.percentile(np.asarray(durations_ns, float) / 1e6, [50, 99])
    return float(p50), float(p99)
