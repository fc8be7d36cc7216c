"""How near the ego came to others over a drive: gap, time to collision, post-encroachment time, and for how long.

Of the objects of a topic, truth if not said otherwise, at their own times (see replay/search_beside.py and
replay/metrics/conflict.py), over all classes and each:
- gap_least_m, ttc_least_s, pet_least_s: the least over the drive; NaN where nobody was on a course to collide, or came after.
  Post-encroachment time is that of who moves across the ego's heading: of who follows it would be the time gap.
- ttc_exposed_s (TET): for how long somebody's time to collision was under TTC_S; the time of a moment is the median step.
- ttc_integrated_s2 (TIT): the same, each moment weighted by how far below TTC_S the least time to collision was.
- conflicts: how many objects had a time to collision under TTC_S or a post-encroachment time under PET_S at some moment; objects
  of no track count once a moment.
`count` is objects over all moments. Empty case: NaN without objects, and 0 conflicts, 0 s.
Sources: Minderhoud, Bovy, Extended Time-to-Collision Measures for Road Traffic Safety Assessment (2001), for TET and TIT; Hydén,
The Development of a Method for Traffic Safety Evaluation (1987), for 1.5 s.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.results import RunResult, Score
from replay.drive import EGO_POSES, TRUTH, Drive
from replay.search_beside import beside_ego, with_velocities

TTC_S = 1.5
PET_S = 1.5


def evaluate_conflicts(drive: Drive, topic: str = TRUTH) -> RunResult:
    """Scores of all classes and of each; InputError without the ego's poses or objects of the topic."""
    name = drive.info.drive_id
    poses = [event.payload for event in drive.events(topics=[EGO_POSES]) if isinstance(event.payload, EgoPose)]
    said = [event.payload for event in drive.events(topics=[topic])]
    lists = [one.objects if isinstance(one, Truth) else one for one in said if isinstance(one, Truth | ObjectList)]
    for what, there in ((EGO_POSES, poses), (topic, lists)):
        if not there:
            raise InputError(f"drive {name}", f"no {what}", f"{EGO_POSES} and {topic}")
    near = beside_ego(_ego_columns(poses), *(np.concatenate(part) for part in zip(*map(_rows, lists))))
    label = np.concatenate([objects.label for objects in lists])
    track = np.concatenate([objects.track_id for objects in lists])
    moment = np.repeat(np.arange(len(lists)), [len(objects) for objects in lists])
    times_ns = np.array([objects.measured_ns[0] for objects in lists if len(objects)])
    step_s = float(np.median(np.diff(times_ns))) / 1e9 if len(times_ns) > 1 else 0.0
    scores = conflict_scores(near, moment, track, step_s, "all")
    for cls in np.unique(label):
        rows = label == cls
        of_class = {column: values[rows] for column, values in near.items()}
        scores += conflict_scores(of_class, moment[rows], track[rows], step_s, ObjectClass(int(cls)).title)
    return RunResult("conflict", (name,), tuple(scores))


def conflict_scores(near: dict[str, Array], moment: Array, track: Array, step_s: float, where: str) -> list[Score]:
    """Scores of rows [n] with the columns that beside_ego gives, each of one moment and one track (-1: none)."""
    count, ttc_s, pet_s = len(moment), near["ttc_s"], np.where(near["crossing"], near["pet_s"], np.nan)
    least_ttc_s = np.full(int(moment.max()) + 1 if count else 0, np.inf)
    np.fmin.at(least_ttc_s, moment, ttc_s)
    below_s = np.maximum(TTC_S - least_ttc_s, 0.0)
    wrong = (ttc_s < TTC_S) | (pet_s < PET_S)
    tracked = np.unique(track[wrong & (track >= 0)])
    conflicts = len(tracked) + int((wrong & (track < 0)).sum())
    rows = [("gap_least_m", _least(near["gap_m"]), "m"), ("ttc_least_s", _least(ttc_s), "s"), ("pet_least_s", _least(pet_s), "s"),
            ("ttc_exposed_s", float((below_s > 0).sum()) * step_s, "s"),
            ("ttc_integrated_s2", float(below_s.sum()) * step_s, "s2"), ("conflicts", float(conflicts), "1")]
    return [Score(name, value, unit, where, count) for name, value, unit in rows]


def _ego_columns(poses: Sequence[EgoPose]) -> dict[str, Array]:
    time_ns = np.array([pose.taken_ns for pose in poses], np.int64)
    place_m = np.array([pose.map_from_ego.translation_m[:2] for pose in poses])
    velocity_mps = with_velocities(time_ns, place_m, np.array([pose.velocity_mps[:2] for pose in poses]))
    return {"time_ns": time_ns, "x_m": place_m[:, 0], "y_m": place_m[:, 1],
            "yaw_rad": np.array([pose.map_from_ego.yaw_rad for pose in poses]), "vx_mps": velocity_mps[:, 0],
            "vy_mps": velocity_mps[:, 1]}


def _rows(objects: ObjectList) -> tuple[Array, Array, Array, Array, Array]:
    return (objects.measured_ns, objects.boxes.center_m, objects.boxes.size_lwh_m[:, :2], objects.boxes.yaw_rad,
            objects.velocity_mps)


def _least(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else float("nan")
