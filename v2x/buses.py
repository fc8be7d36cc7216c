"""Which bus an address names: "memory:" inside this process, "kafka://host:port[,host:port]" between processes."""
from __future__ import annotations

import os

from data_specs.errors import BusError, UnknownFormat
from replay.bus import Bus, MemoryBus

MEMORY = "memory:"
KAFKA = "kafka://"


def open_bus(url: str) -> Bus:
    """The bus at an address; UnknownFormat for another kind of address, BusError where no broker answers.

    How a Kafka's connection is secured is told by the environment: v2x/kafka_settings.py.
    """
    if url == MEMORY:
        return MemoryBus()
    if url.startswith(KAFKA):
        from v2x.kafka import KafkaBus
        from v2x.kafka_settings import read_settings

        return KafkaBus(bootstrap_of(url), settings=read_settings(os.environ))
    raise UnknownFormat("--bus", repr(url), f"{MEMORY} or {KAFKA}host:port[,host:port]")


def bootstrap_of(url: str) -> str:
    """The host:port[,host:port] of a Kafka's address."""
    return url.removeprefix(KAFKA).rstrip("/")


def require_shared_bus(url: str, command: str) -> None:
    """BusError unless the bus at `url` reaches other processes; for commands whose other end is another process."""
    if url == MEMORY:
        raise BusError(f"{command}: {MEMORY} lives inside one process, expected {KAFKA}host:port; a development broker "
                       "starts with: roadweave broker start")
