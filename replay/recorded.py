"""Reading drives: time-ordered events over half-open ranges, with seeks that touch only what they need.

A drive whose recorder was killed opens too, read-only, with everything whole in it and a note that says so.
"""
from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from data_specs.errors import SpecError, TruncatedInput
from replay.drive import EGO_SAMPLES, DriveInfo, Event, TopicInfo, objects_in
from replay.manifest import CLOSED, MESSAGE_JOURNAL, OBJECT_JOURNAL, SENSORS, Manifest, read_manifest, require_whole

_Row = tuple[int, int, Event]  # time_ns, sequence, event


class _Topic(Protocol):
    """One topic (or one kind of record of it) in one file."""

    @property
    def times_ns(self) -> Any: ...

    def events(self, start_ns: int | None, end_ns: int | None) -> Iterator[_Row]: ...


def open_drive(path: str | Path) -> RecordedDrive:
    """Open a drive; MissingInput, TruncatedInput, InputError or UnknownFormat name the file, and the byte, that is wrong."""
    folder = Path(path)
    manifest = read_manifest(folder)
    if manifest.state == CLOSED:
        require_whole(folder, manifest)
    return RecordedDrive(folder, manifest)


class RecordedDrive:
    """A drive on disk. Files are opened when they are first read; several threads may read at once."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._manifest = manifest
        self._times: dict[str, Any] = {}

    @property
    def info(self) -> DriveInfo:
        """What the manifest says; for a drive that was not closed, what is whole in it."""
        return self._manifest.info if self._manifest.state == CLOSED else self._surveyed

    def events(self, start_ns: int | None = None, end_ns: int | None = None,
               topics: Sequence[str] | None = None) -> Iterator[Event]:
        """Events with start_ns <= time_ns < end_ns of the topics (None = all), by time, then by topic name."""
        names = self._topics if topics is None else [name for name in self._topics if name in set(topics)]
        parts = [part.events(start_ns, end_ns) for name in names for part in self._topics[name]]
        for _, _, event in heapq.merge(*parts, key=lambda row: (row[0], row[2].topic, row[1])):
            yield event

    def times(self, topic: str) -> Any:
        """Times [n] int64 of a topic's events, sorted, without reading the events."""
        import numpy as np

        if topic not in self._times:
            spans = [np.asarray(part.times_ns, np.int64) for part in self._parts(topic)]
            self._times[topic] = np.sort(np.concatenate(spans))
        return self._times[topic]

    def columns(self, topic: str, kind: str, fields: Sequence[str] | None = None) -> Any:
        """A topic's records of one kind as an Arrow table: `time_ns` and the fields asked for (None = all), by time.

        No record is built, and of a closed drive no other column is read: this is how whole drives are searched and plotted.
        SpecError if the drive has no such topic, or only samples of sensors.
        """
        import pyarrow as pa

        tables = [part.columns(fields) for part in self._parts(topic) if getattr(part, "kind", "Sample") == kind]  # type: ignore
        if not tables:
            raise SpecError(f"{self.path}: {topic} has no records of kind {kind}, expected one of its own kinds")
        return pa.concat_tables(tables)

    def nearest(self, topic: str, time_ns: int) -> Event:
        """The event of a topic nearest in time, the earlier one of two; SpecError if the drive has no such topic."""
        from bisect import bisect_left

        times = self.times(topic)
        after = bisect_left(times, time_ns)
        near = times[max(after - 1, 0):after + 1].tolist()
        best_ns = min(near, key=lambda time: (abs(time - time_ns), time))
        return next(self.events(best_ns, best_ns + 1, [topic]))

    def jpegs(self, time_ns: int, topic: str = EGO_SAMPLES) -> dict[str, bytes]:
        """The images of the sample at exactly `time_ns`, by camera frame, as JPEG: for whoever only passes them on."""
        self._parts(topic)
        for _, _, parts in self._samples.parts(topic, time_ns, time_ns + 1):
            return parts.jpegs()
        raise SpecError(f"{topic}: no sample at {time_ns}, expected one of the topic's times")

    def _parts(self, topic: str) -> list[_Topic]:
        if topic not in self._topics:
            raise SpecError(f"{self.path}: no topic {topic!r}, expected one of {', '.join(sorted(self._topics))}")
        return self._topics[topic]

    @cached_property
    def _samples(self) -> Any:
        from replay.mcap_drive import SampleReader

        return SampleReader(self.path / SENSORS, closed=self._manifest.state == CLOSED)

    @cached_property
    def _journals(self) -> list[Any]:
        from replay.object_log import Journal

        paths = [self.path / name for name in (OBJECT_JOURNAL, MESSAGE_JOURNAL)]
        return [Journal(path) for path in paths if path.is_file()]

    @cached_property
    def _topics(self) -> dict[str, list[_Topic]]:
        from replay.object_log import JournalTopic, ParquetTopic

        found: dict[str, list[_Topic]] = defaultdict(list)
        if self._manifest.state == CLOSED:
            for file in self._manifest.files:
                if file.topic:
                    found[file.topic].append(ParquetTopic(self.path / file.name, file.topic, file.kind))
            sampled = [name for name, topic in self._manifest.info.topics.items() if topic.kind == "Sample"]
        else:
            for journal in self._journals:
                for topic, kind in journal.topics():
                    found[topic].append(JournalTopic(journal, topic, kind))
            sampled = self._samples.topics() if (self.path / SENSORS).is_file() else []
        for topic in sampled:
            found[topic].append(_SampleTopic(self, topic))
        return dict(found)

    @cached_property
    def _surveyed(self) -> DriveInfo:
        """What is whole in a drive that was not closed, with a note on where it breaks off."""
        described = self._manifest.info
        times = {name: self.times(name) for name in self._topics}
        topics = {}
        for name, parts in self._topics.items():
            kinds = sorted(getattr(part, "kind", "Sample") for part in parts)
            objects = 0 if kinds == ["Sample"] else sum(objects_in(event.payload) for event in self.events(topics=[name]))
            topics[name] = TopicInfo(", ".join(kinds), len(times[name]), objects)
        ends = [error for error in (*(j.ends_early for j in self._journals), self._samples.ends_early) if error]
        reasons = "; ".join(f"{Path(error.where).name} {error.got}" for error in ends if isinstance(error, TruncatedInput))
        note = "this drive was not closed: what is whole in it is readable" + (f" ({reasons})" if reasons else "")
        spans = [span for span in times.values() if len(span)]
        return replace(described, topics=topics, notes=(*described.notes, note),
                       start_ns=min((int(span[0]) for span in spans), default=described.start_ns),
                       end_ns=max((int(span[-1]) for span in spans), default=described.end_ns))


class _SampleTopic:
    """Samples of one topic; the sensors' file is opened when they are first read."""

    def __init__(self, drive: RecordedDrive, topic: str) -> None:
        self._drive, self._topic = drive, topic

    @property
    def times_ns(self) -> Any:
        return self._drive._samples.times_ns(self._topic)

    def events(self, start_ns: int | None, end_ns: int | None) -> Iterator[_Row]:
        return self._drive._samples.samples(self._topic, start_ns, end_ns)
