"""What each source said at the moments of a drive's truth: vehicle, roadside (all units as one), fused.

Roadside lists come at their own times. The one to compare with a moment is the latest of each unit, or the nearest in time,
moved to the moment by the velocities that it states; an object without one stays where it was measured.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError
from data_specs.objects import ObjectList, Truth, concatenate
from data_specs.pose import SE3, EgoPose, pose_at
from replay.drive import EGO_POSES, FUSED_TRACKS, ROADSIDE_OBJECTS, TRUTH, VEHICLE_OBJECTS, Drive, rsu_objects

SOURCES = ("vehicle", "roadside", "fused")
TOLERANCE_NS = 5_000_000  # between a moment of truth and the vehicle's list of it
OLDEST_ROADSIDE_NS = 500_000_000
SAME_OBJECT_M = 1.5  # two units' objects of one class nearer than this are one


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of truth and what each source said of it; a source that said nothing has an empty list."""

    time_ns: int
    truth: Truth
    objects: Mapping[str, ObjectList]
    map_from_ego: SE3 | None


class Timeline:
    """Object lists of one speaker by time."""

    def __init__(self, lists: Sequence[tuple[int, ObjectList]]) -> None:
        self.lists = sorted(lists, key=lambda row: row[0])
        self._times = [time_ns for time_ns, _ in self.lists]

    def latest(self, time_ns: int, oldest_ns: int) -> ObjectList | None:
        """The last list not after the time and not older than that."""
        place = bisect_right(self._times, time_ns) - 1
        return self.lists[place][1] if place >= 0 and time_ns - self._times[place] <= oldest_ns else None

    def nearest(self, time_ns: int, within_ns: int) -> ObjectList | None:
        """The list nearest in time, if it is within that; of two as near, the earlier."""
        if not self.lists:
            return None
        after = bisect_left(self._times, time_ns)
        before = bisect_left(self._times, self._times[max(after - 1, 0)])
        place = min(before, min(after, len(self.lists) - 1), key=lambda i: abs(self._times[i] - time_ns))
        return self.lists[place][1] if abs(self._times[place] - time_ns) <= within_ns else None


def read_timelines(drive: Drive) -> dict[str, dict[str, Timeline]]:
    """Timelines by source ("vehicle", "roadside", "fused") and speaker, of the sources that the drive holds.

    Roadside objects are those that messages brought; where the drive has not been fused, what the units themselves found.
    """
    info = drive.info
    poses = {rsu_objects(rsu.name): rsu.map_from_rsu for rsu in info.site.rsus}
    roadside = [ROADSIDE_OBJECTS] if ROADSIDE_OBJECTS in info.topics else [topic for topic in poses if topic in info.topics]
    source_of = {VEHICLE_OBJECTS: "vehicle", FUSED_TRACKS: "fused"} | dict.fromkeys(roadside, "roadside")
    found: dict[str, dict[str, list[tuple[int, ObjectList]]]] = {}
    for event in drive.events(topics=list(source_of)):
        objects = event.payload
        if not isinstance(objects, ObjectList):
            raise SpecError(f"{event.topic}: payload is {type(objects).__name__}, expected ObjectList")
        if event.topic in poses:
            objects = objects.transformed(poses[event.topic])
        speaker = objects.source if source_of[event.topic] == "roadside" else ""
        found.setdefault(source_of[event.topic], {}).setdefault(speaker, []).append((event.time_ns, objects))
    return {source: {speaker: Timeline(lists) for speaker, lists in speakers.items()} for source, speakers in found.items()}


def read_moments(drive: Drive, *, nearest_roadside: bool = False) -> list[Moment]:
    """The drive's moments of truth with the lists that belong to them, by time."""
    timelines = read_timelines(drive)
    poses = [event.payload for event in drive.events(topics=[EGO_POSES]) if isinstance(event.payload, EgoPose)]
    moments = []
    for event in drive.events(topics=[TRUTH]):
        truth = event.payload
        if not isinstance(truth, Truth):
            raise SpecError(f"{event.topic}: payload is {type(truth).__name__}, expected Truth")
        said = {}
        for source, speakers in timelines.items():
            lists = [_at(timeline, event.time_ns, source, nearest_roadside) for timeline in speakers.values()]
            said[source] = merged([objects for objects in lists if objects is not None], source)
        inside = bool(poses) and poses[0].taken_ns <= event.time_ns <= poses[-1].taken_ns
        moments.append(Moment(event.time_ns, truth, said, pose_at(poses, event.time_ns) if inside else None))
    return moments


def moved_to(objects: ObjectList, time_ns: int) -> ObjectList:
    """The objects where their stated velocities bring them by a time."""
    dt_s = (time_ns - objects.measured_ns) / 1e9
    shift_m = np.nan_to_num(objects.velocity_mps) * dt_s[:, None]
    center_m = objects.boxes.center_m + np.hstack([shift_m, np.zeros((len(objects), 1))])
    boxes = Boxes3D(objects.boxes.frame, center_m, objects.boxes.size_lwh_m, objects.boxes.yaw_rad)
    return replace(objects, boxes=boxes, measured_ns=np.full(len(objects), time_ns))


def merged(lists: Sequence[ObjectList], source: str) -> ObjectList:
    """The lists of several units as one: of objects of one class that are one, the best-scored stays."""
    if not lists:
        return ObjectList.empty("map", source)
    together = concatenate(lists, source)
    if len(lists) == 1:
        return together
    unit = np.repeat(np.arange(len(lists)), [len(objects) for objects in lists])
    return together[_unsuppressed(together, unit)]


def _at(timeline: Timeline, time_ns: int, source: str, nearest_roadside: bool) -> ObjectList | None:
    if source != "roadside":
        return timeline.nearest(time_ns, TOLERANCE_NS)
    if nearest_roadside:
        objects = timeline.nearest(time_ns, OLDEST_ROADSIDE_NS)
    else:
        objects = timeline.latest(time_ns, OLDEST_ROADSIDE_NS)
    return None if objects is None else moved_to(objects, time_ns)


def _unsuppressed(objects: ObjectList, unit: Array) -> Array:
    """Rows [k] that no better-scored object of another unit stands in for, in their order."""
    xy_m = objects.boxes.center_m[:, :2]
    kept: list[int] = []
    for row in np.argsort(-objects.score, kind="stable"):
        rivals = [k for k in kept if unit[k] != unit[row] and objects.label[k] == objects.label[row]]
        if not rivals or np.linalg.norm(xy_m[rivals] - xy_m[row], axis=1).min() >= SAME_OBJECT_M:
            kept.append(int(row))
    return np.array(sorted(kept), np.intp)
