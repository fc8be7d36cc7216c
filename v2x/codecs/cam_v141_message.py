"""A CAM as a StationMessage and back, rounded to the units of the wire.

Source: ETSI EN 302 637-2 V1.4.1, annexes A and B. Heading is that of the movement: a vehicle that drives backwards points the
other way. The reference position of a vehicle (stationType 3 to 11) is the ground below the middle of its front, so its box
lies half a length behind; of any other station it is the station.

What is lost on the way to the wire: time to 1 ms (and all but its last 16 bits), position to 1e-7 degree, speed to 1 cm/s,
angles to 0.1 degree, sizes to 0.1 m, height, the uncertainty of sizes, and correlations but that of East and North;
standard deviations are rounded up.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.clock import its_ms_from_unix_ns
from data_specs.messages import GeoPoint, Header, StationMessage
from data_specs.objects import ObjectClass
from v2x.codecs import etsi_station as etsi
from v2x.codecs.cam_v141 import MESSAGE_ID, PROTOCOL_VERSION
from v2x.codecs.etsi_station import NAN
from v2x.codecs.rows import Row, object_list
from v2x.geodesy import geo_from_map

_TIME_BIT, _LATITUDE_BIT = 48, 76
_FRONT_REFERENCED = range(3, 12)
YAW_RATE_UNIT = math.radians(0.01)
_VEHICLE = "basicVehicleContainerHighFrequency"


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> StationMessage:
    """The message of a decoded PDU; DecodeError where it says no position, or nobody says when it came."""
    parameters = pdu["cam"]["camParameters"]
    basic, fast = parameters["basicContainer"], parameters["highFrequencyContainer"]
    slow = parameters.get("lowFrequencyContainer", {"choice": "", "value": {}})["value"]
    generated_ns = etsi.generated_ns_of(pdu["cam"]["generationDeltaTime"], received_ns, "CAM.cam.generationDeltaTime", _TIME_BIT)
    place = etsi.place_of(basic["referencePosition"], "CAM.cam.camParameters.basicContainer.referencePosition", _LATITUDE_BIT)
    role = slow.get("vehicleRole", "default") if isinstance(slow, dict) else "default"
    row = etsi.row_at(basic["referencePosition"], generated_ns, etsi.class_of_station(basic["stationType"], role),
                      pdu["header"]["stationID"])
    if fast["choice"] == _VEHICLE:
        _move(row, fast["value"], basic["stationType"] in _FRONT_REFERENCED)
    header = Header(publisher, form, generated_ns, received_ns, 0, 1, raw)
    return StationMessage(header, row.track_id, place, object_list([row], publisher))


def pdu_of(message: StationMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError for a station_id out of range. What it does not know is sent as unavailable."""
    objects = message.objects
    station_type = etsi.station_type_of(ObjectClass(objects.label[0]))
    motion = etsi.motion_of(objects)
    length_m, width_m = objects.boxes.size_lwh_m[0, :2].tolist()
    return {
        "header": {"protocolVersion": PROTOCOL_VERSION, "messageID": MESSAGE_ID,
                   "stationID": etsi.require_station_id(message.station_id)},
        "cam": {
            "generationDeltaTime": its_ms_from_unix_ns(message.header.generated_ns) % 65_536,
            "camParameters": {
                "basicContainer": {
                    "stationType": station_type,
                    "referencePosition": etsi.position_of(
                        _reference_place(message, station_type in _FRONT_REFERENCED and not math.isnan(motion.direction_rad)),
                        objects.covariance[0, :3, :3]),
                },
                "highFrequencyContainer": {"choice": _VEHICLE, "value": {
                    "heading": {"headingValue": etsi.clockwise_tenths_of(motion.direction_rad),
                                "headingConfidence": etsi.angle_confidence_of(motion.direction_sigma_rad)},
                    "speed": etsi.speed_code_of(motion.speed_mps, motion.speed_sigma_mps),
                    "driveDirection": "backward" if motion.backward else "forward" if motion.speed_mps > 0.0 else "unavailable",
                    "vehicleLength": {"vehicleLengthValue": _decimetres(length_m, 1022),
                                      "vehicleLengthConfidenceIndication": "unavailable"},
                    "vehicleWidth": _decimetres(width_m, 61),
                    "longitudinalAcceleration": {"longitudinalAccelerationValue": 161, "longitudinalAccelerationConfidence": 102},
                    "curvature": {"curvatureValue": 1023, "curvatureConfidence": "unavailable"},
                    "curvatureCalculationMode": "unavailable",
                    "yawRate": {"yawRateValue": yaw_rate_code(float(objects.yaw_rate_radps[0])),
                                "yawRateConfidence": "unavailable"},
                }},
            },
        },
    }


def _move(row: Row, vehicle: dict[str, Any], front_referenced: bool) -> None:
    """Motion, size and place of a vehicle into its row."""
    length, width = vehicle["vehicleLength"]["vehicleLengthValue"], vehicle["vehicleWidth"]
    row.size_lwh_m = (length / 10 if length < 1022 else NAN, width / 10 if width < 61 else NAN, NAN)
    etsi.put_motion(row, vehicle["heading"]["headingValue"], vehicle["heading"]["headingConfidence"], vehicle["speed"],
                    backward=vehicle["driveDirection"] == "backward")
    rate = vehicle["yawRate"]["yawRateValue"]
    row.yaw_rate_radps = NAN if rate == 32_767 else rate * YAW_RATE_UNIT
    behind_m = row.size_lwh_m[0] / 2
    if front_referenced and not math.isnan(behind_m + row.yaw_rad):
        row.center_m = (-behind_m * math.cos(row.yaw_rad), -behind_m * math.sin(row.yaw_rad), 0.0)


def _reference_place(message: StationMessage, at_front: bool) -> GeoPoint:
    """Where the reference position lies: the middle of the box's front, or of the box."""
    boxes, position = message.objects.boxes, message.position
    east_m, north_m = boxes.center_m[0, :2].tolist()
    if at_front:
        ahead_m, yaw_rad = float(boxes.size_lwh_m[0, 0]) / 2, float(boxes.yaw_rad[0])
        east_m, north_m = east_m + ahead_m * math.cos(yaw_rad), north_m + ahead_m * math.sin(yaw_rad)
    if math.hypot(east_m, north_m) < 1e-3:
        return position
    there = geo_from_map(position, np.array([[east_m, north_m, 0.0]]))[0]
    return GeoPoint(there.latitude_deg, there.longitude_deg, position.altitude_m)


def _decimetres(size_m: float, out_of_range: int) -> int:
    """A size as coded; a size of zero was not measured."""
    return out_of_range + 1 if size_m <= 0.0 else min(max(round(size_m * 10), 1), out_of_range)


def yaw_rate_code(rate_radps: float) -> int:
    """In 0.01 degree/s; unavailable for NaN."""
    return 32_767 if math.isnan(rate_radps) else min(max(round(rate_radps / YAW_RATE_UNIT), -32_766), 32_766)
