"""Commands of the replay floor: drives, their repair, their scores, the gate. Heavy libraries are imported where used."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)
import_app = typer.Typer(no_args_is_help=True, help="Make a drive from a foreign recording.")

Source = Annotated[Path, typer.Argument(help="The recording: a folder or file.")]
Target = Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")]
DrivePath = Annotated[Path, typer.Argument(help="A drive: a folder with a drive.json.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the drive that is there.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")]


@import_app.command("nuscenes")
def import_nuscenes(source: Source, drive: Target, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """nuScenes: an mmdet3d info-v2 pickle (or the folder that holds it) with its sensor files."""
    from replay.importers.nuscenes import NuScenesImporter
    from replay.recorder import import_drive

    show_info(import_drive(NuScenesImporter(source), drive, overwrite), drive, as_json)


@import_app.command("kitti")
def import_kitti(source: Source, drive: Target, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """KITTI object detection: a folder with velodyne, calib and, where there are any, label_2 and image_2."""
    from replay.importers.kitti import KittiImporter
    from replay.recorder import import_drive

    show_info(import_drive(KittiImporter(source), drive, overwrite), drive, as_json)


@import_app.command("dair-v2x")
def import_dair_v2x(source: Source, drive: Target, apply_offset: Annotated[bool, typer.Option(
        "--apply-offset", help="Apply the data set's system_error_offset to the roadside pose.")] = False,
        overwrite: Overwrite = False, as_json: Json = False) -> None:
    """DAIR-V2X-C: vehicle-side, infrastructure-side and cooperative folders."""
    from replay.importers.dair_v2x import DairV2xImporter
    from replay.recorder import import_drive

    show_info(import_drive(DairV2xImporter(source, apply_offset=apply_offset), drive, overwrite), drive, as_json)


@app.command()
def info(drive: DrivePath, as_json: Json = False) -> None:
    """Tell what is in a drive."""
    from replay.recorded import open_drive

    show_info(open_drive(drive).info, drive, as_json)


@app.command()
def simulate(drive: Target, scenario: Annotated[str, typer.Option(help="Which scenario.")] = "crossing",
             seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
             seconds: Annotated[float, typer.Option(min=0.1, help="How long the drive is.")] = 20.0,
             overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Simulate a drive through a crossing, with sensors and truth."""
    from replay.recorder import import_drive
    from replay.simulate import simulate as simulated

    show_info(import_drive(simulated(scenario, seed, seconds), drive, overwrite), drive, as_json)


@app.command()
def repair(drive: DrivePath, as_json: Json = False) -> None:
    """Close a drive whose recorder was killed, and tell what was lost."""
    from replay.console import print_json, print_table
    from replay.repair import repair_drive

    report = repair_drive(drive)
    if as_json:
        print_json(report.to_json())
    elif report.repaired:
        print_table(f"{drive}: closed", ["file", "events kept", "octets", "dropped", "time lost", "why"], report.rows(), [
            f"{sum(report.kept.values()):,} events kept, at least {report.lost_at_least:,} lost; what was in memory then left no",
            "octets: up to a chunk of 1 MiB of sensor data, and 15 records a journal"])
    else:
        print_table(f"{drive}: whole, nothing to repair", ["topic", "events"], sorted(report.kept.items()))


@app.command()
def evaluate(drives: Annotated[list[Path], typer.Argument(help="Drives: folders with a drive.json.")],
             protocol: Annotated[str, typer.Option(help="nuscenes, tracking, kitti or cooperative")] = "nuscenes",
             out: Annotated[Path | None, typer.Option(help="Folder to keep each drive's results in, for the gate.")] = None,
             shard: Annotated[str | None, typer.Option(help="i/n: score only every n-th drive, from the i-th on.")] = None,
             write_results: Annotated[Path | None, typer.Option(
                 help="Also write the detections for other evaluators: KITTI txt files, or nuScenes JSON.")] = None,
             as_json: Json = False) -> None:
    """Score drives' detections and tracks against their truth: one at once, or many into a folder of results."""
    from replay.console import print_json, print_table
    from replay.evaluate import evaluate as evaluated
    from replay.evaluate import evaluate_into, score_tables
    from replay.recorded import open_drive

    if out is not None:
        if write_results is not None:
            raise typer.BadParameter("results for other evaluators are written of one drive, without --out",
                                     param_hint="--write-results")
        from replay.results_folder import Shard

        done = evaluate_into(drives, protocol, out, Shard.parse(shard) if shard else None)
        print_json({"out": str(out), "drives": done}) if as_json else print_table(f"{out}", ["drive"], [[one] for one in done])
        return
    if len(drives) > 1 or shard:
        raise typer.BadParameter("several drives, or a shard of them, go into a folder", param_hint="--out")
    result = evaluated(open_drive(drives[0]), protocol, write_results=write_results)
    if as_json:
        print_json(result.to_json())
        return
    whole, slices = score_tables(result)
    if whole:
        print_table(f"{protocol}: {drives[0]}", *whole)
    if slices:
        print_table("" if whole else f"{protocol}: {drives[0]}", *slices)


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

        results_folder.put_file(html, html_page(said, run, before).encode())
    print_json(to_json(said)) if as_json else show(said)
    raise typer.Exit(EXIT_CODES[said.verdict])


def show_info(info: Any, drive: Path, as_json: bool) -> None:
    """Print what a drive's manifest says, as a table or as JSON."""
    from replay.console import print_json, print_table
    from replay.info import info_json, info_rows

    if as_json:
        print_json(info_json(info))
        return
    print_table(f"{drive}", ["topic", "kind", "records", "objects"], info_rows(info),
                [f"{info.duration_s:.1f} s, made by {info.importer}", *info.notes])
