"""Records of a drive that are not sensor data: an Arrow journal while recording, one Parquet file a topic once closed.

The journal's rows are (time_ns, sequence, topic, kind, record, crc32): `record` is the row's own Arrow batch, so one stream takes
every type and a killed recorder loses at most its last batch. Closing sorts the rows by time and unpacks them into columns:
a Parquet file per topic and kind with the columns time_ns, sequence and record, which any Parquet reader queries.
"""
from __future__ import annotations

import os
import threading
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_specs.arrow import dumps, from_batch, loads, schema_of
from data_specs.errors import InputError, SpecError, TruncatedInput
from data_specs.health import RsuHealth
from data_specs.messages import HazardMessage, LaneMap, RoadsideMessage, SignalMessage, StationMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from replay.drive import Event
from replay.manifest import DriveFile

OBJECT_KINDS: dict[str, type] = {kind.__name__: kind for kind in (EgoPose, ObjectList, Truth)}
MESSAGE_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (RoadsideMessage, StationMessage, SignalMessage, LaneMap, HazardMessage, RsuHealth)
}
KINDS = OBJECT_KINDS | MESSAGE_KINDS
JOURNAL_SCHEMA = pa.schema([
    pa.field("time_ns", pa.int64(), nullable=False), pa.field("sequence", pa.int64(), nullable=False),
    pa.field("topic", pa.string(), nullable=False), pa.field("kind", pa.string(), nullable=False),
    pa.field("record", pa.binary(), nullable=False),
    pa.field("crc32", pa.uint32(), nullable=False),  # of the row: a stream has no checksums of its own
])
JOURNAL_BATCH_ROWS = 16  # what a killed recorder loses at most
ROW_GROUP_ROWS = 64  # what one seek reads
RECORDS_AT_ONCE = 16  # of those, built into records


class JournalWriter:
    """Appends events to an Arrow IPC stream; each whole batch is handed to the operating system at once."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("xb")
        self._writer = pa.ipc.new_stream(self._stream, JOURNAL_SCHEMA)
        self._rows: list[tuple[int, int, str, str, bytes, int]] = []

    def write(self, event: Event, sequence: int) -> None:
        record = dumps(event.payload)
        kind = type(event.payload).__name__
        crc32 = row_crc32((event.time_ns, sequence, event.topic, kind), record)
        self._rows.append((event.time_ns, sequence, event.topic, kind, record, crc32))
        if len(self._rows) >= JOURNAL_BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hand all rows over, so that they survive this process."""
        if self._rows:
            columns = [pa.array(column, field.type) for column, field in zip(zip(*self._rows), JOURNAL_SCHEMA)]
            self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=JOURNAL_SCHEMA))
            self._rows.clear()
        self._stream.flush()

    def sync(self) -> None:
        """Hand all rows over and wait until they lie on the disk."""
        self.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self.flush()
        self._writer.close()
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def abandon(self) -> None:
        """Let the file go as it is: what cannot be written must not fail once more."""
        self._rows.clear()
        with suppress(OSError):
            self._stream.close()


