"""Sensor data of a drive as MCAP with Foxglove's protobuf schemas, so that other viewers open it; mcap_salvage aside, the only
importer of mcap.

A Sample of topic T becomes messages on the channels T/<frame>/points, T/<frame>/calibration, T/<frame>/image and
T/transforms, then one on T itself that names its parts and holds its poses exactly. They share log_time (the event's time)
and sequence (the sample's number): a sample is whole when its last message is there. Schemas and channels stand before the
chunk that first uses them too, so that a damaged chunk takes no other with it.
Source: MCAP specification 0 (mcap.dev/spec); Foxglove schemas (docs.foxglove.dev). zstd, 1 MiB chunks, each with a CRC.
"""
from __future__ import annotations

import io
import json
import mmap
import os
import struct
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, ChunkIndex, Message, Schema
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC, CompressionType, Writer
from zstandard import ZstdError

from data_specs.errors import InputError, SpecError, TruncatedInput
from data_specs.sensors import Sample
from replay import foxglove
from replay.drive import Event
from replay.foxglove import Parts

CHUNK_BYTES = 1024 * 1024
_KEPT_CHUNKS = 4  # decompressed, so that topics read side by side do not unpack a chunk twice
RECORD_HEAD = struct.Struct("<BQ")


class SampleWriter:
    """Writes Samples; each topic's in order of time."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("xb")
        self._writer = Writer(self._stream, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile="", library="roadweave")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._last_ns: dict[str, int] = {}

    def write(self, event: Event) -> None:
        """SpecError if the topic's time goes back."""
        if not isinstance(event.payload, Sample):
            raise SpecError(f"{event.topic}: a {type(event.payload).__name__}, expected a Sample")
        last_ns = self._last_ns.get(event.topic, 0)
        if event.time_ns < last_ns:
            raise SpecError(f"{event.topic}: a sample of time {event.time_ns} after one of {last_ns}, expected order of time")
        sequence = self._counts[event.topic]
        for suffix, schema, taken_ns, data in foxglove.encode(event.payload):
            channel = self._channel(f"{event.topic}/{suffix}" if suffix else event.topic, schema)
            self._writer.add_message(channel, event.time_ns, data, taken_ns, sequence)
        self._stream.flush()
        self._counts[event.topic] += 1
        self._last_ns[event.topic] = event.time_ns

    def copy(self, channel: str, schema: str, time_ns: int, taken_ns: int, sequence: int, data: bytes) -> None:
        """Add one message as another file has it."""
        self._writer.add_message(self._channel(channel, schema), time_ns, data, taken_ns, sequence)

    def sync(self) -> None:
        """Wait until the chunks that are written lie on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._writer.finish()
        self.sync()
        self._stream.close()

    def abandon(self) -> None:
        """Let the file go as it is: what cannot be written must not fail once more."""
        with suppress(OSError):
            self._stream.close()

    def _channel(self, name: str, schema: str) -> int:
        if name not in self._channels:
            if schema not in self._schemas:
                encoding, data = ("jsonschema", json_schema(schema)) if schema in foxglove.JSON_SCHEMAS else (
                    "protobuf", foxglove.schema(schema))
                self._schemas[schema] = self._writer.register_schema(schema, encoding, data)
                self._define(Schema(self._schemas[schema], data, encoding, schema))
            encoding = "json" if schema in foxglove.JSON_SCHEMAS else "protobuf"
            self._channels[name] = self._writer.register_channel(name, encoding, self._schemas[schema])
            self._define(Channel(self._channels[name], name, encoding, {}, self._schemas[schema]))
        return self._channels[name]

    def _define(self, definition: Schema | Channel) -> None:
        """Say it outside of the chunks too; mcap's writer keeps no place of its own in the stream."""
        builder = RecordBuilder()
        definition.write(builder)
        self._stream.write(builder.end())


def json_schema(name: str) -> bytes:
    """The schema of a message of ours that travels as JSON."""
    return json.dumps({"title": name, "type": "object", "description": foxglove.JSON_SCHEMAS[name]}).encode()


