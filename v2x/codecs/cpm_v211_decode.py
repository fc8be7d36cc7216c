"""What a CPM v2.1.1 says: plain values to a RoadsideMessage.

Source: ETSI TS 103 324 V2.1.1, clauses 7 and A; units and special values are those of the tables in `cdd_v211`. Objects
stand East, North, Up of the reference position; an object was measured at referenceTime + measurementDeltaTime.
"""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from data_specs.clock import NS_PER_MS, unix_ns_from_its_ms
from data_specs.errors import DecodeError
from data_specs.messages import GeoPoint, Header, PerceptionRegion, RoadsideMessage, SensorInfo
from data_specs.objects import ObjectClass
from v2x.codecs.classes import class_from_v211
from v2x.codecs.rows import NAN, Row, object_list
from v2x.codecs.shapes import field_of_view, polygon_m
from v2x.codecs.uncertainty import sigma_of

SENSOR_KINDS = (
    "unknown", "radar", "lidar", "video", "stereo-video", "night-vision", "ultrasonic", "time-of-flight", "induction-loop",
    "spherical-camera", "uwb", "acoustic", "fusion", "its-fusion", "rfid",
)
# Component of componentsIncludedIntheMatrix -> place in an object's state x, y, z, yaw, velocity (2).
STATE_OF_COMPONENT = {0: 0, 1: 1, 2: 2, 3: 4, 4: 5, 9: 3}
_LATITUDE_BIT = 94  # of referencePosition.latitude in every message without extensions
_CENTI, _TENTH_DEGREE = 0.01, math.radians(0.1)
_NO_Z = {"value": 0, "confidence": 4096}


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> RoadsideMessage:
    """The message of a decoded PDU; DecodeError where it says no reference position."""
    management = pdu["payload"]["managementContainer"]
    reference_ns = unix_ns_from_its_ms(management["referenceTime"])
    contents = {part["containerId"]: part["containerData"] for part in pdu["payload"]["cpmContainers"]}
    segmentation = management.get("segmentationInfo", {"thisMsgNo": 1, "totalMsgNo": 1})
    rows = [_row(seen, reference_ns) for seen in contents.get(5, {}).get("perceivedObjects", ())]
    return RoadsideMessage(
        Header(publisher, form, reference_ns, received_ns, segmentation["thisMsgNo"] - 1, segmentation["totalMsgNo"], raw),
        pdu["header"]["stationId"],
        geo_point(management["referencePosition"], _LATITUDE_BIT),
        object_list(rows, publisher),
        tuple(_sensor(sensor) for sensor in contents.get(3, ())),
        tuple(region for part in contents.get(4, ()) if (region := _region(part)) is not None),
    )


def geo_point(position: dict[str, Any], latitude_bit: int) -> GeoPoint:
    """A referencePosition as a place; DecodeError where it is unavailable."""
    if position["latitude"] > 900_000_000 or position["longitude"] > 1_800_000_000:
        raise DecodeError("CPM.referencePosition", latitude_bit, "an unavailable position", "latitude and longitude")
    altitude = position["altitude"]["altitudeValue"]
    return GeoPoint(position["latitude"] / 1e7, position["longitude"] / 1e7, NAN if altitude >= 800_000 else altitude / 100)


def _row(seen: dict[str, Any], reference_ns: int) -> Row:
    x, y, z = (seen["position"].get(axis, _NO_Z) for axis in ("xCoordinate", "yCoordinate", "zCoordinate"))
    yaw, yaw_sigma = _angle(seen["angles"]["zAngle"]) if "angles" in seen else (NAN, NAN)
    velocity, velocity_sigma, polar = _velocity(seen.get("velocity"))
    label, score = _classification(seen.get("classification", ()))
    quality = seen.get("objectPerceptionQuality", 0)
    sizes = [_dimension(seen.get(f"objectDimension{axis}")) for axis in "XYZ"]
    return Row(
        measured_ns=reference_ns + seen["measurementDeltaTime"] * NS_PER_MS,
        center_m=(x["value"] * _CENTI, y["value"] * _CENTI, z["value"] * _CENTI),
        sigma=(_coordinate_sigma(x), _coordinate_sigma(y), _coordinate_sigma(z), yaw_sigma, *velocity_sigma),
        size_lwh_m=(sizes[0][0], sizes[1][0], sizes[2][0]),
        size_sigma_m=(sizes[0][1], sizes[1][1], sizes[2][1]),
        yaw_rad=yaw,
        velocity=velocity,
        polar=polar,
        yaw_rate_radps=_yaw_rate(seen.get("zAngularVelocity")),
        label=label,
        score=score,
        existence=quality / 15 if quality else 1.0,  # 0 = not computed
        track_id=seen.get("objectId", -1),
        correlation=_correlation(seen.get("lowerTriangularCorrelationMatrices", ())),
    )


