import threading
from dataclasses import replace

import numpy as np
import pytest

from dashboards.feed import LiveFeed, percentiles_ms, rate_hz
from data_specs.health import RsuHealth
from replay.drive import FUSED_TRACKS, RSU_HEALTH, VEHICLE_OBJECTS, Event
from tests.dashboards.small_drive import START_NS, STEP_NS, SmallDrive, crossing_car, roadside_message

MS = 1_000_000


class Clock:
    """A monotonic clock that a test sets."""

    now_ns = 50 * 10**9

    def __call__(self) -> int:
        return self.now_ns


def fed(clock=None):
    return LiveFeed(SmallDrive().describe(), clock or Clock())


def objects_event(topic, step, source="x"):
    return Event(START_NS + step * STEP_NS, topic, crossing_car(START_NS + step * STEP_NS, step, source, 0.0))


def test_before_any_event_there_is_no_scene_and_no_figure():
    feed = fed()
    assert feed.scene() == (0, None)
    status = feed.status()
    assert (status.link, status.rsus, status.fused) == ("connecting", (), {})
    assert np.isnan(status.latency_ms).all()


def test_the_scene_stands_at_the_newest_fused_list_with_its_trail():
    feed = fed()
    for step in range(5):
        feed.take(objects_event(VEHICLE_OBJECTS, step + 1))
        feed.take(objects_event(FUSED_TRACKS, step))
    revision, scene = feed.scene()
    assert (revision, scene.time_ns) == (10, START_NS + 4 * STEP_NS)
    assert [layer.kind for layer in scene.layers] == ["vehicle", "fused"]
    assert len(scene.trails) == 6


def test_fusion_time_runs_from_the_vehicles_list_to_the_tracks_of_its_time():
    clock = Clock()
    feed = fed(clock)
    feed.take(objects_event(VEHICLE_OBJECTS, 0))
    clock.now_ns += 80 * MS
    feed.take(objects_event(FUSED_TRACKS, 0))
    assert feed.status().fusion_ms == pytest.approx((80.0, 80.0))
    assert feed.status().recent_fusion_ms == pytest.approx((80.0,))


def test_a_unit_goes_from_green_over_amber_to_red_while_it_says_nothing():
    clock = Clock()
    feed = fed(clock)
    feed.take(roadside_message(START_NS, 0))
    feed.take(Event(START_NS, RSU_HEALTH, RsuHealth("rsu-1", START_NS, START_NS, 1, 1, 3, 10.0, 60.0)))
    states = []
    for wait_ms in (100, 900, 2000):
        clock.now_ns += wait_ms * MS
        states.append(feed.status().rsus[0].state)
    assert states == ["ok", "late", "silent"]
    (unit,) = feed.status().rsus
    assert (unit.name, unit.messages, unit.objects, unit.refused) == ("rsu-1", 1, 1, 3)
    assert unit.latency_p50_ms == pytest.approx(60.0)


def test_a_messages_objects_are_drawn_where_nobody_publishes_them_as_objects():
    feed = fed()
    feed.take(roadside_message(START_NS, 0))
    _, scene = feed.scene()
    assert [(layer.name, layer.kind) for layer in scene.layers] == [("rsu-1", "roadside")]


def test_time_that_jumps_back_empties_the_scene_and_goes_on():
    feed = fed()
    for step in range(40):
        feed.take(objects_event(FUSED_TRACKS, step))
    feed.take(objects_event(FUSED_TRACKS, 0))
    _, scene = feed.scene()
    assert scene.time_ns == START_NS
    assert [len(layer.objects) for layer in scene.layers] == [1]
    assert len(scene.trails) == 0


def test_a_late_message_is_no_jump():
    feed = fed()
    feed.take(objects_event(FUSED_TRACKS, 10))
    feed.take(objects_event(VEHICLE_OBJECTS, 8))
    assert [layer.kind for layer in feed.scene()[1].layers] == ["vehicle", "fused"]
    assert feed.scene()[1].time_ns == START_NS + 10 * STEP_NS


def test_a_worker_that_lags_is_shown_with_what_was_known_at_its_time():
    feed = fed()
    for step in range(30):
        feed.take(objects_event(VEHICLE_OBJECTS, step))
    feed.take(objects_event(FUSED_TRACKS, 5))
    vehicle, fused = feed.scene()[1].layers
    assert vehicle.objects.measured_ns.tolist() == fused.objects.measured_ns.tolist() == [START_NS + 5 * STEP_NS]


def test_a_worker_that_died_no_longer_holds_the_picture():
    feed = fed()
    feed.take(objects_event(FUSED_TRACKS, 0))
    for step in range(210):
        feed.take(objects_event(VEHICLE_OBJECTS, step))
    _, scene = feed.scene()
    assert scene.time_ns == START_NS + 209 * STEP_NS
    assert feed.behind_s == pytest.approx(20.9)
    assert [layer.kind for layer in scene.layers] == ["vehicle"]


def test_a_source_that_stopped_leaves_the_scene():
    feed = fed()
    feed.take(objects_event(VEHICLE_OBJECTS, 0))
    for step in range(1, 15):
        feed.take(objects_event(FUSED_TRACKS, step))
    assert [layer.kind for layer in feed.scene()[1].layers] == ["fused"]


def test_what_is_kept_is_bounded():
    feed = fed()
    for step in range(3000):
        feed.take(objects_event(VEHICLE_OBJECTS, step))
    assert len(feed._waiting) <= 100
    assert len(feed._arrivals[VEHICLE_OBJECTS]) <= 2000


def test_the_link_and_what_could_not_be_read_are_told():
    feed = fed()
    feed.link("down", "no broker")
    feed.refuse("offset 3: 7 bytes")
    status = feed.status()
    assert (status.link, status.trouble) == ("down", "no broker")
    assert (status.unreadable, status.last_unreadable) == (1, "offset 3: 7 bytes")
    assert feed.scene()[0] == 1


def test_many_readers_and_a_writer_do_not_trip_each_other():
    feed, wrong = fed(), []

    def read():
        try:
            for _ in range(100):
                feed.scene()
                feed.status()
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(300):
        feed.take(objects_event(FUSED_TRACKS, step))
        feed.take(roadside_message(START_NS, 0) if step == 0 else objects_event(VEHICLE_OBJECTS, step))
    for reader in readers:
        reader.join()
    assert wrong == []


def test_rates_and_percentiles_of_known_values():
    second = 10**9
    assert rate_hz([0, second, 2 * second], 2 * second) == pytest.approx(1.5)
    assert rate_hz(list(range(0, 100 * second, second // 10)), 100 * second) == pytest.approx(10.0, abs=0.3)
    assert rate_hz([], 5) == 0.0
    assert percentiles_ms([MS, 2 * MS, 3 * MS])[0] == pytest.approx(2.0)


def test_a_message_of_an_unknown_publisher_counts_under_its_own_name():
    event = roadside_message(START_NS, 0)
    header = replace(event.payload.header, publisher="a1b2c3")
    feed = fed()
    feed.take(Event(event.time_ns, event.topic, replace(event.payload, header=header)))
    assert feed.status().rsus[0].name == "a1b2c3"
