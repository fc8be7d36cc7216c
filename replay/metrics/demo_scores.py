"""What seeing together is worth: vehicle alone, roadside alone and fused, over the moments of truth within RANGE_M of the ego.

- AP of a class: the mean of nuScenes' AP at 0.5, 1, 2 and 4 m, over the classes that the truth holds; mAP is their mean.
  NaN for a source without truth to find.
- hidden recall: of the truths hidden from the ego (see replay/metrics/visibility.py), how many have an object of their class
  within 2 m, among the objects that score at least the source's best-F1 score over all truths; NaN without hidden truths.
- position error: median distance in x and y of the matches at 2 m, of the same objects, in metres; NaN without matches.
Matches are nuScenes': by descending score, each to the nearest free truth of its class, strictly nearer than the threshold.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from replay.drive import Drive
from replay.metrics.detection import average_precision, best_f1_score
from replay.metrics.matching import flatten, match_greedily
from replay.metrics.sources import SOURCES, read_moments
from replay.metrics.visibility import hidden_from_ego

RANGE_M = 50.0
DISTANCES_M = (0.5, 1.0, 2.0, 4.0)
MATCH_M = 2.0


@dataclass(frozen=True, slots=True)
class SourceScores:
    """One source's row of the demo's table."""

    mean_ap: float
    ap: Mapping[ObjectClass, float]  # of the classes that the truth holds
    truths: int
    hidden_recall: float
    hidden_found: int
    hidden: int  # truths hidden from the ego, over all moments
    position_error_m: float
    matches: int
    best_f1_score: float

    def to_json(self) -> dict[str, object]:
        """{"mAP", "AP": {class: value}, "hidden_recall", "position_error_m"} and the counts behind them."""
        return {"mAP": self.mean_ap, "AP": {cls.title: value for cls, value in self.ap.items()},
                "hidden_recall": self.hidden_recall, "position_error_m": self.position_error_m, "truths": self.truths,
                "hidden": self.hidden, "hidden_found": self.hidden_found, "matches": self.matches,
                "best_f1_score": self.best_f1_score}


def score_sources(drive: Drive) -> dict[str, SourceScores]:
    """Scores by source, of those the drive holds; InputError without truth or ego poses.

    Reads truth, ego.poses, vehicle.objects, roadside.objects (or what the units found) and fused.tracks.
    """
    moments = [moment for moment in read_moments(drive) if moment.map_from_ego is not None]
    if not moments:
        raise InputError(drive.info.drive_id, f"topics {', '.join(drive.info.topics)}", "moments of truth with ego poses")
    places = [moment.map_from_ego for moment in moments if moment.map_from_ego is not None]
    truths = [moment.truth[_near(moment.truth.objects, place)] for moment, place in zip(moments, places)]
    scores = {}
    for source in SOURCES:
        if any(source in moment.objects for moment in moments):
            lists = [moment.objects.get(source, ObjectList.empty("map", source)) for moment in moments]
            near = [said[_near(said, place)] for said, place in zip(lists, places)]
            scores[source] = score_lists(near, truths, [hidden_from_ego(truth, place.translation_m)
                                                        for truth, place in zip(truths, places)])
    return scores


def score_lists(lists: Sequence[ObjectList], truths: Sequence[Truth], hidden: Sequence[Array]) -> SourceScores:
    """Scores of one source's lists, one a moment, against the truths of the same moments and the masks of the hidden ones."""
    classes = _classes(truths)
    ap = {cls: float(np.mean([average_precision(lists, truths, cls, distance_m) for distance_m in DISTANCES_M]))
          for cls in classes}
    cut = best_f1_score(lists, truths, classes, MATCH_M)
    kept = [said[said.score >= cut] for said in lists]
    found_hidden, hidden_count, errors_m = 0, int(sum(mask.sum() for mask in hidden)), []
    for cls in classes:
        rows, distance_m = _matches(kept, truths, cls)
        of_class = [mask[truth.objects.label == cls] for mask, truth in zip(hidden, truths)]
        found_hidden += int(np.concatenate(of_class)[rows].sum())
        errors_m.append(distance_m)
    errors = np.concatenate(errors_m) if errors_m else np.zeros(0)
    return SourceScores(
        float(np.mean(list(ap.values()))) if ap else float("nan"), ap, int(sum((~truth.ignore).sum() for truth in truths)),
        found_hidden / hidden_count if hidden_count else float("nan"), found_hidden, hidden_count,
        float(np.median(errors)) if len(errors) else float("nan"), len(errors), cut)


def _matches(lists: Sequence[ObjectList], truths: Sequence[Truth], cls: ObjectClass) -> tuple[Array, Array]:
    """Rows [m] of the flattened truths of a class that have an object, and the distances [m] to it in metres."""
    made, wanted = flatten(lists).of(cls), flatten(truths).of(cls)
    taken = match_greedily(made, wanted, [MATCH_M])[0]
    right = taken >= 0
    offset_m = made.center_m[right, :2] - wanted.center_m[taken[right], :2]
    return taken[right], np.linalg.norm(offset_m, axis=1)


def _classes(truths: Sequence[Truth]) -> list[ObjectClass]:
    labels = [truth.objects.label[~truth.ignore] for truth in truths]
    return [ObjectClass(int(label)) for label in np.unique(np.concatenate(labels))] if labels else []


def _near(objects: ObjectList, map_from_ego: SE3) -> Array:
    offset_m = objects.boxes.center_m[:, :2] - map_from_ego.translation_m[:2]
    return np.linalg.norm(offset_m, axis=1) <= RANGE_M
