"""Every whole chunk of a sensors file, however it is damaged: chunks are found by their looks, not by the chain of lengths.

A chunk counts if it matches its checksum, a sample if all its parts do. What stands between two chunks (message indexes, schemas,
channels) is followed as far as it makes sense; the rest up to the next whole chunk is a gap.
Source: MCAP specification 0, section "Records": opcode u8, length u64; a chunk's compression stands behind 28 octets.
"""
from __future__ import annotations

import io
import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Message
from mcap.writer import MCAP0_MAGIC

from data_specs.errors import InputError
from replay import foxglove
from replay.loss import FileLoss, Gap
from replay.mcap_drive import RECORD_HEAD, SampleWriter, mapped, unpack_chunk

_COMPRESSION = b"\x04\x00\x00\x00zstd"
_COMPRESSION_PLACE = RECORD_HEAD.size + 28  # behind the times, the size and the checksum
_BETWEEN_CHUNKS = {Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE_INDEX, Opcode.DATA_END}
_ROLES = {"points": "foxglove.PointCloud", "calibration": "foxglove.CameraCalibration", "image": "foxglove.CompressedImage",
          "transforms": "foxglove.FrameTransforms", "": foxglove.SAMPLE}


@dataclass(frozen=True, slots=True)
class _Place:
    """A whole chunk: where it is, and the times of its messages."""

    offset: int
    end: int
    first_ns: int
    last_ns: int


class SalvagedSamples:
    """What is whole in a sensors file; `write` makes a closed file of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = mapped(path) if path.is_file() else b""
        self._channels: dict[int, Channel] = {}
        self._places = list(self._find_chunks())
        self.gaps = tuple(self._find_gaps())
        self._whole: dict[str, dict[int, int]] = {}  # by topic: time_ns by sequence number
        self.incomplete = self._find_samples()

    @property
    def kept(self) -> dict[str, int]:
        """Whole samples by topic."""
        return {topic: len(samples) for topic, samples in sorted(self._whole.items()) if samples}

    @property
    def lost_between(self) -> int:
        """Samples that are missing before the last kept one of their topic."""
        return sum(max(samples) + 1 - len(samples) for samples in self._whole.values() if samples)

    def loss(self) -> FileLoss:
        return FileLoss(self.path.name, len(self._data), sum(self.kept.values()), self.gaps, self.incomplete)

    def write(self, path: Path) -> None:
        """Write the whole samples as a new, closed file."""
        writer = SampleWriter(path)
        try:
            for message in self._messages():
                topic, role = self._role(message.channel_id)
                if message.sequence in self._whole.get(topic, {}):
                    writer.copy(self._channels[message.channel_id].topic, _ROLES[role.rpartition("/")[2]], message.log_time,
                                message.publish_time, message.sequence, message.data)
            writer.close()
        except BaseException:
            writer.abandon()
            raise

    def _find_chunks(self) -> Iterator[_Place]:
        place = 0
        while (found := self._data.find(_COMPRESSION, place)) >= 0:
            offset = found - _COMPRESSION_PLACE
            place = found + 1
            if offset < 0 or self._data[offset] != Opcode.CHUNK:
                continue
            end = offset + RECORD_HEAD.size + RECORD_HEAD.unpack_from(self._data, offset)[1]
            if end > len(self._data):
                continue
            try:
                channels, messages = unpack_chunk(self._data[offset:end], self.path, offset)
            except (InputError, MemoryError):
                continue
            self._channels.update(channels)
            times_ns = [message.log_time for message in messages] or [0]
            yield _Place(offset, end, min(times_ns), max(times_ns))
            place = end

    def _find_gaps(self) -> Iterator[Gap]:
        """Gaps by offset; a file that was closed and is whole has none."""
        start = len(MCAP0_MAGIC) if self._data[:len(MCAP0_MAGIC)] == MCAP0_MAGIC else 0
        last_ns, closed = None, False
        for chunk in self._places:
            sense, _ = self._followed(start, chunk.offset)
            if sense < chunk.offset:
                yield Gap(sense, chunk.offset - sense, self._reason(sense), last_ns, chunk.first_ns)
            start, last_ns = chunk.end, max(last_ns or 0, chunk.last_ns)
        sense, closed = self._followed(start, len(self._data))
        if not closed:
            octets = len(self._data) - sense
            yield Gap(sense, octets, self._reason(sense) if octets else "ends between two chunks, not closed", last_ns, None)

    def _followed(self, start: int, stop: int) -> tuple[int, bool]:
        """How far the records from `start` make sense, and whether they end the file's data."""
        while start + RECORD_HEAD.size <= stop:
            opcode, length = RECORD_HEAD.unpack_from(self._data, start)
            end = start + RECORD_HEAD.size + length
            if opcode not in _BETWEEN_CHUNKS or end > stop:
                break
            if opcode == Opcode.DATA_END:
                return end, True
            if opcode == Opcode.CHANNEL and not self._define(start + RECORD_HEAD.size, end):
                break
            start = end
        return start, False

    def _define(self, start: int, end: int) -> bool:
        try:
            channel = Channel.read(ReadDataStream(io.BytesIO(self._data[start:end])))
        except (McapError, ValueError, struct.error):
            return False
        self._channels.setdefault(channel.id, channel)
        return True

    def _reason(self, offset: int) -> str:
        if len(self._data) - offset < RECORD_HEAD.size:
            return "breaks off in the head of a record"
        opcode, length = RECORD_HEAD.unpack_from(self._data, offset)
        if opcode != Opcode.CHUNK:
            return f"a record of type {opcode} that is not whole"
        whole = offset + RECORD_HEAD.size + length <= len(self._data)
        return "a chunk that does not match its checksum" if whole else "breaks off in a chunk"

    def _messages(self) -> Iterator[Message]:
        for chunk in self._places:
            yield from unpack_chunk(self._data[chunk.offset:chunk.end], self.path, chunk.offset)[1]

    def _role(self, channel_id: int) -> tuple[str, str]:
        """Topic of the samples that a channel belongs to, and what stands behind it in the channel's name; "" if unknown."""
        if channel_id not in self._channels:
            return "", ""
        name = self._channels[channel_id].topic
        roots = [channel.topic for channel in self._channels.values() if channel.message_encoding == "json"]
        topic = max((root for root in roots if f"{name}/".startswith(f"{root}/")), key=len, default="")
        return topic, name[len(topic):].lstrip("/")

    def _find_samples(self) -> int:
        """Find the samples of which every part is there; returns how many are there in part."""
        counts: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        roles = {id: self._role(id) for id in self._channels}
        for message in self._messages():
            topic, role = roles.get(message.channel_id, ("", ""))
            if not topic:
                continue
            if role:
                counts[topic, message.sequence][role.rpartition("/")[2]] += 1
            elif _is_whole(message.data, counts.pop((topic, message.sequence), {})):
                self._whole.setdefault(topic, {})[message.sequence] = message.log_time
            else:
                counts[topic, message.sequence] = {}
        return len(counts)


def _is_whole(bundle: bytes, counts: Any) -> bool:
    """Whether a sample has the parts that its last message names."""
    said = json.loads(bundle)
    images = len(said["images"])
    wanted = {"points": len(said["clouds"]), "image": images, "calibration": images + len(said.get("blind_cameras", ()))}
    return all(counts.get(role, 0) == count for role, count in wanted.items())
