"""Whom to trust: root and authority certificates and known units, and what has been revoked."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Certificates a receiver starts with."""

    roots: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    units: tuple[bytes, ...]
    revoked: frozenset[bytes]


def read_trust_store(folder: Path) -> TrustStore:
    """FOLDER/roots/*.oer, FOLDER/authorities/*.oer, FOLDER/units/*.oer and FOLDER/revoked.txt."""
    raise NotImplementedError
