"""CPMs through a real Kafka broker, from one process to another: latency, and how much of a core each end takes.

The messages are those of 16 objects that a simulated unit sends, with all headers of rsu.messages, at 1,000 and 2,000 a second
and as fast as they go: through our bus (kafka-python) and, in the same run, through confluent-kafka (librdkafka, in C), which
lives in an environment of its own: make setup-bench-peers. The ends: tests/bench/kafka_end.py.
Run: python tests/bench/bench_kafka.py [--json]
"""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.bench_codecs import PEER_PYTHON, sixteen_objects  # noqa: E402
from tests.bench.harness import Row, report  # noqa: E402
from v2x.broker import DevelopmentBroker  # noqa: E402
from v2x.kafka import KafkaBus  # noqa: E402

SECONDS = 4
RATES = (1_000, 2_000)
FLAT_OUT = 12_000  # messages
DIFFERENT = 200  # messages, sent in turn: a batch of copies would be compressed to nothing
PEER = "confluent-kafka"
Figures = dict[str, dict[str, float]]  # by end, as kafka_end.py prints them


def measured(client: str, bootstrap: str, messages: Path, count: int, rate: int) -> Figures:
    """Both ends in processes of their own, the consumer first."""
    topic = f"bench.{uuid.uuid4().hex[:8]}"
    bus = KafkaBus(bootstrap)
    bus.create_topics([topic])
    bus.close()
    python = str(PEER_PYTHON) if client == "confluent" else sys.executable
    words = [client, bootstrap, topic, str(messages), str(count), str(rate)]
    ends = {end: [python, str(ROOT / "tests" / "bench" / "kafka_end.py"), end, *words] for end in ("consume", "publish")}
    consumer = subprocess.Popen(ends["consume"], stdout=subprocess.PIPE, text=True)
    if consumer.stdout is None or consumer.stdout.readline() != "ready\n":
        raise RuntimeError(f"the {client} consumer did not start")
    published = subprocess.run(ends["publish"], stdout=subprocess.PIPE, text=True, check=True).stdout
    consumed, _ = consumer.communicate(timeout=120)
    found = {"publish": json.loads(published), "consume": json.loads(consumed)}
    if found["consume"]["count"] != count:
        raise RuntimeError(f"{client}: {found['consume']['count']:.0f} of {count} messages came")
    return found


def has_peer() -> bool:
    """Whether confluent-kafka is there to be measured against."""
    return PEER_PYTHON.exists() and subprocess.run([PEER_PYTHON, "-c", "import confluent_kafka"],
                                                   stderr=subprocess.DEVNULL).returncode == 0


def row(name: str, unit: str, ours: float, peer: float | None) -> Row:
    return Row(name, ours, unit, PEER if peer is not None else "", peer, ours / peer if peer else None)


def rows(bootstrap: str, messages: Path) -> Iterator[Row]:
    """The figures of every rate; `messages` is a file of them in hexadecimal."""
    with_peer = has_peer()
    for rate in (*RATES, 0):
        count = rate * SECONDS or FLAT_OUT
        ours = measured("roadweave", bootstrap, messages, count, rate)
        peer = measured("confluent", bootstrap, messages, count, rate) if with_peer else None
        wanted = [("consume", "p50_ms", "ms"), ("consume", "p99_ms", "ms")] if rate else []
        wanted += [("publish", "cpu", "of a core"), ("consume", "cpu", "of a core")]
        wanted += [("publish", "rate", "messages/s"), ("consume", "rate", "messages/s")]
        for end, figure, unit in wanted:
            name = figure if figure.endswith("_ms") else f"{end}_{figure}"
            yield row(f"{rate or 'flat_out'}_{name}", unit, ours[end][figure], peer and peer[end][figure])


if __name__ == "__main__":
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    cpms = [sixteen_objects(seed) for seed in range(DIFFERENT)]
    with DevelopmentBroker() as started, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cpms.hex"
        file.write_text("\n".join(octets.hex() for octets in cpms))
        report("CPMs of 16 objects through one broker on this machine", list(rows(started.bootstrap, file)),
               (f"{DIFFERENT} different ones of {len(cpms[0])} octets; {SECONDS} s at each rate, {FLAT_OUT:,} messages flat out; "
                f"machine load before: {load}",))
