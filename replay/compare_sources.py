"""Where the two sides of a comparison come from: drives, judged here and now, or results that `evaluate --out` kept."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, RoadweaveError
from data_specs.objects import ObjectList, Truth
from replay.compare import Judged
from replay.console import progress
from replay.drive import TRUTH, VEHICLE_OBJECTS, Drive, DriveInfo, Event
from replay.manifest import MANIFEST
from replay.metrics.detection import ego_places_m
from replay.metrics.outcomes import Outcomes, outcomes_of
from replay.recorded import open_drive
from replay.results_folder import ENDING, read_results


def read_side(source: Path, topic: str = VEHICLE_OBJECTS, against: str = TRUTH) -> list[Judged]:
    """One run: a drive, a folder of drives, a folder of results, or a baseline. By topic, against the truth or another topic.

    InputError names a drive without the topic, truth or ego, results that keep no boxes, and two drives with one id;
    MissingInput a place where there is none of all these.
    """
    if source.is_file() or any(source.glob(f"*{ENDING}")):
        judged = list(_kept(source, topic, against))
    else:
        judged = [judge_drive(open_drive(path), path.name, topic, against)
                  for path in progress(_drives_at(source), f"judging {source.name}")]
    for one, other in zip(ordered := sorted(judged, key=lambda one: one.drive_id), ordered[1:]):
        if one.drive_id == other.drive_id:
            raise InputError(source, f"drives {one.folder} and {other.folder} with one id, {one.drive_id!r}", "each drive once")
    return judged


def judge_drive(drive: Drive, folder: str, topic: str, against: str) -> Judged:
    """Judge one topic of a drive."""
    info = drive.info
    for name in (against, topic):
        if name not in info.topics:
            there = ", ".join(sorted(info.topics)) or "none"
            raise InputError(f"drive {info.drive_id}", f"no {name}", f"one of its topics: {there}")
    seen = drive if against == TRUTH else _Against(drive, against)
    truth_ns, said_ns = ({event.time_ns for event in seen.events(topics=[name])} for name in (TRUTH, topic))
    if not truth_ns & said_ns:
        raise InputError(f"drive {info.drive_id}, {topic}", f"{len(said_ns)} lists, none at a moment of {against}",
                         f"lists at moments of {against}: boxes are held against the truth of their own time")
    outcomes = outcomes_of(seen, topic)
    return Judged(info.drive_id, folder, info.start_ns, outcomes, track_ids(seen, topic, outcomes), len(truth_ns - said_ns))


def track_ids(drive: Drive, topic: str, outcomes: Outcomes) -> Array:
    """The identity of each row [n] of a drive's outcomes: of a truth, or of a box of the topic; -1 where there is none."""
    ego_m = ego_places_m(drive)
    known: dict[tuple[bool, int, float, float], int] = {}
    for event in drive.events(topics=[TRUTH, topic]):
        is_truth = isinstance(event.payload, Truth)
        objects = event.payload.objects if isinstance(event.payload, Truth) else event.payload
        if isinstance(objects, ObjectList) and event.time_ns in ego_m:
            xy_m = objects.boxes.center_m[:, :2] - ego_m[event.time_ns][:2]  # as the outcomes' rows have it, to the last bit
            known |= {(is_truth, event.time_ns, x, y): one for (x, y), one in zip(xy_m.tolist(), objects.track_id.tolist())}
    rows = zip(outcomes.is_truth.tolist(), outcomes.time_ns.tolist(), outcomes.xy_m[:, 0].tolist(), outcomes.xy_m[:, 1].tolist())
    return np.array([known.get(row, -1) for row in rows], np.int64)


def _drives_at(source: Path) -> Sequence[Path]:
    found = [source] if (source / MANIFEST).is_file() else sorted(path.parent for path in source.glob(f"*/{MANIFEST}"))
    if not found:
        raise MissingInput(source, "a drive, a folder of drives, or results that 'roadweave evaluate --out' made")
    return found


def _kept(source: Path, topic: str, against: str) -> Iterator[Judged]:
    if (topic, against) != (VEHICLE_OBJECTS, TRUTH):
        raise InputError(source, f"results, and topic {topic} against {against}",
                         f"drives: results are of {VEHICLE_OBJECTS} against {TRUTH}")
    for one in read_results(source):
        if one.outcomes is None:
            raise InputError(source, f"results of protocol {one.result.protocol}", "protocol nuscenes, which keeps every box")
        try:
            ids = track_ids(open_drive(one.path), topic, one.outcomes)
        except RoadweaveError:  # the drive has gone since, or this is another machine: boxes can be told, tracks cannot
            ids = np.full(len(one.outcomes), -1)
        yield Judged(one.drive_id, PurePath(one.path).name, one.start_ns, one.outcomes, ids)


class _Against:
    """A drive that has another topic's objects for its truth."""

    def __init__(self, drive: Drive, topic: str) -> None:
        self._drive, self._topic = drive, topic

    @property
    def info(self) -> DriveInfo:
        return self._drive.info

    def events(self, start_ns: int | None = None, end_ns: int | None = None,
               topics: Sequence[str] | None = None) -> Iterator[Event]:
        """As Drive.events, where `truth` is asked for by name."""
        wanted = set(self.info.topics if topics is None else topics)
        if TRUTH in wanted:
            for event in self._drive.events(start_ns, end_ns, [self._topic]):
                if isinstance(event.payload, ObjectList):
                    yield Event(event.time_ns, TRUTH, Truth.build(event.payload))
        yield from self._drive.events(start_ns, end_ns, sorted(wanted - {TRUTH}))
