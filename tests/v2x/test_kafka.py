"""What only Kafka can do wrong: brokers that are not there, die, come back, or hold what other programs wrote."""
from __future__ import annotations

import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress

import pytest

from data_specs.errors import BusError, MissingExtra
from tests.v2x.test_buses import read
from v2x.broker import DevelopmentBroker, free_ports
from v2x.broker_jars import what_is_missing
from v2x.kafka import KafkaBus
from v2x.kafka_contact import broker_trouble
from v2x.kafka_topics import KafkaTopics


@pytest.fixture
def topic() -> str:
    return f"topic.{uuid.uuid4().hex[:8]}"


@pytest.fixture
def own_broker():
    """A broker that a test may kill."""
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker() as started:
        yield started


def test_an_address_where_nobody_listens_is_named_at_once():
    port, started = free_ports(1)[0], time.monotonic()
    with pytest.raises(BusError, match=rf"kafka://127.0.0.1:{port}: no broker answers \(127.0.0.1:{port}: Connection refused\)"):
        KafkaBus(f"127.0.0.1:{port}")
    assert time.monotonic() - started < 5.0


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(BusError, match=r"no broker answers \(nowhere.invalid:9092: .*(not known|resolution)"):
        KafkaBus("nowhere.invalid:9092")


@pytest.mark.slow
def test_a_listener_that_never_answers_is_given_up_within_five_seconds():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with pytest.raises(BusError, match=r"no answer within 4.0 s"):
            KafkaBus(f"127.0.0.1:{mute.getsockname()[1]}")
        assert time.monotonic() - started < 5.0


def test_a_web_server_is_told_from_a_broker():
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer_once, args=(server, b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        answering.start()
        trouble = broker_trouble("127.0.0.1", server.getsockname()[1], 2.0)
        answering.join()
    assert trouble == "what listens there is not Kafka"


def _answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(64)
        connection.sendall(answer)


def test_a_missing_client_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "kafka", None)
    with pytest.raises(MissingExtra, match=r"the Kafka bus needs the extra \[kafka\]: pip install 'roadweave\[kafka\]'"):
        KafkaBus("127.0.0.1:9092")


def test_the_clients_own_warnings_are_not_our_errors():
    code = "from v2x.kafka_client import _client; _client()"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True).returncode == 0


@pytest.mark.kafka
def test_what_other_programs_wrote_is_read_too(broker, topic):
    import kafka

    bus = KafkaBus(broker.bootstrap)
    bus.create_topics([topic])
    producer = kafka.KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.send(topic, key=b"deleted", timestamp_ms=1_700_000_000_123)
    producer.send(topic, b"value", headers=[("time_ns", b"soon")], timestamp_ms=1_700_000_000_124)
    producer.close()
    records = read(bus.subscribe([topic]), 2)
    assert [(r.key, r.value, r.time_ns) for r in records] == [
        ("deleted", b"", 1_700_000_000_123_000_000), ("", b"value", 1_700_000_000_124_000_000)]
    bus.close()


@pytest.mark.kafka
def test_records_of_old_drives_are_as_new_to_kafka_which_deletes_by_age(broker, topic):
    import kafka

    bus = KafkaBus(broker.bootstrap)
    bus.publish(topic, b"of 1970", key="k", time_ns=7)
    bus.close()
    consumer = kafka.KafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    record = next(iter(consumer))
    consumer.close()
    assert abs(record.timestamp / 1e3 - time.time()) < 60.0
    assert dict(record.headers) == {"time_ns": b"7"}


@pytest.mark.kafka
def test_a_key_stays_in_one_partition_and_in_order(broker, topic):
    bus = KafkaBus(broker.bootstrap, partitions=3)
    for i in range(300):
        bus.publish(topic, b"%d" % i, key=f"crossing-{i % 7}", time_ns=i)
    bus.flush()
    records = read(bus.subscribe([topic]), 300)
    assert len({r.partition for r in records}) == 3
    for key in {r.key for r in records}:
        mine = [r for r in records if r.key == key]
        assert len({r.partition for r in mine}) == 1
        assert [r.time_ns for r in mine] == sorted(r.time_ns for r in mine)
    bus.close()


