"""nuScenes detection metrics: AP by distance of centres, true-positive errors, mAP and NDS.

AP is the mean over recalls 0.11, 0.12 .. 1 of max(precision - 0.1, 0) / 0.9, a fraction; precision is interpolated linearly
between the detections. True-positive errors (translation m, 1 - scale IoU, orientation rad, velocity m/s, attribute) are
cumulative means along the scores at 2 m, averaged from recall 0.11 to the highest reached, 1 if that is 0.1 or less.
NDS = (5 mAP + sum of max(0, 1 - mean error)) / 10. Empty case: a class without truth has AP 0 and errors 1 in mAP and NDS,
as nuScenes counts it, and AP NaN by itself; mAP_present is the mean over the classes that have truth. The attribute error is
0 where a detection's attribute (see replay/metrics/attributes.py) is the truth's, else 1, unknown where the truth has none;
AAE is 1 where none has any. A detection that takes no truth and stands nearest to one to be ignored, within the distance, is
neither right nor wrong.
Source: nuScenes detection task, configuration detection_cvpr_2019, as nuscenes-devkit 1.2.0 computes it. There is no bike-rack
filter (info-v2 pickles hold no racks), and a truth's points are the LiDAR's alone.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import wrap_rad
from data_specs.errors import InputError
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.results import RunResult, Score
from data_specs.sensors import Sample
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, Drive
from replay.metrics.attributes import NONE
from replay.metrics.matching import Flat, Places, by_score, flatten, ignored_truth_m, match_in_order

RECALLS = np.linspace(0.0, 1.0, 101)
ERRORS = ("ATE", "ASE", "AOE", "AVE", "AAE")
ERROR_UNITS = ("m", "1", "rad", "m/s", "1")
_NEAR, _MIDDLE, _FAR = 30.0, 40.0, 50.0
RANGE_M: dict[ObjectClass, float] = {
    **dict.fromkeys((ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.TRAILER,
                     ObjectClass.CONSTRUCTION_VEHICLE), _FAR),
    **dict.fromkeys((ObjectClass.PEDESTRIAN, ObjectClass.MOTORCYCLE, ObjectClass.BICYCLE), _MIDDLE),
    **dict.fromkeys((ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER), _NEAR),
}
UNDEFINED = {ObjectClass.TRAFFIC_CONE: (2, 3, 4), ObjectClass.BARRIER: (3, 4)}  # errors that mean nothing for a class


@dataclass(frozen=True)
class DetectionProtocol:
    """What nuScenes fixes."""

    distances_m: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    error_distance_m: float = 2.0
    range_m: dict[ObjectClass, float] = field(default_factory=lambda: dict(RANGE_M))
    max_objects: int = 500  # a sample


@dataclass(frozen=True, slots=True)
class Curve:
    """Detections of one class by descending score: whether each was right, and the truths there were to find."""

    score: Array  # f8 [n]
    right: Array  # bool [n]
    truths: int

    @property
    def recall(self) -> Array:
        return np.cumsum(self.right) / self.truths if self.truths else np.full(len(self.right), np.nan)

    @property
    def precision(self) -> Array:
        return np.cumsum(self.right) / np.arange(1, len(self.right) + 1)


@dataclass(frozen=True, slots=True)
class Matches:
    """Detections of one class by descending score, judged at every distance; the last distance is that of the errors."""

    score: Array  # f8 [n]
    right: Array  # bool [distances + 1, n]
    counts: Array  # bool [distances + 1, n]; False where a detection is neither right nor wrong
    errors: Array  # f8 [n, 5] of those right at the last distance; NaN elsewhere, and where nobody can say
    truths: int

    def curve(self, place: int) -> Curve:
        """The detections that count at one of the distances."""
        counts = self.counts[place]
        if counts.all():
            return Curve(self.score, self.right[place], self.truths)
        return Curve(self.score[counts], self.right[place, counts], self.truths)


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class: AP at each distance (0 without truth) and the five errors (NaN where they mean nothing)."""

    ap: Array  # f8 [distances]
    errors: Array  # f8 [5]
    truths: int


def precision_recall(predictions: Sequence[ObjectList], truths: Sequence[Truth], cls: ObjectClass, distance_m: float) -> Curve:
    """Match the k-th predictions with the k-th truths; what takes none and is nearest to an ignored one counts as neither."""
    return _curve(flatten(predictions).of(cls), flatten(truths).of(cls), distance_m)


