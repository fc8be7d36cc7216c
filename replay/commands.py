"""Commands of the replay floor: import, info, repair, evaluate, simulate. Heavy libraries are imported where they are used."""
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
def evaluate(drive: DrivePath, protocol: Annotated[str, typer.Option(help="nuscenes, kitti or cooperative")] = "nuscenes",
             write_results: Annotated[Path | None, typer.Option(
                 help="Also write the detections for other evaluators: KITTI txt files, or nuScenes JSON.")] = None,
             as_json: Json = False) -> None:
    """Score a drive's detections and tracks against its truth."""
    from replay.console import print_json, print_table
    from replay.evaluate import evaluate as evaluated
    from replay.evaluate import score_tables
    from replay.recorded import open_drive

    result = evaluated(open_drive(drive), protocol, write_results=write_results)
    if as_json:
        print_json(result.to_json())
        return
    whole, slices = score_tables(result)
    if whole:
        print_table(f"{protocol}: {drive}", *whole)
    if slices:
        print_table("" if whole else f"{protocol}: {drive}", *slices)


def show_info(info: Any, drive: Path, as_json: bool) -> None:
    """Print what a drive's manifest says, as a table or as JSON."""
    from replay.console import print_json, print_table
    from replay.info import info_json, info_rows

    if as_json:
        print_json(info_json(info))
        return
    print_table(f"{drive}", ["topic", "kind", "records", "objects"], info_rows(info),
                [f"{info.duration_s:.1f} s, made by {info.importer}", *info.notes])
