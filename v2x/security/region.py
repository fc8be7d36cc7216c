"""Whether a place lies in the region that a certificate is bound to.

Source: IEEE Std 1609.2-2022, GeographicRegion (circles, rectangles and polygons on the ellipsoid, regions by their number).
Distances are along the straight line between two places: 1 m short of the arc at the largest circle, 65 km. An edge of a
polygon is the great circle between its ends.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.messages import GeoPoint
from v2x.geodesy import SEMI_MAJOR_M, map_from_geo
from v2x.security.tables import UNITS_PER_DEGREE

Region = tuple[str, Any]  # a value of GeographicRegion


def inside(region: Region, place: GeoPoint, countries: frozenset[int]) -> bool:
    """Whether the place lies in the region, its border included.

    `countries` are the United Nations M49 numbers of all that the place lies in (276 Germany, 150 Europe, ...): borders are not
    known here. A part of a country (countryAndRegions, countryAndSubregions) holds no place.
    """
    choice, content = region
    match choice:
        case "circularRegion":
            return _distance_m(_point(content["center"]), place) <= content["radius"]
        case "rectangularRegion":
            return any(_in_rectangle(rectangle, place) for rectangle in content)
        case "polygonalRegion":
            return _in_polygon([_point(corner) for corner in content], place)
        case _:
            return any(kind == "countryOnly" and number in countries for kind, number in content)


def in_words(region: Region) -> str:
    """The region for a person."""
    choice, content = region
    match choice:
        case "circularRegion":
            return f"{content['radius']} m around {_place_in_words(content['center'])}"
        case "rectangularRegion":
            return " or ".join(f"{_place_in_words(r['northWest'])} to {_place_in_words(r['southEast'])}" for r in content)
        case "polygonalRegion":
            return f"polygon of {len(content)} corners from {_place_in_words(content[0])}"
        case _:
            return "country " + ", ".join(str(number if kind == "countryOnly" else number["countryOnly"]) + (
                "" if kind == "countryOnly" else " in part") for kind, number in content)


def _place_in_words(location: dict[str, int]) -> str:
    return f"{location['latitude'] / UNITS_PER_DEGREE:.6f}, {location['longitude'] / UNITS_PER_DEGREE:.6f}"


def _point(location: dict[str, int]) -> GeoPoint:
    """The place of a TwoDLocation, on the ellipsoid."""
    return GeoPoint(location["latitude"] / UNITS_PER_DEGREE, location["longitude"] / UNITS_PER_DEGREE, 0.0)


def _flat(place: GeoPoint) -> GeoPoint:
    """The place put onto the ellipsoid: a height is no part of a region (CircularRegion)."""
    return GeoPoint(place.latitude_deg, place.longitude_deg, 0.0)


def _distance_m(a: GeoPoint, b: GeoPoint) -> float:
    return float(np.linalg.norm(map_from_geo(_flat(a), [_flat(b)])))


def _in_rectangle(rectangle: dict[str, Any], place: GeoPoint) -> bool:
    """Sides along latitudes and longitudes; where the west corner is the greater it spans the 180th meridian."""
    latitude, longitude = round(place.latitude_deg * UNITS_PER_DEGREE), round(place.longitude_deg * UNITS_PER_DEGREE)
    west, east = rectangle["northWest"]["longitude"], rectangle["southEast"]["longitude"]
    if not rectangle["southEast"]["latitude"] <= latitude <= rectangle["northWest"]["latitude"]:
        return False
    return west <= longitude <= east if west <= east else longitude >= west or longitude <= east


def _in_polygon(corners: Iterable[GeoPoint], place: GeoPoint) -> bool:
    """Whether a line from the place to the east crosses an odd number of edges, or the place is on one.

    The corners are projected, from one Earth radius below the place, onto the plane that touches the Earth there: great
    circles become lines.
    """
    enu_m = map_from_geo(_flat(place), list(corners))
    depth_m = enu_m[:, 2:] + SEMI_MAJOR_M
    if (depth_m <= 0.0).any():
        return False  # a corner beyond the horizon: no polygon around a place is that large
    start = enu_m[:, :2] / depth_m
    end = np.roll(start, -1, axis=0)
    return bool(_on_an_edge(start, end).any() or _crossings(start, end).sum() % 2)


def _crossings(start: Array, end: Array) -> Array:
    """Which edges [n] cross the half-line from the origin to the east."""
    straddles = (start[:, 1] > 0.0) != (end[:, 1] > 0.0)
    rise = np.where(straddles, end[:, 1] - start[:, 1], 1.0)
    east = start[:, 0] - start[:, 1] * (end[:, 0] - start[:, 0]) / rise
    return straddles & (east > 0.0)


def _on_an_edge(start: Array, end: Array) -> Array:
    """Which edges [n] pass the origin within 1e-9 rad (6 mm)."""
    along = end - start
    share = np.clip(-(start * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-30), 0.0, 1.0)
    return np.linalg.norm(start + share[:, None] * along, axis=1) <= 1e-9
