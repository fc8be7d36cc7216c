"""Shapes of CPM v2.1.1 (TS 102 894-2 V2.1.1, Shape) as polygons and as a sensor's field of view.

Angles are taken counter-clockwise from East, lengths in metres around the message's reference position.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import SpecError

_ARC_POINTS = 24  # of a whole circle
_UNAVAILABLE_ANGLE = 3601
MAX_LENGTH_M = 409.5


def field_of_view(shape: dict[str, Any] | None) -> tuple[float, float, float]:
    """Range (m), opening and heading (rad) of a radial or circular shape; NaN where the shape does not say."""
    if shape is not None and shape["choice"] == "circular":
        return shape["value"]["radius"] / 10, 2 * math.pi, math.nan
    if shape is not None and shape["choice"] == "radial":
        start, sweep = _sector(shape["value"])
        return shape["value"]["range"] / 10, sweep, math.remainder(start + sweep / 2, 2 * math.pi)
    return math.nan, math.nan, math.nan


def shape_of_view(range_m: float, opening_rad: float, heading_rad: float) -> dict[str, Any] | None:
    """The inverse of `field_of_view`; None where there is no range. SpecError for a range that no shape can say."""
    if math.isnan(range_m):
        return None
    if not 0.0 <= range_m <= MAX_LENGTH_M:
        raise SpecError(f"range_m: {range_m}, expected 0 to {MAX_LENGTH_M}")
    if math.isnan(heading_rad) or not opening_rad < 2 * math.pi - 1e-3:
        return {"choice": "circular", "value": {"radius": round(range_m * 10)}}
    start, end = heading_rad - opening_rad / 2, heading_rad + opening_rad / 2
    return {"choice": "radial", "value": {
        "range": round(range_m * 10),
        "horizontalOpeningAngleStart": _tenth_degrees(start),
        "horizontalOpeningAngleEnd": _tenth_degrees(end),
    }}


def polygon_m(shape: dict[str, Any]) -> Array | None:
    """The outline [k, 2] (East, North) of a shape; None for radial lists and for shapes unknown here."""
    value, center_m = shape["value"], np.zeros(2)
    if shape["choice"] in ("rectangular", "circular", "polygonal", "elliptical", "radial"):
        center_m = _point_m(value["shapeReferencePoint"]) if "shapeReferencePoint" in value else center_m
    match shape["choice"]:
        case "polygonal":
            return center_m + np.array([_point_m(point) for point in value["polygon"]])
        case "circular":
            return center_m + value["radius"] / 10 * _arc(0.0, 2 * math.pi)
        case "elliptical":
            axes_m = np.array([value["semiMajorAxisLength"], value["semiMinorAxisLength"]]) / 10
            return center_m + (_arc(0.0, 2 * math.pi) * axes_m) @ _turn(value).T
        case "rectangular":
            half_m = np.array([value["semiLength"], value["semiBreadth"]]) / 10
            return center_m + (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half_m) @ _turn(value).T
        case "radial":
            start, sweep = _sector(value)
            return center_m + np.concatenate([np.zeros((1, 2)), value["range"] / 10 * _arc(start, sweep)])
        case _:
            return None


def polygon_shape(polygon: Array) -> dict[str, Any]:
    """A polygon [k, 2] in metres as a polygonal shape."""
    points = [{"xCoordinate": round(east * 100), "yCoordinate": round(north * 100)} for east, north in polygon.tolist()]
    return {"choice": "polygonal", "value": {"polygon": points}}


def _point_m(point: dict[str, int]) -> Array:
    return np.array([point["xCoordinate"], point["yCoordinate"]]) / 100


def _sector(value: dict[str, int]) -> tuple[float, float]:
    """Start and sweep (rad) of horizontal opening angles; equal or unavailable ones mean all around."""
    start, end = value["horizontalOpeningAngleStart"], value["horizontalOpeningAngleEnd"]
    if _UNAVAILABLE_ANGLE in (start, end):
        return 0.0, 2 * math.pi
    return math.radians(start / 10), math.radians(((end - start) % 3600 or 3600) / 10)


def _arc(start: float, sweep: float) -> Array:
    """Points [k, 2] on the unit circle; the end of a whole circle is not repeated."""
    whole = sweep > 2 * math.pi - 1e-9
    angles = start + np.linspace(0.0, sweep, _ARC_POINTS if whole else _ARC_POINTS // 2 + 1, endpoint=not whole)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _turn(value: dict[str, int]) -> Array:
    tenths = value.get("orientation", 0)
    angle = 0.0 if tenths == _UNAVAILABLE_ANGLE else math.radians(tenths / 10)
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _tenth_degrees(angle_rad: float) -> int:
    return round(math.degrees(angle_rad) * 10) % 3600
