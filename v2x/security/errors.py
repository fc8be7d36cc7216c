"""Why a message is not taken for what it says: one error, whose `reason` is one of a fixed list that counters and tests share."""
from __future__ import annotations

from data_specs.errors import InputError

REASONS = ("unsigned", "malformed", "unsupported", "unknown-signer", "bad-signature", "expired", "not-yet-valid", "outside-region",
           "revoked", "wrong-psid", "stale", "future", "replayed")


class SignatureRefused(InputError):
    """A message, or a certificate, that must not be believed; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, got: str, expected: str, where: str = "signed message") -> None:
        self.reason = reason
        super().__init__(f"{where} ({reason})", got, expected)
