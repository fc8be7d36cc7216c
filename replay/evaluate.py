"""Scores a drive by one of the protocols, and writes its detections for other people's evaluators."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputError, UnknownFormat
from data_specs.results import RunResult
from replay.drive import FUSED_TRACKS, VEHICLE_OBJECTS, Drive

if TYPE_CHECKING:
    from replay.results_folder import DriveResult

PROTOCOLS = ("nuscenes", "tracking", "kitti", "cooperative", "dair-v2x", "calibration", "conflict", "messages")
TOPIC_OF = {"nuscenes": VEHICLE_OBJECTS, "tracking": FUSED_TRACKS}  # what a protocol scores where nobody says
MOST_COLUMNS = 16  # of a table that people read


@dataclass(frozen=True, slots=True)
class Scoring:
    """How drives are scored."""

    protocol: str
    topic: str = ""  # what is scored, of protocols nuscenes and tracking; "" is vehicle.objects and fused.tracks
    results: Path | None = None  # a detector's result files, scored in place of vehicle.objects


def evaluate(drive: Drive, protocol: str, write_results: Path | None = None, topic: str = "") -> RunResult:
    """The scores of one protocol; UnknownFormat for one that is not known, InputError where there is nothing to score.

    `write_results` is a folder to make; it is written first, since others may know truth that the drive lacks. `topic` is as of
    Scoring.
    """
    if topic and protocol not in TOPIC_OF:
        raise InputError("--topic", f"{topic} for protocol {protocol}", f"protocol {' or '.join(TOPIC_OF)}")
    if topic and write_results is not None:
        raise InputError("--topic", f"{topic} with --write-results", "one of the two: files are written of what is usual")
    if protocol == "nuscenes":
        from replay.metrics.detection import evaluate_nuscenes

        if write_results is not None:
            from replay.metrics.nuscenes_json import write_detections

            write_detections(drive, write_results)
        return evaluate_nuscenes(drive, topic or TOPIC_OF[protocol])
    if protocol == "tracking":
        from replay.metrics.tracking_scores import evaluate_tracking

        if write_results is not None:
            from replay.metrics.nuscenes_json import write_tracks

            write_tracks(drive, write_results)
        return evaluate_tracking(drive, topic or TOPIC_OF[protocol])
    if protocol == "kitti":
        from replay.metrics.kitti import evaluate_kitti, write_kitti_results

        if write_results is not None:
            write_kitti_results(drive, write_results)
        return evaluate_kitti(drive)
    if protocol in PROTOCOLS and write_results is not None:
        raise InputError(write_results, f"result files of protocol {protocol!r}", "protocol nuscenes, tracking or kitti: "
                         f"there is no common format for {protocol} results")
    return _without_files(drive, protocol)


def _without_files(drive: Drive, protocol: str) -> RunResult:
    """The scores of a protocol that has no result files of its own."""
    if protocol == "cooperative":
        from replay.metrics.cooperative import evaluate_cooperative

        return evaluate_cooperative(drive)
    if protocol == "dair-v2x":
        from replay.metrics.dair_ap import evaluate_dair

        return evaluate_dair(drive)
    if protocol == "calibration":
        from replay.metrics.calibration import evaluate_calibration

        return evaluate_calibration(drive)
    if protocol == "conflict":
        from replay.metrics.conflict_scores import evaluate_conflicts

        return evaluate_conflicts(drive)
    if protocol == "messages":
        from replay.metrics.message_age import evaluate_messages

        return evaluate_messages(drive)
    raise UnknownFormat("protocol", repr(protocol), f"one of {', '.join(PROTOCOLS)}")


def left_out(drive: Drive, protocol: str) -> str:
    """What a drive holds of classes that the protocol has no name for, as a line; "" where there is nothing."""
    import numpy as np

    from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth
    from replay.drive import TRUTH

    if protocol != "nuscenes":
        return ""
    counts = {TRUTH: np.zeros(len(ObjectClass), int), VEHICLE_OBJECTS: np.zeros(len(ObjectClass), int)}
    for event in drive.events(topics=list(counts)):
        objects = event.payload.objects if isinstance(event.payload, Truth) else event.payload
        if isinstance(objects, ObjectList):
            counts[event.topic] += np.bincount(objects.label, minlength=len(ObjectClass))
    told = [f"{cls.title} ({counts[TRUTH][cls]:,} truths, {counts[VEHICLE_OBJECTS][cls]:,} boxes)" for cls in ObjectClass
            if cls.title not in NUSCENES_CLASSES and any(each[cls] for each in counts.values())]
    return f"{drive.info.drive_id}: left out, since nuScenes has no such class: {', '.join(told)}" if told else ""


def open_scored(path: Path, scoring: Scoring) -> Drive:
    """The drive at a path, with the results that are to be scored in it."""
    from replay.recorded import open_drive

    drive = open_drive(path)
    if scoring.results is None:
        return drive
    from replay.metrics.foreign_results import with_results

    return with_results(drive, scoring.results)


def drive_result(path: Path, scoring: Scoring, name: str | None = None) -> DriveResult:
    """A drive's scores and, for protocol nuscenes, what became of its boxes; `name` is the path to tell, if it is another."""
    from replay.results_folder import DriveResult

    drive = open_scored(path, scoring)
    outcomes, conditions = None, {}
    topic = scoring.topic or TOPIC_OF.get(scoring.protocol, "")
    result = evaluate(drive, scoring.protocol, topic=scoring.topic)
    if scoring.protocol == "nuscenes":
        from replay.metrics.outcomes import outcomes_of
        from replay.metrics.slices import conditions_of

        outcomes, conditions = outcomes_of(drive, topic), conditions_of(drive.info)
    return DriveResult(drive.info.drive_id, name or str(path), result, outcomes, conditions, drive.info.start_ns, topic)


