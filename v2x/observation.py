"""What a source's object list means to the tracker: numbers and honest doubts for every object, whatever was left unsaid.

A source that gives no covariance at all gets the usual errors of its kind; one that gives some of it has measured those
components and no others. Two errors are told apart: what is drawn anew each time, and what all objects of one source share
for a long time (where it believes itself to stand), which no number of messages averages out.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass, ObjectList
from v2x.filter import Estimate
from v2x.motion import PEDESTRIANS, TWO_WHEELERS

UNMEASURED_VARIANCE = 1e6  # of a component nobody measured: a kilometre, more than any gate
_ANY_SIZE_M = (4.0, 1.8, 1.6)
_USUAL_SIZE_M = np.array([
    {
        ObjectClass.TRUCK: (7.0, 2.5, 2.9), ObjectClass.BUS: (11.0, 2.9, 3.3), ObjectClass.TRAILER: (10.0, 2.8, 3.5),
        ObjectClass.CONSTRUCTION_VEHICLE: (6.5, 2.8, 3.0), ObjectClass.TRAM: (25.0, 2.6, 3.5), ObjectClass.VAN: (5.0, 2.0, 2.2),
        ObjectClass.PEDESTRIAN: (0.7, 0.7, 1.75), ObjectClass.PERSON_SITTING: (0.8, 0.7, 1.3),
        ObjectClass.MOTORCYCLE: (2.1, 0.8, 1.5), ObjectClass.BICYCLE: (1.8, 0.6, 1.6), ObjectClass.TRAFFIC_CONE: (0.4, 0.4, 0.8),
        ObjectClass.BARRIER: (0.5, 2.5, 1.0), ObjectClass.ANIMAL: (0.8, 0.4, 0.6), ObjectClass.OTHER: (1.0, 1.0, 1.0),
    }.get(label, _ANY_SIZE_M) for label in ObjectClass
])


@dataclass(frozen=True, slots=True)
class SourceModel:
    """How a source errs where it does not say, as standard deviations, and how far its word goes."""

    position_m: float  # of a small object
    position_per_length: float  # more for a long one, along it: a part of it is easily taken for the whole
    yaw_rad: float
    least_m: float  # no position is believed to be better than this
    common_m: float  # of the source's own place: shared by all it sees
    common_share: float  # of a stated variance that comes back from frame to frame: a part seen is the same part next time
    trust: float  # how much of its scores counts, 0 to 1: less where the same false object is seen again and again
    score_exponent: float  # below 1 where errors are drawn anew each time, so that to be seen again proves more than one score
    learns_common: bool = False  # whether common_m grows with what is seen of it (v2x/trust.py)
    sees_others: bool = True  # False: it speaks of itself alone, and its silence says nothing of any track


VEHICLE = SourceModel(position_m=0.25, position_per_length=0.04, yaw_rad=0.15, least_m=0.05,
                      common_m=0.05, common_share=0.7, trust=0.6, score_exponent=1.0)
ROADSIDE = SourceModel(position_m=0.5, position_per_length=0.04, yaw_rad=0.25, least_m=0.15,
                       common_m=0.2, common_share=0.0, trust=1.0, score_exponent=0.5, learns_common=True)
# A satellite receiver's error lasts for minutes; anybody may say to be anywhere.
STATION = SourceModel(position_m=2.0, position_per_length=0.0, yaw_rad=0.15, least_m=0.3, common_m=0.7, common_share=0.5,
                      trust=0.8, score_exponent=1.0, sees_others=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """One source's n objects of one moment, ready to be fused; `age_s` is how long before `time_ns` each was measured."""

    time_ns: int
    source: str
    trust: float
    estimate: Estimate
    age_s: Array  # [n]
    label: Array  # [n] ObjectClass
    score: Array  # [n]
    existence: Array  # [n]
    size_lwh_m: Array  # [n, 3]
    size_variance_m2: Array  # [n, 3]
    source_id: Array  # [n] the source's own name for the object; -1 none
    sees_others: bool = True  # False: tracks that are not in it were not looked for

    def __len__(self) -> int:
        return len(self.label)


