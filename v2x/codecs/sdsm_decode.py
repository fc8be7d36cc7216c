"""What an SDSM says: plain values to a RoadsideMessage.

Source: SAE J3224 as usdot-fhwa-stol/carma-platform reads it (carma_cooperative_perception, msg_conversion.cpp): offsets are
North, East, Down of refPos, headings clockwise from North, and measurementTime is added to sDSMTimeStamp. (A comment in
usdot-fhwa-stol/carma-streets has the opposite sign of measurementTime; the standard's text is sold and was not read.)
"""
from __future__ import annotations

import math
from typing import Any

from data_specs.clock import NS_PER_MS
from data_specs.errors import DecodeError
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass
from v2x.codecs import j2735_confidence as confidence
from v2x.codecs.j2735_classes import class_of_user, class_of_vehicle
from v2x.codecs.j2735_clock import unix_ns_of_date_time
from v2x.codecs.rows import NAN, Row, object_list

_TENTH, _CENTI, _SPEED_MPS, _HEADING_RAD = 0.1, 0.01, 0.02, math.radians(0.0125)
_UNAVAILABLE_SPEED, _UNAVAILABLE_HEADING = 8191, 28_800
_BODY_BIT = 24  # of the message in a frame whose length takes one octet


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> RoadsideMessage:
    """The message of a decoded frame; DecodeError where it says no reference position.

    What sDSMTimeStamp leaves out is completed from `received_ns` (see `j2735_clock`).
    """
    message = pdu["value"]
    generated_ns = unix_ns_of_date_time(message["sDSMTimeStamp"], received_ns, "SDSM.sDSMTimeStamp", _BODY_BIT + 43)
    rows = [_row(seen, generated_ns) for seen in message["objects"]]
    return RoadsideMessage(
        Header(publisher, form, generated_ns, received_ns, 0, 1, raw), int(message["sourceID"], 16),
        geo_point(message["refPos"], "SDSM.refPos"), object_list(rows, publisher), (), (),
    )


def geo_point(position: dict[str, Any], where: str) -> GeoPoint:
    """A Position3D as a place; DecodeError where it is unavailable."""
    if position["lat"] > 900_000_000 or position["long"] > 1_800_000_000:
        raise DecodeError(where, _BODY_BIT, "an unavailable position", "latitude and longitude")
    elevation = position.get("elevation", -4096)
    return GeoPoint(position["lat"] / 1e7, position["long"] / 1e7, NAN if elevation == -4096 else elevation / 10)


def speed_mps(speed: int) -> float:
    """Metres per second; NaN where unavailable."""
    return NAN if speed == _UNAVAILABLE_SPEED else speed * _SPEED_MPS


def direction_rad(heading: int) -> float:
    """Counter-clockwise from East, within [-pi, pi]; NaN where unavailable."""
    if heading == _UNAVAILABLE_HEADING:
        return NAN
    return math.remainder(math.pi / 2 - heading * _HEADING_RAD, 2 * math.pi)


def yaw_rate_radps(acceleration: dict[str, int] | None) -> float:
    """Counter-clockwise, from an AccelerationSet4Way, whose yaw is positive clockwise; NaN where there is none."""
    return NAN if acceleration is None else -math.radians(acceleration["yaw"] * _CENTI)


def _row(seen: dict[str, Any], generated_ns: int) -> Row:
    common, more = seen["detObjCommon"], seen.get("detObjOptData", {"choice": "", "value": {}})
    at, sure = common["pos"], common["posConfidence"]
    label, score = _classification(common, more)
    size_m, size_sigma_m = _size(more)
    horizontal = confidence.sigma_of(sure["pos"], confidence.POSITION_M)
    vertical = confidence.sigma_of(sure["elevation"], confidence.ELEVATION_M) if "offsetZ" in at else NAN
    turn = confidence.sigma_of(common["headingConf"], confidence.HEADING_RAD)
    speed = confidence.sigma_of(common["speedConfidence"], confidence.SPEED_MPS)
    heading = direction_rad(common["heading"])
    return Row(
        measured_ns=generated_ns + common["measurementTime"] * NS_PER_MS,
        center_m=(at["offsetY"] * _TENTH, at["offsetX"] * _TENTH, -at.get("offsetZ", 0) * _TENTH),
        sigma=(horizontal, horizontal, vertical, turn, speed, turn),
        size_lwh_m=size_m, size_sigma_m=size_sigma_m,
        yaw_rad=heading, velocity=(speed_mps(common["speed"]), heading), polar=True,
        yaw_rate_radps=yaw_rate_radps(common.get("accel4way")),
        label=label, score=score, track_id=common["objectID"],
    )


def _classification(common: dict[str, Any], more: dict[str, Any]) -> tuple[ObjectClass, float]:
    """Class and its confidence; the optional data tell more than objType where they tell anything."""
    score = _percent(common["objTypeCfd"])
    value = more["value"]
    match more["choice"], common["objType"]:
        case "detVeh", _ if class_of_vehicle(value.get("vehicleClass", 0)) != ObjectClass.UNKNOWN:
            return class_of_vehicle(value["vehicleClass"]), _percent(value.get("classConf", common["objTypeCfd"]))
        case "detVRU", _ if class_of_user(value.get("basicType", "")) != ObjectClass.UNKNOWN:
            return class_of_user(value["basicType"]), score
        case "detObst", "unknown":
            return ObjectClass.OTHER, score
        case _, "vehicle":
            return ObjectClass.CAR, score
        case _, "vru":
            return ObjectClass.PEDESTRIAN, score
        case _, "animal":
            return ObjectClass.ANIMAL, score
        case _:
            return ObjectClass.UNKNOWN, score


def _percent(value: int) -> float:
    return 1.0 if value == 101 else value / 100


def _size(more: dict[str, Any]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Length, width, height and their standard deviations, metres; NaN where they are not said."""
    value = more["value"]
    match more["choice"]:
        case "detVeh":
            size, sure = value.get("size", {}), value.get("vehicleSizeConfidence", {})
            size_m = (size.get("length", 0) * _CENTI or NAN, size.get("width", 0) * _CENTI or NAN,
                      value.get("height", 0) * 0.05 or NAN)
            names = [sure.get(f"vehicle{name}Confidence", "") for name in ("Length", "Width", "Height")]
        case "detObst":
            size, sure = value["obstSize"], value["obstSizeConfidence"]
            size_m = (size["length"] * _TENTH, size["width"] * _TENTH, size["height"] * _TENTH if "height" in size else NAN)
            names = [sure.get(f"{name}Confidence", "") for name in ("length", "width", "height")]
        case _:
            return (NAN, NAN, NAN), (NAN, NAN, NAN)
    length, width, height = (NAN if math.isnan(size) else confidence.sigma_of(name, confidence.SIZE_M)
                             for name, size in zip(names, size_m))
    return size_m, (length, width, height)
