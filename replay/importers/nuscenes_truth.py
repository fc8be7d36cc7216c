"""Boxes of nuScenes key frames as info-v2 pickles list them, with the attributes that the cameras' lists know.

mmdetection3d 1.4 writes `attr_label` into the lists of what each camera shows, where a box is the same box in the camera's
frame; others write it into the instances. A box that neither tells about has no attribute.
Source: mmdetection3d 1.4, tools/dataset_converters/update_infos_to_v2.py; its nus_attributes is the order of the labels.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, SpecError, UnknownFormat
from data_specs.objects import ObjectClass, ObjectList, Truth
from replay.importers.info_v2 import field_of, pose_of

ATTRIBUTES = ("cycle.with_rider", "cycle.without_rider", "pedestrian.moving", "pedestrian.standing",
              "pedestrian.sitting_lying_down", "vehicle.moving", "vehicle.parked", "vehicle.stopped")
NO_ATTRIBUTE = (-1, len(ATTRIBUTES))  # both are written
SAME_CENTER_M = 0.05


def truth_of(info: dict[str, Any], classes: Mapping[int, ObjectClass], lidar: str, time_ns: int, where: str) -> Truth:
    """Boxes of one sample in `lidar`; label -1 is a thing outside the data set's classes: kept, to be ignored."""
    instances = info.get("instances", [])
    rows = [_row(instance, classes, f"{where}: instance {i}") for i, instance in enumerate(instances)]
    values = np.array([row[0] for row in rows]).reshape(-1, 7)
    label = np.array([row[1] for row in rows], np.uint8)
    try:
        boxes = Boxes3D(lidar, values[:, :3], values[:, 3:6], values[:, 6])
    except SpecError as error:
        raise InputError(where, str(error), "boxes of finite numbers") from error
    attribute = [_attribute(instance, f"{where}: instance {i}") for i, instance in enumerate(instances)]
    for row, name in _attributes_in_images(info, values[:, :3], lidar, where).items():
        attribute[row] = attribute[row] or name
    objects = ObjectList.build(boxes, "truth", time_ns, label, velocity_mps=np.array([row[2] for row in rows]).reshape(-1, 2))
    return Truth.build(objects, points_in_box=np.array([row[3] for row in rows], np.int32), attribute=attribute,
                       ignore=label == ObjectClass.UNKNOWN)


def _row(instance: Any, classes: Mapping[int, ObjectClass], where: str) -> tuple[Array, ObjectClass, Array, int]:
    """Box [7], class, velocity [2] (m/s, NaN unknown) and LiDAR points (-1 unknown) of an instance."""
    box = np.asarray(field_of(instance, "bbox_3d", where), np.float64)
    if box.shape != (7,):
        raise InputError(f"{where}: bbox_3d", f"shape {box.shape}", "x, y, z, length, width, height, yaw")
    number = int(field_of(instance, "bbox_label_3d", where))
    if number != -1 and number not in classes:
        raise UnknownFormat(f"{where}: bbox_label_3d", f"class {number}", f"one of {sorted(classes)} as in metainfo, or -1")
    velocity_mps = np.asarray(instance.get("velocity", [np.nan, np.nan]), np.float64)[:2]
    return box, classes.get(number, ObjectClass.UNKNOWN), velocity_mps, int(instance.get("num_lidar_pts", -1))


def _attribute(instance: Mapping[str, Any], where: str) -> str:
    """An instance's own attribute, "" for none."""
    number = instance.get("attr_label", -1)
    if number in NO_ATTRIBUTE:
        return ""
    if number not in range(len(ATTRIBUTES)):
        raise UnknownFormat(f"{where}: attr_label", f"attribute {number!r}", f"0 to {len(ATTRIBUTES) - 1}, or -1 for none")
    return ATTRIBUTES[number]


def _attributes_in_images(info: dict[str, Any], center_m: Array, lidar: str, where: str) -> dict[int, str]:
    """Attributes by row of the boxes (centres [n, 3] in `lidar`), from the lists of what each camera shows."""
    found: dict[int, str] = {}
    lists = info.get("cam_instances") or {}
    for name, camera in info.get("images", {}).items():
        if len(center_m) and lists.get(name) and "lidar2cam" in camera:
            camera_from_lidar = pose_of(name, lidar, camera["lidar2cam"], f"{where}: {name}: lidar2cam")
            found |= _attributes_shown(lists[name], camera_from_lidar.apply(center_m), f"{where}: {name}")
    return found


def _attributes_shown(shown: list[dict[str, Any]], center_m: Array, where: str) -> dict[int, str]:
    """Attributes by row of the boxes (centres [n, 3] in the camera's frame) that one camera's list tells."""
    found: dict[int, str] = {}
    for i, instance in enumerate(shown):
        place = f"{where}: instance {i}"
        attribute = _attribute(instance, place)
        off_m = np.linalg.norm(center_m - np.asarray(field_of(instance, "bbox_3d", place), np.float64)[:3], axis=1)
        if attribute and off_m.min() < SAME_CENTER_M:
            found[int(off_m.argmin())] = attribute
    return found
