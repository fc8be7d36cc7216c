"""Makes a drive's derived topics again, as their lineage says they were made, and holds them against what is recorded.

Each topic is made again from what its maker read: what `perceive` found from the recorded samples, what `fuse` made from the
recorded detections and messages. So a difference stands where it arose, and does not spread into the topics behind it. What
the demo made came from sensor data before they were stored as JPEG, so it is simulated again.
"""
from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from data_specs.errors import InputError
from replay.drive import DriveInfo, Event, Sink
from replay.lineage import BY, DERIVED, VERSION, installed_version, lineage_of
from replay.recorded import RecordedDrive, open_drive
from replay.recorder import Recorder
from replay.repro_difference import Difference, compare


class Remake(Protocol):
    """Makes topics again as a lineage says; what it makes beyond those asked for is passed over."""

    def __call__(self, drive: RecordedDrive, told: Mapping[str, Any], sink: Sink) -> None:
        """Write the events to the sink; InputError where what they were made with is not here."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one topic."""

    topic: str
    by: str  # the command that made it
    version: str  # of the Roadweave that it was
    same: int  # records that are the same, up to the first difference
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Verdicts in the order in which topics arise, and derived topics of which nobody said how they were made."""

    verdicts: tuple[Verdict, ...]
    unknown: tuple[str, ...]

    @property
    def first(self) -> Difference | None:
        """The earliest difference; of several at one time, that of the topic that arises first."""
        found = [verdict.difference for verdict in self.verdicts if verdict.difference is not None]
        return min(found, key=lambda difference: difference.time_ns, default=None)

    def to_json(self) -> dict[str, Any]:
        """{"same", "topics": [{"topic", "by", "version", "records", "same"}], "first": {...} or null, "unknown": [...]}."""
        first = self.first
        return {"same": first is None and not self.unknown, "unknown": list(self.unknown), "here": installed_version(),
                "topics": [{"topic": v.topic, "by": v.by, "version": v.version, "records": v.same, "same": v.difference is None}
                           for v in self.verdicts],
                "first": None if first is None else {"topic": first.topic, "time_ns": first.time_ns, "field": first.field,
                                                     "recorded": first.recorded, "made": first.made}}


def reproduce(path: Path, remakes: Mapping[str, Remake]) -> Reproduction:
    """Make what is derived in a drive again and compare; `remakes` by the command that a lineage names.

    Raises InputError for a drive with nothing derived, without any lineage, by a command that is not known, or made with what
    is not here. The drive stays as it is; what is made lies in a temporary folder meanwhile.
    """
    drive = open_drive(path)
    unknown = tuple(topic for topic in DERIVED if topic in drive.info.topics and lineage_of(drive.info, topic) is None)
    runs = _runs(drive.info)
    if not runs:
        raise InputError(path, f"no lineage (derived: {', '.join(unknown) or 'nothing'})",
                         "a manifest that says what made its topics", "'roadweave perceive' and 'roadweave fuse' write it")
    for told, topics in runs:
        if told[BY] not in remakes:
            raise InputError(path, f"{topics[0]} made by {told[BY]!r}", f"one of {', '.join(remakes)}")
    verdicts = [verdict for told, topics in runs for verdict in _made_again(drive, told, topics, remakes[told[BY]])]
    return Reproduction(tuple(sorted(verdicts, key=lambda verdict: _rank(verdict.topic))), unknown)


def show(path: Path, found: Reproduction) -> None:
    """The verdicts as a table, with the first difference beneath it."""
    from replay.console import print_table

    notes = [f"{topic}: nobody said how it was made" for topic in found.unknown]
    notes += [f"made by Roadweave {version}, this is {installed_version()}"
              for version in sorted({verdict.version for verdict in found.verdicts} - {installed_version()})]
    if (first := found.first) is not None:
        notes += [f"first difference: {first.topic} at {first.time_ns} ns, {first.field}",
                  f"  recorded {first.recorded}", f"  made     {first.made}"]
    title = f"{path}: {'the same' if first is None else 'different'}"
    print_table(title, ["topic", "made by", "records the same", "verdict"], [
        (v.topic, v.by, v.same, "same" if v.difference is None else "different") for v in found.verdicts], notes)


class _Only:
    """A sink that passes on some topics alone."""

    def __init__(self, topics: Sequence[str], sink: Sink) -> None:
        self._topics, self._sink = frozenset(topics), sink

    def write(self, event: Event) -> None:
        if event.topic in self._topics:
            self._sink.write(event)


def _runs(info: DriveInfo) -> list[tuple[dict[str, Any], list[str]]]:
    """Lineages with the topics that each made, also those of which nothing came."""
    runs: list[tuple[dict[str, Any], list[str]]] = []
    for topic in sorted({*info.topics, *DERIVED}, key=_rank):
        if (told := lineage_of(info, topic)) is None:
            continue
        for known, topics in runs:
            if known == told:
                topics.append(topic)
                break
        else:
            runs.append((told, [topic]))
    return runs


def _made_again(drive: RecordedDrive, told: dict[str, Any], topics: list[str], remake: Remake) -> list[Verdict]:
    """The verdicts on one run's topics; what is made goes through a drive of its own, so that it is stored the same way."""
    with tempfile.TemporaryDirectory(prefix="roadweave-repro-") as folder:
        with Recorder(Path(folder) / "made", replace(drive.info, topics={}), sync_every_s=None) as recorder:
            remake(drive, told, _Only(topics, recorder))
        made = open_drive(Path(folder) / "made")
        found = [(topic, *compare(topic, drive.events(topics=[topic]), made.events(topics=[topic]))) for topic in topics]
    return [Verdict(topic, told[BY], str(told.get(VERSION, "")), same, difference) for topic, same, difference in found]


def _rank(topic: str) -> tuple[int, str]:
    """What is measured before what is made of it, then as DERIVED has them."""
    return (DERIVED.index(topic) if topic in DERIVED else -1), topic