def sliced(results: Sequence[DriveResult]) -> RunResult:
    """The scores of every slice over drives together; InputError for a protocol that keeps no boxes to slice."""
    import numpy as np

    from replay.metrics.drawn_scores import drawn_scores

    outcomes = [one.outcomes for one in results if one.outcomes is not None]
    if len(outcomes) < len(results) or not results:
        got = f"protocol {results[0].result.protocol}" if results else "no results"
        raise InputError("--slices", got, "results of protocol nuscenes, which keeps every box")
    found = drawn_scores(outcomes, np.zeros((0, len(outcomes)), np.int64), [one.conditions for one in results])
    return RunResult("nuscenes", tuple(one.drive_id for one in results), found.scores)


Table = tuple[list[str], list[list[Any]]]  # columns, rows


def score_tables(result: RunResult) -> tuple[Table | None, Table | None]:
    """Scores as people read them: those of the whole, one a row, and those of slices, a row each; None where there are none.

    Slices with nothing behind them are left out. Where there are more than MOST_COLUMNS scores, slices are columns instead.
    Where the scores of a slice count different things, they stay one a row.
    """
    whole = [score for score in result.scores if score.slice == "all"]
    sliced = [score for score in result.scores if score.slice != "all" and score.count]
    counts = {(score.slice, score.count) for score in sliced}
    slices = list(dict.fromkeys(score.slice for score in sliced))
    if len(counts) > len(slices):
        whole, sliced, slices = list(result.scores), [], []
    value = {(score.slice, score.name.removeprefix(f"{score.slice}_")): score.value for score in sliced}
    names = list(dict.fromkeys(name for _, name in value))
    flat = ["score", "slice", "value", "unit", "count"], [[s.name, s.slice, s.value, s.unit, s.count] for s in whole]
    pivot = ["slice", *names, "count"], [[name, *(value.get((name, column), float("nan")) for column in names),
                                          dict(counts)[name]] for name in slices]
    if len(names) > MOST_COLUMNS:
        columns = [pivot[0], *pivot[1]]
        pivot = ["score", *slices], [list(row) for row in zip(*columns)][1:]
    return flat if whole else None, pivot if slices else None
