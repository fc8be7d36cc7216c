"""What exports share: which part of a drive, and an output that comes into being whole or not at all."""
from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from replay.drive import DriveInfo


@dataclass(frozen=True, slots=True)
class Span:
    """start_ns <= time < end_ns; None = from the start, to the end."""

    start_ns: int | None = None
    end_ns: int | None = None

    @classmethod
    def of(cls, info: DriveInfo, from_s: float | None, to_s: float | None) -> Span:
        """Seconds into a drive; InputError where nothing of it lies between them."""
        start_ns, end_ns = (None if at is None else info.start_ns + round(at * 1e9) for at in (from_s, to_s))
        if (start_ns is not None and start_ns > info.end_ns) or (None not in (start_ns, end_ns) and start_ns >= end_ns):  # type: ignore
            raise InputError("--from, --to", f"{from_s} to {to_s} s", f"a part of the drive's {info.duration_s:.1f} s")
        return cls(start_ns, end_ns)

    def holds(self, times_ns: Array) -> Array:
        """Mask [n] of the times that lie in it."""
        inside = np.ones(len(times_ns), bool)
        if self.start_ns is not None:
            inside &= times_ns >= self.start_ns
        if self.end_ns is not None:
            inside &= times_ns < self.end_ns
        return inside


def write_whole(out: Path, overwrite: bool, write: Callable[[Path], None]) -> None:
    """Let `write` make a file or folder under a name beside `out`, which becomes `out` when it is done and is removed if not.

    InputError if `out` is there and is not to be replaced.
    """
    if out.exists() and not overwrite:
        raise InputError(out, "something that is there already", "a new name", "--overwrite replaces it")
    part = out.with_name(f".{out.name}.part")
    _remove(part)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(part)
        _remove(out)
        part.rename(out)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
