"""Object classes of the CPM editions and of Roadweave.

Source: ETSI TS 102 894-2 V2.1.1, TrafficParticipantType and VruProfileAndSubprofile; TR 103 562 V2.1.1, VehicleSubclassType,
PersonSubclassType. A special vehicle is by definition one like a moving road works vehicle.
"""
from __future__ import annotations

from typing import Any

from data_specs.objects import ObjectClass

_VEHICLE_V211 = {
    5: ObjectClass.CAR, 6: ObjectClass.BUS, 7: ObjectClass.VAN, 8: ObjectClass.TRUCK, 9: ObjectClass.TRAILER,
    10: ObjectClass.CONSTRUCTION_VEHICLE, 11: ObjectClass.TRAM, 14: ObjectClass.OTHER,
    # Traffic participants that are not allowed as a vehicle class, yet are understood.
    1: ObjectClass.PEDESTRIAN, 2: ObjectClass.BICYCLE, 3: ObjectClass.MOTORCYCLE, 4: ObjectClass.MOTORCYCLE,
    12: ObjectClass.BICYCLE, 13: ObjectClass.ANIMAL,
}
_VRU_V211 = {
    "pedestrian": ObjectClass.PEDESTRIAN, "bicyclistAndLightVruVehicle": ObjectClass.BICYCLE,
    "motorcyclist": ObjectClass.MOTORCYCLE, "animal": ObjectClass.ANIMAL,
}
_GROUP_PROFILES = (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE, ObjectClass.ANIMAL)
_TO_VRU_V211 = {
    ObjectClass.PEDESTRIAN: ("pedestrian", "ordinary-pedestrian"),
    ObjectClass.PERSON_SITTING: ("pedestrian", "unavailable"),
    ObjectClass.BICYCLE: ("bicyclistAndLightVruVehicle", "bicyclist"),
    ObjectClass.MOTORCYCLE: ("motorcyclist", "motorcycle"),
    ObjectClass.ANIMAL: ("animal", "unavailable"),
}
_TO_VEHICLE_V211 = {
    ObjectClass.CAR: 5, ObjectClass.BUS: 6, ObjectClass.VAN: 7, ObjectClass.TRUCK: 8, ObjectClass.TRAILER: 9,
    ObjectClass.CONSTRUCTION_VEHICLE: 10, ObjectClass.TRAM: 11,
}
_VEHICLE_TR103562 = {
    1: ObjectClass.MOTORCYCLE, 2: ObjectClass.MOTORCYCLE, 3: ObjectClass.CAR, 4: ObjectClass.BUS, 5: ObjectClass.VAN,
    6: ObjectClass.TRUCK, 7: ObjectClass.TRAILER, 8: ObjectClass.CONSTRUCTION_VEHICLE, 9: ObjectClass.TRAM,
    10: ObjectClass.OTHER, 11: ObjectClass.OTHER,
}
_CYCLIST_TR103562 = 3


def class_from_v211(object_class: dict[str, Any]) -> ObjectClass:
    """The class of a v2.1.1 objectClass choice; UNKNOWN where it says nothing that is known here."""
    value = object_class["value"]
    match object_class["choice"]:
        case "vehicleSubClass":
            return _VEHICLE_V211.get(value, ObjectClass.UNKNOWN)
        case "vruSubClass":
            return _VRU_V211.get(value["choice"], ObjectClass.UNKNOWN)
        case "groupSubClass":
            profiles = int(value.get("clusterProfiles", {"hex": "0"})["hex"][0], 16)
            return next((label for place, label in enumerate(_GROUP_PROFILES) if profiles >> 3 - place & 1), ObjectClass.UNKNOWN)
        case "otherSubClass" if value != 0:
            return ObjectClass.OTHER
        case _:
            return ObjectClass.UNKNOWN


def class_to_v211(label: ObjectClass) -> dict[str, Any]:
    """The v2.1.1 objectClass of a class. Cones, barriers and other things become a single other object."""
    if label in _TO_VEHICLE_V211:
        return {"choice": "vehicleSubClass", "value": _TO_VEHICLE_V211[label]}
    if label in _TO_VRU_V211:
        profile, subprofile = _TO_VRU_V211[label]
        return {"choice": "vruSubClass", "value": {"choice": profile, "value": subprofile}}
    return {"choice": "otherSubClass", "value": 0 if label == ObjectClass.UNKNOWN else 1}


def class_from_tr103562(object_class: dict[str, Any]) -> ObjectClass:
    """The class of a TR 103 562 class choice; UNKNOWN where it says nothing that is known here."""
    kind = object_class["value"].get("type", 0)
    match object_class["choice"]:
        case "vehicle":
            return _VEHICLE_TR103562.get(kind, ObjectClass.UNKNOWN)
        case "person":
            return ObjectClass.BICYCLE if kind == _CYCLIST_TR103562 else ObjectClass.PEDESTRIAN
        case "animal":
            return ObjectClass.ANIMAL
        case _:
            return ObjectClass.UNKNOWN if kind == 0 else ObjectClass.OTHER
