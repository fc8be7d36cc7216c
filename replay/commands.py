"""Commands of the replay floor: drives and their repair, what foreign recordings become, and how drives are judged."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay import compare_commands, import_commands, judge_commands, search_commands
from replay.arguments import DrivePath, Json, Overwrite, Target

app = typer.Typer(no_args_is_help=True)
app.registered_commands += judge_commands.app.registered_commands + search_commands.app.registered_commands
app.registered_commands += compare_commands.app.registered_commands
import_app = import_commands.import_app


@app.command()
def info(drive: DrivePath, as_json: Json = False) -> None:
    """Tell what is in a drive."""
    from replay.info import show_info
    from replay.recorded import open_drive

    show_info(open_drive(drive).info, drive, as_json)


@app.command()
def simulate(drive: Target, scenario: Annotated[str, typer.Option(help="Which scenario.")] = "crossing",
             seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
             seconds: Annotated[float, typer.Option(min=0.1, help="How long the drive is.")] = 20.0,
             overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Simulate a drive through a crossing, with sensors and truth."""
    from replay.info import show_info
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
def anonymise(drive: DrivePath, out: Target,
              keep: Annotated[str, typer.Option(help="What stays: objects, messages, or both.")] = "objects,messages",
              key_file: Annotated[Path | None, typer.Option(
                  help="A secret, for the same new names in several drives; else a fresh one that nobody keeps.")] = None,
              retain_days: Annotated[int | None, typer.Option(min=0, help="The copy is to go after so many days.")] = None,
              overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Copy a drive without pictures, points and octets, every sender under another name."""
    from replay.anonymise import anonymise as anonymised
    from replay.anonymise import read_key
    from replay.console import progress
    from replay.info import show_info

    kinds = [name.strip() for name in keep.split(",") if name.strip()]
    info = anonymised(drive, out, read_key(key_file), kinds, retain_days, overwrite,
                      lambda events: progress(events, "copying"))
    show_info(info, out, as_json)
