"""Runs a drive through a chain of stages, event by event in order of time, and says how long each stage took."""
from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from replay.drive import Drive, Event, Sink, Stage


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds a stage took for the events it answered."""

    p50_ms: float  # NaN where it answered none
    p99_ms: float
    calls: int


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Per stage, in the order of the chain."""

    stages: tuple[tuple[str, Latency], ...]

    def with_first(self, name: str, spent_ms: Sequence[float]) -> StageTimes:
        """The same with what came before the chain, as a stage of its own at its head."""
        return StageTimes(((name, _latency(spent_ms)), *self.stages))

    def to_json(self) -> dict[str, dict[str, float]]:
        """{stage: {"p50", "p99"}} in milliseconds."""
        return {name: {"p50": latency.p50_ms, "p99": latency.p99_ms} for name, latency in self.stages}

    def rows(self) -> list[tuple[str, float, float, int]]:
        """(stage, p50 ms, p99 ms, calls) for a table."""
        return [(name, latency.p50_ms, latency.p99_ms, latency.calls) for name, latency in self.stages]


def run(drive: Drive | Iterable[Event], stages: Sequence[Stage], sink: Sink | None = None) -> StageTimes:
    """Feed a drive's events through `stages`; the sink gets every event, the drive's own and what the stages make of them.

    What a stage makes goes to the stages behind it at once, and to the sink. A call counts for a stage's latency if
    something came of it: a stage passes over the topics that are not its own in no time.
    """
    spent_ms: list[list[float]] = [[] for _ in stages]
    for event in drive if isinstance(drive, Iterable) else drive.events():
        _keep(sink, event)
        _pass_on(event, 0, stages, spent_ms, sink)
    for place, stage in enumerate(stages):
        for made in stage.finish():
            _keep(sink, made)
            _pass_on(made, place + 1, stages, spent_ms, sink)
    return StageTimes(tuple((stage.name, _latency(spent)) for stage, spent in zip(stages, spent_ms)))


def in_order(*streams: Iterable[Event]) -> Iterator[Event]:
    """Streams of events, each in order of time, as one, by time then topic."""
    return heapq.merge(*streams, key=lambda event: (event.time_ns, event.topic))


def _pass_on(event: Event, place: int, stages: Sequence[Stage], spent_ms: list[list[float]], sink: Sink | None) -> None:
    """Give an event to the stages from `place` on, and what each makes of it to those behind it."""
    for i in range(place, len(stages)):
        started = time.perf_counter()
        made = list(stages[i].process(event))
        if made:
            spent_ms[i].append((time.perf_counter() - started) * 1e3)
        for output in made:
            _keep(sink, output)
            _pass_on(output, i + 1, stages, spent_ms, sink)


def _keep(sink: Sink | None, event: Event) -> None:
    if sink is not None:
        sink.write(event)


def _latency(spent_ms: Sequence[float]) -> Latency:
    if not spent_ms:
        return Latency(float("nan"), float("nan"), 0)
    p50, p99 = np.percentile(spent_ms, [50, 99])
    return Latency(float(p50), float(p99), len(spent_ms))
