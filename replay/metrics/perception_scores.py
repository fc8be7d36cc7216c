"""How well a detector sees what can be seen: nuScenes' AP, errors and NDS over drives, with intervals by drive.

Truths count that are visible to the ego (see replay/metrics/visibility.py); detections beyond their class's range do not count,
and one that stands nearest to a truth which no sensor sees is neither right nor wrong. AP of a class is the mean over 0.5, 1, 2
and 4 m, mAP the mean over the given classes, NDS nuScenes' formula over them (see replay/metrics/detection.py).
Intervals are 95 % (see replay/metrics/bootstrap.py). Each drive is matched once: a round joins the judged detections of the
drives that it draws. Empty case: a class without truth has AP 0 and errors 1 in the means, NaN by itself.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.results import RunResult, Score
from replay.metrics.bootstrap import ROUNDS, drive_draws, interval_95
from replay.metrics.detection import (
    ERROR_UNITS,
    ERRORS,
    ClassResult,
    DetectionProtocol,
    Matches,
    class_scores,
    in_range,
    match_class,
    mean_scores,
    score_matches,
)
from replay.metrics.matching import flatten
from replay.metrics.visibility import seen_by_ego

CLASSES = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE,
           ObjectClass.MOTORCYCLE)
_PROTOCOL = DetectionProtocol()


@dataclass(frozen=True, slots=True)
class ScoredDrive:
    """The moments of one drive: what was found, what was there and where the ego was, all in one frame."""

    drive_id: str
    found: tuple[ObjectList, ...]
    truths: tuple[Truth, ...]
    ego_m: Array  # f8 [moments, 2 or 3]

    def __post_init__(self) -> None:
        counts = len(self.found), len(self.truths), len(self.ego_m)
        if len(set(counts)) != 1 or not counts[0]:
            raise SpecError(f"drive {self.drive_id}: {counts[0]} lists of objects, {counts[1]} truths and {counts[2]} places of "
                            "the ego, expected as many of each, and at least one")

    def within_range(self) -> tuple[list[ObjectList], list[Truth]]:
        """Objects and truths within each class's range of the ego; truths that no sensor sees are to be ignored."""
        found = [objects[in_range(objects, ego_m)] for objects, ego_m in zip(self.found, self.ego_m)]
        near = [truth[in_range(truth.objects, ego_m)] for truth, ego_m in zip(self.truths, self.ego_m)]
        return found, [replace(truth, ignore=truth.ignore | ~seen_by_ego(truth)) for truth in near]


@dataclass(frozen=True, slots=True)
class PooledMatches:
    """Detections of one class of many drives, by descending score, and the drive that each is from."""

    matches: Matches
    drive: Array  # i8 [n]
    truths: Array  # i8 [drives]

    def drawn(self, times: Array) -> Matches:
        """The detections of the drives that a round draws; `times` i8 [drives] says how often each."""
        rows = np.repeat(np.arange(len(self.drive)), times[self.drive])
        pool = self.matches
        return Matches(pool.score[rows], pool.right[:, rows], pool.counts[:, rows], pool.errors[rows],
                       int(times @ self.truths))


@dataclass(frozen=True, slots=True)
class PerceptionScores:
    """The scores of one detector over drives, and the same scores over each round's draw of the drives."""

    drives: tuple[str, ...]
    scores: tuple[Score, ...]  # mAP, NDS, the mean errors; per class AP, AP by distance and the errors
    by_round: Array  # f8 [rounds, scores]

    def result(self) -> RunResult:
        """Every score with its interval."""
        bounds = interval_95(self.by_round).T
        return RunResult("perception", self.drives, tuple(
            replace(score, interval=(float(low), float(high))) for score, (low, high) in zip(self.scores, bounds)))

    def gain_over(self, other: PerceptionScores, name: str = "mAP") -> Score:
        """How much higher a score is than another detector's on the same drives; paired, so the interval is of the difference.

        SpecError if the other was scored on other drives, ValueError if there is no such score.
        """
        if (other.drives, other.by_round.shape) != (self.drives, self.by_round.shape):
            raise SpecError(f"{len(other.drives)} other drives, expected the same {len(self.drives)} in the same order and "
                            f"{len(self.by_round)} rounds")
        place = [score.name for score in self.scores].index(name)
        low, high = interval_95(self.by_round[:, place] - other.by_round[:, place])
        mine, its = self.scores[place], other.scores[place]
        return replace(mine, name=f"{name}_gain", value=mine.value - its.value, interval=(float(low), float(high)))


def score_drives(drives: Sequence[ScoredDrive], classes: Sequence[ObjectClass] = CLASSES, rounds: int = ROUNDS,
                 seed: int = 0) -> PerceptionScores:
    """Score one detector over drives; SpecError without drives, FrameError if the moments of a drive differ in frame.

    The same number of drives, rounds and seed give the same draws.
    """
    if not drives:
        raise SpecError("drives: none, expected at least one to score")
    flats = [(flatten(found), flatten(truths)) for found, truths in (drive.within_range() for drive in drives)]
    pools = {cls: _pooled([match_class(found, truths, cls, _PROTOCOL) for found, truths in flats]) for cls in classes}
    whole = _scores({cls: score_matches(pool.matches, cls) for cls, pool in pools.items()})
    by_round = [[score.value for score in _scores({cls: score_matches(pool.drawn(times), cls) for cls, pool in pools.items()})]
                for times in drive_draws(len(drives), rounds, seed)]
    return PerceptionScores(tuple(drive.drive_id for drive in drives), tuple(whole), np.array(by_round))


def _pooled(matches: Sequence[Matches]) -> PooledMatches:
    """The detections of all drives; of equal scores the later drive's first, as if all had been matched at once."""
    score = np.concatenate([one.score for one in matches])
    drive = np.repeat(np.arange(len(matches)), [len(one.score) for one in matches])
    order = np.lexsort((-drive, -score))  # stable: within a drive the order stays
    truths = np.array([one.truths for one in matches])
    joined = Matches(score[order], np.concatenate([one.right for one in matches], axis=1)[:, order],
                     np.concatenate([one.counts for one in matches], axis=1)[:, order],
                     np.concatenate([one.errors for one in matches])[order], int(truths.sum()))
    return PooledMatches(joined, drive[order], truths)


def _scores(results: Mapping[ObjectClass, ClassResult]) -> list[Score]:
    mean_ap, nds, errors = mean_scores(results.values())
    count = sum(result.truths for result in results.values())
    scores = [Score("mAP", mean_ap, "1", "all", count), Score("NDS", nds, "1", "all", count)]
    scores += [Score(f"m{name}", float(error), unit, "all", count) for name, error, unit in zip(ERRORS, errors, ERROR_UNITS)]
    for cls, result in results.items():
        scores += class_scores(cls, result, _PROTOCOL)
    return scores
