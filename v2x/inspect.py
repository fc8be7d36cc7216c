"""One message's octets told field by field: where each stands, its bits, what it says and in which unit."""
from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_specs.errors import DecodeError, InputError
from v2x.codecs.bits import MAX_OCTETS
from v2x.codecs.door import edition_of, format_named
from v2x.codecs.trace import Piece, trace


@dataclass(frozen=True, slots=True)
class Inspection:
    """The pieces of a message in its form, and the error that they end with where it is broken."""

    wire_format: str
    octets: bytes
    pieces: list[Piece]
    error: DecodeError | None

    def to_json(self) -> dict[str, Any]:
        return {"wire_format": self.wire_format, "octets": self.octets.hex(), "fields": [asdict(p) for p in self.pieces],
                "error": None if self.error is None else {"bit": self.error.offset_bits, "text": str(self.error)}}


def read_octets(source: str) -> bytes:
    """A message's octets: hex as it stands, else a file of hex or of octets, or "-" for standard input."""
    if source == "-":
        data = sys.stdin.buffer.read(4 * MAX_OCTETS)
    elif _is_hex(source):
        return bytes.fromhex(source)
    elif Path(source).is_file():
        with Path(source).open("rb") as file:
            data = file.read(4 * MAX_OCTETS)
    else:
        raise InputError(source[:80], "neither hex nor a file", "a message as hex, a file that holds one, or -")
    text = data.decode("ascii", "replace").strip()
    return bytes.fromhex(text) if _is_hex(text) else data


def inspect_message(octets: bytes) -> Inspection:
    """Every field of a message; of a broken one, every field before what breaks it. DecodeError for an unknown header."""
    forms = format_named(edition_of(octets)).forms
    try:
        form = forms.decode(octets)[1]
    except DecodeError:
        form = next(iter(forms))
    _, pieces, error = trace(octets, forms[form].kind, forms[form].name)
    return Inspection(form, octets, pieces, error)


def tree_rows(pieces: list[Piece]) -> list[tuple[str, int | str, int | str, Any, str]]:
    """Rows of field, bit, bits, value and meaning; what a field is part of stands above it, once, and it is indented."""
    rows: list[tuple[str, int | str, int | str, Any, str]] = []
    above: list[str] = []
    for piece in pieces:
        *parts, name = piece.path.split(".")
        parts = [part.partition("<")[0] for part in parts]
        kept = next((i for i, (a, b) in enumerate(zip(above, parts)) if a != b), min(len(above), len(parts)))
        rows += [("  " * depth + part, "", "", "", "") for depth, part in enumerate(parts) if depth >= kept]
        above = parts
        rows.append(("  " * len(parts) + name, piece.bit, piece.width, piece.value, piece.meaning))
    return rows


def _is_hex(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False
