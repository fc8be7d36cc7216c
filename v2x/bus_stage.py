"""Fusion behind a bus, as a stage of a drive: what comes in is published, the worker fuses it, its answers are read back.

The same records cross the bus as in the field: encoded, keyed by crossing, in order of arrival. A message arrives at its
`received_ns`; until the drive's time has come that far it is in the air.
"""
from __future__ import annotations

import heapq
import time
import uuid
from collections.abc import Iterable, Iterator

from data_specs.errors import BusError
from replay.arrival import arrival_ns
from replay.bus import Bus
from replay.drive import (
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
)
from v2x.bus_drive import BusSink
from v2x.looped import PLAYED_TOPICS
from v2x.records import from_bus_record
from v2x.worker import FusionWorker

ANSWERED = (FUSED_TRACKS, ROADSIDE_OBJECTS, RSU_HEALTH)
FUSED_FROM = (VEHICLE_OBJECTS, ROADSIDE_MESSAGES)  # what the worker itself reads


class BusFusion:
    """Stage: publishes vehicle.objects, rsu.messages and ego.poses; answers with what the worker published."""

    name = "fusion"

    def __init__(self, bus: Bus, info: DriveInfo, patience_s: float = 15.0) -> None:
        self._bus, self._patience_s = bus, patience_s
        self._sink = BusSink(bus, info)
        self._answers = bus.subscribe(ANSWERED, from_start=False)
        self.worker = FusionWorker(bus, info, group=f"fusion-{uuid.uuid4()}", from_start=False)
        self._in_the_air: list[tuple[int, int, Event]] = []
        self._sequence = self._sent = self._read_back = 0

    def process(self, event: Event) -> Iterable[Event]:
        """Publish what has arrived by the event's time, let the worker work, and hand on what it has answered so far."""
        if event.topic in PLAYED_TOPICS:
            self._sequence += 1
            heapq.heappush(self._in_the_air, (arrival_ns(event), self._sequence, event))
        self._land(event.time_ns)
        self.worker.step()
        return list(self._read())

    def finish(self) -> Iterable[Event]:
        """Everything still in the air lands, the worker ends; BusError if the bus has not given all back in time."""
        self._land(None)
        self._bus.flush()
        deadline = time.monotonic() + self._patience_s
        while self.worker.counts["records"] < self._sent:
            self._require_time(deadline, f"{self.worker.counts['records']} of {self._sent} records reached the worker")
            self.worker.step(timeout_s=0.1)
        self.worker.finish()
        while self._read_back < self.worker.counts["published"]:
            self._require_time(deadline, f"{self._read_back} of {self.worker.counts['published']} answers came back")
            yield from self._read(timeout_s=0.1)
        self.worker.close()
        self._answers.close()

    def _land(self, now_ns: int | None) -> None:
        while self._in_the_air and (now_ns is None or self._in_the_air[0][0] <= now_ns):
            _, _, event = heapq.heappop(self._in_the_air)
            self._sink.write(event)
            self._sent += event.topic in FUSED_FROM

    def _read(self, timeout_s: float = 0.0) -> Iterator[Event]:
        for record in self._answers.poll(timeout_s):
            self._read_back += 1
            yield from_bus_record(record)

    def _require_time(self, deadline: float, so_far: str) -> None:
        if time.monotonic() > deadline:
            raise BusError(f"the bus is slow or has lost records: {so_far} within {self._patience_s:.0f} s")
