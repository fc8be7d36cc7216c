"""The bus over Apache Kafka, through kafka-python: the only importer of the Kafka client.

A record's `time_ns` travels as a header: Kafka keeps milliseconds, and it deletes records by their age, so its own timestamp
is the moment of publishing and a drive of last year stays. A topic that is absent is created, with the broker's number of
copies. The client waits tens of seconds for a broker that is not there and says nothing when one goes away, so this bus asks
by itself whether a broker answers (ApiVersions, https://kafka.apache.org/protocol#The_Messages_ApiVersions).
"""
from __future__ import annotations

import socket
import struct
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType

from data_specs.errors import BusError, MissingExtra
from replay.bus import BusRecord, Subscription

TIME_HEADER = "time_ns"
CONTACT_TIMEOUT_S = 4.0  # for the first contact with a broker, all addresses together
PATIENCE_S = 4.0  # how long no broker may answer before a reader is told; a failover takes about 2
_PROBE_EVERY_S = 0.5  # how often brokers are asked where nothing else shows that they are there
_BATCH_BYTES = 1 << 17  # eight times the client's own: half the CPU a message where rates are high, no wait where they are low
_SHARE_BYTES = 1 << 16  # of a partition, at a time: a backlog of several topics is read side by side, not one after the other
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)  # size, key 18, version 0, correlation id 1, no client id