class Journal:
    """A journal as far as it is whole, memory-mapped; `ends_early` is where it breaks off, None when it was closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ends_early: TruncatedInput | None = None
        batches: list[pa.RecordBatch] = []
        if path.stat().st_size == 0:
            self.ends_early = TruncatedInput(path, "ends at byte 0", "an Arrow stream")
        else:
            with pa.memory_map(str(path)) as source:
                self._read(source, batches)
        self.table = pa.Table.from_batches(batches, JOURNAL_SCHEMA).combine_chunks()

    def _read(self, source: Any, batches: list[pa.RecordBatch]) -> None:
        whole_bytes = 0
        try:
            reader = pa.ipc.open_stream(source)
            if not reader.schema.equals(JOURNAL_SCHEMA):
                raise InputError(self.path, f"columns {reader.schema.names}", f"{JOURNAL_SCHEMA.names}")
            whole_bytes = source.tell()
            for batch in reader:
                batch.validate(full=True)
                whole_rows = _matching_rows(batch)
                batches.append(batch.slice(0, whole_rows))
                if whole_rows < batch.num_rows:
                    raise pa.ArrowInvalid(f"row {whole_rows} of the batch does not match its checksum")
                whole_bytes = source.tell()
            if whole_bytes < 8 or not self._has_end_mark():
                self.ends_early = TruncatedInput(self.path, f"ends at byte {whole_bytes} without an end mark", "a closed stream")
        except (pa.ArrowException, OSError, EOFError, ValueError) as error:
            self.ends_early = TruncatedInput(self.path, f"breaks off after byte {whole_bytes}: {_first_line(error)}",
                                             "whole Arrow batches")

    def _has_end_mark(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-8, os.SEEK_END)
            return stream.read() == b"\xff\xff\xff\xff\x00\x00\x00\x00"

    def topics(self) -> list[tuple[str, str]]:
        """(topic, kind) pairs that have rows, sorted."""
        return sorted(set(zip(self._column("topic").tolist(), self._column("kind").tolist())))

    def rows(self, topic: str, kind: str) -> Any:
        """Row numbers of one topic and kind, by time, then as recorded."""
        chosen = np.flatnonzero((self._column("topic") == topic) & (self._column("kind") == kind))
        times, sequence = (self.table[name].to_numpy()[chosen] for name in ("time_ns", "sequence"))
        return chosen[np.lexsort((sequence, times))]

    def _column(self, name: str) -> Any:
        return self.table[name].to_numpy()


def row_crc32(head: tuple[Any, ...], record: bytes | pa.Buffer) -> int:
    """Checksum of a row; `head` is (time_ns, sequence, topic, kind)."""
    return zlib.crc32(record, zlib.crc32(repr(head).encode()))


def _matching_rows(batch: pa.RecordBatch) -> int:
    """How many rows there are before the first that does not match its checksum."""
    *heads, records, sums = batch.columns
    for row, (head, record, crc32) in enumerate(zip(zip(*(head.to_pylist() for head in heads)), records, sums.to_pylist())):
        if row_crc32(head, record.as_buffer()) != crc32:
            return row
    return batch.num_rows


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class JournalTopic:
    """One topic of a drive that was not closed."""

    def __init__(self, journal: Journal, topic: str, kind: str) -> None:
        self.topic, self.kind = topic, kind
        rows = journal.rows(topic, kind)
        self._records = journal.table["record"].combine_chunks().take(pa.array(rows)) if len(rows) else pa.array([], pa.binary())
        self.times_ns = journal.table["time_ns"].to_numpy()[rows]
        self._sequences = journal.table["sequence"].to_numpy()[rows]

    def events(self, start_ns: int | None, end_ns: int | None) -> Iterator[tuple[int, int, Event]]:
        """(time_ns, sequence, event) with start_ns <= time_ns < end_ns."""
        first = 0 if start_ns is None else bisect_left(self.times_ns, start_ns)
        last = len(self.times_ns) if end_ns is None else bisect_left(self.times_ns, end_ns)
        for row in range(first, last):
            payload = loads(self._records[row].as_py(), KINDS[self.kind])
            time_ns = int(self.times_ns[row])
            yield time_ns, int(self._sequences[row]), Event(time_ns, self.topic, payload)

    def columns(self, fields: Sequence[str] | None = None) -> pa.Table:
        """`time_ns` and the records' fields (None = all) as columns, by time."""
        schema = schema_of(KINDS[self.kind])
        batches = [pa.ipc.read_record_batch(record.as_buffer(), schema) for record in self._records]
        table = pa.Table.from_batches(batches, schema)
        return table.select(list(fields or schema.names)).add_column(0, "time_ns", pa.array(self.times_ns))


