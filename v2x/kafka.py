"""The bus over Apache Kafka, through kafka-python: publishing, and what readers are made of (v2x/kafka_reader.py).

A record's `time_ns` travels as a header: Kafka keeps milliseconds, and it deletes records by their age, so its own timestamp
is the moment of publishing and a drive of last year stays. A topic that is absent is created as the table of v2x/topics.py
has it, with the broker's number of copies. Whether brokers answer is watched by the bus itself: v2x/kafka_contact.py.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from data_specs.errors import BusError
from replay.bus import BusRecord, Subscription
from v2x.kafka_client import best_compression, connect
from v2x.kafka_contact import Watch
from v2x.kafka_reader import TIME_HEADER, KafkaReader, read_tail
from v2x.kafka_settings import KafkaSettings
from v2x.topics import settings_of

_BATCH_BYTES = 1 << 17  # eight times the client's own: half the CPU a message where rates are high, no wait where they are low
WAITING_BYTES = 32 << 20  # published and not acknowledged: the client itself would take on any number of them
_RECORD_BYTES = 500  # what a waiting record costs beside its value, about


class KafkaBus:
    """A bus on a Kafka cluster. Publishing is idempotent and waits for all in-sync copies; threads may share it."""

    def __init__(self, bootstrap: str, *, partitions: int = 1, delivery_timeout_s: float = 10.0, linger_ms: int = 2,
                 waiting_bytes: int = WAITING_BYTES, settings: KafkaSettings | None = None) -> None:
        """Connect to `bootstrap` ("host:port[,host:port]"); BusError within 5 s where no broker answers there.

        `partitions` is for topics this bus creates. A record that is not acknowledged within `delivery_timeout_s` is given up
        and makes the next publish or flush raise. A record waits up to `linger_ms` for others to share its request. While
        `waiting_bytes` of records are not acknowledged yet, `publish` waits, too.
        """
        self._partitions, self._delivery_timeout_s = partitions, delivery_timeout_s
        self._connection = connect(bootstrap, settings or KafkaSettings())
        self._failure: BaseException | None = None
        self._topics: set[str] = set()
        self._readers: list[KafkaReader] = []
        self._lock = threading.Lock()
        self._waiting = _Waiting(waiting_bytes)
        kafka, said = self._connection.kafka, self._connection.arguments()
        with self._connection.contact():
            self._admin = kafka.KafkaAdminClient(**said, request_timeout_ms=10_000)
            self._producer = kafka.KafkaProducer(
                **said, acks="all", enable_idempotence=True, compression_type=best_compression(), batch_size=_BATCH_BYTES,
                linger_ms=linger_ms, metrics_enabled=False, max_block_ms=int(delivery_timeout_s * 1e3),
                request_timeout_ms=int(delivery_timeout_s * 5e2), delivery_timeout_ms=int(delivery_timeout_s * 1e3))
            brokers = [(b["host"], b["port"]) for b in self._admin.describe_cluster()["brokers"]]
        self._watch = Watch(bootstrap, brokers, self._connection.tls)

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        """Hand a record to the producer; BusError for this record, or for an earlier one that was not acknowledged.

        Waits while too much is on its way already, and raises when that lasts for the delivery's time-out.
        """
        self._raise_failure()
        self._watch.check()
        self.create_topics([topic])
        said = [*(headers or {}).items(), (TIME_HEADER, b"%d" % time_ns)]
        size = len(value) + _RECORD_BYTES
        if not self._waiting.add(size, self._delivery_timeout_s):
            self._raise_failure()
            raise BusError(f"{self._connection.url}: {self._waiting.limit:,} octets wait to be acknowledged, and none was "
                           f"within {self._delivery_timeout_s:.0f} s; expected brokers that keep up")
        try:
            with self._connection.errors(f"publish to {topic}"):
                sent = self._producer.send(topic, value, key.encode(), said)
        except BusError:
            self._waiting.remove(size)
            raise
        sent.add_callback(self._acknowledged, size)
        sent.add_errback(self._refused, size)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once all published records are acknowledged by all in-sync copies."""
        with self._connection.errors("flush"):
            self._producer.flush(timeout_s)
        self._raise_failure()

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True,
                  rewind_ns: int = 0) -> Subscription:
        """Read topics, created where absent: all partitions, or within a group the member's share, behind what was committed."""
        self.create_topics(topics)
        with self._connection.errors("subscribe"):
            watch = Watch(self._connection.bootstrap, self._watch.brokers, self._connection.tls)
            reader = KafkaReader(self._connection, watch, topics, group, from_start, rewind_ns)
        self._readers.append(reader)
        return reader

    def tail(self, topics: Sequence[str], span_ns: int) -> list[BusRecord]:
        """The last records of topics, created where absent: those of the last `span_ns` in each partition, perhaps more."""
        self.create_topics(topics)
        with self._connection.errors("read the tail of topics"):
            return read_tail(self._connection, topics, span_ns)

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """How many partitions each of these topics has; created where absent."""
        self.create_topics(topics)
        with self._connection.errors("describe topics"):
            return {topic["name"]: len(topic["partitions"]) for topic in self._admin.describe_topics(list(topics))}

    def ready(self, topics: Sequence[str]) -> None:
        """Create topics where absent and learn where their partitions are: the first record of each waits for both else."""
        self.create_topics(topics)
        with self._connection.errors("ask for the partitions of topics"):
            for topic in topics:
                self._producer.partitions_for(topic)

    def create_topics(self, topics: Sequence[str]) -> None:
        """Make the topics that are not there yet and wait until they have leaders."""
        if self._topics.issuperset(topics):
            return
        with self._lock, self._connection.errors("create topics"):
            missing = {topic: {"num_partitions": self._partitions, "configs": dict(settings_of(topic))}
                       for topic in topics if topic not in self._topics}
            present = set(self._admin.list_topics())
            new = {topic: said for topic, said in missing.items() if topic not in present}
            if new:
                require_created(self._connection.url, self._admin.create_topics(new, raise_errors=False))
                self._admin.wait_for_topics(list(new))
            self._topics.update(missing)

    def close(self) -> None:
        """Flush and let go; readers of this bus are closed too. BusError where records were not acknowledged."""
        for reader in self._readers:
            reader.close()
        try:
            with self._connection.errors("close"):
                self._producer.close(timeout=5.0)
        finally:
            self._admin.close()
        self._raise_failure()

    def _acknowledged(self, size: int, _metadata: object) -> None:
        self._waiting.remove(size)

    def _refused(self, size: int, error: BaseException) -> None:
        self._failure = self._failure or error
        self._waiting.remove(size)

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        if error is not None:
            connection = self._connection
            raise BusError(f"{connection.url}: a record was not delivered: {connection.reason(error)}") from error


class _Waiting:
    """Octets on their way, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._octets = 0
        self._less = threading.Condition()

    def add(self, size: int, timeout_s: float) -> bool:
        """Count a record in once there is room for it; False when there is none for `timeout_s`. One always has room."""
        deadline = time.monotonic() + timeout_s
        with self._less:
            while self._octets and self._octets + size > self.limit:
                if not self._less.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    return False
            self._octets += size
        return True

    def remove(self, size: int) -> None:
        with self._less:
            self._octets -= size
            self._less.notify_all()


def require_created(url: str, answer: Mapping[str, Any]) -> None:
    """BusError for a topic that could not be created, unless another was quicker."""
    from kafka.errors import NoError, TopicAlreadyExistsError, for_code

    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if error not in (NoError, TopicAlreadyExistsError):
            raise BusError(f"{url}: cannot create topic {topic['name']}: {topic['error_message'] or error.__name__}")
