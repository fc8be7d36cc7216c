"""Closes a drive whose recorder was killed: keeps every whole chunk, and says what was lost.

The new files are made and read back aside, in REPAIRING inside the drive's folder; only then is the report written into the
manifest and are the files put in place, the manifest that says "closed" last. Until then the old octets are there, and a repair
that is itself killed is taken up by the next one, which tells the same report.
"""
from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from data_specs.errors import InputError
from replay.drive import DriveInfo, TopicInfo, objects_in
from replay.journal_salvage import SalvagedRecords
from replay.loss import RepairReport, report_from_json
from replay.manifest import (
    CLOSED,
    MESSAGE_JOURNAL,
    OBJECT_JOURNAL,
    RECORDING,
    SENSORS,
    DriveFile,
    Manifest,
    read_manifest,
    require_whole,
    sync_folder,
    write_manifest,
)
from replay.mcap_drive import SampleReader
from replay.mcap_salvage import SalvagedSamples
from replay.object_log import Journal, compact
from replay.recorded import RecordedDrive
from replay.recorder import NO_ROOM, lock_folder

REPAIRING = ".repairing"
JOURNALS = (OBJECT_JOURNAL, MESSAGE_JOURNAL)


def repair_drive(path: str | Path) -> RepairReport:
    """Close a drive; one that is whole stays as it is. Repairing it again changes nothing.

    InputError if its recorder still runs, if there is no room for the new files (the drive then is as it was), or if a file of
    a closed drive is not what its manifest says: there is no recording left to repair it from.
    """
    folder = Path(path)
    read_manifest(folder)
    lock = lock_folder(folder)
    try:
        manifest = read_manifest(folder)  # as it is now that nobody else writes
        if manifest.state == CLOSED:
            require_whole(folder, manifest)
            _tidy(folder, manifest)
            kept = {name: topic.count for name, topic in manifest.info.topics.items()}
            return RepairReport(manifest.info.drive_id, (), kept, 0)
        with _room_or_as_it_was(folder):
            return _repair(folder, manifest)
    finally:
        os.close(lock)


def _repair(folder: Path, manifest: Manifest) -> RepairReport:
    samples = SalvagedSamples(folder / SENSORS)
    records = [SalvagedRecords(folder / name) for name in JOURNALS]
    told = manifest.info.facts.get("repair")
    report = report_from_json(told) if told else _report(manifest.info, samples, records)
    aside = folder / REPAIRING
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    files = _write_aside(aside, samples, records)
    info = _described(replace(manifest.info, facts=dict(manifest.info.facts) | {"repair": report.to_json()}), aside, files)
    _require_kept(folder, info, report)
    write_manifest(folder, replace(manifest, state=RECORDING, info=replace(info, topics={})))
    for file in (*files[1:], files[0]):  # the sensors' file last: until then its old octets are there
        (aside / file.name).replace(folder / file.name)
    sync_folder(folder)
    closed = Manifest(CLOSED, info, files, manifest.generation)
    write_manifest(folder, closed)
    _tidy(folder, closed)
    return report


def _report(info: DriveInfo, samples: SalvagedSamples, records: list[SalvagedRecords]) -> RepairReport:
    kept = Counter(samples.kept)
    for journal in records:
        kept.update(journal.kept)
    numbered = max(journal.last_sequence for journal in records) + 1
    missing = max(numbered - sum(kept.values()), samples.lost_between + sum(journal.mismatched for journal in records))
    return RepairReport(info.drive_id, (samples.loss(), *(journal.loss() for journal in records)), dict(sorted(kept.items())),
                        missing)


def _write_aside(aside: Path, samples: SalvagedSamples, records: list[SalvagedRecords]) -> tuple[DriveFile, ...]:
    """Write what is whole as the files of a closed drive; the sensors' comes first."""
    samples.write(aside / SENSORS)
    files = [DriveFile(SENSORS, "", "", (aside / SENSORS).stat().st_size)]
    for journal in records:
        place = aside / journal.path.name
        journal.write(place)
        files += [file for file, _, _, _ in compact(Journal(place), aside)]
        place.unlink()
    sync_folder(aside)
    return tuple(files)


def _described(info: DriveInfo, aside: Path, files: tuple[DriveFile, ...]) -> DriveInfo:
    """What the new files hold, by reading every record back, and the time of every sample."""
    topics: dict[str, TopicInfo] = {}
    for file in files[1:]:
        known = topics.get(file.topic)
        topics[file.topic] = TopicInfo(f"{known.kind}, {file.kind}" if known else file.kind, 0)
    topics |= dict.fromkeys(SampleReader(aside / SENSORS).topics(), TopicInfo("Sample", 0))
    drive = RecordedDrive(aside, Manifest(CLOSED, replace(info, topics=topics), files))
    times_ns: list[int] = []
    for name, topic in sorted(topics.items()):
        times = drive.times(name)
        if not len(times):
            continue
        objects = 0 if topic.kind == "Sample" else sum(objects_in(event.payload) for event in drive.events(topics=[name]))
        kinds = ", ".join(sorted(topic.kind.split(", ")))
        topics[name] = TopicInfo(kinds, len(times), objects)
        times_ns += [int(times[0]), int(times[-1])]
    note = "its recorder was killed; 'roadweave repair' closed it, and the fact \"repair\" says what was lost"
    found = {name: topic for name, topic in topics.items() if topic.count}
    return replace(info, topics=found, notes=(*(line for line in info.notes if line != note), note),
                   start_ns=min(times_ns, default=info.start_ns), end_ns=max(times_ns, default=info.end_ns))


def _require_kept(folder: Path, info: DriveInfo, report: RepairReport) -> None:
    counts = {name: topic.count for name, topic in info.topics.items()}
    if counts != dict(report.kept):
        raise InputError(folder / REPAIRING, f"{counts} events in the repaired files", f"{dict(report.kept)}",
                         "the drive is as it was")


def _tidy(folder: Path, manifest: Manifest) -> None:
    """Remove what a repaired drive no longer needs; a drive that was closed by its recorder is not touched."""
    if "repair" not in manifest.info.facts:
        return
    kept = {file.name for file in manifest.files}
    for stale in (*(folder / name for name in JOURNALS), *folder.glob("*.parquet")):
        if stale.name not in kept:
            stale.unlink(missing_ok=True)
    shutil.rmtree(folder / REPAIRING, ignore_errors=True)


@contextmanager
def _room_or_as_it_was(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        shutil.rmtree(folder / REPAIRING, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            raise InputError(folder, "no room for the repaired files", f"about {size:,} bytes free",
                             "the drive is as it was") from error
        raise
