"""One self-contained page on a gate: verdict, table, precision and recall, error by range, calibration, the worst moments.

Curves are at 2 m, of all drives together. Nothing is loaded from anywhere: styles and pictures stand in the page.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from data_specs.objects import NUSCENES_CLASSES
from replay.draw import Axes, Line, interval, plot, rounded_up
from replay.gate import FAIL, PASS, UNCLEAR, Compared, Judgement
from replay.metrics.calibration import EDGES, reliability
from replay.metrics.detection import Curve
from replay.metrics.matching import by_score
from replay.metrics.outcomes import ERROR_PLACE, Outcomes, concatenated
from replay.report_moments import SHOWN, moment_figure, worst_moments
from replay.report_style import STYLE
from replay.report_text import COLUMNS, WORDS, cells
from replay.results_folder import DriveResult

DASHBOARD = "http://127.0.0.1:8501"  # where 'roadweave dashboard' serves
DRIVES_SHOWN, REASONS_SHOWN, CURVE_POINTS = 20, 6, 200
RANGE_EDGES_M = np.arange(0.0, 51.0, 10.0)
_LEGEND = (("truth", "truth, found"), ("right", "box, right"), ("wrong", "box, wrong"), ("missed", "truth, missed"),
           ("lost", "truth that the baseline found"))
_SIGN = {PASS: "✓", FAIL: "✕", UNCLEAR: "?"}


def html_page(said: Judgement, run: Sequence[DriveResult], baseline: Sequence[DriveResult], dashboard: str = DASHBOARD) -> str:
    """The page; only the drives that were compared are drawn, and no curves where the protocol keeps no boxes.

    `dashboard` is the address that links to moments begin with.
    """
    mine, its = ([one for one in drives if one.drive_id in set(said.drives)] for drives in (run, baseline))
    verdict = WORDS[said.verdict]
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>Gate: {verdict}</title><style>{STYLE}</style></head><body><header class=\"{said.verdict}\">"
            f'<span class="sign">{_SIGN[said.verdict]}</span><div><h1>Gate: {verdict}</h1><p>{_told(said)}</p></div></header>'
            f"{_reasons(said)}{_table(said)}{''.join(_curves(mine, its))}{_moments(mine, its, dashboard)}{_by_drive(said)}"
            "</body></html>\n")


def _told(said: Judgement) -> str:
    return f"{len(said.drives)} drives, protocol {escape(said.protocol)}{', strict' if said.strict else ''}"


def _reasons(said: Judgement) -> str:
    """The first of them open, the rest behind a fold."""
    lists = ["".join(f"<li>{escape(reason)}</li>" for reason in part)
             for part in (said.reasons[:REASONS_SHOWN], said.reasons[REASONS_SHOWN:])]
    rest = len(said.reasons) - REASONS_SHOWN
    more = f"<details><summary>{rest} more</summary><ul>{lists[1]}</ul></details>" if rest > 0 else ""
    return f'<div class="reasons"><ul>{lists[0]}</ul>{more}</div>' if said.reasons else ""


def _table(said: Judgement) -> str:
    """Every comparison, its interval drawn; those that the gate holds first, slices below."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (*COLUMNS[:6], "worse →", *COLUMNS[6:]))
    rows = "".join(_row(row, _reach(said, row)) for row in said.rows if row.gated)
    slices = "".join(_row(row, _reach(said, row)) for row in said.rows if not row.gated)
    between = f'<tr class="between"><th colspan="{len(COLUMNS) + 1}">Slices</th></tr>' if slices else ""
    return f'<section><table class="gate"><thead><tr>{head}</tr></thead><tbody>{rows}{between}{slices}</tbody></table></section>'


def _reach(said: Judgement, row: Compared) -> float:
    """How far the intervals of a score are drawn: the same for all of its slices, so that they can be compared."""
    alike = [other for other in said.rows if other.score.unit == row.score.unit and other.allowed == row.allowed]
    return max(*(np.nan_to_num(np.abs([other.low, other.high, other.allowed])).max() for other in alike), 1e-9) * 1.1


def _row(row: Compared, reach: float) -> str:
    texts = [f"<td>{escape(text)}</td>" for text in cells(row)]
    drawn = f"<td>{interval(row.low, row.drop, row.high, row.allowed, reach, row.verdict)}</td>"
    texts[-1] = f'<td><span class="badge {row.verdict}">{escape(WORDS[row.verdict])}</span></td>'
    return f"<tr>{''.join(texts[:6])}{drawn}{''.join(texts[6:])}</tr>"


