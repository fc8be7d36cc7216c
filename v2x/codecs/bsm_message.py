"""A BSM as a StationMessage and back, rounded to the units of the wire.

The position is that of the vehicle's middle on the ground, heading where its front points: a vehicle in reverse gear moves the
other way. Its class stands in part II, if at all. Source: SAE J2735, DF_BSMcoreData, DF_SupplementalVehicleExtensions.

What is lost on the way to the wire: time to 1 ms (and all but the milliseconds of its minute), position to 1e-7 degree, speed to
0.02 m/s, headings to 0.0125 degree, sizes to 1 cm and 5 cm (height), uncertainty but that of the place, which is
rounded up to 5 cm; classes without a BasicVehicleClass become unknown.
"""
from __future__ import annotations

from typing import Any

from data_specs.errors import SpecError
from data_specs.messages import Header, StationMessage
from v2x.codecs import j2735
from v2x.codecs import j2735_station as station
from v2x.codecs.j2735_classes import class_of_vehicle, vehicle_class_of
from v2x.codecs.j2735_clock import second_of_unix_ns, unix_ns_of_second
from v2x.codecs.rows import NAN, Row

_SUPPLEMENTAL = 2
_CORE_BIT = 27  # of coreData in a frame whose length takes one octet
_SECOND_BIT, _LATITUDE_BIT = _CORE_BIT + 39, _CORE_BIT + 55
_REVERSE = "reverseGears"
_UNKNOWN_BRAKES = {
    "wheelBrakes": {"hex": "80", "length": 5}, "traction": "unavailable", "abs": "unavailable", "scs": "unavailable",
    "brakeBoost": "unavailable", "auxBrakes": "unavailable",
}


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> StationMessage:
    """The message of a decoded frame; DecodeError where it says no position, or there is no time of arrival to date it by."""
    core = pdu["value"]["coreData"]
    shift = 8 * (raw[2] >> 7) if len(raw) > 2 else 0  # a length of 128 octets and more takes two
    generated_ns = unix_ns_of_second(core["secMark"], received_ns, "BSM.coreData.secMark", _SECOND_BIT + shift)
    more = _supplemental(pdu["value"])
    row = Row(
        generated_ns, (0.0, 0.0, 0.0), (NAN, NAN, NAN, NAN, NAN, NAN),
        size_lwh_m=(core["size"]["length"] / 100 or NAN, core["size"]["width"] / 100 or NAN,
                    more.get("vehicleData", {}).get("height", 0) * 0.05 or NAN),
        yaw_rate_radps=station.yaw_rate_radps(core["accelSet"]),
        label=class_of_vehicle(more.get("classification", 0)), track_id=int(core["id"], 16),
    )
    place = station.place_of(core["lat"], core["long"], core["elev"], "BSM.coreData.lat", _LATITUDE_BIT + shift)
    return station.station_message(Header(publisher, form, generated_ns, received_ns, 0, 1, raw), place, row, core["accuracy"],
                                   core["speed"], core["heading"], core["transmission"] == _REVERSE)


def pdu_of(message: StationMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError for a station_id out of range or an object that is not at its position."""
    objects, header = message.objects, message.header
    require_at_position(message)
    yaw, speed, backward = station.heading_and_speed(objects)
    core = {
        "msgCnt": station.message_count(header.generated_ns),
        "id": station.temporary_id(message.station_id),
        "secMark": second_of_unix_ns(header.generated_ns),
        **{name: value for name, value in station.position_of(message.position).items() if name != "elevation"},
        "elev": station.elevation_of(message.position),
        "accuracy": station.accuracy_of(objects.covariance[0, :2, :2]),
        "transmission": _REVERSE if backward else "unavailable",
        "speed": station.speed_of(speed),
        "heading": station.heading_of(yaw),
        "angle": 127,
        "accelSet": station.acceleration_of(float(objects.yaw_rate_radps[0])),
        "brakes": _UNKNOWN_BRAKES,
        "size": station.size_of(objects),
    }
    extension: dict[str, Any] = {}
    if (vehicle_class := vehicle_class_of(station.label_of(objects))) is not None:
        extension["classification"] = vehicle_class
    if (height_m := float(objects.boxes.size_lwh_m[0, 2])) > 0.0:
        extension["vehicleData"] = {"height": min(max(round(height_m * 20), 1), 127)}
    parts = {"partII": [{"partII-Id": _SUPPLEMENTAL, "partII-Value": extension}]} if extension else {}
    return {"messageId": j2735.BASIC_SAFETY, "value": {"coreData": core} | parts}


def require_at_position(message: StationMessage) -> None:
    """SpecError for a station whose box is not at its position."""
    center_m = message.objects.boxes.center_m[0]
    if abs(center_m[:2]).max() > 0.01:
        raise SpecError(f"objects: the station's box is at {center_m.tolist()}, expected it at the message's position")


def _supplemental(message: dict[str, Any]) -> dict[str, Any]:
    return next((part["partII-Value"] for part in message.get("partII", ()) if part["partII-Id"] == _SUPPLEMENTAL), {})
