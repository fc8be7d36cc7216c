"""Point Cloud Data files, version 0.7: ascii, binary and binary_compressed (LZF over the fields one after the other).

Source: Point Cloud Library, "The PCD (Point Cloud Data) file format"; LZF: Marc Lehmann, liblzf 3.6, lzf_d.c.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, TruncatedInput

_KINDS = {"F": "f", "U": "u", "I": "i"}
_KEYS = ("FIELDS", "SIZE", "TYPE", "POINTS", "DATA")
_LONGEST_HEADER = 4096
_MOST_POINTS = 100_000_000


@dataclass(frozen=True, slots=True)
class PcdHeader:
    dtype: np.dtype  # of one point: a named field each, with its count as an inner shape
    points: int
    storage: str  # "ascii", "binary" or "binary_compressed"


def read_pcd(path: Path) -> dict[str, Array]:
    """The columns of a file by field name, each [n] or [n, count]; typed errors for what is missing, cut short or foreign."""
    if not path.is_file():
        raise MissingInput(path, "a point cloud (.pcd)")
    data = path.read_bytes()
    header, body = _header(path, data)
    if header.storage == "ascii":
        return _ascii(path, body, header)
    if header.storage == "binary":
        wanted = header.points * header.dtype.itemsize
        if len(body) < wanted:
            raise TruncatedInput(path, f"{len(body)} bytes of points", f"{wanted} bytes for {header.points} points")
        rows = np.frombuffer(body, header.dtype, header.points)
        return {name: rows[name] for name in header.dtype.names or ()}
    return _compressed(path, body, header)


def lzf_decompress(data: bytes, size: int) -> bytes:
    """`size` bytes from LZF-compressed ones; ValueError where they are not such."""
    out = bytearray()
    place, end = 0, len(data)
    while place < end:
        control = data[place]
        place += 1
        if control < 32:  # a run of control + 1 bytes as they are
            out += data[place:place + control + 1]
            place += control + 1
            continue
        length, back = control >> 5, (control & 31) << 8
        if place + (1 if length < 7 else 2) > end:
            raise ValueError(f"ends inside a reference after {len(out)} bytes")
        if length == 7:
            length += data[place]
            place += 1
        start = len(out) - back - data[place] - 1
        place += 1
        if start < 0:
            raise ValueError(f"a reference to before the start after {len(out)} bytes")
        piece = out[start:start + length + 2]
        if len(piece) < length + 2:  # the reference reaches into what it writes: its bytes repeat
            piece = (piece * (length // len(piece) + 3))[:length + 2]
        out += piece
    if len(out) != size or place > end:
        raise ValueError(f"{len(out)} bytes come out")
    return bytes(out)


def _header(path: Path, data: bytes) -> tuple[PcdHeader, bytes]:
    """The header and the bytes behind it."""
    said: dict[str, list[str]] = {}
    place = 0
    while "DATA" not in said:
        line_end = data.find(b"\n", place, _LONGEST_HEADER)
        if line_end < 0:
            missing = ", ".join(key for key in _KEYS if key not in said)
            raise TruncatedInput(path, f"no {missing} in the first {min(len(data), _LONGEST_HEADER)} bytes", "a PCD header")
        words = data[place:line_end].decode("ascii", "replace").split()
        place = line_end + 1
        if words and not words[0].startswith("#"):
            said[words[0]] = words[1:]
    for key in _KEYS:
        if not said.get(key):
            raise InputError(path, f"no {key} in the header", "VERSION 0.7 with FIELDS, SIZE, TYPE, POINTS and DATA")
    try:
        counts = [int(c) for c in said.get("COUNT", ["1"] * len(said["FIELDS"]))]
        columns = list(zip(said["FIELDS"], said["TYPE"], said["SIZE"], counts, strict=True))
        dtype = np.dtype([(name, f"<{_KINDS[kind]}{int(size)}", *(() if count == 1 else ((count,),)))
                          for name, kind, size, count in columns])
        header = PcdHeader(dtype, int(said["POINTS"][0]), said["DATA"][0])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(path, f"header says {said}", "as many FIELDS as TYPE (F, U, I), SIZE and COUNT") from error
    if header.storage not in ("ascii", "binary", "binary_compressed"):
        raise InputError(path, f"DATA {header.storage}", "ascii, binary or binary_compressed")
    if not 0 <= header.points <= _MOST_POINTS:
        raise InputError(path, f"POINTS {header.points}", f"0 to {_MOST_POINTS}")
    return header, data[place:]


def _compressed(path: Path, body: bytes, header: PcdHeader) -> dict[str, Array]:
    if len(body) < 8:
        raise TruncatedInput(path, f"{len(body)} bytes after the header", "two sizes of 4 bytes and the compressed points")
    packed, size = (int(n) for n in np.frombuffer(body, "<u4", 2))
    wanted = header.points * header.dtype.itemsize
    if size != wanted:
        raise InputError(path, f"{size} bytes of points", f"{wanted} bytes for {header.points} points")
    if len(body) < 8 + packed:
        raise TruncatedInput(path, f"{len(body) - 8} compressed bytes", f"{packed}")
    try:
        flat = lzf_decompress(body[8:8 + packed], size)
    except ValueError as error:
        raise InputError(path, f"compressed points are damaged: {error}", f"{size} bytes") from error
    columns, place = {}, 0
    for name in header.dtype.names or ():
        field = header.dtype[name]
        columns[name] = np.frombuffer(flat, field.base, header.points * (field.itemsize // field.base.itemsize), place).reshape(
            header.points, *field.shape)
        place += header.points * field.itemsize
    return columns


def _ascii(path: Path, body: bytes, header: PcdHeader) -> dict[str, Array]:
    try:
        values = np.array(body.split(), dtype=np.float64)
    except ValueError as error:
        raise InputError(path, str(error), "numbers") from error
    fields = [(name, header.dtype[name]) for name in header.dtype.names or ()]
    widths = [field.itemsize // field.base.itemsize for _, field in fields]
    if len(values) != header.points * sum(widths):
        raise TruncatedInput(path, f"{len(values)} numbers", f"{header.points * sum(widths)} for {header.points} points")
    table = values.reshape(header.points, sum(widths))
    starts = np.cumsum([0, *widths])
    return {name: table[:, start:start + width].astype(field.base).reshape(header.points, *field.shape)
            for (name, field), start, width in zip(fields, starts, widths)}
