from dataclasses import dataclass

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.sensors import Sample
from perception.stage import PerceptionStage
from replay.drive import EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, Event


@dataclass(frozen=True)
class OneCarAhead:
    """A detector that always sees one car 10 m in front."""

    frame: str = "ego"
    name: str = "one-car"

    def detect(self, sample: Sample) -> ObjectList:
        boxes = Boxes3D(self.frame, np.array([[10.0, 0.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.zeros(1))
        return ObjectList.build(boxes, self.name, sample.taken_ns, np.array([ObjectClass.CAR], np.uint8))


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
