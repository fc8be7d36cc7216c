"""Objects: one type for detections, tracks and roadside objects, and ground truth as that type plus what only truth knows."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, Any

import numpy as np

from data_specs.arrays import Array, Spec, array_fields, lock_fields
from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError, UnknownFormat
from data_specs.pose import SE3


class ObjectClass(IntEnum):
    """What an object is. Values are stored in drives: never renumber, only append."""

    UNKNOWN = 0
    CAR = 1
    TRUCK = 2
    BUS = 3
    TRAILER = 4
    CONSTRUCTION_VEHICLE = 5
    PEDESTRIAN = 6
    MOTORCYCLE = 7
    BICYCLE = 8
    TRAFFIC_CONE = 9
    BARRIER = 10
    ANIMAL = 11
    TRAM = 12
    VAN = 13
    PERSON_SITTING = 14
    OTHER = 15

    @property
    def title(self) -> str:
        """Lower-case name as the nuScenes detection task writes it: "car", "traffic_cone"."""
        return self.name.lower()


NUSCENES_CLASSES: dict[str, ObjectClass] = {
    c.title: c
    for c in (
        ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.TRAILER, ObjectClass.CONSTRUCTION_VEHICLE,
        ObjectClass.PEDESTRIAN, ObjectClass.MOTORCYCLE, ObjectClass.BICYCLE, ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER,
    )
}
KITTI_CLASSES: dict[str, ObjectClass] = {
    "Car": ObjectClass.CAR, "Van": ObjectClass.VAN, "Truck": ObjectClass.TRUCK, "Pedestrian": ObjectClass.PEDESTRIAN,
    "Person_sitting": ObjectClass.PERSON_SITTING, "Cyclist": ObjectClass.BICYCLE, "Tram": ObjectClass.TRAM,
    "Misc": ObjectClass.OTHER, "DontCare": ObjectClass.UNKNOWN,
}


def class_of(name: str, classes: dict[str, ObjectClass], where: str) -> ObjectClass:
    """Look a data set's class name up; UnknownFormat names the place and the known names."""
    if name not in classes:
        raise UnknownFormat(where, f"class {name!r}", f"one of {', '.join(classes)}")
    return classes[name]


@dataclass(frozen=True, slots=True)
class ObjectList:
    """n objects that one source says it sees, each with the time it was measured at. NaN means unmeasured."""

    boxes: Boxes3D
    source: str
    measured_ns: Annotated[Array, Spec("i8", "n")]
    label: Annotated[Array, Spec("u1", "n")]  # ObjectClass
    score: Annotated[Array, Spec("f8", "n")]  # of the label, 0 to 1
    existence: Annotated[Array, Spec("f4", "n")]  # probability that there is an object at all
    velocity_mps: Annotated[Array, Spec("f8", "n", 2)]  # in boxes.frame
    yaw_rate_radps: Annotated[Array, Spec("f8", "n")]
    covariance: Annotated[Array, Spec("f8", "n", 6, 6)]  # of x, y, z, yaw, vx, vy
    size_sigma_m: Annotated[Array, Spec("f8", "n", 3)]
    track_id: Annotated[Array, Spec("i8", "n")]  # -1 = none

    def __post_init__(self) -> None:
        _check_objects(self)

    @classmethod
    def build(cls, boxes: Boxes3D, source: str, measured_ns: int | Array, label: Array, *, score: Array | None = None,
              existence: Array | None = None, velocity_mps: Array | None = None, yaw_rate_radps: Array | None = None,
              covariance: Array | None = None, size_sigma_m: Array | None = None, track_id: Array | None = None) -> ObjectList:
        """Fill what is not given with "unmeasured": score and existence 1, id -1, everything else NaN."""
        return cls(boxes, source, **_filled(len(boxes), measured_ns, label, score, existence, velocity_mps,
                                            yaw_rate_radps, covariance, size_sigma_m, track_id))

    @classmethod
    def empty(cls, frame: str, source: str) -> ObjectList:
        return cls.build(Boxes3D.empty(frame), source, 0, np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Array | slice) -> ObjectList:
        """The objects at a mask, index array or slice."""
        return _rows(self, rows)

    def range_m(self) -> Array:
        """Distance in the xy plane from the origin of boxes.frame, [n]."""
        return np.hypot(self.boxes.center_m[:, 0], self.boxes.center_m[:, 1])

    def transformed(self, dst_from_src: SE3) -> ObjectList:
        """The same objects in another frame: boxes, velocities and covariances turn, the rest stays."""
        return _transformed(self, dst_from_src)


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth: objects, plus what only truth knows. `track_id` is the object's identity."""

    objects: ObjectList
    points_in_box: Annotated[Array, Spec("i4", "n")]  # of the ego's LiDAR; -1 unknown
    pixels_visible: Annotated[Array, Spec("i4", "n")]  # the most in any ego camera; -1 unknown
    roadside_points: Annotated[Array, Spec("i4", "n")]  # the most returns at one roadside unit; -1 unknown
    attribute: tuple[str, ...]  # nuScenes attribute name, "" = none
    image_box_px: Annotated[Array, Spec("f8", "n", 4)]  # left, top, right, bottom; NaN = none
    truncation: Annotated[Array, Spec("f8", "n")]  # 0 to 1; NaN = unknown
    occlusion: Annotated[Array, Spec("i1", "n")]  # KITTI's 0..3; -1 unknown
    ignore: Annotated[Array, Spec("?", "n")]  # neither to be found nor to be punished

    def __post_init__(self) -> None:
        lock_fields(self)
        object.__setattr__(self, "attribute", tuple(self.attribute))
        for name, got in (("points_in_box", len(self.points_in_box)), ("attribute", len(self.attribute))):
            if got != len(self.objects):
                raise SpecError(f"{name}: {got} rows, expected {len(self.objects)} as in objects")

    @classmethod
    def build(cls, objects: ObjectList, *, points_in_box: Array | None = None, pixels_visible: Array | None = None,
              roadside_points: Array | None = None, attribute: Sequence[str] | None = None, image_box_px: Array | None = None,
              truncation: Array | None = None, occlusion: Array | None = None, ignore: Array | None = None) -> Truth:
        """Fill what is not given with "unknown"."""
        n = len(objects)
        unknown = np.full(n, -1)
        return cls(
            objects,
            unknown if points_in_box is None else points_in_box,
            unknown if pixels_visible is None else pixels_visible,
            unknown if roadside_points is None else roadside_points,
            ("",) * n if attribute is None else tuple(attribute),
            np.full((n, 4), np.nan) if image_box_px is None else image_box_px,
            np.full(n, np.nan) if truncation is None else truncation,
            unknown if occlusion is None else occlusion,
            np.zeros(n, bool) if ignore is None else ignore,
        )

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, rows: Array | slice) -> Truth:
        """The truths at a mask, index array or slice."""
        kept = np.arange(len(self))[rows]
        arrays = {name: getattr(self, name)[rows] for name in array_fields(Truth)}
        return Truth(self.objects[rows], attribute=tuple(self.attribute[i] for i in kept), **arrays)

    def transformed(self, dst_from_src: SE3) -> Truth:
        arrays = {name: getattr(self, name) for name in array_fields(Truth)}
        return Truth(self.objects.transformed(dst_from_src), attribute=self.attribute, **arrays)


