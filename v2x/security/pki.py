"""Keys and certificates to develop and test with: a root, an authority below it, and units below that.

Source: ETSI TS 103 097 V2.1.1, 7.2 (profiles of root, authorization authority and authorization ticket); the permissions of
the authorities name the applications that the units get, with any SSP. Units are named, so these are no pseudonyms.
"""
from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from data_specs.clock import NS_PER_S, its_ms_from_unix_ns
from data_specs.errors import InputError, SpecError
from v2x.security.certificate import Certificate, read_certificate, sign_certificate
from v2x.security.ecdsa import point_of
from v2x.security.permissions import Ssp
from v2x.security.psids import (
    BSM,
    CAM,
    CPM,
    DENM,
    INTERSECTION,
    MAP_DISTRIBUTION,
    MAPEM,
    PSM,
    SENSOR_SHARING,
    SPATEM,
    VAM,
)
from v2x.security.region import Region
from v2x.security.sign import PRIVATE
from v2x.security.store import AUTHORITIES, REVOKED, ROOTS, UNITS

UNIT_PSIDS = (CAM, DENM, SPATEM, MAPEM, VAM, CPM, BSM, PSM, INTERSECTION, SENSOR_SHARING, MAP_DISTRIBUTION)
DAYS = 365
_UNIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES = ("root", "authority")


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey


def certify(name: str, issuer: Identity | None, start_ns: int, hours: int, *, app: Mapping[int, Ssp] | None = None,
            issue: list[dict[str, Any]] | None = None, region: Region | None = None) -> Identity:
    """A new key and its certificate, signed by the issuer, or by itself.

    `app`: what it may sign, by psid; `issue`: certIssuePermissions; one of them at least. Valid from `start_ns` (whole seconds)
    for `hours`, at most 65,535.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    body: dict[str, Any] = {
        "id": ("name", name), "cracaId": bytes(3), "crlSeries": 0,
        "validityPeriod": {"start": its_ms_from_unix_ns(start_ns) // 1000, "duration": ("hours", hours)},
        "verifyKeyIndicator": ("verificationKey", ("ecdsaNistP256", point_of(key.public_key())))}
    if app:
        body["appPermissions"] = [{"psid": psid} | ({} if ssp is None else {"ssp": ssp}) for psid, ssp in sorted(app.items())]
    if issue:
        body["certIssuePermissions"] = issue
    if region is not None:
        body["region"] = region
    octets = sign_certificate(body, *((None, key) if issuer is None else (issuer.certificate, issuer.key)))
    return Identity(read_certificate(octets, name), key)


def issue_permissions(psids: tuple[int, ...], certificates_below: int) -> list[dict[str, Any]]:
    """certIssuePermissions for chains of that many certificates below, for applications with any SSP."""
    group: dict[str, Any] = {"subjectPermissions": ("explicit", [{"psid": psid} for psid in sorted(psids)])}
    return [group if certificates_below == 1 else group | {"minChainLength": certificates_below}]


def make_authorities(start_ns: int, hours: int, psids: tuple[int, ...] = UNIT_PSIDS) -> tuple[Identity, Identity]:
    """A root, and an authority that it lets issue certificates of units."""
    root = certify("root", None, start_ns, hours, issue=issue_permissions(psids, 2))
    return root, certify("authority", root, start_ns, hours, issue=issue_permissions(psids, 1))


def make_unit(name: str, authority: Identity, start_ns: int, hours: int, psids: tuple[int, ...] = UNIT_PSIDS) -> Identity:
    """A unit that may sign for some applications, with no SSP."""
    return certify(name, authority, start_ns, hours, app=dict.fromkeys(psids))


def make_keys(folder: Path, units: list[str], start_ns: int, days: int = DAYS) -> list[Path]:
    """Make root, authority and units in a folder that does not exist yet; the files made, keys not among them.

    Private keys are readable by their owner alone. InputError where the folder exists; SpecError for a unit's name that is no
    file name, or is given twice. Nothing is left behind where making fails.
    """
    for unit in units:
        if not _UNIT_NAME.fullmatch(unit) or unit in _NAMES or units.count(unit) > 1:
            raise SpecError(f"unit: {unit!r}, expected a name of its own of letters, digits, '.', '_' and '-'")
    if folder.exists():
        raise InputError(folder, "there already", "a folder to be made", "keys are never overwritten")
    aside = folder.parent / f".{folder.name}.making"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True, mode=0o700)
    try:
        made = _write_all(aside, units, start_ns // NS_PER_S * NS_PER_S, 24 * days)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return [folder / path.relative_to(aside) for path in made]


def _write_all(folder: Path, units: list[str], start_ns: int, hours: int) -> list[Path]:
    root, authority = make_authorities(start_ns, hours)
    made = [_write_identity(folder, ROOTS, "root", root), _write_identity(folder, AUTHORITIES, "authority", authority)]
    made += [_write_identity(folder, UNITS, unit, make_unit(unit, authority, start_ns, hours)) for unit in units]
    (folder / REVOKED).write_text("# HashedId8 or HashedId10 of revoked certificates in hex, one a line\n", encoding="utf-8")
    return made


def _write_identity(folder: Path, kind: str, name: str, identity: Identity) -> Path:
    for sub in (kind, PRIVATE):
        (folder / sub).mkdir(mode=0o755 if sub == kind else 0o700, exist_ok=True)
    secret = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(folder / PRIVATE / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    path = folder / kind / f"{name}.oer"
    path.write_bytes(identity.certificate.octets)
    return path
