"""The contract of a bus, over every bus there is: the same tests run in memory and on a real Kafka."""
from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from data_specs.errors import BusError, UnknownFormat
from replay.bus import Bus, BusRecord, MemoryBus, Subscription
from v2x.buses import open_bus, require_shared_bus

TIME_NS = 1_700_000_000_123_456_789


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    opened = MemoryBus() if request.param == "memory" else open_bus(request.getfixturevalue("broker").url)
    yield opened
    opened.close()


@pytest.fixture
def topic() -> str:
    """A topic nobody else uses."""
    return f"topic.{uuid.uuid4().hex[:8]}"


def read(reader: Subscription, count: int, patience: int = 50) -> list[BusRecord]:
    """Poll until `count` records have come, or `patience` polls have passed."""
    records: list[BusRecord] = []
    for _ in range(patience):
        if len(records) >= count:
            break
        records += reader.poll(timeout_s=0.2)
    return records


def read_exactly(reader: Subscription, count: int) -> list[BusRecord]:
    """Poll until just `count` records have come, and no more."""
    records: list[BusRecord] = []
    for _ in range(50):
        records += reader.poll(timeout_s=0.2, max_records=count - len(records))
        if len(records) == count:
            break
    return records


def test_a_record_arrives_as_it_went(bus, topic):
    bus.publish(topic, b"\x00octets", key="crossing-1", time_ns=TIME_NS, headers={"publisher": b"rsu-1"})
    bus.flush()
    assert read(bus.subscribe([topic]), 1) == [
        BusRecord(topic, "crossing-1", b"\x00octets", TIME_NS, {"publisher": b"rsu-1"}, 0, 0)]


def test_an_empty_value_and_an_empty_key_are_records_too(bus, topic):
    bus.publish(topic, b"", key="", time_ns=0)
    bus.flush()
    assert [(r.key, r.value, r.time_ns) for r in read(bus.subscribe([topic]), 1)] == [("", b"", 0)]


def test_records_of_one_key_keep_their_order(bus, topic):
    for i in range(500):
        bus.publish(topic, b"%d" % i, key="crossing-1", time_ns=TIME_NS - i)
    bus.flush()
    records = read(bus.subscribe([topic]), 500)
    assert [int(r.value) for r in records] == list(range(500))
    assert [r.time_ns for r in records] == [TIME_NS - i for i in range(500)]


def test_a_poll_takes_at_most_what_was_asked_for(bus, topic):
    for i in range(10):
        bus.publish(topic, b"%d" % i, key="k", time_ns=i)
    bus.flush()
    reader, parts = bus.subscribe([topic]), []
    while sum(map(len, parts)) < 10:
        parts.append(reader.poll(timeout_s=1.0, max_records=4))
    assert max(map(len, parts)) <= 4
    assert [int(r.value) for part in parts for r in part] == list(range(10))


def test_two_readers_without_a_group_both_read_everything(bus, topic):
    readers = [bus.subscribe([topic]), bus.subscribe([topic])]
    bus.publish(topic, b"one", key="k", time_ns=1)
    bus.flush()
    assert [[r.value for r in read(reader, 1)] for reader in readers] == [[b"one"], [b"one"]]


def test_a_reader_from_now_on_sees_only_what_comes_after(bus, topic):
    bus.publish(topic, b"before", key="k", time_ns=1)
    bus.flush()
    reader = bus.subscribe([topic], from_start=False)
    bus.publish(topic, b"after", key="k", time_ns=2)
    bus.flush()
    assert [r.value for r in read(reader, 1)] == [b"after"]


def test_a_group_from_now_on_sees_only_what_comes_after(bus, topic):
    bus.publish(topic, b"before", key="k", time_ns=1)
    bus.flush()
    reader = bus.subscribe([topic], group=f"g-{topic}", from_start=False)
    bus.publish(topic, b"after", key="k", time_ns=2)
    bus.flush()
    assert [r.value for r in read(reader, 1)] == [b"after"]


def test_a_restarted_member_goes_on_behind_what_was_committed(bus, topic):
    for i in range(6):
        bus.publish(topic, b"%d" % i, key="k", time_ns=i)
    bus.flush()
    first = bus.subscribe([topic], group=f"g-{topic}")
    assert [r.value for r in read_exactly(first, 3)] == [b"0", b"1", b"2"]
    first.commit()
    assert first.poll(timeout_s=0.5, max_records=2)  # polled, not committed: to be read again
    first.close()
    again = bus.subscribe([topic], group=f"g-{topic}")
    assert [r.value for r in read(again, 3)] == [b"3", b"4", b"5"]


