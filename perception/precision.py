"""Where float32 must stay float32 while the rest of a network runs in half of it."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Coordinates and projections need all of float32: a bfloat16 is 25 cm coarse at 51 m."""

    @wraps(function)
    def exact(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*args, **kwargs)

    return exact


def half_of(device: torch.device) -> torch.dtype:
    """The 16-bit numbers that a device is fast in: bfloat16, or float16 on GPUs that lack it."""
    return torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported(False) else torch.bfloat16
