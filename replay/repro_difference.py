"""The first difference of two streams of events, field by field and bit by bit.

Two values are the same if their bits are: 0.0 and -0.0 differ, and so do NaNs of different payload. Records of one topic and
time are told apart by who speaks in them, since a bus keeps no order between senders.
"""
from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby, zip_longest
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.health import RsuHealth
from data_specs.objects import ObjectList, Truth
from replay.drive import Event, Payload, objects_in

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a stream that was made again first leaves the recorded one."""

    topic: str
    time_ns: int
    field: str  # "boxes.center_m[3, 0]"; "record" where one side has none
    recorded: str
    made: str


def compare(topic: str, recorded: Iterable[Event], made: Iterable[Event]) -> tuple[int, Difference | None]:
    """How many records of a topic, in order of time, are the same, and the first difference behind them."""
    same = 0
    for a, b in zip_longest(_in_order(recorded), _in_order(made)):
        if a is None or (b is not None and b.time_ns < a.time_ns):
            return same, Difference(topic, b.time_ns, "record", NOTHING, _described(b.payload))
        if b is None or a.time_ns < b.time_ns:
            return same, Difference(topic, a.time_ns, "record", _described(a.payload), NOTHING)
        if (found := first_difference(a.payload, b.payload)) is not None:
            return same, Difference(topic, a.time_ns, *found)
        same += 1
    return same, None


def first_difference(recorded: Any, made: Any, field: str = "") -> tuple[str, str, str] | None:
    """(field, recorded value, made value) of the first field, in the order of the type, in which two values differ."""
    if type(recorded) is not type(made):
        return field or "type", type(recorded).__name__, type(made).__name__
    if isinstance(recorded, np.ndarray):
        return _in_arrays(recorded, made, field)
    if is_dataclass(recorded):
        pairs = ((getattr(recorded, f.name), getattr(made, f.name), f"{field}.{f.name}".lstrip(".")) for f in fields(recorded))
    elif isinstance(recorded, tuple | bytes):
        if len(recorded) != len(made):
            return field, f"length {len(recorded)}", f"length {len(made)}"
        pairs = ((a, b, f"{field}[{i}]") for i, (a, b) in enumerate(zip(recorded, made)))
    else:
        return None if _same_value(recorded, made) else (field, repr(recorded), repr(made))
    return next((found for a, b, name in pairs if (found := first_difference(a, b, name)) is not None), None)


def _in_arrays(recorded: Array, made: Array, field: str) -> tuple[str, str, str] | None:
    if (recorded.dtype, recorded.shape) != (made.dtype, made.shape):
        return field, f"{recorded.dtype} {recorded.shape}", f"{made.dtype} {made.shape}"
    ours, theirs = (np.frombuffer(array.tobytes(), np.uint8).reshape(array.size, -1) if array.size else np.zeros((0, 1), np.uint8)
                    for array in (recorded, made))
    wrong = np.flatnonzero((ours != theirs).any(axis=1))
    if not len(wrong):
        return None
    place = np.unravel_index(wrong[0], recorded.shape)
    return f"{field}[{', '.join(map(str, place))}]", repr(recorded[place].item()), repr(made[place].item())


def _same_value(a: Any, b: Any) -> bool:
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return a == b


def _in_order(events: Iterable[Event]) -> Iterator[Event]:
    for _, moment in groupby(events, key=lambda event: event.time_ns):
        yield from sorted(moment, key=lambda event: _speaker(event.payload))


def _speaker(payload: Payload) -> tuple[str, int]:
    match payload:
        case ObjectList(source=source) | Truth(objects=ObjectList(source=source)) | RsuHealth(rsu=source):
            return source, 0
    header = getattr(payload, "header", None)
    return ("", 0) if header is None else (header.publisher, header.segment)


def _described(payload: Payload) -> str:
    count = objects_in(payload)
    return f"{type(payload).__name__} of {count} objects" if count else type(payload).__name__
