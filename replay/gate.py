"""Pass or fail: whether the scores of a run dropped against a baseline's, on the same drives, by more than is allowed.

A drop is how much worse a score became (errors rise, everything else falls). Drives are drawn with replacement, the same for both
runs; a score is made anew from each draw. Where boxes are kept (protocol nuscenes) that is the score over the drawn drives
together; for other protocols it is the mean of the drives' scores, weighted by what stands behind each. A score's interval is
that of as many drives as have truths behind it.
- fail: the drop is larger than allowed, and significant at 5 % (the gated scores, and apart from them the slices, after Holm).
- pass: the whole interval of the drop is within what is allowed; or, unless strict, the drop itself is.
- unclear: anything else: too few drives or truths to say.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.results import Score
from replay.gate_statistics import expanded_interval, holm, p_value
from replay.metrics.bootstrap import ROUNDS, drive_draws
from replay.metrics.drawn_scores import Drawn, drawn_scores
from replay.results_folder import DriveResult

PASS, FAIL, UNCLEAR = "pass", "fail", "unclear"
EXIT_CODES = {PASS: 0, FAIL: 1, UNCLEAR: 3}
FEWEST_DRIVES = 10
FEWEST_TRUTHS = 50
SIGNIFICANT = 0.05
_WORSE_IF_HIGHER = re.compile(
    r"(.*_)?(m?A[TSOVA]E|ECE|MCE|duplicates|AMOTP|MOTP|ML|IDS|FRAG|FP|FN|FAF|TID|LGD|GOSPA|OSPA|bytes_per_s|average_byte|conflicts|ttc_exposed_s|ttc_integrated_s2)"
    r"|(.*_)?(error|distance|latency|age)_.*")


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a score may drop."""

    name: str
    slice: str
    drop: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """"mAP:0.005", or of one slice "AP@pedestrian:0.02"; InputError for anything else."""
        found = re.fullmatch(r"([^:@]+)(?:@([^:]+))?:([0-9.eE+-]+)", text)
        try:
            drop = float(found[3]) if found else -1.0
        except ValueError:
            drop = -1.0
        if not found or not 0.0 <= drop < np.inf:
            raise InputError("--max-drop", repr(text), "NAME:DROP or NAME@SLICE:DROP with a drop of 0 or more")
        return cls(found[1], found[2] or "all", drop)


@dataclass(frozen=True, slots=True)
class Compared:
    """One score of both runs. `drop` above 0 means worse."""

    score: Score  # of the run
    baseline: float
    drop: float
    low: float  # 95 % interval of the drop
    high: float
    drives: int  # that have truths behind the score
    p: float
    p_holm: float
    allowed: float
    gated: bool  # False: a slice of a gated score
    verdict: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate says, and why."""

    verdict: str
    strict: bool
    protocol: str
    drives: tuple[str, ...]
    rows: tuple[Compared, ...]  # gated scores first
    reasons: tuple[str, ...]
    by_drive: tuple[tuple[str, float, float], ...]  # the first gated score of each drive: id, baseline, run; worst drop first


def judge(run: Sequence[DriveResult], baseline: Sequence[DriveResult], limits: Sequence[Limit], strict: bool = False,
          rounds: int = ROUNDS, seed: int = 0) -> Judgement:
    """Compare a run with a baseline; InputError if they cannot be compared, or a limit names no score of theirs."""
    run, notes = paired(run, baseline)
    times = np.vstack([np.eye(len(run), dtype=np.int64), drive_draws(len(run), rounds, seed)])
    mine, its = _drawn(run, times), _drawn(baseline, times)
    places = {(score.name, score.slice): i for i, score in enumerate(its.scores)}
    rows, gated_places = [], []
    for limit, gated, i in _chosen(mine.scores, limits):
        score = mine.scores[i]
        if (score.name, score.slice) not in places:
            continue
        j = places[score.name, score.slice]
        sign = 1.0 if worse_if_higher(score.name) else -1.0
        drawn = sign * (mine.by_round[len(run):, i] - its.by_round[len(run):, j])
        rows.append(_compared(score, its.scores[j].value, sign, drawn, limit.drop, gated, int(mine.drives[i])))
        gated_places += [(i, j, sign)] if gated else []
    rows = _corrected(rows, strict)
    i, j, sign = gated_places[0]
    by_drive = [(one.drive_id, float(its.by_round[d, j]), float(mine.by_round[d, i])) for d, one in enumerate(run)]
    by_drive.sort(key=lambda row: -sign * (row[2] - row[1]) if row[2] == row[2] else np.inf)
    verdict, reasons = _verdict(rows, len(run), strict)
    return Judgement(verdict, strict, run[0].result.protocol, tuple(one.drive_id for one in run), tuple(rows),
                     (*reasons, *notes), tuple(by_drive))


def paired(run: Sequence[DriveResult], baseline: Sequence[DriveResult]) -> tuple[list[DriveResult], list[str]]:
    """The run's drives that the baseline has, in its order, and notes; InputError where a drive is missing or is another."""
    protocols = run[0].result.protocol, baseline[0].result.protocol
    if protocols[0] != protocols[1]:
        raise InputError("results", f"protocol {protocols[0]}", f"{protocols[1]} as in the baseline")
    mine = {one.drive_id: one for one in run}
    missing = [one.drive_id for one in baseline if one.drive_id not in mine]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError("results", f"no drive {', '.join(missing[:3])}{more}", f"all {len(baseline)} drives of the baseline")
    for one in baseline:
        other = mine[one.drive_id]
        counts = [int(each.outcomes.is_truth.sum()) for each in (other, one) if each.outcomes is not None]
        if len(set(counts)) > 1:
            raise InputError(f"drive {one.drive_id}", f"{counts[0]} truths", f"{counts[1]} as in the baseline",
                             "its truth has changed: write a new baseline")
    new = len(run) - len(baseline)
    return [mine[one.drive_id] for one in baseline], [f"{new} drives are not in the baseline and were left out"] if new else []


