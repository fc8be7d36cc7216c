"""`roadweave search`: moments in drives. Heavy libraries are imported where they are used."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.arguments import Json

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(no_args_is_help=True)
_SHOWN_COLUMNS = ("drive", "from_s", "to_s", "what", "track_id", "quantity", "least", "most", "link")


@app.command()
def search(words: Annotated[list[str], typer.Argument(metavar="PHRASE DRIVES...", help=(
               "A phrase such as 'pedestrian within 2 m of ego and ttc < 1.5' (none with --sql), then drives or folders."))],
           sql: Annotated[str, typer.Option(help="SQL over objects, messages, ego, events, drives, in place of a phrase.")] = "",
           explain: Annotated[bool, typer.Option("--explain", help="Print the SQL of the phrase and stop.")] = False,
           limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 50,
           out: Annotated[Path | None, typer.Option(help="Write all rows to this Parquet file.")] = None,
           skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Exit 0 although drives could not be read.")] = False,
           as_json: Json = False) -> None:
    """Find moments in drives: of one, many, or a folder of thousands. Grammar and columns: data_specs/search.md."""
    from replay.console import print_json, print_table, progress, say
    from replay.search import ask, candidates
    from replay.search_index import gather, require_any
    from replay.search_phrase import read_phrase
    from replay.search_sql import moments_sql

    phrase, drives = ("", words) if sql else (words[0], words[1:])
    asked = None if sql else read_phrase(phrase)
    statement = sql if asked is None else moments_sql(asked)
    if explain:
        print_json({"sql": statement}) if as_json else print(statement)
        return
    if not drives:
        raise typer.BadParameter("at least one drive, or a folder of drives, after the phrase", param_hint="DRIVES")
    searched = gather([Path(one) for one in drives], lambda paths: progress(paths, "reading drives"))
    require_any(searched)
    read = searched if asked is None else candidates(searched, asked)
    found = ask(read, statement)
    if out is not None:
        _write(found, out)
    shown = found.slice(0, limit)
    if as_json:
        print_json({"drives": len(searched.drives), "read": len(read.drives), "rows": found.num_rows, "found": shown.to_pylist(),
                    "skipped": [{"drive": str(path), "error": str(error)} for path, error in searched.skipped]})
    else:
        columns = shown.column_names if sql else list(_SHOWN_COLUMNS)
        what = "rows" if sql else "moments"
        notes = [f"{found.num_rows:,} {what}; {len(read.drives):,} of {len(searched.drives):,} drives read"
                 + (f", the first {limit} shown" if found.num_rows > limit else "")]
        print_table(sql or phrase, columns, zip(*(shown[name].to_pylist() for name in columns)), notes)
    for path, error in searched.skipped:
        say(f"roadweave: skipped {path}: {error}")
    raise typer.Exit(2 if searched.skipped and not skip_bad else 0)


def _write(table: pa.Table, out: Path) -> None:
    import pyarrow.parquet as pq

    part = out.with_name(out.name + ".part")
    pq.write_table(table, part)
    part.replace(out)
