"""A learning curve as a picture: one small panel for each loss, over the samples seen."""
from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

WIDTH_PX, HEIGHT_PX = 300, 150  # of a panel with its margins
LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = 44, 26, 10, 20
COLUMNS = 3
INK, FAINT, LINE = "#222222", "#bbbbbb", "#1f6fb2"


def write_learning_curve(rows: Sequence[dict[str, float]], names: Sequence[str], path: Path) -> None:
    """The learning curve of a run's rows as an SVG file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(learning_curve_svg(rows, names), encoding="utf-8")
    part.replace(path)


def learning_curve_svg(rows: Sequence[dict[str, float]], names: Sequence[str]) -> str:
    """One panel for each of `names` that the rows know, over their "samples"."""
    series = {name: [(row["samples"], row[name]) for row in rows if isfinite(row.get(name, float("nan")))]
              for name in names}
    known = {name: points for name, points in series.items() if points}
    most = max((x for points in known.values() for x, _ in points), default=1.0)
    panels = [panel(name, points, most, (i % COLUMNS * WIDTH_PX, i // COLUMNS * HEIGHT_PX))
              for i, (name, points) in enumerate(known.items())]
    height = max(1, -(-len(known) // COLUMNS)) * HEIGHT_PX
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * WIDTH_PX}" height="{height}" '
            f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
            + "".join(panels) + "</svg>\n")


def panel(name: str, points: Sequence[tuple[float, float]], most: float, corner_px: tuple[int, int]) -> str:
    """One loss: its name and last value, its extremes at the axis, and its line; `most` samples end the x axis."""
    values = [y for _, y in points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    inner_w, inner_h = WIDTH_PX - LEFT_PX - RIGHT_PX, HEIGHT_PX - TOP_PX - BOTTOM_PX
    line = " ".join(f"{LEFT_PX + inner_w * x / most:.1f},{TOP_PX + inner_h * (high - y) / span:.1f}" for x, y in points)
    bottom = TOP_PX + inner_h
    return (f'<g transform="translate({corner_px[0]},{corner_px[1]})">\n'
            f'<text x="{LEFT_PX}" y="16" fill="{INK}">{name} {values[-1]:.3g}</text>\n'
            f'<path d="M{LEFT_PX} {TOP_PX}V{bottom}H{LEFT_PX + inner_w}" fill="none" stroke="{FAINT}"/>\n'
            f'<text x="{LEFT_PX - 4}" y="{TOP_PX + 8}" text-anchor="end" fill="{INK}">{high:.3g}</text>\n'
            f'<text x="{LEFT_PX - 4}" y="{bottom}" text-anchor="end" fill="{INK}">{low:.3g}</text>\n'
            f'<text x="{LEFT_PX + inner_w}" y="{bottom + 14}" text-anchor="end" fill="{INK}">{most:,.0f} samples</text>\n'
            f'<polyline points="{line}" fill="none" stroke="{LINE}" stroke-width="1.5"/>\n</g>\n')
