"""Writing drives: record events, import a foreign recording, add topics to a drive that is there.

While recording, the folder's manifest says "recording"; closing sorts and packs the records, then says "closed". The folder
appears with its manifest and its files at once, so there is no moment at which it is not a drive. A recorder that is killed
loses at most its last sensor chunk and the last 16 records of a journal; the drive opens with everything before them, and
`repair` closes it. What is older than SYNC_EVERY_S survives a power cut too. A recorder holds a lock on its folder.
"""
from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from data_specs.errors import InputError, SpecError
from data_specs.sensors import Sample
from replay.console import progress
from replay.drive import DriveInfo, Event, Importer, TopicInfo, objects_in
from replay.manifest import (
    CLOSED,
    MANIFEST,
    MESSAGE_JOURNAL,
    OBJECT_JOURNAL,
    RECORDING,
    SENSORS,
    DriveFile,
    Manifest,
    read_manifest,
    require_whole,
    write_manifest,
)
from replay.mcap_drive import SampleWriter
from replay.object_log import KINDS, MESSAGE_KINDS, Journal, JournalWriter, compact

SYNC_EVERY_S = 2.0  # of wall-clock time: how much a power cut costs at most
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
JPEG_NOTE = "images are stored as JPEG of quality 90: close to, not the same as what the camera gave"


