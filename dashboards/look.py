"""How the pages look around the canvas: dense, dark and calm. Figures and tables are plain HTML, escaped here."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = """
<style>
  .block-container {padding: 4.3rem 1rem 0.4rem 1rem; max-width: none;}
  header[data-testid="stHeader"] {background: #0d1117; border-bottom: 1px solid #222b36;}
  div[data-testid="stVerticalBlock"] {gap: 0.5rem;}
  .rw-facts {color: #8a97a6; font-size: 0.82rem; padding: 0.42rem 0; white-space: nowrap; overflow: hidden;
             text-overflow: ellipsis;}
  .rw-facts b {color: #d5dce5; font-weight: 600;}
  .rw-tiles {display: grid; grid-template-columns: 1fr 1fr; gap: 6px;}
  .rw-tile {background: #10161e; border: 1px solid #222b36; border-radius: 6px; padding: 8px 12px;}
  .rw-tile .rw-label {color: #8a97a6; font-size: 0.74rem;}
  .rw-tile .rw-value {font-size: 1.42rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3;}
  .rw-tile .rw-unit {color: #8a97a6; font-size: 0.78rem; font-weight: 400; margin-left: 3px;}
  .rw-bars {display: flex; align-items: flex-end; gap: 1px; height: 40px; margin-top: 4px;}
  .rw-bar {flex: 1; background: #2aa57e;}
  .rw-table {width: 100%; border-collapse: collapse; font-size: 0.8rem; font-variant-numeric: tabular-nums;}
  .rw-table caption {text-align: left; color: #8a97a6; font-size: 0.74rem; padding: 4px 2px 2px;}
  .rw-table th {color: #8a97a6; font-weight: 500; text-align: right; padding: 1px 6px; border-bottom: 1px solid #222b36;}
  .rw-table td {text-align: right; padding: 2px 6px; line-height: 1.35; border-bottom: 1px solid #1a212b;}
  .rw-table th:first-child, .rw-table td:first-child {text-align: left;}
  .rw-state {font-weight: 600;}
  .rw-ok {color: #2fd9a0;} .rw-late {color: #f5b942;} .rw-silent {color: #ff7b6b;}
</style>
"""


ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#10161e"/>
<path d="M6 26 L14 6 M26 26 L18 6" stroke="#56b4e9" stroke-width="3" stroke-linecap="round"/>
<path d="M6 12 C14 12 18 20 26 20" stroke="#2aeba3" stroke-width="3" fill="none" stroke-linecap="round"/></svg>"""


def page_style() -> None:
    import streamlit as st

    st.html(_STYLE)


def facts_line(facts: Sequence[tuple[str, str]]) -> str:
    """One quiet line of names and values."""
    return '<div class="rw-facts">' + " &nbsp;·&nbsp; ".join(f"{escape(n)} <b>{escape(v)}</b>" for n, v in facts) + "</div>"


def tiles(figures: Sequence[tuple[str, str, str]]) -> str:
    """(label, value, unit) as tiles, two to a row."""
    cells = (f'<div class="rw-tile"><div class="rw-label">{escape(label)}</div><div class="rw-value">{escape(value)}'
             f'<span class="rw-unit">{escape(unit)}</span></div></div>' for label, value, unit in figures)
    return f'<div class="rw-tiles">{"".join(cells)}</div>'


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A small table. A cell that starts with "ok:", "late:" or "silent:" takes that state's colour and sign."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f'<tr>{"".join(f"<td>{_cell(cell)}</td>" for cell in row)}</tr>' for row in rows)
    return (f'<table class="rw-table"><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>")


def bars(label: str, values: Sequence[float], unit: str) -> str:
    """Values from old to new as thin bars over their own range from 0; nothing for fewer than two."""
    if len(values) < 2:
        return ""
    most = max(*values, 1e-9)
    drawn = "".join(f'<div class="rw-bar" style="height:{max(2.0, 100 * value / most):.0f}%"></div>' for value in values)
    return (f'<div class="rw-tile"><div class="rw-label">{escape(label)}: up to {most:,.0f} {escape(unit)}</div>'
            f'<div class="rw-bars">{drawn}</div></div>')


def number(value: float, digits: int = 0) -> str:
    """A figure for a tile: a dash where it is unknown."""
    return "–" if value != value else f"{value:,.{digits}f}"


_SIGNS = {"ok": "●", "late": "◐", "silent": "○"}  # told apart without colour too


def _cell(text: str) -> str:
    state, _, rest = text.partition(":")
    if state in _SIGNS and rest:
        return f'<span class="rw-state rw-{state}">{_SIGNS[state]} {escape(rest)}</span>'
    return escape(text)
