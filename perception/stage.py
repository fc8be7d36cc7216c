"""A detector as a step of a drive: sensor samples in, the vehicle's own objects in `map` out."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectList
from data_specs.sensors import Sample
from replay.drive import EGO_SAMPLES, VEHICLE_OBJECTS, Event


class ObjectDetector(Protocol):
    """Whatever turns one sample into objects: our networks, and those of others behind our types."""

    @property
    def name(self) -> str:
        """Which network, as lists of its objects say in `source`."""
        ...

    def detect(self, sample: Sample) -> ObjectList:
        """Objects in the frame "ego", measured at sample.taken_ns; none where the cloud is empty.

        Raises SpecError if the sample lacks the sensor that the detector needs.
        """
        ...


class PerceptionStage:
    """Runs a detector over `ego.samples` and answers with `vehicle.objects` (replay.drive.Stage)."""

    def __init__(self, detector: ObjectDetector) -> None:
        self.detector = detector

    @property
    def name(self) -> str:
        return "perception"

    def process(self, event: Event) -> Iterable[Event]:
        """One event of objects in `map` for each sample of the ego; nothing for other topics."""
        if event.topic != EGO_SAMPLES:
            return ()
        if not isinstance(event.payload, Sample):
            raise SpecError(f"{EGO_SAMPLES}: payload is {type(event.payload).__name__}, expected Sample")
        objects = self.detector.detect(event.payload)
        if objects.boxes.frame != "ego":
            raise FrameError(f"{self.detector.name}: objects are in {objects.boxes.frame!r}, expected 'ego'")
        return (Event(event.payload.taken_ns, VEHICLE_OBJECTS, objects.transformed(event.payload.map_from_ego)),)

    def finish(self) -> Iterable[Event]:
        """Nothing is held back: every sample is answered at once."""
        return ()
