"""A shifted event is the same event later: every time in it moves alike, nothing else moves."""
from __future__ import annotations

import numpy as np
import pytest

from data_specs.health import RsuHealth
from data_specs.messages import GeoPoint, HazardMessage, Header, RoadsideMessage, SignalMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import RSU_HEALTH, TRUTH, Event
from replay.shift import shifted
from tests.replay.test_player import START_NS, objects

HEADER = Header("rsu-1", "etsi-cpm-2.1.1", START_NS, START_NS + 9, 0, 1, b"octets")
PLACE = GeoPoint(48.0, 11.0, 0.0)


def payload_after(payload: object) -> object:
    event = shifted(Event(START_NS, "topic", payload), 7)
    assert event.time_ns == START_NS + 7
    return event.payload


def test_nothing_is_done_for_no_shift():
    event = Event(START_NS, TRUTH, Truth.build(objects(START_NS)))
    assert shifted(event, 0) is event


def test_truth_and_its_measurement_times_move():
    moved = payload_after(Truth.build(objects(START_NS)))
    assert moved.objects.measured_ns.tolist() == [START_NS + 7]


def test_a_pose_moves_in_time_and_not_in_space():
    pose = EgoPose(START_NS, SE3.from_yaw("map", "ego", 0.3, np.ones(3)), np.ones(3), np.eye(6))
    moved = payload_after(pose)
    assert (moved.taken_ns, moved.map_from_ego) == (START_NS + 7, pose.map_from_ego)


def test_a_message_keeps_its_octets_under_a_moved_header():
    message = RoadsideMessage(HEADER, 7, PLACE, ObjectList.empty("reference", "rsu-1"), (), ())
    header = payload_after(message).header
    assert (header.generated_ns, header.received_ns, header.raw) == (START_NS + 7, START_NS + 16, b"octets")


def test_an_unknown_end_of_a_signal_phase_stays_unknown():
    signal = SignalMessage(HEADER, 1, np.array([1, 2], np.int32), np.array([3, 6], np.uint8),
                           np.array([-1, START_NS]), np.array([-1, START_NS + 1]))
    moved = payload_after(signal)
    assert (moved.min_end_ns.tolist(), moved.max_end_ns.tolist()) == ([-1, START_NS + 7], [-1, START_NS + 8])


@pytest.mark.parametrize("payload", [
    HazardMessage(HEADER, 7, PLACE, 1, 2, START_NS, START_NS + 3, False),
    RsuHealth("rsu-1", START_NS, START_NS, 1, 1, 0, 10.0, 1.0),
], ids=lambda p: type(p).__name__)
def test_moving_forth_and_back_changes_nothing(payload):
    assert shifted(shifted(Event(START_NS, RSU_HEALTH, payload), 7), -7) == Event(START_NS, RSU_HEALTH, payload)
