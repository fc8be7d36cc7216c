"""How a Kafka bus is secured: TLS, mutual TLS and SASL, from a TOML file and the environment. Secrets are never shown.

The file is named by ROADWEAVE_KAFKA_CONFIG; each of its keys may be given, or overruled, by a variable ROADWEAVE_KAFKA_<KEY>:

    protocol = "SASL_SSL"                # PLAINTEXT | SSL | SASL_PLAINTEXT | SASL_SSL
    ca_file = "ca.pem"                   # who signed the brokers' certificates; "" = the system's authorities
    certificate_file = "worker.pem"      # ours, for mutual TLS; "" = none
    key_file = "worker.key"
    key_password = ""
    mechanism = "SCRAM-SHA-512"          # PLAIN | SCRAM-SHA-256 | SCRAM-SHA-512
    user = "worker"
    password = ""                        # or password_file, whose first line it is

Paths are relative to the file that names them, those of the environment to the working directory.
Source of the names: https://kafka.apache.org/documentation/#security
"""
from __future__ import annotations

import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from data_specs.errors import InputError, MissingInput, SpecError

PREFIX = "ROADWEAVE_KAFKA_"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES = ("ca_file", "certificate_file", "key_file", "password_file")
_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The security of a connection; the default is none, for a broker on the same machine."""

    protocol: str = "PLAINTEXT"
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise SpecError(f"protocol: {self.protocol!r}, expected one of {', '.join(PROTOCOLS)}")
        if self.mechanism not in MECHANISMS:
            raise SpecError(f"mechanism: {self.mechanism!r}, expected one of {', '.join(MECHANISMS)}")
        if self.uses_sasl and not (self.user and self.password):
            raise SpecError(f"protocol {self.protocol}: {'no password' if self.user else 'no user'}, expected user and password")
        if bool(self.key_file) != bool(self.certificate_file):
            raise SpecError("certificate_file and key_file: one of them alone, expected both or neither")

    @property
    def uses_tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, None without TLS; InputError names the file that cannot be used."""
        if not self.uses_tls:
            return None
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        where = self.ca_file
        try:
            if self.ca_file:
                context.load_verify_locations(self.ca_file)
            where = self.certificate_file
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file, self.key_password or None)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise InputError(where, said, "certificates and a key in PEM that fit each other, and the key's password") from error
        return context

    def without_secrets(self, text: str) -> str:
        """A text in which no password of ours stands any more."""
        for secret in (self.password, self.key_password):
            text = text.replace(secret, _HIDDEN) if secret else text
        return text


def read_settings(environment: Mapping[str, str]) -> KafkaSettings:
    """The settings of a file named in the environment and of the environment itself; InputError names the key that is wrong."""
    said: dict[str, str] = {}
    where = environment.get(f"{PREFIX}CONFIG", "")
    if where:
        said |= _read_file(Path(where))
    said |= {name: environment[PREFIX + name.upper()] for name in _names() if PREFIX + name.upper() in environment}
    password_file = said.pop("password_file", "")
    if password_file and not said.get("password"):
        said["password"] = _first_line(Path(password_file))
    try:
        return KafkaSettings(**said)
    except SpecError as error:
        raise InputError(where or f"the environment ({PREFIX}...)", str(error), "the settings of a Kafka connection") from error


def _names() -> tuple[str, ...]:
    return (*(f.name for f in fields(KafkaSettings)), "password_file")


def _read_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise MissingInput(path, "the settings of a Kafka connection (TOML)")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, type(error).__name__, "TOML") from error  # its text may quote a line with a secret
    for key, value in table.items():
        if key not in _names() or not isinstance(value, str):
            raise InputError(path, f"key {key!r} ({type(value).__name__})", f"texts named {', '.join(_names())}")
    return {key: str(path.parent / value) if key in _FILES and value else value for key, value in table.items()}


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, type(error).__name__, "a file whose first line is the password") from error
