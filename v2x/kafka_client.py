"""What every part of the Kafka bus needs of kafka-python: its import, the arguments of a connection, its errors as ours.

With v2x/kafka.py, kafka_reader.py and kafka_topics.py the only importer of the Kafka client.
"""
from __future__ import annotations

import logging
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from data_specs.errors import BusError, MissingExtra
from v2x.kafka_contact import CONTACT_TIMEOUT_S, parse_addresses, require_answer
from v2x.kafka_settings import KafkaSettings

_RECONNECT_MS = 500  # between attempts at a node that is away; the client's own 30 s would be added to a node's return
# At debug level these write requests and their own arguments out, passwords included.
_TELLTALES = ("kafka.net.connection", "kafka.protocol.parser", "kafka.admin.client", "kafka.producer.kafka",
              "kafka.consumer.group")


@dataclass(frozen=True)
class Connection:
    """A cluster that answers, and how to talk to it."""

    bootstrap: str
    addresses: tuple[str, ...]
    settings: KafkaSettings
    tls: ssl.SSLContext | None
    kafka: ModuleType

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    def arguments(self) -> dict[str, Any]:
        """What each of the client's classes is to be called with."""
        said = {"bootstrap_servers": list(self.addresses), "bootstrap_timeout_ms": int(CONTACT_TIMEOUT_S * 1e3),
                "security_protocol": self.settings.protocol, "ssl_context": self.tls, "reconnect_backoff_max_ms": _RECONNECT_MS}
        if self.settings.uses_sasl:
            said |= {"sasl_mechanism": self.settings.mechanism, "sasl_plain_username": self.settings.user,
                     "sasl_plain_password": self.settings.password}
        return said

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the client's errors into BusError that names the address and holds no secret."""
        from kafka.errors import KafkaError

        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            raise BusError(f"{self.url}: cannot {doing}: {self.reason(error)}") from error

    @contextmanager
    def contact(self) -> Iterator[None]:
        """The same for first contact, where the client says why it was turned away only to its log, and then waits."""
        from kafka.errors import KafkaTimeoutError

        heard, log = _Heard(), logging.getLogger("kafka.net.manager")
        log.addHandler(heard)
        try:
            with self.errors("connect"):
                try:
                    yield
                except KafkaTimeoutError as error:
                    raise heard.refusal or error from error
        finally:
            log.removeHandler(heard)

    def reason(self, error: BaseException) -> str:
        """The first line of an error's text, without secrets; its name where it has none."""
        text = str(error).strip().splitlines()
        return self.settings.without_secrets(text[0]) if text else type(error).__name__


def connect(bootstrap: str, settings: KafkaSettings) -> Connection:
    """A connection to "host:port[,host:port]"; BusError within 5 s where no broker that is new enough answers there."""
    kafka, addresses, tls = _client(), parse_addresses(bootstrap), settings.tls()
    if settings.uses_sasl:
        for name in _TELLTALES:
            logging.getLogger(name).addFilter(_not_in_detail)
    require_answer(bootstrap, addresses, tls)
    return Connection(bootstrap, tuple(addresses), settings, tls, kafka)


def best_compression() -> str | None:
    """The best of what is installed here: lz4, zstd, or none; both libraries are smaller in CPU than gzip by far."""
    from kafka.codec import has_lz4, has_zstd

    return "lz4" if has_lz4() else "zstd" if has_zstd() else None


class _Heard(logging.Handler):
    """The first error of authentication in a log, else the first error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.refusal: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        from kafka.errors import KafkaError, SaslAuthenticationFailedError

        for error in record.args if isinstance(record.args, tuple) else ():
            if isinstance(error, KafkaError) and (self.refusal is None or isinstance(error, SaslAuthenticationFailedError)):
                self.refusal = error


def _not_in_detail(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _client() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own, of importlib.resources
            import kafka
            import kafka.admin
    except ImportError as error:
        raise MissingExtra("the Kafka bus", "kafka") from error
    return kafka