def average_precision(predictions: Sequence[ObjectList], truths: Sequence[Truth], cls: ObjectClass, distance_m: float) -> float:
    """AP of one class at one distance, 0 to 1; NaN if there is no truth to find. One list a sample, in the same frame."""
    curve = precision_recall(predictions, truths, cls, distance_m)
    return _ap(curve) if curve.truths else float("nan")


def best_f1_score(predictions: Sequence[ObjectList], truths: Sequence[Truth], classes: Sequence[ObjectClass],
                  distance_m: float) -> float:
    """The score above or at which the detections of all classes together have their best F1; 1 if there are none."""
    made, wanted = flatten(predictions), flatten(truths)
    curves = [_curve(made.of(cls), wanted.of(cls), distance_m) for cls in classes]
    score = np.concatenate([curve.score for curve in curves])
    right = np.concatenate([curve.right for curve in curves])
    total = sum(curve.truths for curve in curves)
    if not len(score) or not total:
        return 1.0
    order = np.argsort(-score, kind="stable")
    score, found = score[order], np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(score) + 1) + total)
    last_of_score = np.append(score[1:] != score[:-1], True)  # a threshold takes all detections of equal score or none
    return float(score[np.argmax(np.where(last_of_score, f1, -1.0))])


def match_class(predictions: Flat, truths: Flat, cls: ObjectClass, protocol: DetectionProtocol) -> Matches:
    """Judge the detections of one class; each sample's matches depend on no other sample."""
    return judge(predictions, np.flatnonzero(predictions.label == cls), truths.of(cls), cls, protocol)


def judge(predictions: Flat, rows: Array, wanted: Flat, cls: ObjectClass, protocol: DetectionProtocol) -> Matches:
    """Judge the detections at some rows against truths, all of one class."""
    rows = rows[by_score(predictions.score[rows])]
    matched, counts, counted = _judged(predictions.places(rows), wanted, (*protocol.distances_m, protocol.error_distance_m))
    right = matched[-1] >= 0
    errors = np.full((len(rows), len(ERRORS)), np.nan)
    errors[right] = _pair_errors(predictions[rows[right]], counted[matched[-1][right]], cls)
    return Matches(predictions.score[rows], matched >= 0, counts, errors, len(counted))


def score_matches(matches: Matches, cls: ObjectClass) -> ClassResult:
    """AP at each distance and the five errors of one class."""
    curves = [matches.curve(place) for place in range(len(matches.right))]
    errors = _errors(curves[-1], matches.errors[matches.right[-1]])
    errors[list(UNDEFINED.get(cls, ()))] = np.nan
    return ClassResult(np.array([_ap(curve) for curve in curves[:-1]]), errors, matches.truths)


def class_result(predictions: Flat, truths: Flat, cls: ObjectClass, protocol: DetectionProtocol) -> ClassResult:
    """AP and errors of one class."""
    return score_matches(match_class(predictions, truths, cls, protocol), cls)


def class_results(predictions: Flat, truths: Flat, protocol: DetectionProtocol) -> dict[ObjectClass, ClassResult]:
    """AP and errors of nuScenes' ten classes."""
    made, wanted = predictions.by_class(), truths.by_class()
    return {cls: score_matches(judge(predictions, made[cls], truths[wanted[cls]], cls, protocol), cls)
            for cls in NUSCENES_CLASSES.values()}


def mean_scores(results: Collection[ClassResult]) -> tuple[float, float, Array]:
    """mAP, NDS and the five mean errors [5] over classes."""
    mean_ap = float(np.mean([result.ap.mean() for result in results]))
    errors = np.nanmean([result.errors for result in results], axis=0)
    return mean_ap, (5.0 * mean_ap + float(np.maximum(0.0, 1.0 - errors).sum())) / 10.0, errors


def class_scores(cls: ObjectClass, result: ClassResult, protocol: DetectionProtocol) -> list[Score]:
    """One class's AP, AP at each distance and errors, in its slice; NaN where it has no truth."""
    values = [("AP", float(result.ap.mean()), "1")]
    values += [(f"AP_{distance_m}", float(ap), "1") for distance_m, ap in zip(protocol.distances_m, result.ap)]
    values += [(name, float(error), unit) for name, error, unit in zip(ERRORS, result.errors, ERROR_UNITS)]
    return [Score(f"{cls.title}_{name}", value if result.truths else float("nan"), unit, cls.title, result.truths)
            for name, value, unit in values]


