from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_specs.errors import InputError
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, TRUTH, VEHICLE_OBJECTS, Event
from replay.lineage import lineage
from replay.recorder import Recorder, extend_drive
from replay.repro import reproduce
from replay.repro_difference import compare, first_difference
from tests.replay.drives import START_NS, STEP_NS, drive_info, events

MADE = [event for event in events(6) if event.topic == VEHICLE_OBJECTS]


def recorded(path, topics=(VEHICLE_OBJECTS,), by="perceive"):
    with Recorder(path, drive_info(facts=lineage(by, topics, {"threads": 1}))) as recorder:
        for event in MADE:
            recorder.write(event)
    return path


def remake(made):
    def write(drive, told, sink):
        assert told["threads"] == 1
        for event in made:
            sink.write(event)

    return write


def with_center(event, row, axis, value):
    center_m = event.payload.boxes.center_m.copy()
    center_m[row, axis] = value
    return replace(event, payload=replace(event.payload, boxes=replace(event.payload.boxes, center_m=center_m)))


def test_what_is_made_again_bit_by_bit_is_the_same(tmp_path):
    other_topic = Event(START_NS, TRUTH, next(event.payload for event in events(1) if event.topic == TRUTH))
    found = reproduce(recorded(tmp_path / "drive"), {"perceive": remake([*MADE, other_topic])})
    assert found.first is None and found.unknown == ()
    assert [(verdict.topic, verdict.by, verdict.same) for verdict in found.verdicts] == [(VEHICLE_OBJECTS, "perceive", 6)]
    assert found.to_json()["same"] is True


def test_one_changed_bit_is_named_with_topic_time_field_and_both_values(tmp_path):
    was = float(MADE[2].payload.boxes.center_m[3, 1])
    changed = [*MADE[:2], with_center(MADE[2], 3, 1, np.nextafter(was, 99.0)), *MADE[3:]]
    first = reproduce(recorded(tmp_path / "drive"), {"perceive": remake(changed)}).first
    assert (first.topic, first.time_ns, first.field) == (VEHICLE_OBJECTS, START_NS + 2 * STEP_NS, "boxes.center_m[3, 1]")
    assert float(first.recorded) == was != float(first.made)


def test_a_record_too_few_or_too_many_is_the_first_difference():
    count, fewer = compare(VEHICLE_OBJECTS, MADE, [*MADE[:3], *MADE[4:]])
    assert (count, fewer.time_ns, fewer.field, fewer.recorded, fewer.made) == (
        3, MADE[3].time_ns, "record", "ObjectList of 4 objects", "nothing")
    _, more = compare(VEHICLE_OBJECTS, MADE[:5], MADE)
    assert (more.time_ns, more.recorded) == (MADE[5].time_ns, "nothing")


def test_a_topic_of_which_nothing_was_recorded_must_stay_empty(tmp_path):
    drive = recorded(tmp_path / "drive", (VEHICLE_OBJECTS, FUSED_TRACKS))
    found = reproduce(drive, {"perceive": remake([*MADE, Event(START_NS, FUSED_TRACKS, MADE[0].payload)])})
    assert (found.first.topic, found.first.recorded) == (FUSED_TRACKS, "nothing")


def test_the_earliest_difference_comes_first_and_of_one_time_the_topic_that_arises_first(tmp_path):
    drive = recorded(tmp_path / "drive")
    told = lineage("fuse", [FUSED_TRACKS], {"threads": 1})
    extend_drive(drive, [replace(event, topic=FUSED_TRACKS) for event in MADE], facts=told)
    late = [with_center(event, 0, 0, 0.0) if i > 3 else event for i, event in enumerate(MADE)]
    early = [replace(with_center(event, 0, 0, 0.0), topic=FUSED_TRACKS) for event in MADE]
    assert reproduce(drive, {"perceive": remake(late), "fuse": remake(early)}).first.topic == FUSED_TRACKS
    assert reproduce(drive, {"perceive": remake([]), "fuse": remake(early)}).first.topic == VEHICLE_OBJECTS


def test_senders_of_one_time_have_no_order_but_shapes_zeros_and_nan_count():
    messages = [event for event in events(1) if event.topic == ROADSIDE_MESSAGES][:1]
    other = replace(messages[0], payload=replace(messages[0].payload, header=replace(messages[0].payload.header, publisher="a")))
    assert compare(ROADSIDE_MESSAGES, [messages[0], other], [other, messages[0]]) == (2, None)
    assert first_difference(np.array([0.0]), np.array([-0.0]), "x") == ("x[0]", "0.0", "-0.0")
    assert first_difference(np.array([np.nan]), np.array([np.nan])) is None
    assert first_difference(float("nan"), float("nan")) is None and first_difference(1.0, 1.5, "x") == ("x", "1.0", "1.5")
    assert first_difference(np.zeros((2, 3)), np.zeros((1, 3)), "x") == ("x", "float64 (2, 3)", "float64 (1, 3)")
    assert first_difference(b"ab", b"ac", "raw") == ("raw[1]", "98", "99")
    assert first_difference(messages[0].payload, MADE[0].payload) == ("type", "RoadsideMessage", "ObjectList")


def test_a_drive_without_lineage_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"no lineage \(derived: vehicle.objects\)"):
        reproduce(recorded(tmp_path / "a", topics=()), {"perceive": remake(MADE)})
    with pytest.raises(InputError, match=r"vehicle\.objects made by 'magic', expected one of perceive"):
        reproduce(recorded(tmp_path / "b", by="magic"), {"perceive": remake(MADE)})


def test_a_topic_without_lineage_beside_one_with_it_is_told(tmp_path):
    drive = recorded(tmp_path / "drive")
    extend_drive(drive, [replace(event, topic=FUSED_TRACKS) for event in MADE])
    found = reproduce(drive, {"perceive": remake(MADE)})
    assert found.first is None and found.unknown == (FUSED_TRACKS,) and found.to_json()["same"] is False


def test_what_was_said_of_a_topic_goes_with_it(tmp_path):
    drive = recorded(tmp_path / "drive", (VEHICLE_OBJECTS, FUSED_TRACKS))
    assert set(extend_drive(drive, [], [FUSED_TRACKS]).facts) == {VEHICLE_OBJECTS}
