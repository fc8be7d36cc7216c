"""Every whole row of a journal, however it is damaged: batches are looked for behind damage, and each row has its own checksum.

Source: Arrow columnar format, "Encapsulated message format": 0xFFFFFFFF, i32 length of the metadata, metadata, body; padded to 8.
"""
from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_specs.errors import InputError
from replay.loss import FileLoss, Gap
from replay.mcap_drive import mapped
from replay.object_log import JOURNAL_SCHEMA, KINDS, row_crc32

_HEAD = struct.Struct("<Ii")
_CONTINUES = 0xFFFFFFFF
_LARGEST_METADATA = 65536  # octets; a journal's batches have about 600


class SalvagedRecords:
    """What is whole in a journal; `write` makes a closed journal of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = mapped(path) if path.is_file() else b""
        self._buffer = pa.py_buffer(self._data)
        self._batches: list[pa.RecordBatch] = []
        self.mismatched = 0  # records that do not match their checksum, in batches that are whole otherwise
        self.gaps = tuple(self._read())

    @property
    def kept(self) -> dict[str, int]:
        """Records by topic."""
        return dict(sorted(Counter(topic for batch in self._batches for topic in batch["topic"].to_pylist()).items()))

    @property
    def last_sequence(self) -> int:
        """The highest number of a kept record; -1 if there is none. The recorder numbers samples and records together."""
        return max((max(batch["sequence"].to_pylist()) for batch in self._batches), default=-1)

    def loss(self) -> FileLoss:
        return FileLoss(self.path.name, len(self._data), sum(self.kept.values()), self.gaps)

    def write(self, path: Path) -> None:
        """Write the whole rows as a new, closed journal."""
        with path.open("xb") as stream, pa.ipc.new_stream(stream, JOURNAL_SCHEMA) as writer:
            for batch in self._batches:
                writer.write_batch(batch)

    def _read(self) -> Iterator[Gap]:
        """Keep every whole row; yields what lies between."""
        place, lost_from, reason, closed = 0, None, "", False
        last_ns: int | None = None
        while place + _HEAD.size <= len(self._data):
            found = self._message(place)
            if isinstance(found, str):
                lost_from, reason = (place, found) if lost_from is None else (lost_from, reason)
                place = self._next_mark(place + 1)
                continue
            end, batch = found
            if lost_from is not None:
                yield Gap(lost_from, place - lost_from, reason, last_ns, _first_ns(batch))
                lost_from = None
            closed = end - place == _HEAD.size
            if batch is not None:
                yield from self._keep(batch, place, last_ns)
                last_ns = max(max(batch["time_ns"].to_pylist()), last_ns or 0)
            place = end
        if lost_from is not None or place < len(self._data) or not closed:
            start = place if lost_from is None else lost_from
            octets = len(self._data) - start
            ends = "breaks off in the head of a batch" if octets else "ends between two batches, not closed"
            yield Gap(start, octets, reason if lost_from is not None else ends, last_ns, None)

    def _message(self, place: int) -> tuple[int, pa.RecordBatch | None] | str:
        """End and batch of the message at a place (None: a schema or the end mark), or why there is none."""
        mark, length = _HEAD.unpack_from(self._data, place)
        if mark == _CONTINUES and length == 0 and place + _HEAD.size == len(self._data):
            return place + _HEAD.size, None
        if mark != _CONTINUES or not 0 < length <= _LARGEST_METADATA:
            return "no Arrow message where one should begin"
        reader = pa.BufferReader(self._buffer.slice(place))
        try:
            message = pa.ipc.read_message(reader)
            end = place + reader.tell()
            if message.type == "schema":
                self._require_known(pa.ipc.read_schema(message))
                return end, None
            batch = pa.ipc.read_record_batch(message, JOURNAL_SCHEMA)
            batch.validate(full=True)
        except (pa.ArrowException, OSError, EOFError, ValueError) as error:
            return "breaks off in a batch" if "Expected to be able to read" in str(error) else "a batch that is not whole"
        if not _matching(batch).any():
            return "a batch that does not match its checksums"
        return end, batch

    def _keep(self, batch: pa.RecordBatch, place: int, last_ns: int | None) -> Iterator[Gap]:
        whole = _matching(batch)
        if not whole.all():
            self.mismatched += int((~whole).sum())
            octets = sum(len(record.as_buffer()) for record, good in zip(batch["record"], whole) if not good)
            times_ns = batch["time_ns"].to_numpy()
            yield Gap(place, octets, f"{int((~whole).sum())} of {len(whole)} records of a batch do not match their checksums",
                      last_ns, int(times_ns[whole].max()))
        self._batches.append(batch.filter(pa.array(whole)))

    def _next_mark(self, place: int) -> int:
        """Where the next message may begin: on a multiple of 8."""
        while (found := self._data.find(b"\xff\xff\xff\xff", place)) >= 0:
            if found % 8 == 0:
                return found
            place = found + 1
        return len(self._data)

    def _require_known(self, schema: pa.Schema) -> None:
        if not schema.equals(JOURNAL_SCHEMA):
            raise InputError(self.path, f"columns {schema.names}", f"{JOURNAL_SCHEMA.names}",
                             "made by another version of Roadweave: repair it with that one")


def _first_ns(batch: pa.RecordBatch | None) -> int | None:
    return None if batch is None else min(batch["time_ns"].to_pylist())


def _matching(batch: pa.RecordBatch) -> Any:
    """Which rows [n] match their checksum and are of a known kind."""
    *heads, records, sums = batch.columns
    rows = zip(zip(*(head.to_pylist() for head in heads)), records, sums.to_pylist())
    return np.array([head[3] in KINDS and row_crc32(head, record.as_buffer()) == crc32 for head, record, crc32 in rows], bool)
