"""The 40 held-out drives that detectors are scored on: simulated once, then read from disk, bit for bit the same.

8 seeds x 5 scenarios, 20 s each, scored at 2 Hz. Seeds below 100 train nothing. The files lie in .cache/held-out, in a folder
that is named after the simulator's source: a changed simulator never meets old drives. They are pickles that only this module
writes and reads.
"""
from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from data_specs.objects import Truth
from data_specs.sensors import Sample

SEEDS = range(8)
SCENARIOS = ("crossing", "busy", "delivery", "suburb", "turning")
DRIVES = tuple((scenario, seed) for seed in SEEDS for scenario in SCENARIOS)  # any number of the first holds all streets
SECONDS, HZ = 20.0, 2.0
ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "held-out"

Pair = tuple[Sample, tuple[Sample, ...], Truth]  # a sample, the samples before it (newest first), and what was there (in map)


def held_out_pairs(scenario: str, seed: int, folder: Path = CACHE, seconds: float = SECONDS) -> Iterator[Pair]:
    """The scored moments of one drive, simulated if they are not in `folder` yet."""
    here = folder / _simulator()
    path = here / f"{scenario}-{seed}-{seconds:g}s.pickle"
    if not path.is_file():
        from replay.simulate import sweep_pairs

        _drop_others(here)
        here.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                write_pairs(file, sweep_pairs(scenario, seed, seconds, HZ))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    with path.open("rb") as file:
        yield from read_pairs(file)


def write_pairs(file: IO[bytes], pairs: Iterable[Pair]) -> None:
    """Write moments one after another, so that no more than one need be held."""
    for pair in pairs:
        buffer = io.BytesIO()
        _Pickler(buffer, protocol=5).dump(pair)
        file.write(buffer.getbuffer())


def read_pairs(file: IO[bytes]) -> Iterator[Pair]:
    """The inverse of `write_pairs`."""
    while True:
        try:
            yield pickle.load(file)
        except EOFError:
            return


def read_only(mapping: dict[str, Any]) -> MappingProxyType[str, Any]:
    """What a sample's read-only mapping is read back by."""
    return MappingProxyType(mapping)


class _Pickler(pickle.Pickler):
    """Samples keep their sensors' places in a read-only mapping, which pickle does not know."""

    def reducer_override(self, obj: Any) -> Any:
        return (read_only, (dict(obj),)) if isinstance(obj, MappingProxyType) else NotImplemented


def _simulator() -> str:
    """A name that changes with the source of the simulator and of the types that it gives."""
    sources = [*sorted((ROOT / "replay" / "simulate").glob("*.py")),
               *(ROOT / "data_specs" / f"{name}.py" for name in ("boxes", "objects", "pose", "sensors"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _drop_others(here: Path) -> None:
    """Forget the drives of other simulators: they take gigabytes."""
    for folder in here.parent.glob("*"):
        if folder != here:
            shutil.rmtree(folder, ignore_errors=True)
