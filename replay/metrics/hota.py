"""HOTA, higher order tracking accuracy: how well objects are detected and their tracks kept, at 19 strictnesses of matching.

The similarity of a box and a truth is max(0, 1 - distance of centres / ZERO_M). Truths and boxes of a sample are assigned one
to one so that similarity, weighted by how well the two tracks go together over the whole scene, is the highest; a pair counts
where its similarity is at least alpha = 0.05, 0.10 .. 0.95. Of each alpha, all fractions:
- DetA = TP / (TP + FN + FP), DetRe = TP / (TP + FN), DetPr = TP / (TP + FP); LocA the mean similarity of the pairs.
- AssA, AssRe, AssPr: for each pair, of the samples in which its object or its track, its object, its track appears, the share
  in which they are a pair; means over all pairs.
- HOTA = sqrt(DetA AssA), OWTA = sqrt(DetRe AssA). A figure without a strictness is the mean over all; HOTA(0), LocA(0) and
  HOTALocA(0) = HOTA(0) LocA(0) are those of alpha 0.05. Scores play no part: every track counts, however unsure.
Empty cases: without any pair LocA is 1 and everything else 0. Scenes are put together by their pairs; "all" is the mean over
the classes that hold truth or tracks, NaN where none does.
Source: Luiten et al., HOTA: A higher order metric for evaluating multi-object tracking, IJCV 2021, as TrackEval 1.3.0 has it.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_specs.arrays import Array
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from replay.metrics.track_boxes import SampleTimes, TrackBoxes

ALPHAS = np.arange(0.05, 0.99, 0.05)
ZERO_M = 2.0  # from which on boxes have nothing in common
FIGURES = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA", "HOTA(0)", "LocA(0)", "HOTALocA(0)")
_LEAST = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Frame:
    """One sample of a scene: truths and boxes by number of their track in the scene, and how similar they are."""

    objects: Array  # i8 [n]
    tracks: Array  # i8 [m]
    similarity: Array  # f8 [n, m], 0 to 1


@dataclass(frozen=True, slots=True)
class Hota:
    """Pairs, missed truths and false boxes of a scene or of many, and what is averaged over pairs, each at every alpha [19]."""

    found: Array
    missed: Array
    false: Array
    ass_a: Array
    ass_re: Array
    ass_pr: Array
    loc_a: Array

    @property
    def empty(self) -> bool:
        """Whether there was neither truth nor track."""
        return not (self.found + self.missed + self.false).any()

    def by_alpha(self) -> dict[str, Array]:
        """The figures that have a strictness, [19] each."""
        det_a = self.found / np.maximum(1, self.found + self.missed + self.false)
        det_re = self.found / np.maximum(1, self.found + self.missed)
        det_pr = self.found / np.maximum(1, self.found + self.false)
        return {"HOTA": np.sqrt(det_a * self.ass_a), "DetA": det_a, "AssA": self.ass_a, "DetRe": det_re, "DetPr": det_pr,
                "AssRe": self.ass_re, "AssPr": self.ass_pr, "LocA": self.loc_a, "OWTA": np.sqrt(det_re * self.ass_a)}

    def figures(self) -> dict[str, float]:
        """Every figure of FIGURES."""
        arrays = self.by_alpha()
        hota, loc_a = float(arrays["HOTA"][0]), float(arrays["LocA"][0])
        return {name: float(values.mean()) for name, values in arrays.items()} | {
            "HOTA(0)": hota, "LocA(0)": loc_a, "HOTALocA(0)": hota * loc_a}


def hota_results(predictions: TrackBoxes, truths: TrackBoxes, times: SampleTimes,
                 classes: Sequence[ObjectClass]) -> dict[ObjectClass, Hota]:
    """HOTA of each class over all scenes."""
    results = {}
    for cls in classes:
        made, wanted = predictions[predictions.label == cls], truths[truths.label == cls]
        results[cls] = together([scene_hota(list(frames_of(made, wanted, rows)))
                                 for rows in (np.flatnonzero(times.scene == scene) for scene in np.unique(times.scene))])
    return results


def mean_figures(results: Mapping[ObjectClass, Hota]) -> dict[str, float]:
    """The figures of all classes together: means over the classes that hold anything."""
    rows = [result.figures() for result in results.values() if not result.empty]
    return {name: float(np.mean([row[name] for row in rows])) if rows else float("nan") for name in FIGURES}


def frames_of(made: TrackBoxes, wanted: TrackBoxes, rows: Array) -> Iterator[Frame]:
    """The samples at some rows of times, of one scene."""
    ends = np.append(rows, rows[-1] + 1)
    first_made, first_wanted = np.searchsorted(made.sample, ends), np.searchsorted(wanted.sample, ends)
    all_made, all_wanted = slice(first_made[0], first_made[-1]), slice(first_wanted[0], first_wanted[-1])
    tracks = np.unique(made.track_id[all_made], return_inverse=True)[1]
    objects = np.unique(wanted.track_id[all_wanted], return_inverse=True)[1]
    for k in range(len(rows)):
        here, there = slice(first_made[k], first_made[k + 1]), slice(first_wanted[k], first_wanted[k + 1])
        distance_m = np.linalg.norm(wanted.xy_m[there][:, None] - made.xy_m[here][None], axis=2)
        yield Frame(objects[there.start - all_wanted.start:there.stop - all_wanted.start],
                    tracks[here.start - all_made.start:here.stop - all_made.start], np.maximum(0, 1 - distance_m / ZERO_M))


def scene_hota(frames: Sequence[Frame]) -> Hota:
    """HOTA of one scene; SpecError where a similarity has another shape than its frame."""
    for k, frame in enumerate(frames):
        if frame.similarity.shape != (len(frame.objects), len(frame.tracks)):
            raise SpecError(f"similarity: shape is {frame.similarity.shape} in frame {k}, expected "
                            f"{(len(frame.objects), len(frame.tracks))}")
    objects = np.bincount(np.concatenate([np.zeros(0, np.int64), *(frame.objects for frame in frames)]))
    tracks = np.bincount(np.concatenate([np.zeros(0, np.int64), *(frame.tracks for frame in frames)]))
    pair, similarity = _pairs(frames, objects, tracks)
    counts = np.array([similarity >= alpha - _LEAST for alpha in ALPHAS])
    found = counts.sum(axis=1)
    unique, number = np.unique(pair, return_inverse=True)
    often = np.array([np.bincount(number[mask], minlength=len(unique)) for mask in counts])  # [19, pairs of tracks]
    of_object, of_track = objects[unique // max(1, len(tracks))], tracks[unique % max(1, len(tracks))]
    ass_a, ass_re, ass_pr = ((often * often / np.maximum(1, total)).sum(axis=1) / np.maximum(1, found)
                             for total in (of_object + of_track - often, of_object, of_track))
    loc_a = np.maximum(1e-10, counts @ similarity) / np.maximum(1e-10, found)
    return Hota(found, objects.sum() - found, tracks.sum() - found, ass_a, ass_re, ass_pr, loc_a)


def together(scenes: Sequence[Hota]) -> Hota:
    """Scenes as one: sums, and means over all pairs."""
    none = np.zeros(len(ALPHAS))
    found, missed, false = (sum((getattr(scene, name) for scene in scenes), none) for name in ("found", "missed", "false"))
    ass_a, ass_re, ass_pr, loc_a = (sum((getattr(scene, name) * scene.found for scene in scenes), none)
                                    for name in ("ass_a", "ass_re", "ass_pr", "loc_a"))
    pairs = np.maximum(1.0, found)
    return Hota(found, missed, false, ass_a / pairs, ass_re / pairs, ass_pr / pairs,
                np.maximum(1e-10, loc_a) / np.maximum(1e-10, found))


def _pairs(frames: Sequence[Frame], objects: Array, tracks: Array) -> tuple[Array, Array]:
    """Assigned pairs of all frames: object number x tracks + track number [k], and their similarity [k]."""
    common = np.zeros((len(objects), len(tracks)))
    for frame in frames:
        total = frame.similarity.sum(axis=0)[None] + frame.similarity.sum(axis=1)[:, None] - frame.similarity
        shared = np.divide(frame.similarity, total, out=np.zeros_like(total), where=total > _LEAST)
        common[np.ix_(frame.objects, frame.tracks)] += shared
    aligned = common / (objects[:, None] + tracks[None] - common)
    pair, similarity = [np.zeros(0, np.int64)], [np.zeros(0)]
    for frame in frames:
        row, column = linear_sum_assignment(-(aligned[np.ix_(frame.objects, frame.tracks)] * frame.similarity))
        pair.append(frame.objects[row] * len(tracks) + frame.tracks[column])
        similarity.append(frame.similarity[row, column])
    return np.concatenate(pair), np.concatenate(similarity)
