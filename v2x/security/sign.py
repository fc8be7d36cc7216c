"""Signs messages as TS 103 097 asks: the certificate once a second, its digest in between.

Source: ETSI TS 103 097 V2.1.1, 7.1.1 (CAM: certificate once a second, else digest), 7.1.2 (DENM: always the certificate, and
where it was made), 7.1.3 (other messages: either one). CPM and all others are signed as CAM are.
"""
from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from data_specs.clock import NS_PER_MS, NS_PER_S, its_ms_from_unix_ns
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint
from v2x.security.certificate import Certificate, certificate_value, read_certificate
from v2x.security.ecdsa import sign_hash, signed_hash
from v2x.security.oer_write import writer
from v2x.security.psids import DENM
from v2x.security.store import UNITS
from v2x.security.tables import DATA, PROTOCOL_VERSION, TO_BE_SIGNED_DATA, UNITS_PER_DEGREE

PRIVATE = "private"
_CERTIFICATE_EVERY_NS = NS_PER_S
_SEA_LEVEL_DM, _HIGHEST_DM = 4096, 65535  # Elevation: 0 = -409.6 m, in 0.1 m
_write = writer(DATA, "signed message")
_write_signed_part = writer(TO_BE_SIGNED_DATA, "tbsData")


class Signer:
    """One unit's private key and certificate."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey, certificate: Certificate) -> None:
        """SpecError where the key is not that of the certificate."""
        if private_key.public_key() != certificate.key:
            raise SpecError(f"private key: another one than that of certificate {certificate}, expected its own")
        self._key = private_key
        self._certificate = certificate
        self._certificate_value = certificate_value(certificate.octets)
        self._certificate_sent_ns: int | None = None

    @property
    def publisher(self) -> str:
        """HashedId8 of the certificate, 16 hex digits: what a Verifier will call the sender."""
        return self._certificate.hashed_id8.hex()

    def sign(self, payload: bytes, psid: int, generated_ns: int, place: GeoPoint | None = None) -> bytes:
        """Ieee1609Dot2Data of type signedData around the payload.

        `generated_ns`: Unix ns, also the clock that says when a certificate is due. `place`: where the message is made; a DENM
        needs one. SpecError without it, and for an application that the certificate may not sign for.
        """
        if psid not in self._certificate.permissions:
            raise SpecError(f"psid: {psid}, expected one of certificate {self._certificate}: "
                            f"{', '.join(map(str, sorted(self._certificate.permissions)))}")
        header: dict[str, Any] = {"psid": psid, "generationTime": _time64(generated_ns)}
        if place is not None:
            header["generationLocation"] = _location(place)
        elif psid == DENM:
            raise SpecError("place: missing, expected where the DENM is made (TS 103 097, 7.1.2)")
        inner = {"protocolVersion": PROTOCOL_VERSION, "content": ("unsecuredData", payload)}
        body = {"payload": {"data": inner}, "headerInfo": header}
        digest = signed_hash(sha256(_write_signed_part(body)).digest(), self._certificate.hash)
        return _write({"protocolVersion": PROTOCOL_VERSION, "content": ("signedData", {
            "hashId": "sha256", "tbsData": body, "signer": self._identifier(psid, generated_ns),
            "signature": sign_hash(self._key, digest)})})

    def _identifier(self, psid: int, now_ns: int) -> tuple[str, Any]:
        """The certificate where one is due, or where the clock went back; else its digest."""
        sent_ns = self._certificate_sent_ns
        if psid != DENM and sent_ns is not None and 0 <= now_ns - sent_ns < _CERTIFICATE_EVERY_NS:
            return "digest", self._certificate.hashed_id8
        self._certificate_sent_ns = now_ns
        return "certificate", [self._certificate_value]


def read_signer(folder: Path, unit: str) -> Signer:
    """The signer of a unit that `roadweave keys make FOLDER` made: FOLDER/units/UNIT.oer and FOLDER/private/UNIT.pem.

    MissingInput; InputError for a key that others may read, or that is not a private key on NIST P-256.
    """
    certificate_path, key_path = folder / UNITS / f"{unit}.oer", folder / PRIVATE / f"{unit}.pem"
    for path, what in ((certificate_path, "the unit's certificate"), (key_path, "the unit's private key")):
        if not path.is_file():
            raise MissingInput(path, what, "roadweave keys make FOLDER --units NAME,NAME makes them")
    return Signer(read_private_key(key_path), read_certificate(certificate_path.read_bytes(), str(certificate_path)))


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM file (PKCS8, not encrypted) that its owner alone may read."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InputError(path, f"a private key of mode {mode:04o}", "0600: its owner's alone", f"chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise InputError(path, "something else", "a private key in PEM, not encrypted") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise InputError(path, "a private key of another kind", "one on NIST P-256")
    return key


def _time64(unix_ns: int) -> int:
    """Time64 of Unix nanoseconds: TAI microseconds since 2004, rounded down."""
    return its_ms_from_unix_ns(unix_ns) * 1000 + unix_ns % NS_PER_MS // 1000


def _location(place: GeoPoint) -> dict[str, int]:
    altitude_m = 0.0 if place.altitude_m != place.altitude_m else place.altitude_m
    elevation_dm = min(max(round(altitude_m * 10) + _SEA_LEVEL_DM, 0), _HIGHEST_DM)
    return {"latitude": round(place.latitude_deg * UNITS_PER_DEGREE), "longitude": round(place.longitude_deg * UNITS_PER_DEGREE),
            "elevation": elevation_dm}
