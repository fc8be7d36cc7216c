"""Topics on a real cluster: how they are, and making them as a site needs them (v2x/topics.py says what that is)."""
from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from data_specs.errors import BusError, UnknownFormat
from v2x.buses import KAFKA, bootstrap_of, require_shared_bus
from v2x.kafka import require_created
from v2x.kafka_client import Connection, connect
from v2x.kafka_settings import KafkaSettings, read_settings
from v2x.topics import TOPICS, TopicChange, TopicState

_COPIES = 3  # where there are as many brokers


def open_topics(url: str, command: str) -> KafkaTopics:
    """The topics of the Kafka at "kafka://host:port[,host:port]", secured as the environment says."""
    require_shared_bus(url, command)
    if not url.startswith(KAFKA):
        raise UnknownFormat("--bus", repr(url), f"{KAFKA}host:port[,host:port]")
    return KafkaTopics(bootstrap_of(url), read_settings(os.environ))


class KafkaTopics:
    """The administrator's view of a cluster; close it, or use it in a `with` block."""

    def __init__(self, bootstrap: str, settings: KafkaSettings | None = None) -> None:
        self._connection: Connection = connect(bootstrap, settings or KafkaSettings())
        with self._connection.contact():
            self._admin = self._connection.kafka.KafkaAdminClient(**self._connection.arguments(), request_timeout_ms=10_000)

    def __enter__(self) -> KafkaTopics:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def present(self, names: Sequence[str] = tuple(spec.name for spec in TOPICS)) -> dict[str, TopicState]:
        """Those of these topics that there are."""
        with self._connection.errors("describe topics"):
            there = [name for name in names if name in set(self._admin.list_topics())]
            if not there:
                return {}
            settings = self._settings(there)
            return {topic["name"]: TopicState(len(topic["partitions"]), len(topic["partitions"][0]["replica_nodes"]),
                                              settings[topic["name"]])
                    for topic in self._admin.describe_topics(there) if topic["partitions"]}  # none: it is being deleted

    def apply(self, changes: Sequence[TopicChange]) -> None:
        """Carry changes out and wait until they are seen; BusError names the topic that the cluster refused to change."""
        with self._connection.errors("apply topics"):
            copies = min(_COPIES, len(self._admin.describe_cluster()["brokers"]))
            new = {c.name: {"num_partitions": c.partitions, "replication_factor": copies, "configs": dict(c.settings)}
                   for c in changes if c.create}
            grown = {c.name: c.partitions for c in changes if c.grow}
            if new:
                require_created(self._connection.url, self._admin.create_topics(new, raise_errors=False))
                self._admin.wait_for_topics(list(new))
            if grown:
                self._admin.create_partitions(grown)
            for change in changes:
                if not change.create and change.settings:
                    self._set(change)

    def _set(self, change: TopicChange) -> None:
        answer = self._admin.alter_configs([self._resource(change.name, dict(change.settings))])
        said = answer["topic"][change.name]
        if said != "OK":
            raise BusError(f"{self._connection.url}: cannot set topic {change.name}: {said}")

    def _settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        wanted = sorted({setting for spec in TOPICS for setting in spec.settings})
        found = self._admin.describe_configs([self._resource(name, wanted) for name in names], config_filter="all")
        return {name: {setting: said["value"] for setting, said in found["topic"][name].items()} for name in names}

    def _resource(self, name: str, settings: Any) -> Any:
        from kafka.admin import ConfigResource, ConfigResourceType

        return ConfigResource(ConfigResourceType.TOPIC, name, settings)
