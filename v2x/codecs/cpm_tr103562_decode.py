"""What a CPM of TR 103 562 says: plain values to a RoadsideMessage.

Source: ETSI TR 103 562 V2.1.1, annex A. Distances, speeds and yaw angles are in the station's own frame: East and North for a
roadside unit, forward and left for a vehicle, which is turned by its heading. timeOfMeasurement counts backwards: a
positive value lies before the message's time (so the sender of the Kashiwa recordings computes it, and so its values only
make sense). planarObjectDimension1 lies across the object's heading, planarObjectDimension2 along it.
"""
from __future__ import annotations

import math
from typing import Any

from data_specs.clock import NS_PER_MS, its_ms_from_unix_ns, unix_ns_from_its_ms
from data_specs.errors import DecodeError
from data_specs.messages import Header, RoadsideMessage
from data_specs.objects import ObjectClass
from v2x.codecs.classes import class_from_tr103562
from v2x.codecs.cpm_v211_decode import geo_point
from v2x.codecs.rows import NAN, Row, object_list
from v2x.codecs.uncertainty import sigma_of

_LATITUDE_BIT = 105  # of referencePosition.latitude in the recorded form of a message that is not segmented
_TIME_BIT = 48
_CENTI, _TENTH_DEGREE = 0.01, math.radians(0.1)
_NO_Z = {"value": 0, "confidence": 102}
# objectRefPoint -> where on the object it lies, in halves of length (forward) and width (left).
_REFERENCE_POINTS = (
    (0, 0), (-1, 1), (0, 1), (1, 1), (-1, 0), (1, 0), (-1, -1), (0, -1), (1, -1),
)


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> RoadsideMessage:
    """The message of a decoded PDU; DecodeError where it says no reference position, or no time that can be told."""
    parameters = pdu["cpm"]["cpmParameters"]
    management = parameters["managementContainer"]
    generated_ns = _generated_ns(pdu["cpm"], received_ns)
    segment = management.get("perceivedObjectContainerSegmentInfo", {"totalMsgSegments": 1, "thisSegmentNum": 1})
    turn = _station_yaw(parameters.get("stationDataContainer"))
    rows = [_row(seen, generated_ns, turn) for seen in parameters.get("perceivedObjectContainer", ())]
    return RoadsideMessage(
        Header(publisher, form, generated_ns, received_ns, segment["thisSegmentNum"] - 1, segment["totalMsgSegments"], raw),
        pdu["header"]["stationId"],
        geo_point(management["referencePosition"], _LATITUDE_BIT),
        object_list(rows, publisher),
        (), (),
    )


def _generated_ns(cpm: dict[str, Any], received_ns: int) -> int:
    """The time of the message; 16 bits of it are completed to the latest such time not after its arrival."""
    if "generationTime" in cpm:
        return unix_ns_from_its_ms(cpm["generationTime"])
    if received_ns <= 0:
        raise DecodeError("CPM.cpm.generationDeltaTime", _TIME_BIT, "16 bits of a time", "a time of arrival to complete them")
    received_ms = its_ms_from_unix_ns(received_ns)
    return unix_ns_from_its_ms(received_ms - (received_ms - cpm["generationDeltaTime"]) % 65_536)


def _station_yaw(station: dict[str, Any] | None) -> float:
    """Direction of the station's x axis, rad counter-clockwise from East: a vehicle's heading, East for a roadside unit."""
    if station is None or station["choice"] != "originatingVehicleContainer":
        return 0.0
    container = station["value"]
    clockwise = container.get("vehicleOrientationAngle", {"value": container["heading"]["headingValue"]})["value"]
    if clockwise > 3600:
        raise DecodeError("CPM.cpm.cpmParameters.stationDataContainer", _TIME_BIT, "an unavailable heading",
                          "the heading that its objects are relative to")
    return math.pi / 2 - clockwise * _TENTH_DEGREE


