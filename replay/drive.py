"""What a drive is: a description, and time-ordered events of named topics, read over half-open times.

Everything that reads a drive (player, runner, pages, metrics) takes this protocol, so a recorded folder, an importer's
source and a list in memory serve alike.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_specs.health import RsuHealth
from data_specs.messages import GeoPoint, Message, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.sensors import Sample
from data_specs.site import Site

# Topics of a drive. The first four names are the bus topics too.
VEHICLE_OBJECTS = "vehicle.objects"  # ObjectList in map: the vehicle's own detections
ROADSIDE_MESSAGES = "rsu.messages"  # Message, as decoded from its octets
ROADSIDE_OBJECTS = "roadside.objects"  # ObjectList in map, source = the unit's name: what its messages said, once decoded
FUSED_TRACKS = "fused.tracks"  # ObjectList in map
RSU_HEALTH = "rsu.health"  # RsuHealth
EGO_SAMPLES = "ego.samples"  # Sample
EGO_POSES = "ego.poses"  # EgoPose
TRUTH = "truth"  # Truth in map


def rsu_samples(name: str) -> str:
    """Topic of a roadside unit's own sensor data (Sample)."""
    return f"rsu.{name}.samples"


def rsu_objects(name: str) -> str:
    """Topic of what a roadside unit's sensor found, before it became a message (ObjectList in the unit's frame)."""
    return f"rsu.{name}.objects"


Payload = Sample | EgoPose | ObjectList | Truth | Message | RsuHealth


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a drive. `time_ns` orders events: measurement time, never arrival."""

    time_ns: int
    topic: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class TopicInfo:
    kind: str  # the payload's type name
    count: int  # records
    objects: int = 0  # in all of them together


@dataclass(frozen=True, slots=True)
class DriveInfo:
    """What a drive's manifest says."""

    drive_id: str
    origin: GeoPoint  # of the frame `map`
    start_ns: int
    end_ns: int  # of the last event
    topics: Mapping[str, TopicInfo]
    site: Site
    importer: str  # who made it: "simulate", "kitti", ...
    notes: tuple[str, ...] = ()  # what a reader must know, one line each
    facts: Mapping[str, Any] = field(default_factory=dict)  # plain JSON: scenario, seed, classes, ...

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


def objects_in(payload: Payload) -> int:
    """How many objects a record holds; 0 for kinds that hold none."""
    match payload:
        case ObjectList() | Truth():
            return len(payload)
        case RoadsideMessage() | StationMessage():
            return len(payload.objects)
    return 0


class Drive(Protocol):
    """A readable drive."""

    @property
    def info(self) -> DriveInfo: ...

    def events(self, start_ns: int | None = None, end_ns: int | None = None,
               topics: Sequence[str] | None = None) -> Iterator[Event]:
        """Events with start_ns <= time_ns < end_ns of the topics (None = all), by time then by topic name.

        Seeking costs O(log n). Raises InputError where the drive is damaged, after yielding all that is whole before it.
        """
        ...


class Sink(Protocol):
    """Takes events: a recorder, a bus, a list."""

    def write(self, event: Event) -> None: ...


class Importer(Protocol):
    """Turns a foreign recording into events; `import` writes them into a drive."""

    def describe(self) -> DriveInfo:
        """What is known before reading: id, origin, site, notes. Times and topic counts may be zero and empty."""
        ...

    def __iter__(self) -> Iterator[Event]:
        """Events ordered by time; InputError names the file, and the line or byte, that is wrong."""
        ...

    def __len__(self) -> int:
        """How many events will come, for a progress bar; an estimate is fine."""
        ...


class Stage(Protocol):
    """A step that turns events into further events: perception, a roadside unit, fusion. Deterministic."""

    @property
    def name(self) -> str: ...

    def process(self, event: Event) -> Iterable[Event]:
        """What follows from one event; called in time order."""
        ...

    def finish(self) -> Iterable[Event]:
        """What is still held back at the end."""
        ...


@dataclass(frozen=True)
class MemoryDrive:
    """A drive that is a list; small drives in tests and in the demo."""

    info: DriveInfo
    all_events: Sequence[Event]

    def events(self, start_ns: int | None = None, end_ns: int | None = None,
               topics: Sequence[str] | None = None) -> Iterator[Event]:
        for event in sorted(self.all_events, key=lambda e: (e.time_ns, e.topic)):
            if (start_ns is None or event.time_ns >= start_ns) and (end_ns is None or event.time_ns < end_ns) and (
                    topics is None or event.topic in topics):
                yield event
