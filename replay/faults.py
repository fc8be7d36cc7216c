"""What goes wrong between a sensor and its reader, on purpose: loss, delay, copies, disorder, biased clocks and poses, ghosts.

Pure functions of their arguments and a random generator: the same seed gives the same trouble. Order is lost as on a real
link: by delays that differ from message to message.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.clock import NS_PER_MS
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass, ObjectList, concatenate

_GHOST_CLASSES = (ObjectClass.CAR, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE)
_GHOST_SIZES_M = {ObjectClass.CAR: (4.4, 1.8, 1.6), ObjectClass.PEDESTRIAN: (0.7, 0.7, 1.7), ObjectClass.BICYCLE: (1.8, 0.6, 1.7)}
_GHOST_SIGMA = np.array([0.3, 0.3, 0.3, 0.1, 0.5, 0.5])  # x, y, z (m), yaw (rad), vx, vy (m/s)
GHOST_IDS_FROM = 60_000  # of the 65,536 that a message can say: apart from those of a unit's tracks


@dataclass(frozen=True, slots=True)
class Link:
    """A way that messages take. Chances are of each message."""

    loss: float = 0.0  # chance that it never arrives
    duplicate: float = 0.0  # chance that it arrives twice
    delay_ms: float = 0.0  # that every message takes
    jitter_ms: float = 0.0  # mean of what it takes beyond that, exponential: most a little, a few very long

    def __post_init__(self) -> None:
        for name, value in (("loss", self.loss), ("duplicate", self.duplicate)):
            if not 0.0 <= value <= 1.0:
                raise SpecError(f"{name}: {value}, expected a chance from 0 to 1")
        for name, value in (("delay_ms", self.delay_ms), ("jitter_ms", self.jitter_ms)):
            if not 0.0 <= value < float("inf"):
                raise SpecError(f"{name}: {value}, expected 0 or more")

    def arrivals_ns(self, sent_ns: int, rng: np.random.Generator) -> tuple[int, ...]:
        """When a message sent at a time arrives: never, once or twice."""
        lost, doubled, first, second = rng.random(4)
        if lost < self.loss:
            return ()
        ways = (first, second) if doubled < self.duplicate else (first,)
        return tuple(sent_ns + round((self.delay_ms - self.jitter_ms * np.log1p(-way)) * NS_PER_MS) for way in ways)


@dataclass(frozen=True, slots=True)
class PoseBias:
    """How far a sensor really stands from where it is registered, in its own frame."""

    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0


def biased(objects: ObjectList, bias: PoseBias) -> ObjectList:
    """Objects as a sensor reports them that is registered `bias` away: turned by the yaw, then moved; covariance as believed."""
    turn = np.array([[np.cos(bias.yaw_rad), -np.sin(bias.yaw_rad)], [np.sin(bias.yaw_rad), np.cos(bias.yaw_rad)]])
    center_m = objects.boxes.center_m.copy()
    center_m[:, :2] = center_m[:, :2] @ turn.T + [bias.x_m, bias.y_m]
    boxes = replace(objects.boxes, center_m=center_m, yaw_rad=wrap_rad(objects.boxes.yaw_rad + bias.yaw_rad))
    return replace(objects, boxes=boxes, velocity_mps=objects.velocity_mps @ turn.T)


def clock_shifted(objects: ObjectList, offset_ns: int) -> ObjectList:
    """Objects with the times of a clock that is `offset_ns` ahead."""
    return replace(objects, measured_ns=objects.measured_ns + np.int64(offset_ns))


def with_ghosts(objects: ObjectList, mean_count: float, range_m: float, measured_ns: int, rng: np.random.Generator) -> ObjectList:
    """The objects and, Poisson about `mean_count`, others that are not there, within a range of the frame's origin."""
    count = int(rng.poisson(mean_count))
    if not count:
        return objects
    label = rng.choice(np.array(_GHOST_CLASSES, np.uint8), count)
    radius_m, bearing = range_m * np.sqrt(rng.random(count)), rng.uniform(-np.pi, np.pi, count)
    size_m = np.array([_GHOST_SIZES_M[ObjectClass(one)] for one in label])
    ground_m = float(np.median(objects.boxes.center_m[:, 2])) if len(objects) else 0.0
    center_m = np.stack([radius_m * np.cos(bearing), radius_m * np.sin(bearing), np.full(count, ground_m)], axis=1)
    boxes = Boxes3D(objects.boxes.frame, center_m, size_m, rng.uniform(-np.pi, np.pi, count))
    ghosts = ObjectList.build(
        boxes, objects.source, measured_ns, label, score=rng.uniform(0.3, 0.9, count), track_id=GHOST_IDS_FROM + np.arange(count),
        velocity_mps=rng.normal(0.0, 2.0, (count, 2)), covariance=np.tile(np.diag(_GHOST_SIGMA**2), (count, 1, 1)),
        size_sigma_m=np.full((count, 3), 0.2))
    return concatenate([objects, ghosts], objects.source)
