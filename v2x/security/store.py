"""Whom to trust, as a folder: certificates as .oer files and a list of what has been revoked.

    roots/*.oer          trusted by themselves
    authorities/*.oer    between a root and the units, each issued by a root or by another authority
    units/*.oer          known senders, so that their digests say something from the first message on (may be missing)
    revoked.txt          HashedId8 or HashedId10 in hex, one a line, # starts a comment (may be missing)
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_specs.errors import InputError, MissingInput
from v2x.security.certificate import Certificate, read_certificate
from v2x.security.chains import Chain, chain_below
from v2x.security.errors import SignatureRefused

ROOTS, AUTHORITIES, UNITS, REVOKED = "roots", "authorities", "units", "revoked.txt"
_ID_OCTETS = (8, 10)


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Certificates that a receiver starts with; every signature among them holds."""

    authorities: Mapping[bytes, Chain]  # roots included, by HashedId8
    units: Mapping[bytes, Chain]
    revoked: frozenset[bytes]  # HashedId8 or HashedId10


def trust_store(roots: list[Certificate], authorities: list[Certificate], units: list[Certificate],
                revoked: frozenset[bytes] = frozenset()) -> TrustStore:
    """A store of those certificates, checked; SignatureRefused names the first that nobody of them issued."""
    known: dict[bytes, Chain] = {}
    for root in roots:
        if root.issuer is not None or not root.is_signed_by(None):
            raise SignatureRefused("bad-signature", f"root {root}", "one that signed itself")
        known[root.hashed_id8] = Chain(root, ())
    waiting = list(authorities)
    while waiting:
        ready = [certificate for certificate in waiting if certificate.issuer in known] or waiting[:1]
        known |= {certificate.hashed_id8: chain_below(certificate, known) for certificate in ready}
        waiting = [certificate for certificate in waiting if certificate not in ready]
    return TrustStore(known, {unit.hashed_id8: chain_below(unit, known) for unit in units}, revoked)


def read_trust_store(folder: Path) -> TrustStore:
    """The trust store of a folder; MissingInput, InputError or SignatureRefused, naming the file."""
    roots = _read_all(folder / ROOTS)
    if not roots:
        raise MissingInput(folder / ROOTS, "a root certificate (.oer)", "roadweave keys make FOLDER makes one to develop with")
    return trust_store(roots, _read_all(folder / AUTHORITIES), _read_all(folder / UNITS), read_revoked(folder / REVOKED))


def read_revoked(path: Path) -> frozenset[bytes]:
    """The identifiers of a revocation list; none where there is no such file; InputError names a line that is not one."""
    if not path.is_file():
        return frozenset()
    found = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        try:
            octets = bytes.fromhex(text)
        except ValueError:
            octets = b"?"
        if text and len(octets) not in _ID_OCTETS:
            raise InputError(f"{path}, line {number}", repr(text), "a HashedId8 or HashedId10: 16 or 20 hex digits")
        if text:
            found.add(octets)
    return frozenset(found)


def _read_all(folder: Path) -> list[Certificate]:
    return [read_certificate(path.read_bytes(), str(path)) for path in sorted(folder.glob("*.oer"))]
