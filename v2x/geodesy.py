"""WGS84 and local East-North-Up, exactly: through Earth-centred coordinates, without a map projection.

Source: NIMA TR8350.2 (WGS84); B. R. Bowring, "Transformation from spatial to geographical coordinates", Survey Review 23
(1976), iterated. Quadkeys: Microsoft, Bing Maps Tile System (2022), "Sample code": TileSystem.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data_specs.arrays import Array, require_shape
from data_specs.errors import SpecError
from data_specs.messages import REFERENCE_FRAME, GeoPoint
from data_specs.pose import SE3

SEMI_MAJOR_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
QUADKEY_LEVEL = 18  # tiles of 153 m at the equator, 102 m at 48 degrees: about a crossing
_MERCATOR_LATITUDE_DEG = 85.05112878  # where the square of Web Mercator ends
_E2 = FLATTENING * (2 - FLATTENING)  # first eccentricity squared


def geo_from_map(origin: GeoPoint, xyz_m: Array) -> list[GeoPoint]:
    """The places of map points [n, 3] (East, North, Up of the origin, metres)."""
    require_shape("xyz_m", xyz_m, (None, 3))
    ecef_m = _ecef_m(origin)[0] + xyz_m @ _ecef_from_enu(origin).T
    return [GeoPoint(float(lat), float(lon), float(alt)) for lat, lon, alt in _geodetic(ecef_m)]


def map_from_geo(origin: GeoPoint, points: Sequence[GeoPoint]) -> Array:
    """Map points [n, 3] (East, North, Up of the origin, metres); a place of unknown altitude counts as at the origin's."""
    ecef_m = _ecef_m(*points, unknown_altitude_m=_altitude_m(origin))
    return (ecef_m - _ecef_m(origin)[0]) @ _ecef_from_enu(origin)


def map_from_reference(origin: GeoPoint, position: GeoPoint) -> SE3:
    """The pose in `map` of the East-North-Up frame at a message's reference position.

    Its axes lean against the map's by the curvature between the two places: 0.16 mrad at 1 km.
    """
    rotation = _ecef_from_enu(origin).T @ _ecef_from_enu(position)
    return SE3("map", REFERENCE_FRAME, rotation, map_from_geo(origin, [position])[0])


def quadkey(point: GeoPoint, level: int = QUADKEY_LEVEL) -> str:
    """The Web Mercator tile that holds a place: `level` digits 0 to 3, each a quarter of the tile before; poles are clipped."""
    if not 1 <= level <= 23:
        raise SpecError(f"quadkey: level {level}, expected 1 to 23")
    latitude_rad = math.radians(min(max(point.latitude_deg, -_MERCATOR_LATITUDE_DEG), _MERCATOR_LATITUDE_DEG))
    tiles = 1 << level
    x = min(int((point.longitude_deg + 180.0) / 360.0 * tiles), tiles - 1)
    y = min(int((0.5 - math.asinh(math.tan(latitude_rad)) / (2.0 * math.pi)) * tiles), tiles - 1)
    return "".join(str((x >> bit & 1) + 2 * (y >> bit & 1)) for bit in reversed(range(level)))


def _altitude_m(point: GeoPoint) -> float:
    return 0.0 if np.isnan(point.altitude_m) else point.altitude_m


def _ecef_m(*points: GeoPoint, unknown_altitude_m: float = 0.0) -> Array:
    """Earth-centred, Earth-fixed coordinates [n, 3] in metres."""
    table = np.array([(p.latitude_deg, p.longitude_deg, p.altitude_m) for p in points], float).reshape(-1, 3)
    lat, lon = np.radians(table[:, 0]), np.radians(table[:, 1])
    alt_m = np.where(np.isnan(table[:, 2]), unknown_altitude_m, table[:, 2])
    normal_m = SEMI_MAJOR_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    return np.stack([
        (normal_m + alt_m) * np.cos(lat) * np.cos(lon),
        (normal_m + alt_m) * np.cos(lat) * np.sin(lon),
        (normal_m * (1 - _E2) + alt_m) * np.sin(lat),
    ], axis=1)


def _ecef_from_enu(point: GeoPoint) -> Array:
    """Rotation [3, 3] from East, North, Up at a place to Earth-centred axes."""
    lat, lon = np.radians(point.latitude_deg), np.radians(point.longitude_deg)
    east = [-np.sin(lon), np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return np.array([east, north, up]).T


def _geodetic(ecef_m: Array) -> Array:
    """Latitude, longitude (degrees) and altitude (metres) [n, 3]; Bowring's iteration, to below a micrometre near Earth."""
    if not np.isfinite(ecef_m).all():
        raise SpecError("xyz_m: not finite, expected finite coordinates")
    x, y, z = ecef_m.T
    horizontal_m = np.hypot(x, y)
    reduced = np.arctan2(z, (1 - FLATTENING) * horizontal_m)
    for _ in range(4):
        lat = np.arctan2(z + _E2 / (1 - FLATTENING) * SEMI_MAJOR_M * np.sin(reduced) ** 3,
                         horizontal_m - _E2 * SEMI_MAJOR_M * np.cos(reduced) ** 3)
        reduced = np.arctan2((1 - FLATTENING) * np.sin(lat), np.cos(lat))
    normal_m = SEMI_MAJOR_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    # Along the normal: the projection on it is well conditioned at the equator and at the poles alike.
    alt_m = horizontal_m * np.cos(lat) + z * np.sin(lat) - normal_m * (1 - _E2 * np.sin(lat) ** 2)
    return np.stack([np.degrees(lat), np.degrees(np.arctan2(y, x)), alt_m], axis=1)
