"""Tracks, the ego's way, roadside units and crossings as GeoJSON, for maps.

Source: RFC 7946: WGS84 longitude before latitude, no crs member, outer rings counter-clockwise, seven decimals (1 cm).
"""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.messages import GeoPoint
from replay.export import Span
from replay.recorded import RecordedDrive
from replay.search_tables import flat_tables

GeoFromMap = Callable[[GeoPoint, Array], Sequence[GeoPoint]]  # of the floor above
Columns = Mapping[str, Array]
Feature = dict[str, Any]
DECIMALS = 7


def write_geojson(drive: RecordedDrive, out: Path, topics: Sequence[str], span: Span, geo_from_map: GeoFromMap) -> dict[str, int]:
    """Write one FeatureCollection; how many features of each kind it holds.

    A track is a LineString with its times, a Point where it was seen once; objects without a track are left out. InputError for
    a drive that does not know where on Earth it is, or that has none of `topics`.
    """
    origin = drive.info.origin
    if (origin.latitude_deg, origin.longitude_deg) == (0.0, 0.0):
        raise InputError(drive.path, "an origin at 0, 0: where on Earth it is was not recorded", "a drive with a place")
    tables = flat_tables(drive)
    objects, ego = ({name: tables[kind][name].to_numpy() for name in tables[kind].column_names} for kind in ("objects", "ego"))
    features = [*_tracks(objects, drive, topics, span, geo_from_map), *_ego(ego, drive, span, geo_from_map),
                *_site(drive, geo_from_map)]
    counts = Counter(feature["properties"]["kind"] for feature in features)
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":")))
    return dict(counts)


def _tracks(rows: Columns, drive: RecordedDrive, topics: Sequence[str], span: Span,
            geo_from_map: GeoFromMap) -> Iterator[Feature]:
    there = sorted(set(rows["topic"].tolist()))
    if absent := sorted(set(topics) - set(there)):
        raise InputError(drive.path, f"no objects in map on {', '.join(absent)}", f"one of {', '.join(there) or 'none'}")
    for topic in topics:
        chosen = np.flatnonzero((rows["topic"] == topic) & (rows["track_id"] >= 0) & span.holds(rows["time_ns"]))
        for track_id in np.unique(rows["track_id"][chosen]):
            own = chosen[rows["track_id"][chosen] == track_id]
            own = own[np.argsort(rows["time_ns"][own], kind="stable")]
            classes, counts = np.unique(rows["class"][own].astype(str), return_counts=True)
            yield _line("track", rows, own, drive, geo_from_map, {
                "topic": topic, "track_id": int(track_id), "class": str(classes[counts.argmax()]),
                "most_speed_mps": _greatest(rows["speed_mps"][own]), "most_score": _greatest(rows["score"][own])})


def _ego(rows: Columns, drive: RecordedDrive, span: Span, geo_from_map: GeoFromMap) -> Iterator[Feature]:
    own = np.flatnonzero(span.holds(rows["time_ns"]))
    if len(own):
        yield _line("ego", rows, own, drive, geo_from_map, {})


def _site(drive: RecordedDrive, geo_from_map: GeoFromMap) -> Iterator[Feature]:
    info = drive.info
    for rsu in info.site.rsus:
        at = geo_from_map(info.site.crossing_of(rsu.name).origin, rsu.map_from_rsu.translation_m[None])
        yield _feature("Point", _coordinates(at)[0], {"kind": "rsu", "name": rsu.name, "crossing": rsu.crossing})
    for crossing in info.site.crossings:
        corners = crossing.polygon_m
        ring = corners if _doubled_area_m2(corners) >= 0 else corners[::-1]
        places = geo_from_map(crossing.origin, np.column_stack([np.vstack([ring, ring[:1]]), np.zeros(len(ring) + 1)]))
        yield _feature("Polygon", [_coordinates(places)], {"kind": "crossing", "name": crossing.id, "policy": crossing.policy})


def _line(kind: str, rows: Columns, own: Array, drive: RecordedDrive, geo_from_map: GeoFromMap,
          properties: dict[str, Any]) -> Feature:
    xyz_m = np.column_stack([rows[name][own] for name in ("x_m", "y_m", "z_m")]).astype(float)
    times_ns = rows["time_ns"][own]
    coordinates = _coordinates(geo_from_map(drive.info.origin, xyz_m))
    start = datetime.fromtimestamp(int(times_ns[0]) / 1e9, UTC).isoformat(timespec="milliseconds")
    t_s = np.round((times_ns - drive.info.start_ns) / 1e9, 3).tolist()
    told = {"kind": kind, "start": start, "t_s": t_s} | properties
    return _feature("LineString", coordinates, told) if len(coordinates) > 1 else _feature("Point", coordinates[0], told)


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> Feature:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _coordinates(places: Sequence[GeoPoint]) -> list[list[float]]:
    return [[round(place.longitude_deg, DECIMALS), round(place.latitude_deg, DECIMALS)] for place in places]


def _doubled_area_m2(corners: Array) -> float:
    x, y = corners.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _greatest(values: Array) -> float | None:
    """None where none is known: JSON has no word for NaN."""
    known = values[~np.isnan(values)]
    return round(float(known.max()), 3) if len(known) else None