def worse_if_higher(name: str) -> bool:
    """Whether a score of that name is one that a better run has less of."""
    return bool(_WORSE_IF_HIGHER.fullmatch(name))


def _drawn(drives: Sequence[DriveResult], times: Array) -> Drawn:
    """Scores of all drives, and of each draw."""
    outcomes = [one.outcomes for one in drives if one.outcomes is not None]
    if len(outcomes) == len(drives):
        return drawn_scores(outcomes, times, [one.conditions for one in drives])
    return _mean_scores(drives, times)


def _mean_scores(drives: Sequence[DriveResult], times: Array) -> Drawn:
    """Scores of drives as means weighted by their counts, so that a recall is that of all truths; NaN where nothing counts."""
    names = {(score.name, score.slice): score for one in drives for score in one.result.scores}
    columns = {key: column for column, key in enumerate(names)}
    value, weight = np.full((len(drives), len(names)), np.nan), np.zeros((len(drives), len(names)))
    for d, one in enumerate(drives):
        for score in one.result.scores:
            column = columns[score.name, score.slice]
            value[d, column], weight[d, column] = score.value, score.count
    weight = np.where(np.isnan(value), 0.0, weight)
    times = np.vstack([np.ones((1, len(drives)), np.int64), times])
    behind = times @ weight
    drawn = np.divide(times @ (weight * np.nan_to_num(value)), behind, out=np.full(behind.shape, np.nan), where=behind > 0)
    scores = [replace(score, value=float(drawn[0, i]), count=int(behind[0, i])) for i, score in enumerate(names.values())]
    return Drawn(tuple(scores), drawn[1:], (weight > 0).sum(axis=0))


def _chosen(scores: Sequence[Score], limits: Sequence[Limit]) -> list[tuple[Limit, bool, int]]:
    """Each limit with the scores that it is about: (limit, is it the gated one, place); its slices come behind."""
    gated, slices = [], []
    for limit in limits:
        own = [i for i, score in enumerate(scores) if (score.name, score.slice) == (limit.name, limit.slice)]
        if not own:
            known = ", ".join(dict.fromkeys(score.name for score in scores if score.slice == "all")) or "none"
            raise InputError("--max-drop", f"{limit.name}@{limit.slice}", f"a score of the results; of all drives: {known}")
        gated.append((limit, True, own[0]))
        if limit.slice == "all":
            names = limit.name, limit.name.removeprefix("m")
            slices += [(limit, False, i) for i, score in enumerate(scores)
                       if score.slice != "all" and score.name.removeprefix(f"{score.slice}_") in names]
    return gated + slices


def _compared(score: Score, baseline: float, sign: float, drawn: Array, allowed: float, gated: bool, drives: int) -> Compared:
    drop = sign * (score.value - baseline) + 0.0  # no minus before nought
    low, high = expanded_interval(drawn, drives)
    p = p_value(drop, drawn, drives)
    return Compared(score, baseline, drop, low, high, drives, p, p, allowed, gated, UNCLEAR)


def _corrected(rows: Sequence[Compared], strict: bool) -> list[Compared]:
    """Rows with Holm's p-values, gated scores and slices apart, and the verdict on each."""
    done: list[Compared] = []
    for gated in (True, False):
        family = [row for row in rows if row.gated == gated]
        judged = np.array([row.p if _enough(row) else np.nan for row in family])  # what cannot fail is no false alarm
        for row, p_holm in zip(family, holm(judged)):
            done.append(replace(row, p_holm=float(p_holm), verdict=_row_verdict(row, float(p_holm), strict)))
    return done


def _enough(row: Compared) -> bool:
    return row.score.count >= FEWEST_TRUTHS and row.drives >= FEWEST_DRIVES


def _row_verdict(row: Compared, p_holm: float, strict: bool) -> str:
    if not _enough(row) or row.drop != row.drop or row.high != row.high:
        return UNCLEAR
    if row.drop > row.allowed:
        return FAIL if p_holm < SIGNIFICANT else UNCLEAR
    return PASS if row.high <= row.allowed or not strict else UNCLEAR


def _verdict(rows: Sequence[Compared], drives: int, strict: bool) -> tuple[str, list[str]]:
    """The verdict over all, and a reason for each that is not a pass. Slices count only where the gate is strict."""
    if drives < FEWEST_DRIVES:
        return UNCLEAR, [f"{drives} drives, expected at least {FEWEST_DRIVES} to tell anything"]
    reasons = [_reason(row) for row in rows if row.verdict == FAIL or (row.gated and row.verdict == UNCLEAR)]
    counting = [row.verdict for row in rows if row.gated or (strict and row.verdict == FAIL)]
    verdict = FAIL if FAIL in counting else UNCLEAR if UNCLEAR in counting else PASS
    return verdict, reasons


def _reason(row: Compared) -> str:
    head = f"{row.score.name} of {row.score.slice}"
    if row.score.count < FEWEST_TRUTHS:
        return f"{head}: {row.score.count} truths, expected at least {FEWEST_TRUTHS}"
    if row.drives < FEWEST_DRIVES:
        return f"{head}: truths in {row.drives} drives, expected at least {FEWEST_DRIVES}"
    certain = "significant" if row.verdict == FAIL else "not certain"
    return (f"{head}: {row.baseline:.4f} to {row.score.value:.4f}, worse by {row.drop:.4f} ({row.low:.4f} to {row.high:.4f}), "
            f"{row.allowed:g} allowed; {certain} (p {row.p_holm:.2g})")
