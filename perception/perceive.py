"""Runs a detector over a recorded drive and adds what it finds to the drive as `vehicle.objects`."""
from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from data_specs.errors import InputError, MissingInput
from data_specs.objects import ObjectClass, ObjectList
from perception.device import chosen_device
from perception.load import load_detector
from perception.stage import ObjectDetector, PerceptionStage
from replay.console import progress
from replay.drive import EGO_SAMPLES, FUSED_TRACKS, RSU_HEALTH, VEHICLE_OBJECTS, Event, Sink
from replay.lineage import lineage, setting
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


def perceive(path: Path, detector: ObjectDetector, weights: Path, device: str = "auto") -> Perceived:
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
    facts = lineage("perceive", [VEHICLE_OBJECTS], network_settings(detector.name, weights, device))
    extend_drive(path, events, (VEHICLE_OBJECTS, *STALE), facts)
    return found


def perceive_again(drive: RecordedDrive, told: Mapping[str, Any], sink: Sink, weights: Path) -> None:
    """Write what `perceive` found in a drive once more, as its lineage tells; errors as `same_detector` raises them."""
    detector = same_detector(told, weights)
    total = drive.info.topics[EGO_SAMPLES].count if EGO_SAMPLES in drive.info.topics else 0
    for event in progress(_detections(drive, detector, Perceived(detector.name)), "perceiving again", total=total):
        sink.write(event)


def network_settings(name: str, weights: Path, device: str) -> dict[str, Any]:
    """What the numbers of a network depend on, for the lineage of what it finds."""
    return {"detector": name, "weights": weights.name, "weights_sha256": _sha256(weights),
            "device": chosen_device(device).name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def same_detector(told: Mapping[str, Any], weights: Path) -> ObjectDetector:
    """The network that a lineage tells of, on the device and with the threads that it had; sums depend on both.

    Raises InputError if `weights` are not those of the lineage, RoadweaveError if the device is not here.
    """
    want, got = setting(told, "weights_sha256", str), _sha256(weights)
    if want != got:
        raise InputError(weights, f"SHA-256 {got}", f"{want}, as {told.get('weights')} had that made {VEHICLE_OBJECTS}",
                         "name that file with --weights")
    torch.set_num_threads(setting(told, "threads", int))
    return load_detector(weights, setting(told, "device", str))


def _sha256(weights: Path) -> str:
    if not weights.is_file():
        raise MissingInput(weights, "a file of weights")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def _detections(drive: RecordedDrive, detector: ObjectDetector, found: Perceived) -> Iterator[Event]:
    stage = PerceptionStage(detector)
    for event in drive.events(topics=[EGO_SAMPLES]):
        started = perf_counter()
        for detected in stage.process(event):
            found.spent_ms.append((perf_counter() - started) * 1e3)
            if isinstance(detected.payload, ObjectList):
                found.objects.update(ObjectClass(label).title for label in detected.payload.label)
            yield detected
