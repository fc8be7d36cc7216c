"""Reads of recorded drives for the Drive page: which drives there are, what one holds, and its scene at a moment, cached.

Reading is by topic and stamp, so a scrub step costs a few seeks, whatever the drive's length. A drive's reader is used by
one thread at a time; packed scenes are kept so that going back and a second viewer cost nothing.
"""
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dashboards import layers, moments
from dashboards.scene import Layer, Scene, class_titles, pack_scene
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
KEPT_PACKETS = 96


class DriveView:
    """One drive as the page sees it. Safe to use from several threads."""

    def __init__(self, name: str, drive: Drive) -> None:
        self.name, self.drive, self.info = name, drive, drive.info
        self._lock = threading.RLock()
        self._times: dict[str, Array] = {}
        self._packets: OrderedDict[int, bytes] = OrderedDict()
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

    def packet(self, moment: int) -> bytes:
        """The packed scene of moment number `moment`; InputError if there is none of that number."""
        if not 0 <= moment < len(self.moments_ns):
            raise InputError(f"drive {self.name}", f"moment {moment}", f"0 to {len(self.moments_ns) - 1}")
        with self._lock:
            packed = self._packets.get(moment)
            if packed is None:
                packed = pack_scene(self.scene(int(self.moments_ns[moment])), self.info.start_ns, {"moment": moment})
                self._packets[moment] = packed
            self._packets.move_to_end(moment)
            if len(self._packets) > KEPT_PACKETS:
                self._packets.popitem(last=False)
            return packed

    def scene(self, at_ns: int) -> Scene:
        """What was known at `at_ns`: the nearest truth, the latest word of every other source, the latest samples."""
        with self._lock:
            found = [(topic, sample) for topic in self._sample_topics
                     for sample in self._payloads(topic, at_ns, moments.latest, Sample)]
            samples = [sample for _, sample in found]
            pictures = [p for topic, sample in found for p in layers.pictures_of(sample, self._jpegs(topic, at_ns))]
            shown = self._layers(at_ns)
            fused = next((row for row, layer in enumerate(shown) if layer.kind == "fused"), 0)
            trails = moments.trails_of(self._tracks(at_ns), fused, at_ns)
            return Scene(at_ns, tuple(shown), self._ego(samples, at_ns), layers.points_of(samples),
                         tuple(pictures), trails)

    def _layers(self, at_ns: int) -> list[Layer]:
        """Truth first and fused last, so that what matters most is drawn on top."""
        shown = [layers.truth_layer(truth) for truth in self._payloads(TRUTH, at_ns, moments.nearest, Truth)]
        site = self.info.site
        for topic in [*self._unit_topics, VEHICLE_OBJECTS]:
            shown += [layers.object_layer(topic, o, site) for o in self._payloads(topic, at_ns, moments.latest, ObjectList)]
        recent = list(self._recent([ROADSIDE_OBJECTS], at_ns, moments.SHOWN_FOR_NS))
        if self._present([ROADSIDE_OBJECTS]):
            shown += [layers.object_layer(ROADSIDE_OBJECTS, o, site) for o in layers.latest_by_source(recent)]
        else:
            messages: list[Any] = [e.payload for e in self._recent([ROADSIDE_MESSAGES], at_ns, moments.SHOWN_FOR_NS)]
            shown += layers.message_layers(messages, self.info.origin, site)
        fused = self._payloads(FUSED_TRACKS, at_ns, moments.latest, ObjectList)
        return [*shown, *(layers.object_layer(FUSED_TRACKS, o, site) for o in fused)]

    def _ego(self, samples: Sequence[Sample], at_ns: int) -> SE3 | None:
        own = [sample.map_from_ego for sample in samples if sample.platform == "ego"]
        return next(iter(own + [p.map_from_ego for p in self._payloads(EGO_POSES, at_ns, moments.nearest, EgoPose)]), None)

    def _tracks(self, at_ns: int) -> list[tuple[int, Array, Array]]:
        return [(event.time_ns, event.payload.track_id, event.payload.boxes.center_m)
                for event in self._recent([FUSED_TRACKS], at_ns, TRAIL_NS) if isinstance(event.payload, ObjectList)]

    def _jpegs(self, topic: str, at_ns: int) -> Mapping[str, bytes]:
        """The images as the drive holds them, so that nothing is encoded twice; empty for a drive that holds none."""
        jpegs = getattr(self.drive, "jpegs", None)
        return jpegs(moments.latest(self._stamps(topic), at_ns), topic) if jpegs else {}

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
        events = [] if stamp is None else self.drive.events(stamp, stamp + 1, [topic])
        return [event.payload for event in events if isinstance(event.payload, kind)]

    def _recent(self, topics: Sequence[str], at_ns: int, within_ns: int) -> list[Event]:
        present = self._present(topics)
        return list(self.drive.events(at_ns - within_ns, at_ns + 1, present)) if present else []


class Library:
    """The drives of a folder: those directly in it, or the folder itself where it is a drive. Views are kept open."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise MissingInput(folder, "a folder of drives")
        self.folder = folder
        self._views: dict[str, tuple[int, DriveView]] = {}
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
            changed_ns = (path / "drive.json").stat().st_mtime_ns
            known = self._views.get(name)
            if known is None or known[0] != changed_ns:
                known = changed_ns, DriveView(name, open_drive(path))
                self._views[name] = known
            return known[1]