def _coordinate_sigma(coordinate: dict[str, int]) -> float:
    if not -131_072 < coordinate["value"] < 131_071:  # out of range: all that is known is that it is farther away
        return NAN
    return sigma_of(coordinate["confidence"], 1, 4094, _CENTI)


def _angle(angle: dict[str, int]) -> tuple[float, float]:
    """Angle and its standard deviation, rad."""
    if angle["value"] > 3600:
        return NAN, NAN
    return angle["value"] * _TENTH_DEGREE, sigma_of(angle["confidence"], 1, 125, _TENTH_DEGREE)


def _velocity(velocity: dict[str, Any] | None) -> tuple[tuple[float, float], tuple[float, float], bool]:
    """Velocity as coded, its standard deviations, and whether they are speed and direction."""
    if velocity is None:
        return (NAN, NAN), (NAN, NAN), False
    value = velocity["value"]
    if velocity["choice"] == "polarVelocity":
        speed = value["velocityMagnitude"]
        direction, direction_sigma = _angle(value["velocityDirection"])
        speed_mps = NAN if speed["speedValue"] > 16_381 else speed["speedValue"] * _CENTI
        return (speed_mps, direction), (sigma_of(speed["speedConfidence"], 1, 125, _CENTI), direction_sigma), True
    x, y = value["xVelocity"], value["yVelocity"]
    return ((_speed(x["value"]), _speed(y["value"])),
            (sigma_of(x["confidence"], 1, 125, _CENTI), sigma_of(y["confidence"], 1, 125, _CENTI)), False)


def _speed(value: int) -> float:
    return value * _CENTI if -16_383 < value < 16_382 else NAN


def _dimension(dimension: dict[str, int] | None) -> tuple[float, float]:
    """Length and its standard deviation, metres."""
    if dimension is None or dimension["value"] == 256:
        return NAN, NAN
    return dimension["value"] / 10, sigma_of(dimension["confidence"], 1, 30, 0.1) if dimension["value"] < 255 else NAN


def _yaw_rate(rate: dict[str, Any] | None) -> float:
    return NAN if rate is None or not -255 < rate["value"] < 255 else math.radians(rate["value"])


def _classification(items: Any) -> tuple[ObjectClass, float]:
    """The likeliest class and its confidence; a confidence that is unavailable counts as none when classes compete."""
    if not items:
        return ObjectClass.UNKNOWN, 1.0
    best = max(items, key=lambda item: item["confidence"] % 101)
    return class_from_v211(best["objectClass"]), 1.0 if best["confidence"] == 101 else best["confidence"] / 100


def _correlation(matrices: Any) -> dict[tuple[int, int], float]:
    """Correlations between places of the state; cells that are unavailable, or of other components, are left out."""
    found: dict[tuple[int, int], float] = {}
    for matrix in matrices:
        bits = matrix["componentsIncludedIntheMatrix"]
        cells = [cell for column in matrix["matrix"] for cell in column]
        for number, pair in _state_cells(bits["hex"], bits["length"]):
            if cells[number] <= 100:
                found[pair] = cells[number] / 100
    return found


@lru_cache(maxsize=256)
def _state_cells(components_hex: str, length: int) -> tuple[tuple[int, tuple[int, int]], ...]:
    """Which cells of a matrix, column by column, join which two places of the state."""
    number, spare = int(components_hex, 16), 4 * len(components_hex)
    components = [place for place in range(length) if number >> spare - 1 - place & 1]
    pairs = [(first, second) for at, first in enumerate(components) for second in components[at + 1:]]
    return tuple((cell, (STATE_OF_COMPONENT[first], STATE_OF_COMPONENT[second])) for cell, (first, second) in enumerate(pairs)
                 if first in STATE_OF_COMPONENT and second in STATE_OF_COMPONENT)


def _sensor(sensor: dict[str, Any]) -> SensorInfo:
    kind = sensor["sensorType"]
    name = SENSOR_KINDS[kind] if kind < len(SENSOR_KINDS) else "unknown"
    return SensorInfo(sensor["sensorId"], name, *field_of_view(sensor.get("perceptionRegionShape")))


def _region(region: dict[str, Any]) -> PerceptionRegion | None:
    outline_m = polygon_m(region["perceptionRegionShape"])
    confidence = region["perceptionRegionConfidence"]
    return None if outline_m is None else PerceptionRegion(outline_m, NAN if confidence == 101 else confidence / 100)
