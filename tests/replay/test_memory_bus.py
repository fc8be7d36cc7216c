import threading

import pytest

from data_specs.errors import BusError
from replay.bus import MemoryBus


def publish(bus, *values, topic="t"):
    for i, value in enumerate(values):
        bus.publish(topic, value, key="k", time_ns=i)


def test_a_subscriber_without_a_group_reads_all_in_order():
    bus = MemoryBus()
    publish(bus, b"a", b"b")
    reader = bus.subscribe(["t"])
    assert [r.value for r in reader.poll()] == [b"a", b"b"] and reader.poll() == []


def test_a_restarted_member_goes_on_behind_what_was_committed():
    bus = MemoryBus()
    publish(bus, b"a", b"b", b"c")
    first = bus.subscribe(["t"], group="g")
    first.poll(max_records=1)
    first.commit()
    first.poll(max_records=1)  # read but never committed: seen again
    assert [r.value for r in bus.subscribe(["t"], group="g").poll()] == [b"b", b"c"]


def test_a_late_subscriber_may_start_at_the_end():
    bus = MemoryBus()
    publish(bus, b"old")
    reader = bus.subscribe(["t"], from_start=False)
    publish(bus, b"new")
    assert [r.value for r in reader.poll()] == [b"new"]


def test_poll_wakes_up_when_another_thread_publishes():
    bus = MemoryBus()
    reader = bus.subscribe(["t"])
    threading.Timer(0.02, publish, (bus, b"x")).start()
    assert [r.value for r in reader.poll(timeout_s=5.0)] == [b"x"]


def test_a_closed_bus_refuses():
    bus = MemoryBus()
    bus.close()
    with pytest.raises(BusError, match="the in-memory bus is closed"):
        publish(bus, b"x")
