from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, OutOfMemory, SpecError
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.sensors import Sample
from perception.stage import PerceptionStage, SampleMemory
from replay.drive import EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, Event


@dataclass(frozen=True)
class OneCarAhead:
    """A detector that always sees one car 10 m in front."""

    frame: str = "ego"
    name: str = "one-car"

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        boxes = Boxes3D(self.frame, np.array([[10.0, 0.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.zeros(1))
        return ObjectList.build(boxes, self.name, sample.taken_ns, np.array([ObjectClass.CAR], np.uint8))


@dataclass
class Remembering:
    """A detector that notes the times of the samples it was given before each."""

    name: str = "remembering"
    given_ms: list[list[int]] = field(default_factory=list)

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        self.given_ms.append([s.taken_ns // 1_000_000 for s in earlier])
        return ObjectList.empty("ego", self.name)


class Greedy:
    """A detector that wants 16 PiB, whatever it sees."""

    name = "greedy"

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        torch.empty(2**54, dtype=torch.uint8)
        return ObjectList.empty("ego", self.name)


def sample_at(map_from_ego: SE3) -> Sample:
    return Sample("drive", 5, (), (), map_from_ego, {})


def test_objects_come_out_in_the_map_at_the_time_of_the_sample():
    pose = SE3.from_yaw("map", "ego", np.pi / 2, np.array([100.0, 50.0, 0.0]))
    (event,) = PerceptionStage(OneCarAhead()).process(Event(5, EGO_SAMPLES, sample_at(pose)))
    assert (event.time_ns, event.topic) == (5, VEHICLE_OBJECTS)
    assert isinstance(event.payload, ObjectList)
    assert event.payload.boxes.frame == "map"
    np.testing.assert_allclose(event.payload.boxes.center_m, [[100.0, 60.0, 0.8]], atol=1e-9)
    np.testing.assert_allclose(event.payload.boxes.yaw_rad, [np.pi / 2])


def test_other_topics_pass_without_an_answer_and_nothing_is_held_back():
    stage = PerceptionStage(OneCarAhead())
    assert list(stage.process(Event(5, TRUTH, sample_at(SE3.identity("map", "ego"))))) == []
    assert list(stage.finish()) == []


def test_a_detector_that_answers_in_another_frame_is_refused():
    with pytest.raises(FrameError, match="one-car: objects are in 'LIDAR_TOP', expected 'ego'"):
        PerceptionStage(OneCarAhead("LIDAR_TOP")).process(Event(5, EGO_SAMPLES, sample_at(SE3.identity("map", "ego"))))


def test_a_payload_that_is_no_sample_is_refused():
    event = Event(5, EGO_SAMPLES, ObjectList.empty("map", "x"))
    with pytest.raises(SpecError, match=r"ego\.samples: payload is ObjectList, expected Sample"):
        PerceptionStage(OneCarAhead()).process(event)


def at_ms(taken_ms: int, drive_id: str = "drive") -> Sample:
    return replace(sample_at(SE3.identity("map", "ego")), drive_id=drive_id, taken_ns=taken_ms * 1_000_000)


@pytest.mark.parametrize("step_ms, before_last", [(100, [900, 800, 700, 600, 500, 400]), (250, [750, 500]), (500, [500]),
                                                  (1000, [])])
def test_a_detector_is_given_the_samples_before_newest_first_whatever_their_rate(step_ms, before_last):
    detector = Remembering()
    stage = PerceptionStage(detector)
    for taken_ms in range(0, 1001, step_ms):
        stage.process(Event(taken_ms * 1_000_000, EGO_SAMPLES, at_ms(taken_ms)))
    assert detector.given_ms[0] == []
    assert detector.given_ms[-1] == before_last


def test_another_drive_and_a_clock_that_jumps_back_start_afresh():
    memory = SampleMemory()
    for sample in (at_ms(100), at_ms(200), at_ms(300, "other"), at_ms(400, "other"), at_ms(0, "other")):
        earlier = [(s.drive_id, s.taken_ns // 1_000_000) for s in memory.before(sample)]
        expected = {200: [("drive", 100)], 400: [("other", 300)]}.get(sample.taken_ns // 1_000_000, [])
        assert earlier == expected


def test_a_detector_that_runs_out_of_memory_is_told_by_name_and_size():
    with pytest.raises(OutOfMemory, match=r"greedy: needs 16,777,216\.00 GiB at once") as caught:
        PerceptionStage(Greedy()).process(Event(5, EGO_SAMPLES, sample_at(SE3.identity("map", "ego"))))
    assert caught.value.needed_bytes == 2**54
