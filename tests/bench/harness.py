"""How a benchmark measures and reports: best of five windows, a table for people, one JSON object for programs."""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from replay.console import print_table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure beside its peer's, from the same run; ratio above 1 means ours is better."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None


def best_of(work: Callable[[], object], windows: int = 5, seconds: float = 0.5) -> float:
    """Seconds per call: the best of `windows` windows, each of at least one call and about `seconds`."""
    work()
    best = float("inf")
    for _ in range(windows):
        calls, started = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - started < seconds:
            work()
            calls += 1
        best = min(best, (time.perf_counter() - started) / calls)
    return best


def resnet18() -> Callable[[], object]:
    """The yardstick beside every absolute time: ResNet-18 to layer3 on 6x128x352; 159 ms on a quiet machine with 2 threads."""
    import torch
    import torchvision

    net = torchvision.models.resnet18(weights=None).eval().to(memory_format=torch.channels_last)
    body = torch.nn.Sequential(*list(net.children())[:7])
    images = torch.zeros(6, 3, 128, 352).to(memory_format=torch.channels_last)

    def once() -> object:
        with torch.inference_mode():
            return body(images)

    return once


def resnet18_ms() -> float:
    """The yardstick's milliseconds, 2 threads."""
    import torch

    torch.set_num_threads(2)
    return best_of(resnet18()) * 1e3


def report(title: str, rows: list[Row], notes: tuple[str, ...] = ()) -> None:
    """Print the rows: a table, or with --json on the command line one object {name: {value, unit, peer, peer_value, ratio}}."""
    if "--json" in sys.argv:
        print(json.dumps({r.name: {"value": r.value, "unit": r.unit, "peer": r.peer, "peer_value": r.peer_value,
                                   "ratio": r.ratio} for r in rows}))
        return
    print_table(title, ["figure", "value", "unit", "peer", "peer's", "ratio"],
                [(r.name, f"{r.value:,.2f}", r.unit, r.peer, "-" if r.peer_value is None else f"{r.peer_value:,.2f}",
                  "-" if r.ratio is None else f"{r.ratio:,.1f}x") for r in rows], notes)
