"""The topics of the bus: what each carries, how long Kafka keeps it, and what a site needs of them.

The table here is the specification; data_specs/topics.md explains it, and data_specs/asyncapi.yaml is written from it.
Source of the settings: https://kafka.apache.org/documentation/#topicconfigs
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_specs.errors import SpecError
from data_specs.site import Site
from replay.drive import EGO_POSES, FUSED_TRACKS, ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, RSU_HEALTH, TRUTH, VEHICLE_OBJECTS
from v2x.partition import partitions_for
from v2x.records import DEAD_LETTERS

DRIVE_INFO = "drive.info"
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_MOST_OCTETS = 1_048_588  # Kafka's own limit of a batch; our largest record (truth of 1,000 objects) has a third of it


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. `headers` are those beside time_ns, which every record has."""

    name: str
    summary: str
    value: str  # what a record's value is
    media_type: str
    key: str
    publishers: str
    readers: str
    retention_ms: int
    compacted: bool = False  # Kafka keeps the last record of each key, whatever its age
    keyed_by_crossing: bool = True  # partitions enough to set crossings apart; else one
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, str]:
        """Kafka's settings of the topic."""
        return {"cleanup.policy": "compact" if self.compacted else "delete", "retention.ms": str(self.retention_ms),
                "max.message.bytes": str(_MOST_OCTETS), "message.timestamp.type": "CreateTime"}


_MESSAGE_HEADERS = {
    "publisher": "who sent it: certificate digest, GeoNetworking address, or the site file's name",
    "wire_format": "etsi-cpm-2.1.1, sae-sdsm ...",
    "generated_ns": "the sender's clock, decimal Unix nanoseconds",
    "received_ns": "our clock at the door, decimal Unix nanoseconds",
    "messageType": "CPM, CAM, DENM, VAM, SDSM, BSM, SPAT, MAP ...",
    "protocolVersion": "ItsPduHeader.protocolVersion, decimal; absent for standards without one",
    "publisherId": "as publisher, under the name that other programs look for",
    "quadkey": "the Web Mercator tile of the crossing's origin, level 18; absent where no site is known",
}
_LETTER_HEADERS = {
    "reason": "why it was refused, one line",
    "source": "publisher or address, as far as known",
    "place": "topic/partition/offset of the record they were; absent for what never was one",
    "received_ns": "our clock at the door, decimal Unix nanoseconds",
}
_ARROW = "application/vnd.apache.arrow.stream"
_OCTETS = "application/octet-stream"
TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(VEHICLE_OBJECTS, "the vehicle's own detections", "ObjectList in map", _ARROW, "crossing id", "perception, replay",
              "fusion worker, Live, record", _DAY_MS),
    TopicSpec(ROADSIDE_MESSAGES, "V2X messages as they came over the air", "octets of the message", _OCTETS, "crossing id",
              "gateway, simulated units, replay", "fusion worker, Live, record", 7 * _DAY_MS, headers=_MESSAGE_HEADERS),
    TopicSpec(FUSED_TRACKS, "tracks of all sources together", "ObjectList in map", _ARROW, "crossing id", "fusion worker",
              "Live, record", _DAY_MS),
    TopicSpec(ROADSIDE_OBJECTS, "what a unit's messages said", "ObjectList in map, source = the unit", _ARROW, "crossing id",
              "fusion worker", "Live, record", _DAY_MS),
    TopicSpec(RSU_HEALTH, "how a unit is doing, once a second", "RsuHealth", _ARROW, "crossing id", "fusion worker",
              "Live, record", 7 * _DAY_MS),
    TopicSpec(EGO_POSES, "where the vehicle is", "EgoPose", _ARROW, "crossing id", "the vehicle, replay", "Live, record",
              _DAY_MS),
    TopicSpec(TRUTH, "ground truth, where there is any", "Truth in map", _ARROW, "crossing id", "replay", "record, scores",
              _DAY_MS),
    TopicSpec(DRIVE_INFO, "what is being played and where map lies", "drive.json's origin, site, facts ...", "application/json",
              "drive id", "replay", "record, worker", 7 * _DAY_MS, compacted=True, keyed_by_crossing=False),
    TopicSpec(DEAD_LETTERS, "octets that were refused", "the octets", _OCTETS, "crossing id, or nothing",
              "gateway, fusion worker", "people", 14 * _DAY_MS, keyed_by_crossing=False, headers=_LETTER_HEADERS),
)


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as a cluster has it: partitions, copies of each, and the settings that are not the broker's own."""

    partitions: int
    copies: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicChange:
    """What is to be done with one topic; `said` tells it, and `note` what stays otherwise than planned ("" = nothing)."""

    name: str
    create: bool
    grow: bool  # to have more partitions
    partitions: int  # in all, after the change
    settings: Mapping[str, str]  # to set
    said: str
    note: str = ""

    @property
    def is_needed(self) -> bool:
        return self.create or self.grow or bool(self.settings)


