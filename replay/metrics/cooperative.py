"""How well a vehicle and a roadside unit see together: each alone and fused, against the joint truth.

At every moment of truth, the objects of a source whose classes the truth knows are paired with the truth one to one, least
distance in x and y first to last over the whole (Hungarian), pairs of MATCH_M or more excluded. Scores count at the score
threshold at which the source's F1 over the drive is best.
- recall: matched truths / truths (1); NaN without truths.
- precision: matched objects / objects (1); NaN without objects.
- duplicates: objects left over within DUPLICATE_M of a truth that another object has (a count, unit "1"); `count` is objects.
- position_error_m: median distance of the matches in x and y; NaN without matches. It counts registration errors in full.
- co_visible_distance_m: median distance between vehicle and roadside boxes of objects that both see, at the vehicle's moments
  with a roadside list within PAIR_NS; pairs under DUPLICATE_M; NaN without pairs. It needs no truth and is the registration.
Slices are the sources: vehicle, roadside, fused. The distance between the two has the slice "all" as the drive stands, and
where the data set gives a correction of the units' places, "offset applied" (or "offset removed" where the import applied it).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.clock import NS_PER_MS
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.results import RunResult, Score
from replay.drive import TRUTH, Drive, DriveInfo
from replay.metrics.sources import SOURCES, Moment, Timeline, merged, moved_to, read_moments, read_timelines

MATCH_M = 2.0
DUPLICATE_M = 3.0
PAIR_NS = 60_000_000
_TRAFFIC = (ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.TRAILER, ObjectClass.TRAM,
            ObjectClass.CONSTRUCTION_VEHICLE)


def evaluate_cooperative(drive: Drive) -> RunResult:
    """Scores of each source that the drive holds; InputError if it has no truth or no objects at all."""
    if TRUTH not in drive.info.topics:
        raise InputError(drive.info.drive_id, f"topics {', '.join(drive.info.topics)}", "a drive with truth")
    moments = read_moments(drive, nearest_roadside=True)
    known = _families(np.unique(np.concatenate([moment.truth.objects.label for moment in moments])))
    scores: list[Score] = []
    for source in SOURCES:
        if any(source in moment.objects for moment in moments):
            scores += _scores_of(source, moments, known)
    if not scores:
        raise InputError(drive.info.drive_id, f"topics {', '.join(drive.info.topics)}", "objects of the vehicle or a unit")
    distances_m = co_visible_distances_m(drive)
    scores.append(Score("co_visible_distance_m", _median(distances_m), "m", "all", len(distances_m)))
    offsets_m = data_set_offsets_m(drive.info)
    if offsets_m:
        distances_m = co_visible_distances_m(drive, offsets_m)
        otherwise = "offset removed" if drive.info.facts.get("offset_applied") else "offset applied"
        scores.append(Score("co_visible_distance_m", _median(distances_m), "m", otherwise, len(distances_m)))
    return RunResult("cooperative", (drive.info.drive_id,), tuple(scores))


def match_xy(a: Boxes3D, b: Boxes3D, within_m: float) -> tuple[Array, Array]:
    """One-to-one pairs [m, 2] of boxes a and b nearer than within_m in x and y, and their distances [m] in metres.

    As many pairs as possible, of the least sum of distances among those.
    """
    if not len(a) or not len(b):
        return np.zeros((0, 2), np.intp), np.zeros(0)
    distance_m = np.linalg.norm(a.center_m[:, None, :2] - b.center_m[None, :, :2], axis=-1)
    pairs = np.stack(linear_sum_assignment(np.where(distance_m < within_m, distance_m, 1e6)), axis=1)
    found_m = distance_m[pairs[:, 0], pairs[:, 1]]
    return pairs[found_m < within_m], found_m[found_m < within_m]


def co_visible_distances_m(drive: Drive, offsets_m: Mapping[tuple[str, int], Array] | None = None) -> Array:
    """Distances [m] in x and y between the vehicle's and the roadside's boxes of what both see, over all the vehicle's moments.

    Classes have no say, since the two sides name vans and cars differently. `offsets_m` moves the units' lists, by unit and
    millisecond, as `data_set_offsets_m` gives them.
    """
    timelines = read_timelines(drive)
    vehicle = timelines.get("vehicle", {}).get("")
    units = {unit: Timeline([(time_ns, _shifted(said, (offsets_m or {}).get((unit, time_ns // NS_PER_MS))))
                             for time_ns, said in timeline.lists]) for unit, timeline in timelines.get("roadside", {}).items()}
    found = [np.zeros(0)]
    for time_ns, objects in vehicle.lists if vehicle else ():
        near = [timeline.nearest(time_ns, PAIR_NS) for timeline in units.values()]
        roadside = merged([moved_to(said, time_ns) for said in near if said is not None], "roadside")
        found.append(match_xy(objects.boxes, roadside.boxes, DUPLICATE_M)[1])
    return np.concatenate(found)


def data_set_offsets_m(info: DriveInfo) -> dict[tuple[str, int], Array]:
    """What moves each unit's list [2], by unit and millisecond, to where the data set's correction would put it, or puts it from.

    Read from the fact `system_error_offset`; empty where the drive has none.
    """
    sign = -1.0 if info.facts.get("offset_applied") else 1.0
    return {(row["unit"], row["time_ns"] // NS_PER_MS): sign * np.array(row["offset_m"])
            for row in info.facts.get("system_error_offset", ())}


def best_f1_threshold(scores: Array, found: Array, truths: int) -> float:
    """The score [n] at which to cut so that F1 is best, given which objects [n] would match; 0 without objects.

    Of equal scores all go or stay together.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(found[order])
    f1 = 2.0 * hits / np.maximum(np.arange(1, len(order) + 1) + truths, 1)
    last_of_its_score = np.append(scores[order][1:] != scores[order][:-1], True)[:len(order)]
    f1 = np.where(last_of_its_score, f1, -1.0)
    return float(scores[order][f1.argmax()]) if len(order) else 0.0


