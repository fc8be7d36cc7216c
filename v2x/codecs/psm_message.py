"""A PSM as a StationMessage and back, rounded to the units of the wire.

What is lost on the way to the wire: time to 1 ms (and all but the milliseconds of its minute), position to 1e-7 degree,
speed to 0.02 m/s, headings to 0.0125 degree, sizes, uncertainty but that of the place, which is rounded up to 5 cm; what is
neither a person, a cyclist nor an animal becomes unknown. Source: SAE J2735, MSG_PersonalSafetyMessage.
"""
from __future__ import annotations

import math
from typing import Any

from data_specs.messages import Header, StationMessage
from v2x.codecs import j2735
from v2x.codecs import j2735_station as station
from v2x.codecs.bsm_message import require_at_position
from v2x.codecs.j2735_classes import class_of_user, user_type_of
from v2x.codecs.j2735_clock import second_of_unix_ns, unix_ns_of_second
from v2x.codecs.rows import NAN, Row

_BODY_BIT = 24  # of the message in a frame whose length takes one octet
_SECOND_BIT, _POSITION_BIT = _BODY_BIT + 23, _BODY_BIT + 78


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> StationMessage:
    """The message of a decoded frame; DecodeError where it says no position, or there is no time of arrival to date it by."""
    message = pdu["value"]
    shift = 8 * (raw[2] >> 7) if len(raw) > 2 else 0  # a length of 128 octets and more takes two
    generated_ns = unix_ns_of_second(message["secMark"], received_ns, "PSM.secMark", _SECOND_BIT + shift)
    at = message["position"]
    row = Row(
        generated_ns, (0.0, 0.0, 0.0), (NAN, NAN, NAN, NAN, NAN, NAN),
        yaw_rate_radps=station.yaw_rate_radps(message.get("accelSet", station.UNAVAILABLE_ACCELERATION)),
        label=class_of_user(message["basicType"]), track_id=int(message["id"], 16),
    )
    place = station.place_of(at["lat"], at["long"], at.get("elevation", -4096), "PSM.position", _POSITION_BIT + shift)
    return station.station_message(Header(publisher, form, generated_ns, received_ns, 0, 1, raw), place, row,
                                   message["accuracy"], message["speed"], message["heading"], backward=False)


def pdu_of(message: StationMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError for a station_id out of range or an object that is not at its position."""
    objects, header = message.objects, message.header
    require_at_position(message)
    yaw, speed, _ = station.heading_and_speed(objects)
    value: dict[str, Any] = {
        "basicType": user_type_of(station.label_of(objects)) or "unavailable",
        "secMark": second_of_unix_ns(header.generated_ns),
        "msgCnt": station.message_count(header.generated_ns),
        "id": station.temporary_id(message.station_id),
        "position": station.position_of(message.position),
        "accuracy": station.accuracy_of(objects.covariance[0, :2, :2]),
        "speed": station.speed_of(speed),
        "heading": station.heading_of(yaw),
    }
    if not math.isnan(yaw_rate := float(objects.yaw_rate_radps[0])):
        value["accelSet"] = station.acceleration_of(yaw_rate)
    return {"messageId": j2735.PERSONAL_SAFETY, "value": value}
