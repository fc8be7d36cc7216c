"""The flat tables of many drives, kept as Parquet files beside them: a search of thousands reads what it needs and no more.

A folder of drives gets a folder `.roadweave-search` with four files a drive, and `index.parquet`, a row a drive: of which files
(names, sizes, times of change) its tables were made, what the table `drives` says of it, and a summary: how many objects each
topic has of each class, and the least and greatest value of every quantity, so that a search skips drives that cannot match.
Files come under a temporary name and are renamed, so what is there is whole; two searches at once only do the work twice. What
does not fit the drive any more is made anew. The folder may be deleted at any time.
"""
from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.errors import InputError, MissingInput, RoadweaveError
from replay.drive import EGO_POSES, FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, DriveInfo
from replay.manifest import MANIFEST, SENSORS
from replay.recorded import open_drive
from replay.search_tables import EGO, OBJECTS, TABLES, flat_tables

INDEX_FOLDER = ".roadweave-search"
INDEX = "index.parquet"
VERSION = 3  # of the tables: what was made by another version is made anew
_USUAL_TOPICS = (FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS)  # whose objects a phrase means that names no topic
_QUANTITIES = {name: OBJECTS.field(name).type for name in OBJECTS.names
               if name != "row" and not pa.types.is_string(OBJECTS.field(name).type)}
SUMMARY = pa.struct([("topic", pa.string()), ("class", pa.string()), ("objects", pa.int64()),
                     *((f"{end}_{name}", pa.int8() if pa.types.is_boolean(kind) else kind)
                       for name, kind in _QUANTITIES.items() for end in ("least", "most"))])
DRIVES = pa.schema([
    ("drive", pa.string()), ("drive_id", pa.string()), ("importer", pa.string()), ("start_ns", pa.int64()),
    ("end_ns", pa.int64()), ("usual_topic", pa.string()), ("units", pa.list_(pa.string())), ("summary", pa.list_(SUMMARY)),
])
_KEPT = pa.schema([*DRIVES, ("stamp", pa.string()), ("sizes", pa.list_(pa.int64()))], {"version": str(VERSION)})


@dataclass(frozen=True, slots=True)
class SearchedDrive:
    """A drive's tables: Arrow tables in memory, or Parquet files."""

    path: Path
    row: pa.Table  # one row of DRIVES
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
            _add(found, path, _one_drive)
            continue
        drives = sorted(drives_below(path))
        if not drives:
            raise MissingInput(path, f"a drive, or a folder with drives: no {MANIFEST} in it or below")
        index = _Index(path)
        for drive in watch(drives):
            _add(found, drive, index.tables)
        index.save()
    return found


def require_any(found: Searched) -> None:
    """InputError if not one drive could be read."""
    if not found.drives:
        path, error = found.skipped[0]
        raise InputError(path, f"no drive that can be read; the first: {error}", "at least one")


def drives_below(folder: Path) -> Iterator[Path]:
    """The drives in a folder, at any depth; those in the making, in hidden folders, are not meant."""
    for place, below, files in os.walk(folder):
        if MANIFEST in files:
            below.clear()
            yield Path(place)
        below[:] = [name for name in below if not name.startswith(".")]


def _add(found: Searched, drive: Path, tables: Callable[[Path], SearchedDrive]) -> None:
    try:
        found.drives.append(tables(drive))
    except RoadweaveError as error:
        found.skipped.append((drive, error))


def _one_drive(drive: Path) -> SearchedDrive:
    """A drive named by itself: from the index of its folder where there is one, else read into memory."""
    folder = drive.resolve().parent
    if not (folder / INDEX_FOLDER / INDEX).is_file():
        return _in_memory(drive, drive.resolve().name)
    index = _Index(folder, whole=False)
    found = index.tables(drive.resolve())
    index.save()
    return replace(found, path=drive)


def _in_memory(drive: Path, name: str) -> SearchedDrive:
    opened = open_drive(drive)
    tables = {kind: table.add_column(0, "drive", pa.array([name] * len(table), pa.string()).dictionary_encode())
              for kind, table in flat_tables(opened).items()}
    row = _row(name, opened.info) | {"summary": _summary(tables)}
    return SearchedDrive(drive, pa.Table.from_pylist([row], DRIVES), tables)


def _row(name: str, info: DriveInfo) -> dict[str, Any]:
    units = sorted({who for rsu in info.site.rsus for who in (rsu.name, info.site.publisher_of(rsu))})
    usual = next((topic for topic in _USUAL_TOPICS if topic in info.topics), "")
    return {"drive": name, "drive_id": info.drive_id, "importer": info.importer, "start_ns": info.start_ns, "end_ns": info.end_ns,
            "usual_topic": usual, "units": units}


