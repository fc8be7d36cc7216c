"""The flat tables of many drives, kept as Parquet files beside them: a search of thousands reads what it needs and no more.

A folder of drives gets a folder `.roadweave-search` with three files a drive and `index.json`, which says of what each was made:
when a drive's manifest has another time or size its files are made anew. Files come under a temporary name and are renamed, so
what is there is whole; two searches at once only do the work twice. The folder may be deleted at any time.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.errors import InputError, MissingInput, RoadweaveError
from replay.drive import FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS
from replay.manifest import MANIFEST
from replay.recorded import open_drive
from replay.search_tables import TABLES, flat_tables

INDEX_FOLDER = ".roadweave-search"
VERSION = 2  # of the tables: a file of another version is made anew
_USUAL_TOPICS = (FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS)  # whose objects a phrase means that names no topic


@dataclass(frozen=True, slots=True)
class SearchedDrive:
    """A drive's tables: Arrow tables in memory, or Parquet files."""

    row: Mapping[str, Any]  # of the table `drives`
    tables: Mapping[str, pa.Table | Path]


@dataclass(slots=True)
class Searched:
    """All drives that a search covers, and those that it could not read."""

    drives: list[SearchedDrive] = field(default_factory=list)
    skipped: list[tuple[Path, RoadweaveError]] = field(default_factory=list)


def gather(paths: Sequence[Path], watch: Callable[[Iterable[Path]], Iterable[Path]] = iter) -> Searched:
    """The tables of the drives at `paths`, each a drive or a folder of drives, which is indexed. `watch` shows progress.

    A drive that cannot be read is skipped and told. MissingInput where a path holds no drive at all.
    """
    found = Searched()
    for path in paths:
        if (path / MANIFEST).is_file():
            _add(found, path, lambda drive: _in_memory(drive, drive.name))
            continue
        drives = sorted(manifest.parent for manifest in path.rglob(MANIFEST))
        if not drives:
            raise MissingInput(path, f"a drive, or a folder with drives: no {MANIFEST} in it or below")
        index = _Index(path)
        for drive in watch(drives):
            _add(found, drive, index.tables)
        index.save()
    return found


def _add(found: Searched, drive: Path, tables: Callable[[Path], SearchedDrive]) -> None:
    try:
        found.drives.append(tables(drive))
    except RoadweaveError as error:
        found.skipped.append((drive, error))


def _in_memory(drive: Path, name: str) -> SearchedDrive:
    opened = open_drive(drive)
    info = opened.info
    tables = {kind: table.add_column(0, "drive", pa.array([name] * len(table), pa.string()).dictionary_encode())
              for kind, table in flat_tables(opened).items()}
    usual = next((topic for topic in _USUAL_TOPICS if topic in info.topics), "")
    return SearchedDrive({"drive": name, "path": str(drive), "drive_id": info.drive_id, "importer": info.importer,
                          "start_ns": info.start_ns, "end_ns": info.end_ns, "usual_topic": usual}, tables)


class _Index:
    """The index of one folder; where it cannot be written, tables stay in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._place = folder, folder / INDEX_FOLDER
        self._known = self._read()
        self._now: dict[str, Any] = {}
        self._writable = True

    def tables(self, drive: Path) -> SearchedDrive:
        """A drive's tables, as kept, or made now."""
        name = drive.relative_to(self._folder).as_posix()
        try:
            status = (drive / MANIFEST).stat()
        except OSError as error:
            raise MissingInput(drive / MANIFEST, f"a manifest that can be read ({error.strerror})") from error
        made_of = [status.st_mtime_ns, status.st_size]
        files = {kind: self._place / f"{name.replace('/', '%2F')}.{kind}.parquet" for kind in TABLES}
        known = self._known.get(name)
        if known and known["made_of"] == made_of and all(file.is_file() for file in files.values()):
            self._now[name] = known
            return SearchedDrive(known["row"] | {"path": str(drive)}, files)
        made = _in_memory(drive, name)
        if not self._writable:
            return made
        try:
            self._place.mkdir(exist_ok=True)
            for kind, table in made.tables.items():
                _put(files[kind], lambda part, table=table: pq.write_table(table, part, compression="zstd"))
        except OSError:
            self._writable = False  # read-only or full: the search goes on without an index
            return made
        self._now[name] = {"made_of": made_of, "row": dict(made.row)}
        return SearchedDrive(made.row, files)

    def save(self) -> None:
        """Write what is known now, if it differs from what was known before."""
        if self._writable and self._now != self._known:
            text = json.dumps({"version": VERSION, "drives": self._now})
            _put(self._place / "index.json", lambda part: part.write_text(text))

    def _read(self) -> dict[str, Any]:
        try:
            index = json.loads((self._place / "index.json").read_text())
            return index["drives"] if index["version"] == VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}  # none yet, or none that can be used: it is made anew


def _put(path: Path, write: Callable[[Path], Any]) -> None:
    part = path.with_name(path.name + ".part")
    write(part)
    part.replace(path)


def require_any(found: Searched) -> None:
    """InputError if not one drive could be read."""
    if not found.drives:
        path, error = found.skipped[0]
        raise InputError(path, f"no drive that can be read; the first: {error}", "at least one")