def _row(seen: dict[str, Any], generated_ns: int, turn: float) -> Row:
    x, y, z = seen["xDistance"], seen["yDistance"], seen.get("zDistance", _NO_Z)
    sizes = [_dimension(seen.get(name)) for name in (
        "planarObjectDimension2", "planarObjectDimension1", "verticalObjectDimension")]
    yaw = seen.get("yawAngle", {"value": 3601, "confidence": 127})
    local_yaw = NAN if yaw["value"] > 3600 else yaw["value"] * _TENTH_DEGREE
    center = _center(x["value"] * _CENTI, y["value"] * _CENTI, seen.get("objectRefPoint", 0), sizes, local_yaw)
    sigma_x, sigma_y, rho = _turned_sigmas(_sigma(x), _sigma(y), turn)
    velocity = (_speed(seen["xSpeed"]["value"]), _speed(seen["ySpeed"]["value"]))
    sigma_vx, sigma_vy, rho_v = _turned_sigmas(_speed_sigma(seen["xSpeed"]), _speed_sigma(seen["ySpeed"]), turn)
    label, score = _classification(seen.get("classification", ()))
    confidence = seen.get("objectConfidence", 0)
    return Row(
        measured_ns=generated_ns - seen["timeOfMeasurement"] * NS_PER_MS,
        center_m=(*_turned(*center, turn), z["value"] * _CENTI),
        sigma=(sigma_x, sigma_y, _sigma(z), sigma_of(yaw["confidence"], 1, 125, _TENTH_DEGREE), sigma_vx, sigma_vy),
        size_lwh_m=(sizes[0][0], sizes[1][0], sizes[2][0]),
        size_sigma_m=(sizes[0][1], sizes[1][1], sizes[2][1]),
        yaw_rad=local_yaw + turn,
        velocity=_turned(*velocity, turn),
        label=label,
        score=score,
        existence=confidence / 100 if 0 < confidence <= 100 else 1.0,
        track_id=seen["objectID"],
        correlation={(0, 1): rho, (4, 5): rho_v},
    )


def _turned(x: float, y: float, angle: float) -> tuple[float, float]:
    c, s = math.cos(angle), math.sin(angle)
    return c * x - s * y, s * x + c * y


def _turned_sigmas(sigma_x: float, sigma_y: float, angle: float) -> tuple[float, float, float]:
    """Standard deviations and correlation of two independent components after a turn."""
    c, s, xx, yy = math.cos(angle), math.sin(angle), sigma_x ** 2, sigma_y ** 2
    east, north = math.sqrt(c * c * xx + s * s * yy), math.sqrt(s * s * xx + c * c * yy)
    rho = c * s * (xx - yy) / (east * north)
    return east, north, 0.0 if math.isnan(rho) else rho


def _center(x: float, y: float, place: int, sizes: list[tuple[float, float]], yaw: float) -> tuple[float, float]:
    """The object's centre from its reference point, where its size and yaw are known; else the point itself."""
    forward, left = _REFERENCE_POINTS[place]
    along, across = forward * sizes[0][0] / 2, left * sizes[1][0] / 2
    if place == 0 or math.isnan(along + across + yaw):
        return x, y
    shift_x, shift_y = _turned(along, across, yaw)
    return x - shift_x, y - shift_y


def _sigma(distance: dict[str, int]) -> float:
    return sigma_of(distance["confidence"], 1, 100, _CENTI)


def _speed(value: int) -> float:
    return NAN if value == 16_383 else value * _CENTI


def _speed_sigma(speed: dict[str, int]) -> float:
    return sigma_of(speed["confidence"], 1, 125, _CENTI)


def _dimension(dimension: dict[str, int] | None) -> tuple[float, float]:
    """Length and its standard deviation, metres."""
    if dimension is None:
        return NAN, NAN
    return dimension["value"] / 10, _sigma(dimension)


def _classification(items: Any) -> tuple[ObjectClass, float]:
    if not items:
        return ObjectClass.UNKNOWN, 1.0
    best = max(items, key=lambda item: item["confidence"] % 101)
    return class_from_tr103562(best["class"]), best["confidence"] / 100 if 0 < best["confidence"] <= 100 else 1.0