@dataclass
class _Index:
    """Where the chunks are, sorted by their first time."""

    channels: dict[int, Channel]
    chunks: list[ChunkIndex]
    ends_early: TruncatedInput | None = None
    starts_ns: Any = field(init=False)
    ends_ns: Any = field(init=False)  # running maximum, so that it is sorted too

    def __post_init__(self) -> None:
        self.chunks.sort(key=lambda chunk: (chunk.message_start_time, chunk.chunk_start_offset))
        self.starts_ns = np.array([chunk.message_start_time for chunk in self.chunks], np.int64)
        self.ends_ns = np.maximum.accumulate(np.array([chunk.message_end_time for chunk in self.chunks], np.int64))

    def between(self, start_ns: int | None, end_ns: int | None) -> list[ChunkIndex]:
        """Chunks that may hold start_ns <= time < end_ns, as written."""
        first = 0 if start_ns is None else int(np.searchsorted(self.ends_ns, start_ns, "left"))
        last = len(self.chunks) if end_ns is None else int(np.searchsorted(self.starts_ns, end_ns, "left"))
        return sorted(self.chunks[first:last], key=lambda chunk: chunk.chunk_start_offset)


class SampleReader:
    """Reads a sensors file as far as it is whole. Samples come by time; a seek unpacks the chunks around it alone."""

    def __init__(self, path: Path, *, closed: bool = True) -> None:
        self.path = path
        self._bytes = mapped(path)
        self._index = self._read_summary() if closed else _scan(self._bytes, path)
        self._lock = threading.Lock()
        self._unpacked: OrderedDict[int, list[Message]] = OrderedDict()
        self._times: dict[str, Any] = {}

    @property
    def ends_early(self) -> TruncatedInput | None:
        """Where a file that was not closed breaks off."""
        return self._index.ends_early

    def topics(self) -> list[str]:
        """The topics that hold samples, sorted."""
        return sorted({c.topic for c in self._index.channels.values() if c.message_encoding == "json"})

    def times_ns(self, topic: str) -> Any:
        """Times [n] int64 of a topic's samples, read from the index alone where there is one."""
        if topic not in self._times:
            ids = {c.id for c in self._index.channels.values() if c.topic == topic}
            found = [time for chunk in self._index.chunks for id in ids for time in self._chunk_times(chunk, id)]
            self._times[topic] = np.sort(np.array(found, np.int64))
        return self._times[topic]

    def samples(self, topic: str, start_ns: int | None, end_ns: int | None) -> Iterator[tuple[int, int, Event]]:
        """(time_ns, sequence, event) with start_ns <= time_ns < end_ns; InputError names the byte where the file is damaged."""
        for time_ns, sequence, parts in self.parts(topic, start_ns, end_ns):
            try:
                sample = foxglove.decode(parts)
            except (ValueError, KeyError, OSError) as error:
                where = f"{self.path}, sample {sequence} of {topic}"
                raise InputError(where, str(error).splitlines()[0], "a whole sample") from error
            yield time_ns, sequence, Event(time_ns, topic, sample)

    def parts(self, topic: str, start_ns: int | None, end_ns: int | None) -> Iterator[tuple[int, int, Parts]]:
        """The undecoded parts of each sample: for whoever only passes a JPEG on."""
        roles = {c.id: c.topic[len(topic):].lstrip("/") for c in self._index.channels.values()
                 if c.topic == topic or c.topic.startswith(f"{topic}/")}
        waiting: dict[int, Parts] = {}
        for chunk in self._index.between(start_ns, end_ns):
            if not roles.keys() & chunk.message_index_offsets.keys():
                continue
            for message in self._messages(chunk):
                role = roles.get(message.channel_id)
                if role is None or (start_ns is not None and message.log_time < start_ns) or (
                        end_ns is not None and message.log_time >= end_ns):
                    continue
                parts = waiting.setdefault(message.sequence, Parts())
                parts.add(role, message.data)
                if role == "":
                    yield message.log_time, message.sequence, waiting.pop(message.sequence)

    def _messages(self, chunk: ChunkIndex) -> list[Message]:
        offset = chunk.chunk_start_offset
        with self._lock:
            if offset in self._unpacked:
                self._unpacked.move_to_end(offset)
                return self._unpacked[offset]
        messages = unpack_chunk(self._bytes[offset:offset + chunk.chunk_length], self.path, offset)[1]
        with self._lock:
            self._unpacked[offset] = messages
            if len(self._unpacked) > _KEPT_CHUNKS:
                self._unpacked.popitem(last=False)
        return messages

    def _chunk_times(self, chunk: ChunkIndex, channel_id: int) -> list[int]:
        place = chunk.message_index_offsets.get(channel_id)
        if place is None:
            return []
        if place == 0:  # a scanned file has no message index
            return [m.log_time for m in self._messages(chunk) if m.channel_id == channel_id]
        _, length = RECORD_HEAD.unpack_from(self._bytes, place)
        head = place + RECORD_HEAD.size
        entries = np.frombuffer(self._bytes[head + 6:head + length], "<u8")  # behind channel id u16 and byte length u32
        return entries[::2].astype(np.int64).tolist()

    def _read_summary(self) -> _Index:
        try:
            with self.path.open("rb") as stream:
                summary = SeekingReader(stream).get_summary()
        except (McapError, ValueError, struct.error) as error:
            size = self.path.stat().st_size
            raise InputError(self.path, f"no readable index before byte {size}: {error}", "a closed MCAP file") from error
        if summary is None:
            raise InputError(self.path, f"no index before byte {self.path.stat().st_size}", "a closed MCAP file")
        return _Index(summary.channels, summary.chunk_indexes)


