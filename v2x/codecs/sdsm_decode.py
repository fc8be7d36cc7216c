"""What an SDSM says: plain values to a RoadsideMessage.

Source: SAE J3224 as usdot-fhwa-stol/carma-platform reads it (carma_cooperative_perception, msg_conversion.cpp): offsets are
North, East, Down of refPos, headings clockwise from North, and measurementTime is added to sDSMTimeStamp. (A comment in
usdot-fhwa-stol/carma-streets has the opposite sign of measurementTime; the standard's text is sold and was not read.)
"""
from __future__ import annotations

import math
from typing import Any

from data_specs.clock import NS_PER_MS
from data_specs.messages import Header, RoadsideMessage
from data_specs.objects import ObjectClass
from v2x.codecs import j2735_confidence as confidence
from v2x.codecs.j2735_classes import class_of_user, class_of_vehicle
from v2x.codecs.j2735_clock import unix_ns_of_date_time
from v2x.codecs.j2735_station import UNAVAILABLE_ACCELERATION, direction_rad, place_of, speed_mps, yaw_rate_radps
from v2x.codecs.rows import NAN, Row, object_list

_TENTH, _CENTI = 0.1, 0.01
_BODY_BIT = 24  # of the message in a frame whose length takes one octet
_TIME_BIT = _BODY_BIT + 43  # of sDSMTimeStamp


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> RoadsideMessage:
    """The message of a decoded frame; DecodeError where it says no reference position.

    What sDSMTimeStamp leaves out is completed from `received_ns` (see `j2735_clock`).
    """
    message = pdu["value"]
    at = message["refPos"]
    generated_ns = unix_ns_of_date_time(message["sDSMTimeStamp"], received_ns, "SDSM.sDSMTimeStamp", _TIME_BIT)
    rows = [_row(seen, generated_ns) for seen in message["objects"]]
    return RoadsideMessage(
        Header(publisher, form, generated_ns, received_ns, 0, 1, raw), int(message["sourceID"], 16),
        place_of(at["lat"], at["long"], at.get("elevation", -4096), "SDSM.refPos", _TIME_BIT),
        object_list(rows, publisher), (), (),
    )


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
        yaw_rate_radps=yaw_rate_radps(common.get("accel4way", UNAVAILABLE_ACCELERATION)),
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
