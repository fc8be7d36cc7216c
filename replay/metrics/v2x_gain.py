"""What V2X adds: a score of the fused tracks minus that of the vehicle alone, over drives, with its interval.

Truths count that somebody could see: the ego, or a roadside unit with 5 returns, or where it is not known; those that nobody
could see are neither right nor wrong. Scores are nuScenes' (replay/metrics/perception_scores.py) over the classes that the drives
hold, within each class's range. Gains are paired by drive, so an interval is of the difference; of one drive it is not known.
Beside each gain stand the two scores themselves, in the slices "vehicle" and "fused".
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_specs.errors import InputError
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth
from data_specs.results import RunResult, Score
from replay.drive import FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Drive
from replay.metrics.bootstrap import ROUNDS
from replay.metrics.perception_scores import PerceptionScores, ScoredDrive, score_drives
from replay.metrics.sources import read_moments
from replay.metrics.visibility import FEWEST_ROADSIDE_RETURNS, seen_by_ego

ALONE, TOGETHER = "vehicle", "fused"


def v2x_gain(drives: Sequence[Drive], rounds: int = ROUNDS, seed: int = 0) -> RunResult:
    """Gain in mAP, NDS and each class's AP; InputError where a drive lacks truth, a source or ego poses, or is there twice."""
    ids = [drive.info.drive_id for drive in drives]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None or not ids:
        raise InputError("gain", f"drive {twice!r} twice" if twice else "no drives", "drives with ids of their own")
    scored = [_scored(drive) for drive in drives]
    held = np.concatenate([truth.objects.label[~truth.ignore] for alone, _ in scored for truth in alone.truths])
    classes = [cls for cls in NUSCENES_CLASSES.values() if cls in held]
    if not classes:
        raise InputError("gain", "no truth of nuScenes' classes", "drives with truth that somebody could see")
    alone, together = (score_drives([pair[side] for pair in scored], classes, rounds, seed) for side in (0, 1))
    names = ["mAP", "NDS", *(f"{cls.title}_AP" for cls in classes)]
    return RunResult("v2x-gain", tuple(ids), tuple(score for name in names for score in _rows(alone, together, name)))


def _rows(alone: PerceptionScores, together: PerceptionScores, name: str) -> list[Score]:
    gain = together.gain_over(alone, name)
    told = len(alone.drives) > 1
    rows = [replace(gain, name=f"{name}_gain", slice="all", interval=gain.interval if told else None)]
    for where, scores in ((ALONE, alone), (TOGETHER, together)):
        score = next(score for score in scores.result().scores if score.name == name)
        rows.append(replace(score, slice=where, interval=score.interval if told else None))
    return rows


def _scored(drive: Drive) -> tuple[ScoredDrive, ScoredDrive]:
    """The drive as the vehicle alone saw it, and as it was fused."""
    name = drive.info.drive_id
    for topic in (TRUTH, VEHICLE_OBJECTS, FUSED_TRACKS):
        if topic not in drive.info.topics:
            raise InputError(f"drive {name}", f"no {topic}", f"{TRUTH}, {VEHICLE_OBJECTS} and {FUSED_TRACKS}",
                             "'roadweave perceive' and 'roadweave fuse' add what they make")
    moments = [(moment, moment.map_from_ego.translation_m) for moment in read_moments(drive) if moment.map_from_ego is not None]
    if not moments:
        raise InputError(f"drive {name}", "no moment of truth within its ego poses", "ego poses around its truth")
    truths = tuple(_that_somebody_could_see(moment.truth) for moment, _ in moments)
    ego_m = np.array([place_m for _, place_m in moments])
    alone, together = (ScoredDrive(name, tuple(_found(moment.objects.get(source)) for moment, _ in moments), truths, ego_m)
                       for source in (ALONE, TOGETHER))
    return alone, together


def _found(objects: ObjectList | None) -> ObjectList:
    return ObjectList.empty("map", "nothing") if objects is None else objects


def _that_somebody_could_see(truth: Truth) -> Truth:
    """The truth with all that counts marked as what may be seen, and the rest to be ignored."""
    seen = seen_by_ego(truth) | (truth.roadside_points >= FEWEST_ROADSIDE_RETURNS) | (truth.roadside_points < 0)
    unknown = np.full(len(truth), -1)
    known = truth.objects.label != ObjectClass.UNKNOWN
    return replace(truth, points_in_box=unknown, pixels_visible=unknown, ignore=truth.ignore | ~seen | ~known)
