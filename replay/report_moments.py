"""The worst moments of a run, as pictures from above: what was missed and what was wrongly found, and what the baseline did.

A box counts as said where it scores LEAST_SCORE or more; it is right, or a truth found, within 2 m. A moment is the worse, the
more it has of newly missed truths and wrong boxes against the baseline; of two as bad, the one with more of them at all.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from urllib.parse import quote

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from replay.metrics.drawn_scores import LEAST_SCORE
from replay.metrics.outcomes import ERROR_PLACE, Outcomes
from replay.results_folder import DriveResult

SHOWN, SHOWN_OF_A_DRIVE = 9, 2
APART_NS = 1_000_000_000
REACH_M, SIDE_PX = 52.0, 320
RINGS_M = (10, 20, 30, 40, 50)


@dataclass(frozen=True, slots=True)
class WorstMoment:
    """One moment of one drive, and how many truths and boxes are wrong in the run and in the baseline."""

    drive: DriveResult
    time_ns: int
    missed: int
    wrong: int
    missed_before: int
    wrong_before: int
    rows: Outcomes  # of the run
    lost: Array  # bool [truths of `rows`]: the baseline found it and the run did not

    @property
    def badness(self) -> tuple[int, int]:
        """What became worse, and what is wrong at all."""
        now, before = self.missed + self.wrong, self.missed_before + self.wrong_before
        return now - before, now


def worst_moments(run: Sequence[DriveResult], baseline: Sequence[DriveResult]) -> list[WorstMoment]:
    """The worst SHOWN moments of drives that both have, worst first; of a drive SHOWN_OF_A_DRIVE at most, a second apart."""
    before = {one.drive_id: one.outcomes for one in baseline}
    found: list[WorstMoment] = []
    for one in run:
        its = before.get(one.drive_id)
        if one.outcomes is not None and its is not None:
            found += _spread(sorted(_moments(one, one.outcomes, its), key=lambda moment: moment.badness, reverse=True))
    return sorted(found, key=lambda moment: moment.badness, reverse=True)[:SHOWN]


def moment_figure(moment: WorstMoment, dashboard: str) -> str:
    """The picture, with a link to the moment on the dashboard's Drive page."""
    seconds = np.ceil((moment.time_ns - moment.drive.start_ns) / 1e6) / 1e3
    name = PurePath(moment.drive.path).name
    link = f"{dashboard.rstrip('/')}/drive?drive={quote(name)}&t={max(seconds, 0.0):.3f}"
    told = (f"{moment.missed} missed (baseline {moment.missed_before}), {moment.wrong} wrong (baseline {moment.wrong_before})")
    title = f"{name}, {seconds:.1f} s"
    return (f'<figure class="bev"><figcaption><b><a href="{escape(link)}">{escape(title)}</a></b><span>{told}</span></figcaption>'
            f'<svg viewBox="{-REACH_M} {-REACH_M} {2 * REACH_M} {2 * REACH_M}" width="{SIDE_PX}" role="img" '
            f'aria-label="{escape(title)}">{"".join(_drawn(moment))}</svg></figure>')


def missed_and_wrong(rows: Outcomes) -> tuple[Array, Array]:
    """Masks [n] of truths that count and are not found, and of boxes that are said and not right."""
    said = rows.score >= LEAST_SCORE  # NaN is not
    return rows.is_truth & rows.counts & ~said, ~rows.is_truth & said & ~rows.right[:, ERROR_PLACE]


def _moments(drive: DriveResult, mine: Outcomes, its: Outcomes) -> Iterator[WorstMoment]:
    missed, wrong = missed_and_wrong(mine)
    missed_before, wrong_before = missed_and_wrong(its)
    for time_ns in np.unique(mine.time_ns):
        here, there = mine.time_ns == time_ns, its.time_ns == time_ns
        truths, twins = here & mine.is_truth, there & its.is_truth
        same = truths.sum() == twins.sum()
        lost = missed[truths] & ~missed_before[twins] if same else np.zeros(truths.sum(), bool)
        yield WorstMoment(drive, int(time_ns), int(missed[here].sum()), int(wrong[here].sum()), int(missed_before[there].sum()),
                          int(wrong_before[there].sum()), mine[here], lost)


def _spread(moments: Sequence[WorstMoment]) -> list[WorstMoment]:
    kept: list[WorstMoment] = []
    for moment in moments:
        if all(abs(moment.time_ns - other.time_ns) >= APART_NS for other in kept) and moment.badness[1] > 0:
            kept.append(moment)
        if len(kept) == SHOWN_OF_A_DRIVE:
            break
    return kept


def _drawn(moment: WorstMoment) -> Iterator[str]:
    for ring_m in RINGS_M:
        yield f'<circle class="ring" r="{ring_m}"/><text class="ring" x="0.6" y="{-ring_m - 0.6}">{ring_m} m</text>'
    rows = moment.rows
    missed, wrong = missed_and_wrong(rows)
    lost = np.zeros(len(rows), bool)
    lost[np.flatnonzero(rows.is_truth)] = moment.lost
    said = ~rows.is_truth & (rows.score >= LEAST_SCORE)
    for style, mask in (("truth", rows.is_truth & rows.counts & ~missed), ("right", said & ~wrong), ("wrong", wrong),
                        ("missed", missed & ~lost), ("lost", lost)):
        for row in np.flatnonzero(mask):
            yield _box(rows, int(row), style)
    yield '<path class="ego" d="M0 -1.6L1.3 1.4L0 0.7L-1.3 1.4Z"/>'


def _box(rows: Outcomes, row: int, style: str) -> str:
    """A rectangle, East to the right and North up, with what it is on hover."""
    (x, y), (length, width, yaw) = rows.xy_m[row], rows.footprint[row]
    told = ObjectClass(int(rows.label[row])).title + ("" if np.isnan(rows.score[row]) else f" {rows.score[row]:.2f}")
    return (f'<g transform="translate({x:.2f} {-y:.2f}) rotate({-np.degrees(yaw):.1f})"><title>{style}: {told}</title>'
            f'<path class="{style}" d="M{-length / 2:.2f} {-width / 2:.2f}h{length:.2f}v{width:.2f}h{-length:.2f}Z'
            f'M{length / 4:.2f} 0H{length / 2:.2f}"/></g>')