class Recorder:
    """A Sink that makes a drive. Leave its `with` block without an error, or call `close`, to make the drive whole."""

    def __init__(self, path: str | Path, info: DriveInfo, overwrite: bool = False,
                 sync_every_s: float | None = SYNC_EVERY_S) -> None:
        """`sync_every_s` is how often what was written is waited for until it lies on the disk; None: only when closing."""
        self.path = Path(path)
        make_way(self.path, overwrite, remove=False)
        self._described = info
        self._topics: dict[str, TopicInfo] = {}
        self._span_ns: tuple[int, int] | None = None
        self._sequence = 0
        self._images = False
        self._closed: DriveInfo | None = None
        self._failed: OSError | None = None
        self._sync_every_s, self._synced_s = sync_every_s, time.monotonic()
        aside = self.path.parent / f".{self.path.name}.starting-{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            self._lock = lock_folder(aside)
            write_manifest(aside, Manifest(RECORDING, replace(info, topics={}), ()))
            self._samples = SampleWriter(aside / SENSORS)
            self._objects = JournalWriter(aside / OBJECT_JOURNAL)
            self._messages = JournalWriter(aside / MESSAGE_JOURNAL)
            make_way(self.path, overwrite)
            aside.rename(self.path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    @property
    def info(self) -> DriveInfo:
        """What is recorded so far."""
        if self._closed is not None:
            return self._closed
        start_ns, end_ns = self._span_ns or (self._described.start_ns, self._described.end_ns)
        notes = self._described.notes
        if self._images and JPEG_NOTE not in notes:
            notes = (*notes, JPEG_NOTE)
        return replace(self._described, start_ns=start_ns, end_ns=end_ns, topics=dict(self._topics), notes=notes)

    def write(self, event: Event) -> None:
        """Add an event; records may come in any order, the samples of a topic in order of time."""
        if self._closed is not None:
            raise SpecError(f"{self.path}: an event for {event.topic}, expected none after closing")
        if event.time_ns < 0:
            raise SpecError(f"{event.topic}: time_ns {event.time_ns}, expected nanoseconds since 1970")
        with self._keeping_whole():
            if isinstance(event.payload, Sample):
                self._samples.write(event)
                self._images = self._images or bool(event.payload.images)
            else:
                _journal_of(event, self._objects, self._messages).write(event, self._sequence)
            self._sync_if_due()
        self._sequence += 1
        self._topics[event.topic] = _counted(self._topics.get(event.topic), event)
        first_ns, last_ns = self._span_ns or (event.time_ns, event.time_ns)
        self._span_ns = (min(first_ns, event.time_ns), max(last_ns, event.time_ns))

    def flush(self) -> None:
        """Hand buffered records to the operating system, so that a reader of the running drive sees them."""
        with self._keeping_whole():
            self._objects.flush()
            self._messages.flush()

    def close(self) -> DriveInfo:
        """Sort and pack what was recorded and say that the drive is whole; may be called again."""
        if self._closed is not None:
            return self._closed
        info = self.info
        with self._keeping_whole():
            self._finish()
            journals = [self.path / OBJECT_JOURNAL, self.path / MESSAGE_JOURNAL]
            files = [DriveFile(SENSORS, "", "", (self.path / SENSORS).stat().st_size)]
            for journal in journals:
                files += [file for file, _, _, _ in compact(Journal(journal), self.path)]
            write_manifest(self.path, Manifest(CLOSED, info, tuple(files)))
        for journal in journals:
            journal.unlink()
        os.close(self._lock)
        self._closed = info
        return info

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        elif self._failed is None:
            self._failed = OSError(errno.ECANCELED, "the recording was given up")
            with suppress(OSError):  # what ended the recording matters more
                self._finish()  # the manifest goes on saying "recording"
            os.close(self._lock)

    def _finish(self) -> None:
        self._samples.close()
        self._objects.close()
        self._messages.close()

    def _sync_if_due(self) -> None:
        if self._sync_every_s is None or time.monotonic() - self._synced_s < self._sync_every_s:
            return
        for writer in (self._samples, self._objects, self._messages):
            writer.sync()
        self._synced_s = time.monotonic()

    @contextmanager
    def _keeping_whole(self) -> Iterator[None]:
        """Nothing is written behind a write that failed, so that all before it stays readable."""
        if self._failed is not None:
            raise InputError(self.path, f"a recording that stopped: {self._failed.strerror}", "one that goes on")
        try:
            yield
        except OSError as error:
            self._failed = error
            for writer in (self._samples, self._objects, self._messages):
                writer.abandon()
            os.close(self._lock)
            if error.errno not in NO_ROOM:
                raise
            raise InputError(self.path, f"the disk is full after {self._sequence} events", "room to go on recording",
                             f"what was written is whole: 'roadweave repair {self.path}' closes it") from error


def lock_folder(folder: Path) -> int:
    """Hold a folder for this process alone until the handle is closed or the process ends; InputError if another holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(folder, "a drive that another process is writing", "one whose recorder has ended") from error
    return handle


def import_drive(importer: Importer, path: str | Path, overwrite: bool = False) -> DriveInfo:
    """Write an importer's events as a drive; on an error nothing is left at `path` that was not there before."""
    path = Path(path)
    make_way(path, overwrite, remove=False)
    aside = path.parent / f".{path.name}.importing-{os.getpid()}"
    try:
        with Recorder(aside, importer.describe(), overwrite=True, sync_every_s=None) as recorder:
            for event in progress(importer, f"importing {path.name}", total=len(importer)):
                recorder.write(event)
        make_way(path, overwrite)
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return recorder.info


def extend_drive(path: str | Path, events: Iterable[Event], replace_topics: Sequence[str] = (),
                 facts: Mapping[str, Any] | None = None) -> DriveInfo:
    """Add records (not samples) to a closed drive, in one step; `replace_topics` go, whether or not anything comes for them.

    A topic that is there already must be named in `replace_topics`, so that nothing is ever counted twice.
    `facts` are added to the drive's, for lineage: which weights, which settings. What was said of a replaced topic goes with it.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if manifest.state != CLOSED:
        raise InputError(path, "a drive that was not closed", "a closed one", f"'roadweave repair {path}' closes it")
    require_whole(path, manifest)
    aside = path / f".extending-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        topics = _write_aside(aside, events, set(manifest.info.topics) - set(replace_topics))
        generation = manifest.generation + 1
        added = compact(Journal(aside / OBJECT_JOURNAL), aside, generation)
        for file, _, _, _ in added:
            (aside / file.name).rename(path / file.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    gone = [file for file in manifest.files if file.topic in set(replace_topics)]
    info = manifest.info
    times = [info.start_ns, info.end_ns] if info.topics else []
    times += [time for _, _, first_ns, last_ns in added for time in (first_ns, last_ns)]
    kept_topics = {name: topic for name, topic in info.topics.items() if name not in replace_topics}
    kept_facts = {name: fact for name, fact in info.facts.items() if name not in replace_topics}
    extended = replace(info, topics=kept_topics | topics, start_ns=min(times, default=info.start_ns),
                       end_ns=max(times, default=info.end_ns), facts={**kept_facts, **(facts or {})})
    files = (*(file for file in manifest.files if file not in gone), *(file for file, _, _, _ in added))
    write_manifest(path, Manifest(CLOSED, extended, files, generation))
    for file in gone:
        (path / file.name).unlink()
    return extended


def make_way(path: Path, overwrite: bool, remove: bool = True) -> None:
    """Refuse a target that is there (an empty folder is fine), or remove the drive there if it may be overwritten."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        if remove and path.exists():
            path.rmdir()
        return
    if not overwrite:
        raise InputError(path, "something is there already", "a folder that does not exist yet", "overwrite replaces a drive")
    if not (path / MANIFEST).is_file() and not path.name.startswith("."):
        raise InputError(path, "something that is not a drive", "a drive to overwrite, or nothing")
    if remove:
        shutil.rmtree(path)


def _write_aside(aside: Path, events: Iterable[Event], taken: set[str]) -> dict[str, TopicInfo]:
    topics: dict[str, TopicInfo] = {}
    journal = JournalWriter(aside / OBJECT_JOURNAL)
    try:
        for sequence, event in enumerate(events):
            kind = type(event.payload).__name__
            if kind not in KINDS:
                raise SpecError(f"{event.topic}: a {kind}, expected one of {', '.join(KINDS)}")
            if event.topic in taken:
                raise SpecError(f"{event.topic}: is in the drive already, expected a new topic or one that is replaced")
            journal.write(event, sequence)
            topics[event.topic] = _counted(topics.get(event.topic), event)
    finally:
        journal.close()
    return topics


def _journal_of(event: Event, objects: JournalWriter, messages: JournalWriter) -> JournalWriter:
    kind = type(event.payload).__name__
    if kind not in KINDS:
        raise SpecError(f"{event.topic}: a {kind}, expected a Sample or one of {', '.join(KINDS)}")
    return messages if kind in MESSAGE_KINDS else objects


def _counted(topic: TopicInfo | None, event: Event) -> TopicInfo:
    kind, objects = type(event.payload).__name__, objects_in(event.payload)
    if topic is None:
        return TopicInfo(kind, 1, objects)
    kinds = sorted({*topic.kind.split(", "), kind})
    return TopicInfo(", ".join(kinds), topic.count + 1, topic.objects + objects)
