"""Certificates of IEEE 1609.2: read from octets, told apart by hash, checked against their issuer.

Source: IEEE Std 1609.2-2022, 6.4 (certificates), 6.4.3 (whole-certificate hash and canonical form), 5.1.2 (chains).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

from data_specs.clock import NS_PER_S, iso_utc, unix_ns_from_its_ms
from v2x.security.ecdsa import NO_SIGNER, compressed, public_key, sign_hash, signature_holds, signature_x, signed_hash
from v2x.security.errors import SignatureRefused, refusing
from v2x.security.oer import OCTETS
from v2x.security.oer_read import reader
from v2x.security.oer_write import writer
from v2x.security.permissions import Ssp, issued_psids
from v2x.security.region import Region, in_words
from v2x.security.tables import CERTIFICATE, PROTOCOL_VERSION, TO_BE_SIGNED_CERTIFICATE

_YEAR_S = 31_556_952  # Duration
_UNIT_NS = {"microseconds": 1000, "milliseconds": 10**6, "seconds": NS_PER_S, "minutes": 60 * NS_PER_S, "hours": 3600 * NS_PER_S,
            "sixtyHours": 60 * 3600 * NS_PER_S, "years": _YEAR_S * NS_PER_S}
_YEAR_10000_NS = 253_402_300_800 * NS_PER_S
_read = reader(CERTIFICATE, "certificate")
_write = writer(CERTIFICATE, "certificate")
_write_signed_part = writer(TO_BE_SIGNED_CERTIFICATE, "certificate.toBeSigned")


@dataclass(frozen=True)
class Certificate:
    """An explicit certificate whose key is on NIST P-256."""

    octets: bytes  # canonical
    issuer: bytes | None  # HashedId8; None = signed by itself
    name: str  # "" = none; binary ones in hex
    start_ns: int  # Unix ns
    end_ns: int
    region: Region | None  # None = that of the issuer
    permissions: Mapping[int, Ssp]  # by psid: what it may sign
    issue: tuple[dict[str, Any], ...]  # certIssuePermissions: what those below may sign
    key: EllipticCurvePublicKey
    signature: tuple[str, Any]
    signed_part_hash: bytes

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of the whole certificate."""
        return sha256(self.octets).digest()

    @property
    def hashed_id8(self) -> bytes:
        """The name that messages and certificates call it by."""
        return self.hash[-8:]

    def is_signed_by(self, issuer: Certificate | None) -> bool:
        """Whether the signature is that of the issuer; None: its own."""
        key, signer_hash = (self.key, NO_SIGNER) if issuer is None else (issuer.key, issuer.hash)
        return signature_holds(key, self.signature, signed_hash(self.signed_part_hash, signer_hash))

    def __str__(self) -> str:
        """Its name, fit for one line whatever a stranger put there, and its HashedId8."""
        name = self.name if self.name.isprintable() else ascii(self.name)
        return f"{name or 'unnamed'} ({self.hashed_id8.hex()})"


def read_certificate(octets: bytes, where: str = "certificate") -> Certificate:
    """The certificate in some octets, all of them; SignatureRefused (malformed, unsupported) says what is wrong."""
    return certificate_of(certificate_value(octets, where))


def certificate_value(octets: bytes, where: str = "certificate") -> dict[str, Any]:
    """The plain value of a certificate; SignatureRefused (malformed, unsupported)."""
    with refusing(where):
        return _read(octets)


def certificate_of(value: dict[str, Any]) -> Certificate:
    """The certificate of a read value; SignatureRefused for one that is implicit, incomplete or hashed otherwise."""
    body = value["toBeSigned"]
    if value["type"] != "explicit" or "signature" not in value:
        raise SignatureRefused("unsupported", f"a certificate of type {value['type']}", "an explicit one with its signature")
    issued_by, issuer = value["issuer"]
    if issued_by != "sha256AndDigest" and (issued_by, issuer) != ("self", "sha256"):
        raise SignatureRefused("unsupported", f"issuer {issued_by} {issuer if issued_by == 'self' else ''}".strip(), "SHA-256")
    octets, signed_part = _canonical(value)
    duration_unit, duration = body["validityPeriod"]["duration"]
    start_ns = unix_ns_from_its_ms(body["validityPeriod"]["start"] * 1000)
    return Certificate(
        octets, None if issued_by == "self" else issuer, _name(*body["id"]), start_ns,
        start_ns + duration * _UNIT_NS[duration_unit], body.get("region"),
        {entry["psid"]: entry.get("ssp") for entry in body.get("appPermissions", [])},
        tuple(body.get("certIssuePermissions", [])), public_key(body["verifyKeyIndicator"][1][1]),
        value["signature"], sha256(signed_part).digest())


def sign_certificate(body: dict[str, Any], issuer: Certificate | None, key: EllipticCurvePrivateKey) -> bytes:
    """The octets of a certificate with that body (toBeSigned), signed with the issuer's key; without an issuer by its own."""
    digest = signed_hash(sha256(_write_signed_part(body)).digest(), NO_SIGNER if issuer is None else issuer.hash)
    return _write({"version": PROTOCOL_VERSION, "type": "explicit", "toBeSigned": body, "signature": sign_hash(key, digest),
                   "issuer": ("self", "sha256") if issuer is None else ("sha256AndDigest", issuer.hashed_id8)})


def describe(certificate: Certificate) -> dict[str, Any]:
    """The certificate as plain values, for JSON and for people."""
    return {"name": certificate.name, "publisher": certificate.hashed_id8.hex(), "sha256": certificate.hash.hex(),
            "issuer": "itself" if certificate.issuer is None else certificate.issuer.hex(),
            "valid_from": _moment(certificate.start_ns), "valid_until": _moment(certificate.end_ns),
            "region": "not bound" if certificate.region is None else in_words(certificate.region),
            "signs_psids": sorted(certificate.permissions), "issues_for_psids": issued_psids(certificate.issue),
            "octets": len(certificate.octets)}


def _moment(unix_ns: int) -> str:
    """The time in ISO form; a validity may end beyond the years that this form has."""
    return iso_utc(unix_ns) if unix_ns < _YEAR_10000_NS else "after the year 9999"


def _name(kind: str, content: Any) -> str:
    match kind:
        case "name":
            return content
        case "binaryId":
            return content.hex()
        case "linkageData":
            return content["linkage-value"].hex()
        case _:
            return ""


def _canonical(value: dict[str, Any]) -> tuple[bytes, bytes]:
    """Octets of the certificate and of its signed part with keys compressed and the signature as r alone (6.4.3)."""
    body = value["toBeSigned"]
    key_kind, key = body["verifyKeyIndicator"][1]
    signed_part = {"verifyKeyIndicator": ("verificationKey", (key_kind, compressed(key)))}
    if "encryptionKey" in body:
        curve, point = body["encryptionKey"]["publicKey"]
        signed_part["encryptionKey"] = body["encryptionKey"] | {"publicKey": (curve, compressed(point))}
    algorithm, numbers = value["signature"]
    signature = (algorithm, numbers | {"rSig": ("x-only", signature_x(numbers["rSig"]))})
    if body | signed_part == body and signature == value["signature"]:
        return value[OCTETS], body[OCTETS]
    body = body | signed_part
    return _write(value | {"toBeSigned": body, "signature": signature}), _write_signed_part(body)
