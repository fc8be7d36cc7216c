"""The command `compare`: two runs over the same drives, box by box."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import Json

app = typer.Typer(no_args_is_help=True)
SIDE = "a drive, a folder of drives, or a folder of results (or a baseline) that evaluate made."


@app.command()
def compare(a: Annotated[Path, typer.Argument(help=f"The run of before: {SIDE}")],
            b: Annotated[Path, typer.Argument(help=f"The run of now: {SIDE}")],
            topic: Annotated[str, typer.Option(help="Whose boxes: of A, and of B too.")] = "vehicle.objects",
            topic_b: Annotated[str, typer.Option(help="Whose boxes of B, if another source: fused.tracks ...")] = "",
            against: Annotated[str, typer.Option(help="What both are held against: truth, or another topic.")] = "truth",
            min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Boxes that score less are not said.")] = 0.3,
            dashboard: Annotated[str, typer.Option(help="Where links to moments lead.")] = "http://127.0.0.1:8501",
            out: Annotated[Path | None, typer.Option(help="Folder to make: compare.md, compare.json, changes.parquet.")] = None,
            as_json: Json = False) -> None:
    """Tell which truths B lost or gained against A and which of its false boxes are new: by class, range, moment and track.

    Runs are matched by drive id; two sources of one drive are compared with --topic and --topic-b.
    """
    from replay.compare import compare as compared_runs
    from replay.compare_report import show, to_json, write_report
    from replay.compare_sources import read_side
    from replay.console import print_json

    theirs = topic_b or topic
    name_a, name_b = (str(a), str(b)) if theirs == topic else (f"{a}: {topic}", f"{b}: {theirs}")
    compared = compared_runs(read_side(a, topic, against), read_side(b, theirs, against), min_score)
    if out is not None:
        write_report(out, compared, name_a, name_b, dashboard)
    if as_json:
        print_json(to_json(compared, name_a, name_b, dashboard))
    else:
        show(compared, name_a, name_b, dashboard)
