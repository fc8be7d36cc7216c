"""Searching drives: by a phrase, which gives moments, or by SQL, which gives whatever it selects.

    from replay.search import search
    search([Path("drives")], "pedestrian within 2 m of ego and ttc < 1.5").to_pandas()
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from data_specs.errors import InputError, MissingExtra
from replay.search_index import Searched, gather, require_any
from replay.search_phrase import compile_phrase
from replay.search_tables import TABLES

JOIN_S = 0.6  # hits of one thing that follow within this time are one moment


def search(paths: Sequence[Path], phrase: str) -> pa.Table:
    """The moments at which a phrase holds: see `moments`. SpecError shows what of the phrase cannot be read."""
    sql = compile_phrase(phrase)
    return moments(ask(gather(paths), sql))


def ask(searched: Searched, sql: str) -> pa.Table:
    """What DuckDB answers over the tables objects, messages, ego and drives. InputError for SQL that it refuses."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise MissingExtra("searching drives", "search") from error
    require_any(searched)
    with duckdb.connect(":memory:") as base:
        base.execute("SET enable_progress_bar = false")
        base.register("drives", pa.Table.from_pylist([dict(one.row) for one in searched.drives]))
        for kind in TABLES:
            _provide(base, kind, [one.tables[kind] for one in searched.drives])
        try:
            answer = base.sql(sql)
        except duckdb.Error as error:
            raise InputError("--sql", str(error), "SQL over objects, messages, ego and drives") from error
        if answer is None:
            raise InputError("--sql", "a statement that gives no rows", "a SELECT over objects, messages, ego and drives")
        return answer.to_arrow_table()


def _provide(base: Any, kind: str, tables: Sequence[pa.Table | Path]) -> None:
    parts = []
    files = [str(table) for table in tables if isinstance(table, Path)]
    held = [table for table in tables if isinstance(table, pa.Table)]
    if files:
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        parts.append(f"SELECT * FROM read_parquet([{listed}])")
    if held:
        base.register(f"{kind}_in_memory", pa.concat_tables(held, promote_options="default").unify_dictionaries())
        parts.append(f"SELECT * FROM {kind}_in_memory")
    base.execute(f"CREATE VIEW {kind} AS " + " UNION ALL BY NAME ".join(parts))


MOMENTS = pa.schema([
    ("drive", pa.string()), ("from_s", pa.float64()), ("to_s", pa.float64()), ("from_ns", pa.int64()), ("what", pa.string()),
    ("track_id", pa.int64()), ("quantity", pa.string()), ("least", pa.float64()), ("most", pa.float64()), ("hits", pa.int64()),
    ("link", pa.string()),
])


def moments(hits: pa.Table) -> pa.Table:
    """Hits of one thing, in one drive, that follow one another joined into moments, in order of drive and time.

    Columns: drive, from_s and to_s in the drive, from_ns, what, track_id, the quantity compared first with its least and most
    value, hits, and the link of the Drive page there.
    """
    if not hits.num_rows:
        return MOMENTS.empty_table()
    drive, what = (np.array(hits[name].to_pylist(), object) for name in ("drive", "what"))
    time_s, lasts_s, track, value = (hits[name].to_numpy() for name in ("t_s", "lasts_s", "track_id", "value"))
    who = np.unique([f"{one}\0{name}\0{number}" for one, name, number in zip(drive, what, track)], return_inverse=True)[1]
    order = np.lexsort((time_s, who))
    apart = (np.diff(who[order]) != 0) | (np.diff(time_s[order]) > JOIN_S)
    rows = []
    for own in np.split(order, np.flatnonzero(apart) + 1):
        first, known = own[0], value[own][~np.isnan(value[own].astype(float))]
        least, most = (float(known.min()), float(known.max())) if len(known) else (float("nan"), float("nan"))
        rows.append((drive[first], time_s[first], float((time_s[own] + lasts_s[own]).max()), hits["time_ns"][int(first)].as_py(),
                     what[first], int(track[first]), hits["quantity"][int(first)].as_py(), least, most, len(own),
                     f"/drive?drive={quote(str(drive[first]))}&t={time_s[first]:.2f}"))
    rows.sort(key=lambda row: (row[0], row[1], row[4], row[5]))
    return pa.table([pa.array(column, kind.type) for column, kind in zip(zip(*rows), MOMENTS)], schema=MOMENTS)