def test_a_member_that_takes_over_begins_a_stretch_of_record_time_before_what_was_committed(bus, topic):
    for i in range(100):
        bus.publish(topic, b"%d" % i, key="k", time_ns=TIME_NS + i * 100_000_000)
    bus.flush()

    def member() -> Subscription:
        return bus.subscribe([topic], group=f"g-{topic}", rewind_ns=2_000_000_000)

    first = member()
    assert [int(r.value) for r in read(first, 100)] == list(range(100))
    assert (first.resumed, first.commit(), first.holds(), first.behind()) == (False, True, True, 0)
    first.close()
    for _ in range(2):  # the second finds what the first committed: reading the same again takes nothing back
        again = member()
        found = read(again, 20)
        assert [int(r.value) for r in found][-20:] == list(range(80, 100))
        assert len(found) <= 21
        assert (again.resumed, again.commit()) == (True, True)
        again.close()


def test_the_tail_of_a_topic_is_its_last_stretch_of_record_time(bus, topic):
    for i in range(1000):
        bus.publish(topic, b"%d" % i, key="k", time_ns=TIME_NS + i * 10_000_000)
    bus.flush()
    for span_ns, least in ((1_000_000_000, 100), (6_000_000_000, 600)):
        found = [int(record.value) for record in bus.tail([topic], span_ns)]
        assert found == list(range(1000 - len(found), 1000))
        assert len(found) >= least
    assert bus.tail([f"{topic}.empty"], 10**9) == []


def test_a_reader_knows_how_far_it_is_behind(bus, topic):
    for i in range(10):
        bus.publish(topic, b"", key="k", time_ns=i)
    bus.flush()
    reader = bus.subscribe([topic], group=f"g-{topic}")
    assert len(read_exactly(reader, 4)) == 4
    assert reader.behind() == 6


def test_several_topics_are_read_together(bus, topic):
    reader = bus.subscribe([topic, f"{topic}.b"])
    bus.publish(topic, b"a", key="k", time_ns=1)
    bus.publish(f"{topic}.b", b"b", key="k", time_ns=2)
    bus.flush()
    assert {(r.topic, r.value) for r in read(reader, 2)} == {(topic, b"a"), (f"{topic}.b", b"b")}


def test_a_backlog_of_two_topics_is_read_side_by_side(bus, topic):
    topics = [topic, f"{topic}.b"]
    for i in range(1000):
        for name in topics:
            bus.publish(name, bytes(1000), key="k", time_ns=i)
    bus.flush()
    reader, place = bus.subscribe(topics), dict.fromkeys(topics, 0)
    furthest = 0
    while min(place.values()) < 999:
        for record in reader.poll(timeout_s=1.0):
            place[record.topic] = record.time_ns
            furthest = max(furthest, abs(place[topic] - place[topics[1]]))
    assert furthest <= 300


def test_a_poll_of_nothing_is_empty(bus, topic):
    assert bus.subscribe([topic]).poll(timeout_s=0.1) == []


def test_a_closed_bus_refuses_to_publish(bus, topic):
    bus.publish(topic, b"x", key="k", time_ns=1)
    bus.close()
    with pytest.raises(BusError, match="closed"):
        bus.publish(topic, b"y", key="k", time_ns=2)


@pytest.mark.parametrize("url", ["kafka:", "redis://localhost", "", "memory"])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(UnknownFormat, match=r"--bus: .*, expected memory: or kafka://host:port\[,host:port\]"):
        open_bus(url)


@pytest.mark.parametrize("url", ["kafka://", "kafka://localhost", "kafka://localhost:abc", "kafka://a:1,b", "kafka://a:99999"])
def test_a_kafka_address_without_host_and_port_is_refused(url):
    with pytest.raises(BusError, match=r"expected host:port\[,host:port\]"):
        open_bus(url)


def test_commands_between_processes_refuse_the_bus_of_one_process():
    with pytest.raises(BusError, match=r"^record: memory: lives inside one process, expected kafka://host:port"):
        require_shared_bus("memory:", "record")
    require_shared_bus("kafka://127.0.0.1:29092", "record")
