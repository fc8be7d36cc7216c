"""Opens signed messages and says who sent them, or refuses them with a reason."""
from __future__ import annotations

from dataclasses import dataclass

from data_specs.messages import GeoPoint
from v2x.security.store import TrustStore


@dataclass(frozen=True, slots=True)
class Opened:
    """A message out of its envelope."""

    payload: bytes  # what was signed: a facility message, or a GeoNetworking packet from its common header on
    publisher: str  # HashedId8 of the signing certificate, 16 hex digits; "" = not signed, or not checked
    psid: int  # the application that the sender claims; -1 = not said
    generated_ns: int  # Unix ns by the sender's clock; -1 = not said
    signed: bool  # a signature was there and holds


class Verifier:
    """Opens the messages of one crossing; keeps the certificates and the messages it has seen, both bounded."""

    def __init__(self, trust: TrustStore, policy: str = "required", place: GeoPoint | None = None) -> None:
        """`policy`: required | preferred | off (data_specs.site); `place`: where messages without a place of their own come from."""
        raise NotImplementedError

    def open(self, octets: bytes, received_ns: int) -> Opened:
        """Ieee1609Dot2Data (03 81 signed, 03 80 unsecured) opened; SignatureRefused with its reason."""
        raise NotImplementedError

    def open_bare(self, payload: bytes) -> Opened:
        """A message that came without an envelope: passes unless signatures are required; SignatureRefused("unsigned")."""
        raise NotImplementedError
