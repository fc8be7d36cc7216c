"""A comparison as people and programs read it: tables, JSON, Markdown with links, and a Parquet file of every change."""
from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from replay.compare import CHANGES, Comparison, Fates, Judged, tally
from replay.metrics.outcomes import BY_EGO, BY_NOBODY, BY_RSU_ALONE, NOT_SAID
from replay.metrics.slices import RANGES_M, SEEN_BY, span_name

COLUMNS = ("truths", "found_a", "found_b", "lost", "gained", "false_a", "false_b", "new_false", "gone_false")
SEEN = {NOT_SAID: "", BY_EGO: "ego", BY_RSU_ALONE: "rsu", BY_NOBODY: "nobody"}
TRACK_COLUMNS = ("track_id", "class", "moments", "found_a", "found_b")
SHOWN = 15  # moments and tracks that people are shown; files hold all


def moment_link(dashboard: str, drive: Judged, time_ns: int) -> str:
    """Where the Drive page of a dashboard shows a moment. Up to the next millisecond: the page shows what is not later."""
    seconds = max(math.ceil((time_ns - drive.start_ns) / 1e6), 0) / 1e3
    return f"{dashboard.rstrip('/')}/drive?drive={quote(drive.folder)}&t={seconds:.3f}"


def slices(fates: Fates) -> Iterator[tuple[str, dict[str, int]]]:
    """Counts of all rows, of each class, of spans of range, and of truths by who sees them; slices without a row are left out."""
    parts = [("all", np.ones(len(fates), bool))]
    parts += [(cls.title, fates.label == cls) for cls in ObjectClass]
    parts += [(span_name("range", low, high, "m"), (fates.range_m >= low) & (fates.range_m < high)) for low, high in RANGES_M]
    parts += [(name, fates.is_truth & (fates.seen_by == code)) for name, code in SEEN_BY.items()]
    for name, mask in parts:
        if name == "all" or mask.any():
            yield name, tally(fates[mask])


def moments(compared: Comparison, dashboard: str) -> list[dict[str, Any]]:
    """Every moment with a change, the one that B made worst first: what was lost and is newly false counts against it."""
    rows = []
    for drive, (changed, changes) in _by_drive(compared):
        for time_ns in np.unique(changed.time_ns):
            counts = {name: int(mask[changed.time_ns == time_ns].sum()) for name, mask in changes.items()}
            rows.append({"drive": drive.drive_id, "at_s": (int(time_ns) - drive.start_ns) / 1e9, **counts,
                         "link": moment_link(dashboard, drive, int(time_ns))})
    return sorted(rows, key=lambda row: (row["gained"] + row["gone_false"] - row["lost"] - row["new_false"], row["drive"],
                                         row["at_s"]))


def tracks(compared: Comparison, dashboard: str) -> list[dict[str, Any]]:
    """Every true object that a run found at moments when the other did not, the one that B lost most often first.

    Objects without an identity are left out.
    """
    rows = []
    for place, drive in enumerate(compared.drives):
        own = compared.fates[(compared.fates.drive == place) & compared.fates.is_truth & (compared.fates.track_id >= 0)]
        changes = own.changes()
        rows += [_track(drive, own[own.track_id == one], int(one), dashboard)
                 for one in np.unique(own.track_id[changes["lost"] | changes["gained"]])]
    return sorted(rows, key=lambda row: (row["gained"] - row["lost"], row["drive"], row["track_id"]))


def to_json(compared: Comparison, a: str, b: str, dashboard: str) -> dict[str, Any]:
    """Plain values: what was compared, counts by slice, and every moment and track with a change."""
    return {"a": a, "b": b, "drives": [one.drive_id for one in compared.drives], "only_in_a": list(compared.only_a),
            "only_in_b": list(compared.only_b), "least_score": compared.least_score, "notes": notes(compared),
            "slices": dict(slices(compared.fates)), "moments": moments(compared, dashboard),
            "tracks": tracks(compared, dashboard)}


def notes(compared: Comparison) -> list[str]:
    """What a reader of the tables must know, a line each."""
    said = [f"{len(compared.drives)} drives; boxes that score {compared.least_score:g} or more, truths found within 2 m"]
    said += [f"only A has {', '.join(compared.only_a)}"] if compared.only_a else []
    said += [f"only B has {', '.join(compared.only_b)}"] if compared.only_b else []
    for name, run in (("A", compared.runs_a), ("B", compared.drives)):
        silent = sum(one.silent for one in run)
        said += [f"{name} says nothing, not even that there is nothing, at {silent} moments of truth"] if silent else []
    return said


