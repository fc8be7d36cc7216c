"""One self-contained page on a gate: its table, precision and recall, error by range, calibration, the drives that fell most.

Curves are at 2 m, of all drives together. Calibration is the share of detections that are right, by tenths of the score.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from data_specs.objects import NUSCENES_CLASSES
from replay.draw import Line, plot
from replay.gate import Judgement
from replay.metrics.detection import Curve
from replay.metrics.matching import by_score
from replay.metrics.outcomes import ERROR_PLACE, Outcomes, concatenated
from replay.report_text import COLUMNS, WORDS, cells
from replay.results_folder import DriveResult

DRIVES_SHOWN = 20
RANGE_EDGES_M = np.arange(0.0, 51.0, 10.0)
SCORE_EDGES = np.linspace(0.0, 1.0, 11)
_STYLE = ("body{font:14px system-ui,sans-serif;margin:2rem;max-width:72rem}table{border-collapse:collapse;margin:1rem 0}"
          "td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:right}td:first-child,td:nth-child(2){text-align:left}"
          "svg{font:10px system-ui,sans-serif;margin:.25rem}.fail{background:#fde3df}.unclear{background:#fff4ce}")


def html_page(said: Judgement, run: Sequence[DriveResult], baseline: Sequence[DriveResult]) -> str:
    """The page; only the drives that were compared are drawn, and nothing is where the protocol keeps no boxes."""
    rows = "".join(f'<tr class="{row.verdict}">' + _cells(cells(row)) + "</tr>" for row in said.rows)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in said.reasons)
    drives = "".join("<tr>" + _cells([name, f"{before:.4f}", f"{now:.4f}"]) + "</tr>"
                     for name, before, now in said.by_drive[:DRIVES_SHOWN])
    first = f"{said.rows[0].score.name} of {said.rows[0].score.slice}"
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Gate: {WORDS[said.verdict]}</title>'
            f"<style>{_STYLE}</style><h1>Gate: {WORDS[said.verdict]}</h1><p>{len(said.drives)} drives, protocol "
            f"{escape(said.protocol)}{', strict' if said.strict else ''}.</p><ul>{reasons}</ul>"
            f"<table><tr>{_cells(COLUMNS, 'th')}</tr>{rows}</table>{''.join(_plots(said, run, baseline))}"
            f"<h2>Drives, worst first: {escape(first)}</h2><table><tr>{_cells(['drive', 'baseline', 'run'], 'th')}</tr>{drives}"
            "</table></html>\n")


def _plots(said: Judgement, run: Sequence[DriveResult], baseline: Sequence[DriveResult]) -> Iterator[str]:
    sides = [(name, [one.outcomes for one in drives if one.drive_id in said.drives and one.outcomes is not None])
             for name, drives in (("run", run), ("baseline", baseline))]
    if not all(parts for _, parts in sides):
        return
    pools = [(name, concatenated(parts)) for name, parts in sides]
    yield "<h2>Precision and recall at 2 m</h2>"
    for title, label in NUSCENES_CLASSES.items():
        of_class = [(name, pool[pool.label == label]) for name, pool in pools]
        if of_class[0][1].is_truth.any():
            yield plot(title, [_curve(name, pool) for name, pool in of_class], "recall", "precision")
    yield "<h2>Error by range, and calibration</h2>"
    lines = [_error_by_range(name, pool) for name, pool in pools]
    yield plot("distance of centres", lines, "range (m)", "error (m)", float(RANGE_EDGES_M[-1]))
    yield plot("calibration", [*(_calibration(name, pool) for name, pool in pools), ("right", SCORE_EDGES, SCORE_EDGES)],
               "score", "share right")


def _curve(name: str, pool: Outcomes) -> Line:
    made = pool[~pool.is_truth]
    made = made[by_score(made.score)]
    curve = Curve(made.score, made.right[:, ERROR_PLACE], int(pool.is_truth.sum()))
    some = np.unique(np.linspace(0, max(len(made) - 1, 0), 200).astype(int))[:len(made)]
    return name, curve.recall[some], curve.precision[some]


def _error_by_range(name: str, pool: Outcomes) -> Line:
    error_m, place = pool.errors[:, 0], np.digitize(pool.range_m, RANGE_EDGES_M) - 1
    values = [error_m[(place == i) & ~np.isnan(error_m)] for i in range(len(RANGE_EDGES_M) - 1)]
    means = np.array([part.mean() if len(part) else np.nan for part in values])
    return name, (RANGE_EDGES_M[:-1] + RANGE_EDGES_M[1:]) / 2, means


def _calibration(name: str, pool: Outcomes) -> Line:
    made = pool[~pool.is_truth]
    place = np.clip(np.digitize(made.score, SCORE_EDGES) - 1, 0, 9)
    right = [made.right[place == i, ERROR_PLACE] for i in range(10)]
    return name, (SCORE_EDGES[:-1] + SCORE_EDGES[1:]) / 2, np.array([part.mean() if len(part) else np.nan for part in right])


def _cells(texts: Sequence[str], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
