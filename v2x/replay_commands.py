"""The command `replay`: a drive onto a bus, at its own pace or another, whole or with faults."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.arguments import DrivePath, Json

if TYPE_CHECKING:
    from v2x.replay_drive import Replayed

app = typer.Typer(no_args_is_help=True)
FAULTS = "Faults"  # the panel of the help that they stand in
Bus = Annotated[str, typer.Option("--bus", help="kafka://host:port[,host:port], or memory: to rehearse in this process.")]


@app.command()
def replay(drive: DrivePath, bus: Bus,
           speed: Annotated[str, typer.Option(help="A factor, or max: as fast as the bus takes it.")] = "1.0",
           step: Annotated[bool, typer.Option("--step", help="Paused from the start: one event a key.")] = False,
           loop: Annotated[bool, typer.Option("--loop", help="Start over at the end; times go on.")] = False,
           from_s: Annotated[float, typer.Option("--from", min=0.0, help="Seconds into the drive.")] = 0.0,
           to_s: Annotated[float | None, typer.Option("--to", min=0.0, help="Seconds into the drive; else its end.")] = None,
           topics: Annotated[str, typer.Option(help="Which topics, comma-separated; not given: all that travel.")] = "",
           control: Annotated[Path | None, typer.Option(help="Make a Unix socket there that takes commands.")] = None,
           loss: Annotated[float | None, typer.Option(help="Chance that a message is lost.", rich_help_panel=FAULTS)] = None,
           duplicate: Annotated[float | None, typer.Option(help="Chance that it comes twice.", rich_help_panel=FAULTS)] = None,
           delay_ms: Annotated[float | None, typer.Option(help="How long each takes longer.", rich_help_panel=FAULTS)] = None,
           jitter_ms: Annotated[float | None, typer.Option(help="Mean of what each takes beyond that.",
                                                           rich_help_panel=FAULTS)] = None,
           reorder: Annotated[float | None, typer.Option(help="Chance that its sender's next one overtakes it.",
                                                         rich_help_panel=FAULTS)] = None,
           corrupt: Annotated[float | None, typer.Option(help="Chance that some of its bits are wrong.",
                                                         rich_help_panel=FAULTS)] = None,
           clock_offset_ms: Annotated[float | None, typer.Option(help="How far senders' clocks are ahead.",
                                                                 rich_help_panel=FAULTS)] = None,
           outage: Annotated[list[str] | None, typer.Option(help="RSU:FROM-TO: silent then, seconds into the drive.",
                                                            rich_help_panel=FAULTS)] = None,
           faults_on: Annotated[str, typer.Option(help="Topics that faults befall; rsu.messages if not given.",
                                                  rich_help_panel=FAULTS)] = "",
           seed: Annotated[int | None, typer.Option(help="All faults follow from it.", rich_help_panel=FAULTS)] = None,
           faults: Annotated[Path | None, typer.Option(help="The same from a TOML file; what is given here counts first.",
                                                       rich_help_panel=FAULTS)] = None,
           as_json: Json = False) -> None:
    """Publish a drive on a bus as it happened: objects, messages, poses and truth at their own times.

    In a terminal: space pauses, left and right go 5 s back and ahead, up and down change the speed, a full stop steps, q quits.
    """
    from replay.player_faults import Outage, read_faults
    from v2x.replay_drive import Stretch, replay_drive

    given = {"loss": loss, "duplicate": duplicate, "delay_ms": delay_ms, "jitter_ms": jitter_ms, "reorder": reorder,
             "corrupt": corrupt, "clock_offset_ms": clock_offset_ms, "seed": seed, "topics": _names(faults_on) or None,
             "outage": [Outage.parse(text) for text in outage or []] or None}
    asked = {name: value for name, value in given.items() if value is not None}
    stretch = Stretch(parse_speed(speed), from_s, to_s, loop, step, _names(topics),
                      read_faults(faults, asked) if faults is not None or asked else None)
    show(drive, bus, replay_drive(drive, bus, stretch, control), as_json)


def show(drive: Path, bus: str, replayed: Replayed, as_json: bool) -> None:
    """Print what came of playing."""
    from replay.console import print_json, print_table

    played = replayed.played
    if as_json:
        print_json({"events": played.events, "laps": played.laps, "worst_lag_ms": played.worst_lag_ns / 1e6,
                    "p99_lag_ms": played.p99_lag_ns / 1e6, "topics": replayed.published, "faults": replayed.faults,
                    "wrong_clocks": replayed.wrong_clocks, "sha256": replayed.sha256})
        return
    notes = [f"{played.laps} laps; 99 of 100 events within {played.p99_lag_ns / 1e6:.1f} ms of their times, the latest "
             f"{played.worst_lag_ns / 1e6:.1f} ms behind"]
    befell = ", ".join(f"{count} {name}" for name, count in sorted(replayed.faults.items()))
    notes += [f"on the way: {befell}"] if befell else []
    notes += [f"{count} messages of {who} say that they came before they were sent, or over 2 s later: a clock jumped or is off; "
              "they are played at the nearest time that can be" for who, count in sorted(replayed.wrong_clocks.items())]
    print_table(f"{drive} on {bus}", ["topic", "published"], sorted(replayed.published.items()),
                [*notes, f"SHA-256 of all records {replayed.sha256}"])


def parse_speed(text: str) -> float:
    """A positive factor, or infinity for "max"; a usage error for anything else."""
    try:
        speed = float("inf") if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0.0:
        raise typer.BadParameter(f"{text!r}, expected a positive factor or max", param_hint="--speed")
    return speed


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
