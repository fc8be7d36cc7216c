"""How fast a detector is on this machine, and what a frame costs: memory, joules and money.

A frame is one sample of a simulated drive with its earlier sweeps and pictures, from arrays in memory to objects.
"""
from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from data_specs.errors import SpecError
from data_specs.sensors import Sample
from perception.device import Device
from perception.energy import cpu_joules, gpu_joules
from perception.stage import ObjectDetector
from replay.console import print_table

WARM_UPS = 5
LEAST_FRAMES = 10

Moment = tuple[Sample, tuple[Sample, ...]]  # a sample, and those before it, newest first


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured; None where there is no counter and nothing was given."""

    detector: str
    device: str
    frames: int
    frames_per_s: float
    p50_ms: float
    p99_ms: float
    peak_mib: float  # of this process, resident
    gpu_peak_mib: float | None
    joules_per_frame: float | None
    power_source: str | None  # RAPL, NVML or given
    cost_per_million_frames: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def simulated_moments(scenario: str = "crossing", seed: int = 0, seconds: float = 4.0) -> list[Moment]:
    """Moments of a simulated drive, twice a second, each with its earlier sweeps; the first two seconds are left out."""
    from replay.simulate import sweep_pairs

    moments = [(sample, earlier) for sample, earlier, _ in sweep_pairs(scenario, seed, seconds + 2.0, 2.0)]
    return moments[4:]


def measure(detector: ObjectDetector, device: Device, moments: Sequence[Moment], seconds: float, watts: float | None = None,
            price_per_hour: float | None = None) -> Speed:
    """Detect in the moments again and again for so many seconds; SpecError for numbers that make no sense.

    `watts` of the machine stand in for its own counters; `price_per_hour` is in any currency.
    """
    for name, value in (("seconds", seconds), ("watts", watts), ("price_per_hour", price_per_hour)):
        if value is not None and not 0.0 < value < np.inf:
            raise SpecError(f"{name}: {value:g}, expected more than 0")
    if not moments:
        raise SpecError("moments: none, expected at least one")
    on_gpu = device.name != "cpu"
    for i in range(WARM_UPS):
        detector.detect(*moments[i % len(moments)])
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device.name)
    joules = gpu_joules(torch.device(device.name).index or 0) if on_gpu else cpu_joules()
    before_j = joules() if joules else 0.0
    spent_ms: list[float] = []
    while sum(spent_ms) < seconds * 1e3 or len(spent_ms) < LEAST_FRAMES:
        started = perf_counter()
        detector.detect(*moments[len(spent_ms) % len(moments)])
        spent_ms.append((perf_counter() - started) * 1e3)
    used_j = joules() - before_j if joules else None
    return _speed(detector.name, device, spent_ms, used_j, watts, price_per_hour)


def _speed(name: str, device: Device, spent_ms: Sequence[float], used_j: float | None, watts: float | None,
           price_per_hour: float | None) -> Speed:
    on_gpu = device.name != "cpu"
    seconds = sum(spent_ms) / 1e3
    if watts is not None:
        source, used_j = "given", watts * seconds
    else:
        source = None if used_j is None else "NVML" if on_gpu else "RAPL"
    p50_ms, p99_ms = np.percentile(spent_ms, [50, 99])
    return Speed(name, device.title, len(spent_ms), len(spent_ms) / seconds, float(p50_ms), float(p99_ms),
                 resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                 torch.cuda.max_memory_allocated(device.name) / 2**20 if on_gpu else None,
                 None if used_j is None else used_j / len(spent_ms), source,
                 None if price_per_hour is None else price_per_hour / 3600 * seconds / len(spent_ms) * 1e6)


def show(speed: Speed) -> None:
    """The figures as a table."""
    unknown = "not known: no counter here, --watts gives it"
    rows = [("frames a second", f"{speed.frames_per_s:.1f}"), ("ms a frame, p50", f"{speed.p50_ms:.1f}"),
            ("ms a frame, p99", f"{speed.p99_ms:.1f}"), ("memory of the process, MiB", f"{speed.peak_mib:.0f}")]
    if speed.gpu_peak_mib is not None:
        rows.append(("memory of the GPU, MiB", f"{speed.gpu_peak_mib:.0f}"))
    joules = unknown if speed.joules_per_frame is None else f"{speed.joules_per_frame:.2f} ({speed.power_source})"
    rows.append(("joules a frame", joules))
    if speed.cost_per_million_frames is not None:
        rows.append(("cost of a million frames", f"{speed.cost_per_million_frames:.2f}"))
    print_table(f"{speed.detector} on {speed.device}", ["figure", "value"], rows, [f"{speed.frames} frames"])
