"""nuScenes' attributes: what an object is doing, and what a detection without an attribute of its own is taken to do.

The rule, from class and speed over ground: above a speed (`moves_above_mps`) a vehicle or a pedestrian is moving and a cycle has
a rider; at or below it a bus is stopped, any other vehicle parked, a pedestrian standing and a cycle without a rider. Where the
speed is not known (NaN), it is what nuScenes holds most of: cars, trucks, trailers and construction vehicles parked, buses and
pedestrians moving, cycles without a rider. Cones, barriers and classes that nuScenes lacks have none.
Source: names, nuScenes (Caesar et al. 2020, table 5); rule, how CenterPoint (Yin et al. 2021) and mmdetection3d 1.4 write
nuScenes results, which predict no attribute either. They draw the line at 0.2 m/s for all; a detected speed is rarely that good,
and on drives that calibrate `nano`, 0.2 told movement right for 0.63 of the matches (mean of classes), the speeds here for 0.90.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass

MOVES_ABOVE_MPS, WALKS_ABOVE_MPS = 1.0, 0.5
NONE, FOREIGN = 0, 255  # codes: no attribute; one that is not nuScenes'
ATTRIBUTES = ("", "vehicle.moving", "vehicle.stopped", "vehicle.parked", "pedestrian.moving", "pedestrian.standing",
              "pedestrian.sitting_lying_down", "cycle.with_rider", "cycle.without_rider")  # by code
_VEHICLE = ("vehicle.moving", "vehicle.parked", "vehicle.parked")
_CYCLE = ("cycle.with_rider", "cycle.without_rider", "cycle.without_rider")
_RULE: dict[ObjectClass, tuple[str, str, str]] = {  # when it moves, when it does not, when nobody knows
    ObjectClass.CAR: _VEHICLE, ObjectClass.TRUCK: _VEHICLE, ObjectClass.TRAILER: _VEHICLE,
    ObjectClass.CONSTRUCTION_VEHICLE: _VEHICLE, ObjectClass.BUS: ("vehicle.moving", "vehicle.stopped", "vehicle.moving"),
    ObjectClass.PEDESTRIAN: ("pedestrian.moving", "pedestrian.standing", "pedestrian.moving"),
    ObjectClass.BICYCLE: _CYCLE, ObjectClass.MOTORCYCLE: _CYCLE,
}
_CODE = {name: code for code, name in enumerate(ATTRIBUTES)}
_CODES = np.array([[_CODE[name] for name in _RULE.get(cls, ("", "", ""))] for cls in ObjectClass], np.uint8)


def likely_attributes(label: Array, velocity_mps: Array) -> Array:
    """Attribute codes u1 [n] of objects of classes [n] (ObjectClass) with velocities [n, 2] over ground; NaN is unknown."""
    speed_mps = np.hypot(velocity_mps[:, 0], velocity_mps[:, 1])
    return _CODES[label, np.where(np.isnan(speed_mps), 2, np.where(speed_mps > moves_above_mps(label), 0, 1))]


def moves_above_mps(label: Array) -> Array:
    """The speed [n] in m/s above which an object of each class [n] is taken to move."""
    return np.where(label == ObjectClass.PEDESTRIAN, WALKS_ABOVE_MPS, MOVES_ABOVE_MPS)


def attribute_codes(names: Sequence[str]) -> Array:
    """Codes u1 [n] of attribute names: their places in ATTRIBUTES, FOREIGN for a name that is not there."""
    return np.array([_CODE.get(name, FOREIGN) for name in names], np.uint8)
