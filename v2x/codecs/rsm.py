"""The roadside safety message (RSM) of T/CSAE 53 as a JSON form: participants by absolute latitude and longitude.

Fields, units and names follow what is commonly told of RoadsideSafetyMessage and ParticipantData (T/CSAE 53-2017): positions 1e-7
degree, elevation 0.1 m, speed 0.02 m/s, heading 0.0125 degree clockwise from North, sizes 0.01 m (height 0.05 m). No recorded
message was at hand to check them against, so the octets are refused: their order is not known from a source that was verified.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.errors import SpecError, UnknownFormat
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass
from v2x.codecs import j2735
from v2x.codecs import j2735_station as station
from v2x.codecs.j2735_classes import class_of_vehicle, vehicle_class_of
from v2x.codecs.j2735_clock import second_of_unix_ns, unix_ns_of_second
from v2x.codecs.rows import NAN, Row, object_list
from v2x.codecs.schema import Field, Integer, Kind, OctetString, Sequence, SequenceOf, Text
from v2x.codecs.validate import validate
from v2x.geodesy import geo_from_map, map_from_geo

WIRE_FORMAT = "csae-rsm"
MOST_PARTICIPANTS = 16
_TYPES = {"motor": ObjectClass.CAR, "non-motor": ObjectClass.BICYCLE, "pedestrian": ObjectClass.PEDESTRIAN}
_PLACE = Sequence("Position3D", (
    Field("lat", j2735.LATITUDE), Field("long", j2735.LONGITUDE), Field("elevation", j2735.ELEVATION, optional=True),
))
_PARTICIPANT = Sequence("ParticipantData", (  # what is read of it
    Field("ptcType", Text(1, None, "utf8")), Field("ptcId", Integer(0, 65_535)), Field("secMark", j2735.D_SECOND),
    Field("pos", _PLACE), Field("speed", j2735.SPEED), Field("heading", j2735.HEADING),
    Field("size", Sequence("VehicleSize", (
        Field("width", j2735.VEHICLE_WIDTH), Field("length", j2735.VEHICLE_LENGTH),
        Field("height", j2735.VEHICLE_HEIGHT, optional=True),
    ))),
    Field("vehicleClass", Sequence("VehicleClassification", (Field("classification", j2735.BASIC_VEHICLE_CLASS, optional=True),)),
          optional=True),
))
_MESSAGE = Sequence("RoadsideSafetyMessage", (
    Field("id", OctetString(1, 8)), Field("refPos", _PLACE), Field("participants", SequenceOf(_PARTICIPANT, 0, None)),
))


def refusal(where: str) -> UnknownFormat:
    """Why octets of an RSM are neither read nor written."""
    return UnknownFormat(where, f"octets of {WIRE_FORMAT}",
                         "a layout proven by a message: T/CSAE 53 is read as JSON alone (v2x.codecs.rsm)")


def message_of(value: dict[str, Any], publisher: str, received_ns: int) -> RoadsideMessage:
    """The message of an RSM in JSON form; fields that it does not read may be there.

    SpecError names the field that is missing or out of its range, DecodeError an unavailable place, or no time of arrival.
    """
    value = _read_part(_MESSAGE, value)
    validate(_MESSAGE, value, "RSM")
    place = _place(value["refPos"], "RSM.refPos")
    rows = [_row(part, place, received_ns) for part in value["participants"]]
    generated_ns = max((row.measured_ns for row in rows), default=received_ns)
    header = Header(publisher, WIRE_FORMAT, generated_ns, received_ns, 0, 1, b"")
    return RoadsideMessage(header, int(value["id"], 16), place, object_list(rows, publisher), (), ())


def value_of(message: RoadsideMessage) -> dict[str, Any]:
    """The RSM of a message in JSON form; SpecError for more than 16 objects, none, or an id out of range."""
    objects = message.objects
    if not 1 <= len(objects) <= MOST_PARTICIPANTS:
        raise SpecError(f"objects: {len(objects)}, expected 1 to {MOST_PARTICIPANTS} in an RSM")
    if not 0 <= message.station_id < 1 << 64:
        raise SpecError(f"station_id: {message.station_id}, expected 0 to 18446744073709551615")
    places = geo_from_map(message.position, objects.boxes.center_m)
    return {"msgCnt": station.message_count(message.header.generated_ns), "id": f"{message.station_id:016x}",
            "refPos": station.position_of(message.position),
            "participants": [_participant(message, row, places[row]) for row in range(len(objects))]}


def _read_part(kind: Kind, value: Any) -> Any:
    """The value without the fields that the table does not know."""
    if isinstance(kind, Sequence) and isinstance(value, dict):
        return {part.name: _read_part(part.kind, value[part.name]) for part in kind.fields if part.name in value}
    if isinstance(kind, SequenceOf) and isinstance(value, list):
        return [_read_part(kind.item, item) for item in value]
    return value


def _place(position: dict[str, int], where: str) -> GeoPoint:
    return station.place_of(position["lat"], position["long"], position.get("elevation", -4096), where, 0)


def _row(part: dict[str, Any], origin: GeoPoint, received_ns: int) -> Row:
    size, heading = part["size"], station.direction_rad(part["heading"])
    label = class_of_vehicle(part.get("vehicleClass", {}).get("classification", 0))
    east, north, up = map_from_geo(origin, [_place(part["pos"], "RSM.participants[].pos")])[0].tolist()
    return Row(
        unix_ns_of_second(part["secMark"], received_ns, "RSM.participants[].secMark", 0),
        (east, north, up), (NAN, NAN, NAN, NAN, NAN, NAN),
        size_lwh_m=(size["length"] / 100 or NAN, size["width"] / 100 or NAN, size.get("height", 0) * 0.05 or NAN),
        yaw_rad=heading, velocity=(station.speed_mps(part["speed"]), heading), polar=True,
        label=_TYPES.get(part["ptcType"], ObjectClass.UNKNOWN) if label == ObjectClass.UNKNOWN else label,
        track_id=part["ptcId"],
    )


def _participant(message: RoadsideMessage, row: int, place: GeoPoint) -> dict[str, Any]:
    objects = message.objects
    label, number = ObjectClass(objects.label[row]), int(objects.track_id[row])
    if not 0 <= number <= 65_535:
        raise SpecError(f"objects: track_id {number} at row {row}, expected 0 to 65535")
    length_m, width_m, height_m = objects.boxes.size_lwh_m[row].tolist()
    velocity, vehicle_class = objects.velocity_mps[row], vehicle_class_of(label)
    speed = float(np.hypot(*velocity))
    direction = math.atan2(velocity[1], velocity[0]) if speed >= 0.5 else float(objects.boxes.yaw_rad[row])
    part: dict[str, Any] = {
        "ptcType": _type_of(label), "ptcId": number, "source": 1, "secMark": second_of_unix_ns(int(objects.measured_ns[row])),
        "pos": station.position_of(place), "speed": station.speed_of(speed), "heading": station.heading_of(direction),
        "size": {"width": round(width_m * 100), "length": round(length_m * 100), "height": min(round(height_m * 20), 127)},
    }
    return part if vehicle_class is None else part | {"vehicleClass": {"classification": vehicle_class}}


def _type_of(label: ObjectClass) -> str:
    if label == ObjectClass.MOTORCYCLE or vehicle_class_of(label) is not None:
        return "motor"
    return next((name for name, known in _TYPES.items() if known == label), "unknown")