def settings_of(topic: str) -> Mapping[str, str]:
    """Kafka's settings of a topic; none for one that is not in the table."""
    return next((spec.settings for spec in TOPICS if spec.name == topic), {})


def partitions_of(spec: TopicSpec, site: Site, at_least: int = 1) -> int:
    """As many as set a site's crossings apart (v2x/partition.py), so that as many workers can share it; at least `at_least`.

    SpecError for a site without crossings.
    """
    if not site.crossings:
        raise SpecError("site: no crossing, expected at least one")
    return max(partitions_for([crossing.id for crossing in site.crossings]), at_least) if spec.keyed_by_crossing else 1


def plan(site: Site, present: Mapping[str, TopicState], at_least: int = 1) -> list[TopicChange]:
    """What makes a cluster's topics those that a site needs: nothing for a cluster that has them. Partitions only grow."""
    return [_change(spec, partitions_of(spec, site, at_least), present.get(spec.name)) for spec in TOPICS]


def troubles(site: Site, present: Mapping[str, TopicState]) -> list[str]:
    """One line for each thing in which a cluster's topics are not what a site needs."""
    unlike = [f"{change.name}: {'absent' if change.create else 'needs ' + change.said}" for change in plan(site, present)
              if change.create or (change.settings and not change.grow)]
    return unlike + shortages(site, {name: state.partitions for name, state in present.items()})


def shortages(site: Site, partitions: Mapping[str, int]) -> list[str]:
    """One line for each topic that has too few partitions for its site, and for two that differ where one worker reads both."""
    found = [f"{spec.name} has {_count(partitions[spec.name])}, expected {partitions_of(spec, site)} to set the crossings apart"
             for spec in TOPICS if partitions.get(spec.name, 1 << 30) < partitions_of(spec, site)]
    return found + mismatches(partitions, (VEHICLE_OBJECTS, ROADSIDE_MESSAGES))


def mismatches(partitions: Mapping[str, int], together: Sequence[str]) -> list[str]:
    """Why topics that are read together cannot be: unlike numbers of partitions tear a crossing's records apart."""
    counts = {name: partitions[name] for name in together if name in partitions}
    if len(set(counts.values())) < 2:
        return []
    said = ", ".join(f"{name} {_count(count)}" for name, count in counts.items())
    return [f"{said}: expected as many, else a crossing's records reach different workers"]


def _change(spec: TopicSpec, wanted: int, state: TopicState | None) -> TopicChange:
    if state is None:
        return TopicChange(spec.name, True, False, wanted, spec.settings, f"created with {_count(wanted)}")
    settings = {name: value for name, value in spec.settings.items() if state.settings.get(name) != value}
    grow, surplus = state.partitions < wanted, state.partitions > wanted
    told = [f"partitions {state.partitions} -> {wanted}"] if grow else []
    told += [f"{name} {state.settings.get(name, 'the default')} -> {value}" for name, value in settings.items()]
    note = f"{_count(state.partitions)} where {wanted} would do: none can be taken away" if surplus else ""
    return TopicChange(spec.name, False, grow, max(wanted, state.partitions), settings, ", ".join(told) or "as it should be",
                       note)


def _count(partitions: int) -> str:
    return f"{partitions} partition{'s' * (partitions != 1)}"
