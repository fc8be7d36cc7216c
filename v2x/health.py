"""How each roadside unit is doing, counted message by message and reported once a second of event time."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.health import RsuHealth
from replay.drive import RSU_HEALTH, Event

_WINDOW_NS = 5 * NS_PER_S  # over which the rate and the age are taken


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one publisher since the start, and (generated_ns, received_ns) of its messages of the last seconds."""

    messages: int = 0
    objects: int = 0
    refused: int = 0
    last_generated_ns: int = 0
    recent: tuple[tuple[int, int], ...] = ()


def heard(tally: Tally, generated_ns: int, received_ns: int, objects: int) -> Tally:
    """The tally after one more message."""
    last_ns = max(tally.last_generated_ns, generated_ns)
    recent = tuple(sorted((*(r for r in tally.recent if r[0] > last_ns - _WINDOW_NS), (generated_ns, received_ns))))
    return Tally(tally.messages + 1, tally.objects + objects, tally.refused, last_ns, recent)


def refused(tally: Tally) -> Tally:
    """The tally after a message that could not be used."""
    return replace(tally, refused=tally.refused + 1)


def reports(health: Mapping[str, Tally], before_ns: int | None, time_ns: int) -> list[Event]:
    """One report of every unit if a whole second of event time began between the two times, else none."""
    if before_ns is not None and before_ns // NS_PER_S == time_ns // NS_PER_S:
        return []
    return [Event(time_ns, RSU_HEALTH, _report(publisher, health[publisher], time_ns)) for publisher in sorted(health)]


def _report(publisher: str, tally: Tally, time_ns: int) -> RsuHealth:
    times = [r for r in tally.recent if time_ns - _WINDOW_NS < r[0] <= time_ns]
    span_s = (times[-1][0] - times[0][0]) / NS_PER_S if len(times) > 1 else 0.0
    ages_ms = [(received - generated) / NS_PER_MS for generated, received in times if received > 0]
    return RsuHealth(
        rsu=publisher, time_ns=time_ns, last_generated_ns=tally.last_generated_ns, messages=tally.messages,
        objects=tally.objects, refused=tally.refused, rate_hz=(len(times) - 1) / span_s if span_s > 0 else 0.0,
        age_p50_ms=float(np.median(ages_ms)) if ages_ms else float("nan"),
    )
