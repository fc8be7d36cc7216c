"""The loops of scores over drawn drives: plain Python that numba compiles as it stands (see replay/compiled.py)."""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array


def draw_scores(times: Array, drive: Array, score: Array, right: Array, errors: Array, truths: Array, recalls: Array,
                error_place: int, ap: Array, drawn_errors: Array) -> None:
    """AP [rounds, distances] and mean errors [rounds, 5] of one class; `times` [rounds, drives] says how often each is drawn.

    Detections come by descending score with the drive [n] of each, right [distances, n] and errors [n, 5]; truths [drives].
    A round without truth has NaN. Where errors are none [0, 5], their means are not made.
    """
    at, score_at, unused = np.zeros(len(recalls)), np.zeros(len(recalls)), np.zeros(len(recalls))
    for r in range(len(times)):
        total = 0
        for d in range(len(truths)):
            total += times[r, d] * truths[d]
        if total == 0:
            ap[r], drawn_errors[r] = np.nan, np.nan
            continue
        for k in range(len(right)):
            hits = along_recalls(times[r], drive, score, right[k], total, recalls, at, score_at if k == error_place else unused)
            ap[r, k] = 0.0
            if hits > 0:
                for g in range(11, len(recalls)):
                    ap[r, k] += max(at[g] - 0.1, 0.0) / (len(recalls) - 11) / 0.9
            if k == error_place and len(errors) == len(drive):
                mean_errors(times[r], drive, score, right[k], errors, hits, score_at, drawn_errors[r])


def along_recalls(times: Array, drive: Array, score: Array, right: Array, total: int, recalls: Array, precision_at: Array,
                  score_at: Array) -> int:
    """Precision and score at each recall, interpolated as np.interp does with right=0; returns how many were right."""
    hits, made, g, last_score = 0, 0, 0, 0.0
    for i in range(len(drive)):
        for _ in range(times[drive[i]]):
            made += 1
            if right[i]:  # else recall stands still
                last_recall, last_precision = hits / total, hits / max(made - 1, 1)
                hits += 1
                recall, precision = hits / total, hits / made
                while g < len(recalls) and recalls[g] < recall:
                    step = (recalls[g] - last_recall) / (recall - last_recall) if made > 1 else 1.0
                    precision_at[g] = last_precision + (precision - last_precision) * step
                    score_at[g] = last_score + (score[i] - last_score) * step
                    g += 1
            last_score = score[i]
    last_recall, last_precision = hits / total, hits / max(made, 1)
    while g < len(recalls):
        precision_at[g] = last_precision if made > 0 and recalls[g] == last_recall else 0.0
        score_at[g] = last_score if made > 0 and recalls[g] == last_recall else 0.0
        g += 1
    return hits


def mean_errors(times: Array, drive: Array, score: Array, right: Array, errors: Array, hits: int, score_at: Array,
                drawn: Array) -> None:
    """The five errors: running means along the scores, averaged from recall 0.11 to the highest reached, into drawn [5]."""
    drawn[:] = 1.0
    reached = 0
    for g in range(len(score_at)):
        if score_at[g] != 0.0:
            reached = g
    if hits == 0 or reached < 11:
        return
    hit_score, running = np.empty(hits), np.empty(hits)
    for e in range(errors.shape[1]):
        place, known, summed = hits, 0, 0.0
        for i in range(len(drive)):
            if not right[i]:
                continue
            for _ in range(times[drive[i]]):
                if not np.isnan(errors[i, e]):
                    known, summed = known + 1, summed + errors[i, e]
                place -= 1  # ascending scores, as np.interp wants them
                hit_score[place] = score[i]
                running[place] = summed / known if known else 0.0
        if known:
            drawn[e] = np.interp(score_at[11:reached + 1], hit_score, running).mean()