def in_range(objects: ObjectList, ego_m: Array, range_m: Mapping[ObjectClass, float] = MappingProxyType(RANGE_M)) -> Array:
    """Mask [n] of the objects nearer to the ego at `ego_m` [2 or 3] of their frame, in the plane, than their class counts."""
    offset_m = objects.boxes.center_m[:, :2] - np.asarray(ego_m, float)[:2]
    limit_m = np.array([range_m.get(cls, 0.0) for cls in ObjectClass])[objects.label]
    return np.sqrt((offset_m * offset_m).sum(axis=1)) < limit_m


def evaluate_nuscenes(drive: Drive, topic: str = VEHICLE_OBJECTS, protocol: DetectionProtocol | None = None) -> RunResult:
    """Score a drive's detections against its truth; InputError if it has none of either, or more boxes than allowed."""
    protocol = protocol or DetectionProtocol()
    found, there, _ = scored_moments(drive, topic, protocol)
    predictions, truths = flatten(found), flatten(there)
    results = class_results(predictions, truths, protocol)
    count = sum(result.truths for result in results.values())
    mean_ap, nds, errors = mean_scores(results.values())
    present = [result.ap.mean() for result in results.values() if result.truths]
    scores = [Score("mAP", mean_ap, "1", "all", count), Score("NDS", nds, "1", "all", count),
              Score("mAP_present", float(np.mean(present)) if present else float("nan"), "1", "all", count)]
    scores += [Score(f"m{name}", float(error), unit, "all", count) for name, error, unit in zip(ERRORS, errors, ERROR_UNITS)]
    for cls, result in results.items():
        scores += class_scores(cls, result, protocol)
    return RunResult("nuscenes", (drive.info.drive_id,), tuple(scores))


def scored_moments(drive: Drive, topic: str,
                   protocol: DetectionProtocol) -> tuple[list[ObjectList], list[Truth], dict[int, Array]]:
    """Detections and truths at each moment of truth, within each class's range of the ego; truths without a point dropped.

    The third is where the ego was at each moment [2 or 3], by time, in order. InputError as of evaluate_nuscenes.
    """
    found, near, ego_m = near_moments(drive, topic, protocol)
    return found, [truth[counted(truth)] for truth in near], ego_m


def counted(truth: Truth) -> Array:
    """Mask [n] of the truths that are to be found: those that the ego's LiDAR has a point of, or may have one of."""
    return (truth.points_in_box != 0) & ~truth.ignore


def near_moments(drive: Drive, topic: str,
                 protocol: DetectionProtocol) -> tuple[list[ObjectList], list[Truth], dict[int, Array]]:
    """As scored_moments, with the truths that do not count."""
    truths, found = _read(drive, topic)
    ego_m = ego_places_m(drive)
    name = drive.info.drive_id
    near_found, near_truths = [], []
    for time_ns, truth in truths.items():
        objects = found.get(time_ns) or ObjectList.empty("map", topic)
        if len(objects) > protocol.max_objects:
            raise InputError(f"drive {name}, {topic} at {time_ns}", f"{len(objects)} objects",
                             f"at most {protocol.max_objects} a sample")
        if time_ns not in ego_m:
            raise InputError(f"drive {name}, {TRUTH} at {time_ns}", "no ego pose of that time",
                             f"one in {EGO_POSES} or {EGO_SAMPLES}")
        near_found.append(objects[in_range(objects, ego_m[time_ns], protocol.range_m)])
        near_truths.append(truth[in_range(truth.objects, ego_m[time_ns], protocol.range_m)])
    return near_found, near_truths, {time_ns: ego_m[time_ns] for time_ns in truths}