def markdown(compared: Comparison, a: str, b: str, dashboard: str) -> str:
    """The page of a comparison: slices, and the moments and tracks that changed most, with links."""
    lines = [f"# {_plain(a)} (A) and {_plain(b)} (B)", "", *(f"- {_plain(line)}" for line in notes(compared)), ""]
    lines += _table(["slice", *COLUMNS], _slice_rows(compared))
    for title, rows, columns in (("Moments", moments(compared, dashboard), ["drive", *CHANGES]),
                                 ("Tracks", tracks(compared, dashboard), ["drive", *TRACK_COLUMNS])):
        lines += ["", f"## {title}, {len(rows)} with a change", ""]
        lines += _table(["at", *columns], [[f"[{row['at_s']:.2f} s]({row['link']})", *(row[name] for name in columns)]
                                           for row in rows[:SHOWN]])
    return "\n".join(lines) + "\n"


def changes_table(compared: Comparison, dashboard: str) -> pa.Table:
    """A row for each change, by drive and time."""
    rows = []
    for drive, (changed, changes) in _by_drive(compared):
        kind = np.select(list(changes.values()), list(changes), default="")
        for i in np.argsort(changed.time_ns, kind="stable").tolist():
            time_ns = int(changed.time_ns[i])
            rows.append({
                "drive": drive.drive_id, "time_ns": time_ns, "at_s": (time_ns - drive.start_ns) / 1e9, "change": str(kind[i]),
                "class": ObjectClass(int(changed.label[i])).title, "track_id": int(changed.track_id[i]),
                "score_a": float(changed.score_a[i]), "score_b": float(changed.score_b[i]), "range_m": float(changed.range_m[i]),
                "speed_mps": float(changed.speed_mps[i]), "east_of_ego_m": float(changed.xy_m[i, 0]),
                "north_of_ego_m": float(changed.xy_m[i, 1]), "seen_by": SEEN[int(changed.seen_by[i])],
                "link": moment_link(dashboard, drive, time_ns)})
    return pa.Table.from_pylist(rows, schema=SCHEMA)


SCHEMA = pa.schema([("drive", pa.string()), ("time_ns", pa.int64()), ("at_s", pa.float64()), ("change", pa.string()),
                    ("class", pa.string()), ("track_id", pa.int64()), ("score_a", pa.float64()), ("score_b", pa.float64()),
                    ("range_m", pa.float64()), ("speed_mps", pa.float64()), ("east_of_ego_m", pa.float64()),
                    ("north_of_ego_m", pa.float64()), ("seen_by", pa.string()), ("link", pa.string())])


def write_report(out: Path, compared: Comparison, a: str, b: str, dashboard: str) -> None:
    """Make a folder with compare.md, compare.json and changes.parquet; InputError where there is something already."""
    import json

    import pyarrow.parquet as pq

    from replay.results_folder import put_file, require_new

    require_new(out)
    sink = pa.BufferOutputStream()
    pq.write_table(changes_table(compared, dashboard), sink)
    files = {"changes.parquet": sink.getvalue().to_pybytes(), "compare.md": markdown(compared, a, b, dashboard).encode(),
             "compare.json": (json.dumps(to_json(compared, a, b, dashboard), indent=1) + "\n").encode()}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        put_file(out / name, content)


def show(compared: Comparison, a: str, b: str, dashboard: str) -> None:
    """Print the tables."""
    from replay.console import print_table

    print_table(f"{a} (A) and {b} (B)", ["slice", *COLUMNS], _slice_rows(compared), notes(compared))
    there = moments(compared, dashboard)
    if there:
        print_table(f"moments: {len(there)} with a change", ["moment", *CHANGES],
                    [[row["link"], *(row[name] for name in CHANGES)] for row in there[:SHOWN]])
    known = tracks(compared, dashboard)
    if known:
        print_table(f"tracks: {len(known)} with a change", ["first change", *TRACK_COLUMNS],
                    [[row["link"], *(row[name] for name in TRACK_COLUMNS)] for row in known[:SHOWN]])


def _by_drive(compared: Comparison) -> Iterator[tuple[Judged, tuple[Fates, dict[str, Array]]]]:
    """The rows of each drive that changed, and the mask of each kind of change."""
    for place, drive in enumerate(compared.drives):
        own = compared.fates[compared.fates.drive == place]
        changed = own[own.in_a != own.in_b]
        yield drive, (changed, changed.changes())


def _track(drive: Judged, own: Fates, track_id: int, dashboard: str) -> dict[str, Any]:
    changes = own.changes()
    lost, gained = changes["lost"], changes["gained"]
    first_ns = int(own.time_ns[lost | gained].min())
    return {"drive": drive.drive_id, "track_id": track_id, "class": ObjectClass(int(own.label[0])).title, "moments": len(own),
            "found_a": int(own.in_a.sum()), "found_b": int(own.in_b.sum()), "lost": int(lost.sum()), "gained": int(gained.sum()),
            "nearest_m": float(own.range_m.min()), "at_s": (first_ns - drive.start_ns) / 1e9,
            "link": moment_link(dashboard, drive, first_ns)}


def _slice_rows(compared: Comparison) -> list[list[Any]]:
    return [[name, *(counts[column] for column in COLUMNS)] for name, counts in slices(compared.fates)]


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return lines + ["| " + " | ".join(_plain(str(cell)) for cell in row) + " |" for row in rows]


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
