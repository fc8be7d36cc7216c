"""What a device says when its memory runs out, as one error that names the size it needed."""
from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from data_specs.errors import OutOfMemory

# torch on the CPU says bytes, torch on a GPU and numpy say a number with its unit.
TRIED = re.compile(r"(?:tried to allocate|unable to allocate) ([\d.]+) (bytes|[KMGTPE]iB)", re.IGNORECASE)
TOO_LARGE_TO_SAY = "Storage size calculation overflowed"
UNITS = {"bytes": 1, **{f"{letter}iB": 1024 ** (i + 1) for i, letter in enumerate("KMGTPE")}}


@contextmanager
def out_of_memory_named(where: str) -> Iterator[None]:
    """Within it, running out of memory is an OutOfMemory that says `where` and how many bytes were asked for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        text = str(error)
        tried = TRIED.search(text)
        if tried is None and TOO_LARGE_TO_SAY not in text and not isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            raise
        needed = round(float(tried[1]) * UNITS[tried[2]]) if tried else None
        raise OutOfMemory(where, "the GPU" if isinstance(error, torch.OutOfMemoryError) else "the CPU", needed) from error
