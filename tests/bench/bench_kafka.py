"""Messages per second and latency through the Kafka bus on a real broker, beside bare clients on the same broker.

The messages are of a CPM's size with the headers of rsu.messages. Peers: kafka-python alone with the same guarantees
(idempotent, acks=all), confluent-kafka where it is installed (`pip install confluent-kafka`), and the bus in memory.
Run: python tests/bench/bench_kafka.py [--json]
"""
from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from replay.bus import Bus, MemoryBus
from tests.bench.harness import Row, report
from v2x.broker import DevelopmentBroker
from v2x.kafka import KafkaBus

VALUE = bytes(range(256)) * 3  # 768 octets: a CPM of 16 objects with its security header
HEADERS = {"publisher": b"rsu-north", "wire_format": b"etsi-cpm-2.1.1", "generated_ns": b"1700000000000000000",
           "received_ns": b"1700000000040000000"}
COUNT = 10_000
WINDOWS = 3
LATENCY_S = 4.0

STALL_S = 30.0  # without any record: something is wrong, and waiting on would hide it

Publish = Callable[[str], float]  # publishes COUNT messages on a topic: seconds
Read = Callable[[str], float]  # reads them: seconds


def fresh_topic() -> str:
    return f"bench.{uuid.uuid4().hex[:8]}"


def drained(poll: Callable[[], int], count: int) -> float:
    """Seconds until `poll`, which returns how many records came, has given `count`; TimeoutError where they stop coming."""
    started = heard = time.perf_counter()
    while count > 0:
        came = poll()
        now = time.perf_counter()
        if came:
            count, heard = count - came, now
        elif now - heard > STALL_S:
            raise TimeoutError(f"{count} records are missing after {STALL_S:.0f} s of silence")
    return time.perf_counter() - started


def rates(publish: Publish, read: Read) -> tuple[float, float]:
    """Published and read messages per second, the best of WINDOWS."""
    spent = []
    for _ in range(WINDOWS):
        topic = fresh_topic()
        spent.append((publish(topic), read(topic)))
    return COUNT / min(s for s, _ in spent), COUNT / min(s for _, s in spent)


def bus_rates(bus: Bus) -> tuple[float, float]:
    """Of one of our buses."""

    def publish(topic: str) -> float:
        bus.publish(topic, VALUE, key="k", time_ns=0, headers=HEADERS)  # creates the topic
        bus.flush()
        started = time.perf_counter()
        for i in range(COUNT):
            bus.publish(topic, VALUE, key="k", time_ns=i, headers=HEADERS)
        bus.flush(60.0)
        return time.perf_counter() - started

    def read(topic: str) -> float:
        reader = bus.subscribe([topic])
        drained(lambda: len(reader.poll(1.0, max_records=1)), 1)
        spent = drained(lambda: len(reader.poll(1.0)), COUNT)
        reader.close()
        return spent

    return rates(publish, read)


def bare_rates(bootstrap: str, bus: KafkaBus) -> tuple[float, float]:
    """Of kafka-python alone, with the same guarantees and headers."""
    import kafka

    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=2)
    headers = list(HEADERS.items())

    def publish(topic: str) -> float:
        bus.create_topics([topic])
        producer.send(topic, VALUE, b"k", headers).get(10.0)
        started = time.perf_counter()
        for _ in range(COUNT):
            producer.send(topic, VALUE, b"k", headers)
        producer.flush(60.0)
        return time.perf_counter() - started

    def read(topic: str) -> float:
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        drained(lambda: sum(map(len, consumer.poll(1000, max_records=1).values())), 1)
        spent = drained(lambda: sum(map(len, consumer.poll(1000).values())), COUNT)
        consumer.close()
        return spent

    result = rates(publish, read)
    producer.close()
    return result


def confluent_rates(bootstrap: str, bus: KafkaBus) -> tuple[float, float] | None:
    """Of confluent-kafka (librdkafka, in C), with the same guarantees and headers; None where it is not installed."""
    try:
        import confluent_kafka
    except ImportError:
        return None
    common = {"bootstrap.servers": bootstrap}
    producer = confluent_kafka.Producer(common | {"enable.idempotence": True, "acks": "all", "linger.ms": 2})
    headers = list(HEADERS.items())

    def publish(topic: str) -> float:
        bus.create_topics([topic])
        producer.produce(topic, VALUE, b"k", headers=headers)
        producer.flush(10.0)
        started = time.perf_counter()
        for _ in range(COUNT):
            producer.produce(topic, VALUE, b"k", headers=headers)
        producer.flush(60.0)
        return time.perf_counter() - started

    def read(topic: str) -> float:
        consumer = confluent_kafka.Consumer(common | {"group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        drained(lambda: len(consumer.consume(1, 1.0)), 1)
        spent = drained(lambda: len(consumer.consume(500, 1.0)), COUNT)
        consumer.close()
        return spent

    return rates(publish, read)


def latency_ms(bus: Bus, per_second: int) -> tuple[float, float]:
    """p50 and p99 from publishing to having been polled, at a steady rate, both ends in this process."""
    topic = fresh_topic()
    reader = bus.subscribe([topic])
    count = round(per_second * LATENCY_S)

    def publish() -> None:
        began_s = time.perf_counter()
        for i in range(count):
            time.sleep(max(0.0, began_s + i / per_second - time.perf_counter()))
            bus.publish(topic, VALUE, key="k", time_ns=time.perf_counter_ns(), headers=HEADERS)

    thread = threading.Thread(target=publish)
    thread.start()
    waited_ms: list[float] = []

    def poll() -> int:
        records = reader.poll(1.0)
        now_ns = time.perf_counter_ns()
        waited_ms.extend((now_ns - record.time_ns) / 1e6 for record in records)
        return len(records)

    drained(poll, count)
    thread.join()
    reader.close()
    settled = waited_ms[per_second // 2:]  # the first half second warms up
    return float(np.percentile(settled, 50)), float(np.percentile(settled, 99))


def rows(broker: DevelopmentBroker) -> Iterator[Row]:
    bus, memory = KafkaBus(broker.bootstrap), MemoryBus()
    ours, bare, confluent, held = bus_rates(bus), bare_rates(broker.bootstrap, bus), confluent_rates(
        broker.bootstrap, bus), bus_rates(memory)
    for name, i in (("publish", 0), ("read", 1)):
        yield Row(f"kafka_{name}", ours[i], "messages/s", "kafka-python alone", bare[i], ours[i] / bare[i])
        if confluent is not None:
            yield Row(f"kafka_{name}_confluent", ours[i], "messages/s", "confluent-kafka", confluent[i], ours[i] / confluent[i])
        yield Row(f"memory_{name}", held[i], "messages/s", "Kafka bus", ours[i], held[i] / ours[i])
    for per_second in (200, 1000):
        kafka_ms, memory_ms = latency_ms(bus, per_second), latency_ms(memory, per_second)
        for name, i in (("p50", 0), ("p99", 1)):
            yield Row(f"kafka_latency_{per_second}_{name}", kafka_ms[i], "ms", "bus in memory", memory_ms[i],
                      memory_ms[i] / kafka_ms[i])
    bus.close()


if __name__ == "__main__":
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    with DevelopmentBroker() as started:
        report("Kafka bus, one broker on this machine", list(rows(started)),
               (f"{len(VALUE)}-octet messages with {len(HEADERS)} headers; machine load before: {load}",))
