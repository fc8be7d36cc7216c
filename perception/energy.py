"""Joules that a processor has used, as its own counters tell: Intel's and AMD's RAPL for CPUs, NVML for NVIDIA's GPUs.

Sources: Linux, Documentation/power/powercap/powercap.rst; NVML API reference, nvmlDeviceGetTotalEnergyConsumption.
"""
from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"

Joules = Callable[[], float]  # used since some moment in the past


@dataclass(frozen=True, slots=True)
class RaplZone:
    """One processor package; its counter starts again at 0 after `range_uj`."""

    energy_file: Path
    range_uj: int

    def used_uj(self) -> int:
        return int(self.energy_file.read_text())


class CpuJoules:
    """Joules of all packages since it was made; call it more often than a counter wraps, which takes minutes at least."""

    def __init__(self, zones: tuple[RaplZone, ...]) -> None:
        self._zones, self._last = zones, [zone.used_uj() for zone in zones]
        self._total_uj = 0

    def __call__(self) -> float:
        for i, zone in enumerate(self._zones):
            now = zone.used_uj()
            self._total_uj += (now - self._last[i]) % max(zone.range_uj, 1)
            self._last[i] = now
        return self._total_uj / 1e6


def cpu_joules(powercap: Path = POWERCAP) -> Joules | None:
    """A counter of the CPU's energy; None where the kernel gives none, or not to this user."""
    try:
        zones = [RaplZone(zone / "energy_uj", int((zone / "max_energy_range_uj").read_text()))
                 for zone in sorted(powercap.glob("intel-rapl:*")) if (zone / "name").read_text().startswith("package")]
        return CpuJoules(tuple(zones)) if zones else None
    except (OSError, ValueError):
        return None


def gpu_joules(index: int) -> Joules | None:
    """A counter of a GPU's energy since the driver was loaded; None without NVIDIA's library, or on GPUs older than Volta."""
    try:
        nvml = ctypes.CDLL(NVML)
    except OSError:
        return None
    handle, used_mj = ctypes.c_void_p(), ctypes.c_ulonglong()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)):
        return None
    if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(used_mj)):
        return None

    def used_j() -> float:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(used_mj))
        return used_mj.value / 1e3

    return used_j