def concatenate(parts: Sequence[ObjectList], source: str) -> ObjectList:
    """Rows of all parts, in order, said to come from `source`; FrameError if frames differ."""
    if not parts:
        raise SpecError("parts: none, expected at least one object list")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in array_fields(ObjectList)}
    return ObjectList(Boxes3D.concatenate([part.boxes for part in parts]), source, **arrays)


def _filled(n: int, measured_ns: int | Array, label: Array, score: Array | None, existence: Array | None,
            velocity_mps: Array | None, yaw_rate_radps: Array | None, covariance: Array | None,
            size_sigma_m: Array | None, track_id: Array | None) -> dict[str, Any]:
    return {
        "measured_ns": np.full(n, measured_ns, np.int64) if np.ndim(measured_ns) == 0 else measured_ns,
        "label": label,
        "score": np.ones(n) if score is None else score,
        "existence": np.ones(n, np.float32) if existence is None else existence,
        "velocity_mps": np.full((n, 2), np.nan) if velocity_mps is None else velocity_mps,
        "yaw_rate_radps": np.full(n, np.nan) if yaw_rate_radps is None else yaw_rate_radps,
        "covariance": np.full((n, 6, 6), np.nan) if covariance is None else covariance,
        "size_sigma_m": np.full((n, 3), np.nan) if size_sigma_m is None else size_sigma_m,
        "track_id": np.full(n, -1, np.int64) if track_id is None else track_id,
    }


def _check_objects(objects: ObjectList) -> None:
    lock_fields(objects)
    if len(objects.label) != len(objects.boxes):
        raise SpecError(f"label: {len(objects.label)} rows, expected {len(objects.boxes)} as in boxes")
    for name in ("score", "existence"):
        values = getattr(objects, name)
        wrong = ~((values >= 0.0) & (values <= 1.0))  # refuses NaN too
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise SpecError(f"{name}: {values[row]} at row {row}, expected 0 to 1")
    known = max(ObjectClass)
    if len(objects.label) and objects.label.max() > known:
        raise SpecError(f"label: {objects.label.max()}, expected an ObjectClass of 0 to {int(known)}")


def _rows(objects: ObjectList, rows: Array | slice) -> ObjectList:
    arrays = {name: getattr(objects, name)[rows] for name in array_fields(ObjectList)}
    return ObjectList(objects.boxes[rows], objects.source, **arrays)


def _transformed(objects: ObjectList, dst_from_src: SE3) -> ObjectList:
    if dst_from_src.src != objects.boxes.frame:
        raise FrameError(f"objects are in {objects.boxes.frame!r}, the transform starts at {dst_from_src.src!r}")
    turn = np.eye(6)
    turn[:3, :3] = dst_from_src.rotation
    turn[4:, 4:] = dst_from_src.rotation[:2, :2]
    given = {field.name: getattr(objects, field.name) for field in fields(objects)}
    return ObjectList(**given | {
        "boxes": objects.boxes.transformed(dst_from_src),
        "velocity_mps": objects.velocity_mps @ dst_from_src.rotation[:2, :2].T,
        "covariance": _turned(objects.covariance, turn),
    })


def _turned(covariance: Array, turn: Array) -> Array:
    """turn @ covariance @ turn.T where an unmeasured (NaN) entry spoils only the entries that really mix it in."""
    measured = np.isfinite(covariance)
    turned = turn @ np.where(measured, covariance, 0.0) @ turn.T
    mixes = (np.abs(turn) > 1e-12).astype(float)
    spoiled = mixes @ (~measured).astype(float) @ mixes.T > 0.0
    return np.where(spoiled, np.nan, turned)
