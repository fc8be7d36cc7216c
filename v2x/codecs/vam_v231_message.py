"""A VAM as a StationMessage and back, rounded to the units of the wire.

Source: ETSI TS 103 300-3 V2.3.1, 7.3. Heading is that of the movement; where the sender also tells its orientation, that is where
the road user points. A message of a cluster's leader speaks of the leader: the cluster's shape and number stay plain values.

What is lost on the way to the wire: time to 1 ms (and all but its last 16 bits), position to 1e-7 degree, speed to 1 cm/s, angles
to 0.1 degree, sizes, and correlations but that of East and North; standard deviations are rounded up.
"""
from __future__ import annotations

import math
from typing import Any

from data_specs.clock import its_ms_from_unix_ns
from data_specs.messages import Header, StationMessage
from data_specs.objects import ObjectClass
from v2x.codecs import etsi_station as etsi
from v2x.codecs.cam_v141_message import YAW_RATE_UNIT, yaw_rate_code
from v2x.codecs.etsi_station import NAN
from v2x.codecs.rows import object_list
from v2x.codecs.vam_v231 import MESSAGE_ID, PROTOCOL_VERSION

_TIME_BIT, _LATITUDE_BIT = 48, 78
# The ellipse's names in this edition of the data dictionary, and in the one that etsi_station speaks.
_ELLIPSE = {"semiMajorAxisLength": "semiMajorConfidence", "semiMinorAxisLength": "semiMinorConfidence",
            "semiMajorAxisOrientation": "semiMajorOrientation"}


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> StationMessage:
    """The message of a decoded PDU; DecodeError where it says no position, or nobody says when it came."""
    parameters = pdu["vam"]["vamParameters"]
    basic, fast = parameters["basicContainer"], parameters["vruHighFrequencyContainer"]
    generated_ns = etsi.generated_ns_of(pdu["vam"]["generationDeltaTime"], received_ns, "VAM.vam.generationDeltaTime", _TIME_BIT)
    position = basic["referencePosition"]
    place = etsi.place_of(position, "VAM.vam.vamParameters.basicContainer.referencePosition", _LATITUDE_BIT)
    ellipse = {_ELLIPSE[name]: value for name, value in position["positionConfidenceEllipse"].items()}
    row = etsi.row_at(position | {"positionConfidenceEllipse": ellipse}, generated_ns,
                      etsi.class_of_station(basic["stationType"]), pdu["header"]["stationId"])
    etsi.put_motion(row, fast["heading"]["value"], fast["heading"]["confidence"], fast["speed"])
    orientation = fast.get("orientation")
    if orientation is not None and not math.isnan(etsi.yaw_of(orientation["value"])):
        row.yaw_rad = etsi.yaw_of(orientation["value"])
        row.sigma = (*row.sigma[:3], etsi.angle_sigma(orientation["confidence"]), *row.sigma[4:])
    rate = fast.get("yawRate", {"yawRateValue": 32_767})["yawRateValue"]
    row.yaw_rate_radps = NAN if rate == 32_767 else rate * YAW_RATE_UNIT
    header = Header(publisher, form, generated_ns, received_ns, 0, 1, raw)
    return StationMessage(header, row.track_id, place, object_list([row], publisher))


def pdu_of(message: StationMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError for a station_id out of range. What it does not know is sent as unavailable."""
    objects = message.objects
    motion = etsi.motion_of(objects)
    position = etsi.position_of(message.position, objects.covariance[0, :3, :3])
    ellipse = position["positionConfidenceEllipse"]
    fast: dict[str, Any] = {
        "heading": {"value": etsi.clockwise_tenths_of(motion.direction_rad),
                    "confidence": etsi.angle_confidence_of(motion.direction_sigma_rad)},
        "speed": etsi.speed_code_of(motion.speed_mps, motion.speed_sigma_mps),
        "longitudinalAcceleration": {"longitudinalAccelerationValue": 161, "longitudinalAccelerationConfidence": 102},
    }
    if not math.isnan(float(objects.yaw_rate_radps[0])):
        fast["yawRate"] = {"yawRateValue": yaw_rate_code(float(objects.yaw_rate_radps[0])), "yawRateConfidence": "unavailable"}
    if motion.backward:
        fast["orientation"] = {"value": etsi.clockwise_tenths_of(motion.direction_rad + math.pi), "confidence": 127}
    return {
        "header": {"protocolVersion": PROTOCOL_VERSION, "messageId": MESSAGE_ID,
                   "stationId": etsi.require_station_id(message.station_id)},
        "vam": {
            "generationDeltaTime": its_ms_from_unix_ns(message.header.generated_ns) % 65_536,
            "vamParameters": {
                "basicContainer": {
                    "stationType": etsi.station_type_of(ObjectClass(objects.label[0])),
                    "referencePosition": position | {
                        "positionConfidenceEllipse": {name: ellipse[other] for name, other in _ELLIPSE.items()}},
                },
                "vruHighFrequencyContainer": fast,
            },
        },
    }
