"""Reads of recorded drives for the Drive page: which drives there are, what one holds, and its scene at a moment, cached.

Reading is by topic and stamp, so a scrub step costs a few seeks, whatever the drive's length. A drive's reader is used by
one thread at a time; packed scenes are kept so that going back and a second viewer cost nothing.
"""
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from dashboards import layers, moments
from dashboards.scene import Layer, Picture, Scene, class_titles, pack_scene
from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import Sample
from replay.drive import (
    EGO_POSES,
    EGO_SAMPLES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    TRUTH,
    VEHICLE_OBJECTS,
    Drive,
    Event,
    rsu_objects,
    rsu_samples,
)

TRAIL_NS = 3_000_000_000
SLOT_NS = 1_000_000_000
KEPT_PACKETS, KEPT_SLOTS, KEPT_PICTURES, KEPT_VIEWS = 96, 128, 32, 4
Key = TypeVar("Key")
Value = TypeVar("Value")


class DriveView:
    """One drive as the page sees it. Safe to use from several threads."""

    def __init__(self, name: str, drive: Drive) -> None:
        self.name, self.drive, self.info = name, drive, drive.info
        self._lock = threading.RLock()
        self._times: dict[str, Array] = {}
        self._packets: Kept[tuple[int, bool], bytes] = Kept(KEPT_PACKETS)
        self._slots: Kept[tuple[str, int], list[Event]] = Kept(KEPT_SLOTS)
        self._pictured: Kept[tuple[str, int], tuple[Picture, ...]] = Kept(KEPT_PICTURES)
        units = [rsu.name for rsu in self.info.site.rsus]
        self._sample_topics = self._present([EGO_SAMPLES, *map(rsu_samples, units)])
        self._unit_topics = self._present(map(rsu_objects, units))
        objects = self._present([TRUTH, VEHICLE_OBJECTS, ROADSIDE_OBJECTS, ROADSIDE_MESSAGES, FUSED_TRACKS])
        self.moments_ns = moments.moments_of(self._all_times(self._sample_topics[:1]),
                                             self._all_times([*objects, *self._unit_topics]))
        if not len(self.moments_ns):
            self.moments_ns = np.array([self.info.start_ns], np.int64)

    def index(self) -> dict[str, Any]:
        """What the page must know before the first moment, as plain JSON; times count from the drive's start."""
        info = self.info
        with self._lock:
            return {
                "name": self.name, "drive_id": info.drive_id, "importer": info.importer, "notes": list(info.notes),
                "duration_ns": int(info.end_ns - info.start_ns),
                "moments_ns": (self.moments_ns - info.start_ns).tolist(),
                "classes": class_titles(),
                "rsus": [{"name": r.name, "xyz_m": r.map_from_rsu.translation_m.tolist()} for r in info.site.rsus],
                "path_m": self._path_m(),
                "topics": [{"name": topic, "kind": about.kind, "count": about.count,
                            "activity": moments.activity(self._stamps(topic), info.start_ns, info.end_ns)}
                           for topic, about in sorted(info.topics.items())],
            }

    def packet(self, moment: int, roadside_points: bool = False) -> bytes:
        """The packed scene of moment number `moment`; InputError if there is none of that number."""
        if not 0 <= moment < len(self.moments_ns):
            raise InputError(f"drive {self.name}", f"moment {moment}", f"0 to {len(self.moments_ns) - 1}")
        with self._lock:
            return self._packets.get((moment, roadside_points), lambda: pack_scene(
                self.scene(int(self.moments_ns[moment]), roadside_points), self.info.start_ns, {"moment": moment}))

    def scene(self, at_ns: int, roadside_points: bool = False) -> Scene:
        """What was known at `at_ns`: the nearest truth, the latest word of every other source, the latest samples."""
        with self._lock:
            own, shown = self._samples(EGO_SAMPLES, at_ns), self._layers(at_ns)
            units = [s for topic in self._sample_topics[1:] for s in self._samples(topic, at_ns)] if roadside_points else []
            fused = next((row for row, layer in enumerate(shown) if layer.kind == "fused"), 0)
            trails = moments.trails_of(self._tracks(at_ns), fused, at_ns)
            pictures = tuple(p for topic in self._sample_topics for p in self._pictures(topic, at_ns))
            return Scene(at_ns, tuple(shown), self._ego(own, at_ns), layers.points_of(own), layers.points_of(units),
                         pictures, trails)

    def _layers(self, at_ns: int) -> list[Layer]:
        """Truth first and fused last, so that what matters most is drawn on top."""
        shown = [layers.truth_layer(truth) for truth in self._payloads(TRUTH, at_ns, moments.nearest, Truth)]
        site = self.info.site
        for topic in [*self._unit_topics, VEHICLE_OBJECTS]:
            shown += [layers.object_layer(topic, o, site) for o in self._payloads(topic, at_ns, moments.latest, ObjectList)]
        recent = self._recent(ROADSIDE_OBJECTS, at_ns, moments.SHOWN_FOR_NS)
        if self._present([ROADSIDE_OBJECTS]):
            shown += [layers.object_layer(ROADSIDE_OBJECTS, o, site) for o in layers.latest_by_source(recent)]
        else:
            messages: list[Any] = [e.payload for e in self._recent(ROADSIDE_MESSAGES, at_ns, moments.SHOWN_FOR_NS)]
            shown += layers.message_layers(messages, self.info.origin, site)
        fused = self._payloads(FUSED_TRACKS, at_ns, moments.latest, ObjectList)
        return [*shown, *(layers.object_layer(FUSED_TRACKS, o, site) for o in fused)]

    def _ego(self, samples: Sequence[Sample], at_ns: int) -> SE3 | None:
        placed: list[Any] = [*samples, *self._payloads(EGO_POSES, at_ns, moments.nearest, EgoPose)]
        return placed[0].map_from_ego if placed else None

    def _tracks(self, at_ns: int) -> list[tuple[int, Array, Array]]:
        return [(event.time_ns, layers.sure_ids(event.payload), event.payload.boxes.center_m)
                for event in self._recent(FUSED_TRACKS, at_ns, TRAIL_NS) if isinstance(event.payload, ObjectList)]

    def _samples(self, topic: str, at_ns: int) -> list[Sample]:
        return self._payloads(topic, at_ns, moments.latest, Sample)

    def _pictures(self, topic: str, at_ns: int) -> tuple[Picture, ...]:
        """The latest images: cameras may be slower than the LiDAR, so the newest sample need not hold any."""
        stamps = self._stamps(topic)
        for stamp in stamps[(stamps <= at_ns) & (stamps > at_ns - moments.SHOWN_FOR_NS)][::-1].tolist():
            pictures = self._pictured.get((topic, stamp), partial(self._pictures_at, topic, stamp))
            if pictures:
                return pictures
        return ()

    def _pictures_at(self, topic: str, stamp_ns: int) -> tuple[Picture, ...]:
        jpegs: Mapping[str, bytes] = {}
        if (passed_on := getattr(self.drive, "jpegs", None)) is not None:  # as the drive holds them: nothing is encoded twice
            jpegs = passed_on(stamp_ns, topic)
            if not jpegs:
                return ()
        return tuple(p for sample in self._samples(topic, stamp_ns) for p in layers.pictures_of(sample, jpegs))

    def _path_m(self) -> list[list[float]]:
        """Where the ego drives, [[x, y], ...], at most about 500 places."""
        if not self._present([EGO_POSES]):
            return []
        poses = [event.payload for event in self.drive.events(topics=[EGO_POSES]) if isinstance(event.payload, EgoPose)]
        places = [pose.map_from_ego.translation_m[:2].round(2).tolist() for pose in poses]
        return places[::-(-len(places) // 500) or 1]

    def _present(self, topics: Any) -> list[str]:
        return [topic for topic in topics if topic in self.info.topics]

    def _stamps(self, topic: str) -> Array:
        """Ascending stamps of a topic's events, i8 [n]."""
        if topic not in self._times:
            times: Callable[[str], Any] | None = getattr(self.drive, "times", None)
            stamps = times(topic) if times else [event.time_ns for event in self.drive.events(topics=[topic])]
            self._times[topic] = np.sort(np.asarray(stamps, np.int64))
        return self._times[topic]

    def _all_times(self, topics: Sequence[str]) -> Array:
        return np.unique(np.concatenate([np.zeros(0, np.int64), *map(self._stamps, topics)]))

    def _payloads(self, topic: str, at_ns: int, choose: Callable[[Array, int], int | None], kind: type) -> list[Any]:
        """The payloads of a topic at the stamp that `choose` picks, of the kind asked for; none where the topic is absent."""
        stamp = choose(self._stamps(topic), at_ns) if topic in self.info.topics else None
        events = [] if stamp is None else self._events(topic, stamp, stamp + 1)
        return [event.payload for event in events if isinstance(event.payload, kind)]

    def _recent(self, topic: str, at_ns: int, within_ns: int) -> list[Event]:
        return self._events(topic, at_ns - within_ns, at_ns + 1) if topic in self.info.topics else []

    def _events(self, topic: str, start_ns: int, end_ns: int) -> list[Event]:
        """A topic's events of a half-open time; small records are read by the second and kept, as neighbours share them."""
        if topic in self._sample_topics:
            return list(self.drive.events(start_ns, end_ns, [topic]))
        found: list[Event] = []
        for slot in range(start_ns // SLOT_NS, (end_ns - 1) // SLOT_NS + 1):
            found += self._slots.get((topic, slot), partial(self._slot, topic, slot))
        return [event for event in found if start_ns <= event.time_ns < end_ns]

    def _slot(self, topic: str, slot: int) -> list[Event]:
        return list(self.drive.events(slot * SLOT_NS, (slot + 1) * SLOT_NS, [topic]))


class Kept(Generic[Key, Value]):
    """The `size` values used last, by key; the others are made again when asked for."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        if key not in self._values:
            self._values[key] = make()
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]


class Library:
    """The drives of a folder: those directly in it, or the folder itself where it is a drive. Views are kept open."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise MissingInput(folder, "a folder of drives")
        self.folder = folder
        self._views: Kept[tuple[str, int], DriveView] = Kept(KEPT_VIEWS)
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Names of the drives that are there now, ascending."""
        if (self.folder / "drive.json").is_file():
            return [self.folder.resolve().name]
        return sorted(path.parent.name for path in self.folder.glob("*/drive.json"))

    def path(self, name: str) -> Path:
        """Where the drive of that name lies; MissingInput if there is none."""
        if name not in self.names():
            raise MissingInput(self.folder / name, f"one of the drives {', '.join(self.names()) or '(none)'}")
        return self.folder if (self.folder / "drive.json").is_file() else self.folder / name

    def view(self, name: str) -> DriveView:
        """The drive of that name, opened anew if its manifest changed; MissingInput if there is none."""
        from replay.recorded import open_drive

        path = self.path(name)
        with self._lock:
            made_ns = (path / "drive.json").stat().st_mtime_ns
            return self._views.get((name, made_ns), lambda: DriveView(name, open_drive(path)))
