"""Plots as inline SVG: pure functions from arrays to text, with nothing to load. Colours are the page's style classes.

Classes: `run`, `base`, `ideal` (lines), `grid`, `bar`, and `pass`, `fail`, `unclear` (intervals).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from data_specs.arrays import Array

WIDTH_PX, HEIGHT_PX, LEFT_PX, RIGHT_PX, TOP_PX, BELOW_PX = 330, 230, 46, 12, 12, 38
INTERVAL_WIDTH_PX, INTERVAL_HEIGHT_PX = 130, 18


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot: its legend, its style class, and points [n]; those that are NaN are left out."""

    name: str
    style: str
    x: Array
    y: Array
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Axes:
    """What a plot runs over, from nought; points beyond are drawn on its edge."""

    x_title: str
    y_title: str
    x_max: float = 1.0
    y_max: float = 1.0

    def x_px(self, x: Array) -> Array:
        return LEFT_PX + np.clip(np.asarray(x) / self.x_max, 0, 1) * (WIDTH_PX - LEFT_PX - RIGHT_PX)

    def y_px(self, y: Array) -> Array:
        return HEIGHT_PX - BELOW_PX - np.clip(np.asarray(y) / self.y_max, 0, 1) * (HEIGHT_PX - BELOW_PX - TOP_PX)


def rounded_up(value: float) -> float:
    """The least of 1, 2, 5, 10, 20 ... times a power of ten that is not below a value; 1 for 0 and below."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= value * (1 - 1e-9)))


def plot(title: str, axes: Axes, lines: Sequence[Line], bars: Array | None = None) -> str:
    """A figure with its title and legend; `bars` are shares [k] of equal widths over x, drawn behind the lines."""
    body = [*_grid(axes), *_bars(axes, bars if bars is not None else np.zeros(0)), *(_drawn(axes, line) for line in lines)]
    legend = "".join(f'<span class="{line.style}">{escape(line.name)}</span>' for line in lines)
    return (f'<figure><figcaption><b>{escape(title)}</b><span class="legend">{legend}</span></figcaption>'
            f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" aria-label="{escape(title)}">{"".join(body)}</svg></figure>')


def interval(low: float, middle: float, high: float, limit: float, reach: float, style: str) -> str:
    """A value and its interval on a line from -reach to reach, with marks at nought and at the limit."""
    centre_px, half_px = INTERVAL_HEIGHT_PX / 2, INTERVAL_WIDTH_PX / 2 - 6
    zero, at_limit, a, b, c = (INTERVAL_WIDTH_PX / 2 + half_px * np.clip(np.nan_to_num(value) / (reach or 1.0), -1, 1)
                               for value in (0.0, limit, low, high, middle))
    known = "" if np.isnan([low, high]).any() else (
        f'<path class="{style}" d="M{a:.1f} {centre_px}H{b:.1f}M{a:.1f} 5v8M{b:.1f} 5v8"/>')
    dot = "" if np.isnan(middle) else f'<circle class="{style}" cx="{c:.1f}" cy="{centre_px}" r="3.2"/>'
    return (f'<svg class="interval" viewBox="0 0 {INTERVAL_WIDTH_PX} {INTERVAL_HEIGHT_PX}" width="{INTERVAL_WIDTH_PX}">'
            f'<path class="grid" d="M{zero:.1f} 0V{INTERVAL_HEIGHT_PX}"/>'
            f'<path class="limit" d="M{at_limit:.1f} 0V{INTERVAL_HEIGHT_PX}"/>{known}{dot}</svg>')


def _grid(axes: Axes) -> list[str]:
    parts = []
    for share in np.linspace(0, 1, 6):
        x, y = axes.x_px(share * axes.x_max), axes.y_px(share * axes.y_max)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP_PX}V{HEIGHT_PX - BELOW_PX}M{LEFT_PX} {y:.1f}H{WIDTH_PX - RIGHT_PX}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT_PX - BELOW_PX + 14}" text-anchor="middle">{share * axes.x_max:g}</text>')
        parts.append(f'<text x="{LEFT_PX - 6}" y="{y + 3.5:.1f}" text-anchor="end">{share * axes.y_max:.2g}</text>')
    middle_px = (LEFT_PX + WIDTH_PX - RIGHT_PX) / 2
    parts.append(f'<text class="axis" x="{middle_px}" y="{HEIGHT_PX - 6}" text-anchor="middle">{escape(axes.x_title)}</text>')
    parts.append(f'<text class="axis" transform="translate(12 {(HEIGHT_PX - BELOW_PX + TOP_PX) / 2}) rotate(-90)" '
                 f'text-anchor="middle">{escape(axes.y_title)}</text>')
    return parts


def _bars(axes: Axes, shares: Array) -> list[str]:
    edges_px = axes.x_px(np.linspace(0, axes.x_max, len(shares) + 1))
    tops_px = axes.y_px(shares * axes.y_max)
    return [f'<rect class="bar" x="{a + 1:.1f}" y="{top:.1f}" width="{b - a - 2:.1f}" height="{HEIGHT_PX - BELOW_PX - top:.1f}"/>'
            for a, b, top in zip(edges_px, edges_px[1:], tops_px)]


def _drawn(axes: Axes, line: Line) -> str:
    known = ~(np.isnan(line.x) | np.isnan(line.y))
    places = list(zip(axes.x_px(line.x[known]), axes.y_px(line.y[known])))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places) if line.dots else ""
    return f'<polyline class="{line.style}" points="{points}"/>{dots}'