def _curves(run: Sequence[DriveResult], baseline: Sequence[DriveResult]) -> Iterator[str]:
    sides = [(name, style, [one.outcomes for one in drives if one.outcomes is not None])
             for name, style, drives in (("baseline", "base", baseline), ("run", "run", run))]
    if not all(parts for _, _, parts in sides):
        return
    pools = [(name, style, concatenated(parts)) for name, style, parts in sides]
    shown = [(title, label) for title, label in NUSCENES_CLASSES.items() if _truths(pools[1][2], label)]
    yield '<section><h2>Precision and recall</h2><p class="note">All drives together, matched within 2 m.</p><div class="plots">'
    for title, label in shown:
        yield plot(title.replace("_", " "), Axes("recall", "precision"),
                   [_curve(name, style, pool[pool.label == label]) for name, style, pool in pools])
    yield '</div></section><section><h2>Error by range, and calibration</h2><div class="plots">'
    lines = [_error_by_range(name, style, pool) for name, style, pool in pools]
    most_m = max((float(np.nanmax(line.y)) for line in lines if not np.isnan(line.y).all()), default=1.0)
    yield plot("distance of centres", Axes("range (m)", "error (m)", float(RANGE_EDGES_M[-1]), rounded_up(most_m)), lines)
    yield from (_calibration(name, style, pool) for name, style, pool in pools)
    yield "</div></section>"


def _truths(pool: Outcomes, label: int) -> int:
    return int((pool.is_truth & pool.counts & (pool.label == label)).sum())


def _curve(name: str, style: str, pool: Outcomes) -> Line:
    made = pool[~pool.is_truth]
    made = made[by_score(made.score)]
    curve = Curve(made.score, made.right[:, ERROR_PLACE], int((pool.is_truth & pool.counts).sum()))
    some = np.unique(np.linspace(0, max(len(made) - 1, 0), CURVE_POINTS).astype(int))[:len(made)]
    return Line(name, style, curve.recall[some], curve.precision[some])


def _error_by_range(name: str, style: str, pool: Outcomes) -> Line:
    error_m, place = pool.errors[:, 0], np.digitize(pool.range_m, RANGE_EDGES_M) - 1
    values = [error_m[(place == i) & ~np.isnan(error_m)] for i in range(len(RANGE_EDGES_M) - 1)]
    means = np.array([part.mean() if len(part) else np.nan for part in values])
    return Line(name, style, (RANGE_EDGES_M[:-1] + RANGE_EDGES_M[1:]) / 2, means, dots=True)


def _calibration(name: str, style: str, pool: Outcomes) -> str:
    """Reliability of the scores, with the share of boxes in each bin behind it."""
    made = pool[~pool.is_truth]
    bins = reliability(made.score, made.right[:, ERROR_PLACE])
    lines = [Line("as said", "ideal", EDGES, EDGES), Line(f"ECE {bins.ece:.3f}", style, bins.stated, bins.right, dots=True)]
    return plot(f"calibration, {name}", Axes("score", "share right"), lines, bins.count / max(len(made), 1))


def _moments(run: Sequence[DriveResult], baseline: Sequence[DriveResult], dashboard: str) -> str:
    worst = worst_moments(run, baseline)
    if not worst:
        return ""
    legend = "".join(f'<span class="key"><svg viewBox="-3 -2 6 4" width="24"><path class="{style}" d="M-2.2 -1.1h4.4v2.2h-4.4Z"/>'
                     f"</svg>{text}</span>" for style, text in _LEGEND)
    return ('<section><h2>Worst moments</h2><p class="note">From above, North up, around the ego. The titles lead to the moment '
            f'on the dashboard ({escape(dashboard)}). At most {SHOWN}.</p><p class="keys">{legend}</p>'
            f'<div class="plots">{"".join(moment_figure(moment, dashboard) for moment in worst)}</div></section>')


def _by_drive(said: Judgement) -> str:
    first = f"{said.rows[0].score.name} of {said.rows[0].score.slice}"
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{before:.4f}</td><td>{now:.4f}</td><td>{now - before:+.4f}</td></tr>"
                   for name, before, now in said.by_drive[:DRIVES_SHOWN])
    more = f'<p class="note">{len(said.by_drive) - DRIVES_SHOWN} more.</p>' if len(said.by_drive) > DRIVES_SHOWN else ""
    return (f"<section><h2>Drives, worst first: {escape(first)}</h2><table><thead><tr><th>drive</th><th>baseline</th><th>run</th>"
            f"<th>change</th></tr></thead><tbody>{rows}</tbody></table>{more}</section>")
