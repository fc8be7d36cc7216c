import time

import numpy as np

from data_specs import arrow
from data_specs.health import RsuHealth
from data_specs.objects import ObjectList
from data_specs.site import Rsu
from replay.bus import MemoryBus
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, RSU_HEALTH, Event, rsu_objects
from tests.v2x.scene import ORIGIN, crossing_events, info, objects_at
from v2x.fusion import config_for, fuse_all
from v2x.records import bus_key, from_bus_record, to_bus_record
from v2x.rsu import RoadsideUnit
from v2x.worker import FusionWorker

INFO = info()


def encoded_events(ticks):
    """The scene with the units' messages as real octets."""
    units = {rsu.name: RoadsideUnit(Rsu(rsu.name, rsu.crossing, rsu.station_id, "", "", rsu.map_from_rsu), ORIGIN)
             for rsu in INFO.site.rsus}
    events = []
    for event in crossing_events(ticks):
        if event.topic != ROADSIDE_MESSAGES:
            events.append(event)
            continue
        name, said = event.payload.header.publisher, event.payload.objects
        objects = objects_at(name, name, event.time_ns, said.boxes.center_m[:, :2], sigma_m=0.3, track_id=said.track_id)
        events += units[name].process(Event(event.time_ns, rsu_objects(name), objects))
    return events


def publish(bus, events):
    for event in events:
        record = to_bus_record(event, bus_key(INFO, event))
        bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)


def drained(worker):
    while worker.step():
        pass
    worker.finish()


def values(bus, topic):
    return [record.value for record in bus.subscribe([topic]).poll(max_records=10_000)]


def test_what_the_worker_publishes_is_what_the_core_makes():
    events, bus = encoded_events(ticks=12), MemoryBus()
    publish(bus, events)
    drained(FusionWorker(bus, INFO))
    received = [from_bus_record(to_bus_record(event, bus_key(INFO, event))) for event in events]
    expected = [arrow.dumps(event.payload) for event in fuse_all(received, config_for(INFO, in_order=True))
                if event.topic == FUSED_TRACKS]
    assert values(bus, FUSED_TRACKS) == expected
    assert len(arrow.loads(expected[-1], ObjectList)) == 3


def test_publishing_step_by_step_or_all_at_once_gives_the_same_tracks():
    events, at_once, step_by_step = encoded_events(ticks=12), MemoryBus(), MemoryBus()
    publish(at_once, events)
    drained(FusionWorker(at_once, INFO))
    worker = FusionWorker(step_by_step, INFO)
    for event in events:
        publish(step_by_step, [event])
        worker.step()
    drained(worker)
    assert values(step_by_step, FUSED_TRACKS) == values(at_once, FUSED_TRACKS)


def test_records_that_cannot_be_read_are_counted_and_skipped():
    bus = MemoryBus()
    events = encoded_events(ticks=12)
    publish(bus, events[:6])
    bus.publish(ROADSIDE_MESSAGES, b"\x00\xff not a message", key="test", time_ns=events[6].time_ns,
                headers={"publisher": b"rsu-1", "wire_format": b"etsi-cpm-2.1.1"})
    bus.publish("vehicle.objects", b"garbage", key="test", time_ns=0)
    publish(bus, events[6:])
    worker = FusionWorker(bus, INFO)
    drained(worker)
    assert worker.counts["refused"] == 2
    reports = [arrow.loads(value, RsuHealth) for value in values(bus, RSU_HEALTH)]
    assert max(report.refused for report in reports if report.rsu == "rsu-1") == 1
    assert len(values(bus, FUSED_TRACKS)) == 12


def test_timings_are_kept_for_every_step_and_moment():
    bus = MemoryBus()
    publish(bus, encoded_events(ticks=5))
    worker = FusionWorker(bus, INFO)
    drained(worker)
    assert len(worker.times.decode_ms) == len(worker.times.fuse_ms) == worker.counts["records"] == 15
    assert len(worker.times.wait_ms) == 5
    assert all(np.isfinite(worker.times.wait_ms)) and min(worker.times.decode_ms) >= 0.0


def test_an_idle_worker_waits_no_longer_than_asked():
    worker = FusionWorker(MemoryBus(), INFO)
    started_s = time.perf_counter()
    assert worker.step(timeout_s=0.05) == 0
    assert time.perf_counter() - started_s < 2.0


def test_a_worker_that_succeeds_another_goes_on_with_the_same_tracks_and_doubles_nothing():
    events, interrupted, whole = encoded_events(ticks=80), MemoryBus(), MemoryBus()
    publish(whole, events)
    drained(FusionWorker(whole, INFO))
    publish(interrupted, events[:150])
    first = FusionWorker(interrupted, INFO)
    while first.step():
        pass
    first.close()  # what it still holds is the next one's
    publish(interrupted, events[150:])
    drained(FusionWorker(interrupted, INFO, rewind_ns=3_000_000_000))
    times = [[record.time_ns for record in bus.tail([FUSED_TRACKS], 10**12)] for bus in (interrupted, whole)]
    assert times[0] == times[1]
    assert len(times[0]) == 80
    last = [arrow.loads(values(bus, FUSED_TRACKS)[-1], ObjectList) for bus in (interrupted, whole)]
    assert last[0].track_id.tolist() == last[1].track_id.tolist()
    np.testing.assert_allclose(last[0].boxes.center_m, last[1].boxes.center_m, atol=0.05)


def test_a_message_that_came_twice_is_fused_once():
    events, once, twice = encoded_events(ticks=12), MemoryBus(), MemoryBus()
    publish(once, events)
    publish(twice, [event for event in events for _ in range(2)])
    workers = [FusionWorker(bus, INFO) for bus in (once, twice)]
    for worker in workers:
        drained(worker)
    assert values(twice, FUSED_TRACKS) == values(once, FUSED_TRACKS)
    assert (workers[1].repeated, workers[0].repeated) == (36, 0)


def test_what_cannot_be_read_is_kept_as_a_dead_letter_once():
    bus = MemoryBus()
    publish(bus, encoded_events(ticks=2))
    bus.publish(ROADSIDE_MESSAGES, b"\x02\x0e", key="test", time_ns=7, headers={"publisher": b"rsu-1"})
    for _ in range(2):
        worker = FusionWorker(bus, INFO)
        worker.step()
        worker.close()
    (letter,) = bus.tail(["rsu.dead-letters"], 10**9)
    assert (letter.value, letter.headers["source"], letter.headers["place"]) == (b"\x02\x0e", b"rsu-1", b"rsu.messages/0/4")
    assert letter.headers["reason"].startswith(b"rsu.messages, partition 0, offset 4, bit ")


def test_a_worker_whose_places_are_gone_publishes_nothing():
    class Lost(MemoryBus):
        def subscribe(self, *topics, **how):
            reader = super().subscribe(*topics, **how)
            reader.holds = lambda: False
            return reader

    bus = Lost()
    publish(bus, encoded_events(ticks=12))
    worker = FusionWorker(bus, INFO)
    worker.step()
    assert values(bus, FUSED_TRACKS) == []
    assert worker.crossings == ()
