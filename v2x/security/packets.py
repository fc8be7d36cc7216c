"""GeoNetworking packets in their secured form, and back (EN 302 636-4-1 V1.4.1, 9.6.4: basic header, next header 2)."""
from __future__ import annotations

from v2x.security.sign import Signer
from v2x.security.verify import Opened, Verifier


def secure_packet(packet: bytes, signer: Signer, psid: int, generated_ns: int) -> bytes:
    """A GeoNetworking packet (basic header, next header 1) as a secured one (next header 2); the basic header stays unsigned."""
    raise NotImplementedError


def open_packet(packet: bytes, verifier: Verifier, received_ns: int) -> tuple[bytes, Opened]:
    """A GeoNetworking packet, secured or not, as an unsecured one (next header 1), and what its envelope said; SignatureRefused."""
    raise NotImplementedError