def _summary(tables: Mapping[str, pa.Table]) -> list[dict[str, Any]]:
    """Rows of SUMMARY: one for each topic and class of objects, and one for the ego."""
    objects, ego = tables["objects"], tables["ego"]
    for name, kind in _QUANTITIES.items():
        if pa.types.is_boolean(kind):
            objects = objects.set_column(objects.column_names.index(name), name, objects[name].cast(pa.int8()))
    wanted = [(name, end) for name in _QUANTITIES for end in ("min", "max")]
    found = objects.group_by(["topic", "class"], use_threads=False).aggregate([("row", "count"), *wanted]).to_pylist()
    rows = [{"topic": one["topic"], "class": one["class"], "objects": one["row_count"], **_ends(one, _QUANTITIES)}
            for one in found]
    shared = [name for name in EGO.names if name in _QUANTITIES]
    if len(ego):
        whole = ego.group_by([], use_threads=False).aggregate([(name, end) for name in shared for end in ("min", "max")])
        rows.append({"topic": EGO_POSES, "class": "", "objects": len(ego), **_ends(whole.to_pylist()[0], shared)})
    return rows


def _ends(one: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {f"{end}_{name}": one[f"{name}_{arrow}"] for name in names for end, arrow in (("least", "min"), ("most", "max"))}


class _Index:
    """The index of one folder; where it cannot be written, tables stay in memory.

    `whole`: all drives of the folder will be asked for, so that one not asked for is gone.
    """

    def __init__(self, folder: Path, whole: bool = True) -> None:
        self._folder, self._place = folder, folder / INDEX_FOLDER
        self._kept = self._read()
        names, stamps, sizes = (self._kept[column].to_pylist() for column in ("drive", "stamp", "sizes"))
        self._known = {name: (stamp, size, row) for row, (name, stamp, size) in enumerate(zip(names, stamps, sizes))}
        self._files = {entry.name: entry.stat().st_size for entry in os.scandir(self._place)} if self._place.is_dir() else {}
        self._now = {} if whole else {name: self._kept.slice(known[2], 1) for name, known in self._known.items()}
        self._changed = False
        self._writable = True

    def tables(self, drive: Path) -> SearchedDrive:
        """A drive's tables, as kept, or made now."""
        name, stamp = drive.relative_to(self._folder).as_posix(), _stamp(drive)
        files = self._files_of(name)
        known_stamp, known_sizes, row = self._known.get(name, ("", [], 0))
        if known_stamp == stamp and known_sizes == [self._files.get(file.name) for file in files.values()]:
            self._now[name] = self._kept.slice(row, 1)
            return SearchedDrive(drive, self._now[name].select(DRIVES.names), files)
        made = _in_memory(drive, name)
        if not self._writable:
            return made
        try:
            self._place.mkdir(exist_ok=True)
            for kind, table in made.tables.items():
                _put(files[kind], table)
        except OSError:
            self._writable = False  # read-only or full: the search goes on without an index
            return made
        sizes = [file.stat().st_size for file in files.values()]
        kept = [*made.row.columns, pa.array([stamp]), pa.array([sizes], pa.list_(pa.int64()))]
        self._now[name] = pa.table(kept, schema=_KEPT)
        self._changed = True
        return SearchedDrive(drive, made.row, files)

    def save(self) -> None:
        """Write what is known now, if it differs from what was known before; files of drives that are gone go too."""
        gone = self._known.keys() - self._now.keys()
        if not self._writable or not (self._changed or gone):
            return
        _put(self._place / INDEX, pa.concat_tables([_KEPT.empty_table(), *self._now.values()]))
        for name in gone:
            for file in self._files_of(name).values():
                file.unlink(missing_ok=True)

    def _files_of(self, name: str) -> dict[str, Path]:
        return {kind: self._place / f"{quote(name, safe='')}.{kind}.parquet" for kind in TABLES}

    def _read(self) -> pa.Table:
        """What is kept; nothing where there is no index yet, or none that can be used."""
        try:
            kept = pq.read_table(self._place / INDEX)
        except (pa.ArrowException, OSError, ValueError):
            return _KEPT.empty_table()
        usable = kept.schema.names == _KEPT.names and (kept.schema.metadata or {}).get(b"version") == str(VERSION).encode()
        return kept.cast(_KEPT) if usable else _KEPT.empty_table()


def _stamp(drive: Path) -> str:
    """Changes when any file of a drive does that a search reads: by names, sizes and times of change."""
    files = sorted((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in os.scandir(drive)
                   if entry.name != SENSORS)
    return hashlib.blake2b(repr(files).encode(), digest_size=16).hexdigest()


def _put(path: Path, table: pa.Table) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        names: Any = [one.name for one in table.schema if pa.types.is_string(one.type) or pa.types.is_dictionary(one.type)]
        pq.write_table(table, part, compression="zstd", use_dictionary=names)  # numbers hardly repeat
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
