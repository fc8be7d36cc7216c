"""Searching drives: by a phrase, which gives moments, or by SQL, which gives whatever it selects.

    from replay.search import search
    search([Path("drives")], "pedestrian within 2 m of ego and ttc < 1.5").to_pandas()
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_specs.errors import InputError, MissingExtra
from replay.search_index import DRIVES, Searched, SearchedDrive, gather, require_any
from replay.search_phrase import Phrase, read_phrase
from replay.search_sql import candidates_sql, moments_sql
from replay.search_tables import EGO, EVENTS, MESSAGES, OBJECTS

_SCHEMAS = {"objects": OBJECTS, "messages": MESSAGES, "ego": EGO, "events": EVENTS}
_TABLES = "objects, messages, ego, events and drives"


def search(paths: Sequence[str | Path] | str | Path, phrase: str) -> pa.Table:
    """The moments at which a phrase holds in drives, or folders of drives; columns: MOMENT_COLUMNS of search_sql.py.

    SpecError points at what of the phrase cannot be read; InputError names the first drive that cannot be.
    """
    asked = read_phrase(phrase)
    searched = gather([Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)])
    if searched.skipped:
        raise searched.skipped[0][1]
    return find(searched, asked)


def find(searched: Searched, phrase: Phrase) -> pa.Table:
    """The moments of a phrase; only tables of drives whose summaries allow for some are read."""
    return ask(candidates(searched, phrase), moments_sql(phrase))


def candidates(searched: Searched, phrase: Phrase) -> Searched:
    """The drives that may hold moments of a phrase."""
    require_any(searched)
    with _database() as base:
        _provide_drives(base, searched.drives)
        names = set(base.sql(candidates_sql(phrase)).to_arrow_table()["drive"].to_pylist())
    return Searched([one for one in searched.drives if one.row["drive"][0].as_py() in names], searched.skipped)


def ask(searched: Searched, sql: str) -> pa.Table:
    """What DuckDB answers over the tables objects, messages, ego, events and drives. InputError for SQL that it refuses."""
    import duckdb

    with _database() as base:
        _provide_drives(base, searched.drives)
        for kind, schema in _SCHEMAS.items():
            _provide(base, kind, schema, [one.tables[kind] for one in searched.drives])
        try:
            answer = base.sql(sql)
            if answer is None:
                raise InputError("--sql", "a statement that gives no rows", f"a SELECT over {_TABLES}")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise InputError("--sql", str(error), f"SQL over {_TABLES}") from error


def _database() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise MissingExtra("searching drives", "search") from error
    base = duckdb.connect(":memory:")
    base.execute("SET enable_progress_bar = false")
    return base


def _provide_drives(base: Any, drives: Sequence[SearchedDrive]) -> None:
    rows = pa.concat_tables([DRIVES.empty_table(), *(one.row for one in drives)])
    base.register("all_drives", rows.append_column("path", pa.array([str(one.path) for one in drives], pa.string())))
    base.execute("CREATE VIEW drives AS SELECT * EXCLUDE (summary) FROM all_drives")
    base.execute("CREATE VIEW summaries AS SELECT drive, unnest(summary, max_depth := 2) FROM all_drives")


def _provide(base: Any, kind: str, schema: pa.Schema, tables: Sequence[pa.Table | Path]) -> None:
    """A view over a table of all drives: Parquet files are left to DuckDB, which reads the columns and rows that it needs."""
    files = ", ".join("'" + str(table).replace("'", "''") + "'" for table in tables if isinstance(table, Path))
    held: list[Any] = [table.cast(_with_drive(schema)) for table in tables if not isinstance(table, Path)]
    base.register(f"{kind}_in_memory", pa.concat_tables([_with_drive(schema).empty_table(), *held]))
    parts = [f"SELECT * FROM {kind}_in_memory", *([f"SELECT * FROM read_parquet([{files}])"] if files else [])]
    base.execute(f"CREATE VIEW {kind} AS " + " UNION ALL BY NAME ".join(parts))


def _with_drive(schema: pa.Schema) -> pa.Schema:
    return pa.schema([("drive", pa.string()), *schema])