def _shifted(objects: ObjectList, offset_m: Array | None) -> ObjectList:
    if offset_m is None:
        return objects
    return objects.transformed(SE3.from_yaw("map", "map", 0.0, np.append(offset_m, 0.0)))


def _scores_of(source: str, moments: Sequence[Moment], known: Array) -> list[Score]:
    lists = [_of_classes(moment.objects.get(source, ObjectList.empty("map", source)), known) for moment in moments]
    truths = [moment.truth.objects[~moment.truth.ignore] for moment in moments]
    threshold = _threshold(lists, truths)
    matched = duplicates = objects = 0
    errors_m = [np.zeros(0)]
    for said, truth in zip(lists, truths):
        boxes = said.boxes[said.score >= threshold]
        pairs, distance_m = match_xy(truth.boxes, boxes, MATCH_M)
        matched, objects = matched + len(pairs), objects + len(boxes)
        duplicates += _duplicates(truth.boxes, boxes, pairs)
        errors_m.append(distance_m)
    truth_count = sum(len(truth) for truth in truths)
    return [
        Score("recall", matched / truth_count if truth_count else np.nan, "1", source, truth_count),
        Score("precision", matched / objects if objects else np.nan, "1", source, objects),
        Score("duplicates", float(duplicates), "1", source, objects),
        Score("position_error_m", _median(np.concatenate(errors_m)), "m", source, matched),
    ]


def _threshold(lists: Sequence[ObjectList], truths: Sequence[ObjectList]) -> float:
    """Where to cut a source's scores: best F1 when each object is matched as if all were kept."""
    found = []
    for said, truth in zip(lists, truths):
        hit = np.zeros(len(said), bool)
        hit[match_xy(truth.boxes, said.boxes, MATCH_M)[0][:, 1]] = True
        found.append(hit)
    return best_f1_threshold(np.concatenate([said.score for said in lists]), np.concatenate(found), sum(map(len, truths)))


def _duplicates(truth: Boxes3D, boxes: Boxes3D, pairs: Array) -> int:
    """How many boxes are left over beside a truth that has its box already."""
    left = np.setdiff1d(np.arange(len(boxes)), pairs[:, 1])
    if not len(left) or not len(pairs):
        return 0
    offset_m = boxes.center_m[left][:, None, :2] - truth.center_m[pairs[:, 0]][None, :, :2]
    return int((np.linalg.norm(offset_m, axis=-1) < DUPLICATE_M).any(axis=1).sum())


def _families(labels: Array) -> Array:
    """The classes to look at: those of the truth; cars, vans, buses and trucks count as one."""
    return np.union1d(labels, _TRAFFIC) if np.isin(labels, _TRAFFIC).any() else labels


def _of_classes(objects: ObjectList, known: Array) -> ObjectList:
    return objects[np.isin(objects.label, known)]


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")
