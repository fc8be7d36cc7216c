"""Which crossings there are and which roadside units watch them: a TOML file a city keeps.

    [[crossing]]
    id = "demo"
    origin = [48.137, 11.575, 520.0]      # latitude, longitude (degrees), altitude (m): the origin of `map`
    polygon_m = [[-80, -80], [80, -80], [80, 80], [-80, 80]]   # East, North of the origin
    policy = "off"                        # signatures: required | preferred | off

    [[rsu]]
    name = "rsu-north"
    crossing = "demo"
    station_id = 101
    source = ""                           # GeoNetworking or MAC address, hex, or IP address; "" = not known
    certificate = ""                      # path, or its HashedId8 in hex; "" = none
    position_m = [12.0, 14.0, 6.0]        # East, North, Up of the origin
    heading_rad = -2.36                   # of the mast's +x, counter-clockwise from East
    # rotation = [...]                    # instead of heading_rad for a mast that leans: map_from_rsu, nine numbers by row
"""
from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint
from data_specs.pose import SE3

POLICIES = ("required", "preferred", "off")


@dataclass(frozen=True, slots=True)
class Crossing:
    id: str
    origin: GeoPoint
    polygon_m: Annotated[Array, Spec("f8", "n", 2)]  # East, North of the origin
    policy: str  # of signatures

    def __post_init__(self) -> None:
        lock_fields(self)
        if self.policy not in POLICIES:
            raise SpecError(f"policy: {self.policy!r}, expected one of {', '.join(POLICIES)}")


@dataclass(frozen=True, slots=True)
class Rsu:
    name: str
    crossing: str  # id
    station_id: int
    source: str  # GeoNetworking or MAC address, hex, or IP address; "" = not known
    certificate: str  # path, or its HashedId8: 16 hex digits; "" = none
    map_from_rsu: SE3


@dataclass(frozen=True, slots=True)
class Site:
    crossings: tuple[Crossing, ...]
    rsus: tuple[Rsu, ...]

    def __post_init__(self) -> None:
        known = {crossing.id for crossing in self.crossings}
        for rsu in self.rsus:
            if rsu.crossing not in known:
                raise SpecError(f"rsu {rsu.name}: crossing {rsu.crossing!r}, expected one of {sorted(known)}")

    def crossing(self, id: str) -> Crossing:
        for crossing in self.crossings:
            if crossing.id == id:
                return crossing
        raise SpecError(f"crossing {id!r} is unknown, expected one of {[c.id for c in self.crossings]}")

    def crossing_of(self, rsu_name: str) -> Crossing:
        """The crossing a roadside unit watches; SpecError if the unit is unknown."""
        for rsu in self.rsus:
            if rsu.name == rsu_name:
                return self.crossing(rsu.crossing)
        raise SpecError(f"rsu {rsu_name!r} is unknown, expected one of {[r.name for r in self.rsus]}")

    def publisher_of(self, rsu: Rsu) -> str:
        """What a unit's messages name as their sender: its certificate's digest where signatures are looked at, else its address,
        else its name."""
        signs = self.crossing(rsu.crossing).policy != "off" and re.fullmatch("[0-9a-f]{16}", rsu.certificate)
        return rsu.certificate if signs else rsu.source or rsu.name

    def to_dict(self) -> dict[str, Any]:
        """The plain form that `site_from_dict` reads back, and that a drive's manifest holds."""
        return {
            "crossing": [
                {"id": c.id, "origin": [c.origin.latitude_deg, c.origin.longitude_deg, _known(c.origin.altitude_m)],
                 "polygon_m": c.polygon_m.tolist(), "policy": c.policy}
                for c in self.crossings
            ],
            "rsu": [
                {"name": r.name, "crossing": r.crossing, "station_id": r.station_id, "source": r.source,
                 "certificate": r.certificate, "position_m": r.map_from_rsu.translation_m.tolist(),
                 "heading_rad": r.map_from_rsu.yaw_rad, "rotation": r.map_from_rsu.rotation.ravel().tolist()}
                for r in self.rsus
            ],
        }


def site_from_dict(tables: dict[str, Any], where: str) -> Site:
    """Build a Site from parsed TOML or JSON; InputError names the table and key that is wrong."""
    crossings = tuple(_crossing(row, f"{where}: crossing {i}") for i, row in enumerate(tables.get("crossing", [])))
    rsus = tuple(_rsu(row, f"{where}: rsu {i}") for i, row in enumerate(tables.get("rsu", [])))
    try:
        return Site(crossings, rsus)
    except SpecError as error:
        raise InputError(where, str(error), "rsus of known crossings") from error


def read_site(path: Path) -> Site:
    """Read a site file; MissingInput or InputError with the place of what is wrong."""
    if not path.is_file():
        raise MissingInput(path, "a site file (TOML)")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, str(error), "TOML") from error
    return site_from_dict(tables, str(path))


def read_signed_site(path: Path) -> Site:
    """As read_site, with each certificate that is a path (from the site file's folder) as the digest that names its owner.

    The digest is the HashedId8 of IEEE 1609.2, 6.3.26: the last eight octets of the SHA-256 of the certificate's encoding, as
    16 hex digits. MissingInput for a certificate that is not there.
    """
    site = read_site(path)
    return replace(site, rsus=tuple(replace(rsu, certificate=_digest(rsu.certificate, path.parent)) for rsu in site.rsus))


def _digest(certificate: str, folder: Path) -> str:
    if not certificate or re.fullmatch("[0-9a-fA-F]{16}", certificate):
        return certificate.lower()
    path = folder / certificate
    if not path.is_file():
        raise MissingInput(path, "a certificate, as the site file says")
    return sha256(path.read_bytes()).digest()[-8:].hex()


def _known(value: float) -> float | None:
    """None for NaN, which JSON has no word for."""
    return None if value != value else value


def _crossing(row: dict[str, Any], where: str) -> Crossing:
    try:
        latitude_deg, longitude_deg, altitude_m = row["origin"]
        origin = GeoPoint(float(latitude_deg), float(longitude_deg), float("nan") if altitude_m is None else float(altitude_m))
        return Crossing(row["id"], origin, np.array(row["polygon_m"], float).reshape(-1, 2),
                        row.get("policy", "off"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(where, f"{type(error).__name__} {error}", "id, origin [lat, lon, alt], polygon_m, policy") from error


def _rsu(row: dict[str, Any], where: str) -> Rsu:
    try:
        position_m = np.array(row["position_m"], float)
        pose = SE3.from_yaw("map", row["name"], float(row.get("heading_rad", 0.0)), position_m)
        if "rotation" in row:
            pose = SE3("map", row["name"], np.array(row["rotation"], float).reshape(3, 3), position_m)
        return Rsu(row["name"], row["crossing"], int(row["station_id"]), row.get("source", ""), row.get("certificate", ""), pose)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(where, f"{type(error).__name__} {error}", "name, crossing, station_id, position_m") from error
