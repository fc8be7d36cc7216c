"""Whether a Kafka broker answers at an address, and whether it is new enough: asked without a client library.

The client waits tens of seconds for a broker that is not there and says nothing when one goes away, so the bus asks by
itself: ApiVersions, the first thing every client says, before it authenticates.
Source: https://kafka.apache.org/protocol#The_Messages_ApiVersions, version 0; KIP-110 (zstd: Produce 7 and Fetch 10, Kafka 2.1),
KIP-98 (idempotent producers: InitProducerId).
"""
from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Mapping

from data_specs.errors import BusError

CONTACT_TIMEOUT_S = 4.0  # for the first contact with a broker, all addresses together
PATIENCE_S = 4.0  # how long no broker may answer before a reader is told; a failover takes about 2
PROBE_EVERY_S = 0.5  # how often brokers are asked where nothing else shows that they are there
OLDEST = "Kafka 2.1"
_NEEDED = {0: ("Produce", 7), 1: ("Fetch", 10), 22: ("InitProducerId", 0)}  # key: name, least version that must be spoken
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)  # size, key 18, version 0, correlation id 1, no client id
_NOT_KAFKA = "what listens there is not Kafka"


class Watch:
    """Whether any broker of the cluster answers, asked now and then: the client itself waits for it without an end."""

    def __init__(self, bootstrap: str, brokers: list[tuple[str, int]], tls: ssl.SSLContext | None = None) -> None:
        self.brokers, self.tls = brokers, tls
        self._bootstrap = bootstrap
        self._asked_at = self._answered_at = time.monotonic()

    def heard(self) -> None:
        """A broker has just answered somebody."""
        self._asked_at = self._answered_at = time.monotonic()

    def check(self) -> None:
        """BusError once no broker has answered for `PATIENCE_S`; asks at most every `PROBE_EVERY_S`."""
        now = time.monotonic()
        if now - self._asked_at < PROBE_EVERY_S:
            return
        self._asked_at = now
        if any(not broker_trouble(host, port, PROBE_EVERY_S, self.tls) for host, port in self.brokers):
            self._answered_at = time.monotonic()
        elif now - self._answered_at > PATIENCE_S:
            raise BusError(f"kafka://{self._bootstrap}: no broker has answered for {now - self._answered_at:.0f} s")


def parse_addresses(bootstrap: str) -> list[str]:
    """The addresses of "host:port[,host:port]"; BusError for anything else."""
    addresses = [part.strip() for part in bootstrap.split(",") if part.strip()]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise BusError(f"kafka://{bootstrap}: {address!r} is no address, expected host:port[,host:port]")
    if not addresses:
        raise BusError(f"kafka://{bootstrap}: no address, expected host:port[,host:port]")
    return addresses


def require_answer(bootstrap: str, addresses: list[str], tls: ssl.SSLContext | None = None) -> None:
    """BusError within `CONTACT_TIMEOUT_S`, with the reason for each address, unless a broker that is new enough answers."""
    troubles = []
    for address in addresses:
        host, port = _host_and_port(address)
        trouble = broker_trouble(host, port, CONTACT_TIMEOUT_S / len(addresses), tls)
        if not trouble:
            return
        troubles.append(f"{address}: {trouble}")
    raise BusError(f"kafka://{bootstrap}: no broker answers ({'; '.join(troubles)}); a development broker starts with: "
                   "roadweave broker start")


def broker_trouble(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> str:
    """Why no Kafka broker that we can work with answers at an address; empty where one does."""
    deadline = time.monotonic() + timeout_s
    try:
        with socket.create_connection((host, port), timeout_s) as plain:
            with plain if tls is None else tls.wrap_socket(plain, server_hostname=host) as connection:
                connection.sendall(_API_VERSIONS)
                size, correlation = struct.unpack(">ii", _received(connection, 8, deadline))
                if correlation != 1 or not 6 <= size < 100_000:
                    return _NOT_KAFKA
                return _version_trouble(_received(connection, size - 4, deadline))
    except TimeoutError:
        return f"no answer within {timeout_s:.1f} s"
    except ssl.SSLError as error:
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
    except EOFError:
        return _NOT_KAFKA
    except OSError as error:
        return error.strerror or str(error)


def _received(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.01))
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _version_trouble(body: bytes) -> str:
    """Why the versions that a broker speaks (the body of an ApiVersions response) are not enough; empty where they are."""
    try:
        error, count = struct.unpack_from(">hi", body)
        rows = [struct.unpack_from(">hhh", body, 6 + 6 * i) for i in range(count)]
    except struct.error:
        return _NOT_KAFKA
    newest: Mapping[int, int] = {key: highest for key, _, highest in rows}
    if error:
        return f"the broker refuses ApiVersions with error {error}"
    for key, (name, least) in _NEEDED.items():
        if newest.get(key, -1) < least:
            spoken = f"{name} up to version {newest[key]}" if key in newest else f"no {name}"
            return f"the broker's version is not supported: it speaks {spoken}, expected {least} or later ({OLDEST})"
    return ""


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
