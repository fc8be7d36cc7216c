"""Signs messages as TS 103 097 asks: the certificate once a second, its digest otherwise."""
from __future__ import annotations

from pathlib import Path

from data_specs.messages import GeoPoint


class Signer:
    """One unit's private key and certificate."""

    @property
    def publisher(self) -> str:
        """HashedId8 of the certificate, 16 hex digits: what a Verifier will call the sender."""
        raise NotImplementedError

    def sign(self, payload: bytes, psid: int, generated_ns: int, place: GeoPoint | None = None) -> bytes:
        """Ieee1609Dot2Data of type signedData around the payload."""
        raise NotImplementedError


def read_signer(folder: Path, unit: str) -> Signer:
    """The signer of a unit that `roadweave keys make FOLDER` made: FOLDER/units/UNIT.oer and FOLDER/private/UNIT.pem."""
    raise NotImplementedError