class ParquetTopic:
    """One topic of a closed drive; a seek decodes one row group."""

    def __init__(self, path: Path, topic: str, kind: str) -> None:
        self.path, self.topic, self.kind = path, topic, kind
        if kind not in KINDS:
            raise SpecError(f"{path}: records of kind {kind!r}, expected one of {', '.join(KINDS)}")
        self._lock = threading.Lock()
        self._kept: tuple[int, tuple[list[int], list[int], pa.RecordBatch]] | None = None

    @cached_property
    def _file(self) -> pq.ParquetFile:
        try:
            file = pq.ParquetFile(self.path, page_checksum_verification=True, memory_map=True)
            known = file.schema_arrow.equals(_file_schema(self.kind))
        except (pa.ArrowException, OSError, ValueError) as error:
            size = self.path.stat().st_size
            raise InputError(self.path, f"no whole Parquet footer at byte {size}: {_first_line(error)}",
                             "a Parquet file") from error
        if not known:
            raise InputError(self.path, "columns of another version of the types", f"those of {self.kind}")
        return file

    @cached_property
    def _spans(self) -> tuple[list[int], list[int]]:
        """First and last time of each row group."""
        metadata = self._file.metadata
        spans = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
        return [span.min for span in spans], [span.max for span in spans]

    @cached_property
    def times_ns(self) -> Any:
        try:
            with self._lock:
                return self._file.read(columns=["time_ns"])["time_ns"].to_numpy()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(self.path, _first_line(error), "a column of times") from error

    def events(self, start_ns: int | None, end_ns: int | None) -> Iterator[tuple[int, int, Event]]:
        """(time_ns, sequence, event) with start_ns <= time_ns < end_ns."""
        firsts, lasts = self._spans
        begin = 0 if start_ns is None else bisect_left(lasts, start_ns)
        end = len(firsts) if end_ns is None else bisect_left(firsts, end_ns)
        for group in range(begin, end):
            times_ns, sequences, records = self._group(group)
            low = 0 if start_ns is None else bisect_left(times_ns, start_ns)
            high = len(times_ns) if end_ns is None else bisect_left(times_ns, end_ns)
            for first in range(low, high, RECORDS_AT_ONCE):
                last = min(first + RECORDS_AT_ONCE, high)
                payloads = self._records(records.slice(first, last - first), group)
                for time_ns, sequence, payload in zip(times_ns[first:last], sequences[first:last], payloads):
                    yield time_ns, sequence, Event(time_ns, self.topic, payload)

    def columns(self, fields: Sequence[str] | None = None) -> pa.Table:
        """`time_ns` and the records' fields (None = all) as columns, by time; what is not asked for is not read."""
        names = list(fields or schema_of(KINDS[self.kind]).names)
        try:
            with self._lock:
                table = self._file.read(columns=["time_ns", *(f"record.{name}" for name in names)], use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(self.path, _first_line(error), f"columns {', '.join(names)}") from error
        records = pa.Table.from_batches([pa.RecordBatch.from_struct_array(chunk) for chunk in table["record"].chunks],
                                        pa.schema(list(table.schema.field("record").type)))
        return records.select(names).add_column(0, "time_ns", table["time_ns"].combine_chunks())

    def _group(self, group: int) -> tuple[list[int], list[int], pa.RecordBatch]:
        """Times, sequence numbers and records of a row group; the last one read is kept."""
        with self._lock:
            if self._kept is None or self._kept[0] != group:
                try:
                    table = self._file.read_row_group(group, use_threads=False).combine_chunks()
                except (pa.ArrowException, OSError, ValueError) as error:
                    raise self._damaged(group, error) from error
                records = pa.RecordBatch.from_struct_array(table["record"].combine_chunks())
                self._kept = (group, (table["time_ns"].to_pylist(), table["sequence"].to_pylist(), records))
            return self._kept[1]

    def _records(self, batch: pa.RecordBatch, group: int) -> list[Any]:
        try:
            return from_batch(batch, KINDS[self.kind])
        except (SpecError, ValueError) as error:
            raise self._damaged(group, error) from error

    def _damaged(self, group: int, error: Exception) -> InputError:
        byte = self._file.metadata.row_group(group).column(0).data_page_offset
        return InputError(f"{self.path}, row group {group} at byte {byte}", _first_line(error), f"{self.kind} records")


def compact(journal: Journal, folder: Path, generation: int = 0) -> list[tuple[DriveFile, int, int, int]]:
    """Write a journal's topics as Parquet files into `folder`: (file, rows, first and last time_ns) of each.

    `generation` keeps the names of a later extension apart from those of the files it replaces.
    """
    written = []
    for topic, kind in journal.topics():
        rows = journal.rows(topic, kind)
        name = quote(topic, safe="") + ("" if generation == 0 else f".{generation}") + f".{kind}.parquet"
        path = folder / name
        _write_topic(journal.table, rows, kind, path)
        times = journal.table["time_ns"].to_numpy()[rows[[0, -1]]]
        written.append((DriveFile(name, topic, kind, path.stat().st_size), len(rows), int(times[0]), int(times[1])))
    return written


def _write_topic(table: pa.Table, rows: Any, kind: str, path: Path) -> None:
    schema = _file_schema(kind)
    times, sequences = (table[name].to_numpy() for name in ("time_ns", "sequence"))
    records = table["record"].combine_chunks()
    with path.open("xb") as stream:
        with pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True, use_dictionary=False,
                              write_statistics=True) as writer:
            for first in range(0, len(rows), ROW_GROUP_ROWS):
                some = rows[first:first + ROW_GROUP_ROWS]
                batches = [pa.ipc.read_record_batch(records[int(row)].as_buffer(), schema_of(KINDS[kind])) for row in some]
                unpacked = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
                struct = pa.StructArray.from_arrays(unpacked.columns, fields=list(unpacked.schema))
                writer.write_table(pa.Table.from_arrays([pa.array(times[some]), pa.array(sequences[some]), struct],
                                                        schema=schema), row_group_size=ROW_GROUP_ROWS)
        stream.flush()
        os.fsync(stream.fileno())


def _file_schema(kind: str) -> pa.Schema:
    return pa.schema([pa.field("time_ns", pa.int64(), nullable=False), pa.field("sequence", pa.int64(), nullable=False),
                      pa.field("record", pa.struct(list(schema_of(KINDS[kind]))), nullable=False)])
