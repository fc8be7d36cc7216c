"""A RoadsideMessage as SDSM: the inverse of `sdsm_decode`, rounded to the units of the wire.

What is lost: times to 1 ms, positions to 0.1 m, speeds to 0.02 m/s, headings to 0.0125 degrees, sizes to 1 cm (heights to
5 cm; of things that are no vehicles 0.1 m), standard deviations upwards to the next name. There is one heading: that of motion
from 0.5 m/s on, else that of the box. Two horizontal standard deviations become the larger; correlations, existence, sensors and
regions are not said, nor the sizes of persons, animals and unknown things. Source: SAE J3224, see `j2735`.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.clock import NS_PER_MS
from data_specs.errors import SpecError
from data_specs.messages import RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import j2735
from v2x.codecs import j2735_confidence as confidence
from v2x.codecs.j2735_classes import user_type_of, vehicle_class_of
from v2x.codecs.j2735_clock import date_time_of_unix_ns
from v2x.codecs.j2735_station import (
    UNAVAILABLE_ACCURACY,
    acceleration_of,
    heading_of,
    message_count,
    position_of,
    speed_of,
    temporary_id,
)

_MOVING_MPS = 0.5


def pdu_of(message: RoadsideMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError names what the standard cannot say: no object, an id, a time or a distance."""
    header, objects = message.header, message.objects
    if not 1 <= len(objects) <= 256:
        raise SpecError(f"objects: {len(objects)}, expected 1 to 256 in an SDSM")
    whole_ms_ns = header.generated_ns // NS_PER_MS * NS_PER_MS
    return {"messageId": j2735.SENSOR_DATA_SHARING, "value": {
        "msgCnt": message_count(header.generated_ns),
        "sourceID": temporary_id(message.station_id),
        "equipmentType": "rsu",
        "sDSMTimeStamp": date_time_of_unix_ns(header.generated_ns),
        "refPos": position_of(message.position),
        "refPosXYConf": dict(UNAVAILABLE_ACCURACY),
        "objects": [_object(objects, row, whole_ms_ns) for row in range(len(objects))],
    }}


def _motion(objects: ObjectList, row: int) -> tuple[float, float, float, float]:
    """Speed, heading (counter-clockwise from East) and their standard deviations; NaN where unmeasured."""
    velocity, covariance = objects.velocity_mps[row], objects.covariance[row]
    yaw_sigma = math.sqrt(covariance[3, 3]) if covariance[3, 3] >= 0.0 else math.nan
    yaw = float(objects.boxes.yaw_rad[row])
    if math.isnan(yaw_sigma) and yaw == 0.0:  # how an object without a yaw stands in an object list
        yaw = math.nan
    speed = float(np.hypot(*velocity))
    if not speed > 0.0:
        return speed, yaw, math.nan, yaw_sigma
    along = velocity / speed
    across = np.array([-along[1], along[0]])
    speed_sigma, across_sigma = (math.sqrt(max(axis @ covariance[4:, 4:] @ axis, 0.0))
                                 if not np.isnan(covariance[4:, 4:]).any() else math.nan for axis in (along, across))
    if speed < _MOVING_MPS:
        return speed, yaw, speed_sigma, yaw_sigma
    return speed, math.atan2(velocity[1], velocity[0]), speed_sigma, across_sigma / speed


def _object(objects: ObjectList, row: int, reference_ns: int) -> dict[str, Any]:
    label, size_m = ObjectClass(objects.label[row]), objects.boxes.size_lwh_m[row]
    speed_mps, heading, speed_sigma, heading_sigma = _motion(objects, row)
    variances = np.diagonal(objects.covariance[row])[:3]
    east, north, vertical = (math.sqrt(value) if value >= 0.0 else math.nan for value in variances.tolist())
    common: dict[str, Any] = {
        "objType": _object_type(label),
        "objTypeCfd": min(max(round(float(objects.score[row]) * 100), 0), 100),
        "objectID": _within(int(objects.track_id[row]), 0, 65_535, "track_id", row),
        "measurementTime": _within(round((int(objects.measured_ns[row]) - reference_ns) / NS_PER_MS), -1500, 1500,
                                   "milliseconds from the message's time", row),
        "timeConfidence": confidence.UNAVAILABLE,
        "pos": _position(objects.boxes.center_m[row], math.isnan(vertical), row),
        "posConfidence": {"pos": confidence.name_of(float(np.maximum(east, north)), confidence.POSITION_M),
                          "elevation": confidence.name_of(vertical, confidence.ELEVATION_M)},
        "speed": speed_of(speed_mps),
        "speedConfidence": confidence.name_of(speed_sigma, confidence.SPEED_MPS),
        "heading": heading_of(heading),
        "headingConf": confidence.name_of(heading_sigma, confidence.HEADING_RAD),
    }
    if not math.isnan(yaw_rate := float(objects.yaw_rate_radps[row])):
        common["accel4way"] = acceleration_of(yaw_rate)
    more = _optional_data(label, size_m, objects.size_sigma_m[row])
    return {"detObjCommon": common} if more is None else {"detObjCommon": common, "detObjOptData": more}


def _object_type(label: ObjectClass) -> str:
    if vehicle_class_of(label) is not None:
        return "vehicle"
    if label == ObjectClass.ANIMAL:
        return "animal"
    return "unknown" if user_type_of(label) is None else "vru"


def _within(value: int, low: int, high: int, name: str, row: int) -> int:
    if not low <= value <= high:
        raise SpecError(f"objects: {name} {value} at row {row}, expected {low} to {high}")
    return value


def _position(center_m: Array, height_unknown: bool, row: int) -> dict[str, int]:
    east, north, up = (round(value * 10) for value in center_m.tolist())
    at = {"offsetX": _within(north, -32_767, 32_767, "decimetres North", row),
          "offsetY": _within(east, -32_767, 32_767, "decimetres East", row)}
    return at if height_unknown and up == 0 else at | {"offsetZ": _within(-up, -32_767, 32_767, "decimetres down", row)}


def _optional_data(label: ObjectClass, size_m: Array, sigma_m: Array) -> dict[str, Any] | None:
    length_m, width_m, height_m = size_m.tolist()
    names = [confidence.name_of(sigma, confidence.SIZE_M) for sigma in sigma_m.tolist()]
    vehicle_class, user_type = vehicle_class_of(label), user_type_of(label)
    if vehicle_class is not None:
        value: dict[str, Any] = {}
        if length_m > 0.0 and width_m > 0.0:
            value["size"] = {"width": min(round(width_m * 100), 1023), "length": min(round(length_m * 100), 4095)}
        if height_m > 0.0:
            value["height"] = min(round(height_m * 20), 127)
        if value:
            value["vehicleSizeConfidence"] = dict(zip(
                ("vehicleLengthConfidence", "vehicleWidthConfidence", "vehicleHeightConfidence"), names))
        return {"choice": "detVeh", "value": value | {"vehicleClass": vehicle_class}}
    if user_type is not None:
        return {"choice": "detVRU", "value": {"basicType": user_type}}
    if label == ObjectClass.UNKNOWN:
        return None
    size = {name: min(round(value_m * 10), 1023)
            for name, value_m in (("width", width_m), ("length", length_m), ("height", height_m))}
    return {"choice": "detObst", "value": {"obstSize": size, "obstSizeConfidence": dict(zip(
        ("lengthConfidence", "widthConfidence", "heightConfidence"), names))}}