def _read(drive: Drive, topic: str) -> tuple[dict[int, Truth], dict[int, ObjectList]]:
    """Truths and detections by time; InputError where there are none, or two of one moment."""
    truths: dict[int, Truth] = {}
    found: dict[int, ObjectList] = {}
    for event in drive.events(topics=[TRUTH, topic]):
        known = truths if event.topic == TRUTH else found
        if event.time_ns in known:
            raise InputError(f"drive {drive.info.drive_id}, {event.topic} at {event.time_ns}", "two lists", "one list a moment")
        if isinstance(event.payload, Truth):
            truths[event.time_ns] = event.payload
        elif isinstance(event.payload, ObjectList):
            found[event.time_ns] = event.payload
    for what, events, hint in ((TRUTH, truths, ""), (topic, found, "run 'roadweave perceive' first")):
        if not events:
            raise InputError(f"drive {drive.info.drive_id}", f"no {what}", f"{TRUTH} and {topic}", hint)
    return truths, found


def ego_places_m(drive: Drive) -> dict[int, Array]:
    """Where the ego is in map, by time: from its poses, or from its samples where a drive has no poses."""
    for topic in (EGO_POSES, EGO_SAMPLES):
        places_m = {event.time_ns: event.payload.map_from_ego.translation_m for event in drive.events(topics=[topic])
                    if isinstance(event.payload, EgoPose | Sample)}
        if places_m:
            return places_m
    return {}


def _judged(made: Places, wanted: Flat, distances_m: Sequence[float]) -> tuple[Array, Array, Flat]:
    """Per distance and detection, [distances, n]: the row of the truths that count which it takes, -1 if none; does it count?

    The third is the truths that count.
    """
    counted = wanted[~wanted.ignore] if wanted.ignore.any() else wanted
    matched = match_in_order(made, counted, distances_m)
    if len(counted) == len(wanted):
        return matched, np.ones(matched.shape, bool), counted
    excused = ignored_truth_m(made, wanted) < np.array(distances_m)[:, None]
    return matched, (matched >= 0) | ~excused, counted


def _curve(made: Flat, wanted: Flat, distance_m: float) -> Curve:
    order = by_score(made.score)
    (matched,), (counts,), counted = _judged(made.places(order), wanted, [distance_m])
    return Curve(made.score[order][counts], matched[counts] >= 0, len(counted))


def _ap(curve: Curve) -> float:
    if not curve.truths or not curve.right.any():
        return 0.0
    precision = np.interp(RECALLS, curve.recall, curve.precision, right=0.0)
    return float(np.maximum(precision[11:] - 0.1, 0.0).mean() / 0.9)


def _errors(curve: Curve, each: Array) -> Array:
    """The five errors [5] of one class from those of each right detection of the curve [m, 5], in its order."""
    if not curve.truths or not curve.right.any():
        return np.ones(len(ERRORS))
    score_at = np.interp(RECALLS, curve.recall, curve.score, right=0.0)
    reached = int(np.flatnonzero(score_at)[-1]) if score_at.any() else 0
    if reached < 11:
        return np.ones(len(ERRORS))
    score = curve.score[curve.right]
    along = [np.interp(score_at[::-1], score[::-1], _running_mean(error)[::-1])[::-1] for error in each.T]
    return np.array([error[11:reached + 1].mean() for error in along])


def _pair_errors(made: Flat, wanted: Flat, cls: ObjectClass) -> Array:
    """Translation, scale, orientation, velocity and attribute error of matched pairs, [n, 5]; NaN = cannot say."""
    offset_m = made.center_m[:, :2] - wanted.center_m[:, :2]
    shared = np.minimum(made.size_lwh_m, wanted.size_lwh_m).prod(axis=1)
    union = made.size_lwh_m.prod(axis=1) + wanted.size_lwh_m.prod(axis=1) - shared
    turn_rad = wrap_rad(wanted.yaw_rad - made.yaw_rad)
    if cls == ObjectClass.BARRIER:  # looks the same from both sides
        turn_rad = (turn_rad + np.pi / 2) % np.pi - np.pi / 2
    other = np.where(wanted.attribute == NONE, np.nan, (made.attribute != wanted.attribute).astype(float))
    return np.column_stack([np.linalg.norm(offset_m, axis=1), 1.0 - shared / union, np.abs(turn_rad),
                            np.linalg.norm(made.velocity_mps - wanted.velocity_mps, axis=1), other])


def _running_mean(values: Array) -> Array:
    """Mean of the values so far, leaving NaN out; ones if all are NaN, 0 before the first that is not."""
    known = ~np.isnan(values)
    if not known.any():
        return np.ones(len(values))
    count = np.cumsum(known)
    return np.divide(np.nancumsum(values), count, out=np.zeros(len(values)), where=count != 0)
