"""The binary packet that the routes send and the canvas reads: named arrays behind one small JSON header.

    byte 0   "RWP1"
    byte 4   uint32, little-endian: length of the header in bytes
    byte 8   header, UTF-8 JSON, padded with spaces so that what follows starts on a multiple of 8
    then     the arrays, little-endian, rows first, each starting on a multiple of 8 (browsers map them without a copy)

    header = {"meta": {...}, "arrays": {name: {"dtype": "f4" | "f8" | "i8" | "u1", "shape": [n, ...], "at": byte}}}

`at` counts from the end of the header. An array of "u1" may be anything, a JPEG for one. The only encoder is here, the
only decoder for browsers is `canvas/packet.js`; `unpack` is the same in Python, for tests and programs.
"""
from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, SpecError

MAGIC = b"RWP1"
DTYPES = ("f4", "f8", "i8", "u1")
_ALIGNMENT = 8


def pack(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One packet; SpecError for an array of another dtype, ValueError for a NaN in `meta` (JSON has none)."""
    places: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, array in arrays.items():
        code = f"{array.dtype.kind}{array.dtype.itemsize}"
        if code not in DTYPES:
            raise SpecError(f"{name}: dtype is {array.dtype}, expected one of {', '.join(DTYPES)}")
        octets = np.ascontiguousarray(array, dtype=f"<{code}").tobytes()
        places[name] = {"dtype": code, "shape": list(array.shape), "at": at}
        padding = -len(octets) % _ALIGNMENT
        parts += [octets, b"\0" * padding]
        at += len(octets) + padding
    header = json.dumps({"meta": meta, "arrays": places}, allow_nan=False, separators=(",", ":")).encode()
    header += b" " * (-(len(header) + 8) % _ALIGNMENT)
    return b"".join([MAGIC, struct.pack("<I", len(header)), header, *parts])


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """meta and arrays of a packet; InputError if it is none, or ends early."""
    if len(data) < 8 or data[:4] != MAGIC:
        raise InputError("packet", f"{len(data)} bytes starting {data[:4]!r}", f"a packet starting {MAGIC!r}")
    (length,) = struct.unpack_from("<I", data, 4)
    try:
        header = json.loads(data[8:8 + length])
    except ValueError as error:
        raise InputError("packet header", str(error), f"{length} bytes of JSON") from error
    arrays = {}
    for name, place in header["arrays"].items():
        count = int(np.prod(place["shape"], dtype=np.int64))
        end = 8 + length + place["at"] + count * int(place["dtype"][1])
        if end > len(data):
            raise InputError(f"packet array {name}", f"{len(data)} bytes", f"at least {end}")
        arrays[name] = np.frombuffer(data, f"<{place['dtype']}", count, 8 + length + place["at"]).reshape(place["shape"])
    return header["meta"], arrays
