"""What a gate says, as text: a table, JSON, JUnit XML for CI, and Markdown for a pull request."""
from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from replay.console import print_table
from replay.gate import FAIL, PASS, UNCLEAR, Compared, Judgement

MARKDOWN_LIMIT = 64_000  # octets; GitHub cuts a comment at 65,536 characters
WORDS = {PASS: "pass", FAIL: "FAIL", UNCLEAR: "cannot tell"}
COLUMNS = ["score", "slice", "baseline", "run", "drop", "95 % interval", "p (Holm)", "allowed", "count", "verdict"]


def cells(row: Compared) -> list[str]:
    """A comparison as COLUMNS."""
    interval = "-" if row.low != row.low else f"{row.low:+.4f} to {row.high:+.4f}"
    return [row.score.name, row.score.slice, _number(row.baseline, ".4f"), _number(row.score.value, ".4f"),
            _number(row.drop, "+.4f"), interval, _number(row.p_holm, ".2g"), f"{row.allowed:g}", f"{row.score.count:,}",
            WORDS[row.verdict] + ("" if row.gated else " (slice)")]


def show(said: Judgement) -> None:
    """Print the table and the reasons."""
    print_table(f"gate: {WORDS[said.verdict]}", COLUMNS, [cells(row) for row in said.rows], said.reasons)


def to_json(said: Judgement) -> dict[str, Any]:
    """Plain values: verdict, drives, reasons, and a row a comparison."""
    rows = [{"name": row.score.name, "slice": row.score.slice, "baseline": row.baseline, "value": row.score.value,
             "drop": row.drop, "interval": [row.low, row.high], "p": row.p, "p_holm": row.p_holm, "allowed": row.allowed,
             "count": row.score.count, "drives": row.drives, "gated": row.gated, "verdict": row.verdict} for row in said.rows]
    return {"verdict": said.verdict, "strict": said.strict, "protocol": said.protocol, "drives": list(said.drives),
            "reasons": list(said.reasons), "rows": rows}


def junit_xml(said: Judgement) -> str:
    """A test case a comparison: a slice that fails counts only where the gate is strict; what cannot be told is skipped."""
    suite = ElementTree.Element("testsuite", name="roadweave gate", tests=str(len(said.rows)))
    counts = {"failures": 0, "skipped": 0}
    for row in said.rows:
        case = ElementTree.SubElement(suite, "testcase", classname=f"gate.{said.protocol}",
                                      name=f"{row.score.name} {row.score.slice}")
        text = ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS[2:], cells(row)[2:]))
        counted = row.gated or said.strict
        if row.verdict == FAIL and counted:
            ElementTree.SubElement(case, "failure", message=text)
            counts["failures"] += 1
        elif row.verdict != PASS:
            ElementTree.SubElement(case, "skipped", message=text)
            counts["skipped"] += 1
    for name, count in counts.items():
        suite.set(name, str(count))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def markdown_page(said: Judgement) -> str:
    """The verdict, the reasons and as many rows as fit into MARKDOWN_LIMIT octets."""
    head = [f"### Gate: {WORDS[said.verdict]}", "", f"{len(said.drives)} drives, protocol {_plain(said.protocol)}"
            + (", strict" if said.strict else "") + ".", ""]
    reasons = _fitting([f"- {_plain(reason)}" for reason in said.reasons], MARKDOWN_LIMIT // 4, "- {} more reasons.")
    table = ["", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    rows = ["| " + " | ".join(_plain(cell) for cell in cells(row)) + " |" for row in said.rows]
    left = MARKDOWN_LIMIT - len("\n".join([*head, *reasons, *table]).encode()) - 2
    return "\n".join([*head, *reasons, *table, *_fitting(rows, left, "\n{} more rows are in the HTML report.")]) + "\n"


def _fitting(lines: list[str], octets: int, rest: str) -> list[str]:
    """As many of the lines as fit, each with its end; `rest` tells how many do not."""
    sizes = [len(line.encode()) + 1 for line in lines]
    if sum(sizes) <= octets:
        return lines
    kept, size = 0, len(rest) + 10
    while size + sizes[kept] <= octets:
        size += sizes[kept]
        kept += 1
    return [*lines[:kept], rest.format(len(lines) - kept)]


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
