"""Object classes of J2735 and of Roadweave.

Source: SAE J2735, DE_BasicVehicleClass (its numbers also stand in T/CSAE 53), DE_PersonalDeviceUserType; J3224, DE_ObjectType.
"""
from __future__ import annotations

from data_specs.objects import ObjectClass

# First number of each run of BasicVehicleClass.
_RUNS = (
    (0, ObjectClass.UNKNOWN), (1, ObjectClass.OTHER), (2, ObjectClass.UNKNOWN), (10, ObjectClass.CAR),
    (12, ObjectClass.UNKNOWN), (20, ObjectClass.VAN), (22, ObjectClass.UNKNOWN), (25, ObjectClass.TRUCK),
    (38, ObjectClass.UNKNOWN), (40, ObjectClass.MOTORCYCLE), (46, ObjectClass.UNKNOWN), (50, ObjectClass.BUS),
    (56, ObjectClass.TRAM), (57, ObjectClass.BUS), (59, ObjectClass.UNKNOWN), (60, ObjectClass.OTHER), (70, ObjectClass.UNKNOWN),
    (80, ObjectClass.UNKNOWN), (81, ObjectClass.OTHER), (82, ObjectClass.PEDESTRIAN), (85, ObjectClass.BICYCLE),
    (86, ObjectClass.PEDESTRIAN), (87, ObjectClass.UNKNOWN), (90, ObjectClass.OTHER), (93, ObjectClass.TRAILER),
    (94, ObjectClass.UNKNOWN),
)
_TO_VEHICLE_CLASS = {
    ObjectClass.CAR: 10, ObjectClass.VAN: 20, ObjectClass.TRUCK: 25, ObjectClass.MOTORCYCLE: 40, ObjectClass.BUS: 50,
    ObjectClass.TRAM: 56, ObjectClass.CONSTRUCTION_VEHICLE: 1, ObjectClass.TRAILER: 93,
}
_USER_TYPES = {
    "aPEDESTRIAN": ObjectClass.PEDESTRIAN, "aPEDALCYCLIST": ObjectClass.BICYCLE,
    "aPUBLICSAFETYWORKER": ObjectClass.PEDESTRIAN, "anANIMAL": ObjectClass.ANIMAL,
}
_TO_USER_TYPE = {
    ObjectClass.PEDESTRIAN: "aPEDESTRIAN", ObjectClass.PERSON_SITTING: "aPEDESTRIAN", ObjectClass.BICYCLE: "aPEDALCYCLIST",
    ObjectClass.ANIMAL: "anANIMAL",
}


def class_of_vehicle(vehicle_class: int) -> ObjectClass:
    """The class of a BasicVehicleClass; UNKNOWN for numbers without a meaning."""
    return next(label for first, label in reversed(_RUNS) if first <= vehicle_class)


def vehicle_class_of(label: ObjectClass) -> int | None:
    """The BasicVehicleClass of a vehicle; None for what is none, or for no one knows which."""
    return _TO_VEHICLE_CLASS.get(label)


def class_of_user(user_type: str) -> ObjectClass:
    """The class of a PersonalDeviceUserType; UNKNOWN for "unavailable" and for later names."""
    return _USER_TYPES.get(user_type, ObjectClass.UNKNOWN)


def user_type_of(label: ObjectClass) -> str | None:
    """The PersonalDeviceUserType of a person or an animal; None for anything else."""
    return _TO_USER_TYPE.get(label)