class KafkaBus:
    """A bus on a Kafka cluster. Publishing is idempotent and waits for all in-sync copies; threads may share it."""

    def __init__(self, bootstrap: str, *, partitions: int = 1, delivery_timeout_s: float = 10.0, linger_ms: int = 2) -> None:
        """Connect to `bootstrap` ("host:port[,host:port]"); BusError within 5 s where no broker answers there.

        `partitions` is for topics this bus creates. A record that is not acknowledged within `delivery_timeout_s` is given up
        and makes the next publish or flush raise. A record waits up to `linger_ms` for others to share its request.
        """
        self._kafka = _client()
        self._bootstrap, self._partitions = bootstrap, partitions
        self._addresses = parse_addresses(bootstrap)
        self._failure: BaseException | None = None
        self._topics: set[str] = set()
        self._readers: list[_KafkaSubscription] = []
        self._lock = threading.Lock()
        _require_answer(bootstrap, self._addresses)
        with self._errors("connect"):
            self._admin = self._kafka.KafkaAdminClient(
                bootstrap_servers=self._addresses, bootstrap_timeout_ms=int(CONTACT_TIMEOUT_S * 1e3), request_timeout_ms=10_000)
            self._producer = self._kafka.KafkaProducer(
                bootstrap_servers=self._addresses, bootstrap_timeout_ms=int(CONTACT_TIMEOUT_S * 1e3), acks="all",
                enable_idempotence=True, batch_size=_BATCH_BYTES, linger_ms=linger_ms, metrics_enabled=False,
                max_block_ms=int(delivery_timeout_s * 1e3), request_timeout_ms=int(delivery_timeout_s * 5e2),
                delivery_timeout_ms=int(delivery_timeout_s * 1e3))
            brokers = [(b["host"], b["port"]) for b in self._admin.describe_cluster()["brokers"]]
        self._watch = _Watch(bootstrap, brokers)

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        """Hand a record to the producer; BusError for this record, or for an earlier one that was not acknowledged."""
        self._raise_failure()
        self._watch.check()
        self.create_topics([topic])
        said = [*(headers or {}).items(), (TIME_HEADER, b"%d" % time_ns)]
        with self._errors(f"publish to {topic}"):
            sent = self._producer.send(topic, value, key.encode(), said)
            sent.add_errback(self._remember)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once all published records are acknowledged by all in-sync copies."""
        with self._errors("flush"):
            self._producer.flush(timeout_s)
        self._raise_failure()

    def subscribe(self, topics: Sequence[str], *, group: str | None = None, from_start: bool = True) -> Subscription:
        """Read topics, created where absent: all partitions, or within a group the member's share, behind what was committed."""
        self.create_topics(topics)
        with self._errors("subscribe"):
            reader = _KafkaSubscription(self, tuple(topics), group, from_start)
        self._readers.append(reader)
        return reader

    def create_topics(self, topics: Sequence[str]) -> None:
        """Make the topics that are not there yet and wait until they have leaders."""
        if self._topics.issuperset(topics):
            return
        with self._lock, self._errors("create topics"):
            missing = {topic: {"num_partitions": self._partitions} for topic in topics if topic not in self._topics}
            present = set(self._admin.list_topics())
            new = {topic: said for topic, said in missing.items() if topic not in present}
            if new:
                answer = self._admin.create_topics(new, raise_errors=False)
                _require_created(self._bootstrap, answer)
                self._admin.wait_for_topics(list(new))
            self._topics.update(missing)

    def close(self) -> None:
        """Flush and let go; readers of this bus are closed too. BusError where records were not acknowledged."""
        for reader in self._readers:
            reader.close()
        try:
            with self._errors("close"):
                self._producer.close(timeout=5.0)
        finally:
            self._admin.close()
        self._raise_failure()

    def _remember(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        if error is not None:
            raise BusError(f"kafka://{self._bootstrap}: a record was not delivered: {_reason(error)}") from error

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn the client's errors into BusError that names the address."""
        from kafka.errors import KafkaError

        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            raise BusError(f"kafka://{self._bootstrap}: cannot {doing}: {_reason(error)}") from error


class _KafkaSubscription:
    """A consumer and the watch over its brokers."""

    def __init__(self, bus: KafkaBus, topics: tuple[str, ...], group: str | None, from_start: bool) -> None:
        kafka = bus._kafka
        self._bus, self._group = bus, group
        self._closed = False
        self._watch = _Watch(bus._bootstrap, bus._watch.brokers)
        self._consumer = kafka.KafkaConsumer(
            bootstrap_servers=bus._addresses, bootstrap_timeout_ms=int(CONTACT_TIMEOUT_S * 1e3), group_id=group,
            enable_auto_commit=False, auto_offset_reset="earliest" if from_start else "latest", metrics_enabled=False,
            max_partition_fetch_bytes=_SHARE_BYTES, session_timeout_ms=6_000, heartbeat_interval_ms=500,
            fetch_max_wait_ms=100, request_timeout_ms=10_000)
        self._early: list[BusRecord] = []
        if group is None:
            self._assign_all(topics, from_start)
        else:
            for topic in topics:  # a group's leader that does not know a topic yet gives its partitions to nobody
                self._consumer.partitions_for_topic(topic)
            self._consumer.subscribe(list(topics))
            if not from_start:
                self._join()

    def poll(self, timeout_s: float = 0.0, max_records: int = 500) -> list[BusRecord]:
        """What has come, waiting up to `timeout_s`; BusError once no broker has answered for `PATIENCE_S`."""
        if self._early:
            early, self._early = self._early[:max_records], self._early[max_records:]
            return early
        deadline = time.monotonic() + timeout_s
        while True:
            wait_s = min(max(deadline - time.monotonic(), 0.0), _PROBE_EVERY_S)
            with self._bus._errors("poll"):
                found = self._consumer.poll(timeout_ms=int(wait_s * 1e3), max_records=max_records)
            if found:
                self._watch.heard()
                return [_bus_record(record) for records in found.values() for record in records]
            self._watch.check()
            if time.monotonic() >= deadline:
                return []

    def commit(self) -> None:
        """Commit what was polled; what another member has taken over meanwhile is that member's, and is read again there."""
        from kafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

        if self._group is None:
            return
        with self._bus._errors("commit"):
            try:
                self._consumer.commit(timeout_ms=5_000)
            except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
                return

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._consumer.close(autocommit=False, timeout_ms=1_000)

    def _assign_all(self, topics: tuple[str, ...], from_start: bool) -> None:
        partition = self._bus._kafka.TopicPartition
        places = [partition(topic, i) for topic in topics for i in sorted(self._consumer.partitions_for_topic(topic) or {0})]
        self._consumer.assign(places)
        if from_start:
            self._consumer.seek_to_beginning(*places)
        else:
            # Fixed now, not at the first poll: what is published after this call is read.
            for place, end in self._consumer.end_offsets(places).items():
                self._consumer.seek(place, end)

    def _join(self) -> None:
        """Join the group and fix this member's places now, so that what is published after `subscribe` is read."""
        deadline = time.monotonic() + 5.0
        while not self._consumer.assignment() and time.monotonic() < deadline:
            found = self._consumer.poll(timeout_ms=100)
            self._early += [_bus_record(record) for records in found.values() for record in records]
        for place in self._consumer.assignment():
            self._consumer.position(place, timeout_ms=5_000)


class _Watch:
    """Whether any broker of the cluster answers, asked now and then: the client itself waits for it without an end."""

    def __init__(self, bootstrap: str, brokers: list[tuple[str, int]]) -> None:
        self.brokers = brokers
        self._bootstrap = bootstrap
        self._asked_at = self._answered_at = time.monotonic()

    def heard(self) -> None:
        """A broker has just answered somebody."""
        self._asked_at = self._answered_at = time.monotonic()

    def check(self) -> None:
        """BusError once no broker has answered for `PATIENCE_S`; asks at most every `_PROBE_EVERY_S`."""
        now = time.monotonic()
        if now - self._asked_at < _PROBE_EVERY_S:
            return
        self._asked_at = now
        if any(not broker_trouble(host, port, _PROBE_EVERY_S) for host, port in self.brokers):
            self._answered_at = time.monotonic()
        elif now - self._answered_at > PATIENCE_S:
            raise BusError(f"kafka://{self._bootstrap}: no broker has answered for {now - self._answered_at:.0f} s")


def parse_addresses(bootstrap: str) -> list[str]:
    """The addresses of "host:port[,host:port]"; BusError for anything else."""
    addresses = [part.strip() for part in bootstrap.split(",") if part.strip()]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise BusError(f"kafka://{bootstrap}: {address!r} is no address, expected host:port[,host:port]")
    if not addresses:
        raise BusError(f"kafka://{bootstrap}: no address, expected host:port[,host:port]")
    return addresses


def broker_trouble(host: str, port: int, timeout_s: float) -> str:
    """Why no Kafka broker answers at an address; empty where one does. Asks for its API versions, as every client does first."""
    deadline = time.monotonic() + timeout_s
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(_API_VERSIONS)
            head = b""
            while len(head) < 8:
                connection.settimeout(max(deadline - time.monotonic(), 0.01))
                more = connection.recv(8 - len(head))
                if not more:
                    return "what listens there is not Kafka"
                head += more
    except TimeoutError:
        return f"no answer within {timeout_s:.1f} s"
    except OSError as error:
        return error.strerror or str(error)
    size, correlation = struct.unpack(">ii", head)
    return "" if correlation == 1 and 6 <= size < 100_000 else "what listens there is not Kafka"


def _require_answer(bootstrap: str, addresses: list[str]) -> None:
    troubles = []
    for address in addresses:
        host, port = _host_and_port(address)
        trouble = broker_trouble(host, port, CONTACT_TIMEOUT_S / len(addresses))
        if not trouble:
            return
        troubles.append(f"{address}: {trouble}")
    raise BusError(f"kafka://{bootstrap}: no broker answers ({'; '.join(troubles)}); a development broker starts with: "
                   "roadweave broker start")


def _require_created(bootstrap: str, answer: Mapping[str, object]) -> None:
    from kafka.errors import NoError, TopicAlreadyExistsError, for_code

    for topic in answer["topics"]:  # type: ignore[attr-defined]
        error = for_code(topic["error_code"])
        if error not in (NoError, TopicAlreadyExistsError):  # another bus may have been quicker
            said = topic["error_message"] or error.__name__
            raise BusError(f"kafka://{bootstrap}: cannot create topic {topic['name']}: {said}")


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _bus_record(record: object) -> BusRecord:
    headers = dict(record.headers)  # type: ignore[attr-defined]
    said = headers.pop(TIME_HEADER, None)
    time_ns = int(said) if said is not None and said.isdigit() else record.timestamp * 1_000_000  # type: ignore[attr-defined]
    key, value = record.key or b"", record.value or b""  # type: ignore[attr-defined]
    return BusRecord(record.topic, key.decode("utf-8", "replace"), bytes(value), time_ns, headers,  # type: ignore[attr-defined]
                     record.partition, record.offset)  # type: ignore[attr-defined]


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _client() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own, of importlib.resources
            import kafka
    except ImportError as error:
        raise MissingExtra("the Kafka bus", "kafka") from error
    return kafka