@pytest.mark.kafka
def test_a_group_shares_its_partitions_and_takes_over_what_a_member_leaves(broker, topic):
    bus = KafkaBus(broker.bootstrap, partitions=4)
    bus.create_topics([topic])
    first, second = (bus.subscribe([topic], group=f"g-{topic}") for _ in range(2))
    deadline = time.monotonic() + 20.0
    while not (len(first._consumer.assignment()) == len(second._consumer.assignment()) == 2) and time.monotonic() < deadline:
        first.poll(timeout_s=0.1)
        second.poll(timeout_s=0.1)
    for i in range(40):
        bus.publish(topic, b"%d" % i, key=f"crossing-{i % 8}", time_ns=i)
    bus.flush()
    mine, theirs = read(first, 40, patience=5), read(second, 40, patience=5)
    assert {r.partition for r in mine}.isdisjoint({r.partition for r in theirs})
    assert sorted(r.time_ns for r in mine + theirs) == list(range(40))
    first.commit()
    second.close()  # without a commit: what it had read is read again by the one that is left
    again = read(first, len(theirs))
    assert sorted(r.time_ns for r in again) == sorted(r.time_ns for r in theirs)
    bus.close()


@pytest.mark.kafka
@pytest.mark.slow
def test_records_and_places_outlive_a_restart_of_the_broker(own_broker, topic):
    bus = KafkaBus(own_broker.bootstrap)
    reader = bus.subscribe([topic], group="worker")
    for i in range(5):
        bus.publish(topic, b"%d" % i, key="k", time_ns=i)
    bus.flush()
    assert [r.time_ns for r in read(reader, 5)] == list(range(5))
    reader.commit()
    bus.publish(topic, b"5", key="k", time_ns=5)
    bus.flush()
    own_broker.kill()
    own_broker.restart()
    another = KafkaBus(own_broker.bootstrap)
    assert [r.time_ns for r in read(another.subscribe([topic], group="other"), 6)] == list(range(6))
    another.close()  # one that stays would look for its broker through all tests that follow
    reader.close()
    assert [r.time_ns for r in read(bus.subscribe([topic], group="worker"), 1)] == [5]
    bus.publish(topic, b"6", key="k", time_ns=6)
    bus.flush()
    bus.close()


@pytest.mark.kafka
@pytest.mark.slow
def test_when_the_broker_is_gone_publishing_flushing_and_reading_say_so_within_seconds(own_broker, topic):
    bus = KafkaBus(own_broker.bootstrap)
    reader = bus.subscribe([topic])
    bus.publish(topic, b"x", key="k", time_ns=1)
    bus.flush()
    assert len(read(reader, 1)) == 1
    own_broker.kill()
    started = time.monotonic()
    bus.publish(topic, b"lost", key="k", time_ns=2)
    with pytest.raises(BusError, match=rf"kafka://{own_broker.bootstrap}: cannot flush: "):
        bus.flush(timeout_s=1.0)
    with pytest.raises(BusError, match=rf"kafka://{own_broker.bootstrap}: no broker has answered for \d s"):
        while time.monotonic() - started < 15.0:
            reader.poll(timeout_s=0.5)
    assert time.monotonic() - started < 6.5
    with pytest.raises(BusError, match=r"no broker has answered"):
        while time.monotonic() - started < 15.0:
            bus.publish(topic, b"lost", key="k", time_ns=3)
            time.sleep(0.1)
    assert time.monotonic() - started < 7.5
    closing = time.monotonic()
    with pytest.raises(BusError, match="cannot close"):
        bus.close()
    assert time.monotonic() - closing < 8.0


