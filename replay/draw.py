"""Plots as inline SVG: pure functions from arrays to text, with nothing to load. Axes run over what the caller says."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from data_specs.arrays import Array

WIDTH_PX, HEIGHT_PX, LEFT_PX, BELOW_PX = 300, 210, 44, 34
COLOURS = ("#1f6feb", "#999999", "#d4351c")

Line = tuple[str, Array, Array]  # name, x [n], y [n]


def plot(title: str, lines: Sequence[Line], x_title: str, y_title: str, x_max: float = 1.0, y_max: float = 1.0) -> str:
    """Lines from 0 to x_max and y_max; points that are NaN are left out, those beyond an axis are drawn on it."""
    body = [_frame(title, x_title, y_title, x_max, y_max)]
    for i, (name, x, y) in enumerate(lines):
        known = ~(np.isnan(x) | np.isnan(y))
        across = LEFT_PX + np.clip(x[known] / x_max, 0, 1) * (WIDTH_PX - LEFT_PX - 10)
        up = HEIGHT_PX - BELOW_PX - np.clip(y[known] / y_max, 0, 1) * (HEIGHT_PX - BELOW_PX - 24)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up))
        colour = COLOURS[i % len(COLOURS)]
        body.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        body.append(f'<text x="{WIDTH_PX - 12}" y="{36 + 13 * i}" fill="{colour}" text-anchor="end">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" width="{WIDTH_PX}" role="img">{"".join(body)}</svg>'


def _frame(title: str, x_title: str, y_title: str, x_max: float, y_max: float) -> str:
    right, base = WIDTH_PX - 10, HEIGHT_PX - BELOW_PX
    return (f'<text x="{LEFT_PX}" y="14" font-weight="bold">{escape(title)}</text>'
            f'<path d="M{LEFT_PX} 24V{base}H{right}" fill="none" stroke="#888"/>'
            f'<text x="{LEFT_PX}" y="{base + 13}">0</text><text x="{right}" y="{base + 13}" text-anchor="end">{x_max:g}</text>'
            f'<text x="{(LEFT_PX + right) // 2}" y="{base + 27}" text-anchor="middle">{escape(x_title)}</text>'
            f'<text x="{LEFT_PX - 4}" y="{base}" text-anchor="end">0</text>'
            f'<text x="{LEFT_PX - 4}" y="32" text-anchor="end">{y_max:g}</text>'
            f'<text transform="translate(12 {base // 2 + 12}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>')
