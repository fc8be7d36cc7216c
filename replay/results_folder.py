"""Results on disk: a folder with one Arrow file a drive, and a note for each shard that wrote into it.

A drive's file holds the outcome of every box (replay/metrics/outcomes.py; no rows for protocols other than nuscenes), and in its
schema's metadata the drive's scores. A baseline is the files of a results folder in one JSON, so that it can be committed.
"""
from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from data_specs.arrow import from_batch, schema_of, to_batch
from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.results import RunResult, Score
from replay.metrics.outcomes import Outcomes

FORMAT, BASELINE_FORMAT, VERSION = "roadweave-results", "roadweave-baseline", 2
ENDING = ".results.arrow"


@dataclass(frozen=True, slots=True)
class DriveResult:
    """One drive's scores by one protocol, and what became of its boxes (None where the protocol keeps none)."""

    drive_id: str
    path: str  # of the drive, as it was given
    result: RunResult
    outcomes: Outcomes | None
    conditions: Mapping[str, str] = field(default_factory=dict)  # weather, scenario, map: see replay/metrics/slices.py
    start_ns: int = 0  # of the drive
    topic: str = ""  # what was scored; "" where the protocol leaves no choice


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count` of a list of drives, from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """"2/8"; InputError for anything else."""
        parts = text.split("/")
        if len(parts) == 2 and all(part.isdigit() for part in parts) and 1 <= int(parts[0]) <= int(parts[1]):
            return cls(int(parts[0]), int(parts[1]))
        raise InputError("--shard", repr(text), "i/n with i from 1 to n")

    def of(self, items: Sequence[Any]) -> list[Any]:
        """Every n-th item, from the i-th on."""
        return list(items[self.index - 1::self.count])


def write_result(folder: Path, result: DriveResult) -> None:
    """Write one drive's file in one step; InputError if the folder has one of that drive."""
    write_bytes(folder, result.drive_id, to_bytes(result))


def write_bytes(folder: Path, drive_id: str, data: bytes) -> None:
    """Write what `to_bytes` made of a drive's results in one step; InputError if the folder has a file of that drive."""
    path = folder / f"{quote(drive_id, safe='')}{ENDING}"
    if path.exists():
        raise InputError(path, "there already", "each drive once, with an id of its own")
    put_file(path, data)


def write_shard(folder: Path, shard: Shard, drives: Sequence[str]) -> None:
    """Note that a shard is done, even where it had no drives."""
    note = {"format": FORMAT, "shard": [shard.index, shard.count], "drives": list(drives)}
    put_file(folder / f"shard-{shard.index}-of-{shard.count}.json", json.dumps(note).encode())


def read_results(source: Path) -> list[DriveResult]:
    """The drives of a results folder or of a baseline, by id; InputError names what is missing, mixed or of another format."""
    results = _read_baseline(source) if source.is_file() else _read_folder(source)
    if not results:
        raise MissingInput(source, "results: a folder that 'roadweave evaluate --out' makes, or a baseline")
    protocols = sorted({one.result.protocol for one in results})
    if len(protocols) > 1:
        raise InputError(source, f"results of protocols {', '.join(protocols)}", "one protocol")
    topics = sorted({one.topic for one in results})
    if len(topics) > 1:
        raise InputError(source, f"results of {' and of '.join(topics)}", "results of one topic")
    return sorted(results, key=lambda one: one.drive_id)


def write_baseline(path: Path, results: Iterable[DriveResult]) -> None:
    """Put results into one file, in one step."""
    drives = [base64.b64encode(to_bytes(one)).decode() for one in results]
    content = {"format": BASELINE_FORMAT, "format_version": VERSION, "drives": drives}
    put_file(path, (json.dumps(content, indent=0) + "\n").encode())


def merge_results(sources: Sequence[Path], out: Path) -> list[DriveResult]:
    """Gather results of several folders in a new one; InputError where drives repeat or shards are missing."""
    require_new(out)
    _require_all_shards([note for source in sources for note in _shards(source)], sources)
    results = [one for source in sources for one in _files(source)]
    out.mkdir(parents=True, exist_ok=True)
    for one in results:
        write_result(out, one)
    return read_results(out)


def require_new(folder: Path) -> None:
    """InputError unless there is nothing at the place."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "there already", "an empty or new folder for results")


def _require_all_shards(notes: Sequence[dict[str, Any]], sources: Sequence[Path]) -> None:
    counts = {note["shard"][1] for note in notes}
    if len(counts) > 1:
        raise InputError(str(sources[0]), f"shards of {' and of '.join(map(str, sorted(counts)))}", "shards of one run")
    for count in counts:
        missing = set(range(1, count + 1)) - {note["shard"][0] for note in notes}
        if missing:
            got = f"no shard {', '.join(map(str, sorted(missing)))}"
            raise InputError(", ".join(map(str, sources)), got, f"all {count} shards",
                             "'roadweave merge' gathers those of several folders")


def _read_folder(folder: Path) -> list[DriveResult]:
    if not folder.is_dir():
        raise MissingInput(folder, "results: a folder that 'roadweave evaluate --out' makes, or a baseline")
    _require_all_shards(_shards(folder), [folder])
    return _files(folder)


def _files(folder: Path) -> list[DriveResult]:
    return [_from_bytes(path.read_bytes(), path) for path in sorted(folder.glob(f"*{ENDING}"))]


def _shards(folder: Path) -> list[dict[str, Any]]:
    """The notes of the shards that wrote into a folder."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("shard-*-of-*.json"))]


def _read_baseline(path: Path) -> list[DriveResult]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = content["format"] == BASELINE_FORMAT
        packed = [base64.b64decode(drive, validate=True) for drive in content["drives"]] if known else []
    except (ValueError, KeyError, TypeError) as error:
        what = "a baseline that 'roadweave gate --write-baseline' wrote"
        raise InputError(path, f"{type(error).__name__}: {error}", what) from error
    if not known or content.get("format_version") != VERSION:
        raise UnknownFormat(path, f"{content['format']!r} version {content.get('format_version')!r}",
                            f"{BASELINE_FORMAT!r} version {VERSION}")
    return [_from_bytes(data, path) for data in packed]


def to_bytes(result: DriveResult) -> bytes:
    """A drive's file: the same octets for the same results."""
    head = {"format": FORMAT, "format_version": VERSION, "drive_id": result.drive_id, "path": result.path,
            "boxes": result.outcomes is not None, "conditions": dict(result.conditions),
            "start_ns": result.start_ns, "topic": result.topic, **result.result.to_json()}
    batch = to_batch([result.outcomes] if result.outcomes is not None else [], Outcomes)
    schema = schema_of(Outcomes).with_metadata({"roadweave": json.dumps(head)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return sink.getvalue().to_pybytes()


def _from_bytes(data: bytes, where: Path) -> DriveResult:
    try:
        with pa.ipc.open_file(pa.py_buffer(data)) as reader:
            head = json.loads((reader.schema.metadata or {})[b"roadweave"])
            if (head["format"], head["format_version"]) != (FORMAT, VERSION):
                raise UnknownFormat(where, f"{head['format']!r} version {head['format_version']!r}",
                                    f"{FORMAT!r} version {VERSION}")
            batch = reader.get_batch(0).replace_schema_metadata(None)
        outcomes = from_batch(batch, Outcomes)[0] if head["boxes"] else None
        scores = tuple(Score(row["name"], np.nan if row["value"] is None else row["value"], row["unit"], row["slice"],
                             row["count"])
                       for row in head["scores"])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(where, f"{type(error).__name__}: {str(error).splitlines()[0]}", "a drive's results") from error
    return DriveResult(head["drive_id"], head["path"], RunResult(head["protocol"], (head["drive_id"],), scores), outcomes,
                       head["conditions"], head["start_ns"], head["topic"])


def put_file(path: Path, data: bytes) -> None:
    """Write a file in one step."""
    aside = path.parent / f".{path.name}.writing-{os.getpid()}"
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
