"""Commands that judge: scores of drives, and the gate. Heavy libraries are imported where they are used."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.arguments import Json

if TYPE_CHECKING:
    from data_specs.results import RunResult
    from replay.evaluate import Scoring

app = typer.Typer(no_args_is_help=True)


@app.command()
def evaluate(drives: Annotated[list[Path], typer.Argument(help="Drives: folders with a drive.json.")],
             protocol: Annotated[str, typer.Option(
                 help="nuscenes, tracking, kitti, cooperative, dair-v2x, calibration, conflict or messages")] = "nuscenes",
             out: Annotated[Path | None, typer.Option(help="Folder to keep each drive's results in, for the gate.")] = None,
             shard: Annotated[str | None, typer.Option(help="i/n: score only every n-th drive, from the i-th on.")] = None,
             workers: Annotated[int, typer.Option(min=1, help="How many processes score drives, with --out.")] = 1,
             engine: Annotated[str, typer.Option(help="processes, or ray: RAY_ADDRESS' cluster or a local one.")] = "processes",
             slices: Annotated[bool, typer.Option("--slices", help="Show AP and recall by range, speed, who sees, age of V2X, "
                                                  "weather, scenario and area.")] = False,
             topic: Annotated[str, typer.Option(
                 help="What nuscenes or tracking scores, if not vehicle.objects or fused.tracks.")] = "",
             read_results: Annotated[Path | None, typer.Option(
                 help="Score these in place of vehicle.objects: nuScenes results JSON, or a folder of KITTI txt files.")] = None,
             write_results: Annotated[Path | None, typer.Option(
                 help="Also write the detections for other evaluators: KITTI txt files, or nuScenes JSON.")] = None,
             as_json: Json = False) -> None:
    """Score drives' detections and tracks against their truth: one at once, or many into a folder of results."""
    from replay.console import print_json, say
    from replay.evaluate import Scoring, drive_result, left_out, open_scored, sliced
    from replay.evaluate import evaluate as evaluated

    scoring = Scoring(protocol, topic, read_results.resolve() if read_results else None)
    if out is not None:
        if write_results is not None:
            raise typer.BadParameter("results for other evaluators are written of one drive, without --out",
                                     param_hint="--write-results")
        if slices and shard:
            raise typer.BadParameter("slices are of all drives: merge the shards and gate them", param_hint="--slices")
        _evaluate_into(drives, scoring, out, shard, workers, engine, slices, as_json)
        return
    if len(drives) > 1 or shard or workers > 1 or engine != "processes":
        raise typer.BadParameter("several drives, shards, workers and engines go into a folder", param_hint="--out")
    drive = open_scored(drives[0], scoring)
    result = evaluated(drive, protocol, write_results, topic)
    if note := left_out(drive, protocol):
        say(note)
    if slices:
        result = sliced([drive_result(drives[0], scoring)])
    print_json(result.to_json()) if as_json else _show_scores(f"{protocol}: {drives[0]}", result)


def _evaluate_into(drives: list[Path], scoring: Scoring, out: Path, shard: str | None, workers: int, engine: str, slices: bool,
                   as_json: bool) -> None:
    from replay.console import print_json, print_table, say
    from replay.evaluate import sliced
    from replay.results_folder import Shard, read_results
    from replay.score_many import evaluate_into

    done = evaluate_into(drives, scoring, out, Shard.parse(shard) if shard else None, workers, engine)
    result = sliced(read_results(out)) if slices and done.drives else None
    for note in done.notes:
        say(note)
    if as_json:
        scores = {"slices": result.to_json()["scores"]} if result else {}
        print_json({"out": str(out), "drives": done.drives, "failed": dict(done.failed), **scores})
    else:
        print_table(f"{out}", ["drive"], [[one] for one in done.drives])
        if result:
            _show_scores(f"{scoring.protocol}: {len(done.drives)} drives", result)
    done.require_all()


def _show_scores(title: str, result: RunResult) -> None:
    from replay.console import print_table
    from replay.evaluate import score_tables

    whole, slices = score_tables(result)
    if whole:
        print_table(title, *whole)
    if slices:
        print_table("" if whole else title, *slices)


@app.command()
def gain(drives: Annotated[list[Path], typer.Argument(help="Drives with truth, vehicle.objects and fused.tracks.")],
         rounds: Annotated[int, typer.Option(min=100, help="How many draws of drives.")] = 1000, as_json: Json = False) -> None:
    """Tell what V2X adds: fused minus vehicle alone, with 95 % intervals over drives."""
    from replay.console import print_json, print_table
    from replay.metrics.v2x_gain import v2x_gain
    from replay.recorded import open_drive

    result = v2x_gain([open_drive(path) for path in drives], rounds)
    if as_json:
        print_json(result.to_json())
        return
    rows = [[one.name, one.slice, one.value, *(one.interval or (float("nan"),) * 2), one.count] for one in result.scores]
    print_table(f"{len(drives)} drives", ["score", "of", "value", "low", "high", "truths"], rows)


@app.command()
def merge(results: Annotated[list[Path], typer.Argument(help="Folders that evaluate --shard wrote.")],
          out: Annotated[Path, typer.Option(help="The folder to make.")], as_json: Json = False) -> None:
    """Gather the results of shards in one folder."""
    from replay.console import print_json, print_table
    from replay.results_folder import merge_results

    ids = [one.drive_id for one in merge_results(results, out)]
    print_json({"out": str(out), "drives": ids}) if as_json else print_table(f"{out}", ["drive"], [[one] for one in ids])


@app.command()
def gate(results: Annotated[Path, typer.Argument(help="A folder of results.")],
         baseline: Annotated[Path, typer.Option(help="A baseline's JSON, or another folder of results.")],
         max_drop: Annotated[list[str] | None, typer.Option(help="NAME:DROP or NAME@SLICE:DROP, such as mAP:0.005.")] = None,
         strict: Annotated[bool, typer.Option("--strict", help="A pass must be certain, and slices count too.")] = False,
         rounds: Annotated[int, typer.Option(min=100, help="How many draws of drives.")] = 1000,
         junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
         markdown: Annotated[Path | None, typer.Option(help="Write Markdown for a pull request.")] = None,
         html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
         dashboard: Annotated[str, typer.Option(help="Where the page's links to moments lead.")] = "http://127.0.0.1:8501",
         write_baseline: Annotated[bool, typer.Option("--write-baseline", help="Make the results the baseline.")] = False,
         as_json: Json = False) -> None:
    """Compare results with a baseline. Exit code 0: pass, 1: fail, 2: bad input, 3: cannot tell."""
    from replay import results_folder
    from replay.console import print_json
    from replay.gate import EXIT_CODES, Limit, judge
    from replay.report_text import junit_xml, markdown_page, show, to_json

    run = results_folder.read_results(results)
    if write_baseline:
        results_folder.write_baseline(baseline, run)
        print_json({"baseline": str(baseline), "drives": len(run)}) if as_json else print(f"{baseline}: {len(run)} drives")
        return
    if not max_drop:
        raise typer.BadParameter("at least one score to hold, such as mAP:0.005", param_hint="--max-drop")
    before = results_folder.read_results(baseline)
    said = judge(run, before, [Limit.parse(text) for text in max_drop], strict, rounds)
    if junit:
        results_folder.put_file(junit, junit_xml(said).encode())
    if markdown:
        results_folder.put_file(markdown, markdown_page(said).encode())
    if html:
        from replay.report import html_page

        results_folder.put_file(html, html_page(said, run, before, dashboard).encode())
    print_json(to_json(said)) if as_json else show(said)
    raise typer.Exit(EXIT_CODES[said.verdict])
