"""One end of the Kafka benchmark, in a process of its own: publishes or consumes octets, and prints what that took as JSON.

    python tests/bench/kafka_end.py publish|consume roadweave|confluent BOOTSTRAP TOPIC FILE COUNT RATE

FILE holds the messages, one a line in hexadecimal, sent in turn. RATE is messages a second, 0 as many as go. Both clients have
the same guarantees (idempotent, acks=all), compression and linger; the confluent end needs nothing of this repository.
Latency is from publishing to having been polled, by the machine's monotonic clock, which all its processes share; the first
second of a rate warms up.
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

HEADERS = {"publisher": b"rsu-north", "wire_format": b"etsi-cpm-2.1.1", "generated_ns": b"1700000000000000000",
           "received_ns": b"1700000000040000000", "messageType": b"CPM", "protocolVersion": b"2", "publisherId": b"rsu-north",
           "quadkey": b"120230002230112110"}
STALL_S = 30.0  # without any record: something is wrong
WARM_UP_S = 1.0


def publish(send: Callable[[bytes, int], None], flush: Callable[[], None], messages: list[bytes], count: int,
            rate: int) -> dict[str, float]:
    """Messages a second and the share of a core that publishing `count` messages took."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for i in range(count):
        if rate:
            time.sleep(max(0.0, began_s + i / rate - time.monotonic()))
        send(messages[i % len(messages)], time.monotonic_ns())
    flush()
    spent_s = time.monotonic() - began_s
    return {"rate": count / spent_s, "cpu": (time.process_time() - began_cpu_s) / spent_s}


def consume(poll: Callable[[], list[int]], count: int, rate: int) -> dict[str, float]:
    """What came, the share of a core, and latencies in milliseconds; `poll` gives the publishing times of what it found."""
    print("ready", flush=True)
    waited_ns: list[int] = []
    began_s = heard_s = 0.0
    began_cpu_s = time.process_time()
    while len(waited_ns) < count:
        sent_ns = poll()
        now_s = time.monotonic()
        if sent_ns and not began_s:
            began_s, began_cpu_s = now_s, time.process_time()
        heard_s = now_s if sent_ns or not heard_s else heard_s
        if now_s - heard_s > STALL_S:
            break
        now_ns = time.monotonic_ns()
        waited_ns += [now_ns - at_ns for at_ns in sent_ns]
    spent_s = time.monotonic() - began_s
    settled = sorted(waited_ns[round(rate * WARM_UP_S):]) or [0]
    return {"count": len(waited_ns), "rate": len(waited_ns) / spent_s, "cpu": (time.process_time() - began_cpu_s) / spent_s,
            "p50_ms": settled[len(settled) // 2] / 1e6, "p99_ms": settled[len(settled) * 99 // 100] / 1e6}


def roadweave_end(end: str, bootstrap: str, topic: str, messages: list[bytes], count: int, rate: int) -> dict[str, float]:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from v2x.kafka import KafkaBus

    bus = KafkaBus(bootstrap)
    if end == "publish":
        did = publish(lambda octets, now_ns: bus.publish(topic, octets, key="north", time_ns=now_ns, headers=HEADERS),
                      lambda: bus.flush(60.0), messages, count, rate)
    else:
        reader = bus.subscribe([topic], group=f"bench-{topic}")
        reader.poll(5.0)
        did = consume(lambda: [record.time_ns for record in reader.poll(0.5)], count, rate)
    bus.close()
    return did


def confluent_end(end: str, bootstrap: str, topic: str, messages: list[bytes], count: int, rate: int) -> dict[str, float]:
    import confluent_kafka

    if end == "publish":
        producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all",
                                             "linger.ms": 2, "compression.type": "lz4"})

        def send(octets: bytes, now_ns: int) -> None:
            producer.produce(topic, octets, b"north", headers=[*HEADERS.items(), ("time_ns", b"%d" % now_ns)])
            producer.poll(0)

        return publish(send, lambda: producer.flush(60.0), messages, count, rate)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": f"bench-{topic}",
                                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100})
    consumer.subscribe([topic])
    consumer.consume(1, 5.0)
    did = consume(lambda: [int(dict(found.headers())["time_ns"]) for found in consumer.consume(500, 0.002)], count, rate)
    consumer.close()
    return did


if __name__ == "__main__":
    which, client, address, name, file, how_many, how_fast = sys.argv[1:]
    lines = [bytes.fromhex(line) for line in Path(file).read_text().split()]
    run = {"roadweave": roadweave_end, "confluent": confluent_end}[client]
    print(json.dumps(run(which, address, name, lines, int(how_many), int(how_fast))))
