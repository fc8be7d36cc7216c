"""Runs a detector over a recorded drive and adds what it finds to the drive as `vehicle.objects`."""
from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList
from perception.stage import ObjectDetector, PerceptionStage
from replay.console import progress
from replay.drive import EGO_SAMPLES, FUSED_TRACKS, RSU_HEALTH, VEHICLE_OBJECTS, Event
from replay.recorded import RecordedDrive, open_drive
from replay.recorder import extend_drive

STALE = (FUSED_TRACKS, RSU_HEALTH)  # made from the detections that are replaced


@dataclass
class Perceived:
    """What a detector found in a drive so far, and how long each sample took."""

    detector: str
    objects: Counter[str] = field(default_factory=Counter)  # by class title
    spent_ms: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """{"detector", "samples", "objects": {class: count}, "ms_per_sample": {"p50", "p99"}}."""
        p50, p99 = np.percentile(self.spent_ms, [50, 99]) if self.spent_ms else (np.nan, np.nan)
        return {"detector": self.detector, "samples": len(self.spent_ms), "objects": dict(self.objects.most_common()),
                "ms_per_sample": {"p50": float(p50), "p99": float(p99)}}


def perceive(path: Path, detector: ObjectDetector, weights: Path) -> Perceived:
    """Replace a drive's `vehicle.objects` by what the detector finds; tracks fused from the old ones go with them.

    Raises InputError if the drive has no samples of the ego; the drive changes at the end alone, in one step.
    """
    drive = open_drive(path)
    samples = drive.info.topics.get(EGO_SAMPLES)
    if samples is None or not samples.count:
        raise InputError(path, f"no {EGO_SAMPLES} (topics: {', '.join(sorted(drive.info.topics)) or 'none'})",
                         "a drive with sensor data of the vehicle")
    found = Perceived(detector.name)
    events = progress(_detections(drive, detector, found), f"perceiving {path.name}", total=samples.count)
    facts = {VEHICLE_OBJECTS: {"detector": detector.name, "weights": weights.name,
                               "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}}
    extend_drive(path, events, (VEHICLE_OBJECTS, *(topic for topic in STALE if topic in drive.info.topics)), facts)
    return found


def _detections(drive: RecordedDrive, detector: ObjectDetector, found: Perceived) -> Iterator[Event]:
    stage = PerceptionStage(detector)
    for event in drive.events(topics=[EGO_SAMPLES]):
        started = perf_counter()
        for detected in stage.process(event):
            found.spent_ms.append((perf_counter() - started) * 1e3)
            if isinstance(detected.payload, ObjectList):
                found.objects.update(ObjectClass(label).title for label in detected.payload.label)
            yield detected