def _api_versions(rows: dict[int, tuple[int, int]]) -> bytes:
    """What a broker answers to ApiVersions, version 0."""
    body = struct.pack(">ihi", 1, 0, len(rows)) + b"".join(struct.pack(">hhh", key, *range) for key, range in rows.items())
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize(("rows", "said"), [
    ({0: (0, 2), 1: (0, 2), 18: (0, 0)}, r"it speaks Produce up to version 2, expected 7 or later \(Kafka 2.1\)"),
    ({0: (3, 9), 1: (4, 13)}, r"it speaks no InitProducerId, expected 0 or later"),
])
def test_a_broker_of_an_unsupported_version_is_told(rows, said):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer_once, args=(server, _api_versions(rows)))
        answering.start()
        with pytest.raises(BusError, match=r"no broker answers \(.*the broker's version is not supported: " + said):
            KafkaBus(f"127.0.0.1:{server.getsockname()[1]}")
        answering.join()


@pytest.mark.kafka
def test_a_topic_that_the_table_knows_is_made_with_its_settings(broker):
    bus = KafkaBus(broker.bootstrap)
    bus.create_topics(["drive.info"])
    with KafkaTopics(broker.bootstrap) as topics:
        state = topics.present(["drive.info"])["drive.info"]
    assert (state.partitions, state.settings["cleanup.policy"]) == (1, "compact")
    bus.close()


@pytest.mark.kafka
def test_the_tail_of_a_topic_is_its_last_stretch_of_record_time_in_every_partition(broker, topic):
    bus = KafkaBus(broker.bootstrap, partitions=2)
    for i in range(1000):
        bus.publish(topic, b"", key=f"key-{i % 2}", time_ns=i * 10_000_000)
    bus.flush()
    for span_ns, least in ((1_000_000_000, 100), (6_000_000_000, 600)):
        found = bus.tail([topic], span_ns)
        times = sorted({record.time_ns for record in found})
        assert times[-1] == 9_990_000_000
        assert set(range(9_990_000_000 - span_ns + 20_000_000, 9_990_000_001, 10_000_000)) <= set(times)
        assert least <= len(found) <= 1000
    assert bus.tail([f"{topic}.empty"], 10**9) == []
    bus.close()


@pytest.mark.kafka
@pytest.mark.slow
def test_publishing_waits_and_then_refuses_while_too_much_is_not_acknowledged(own_broker, topic):
    bus = KafkaBus(own_broker.bootstrap, delivery_timeout_s=2.0, waiting_bytes=100_000)
    bus.publish(topic, b"", key="k", time_ns=0)
    bus.flush()
    pid = own_broker.cluster.nodes[0].pid()
    os.kill(pid, signal.SIGSTOP)
    started, taken = time.monotonic(), 0
    try:
        with pytest.raises(BusError, match=r"100,000 octets wait to be acknowledged, and none was within 2 s|was not delivered"):
            while time.monotonic() - started < 20.0:
                bus.publish(topic, bytes(1_000), key="k", time_ns=taken)
                taken += 1
        assert 0 < taken <= 100
        assert 1.5 < time.monotonic() - started < 15.0
    finally:
        os.kill(pid, signal.SIGCONT)
        with suppress(BusError):
            bus.close()


@pytest.mark.kafka
@pytest.mark.slow
def test_a_broker_that_cannot_write_any_more_is_told_and_what_it_acknowledged_before_is_kept(own_broker, topic):
    bus = KafkaBus(own_broker.bootstrap, delivery_timeout_s=4.0)
    bus.create_topics([topic])
    rng, taken = random.Random(3), 0
    resource.prlimit(own_broker.cluster.nodes[0].pid(), resource.RLIMIT_FSIZE, (12_000_000, resource.RLIM_INFINITY))
    with pytest.raises(BusError, match=r"kafka://127.0.0.1:\d+: (a record was not delivered|cannot flush|no broker)"):
        for _ in range(40):
            for _ in range(10):
                bus.publish(topic, rng.randbytes(50_000), key="k", time_ns=taken)
            bus.flush()
            taken += 10
    assert 0 < taken <= 240  # 12 MB; the file of this size is the disk that is full
    with suppress(BusError):
        bus.close()
    own_broker.kill()
    own_broker.restart()
    bus = KafkaBus(own_broker.bootstrap)
    assert len(read(bus.subscribe([topic]), taken, patience=100)) >= taken
    bus.close()
