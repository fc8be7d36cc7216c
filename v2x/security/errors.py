"""Why a message is not taken for what it says: one error, whose `reason` is one of a fixed list that counters and tests share."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from data_specs.errors import DecodeError, InputError
from v2x.security.oer import Unsupported

REASONS = ("unsigned", "malformed", "unsupported", "unknown-signer", "bad-signature", "expired", "not-yet-valid",
           "outside-region", "revoked", "wrong-psid", "stale", "future", "replayed")


class SignatureRefused(InputError):
    """A message, or a certificate, that must not be believed; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, got: str, expected: str, where: str = "signed message") -> None:
        self.reason = reason
        super().__init__(f"{where} ({reason})", got, expected)


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """What a reader of octets raises inside becomes SignatureRefused, malformed or unsupported."""
    try:
        yield
    except DecodeError as error:
        reason = "unsupported" if isinstance(error, Unsupported) else "malformed"
        raise SignatureRefused(reason, error.got, error.expected, f"{where}: {error.where}") from error
