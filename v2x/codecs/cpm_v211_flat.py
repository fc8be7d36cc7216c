"""Octets of a CPM v2.1.1 straight to a RoadsideMessage: its arrays are filled from the flat array, without plain values.

Says what `cpm_v211_decode.message_of` says, of which this is the fast twin; only the shapes of what sensors see go through
plain values. A container that is there twice counts as its last.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.arrays import unchecked
from data_specs.boxes import Boxes3D
from data_specs.clock import unix_ns_from_its_ms
from data_specs.messages import REFERENCE_FRAME, Header, PerceptionRegion, RoadsideMessage, SensorInfo
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import cdd_v211
from v2x.codecs.build import builder
from v2x.codecs.classes import class_from_v211
from v2x.codecs.cpm_v211 import FORMS
from v2x.codecs.cpm_v211_decode import SENSOR_KINDS, STATE_OF_COMPONENT, geo_point
from v2x.codecs.kernel_objects import COLUMNS, LABELS_OF_A_CHOICE, MESSAGE, REGION, SENSOR
from v2x.codecs.machine import Flat, object_kernels
from v2x.codecs.shapes import field_of_view, polygon_m

_LATITUDE_BIT = 94  # of referencePosition.latitude in every message without extensions
_build_shape = builder(cdd_v211.SHAPE)
_STATES = np.array([STATE_OF_COMPONENT.get(component, -1) for component in range(13)], np.int64)
_POLYGONAL, _LISTS = 2, (2, 5)  # alternatives of Shape: polygons, and those that hold a list
_HAS_REFERENCE_POINT = 2  # of the presence bits of a polygon
_NOTHING_SEEN: dict[int, list[list[int]]] = {SENSOR: [], REGION: []}
_SINGLE_VALUES = 32  # more than any shape has that is no polygon and no list of sectors


def _labels() -> np.ndarray:
    """Labels [64] of the four class choices, sixteen values each."""
    labels = np.zeros((4, LABELS_OF_A_CHOICE), np.int64)
    profiles = tuple(cdd_v211.VRU_PROFILES)
    for value in range(LABELS_OF_A_CHOICE):
        labels[0, value] = class_from_v211({"choice": "vehicleSubClass", "value": value})
        labels[2, value] = class_from_v211({"choice": "groupSubClass", "value": {"clusterProfiles": {"hex": f"{value:x}0"}}})
    for value, name in enumerate(profiles):
        labels[1, value] = class_from_v211({"choice": "vruSubClass", "value": {"choice": name}})
    labels[3, 1] = ObjectClass.OTHER
    return labels.ravel()


_LABELS = _labels()


def message_of_octets(data: bytes, form: str | None, publisher: str, received_ns: int) -> RoadsideMessage:
    """The message that the octets say, in the form given or the first that fits; DecodeError at the first wrong bit, or where
    no reference position is said."""
    flat, found = FORMS.read(data, form)
    values, noted = np.asarray(flat.values), np.asarray(flat.noted)
    station, time, place, segment, sensors, regions, objects = noted[1:1 + COLUMNS[MESSAGE]].tolist()
    latitude, longitude, _, _, _, altitude = values[place:place + 6].tolist()
    reference_ns = unix_ns_from_its_ms(int(values[time]))
    count, number = values[segment:segment + 2].tolist() if segment >= 0 else (1, 1)
    announced = [int(values[at]) if at >= 0 else 0 for at in (sensors, regions)]
    seen = _rows(noted, *announced) if any(announced) else _NOTHING_SEEN
    return RoadsideMessage(
        Header(publisher, found, reference_ns, received_ns, number - 1, count, data),
        int(values[station]),
        geo_point({"latitude": latitude, "longitude": longitude, "altitude": {"altitudeValue": altitude}}, _LATITUDE_BIT),
        _objects(flat, values, noted, objects, reference_ns, publisher),
        tuple(_sensor(values, flat.side, *row) for row in seen[SENSOR] if row[0] > sensors),
        tuple(region for row in seen[REGION] if row[0] > regions
              and (region := _region(values, flat.side, *row)) is not None),
    )


def _objects(flat: Flat, values: Any, noted: Any, begin: int, reference_ns: int, source: str) -> ObjectList:
    n = int(values[begin]) if begin >= 0 else 0
    if n == 0:
        return ObjectList.empty(REFERENCE_FRAME, source)
    times, triples, singles = np.empty(n, np.int64), np.empty((3, n, 3)), np.empty((3, n))
    label, track_id, existence = np.empty(n, np.uint8), np.empty(n, np.int64), np.empty(n, np.float32)
    velocity_mps, covariance = np.empty((n, 2)), np.empty((n, 6, 6))
    side = np.frombuffer(flat.side or b"\0", np.uint8)
    object_kernels().fill(values, noted, side, _LABELS, _STATES, begin, reference_ns, times, triples, singles, label,
                          track_id, existence, velocity_mps, covariance, np.empty((3, 6, 6)))
    boxes = unchecked(Boxes3D, frame=REFERENCE_FRAME, center_m=triples[0], size_lwh_m=triples[1], yaw_rad=singles[0])
    return unchecked(
        ObjectList, boxes=boxes, source=source, measured_ns=times, label=label, score=singles[2], existence=existence,
        velocity_mps=velocity_mps, yaw_rate_radps=singles[1], covariance=covariance, size_sigma_m=triples[2], track_id=track_id)


def _rows(noted: Any, sensors: int, regions: int) -> dict[int, list[list[int]]]:
    """The columns of every row of sensors and of regions. Most senders have them before their objects: then no more is listed."""
    before_objects = 1 + COLUMNS[MESSAGE] + sensors * (1 + COLUMNS[SENSOR]) + regions * (1 + COLUMNS[REGION])
    found = _NOTHING_SEEN
    for stop in (before_objects, len(noted)):
        listed, at, found = noted[:stop].tolist(), 0, {SENSOR: [], REGION: []}
        while at < len(listed):
            number = listed[at]
            end = at + 1 + COLUMNS[number]
            if number >= SENSOR:
                found[number].append(listed[at + 1:end])
            at = end
        if len(found[SENSOR]) == sensors and len(found[REGION]) == regions:
            break
    return found


def _shape(values: Any, side: bytes, at: int) -> dict[str, Any]:
    end = None if values[at] in _LISTS else at + _SINGLE_VALUES
    return _build_shape(values[at:end].tolist(), side, 0)[0]


def _sensor(values: Any, side: bytes, identity: int, kind: int, shape: int) -> SensorInfo:
    number = int(values[kind])
    name = SENSOR_KINDS[number] if number < len(SENSOR_KINDS) else "unknown"
    return SensorInfo(int(values[identity]), name, *field_of_view(_shape(values, side, shape) if shape >= 0 else None))


def _region(values: Any, side: bytes, confidence: int, shape: int) -> PerceptionRegion | None:
    outline_m = _plain_polygon_m(values, shape)
    outline_m = polygon_m(_shape(values, side, shape)) if outline_m is None else outline_m
    if outline_m is None:
        return None
    percent = int(values[confidence])
    return unchecked(PerceptionRegion, polygon_m=outline_m, confidence=math.nan if percent == 101 else percent / 100)


def _plain_polygon_m(values: Any, at: int) -> Any:
    """The outline [k, 2] of a polygon whose points have no height and are relative to the message's position; else None."""
    if values[at] != _POLYGONAL or values[at + 1] & _HAS_REFERENCE_POINT:
        return None
    points = values[at + 3:at + 3 + 3 * values[at + 2]]
    if len(points) != 3 * values[at + 2] or points[::3].any():
        return None
    return points.reshape(-1, 3)[:, 1:] / 100