def observe(objects: ObjectList, time_ns: int, source: str, model: SourceModel) -> Observation:
    """Objects in `map` as an observation at time_ns by a source of this kind."""
    boxes = objects.boxes
    said_m = np.where(boxes.size_lwh_m > 0.05, boxes.size_lwh_m, np.nan)
    size_m = np.where(np.isfinite(said_m), said_m, _USUAL_SIZE_M[objects.label])
    sigma_m = np.where(np.isfinite(objects.size_sigma_m), np.maximum(objects.size_sigma_m, 0.05), 0.1 * size_m + 0.1)
    velocity = np.nan_to_num(objects.velocity_mps)
    mean = np.concatenate([boxes.center_m, boxes.yaw_rad[:, None], velocity], axis=1)
    independent = _noise(objects, size_m[:, 0], model)
    common = np.zeros_like(independent)
    common[:, :2, :2] = model.common_share * independent[:, :2, :2]
    independent -= common
    common[:, [0, 1], [0, 1]] += model.common_m**2
    return Observation(
        time_ns, source, model.trust, Estimate(mean, independent, common),
        (time_ns - objects.measured_ns) / 1e9, objects.label.astype(np.intp), objects.score**model.score_exponent,
        objects.existence.astype(np.float64), size_m, np.where(np.isfinite(said_m), sigma_m**2, (0.3 * size_m) ** 2),
        np.asarray(objects.track_id), model.sees_others,
    )


def with_more_common(seen: Observation, common_m: float) -> Observation:
    """The observation with more doubt about where its source stands, metres per axis."""
    common = seen.estimate.common.copy()
    common[:, [0, 1], [0, 1]] += common_m**2
    return replace(seen, estimate=replace(seen.estimate, common=common))


def _noise(objects: ObjectList, length_m: Array, model: SourceModel) -> Array:
    """Covariances [n, 6, 6] of the errors drawn anew at each measurement."""
    said = objects.covariance
    silent = ~np.isfinite(said[:, 0, 0]) | ~np.isfinite(said[:, 1, 1])
    noise = np.where(np.isfinite(said), said, 0.0)
    diagonal = np.einsum("nii->ni", noise)
    unmeasured = ~np.isfinite(np.einsum("nii->ni", said))
    diagonal[unmeasured] = UNMEASURED_VARIANCE
    no_height = unmeasured[:, 2] & ~silent
    diagonal[no_height, 2] = 1.0
    noise[silent] = _usual_noise(objects[silent], length_m[silent], model)
    no_velocity = ~np.isfinite(objects.velocity_mps).all(axis=1)
    noise[no_velocity, 4:, :] = noise[no_velocity, :, 4:] = 0.0
    noise[no_velocity, 4, 4] = noise[no_velocity, 5, 5] = UNMEASURED_VARIANCE
    floors = np.array([model.least_m, model.least_m, 0.05, 0.02, 0.1, 0.1]) ** 2
    return noise + np.diag(floors)


def _usual_noise(objects: ObjectList, length_m: Array, model: SourceModel) -> Array:
    """Covariances [n, 6, 6] of objects whose source says nothing about its errors; longer doubts lie along the object."""
    yaw = objects.boxes.yaw_rad
    across = np.full(len(objects), model.position_m)
    along = across + model.position_per_length * length_m
    axis = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    noise = np.zeros((len(objects), 6, 6))
    noise[:, :2, :2] = (across**2)[:, None, None] * np.eye(2)
    noise[:, :2, :2] += (along**2 - across**2)[:, None, None] * axis[:, :, None] * axis[:, None, :]
    noise[:, 2, 2] = model.position_m**2
    round_shape = np.isin(objects.label, [*PEDESTRIANS, ObjectClass.TRAFFIC_CONE, ObjectClass.UNKNOWN])
    noise[:, 3, 3] = np.where(round_shape, 1.0, model.yaw_rad**2)
    slow = np.isin(objects.label, [*PEDESTRIANS, *TWO_WHEELERS])
    noise[:, 4, 4] = noise[:, 5, 5] = np.where(slow, 1.0, 2.0) ** 2
    return noise
