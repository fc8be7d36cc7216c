"""A detector as a step of a drive: sensor samples in, the vehicle's own objects in `map` out."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectList
from data_specs.sensors import Sample
from perception.device_memory import out_of_memory_named
from replay.drive import EGO_SAMPLES, VEHICLE_OBJECTS, Event


class ObjectDetector(Protocol):
    """Whatever turns one sample into objects: our networks, and those of others behind our types."""

    @property
    def name(self) -> str:
        """Which network, as lists of its objects say in `source`."""
        ...

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        """Objects in the frame "ego", measured at sample.taken_ns; none where the sensors gave nothing.

        `earlier` are samples of the same drive from before, newest first, for detectors that look back. Raises SpecError if
        the samples lack the sensor that the detector needs.
        """
        ...


class SampleMemory:
    """The samples of the last `span_ns` of one drive; another drive, or a clock that jumps back, starts it afresh."""

    def __init__(self, span_ns: int = 620_000_000) -> None:
        self.span_ns = span_ns
        self._kept: deque[Sample] = deque()

    def before(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples kept so far that precede `sample` by at most the span, newest first; `sample` is kept from now on."""
        if self._kept and (self._kept[0].drive_id != sample.drive_id or self._kept[0].taken_ns >= sample.taken_ns):
            self._kept.clear()
        while self._kept and self._kept[-1].taken_ns < sample.taken_ns - self.span_ns:
            self._kept.pop()
        earlier = tuple(self._kept)
        self._kept.appendleft(sample)
        return earlier


class PerceptionStage:
    """Runs a detector over `ego.samples` and answers with `vehicle.objects` (replay.drive.Stage)."""

    def __init__(self, detector: ObjectDetector) -> None:
        self.detector = detector
        self._memory = SampleMemory()

    @property
    def name(self) -> str:
        return "perception"

    def process(self, event: Event) -> Iterable[Event]:
        """One event of objects in `map` for each sample of the ego; nothing for other topics.

        OutOfMemory says what the detector needed where the device has less.
        """
        if event.topic != EGO_SAMPLES:
            return ()
        if not isinstance(event.payload, Sample):
            raise SpecError(f"{EGO_SAMPLES}: payload is {type(event.payload).__name__}, expected Sample")
        with out_of_memory_named(self.detector.name):
            objects = self.detector.detect(event.payload, self._memory.before(event.payload))
        if objects.boxes.frame != "ego":
            raise FrameError(f"{self.detector.name}: objects are in {objects.boxes.frame!r}, expected 'ego'")
        return (Event(event.payload.taken_ns, VEHICLE_OBJECTS, objects.transformed(event.payload.map_from_ego)),)

    def finish(self) -> Iterable[Event]:
        """Nothing is held back: every sample is answered at once."""
        return ()