def mapped(path: Path) -> bytes | mmap.mmap:
    """A file's bytes without reading them: they come from disk where they are touched."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def _scan(data: bytes | mmap.mmap, path: Path) -> _Index:
    """The chunks of a file that nobody closed, up to the first byte that is not whole."""
    channels: dict[int, Channel] = {}
    chunks: list[ChunkIndex] = []
    size, place = len(data), len(MCAP0_MAGIC)
    if data[:place] != MCAP0_MAGIC:
        return _Index(channels, chunks, TruncatedInput(path, f"ends at byte {size}", "an MCAP file"))
    while place + RECORD_HEAD.size <= size:
        opcode, length = RECORD_HEAD.unpack_from(data, place)
        end = place + RECORD_HEAD.size + length
        if end > size:
            return _Index(channels, chunks, TruncatedInput(path, f"breaks off in a record at byte {place}", "whole records"))
        if opcode == Opcode.DATA_END:
            return _Index(channels, chunks)
        if opcode == Opcode.CHUNK:
            try:
                found, messages = unpack_chunk(data[place:end], path, place)
            except InputError as error:  # the power went before the disk had it
                return _Index(channels, chunks, TruncatedInput(path, f"{error.got} at byte {place}", error.expected))
            channels.update(found)
            chunks.append(_chunk_index(messages, place, end - place))
        place = end
    return _Index(channels, chunks, TruncatedInput(path, f"ends at byte {size} without a footer", "a closed MCAP file"))


def _chunk_index(messages: list[Message], offset: int, length: int) -> ChunkIndex:
    times = [message.log_time for message in messages] or [0]
    return ChunkIndex(chunk_length=length, chunk_start_offset=offset, compression="zstd", compressed_size=length,
                      message_end_time=max(times), message_index_length=0,
                      message_index_offsets={message.channel_id: 0 for message in messages},
                      message_start_time=min(times), uncompressed_size=0)


def unpack_chunk(record: bytes, path: Path, offset: int) -> tuple[dict[int, Channel], list[Message]]:
    """Channels and messages of a chunk record at byte `offset`; InputError if it does not match its checksum."""
    try:
        opcode, length = RECORD_HEAD.unpack(record[:RECORD_HEAD.size])
        if opcode != Opcode.CHUNK or length != len(record) - RECORD_HEAD.size:
            raise ValueError(f"record type {opcode} of {length} bytes")
        chunk = Chunk.read(ReadDataStream(io.BytesIO(record[RECORD_HEAD.size:])))
        found = breakup_chunk(chunk, validate_crc=True)
    except (McapError, ValueError, struct.error, ZstdError) as error:
        raise InputError(f"{path}, byte {offset}", f"damaged: {error}", "a chunk that matches its checksum") from error
    channels = {record.id: record for record in found if isinstance(record, Channel)}
    return channels, [record for record in found if isinstance(record, Message)]
