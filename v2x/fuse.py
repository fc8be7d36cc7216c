"""Fusing a recorded drive: what its units found becomes messages, the messages are decoded, all sources are fused."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from data_specs.errors import InputError
from data_specs.messages import RoadsideMessage
from data_specs.objects import ObjectList
from data_specs.site import Rsu
from replay.console import progress
from replay.drive import (
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
    Sink,
    rsu_objects,
)
from replay.lineage import lineage, setting
from replay.recorded import RecordedDrive, open_drive
from replay.recorder import extend_drive
from replay.runner import in_order
from v2x.records import bus_key, from_bus_record, to_bus_record
from v2x.rsu import RoadsideUnit
from v2x.stage import FusionStage

MADE, RECORDED = "made", "recorded"  # where the messages were from that were fused


@dataclass(frozen=True, slots=True)
class Fused:
    """What fusing a drive came to."""

    info: DriveInfo
    events: dict[str, int]  # by topic, what was read and what was made
    objects: dict[str, int]  # by topic, the objects in them
    encoded_octets: int  # of the messages made here; 0 where the drive had messages already
    dropped: int  # events that came too late, or twice


def fuse_drive(path: Path) -> Fused:
    """Add rsu.messages (where there are none), roadside.objects, fused.tracks and rsu.health to a drive."""
    drive = open_drive(path)
    if not {VEHICLE_OBJECTS, ROADSIDE_MESSAGES, *_silent_units(drive.info)} & set(drive.info.topics):
        raise InputError(path, f"topics {', '.join(drive.info.topics)}", "vehicle.objects, rsu.messages or units' objects")
    units = _silent_units(drive.info)
    made = _messages_of(drive, units)
    stage = FusionStage(drive.info)
    tally = _Tally()
    read_topics = [topic for topic in (VEHICLE_OBJECTS, ROADSIDE_MESSAGES) if topic in drive.info.topics]
    total = len(made) + sum(drive.info.topics[topic].count for topic in read_topics)
    read = progress(in_order(drive.events(topics=read_topics), made), f"fusing {path.name}", total=total)
    results = chain(made, tally.counted(_through(stage, tally.counted(read))))
    replaced = [FUSED_TRACKS, ROADSIDE_OBJECTS, RSU_HEALTH]
    topics = [*replaced, ROADSIDE_MESSAGES] if units else replaced
    info = extend_drive(path, results, replaced, lineage("fuse", topics, {"messages": MADE if units else RECORDED}))
    octets = sum(len(event.payload.header.raw) for event in made if isinstance(event.payload, RoadsideMessage))
    return Fused(info, dict(tally.events), dict(tally.objects), octets, stage.dropped)


def fuse_again(drive: RecordedDrive, told: Mapping[str, Any], sink: Sink) -> None:
    """Write what `fuse_drive` made of a drive once more, as its lineage tells: from the recorded messages, or made ones."""
    read_topics, units = [VEHICLE_OBJECTS, ROADSIDE_MESSAGES], {}
    if setting(told, "messages", str) == MADE:
        read_topics = [VEHICLE_OBJECTS]
        others = {name: topic for name, topic in drive.info.topics.items() if name != ROADSIDE_MESSAGES}
        units = _silent_units(replace(drive.info, topics=others))
    made = _messages_of(drive, units)
    read = in_order(drive.events(topics=read_topics), made)
    for event in chain(made, _through(FusionStage(drive.info), read)):
        sink.write(event)


def _silent_units(info: DriveInfo) -> dict[str, Rsu]:
    """Units by the topic of their objects, if the drive holds no messages yet."""
    if ROADSIDE_MESSAGES in info.topics:
        return {}
    return {rsu_objects(rsu.name): rsu for rsu in info.site.rsus if rsu_objects(rsu.name) in info.topics}


def _messages_of(drive: RecordedDrive, units: Mapping[str, Rsu]) -> list[Event]:
    """The units' objects, by their topics, as messages that went through their octets, by time."""
    stages = {topic: RoadsideUnit(rsu, drive.info.origin) for topic, rsu in units.items()}
    made: list[Event] = []
    for event in drive.events(topics=list(stages)):
        made += stages[event.topic].process(event)
    for stage in stages.values():
        made += stage.finish()
    received = [from_bus_record(to_bus_record(event, bus_key(drive.info, event))) for event in made]
    return sorted(received, key=lambda event: event.time_ns)


def _through(stage: FusionStage, events: Iterable[Event]) -> Iterator[Event]:
    """What a stage makes of events."""
    for event in events:
        yield from stage.process(event)
    yield from stage.finish()


@dataclass
class _Tally:
    """Counts events, and the objects in them, as they pass."""

    events: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)

    def counted(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            payload = event.payload
            found = payload.objects if isinstance(payload, RoadsideMessage) else payload
            self.events[event.topic] += 1
            self.objects[event.topic] += len(found) if isinstance(found, ObjectList) else 0
            yield event
