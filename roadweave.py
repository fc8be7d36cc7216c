"""The front door: mounts each floor's commands and composes the one job that spans floors, `demo`."""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import dashboards.commands
import perception.commands
import replay.commands
import v2x.commands
from data_specs.errors import InputError, MissingExtra, RoadweaveError
from replay.arguments import DrivePath, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perception.stage import ObjectDetector
    from replay.bus import Bus
    from replay.drive import DriveInfo, Event, Importer, Sink, Stage
    from replay.recorded import RecordedDrive
    from replay.runner import StageTimes

# Threads that wait by spinning make a network nine times slower where its cores are shared; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

EXTRA_OF = {"torch": "perception", "torchvision": "perception", "safetensors": "perception", "open3d": "simulate",
            "kafka": "kafka", "streamlit": "dashboards", "duckdb": "search", "rerun": "rerun", "mcap_ros2": "ros2", "ray": "ray"}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Roadweave sees a street from the car and from the road at once.")
for floor in (replay.commands, perception.commands, v2x.commands, dashboards.commands):
    app.registered_commands += floor.app.registered_commands
    app.registered_groups += floor.app.registered_groups
replay.commands.import_app.registered_commands += v2x.commands.import_app.registered_commands
app.add_typer(replay.commands.import_app, name="import")


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command; `main` looks for --debug itself, since an error may come before this is called."""


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False) -> None:
    """Print what is installed and found here, and what to do about what is missing."""
    from replay.doctor import examine, show
    from v2x.broker_jars import jars_folder

    show(examine(jars_folder()), as_json)


@app.command()
def demo(seconds: Annotated[float, typer.Option(min=1.0, help="How long the simulated drive is.")] = 20.0,
         seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
         scenario: Annotated[str, typer.Option(help="Which scenario to simulate.")] = "crossing",
         out: Annotated[Path, typer.Option(help="The drive to make; one already there is replaced.")] = Path("drives/demo"),
         bus: Annotated[str, typer.Option(help="memory: or kafka://host:port")] = "memory:",
         weights: Annotated[Path | None, typer.Option(help="The vehicle's network; the shipped one if not given.")] = None,
         port: Annotated[int, typer.Option(help="The dashboard's port, or the next free one.")] = 8501,
         dashboard: Annotated[bool, typer.Option(help="Serve the dashboard after the table.")] = True,
         as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False) -> None:
    """Simulate a crossing, perceive, send roadside messages, fuse, record, score; then serve the dashboard."""
    from replay.simulate import simulate
    from v2x.buses import open_bus

    simulation = simulate(scenario, seed, seconds)
    opened = open_bus(bus)
    try:
        times, notes = record_demo(simulation, opened, out, weights)
    finally:
        opened.close()
    show_demo(out, times, notes, as_json)
    if dashboard:
        serve_demo(out, bus, port)


@app.command()
def repro(drive: DrivePath,
          weights: Annotated[Path | None, typer.Option(help="The vehicle's network, where it was not the shipped one.")] = None,
          as_json: Json = False) -> None:
    """Make a drive's detections, messages and tracks again and compare them bit by bit with what is recorded.

    Exit code 0 the same, 1 different, 2 cannot tell: how a topic was made is not recorded, or its weights are not here.
    """
    from functools import partial

    from perception.load import shipped_weights
    from perception.perceive import perceive_again
    from replay.console import print_json
    from replay.repro import reproduce, show
    from v2x.fuse import fuse_again

    file = weights or shipped_weights()
    found = reproduce(drive, {"perceive": partial(perceive_again, weights=file), "fuse": fuse_again,
                              "demo": partial(demo_again, weights=file)})
    if as_json:
        print_json(found.to_json())
    else:
        show(drive, found)
    if found.first is not None:
        raise typer.Exit(1)
    if found.unknown:
        raise InputError(drive, f"no lineage of {', '.join(found.unknown)}", "a manifest that says what made every derived topic")


def record_demo(simulation: Importer, bus: Bus, out: Path, weights: Path | None) -> tuple[StageTimes, list[str]]:
    """Run the whole line once into a drive at `out`: the time of each stage, and lines worth telling."""
    from perception.load import load_detector, shipped_weights
    from perception.perceive import network_settings
    from replay.console import progress
    from replay.recorder import Recorder
    from replay.runner import run
    from v2x.bus_stage import BusFusion

    info, file = simulation.describe(), weights or shipped_weights()
    detector = load_detector(file)
    fusion = BusFusion(bus, info)
    spent_ms: list[float] = []
    described = with_demo_lineage(info, network_settings(detector.name, file, "auto"))
    with drive_in_the_making(out) as aside, Recorder(aside, described) as recorder:
        events = progress(timed(simulation, spent_ms), "simulating, perceiving, fusing", total=len(simulation))
        times = run(events, [*stages_before_fusion(info, detector), fusion], recorder)
    worker = fusion.worker
    return times.with_first("simulation", spent_ms), [
        f"network {detector.name}; {len(info.site.rsus)} roadside units; {worker.counts['records']} records reached the worker, "
        f"{worker.counts['refused']} refused, {worker.dropped} late or repeated"]


def stages_before_fusion(info: DriveInfo, detector: ObjectDetector) -> list[Stage]:
    """The vehicle's perception and the simulated roadside units."""
    from perception.stage import PerceptionStage
    from v2x.rsu import RoadsideUnit

    latency_ms = info.facts.get("rsu_latency_ms", {})
    units = [RoadsideUnit(rsu, info.origin, latency_ns=round(latency_ms.get(rsu.name, 0.0) * 1e6)) for rsu in info.site.rsus]
    return [PerceptionStage(detector), *units]


def with_demo_lineage(info: DriveInfo, network: Mapping[str, Any]) -> DriveInfo:
    """A simulation's description that says how all of a demo but its sensor data is made."""
    from dataclasses import replace

    from replay.drive import ROADSIDE_MESSAGES
    from replay.lineage import DERIVED, lineage

    simulated = [name for name, topic in info.topics.items() if topic.kind != "Sample"]
    settings = {name: info.facts[name] for name in ("scenario", "seed", "seconds")} | dict(network)
    return replace(info, facts=dict(info.facts) | lineage("demo", [*simulated, ROADSIDE_MESSAGES, *DERIVED], settings))


def demo_again(drive: RecordedDrive, told: Mapping[str, Any], sink: Sink, weights: Path) -> None:
    """Write what `demo` made once more, as its lineage tells: simulated, perceived and, over a bus in memory, fused again."""
    from perception.perceive import same_detector
    from replay.bus import MemoryBus
    from replay.console import progress
    from replay.lineage import setting
    from replay.runner import run
    from replay.simulate import simulate
    from v2x.bus_stage import BusFusion

    detector = same_detector(told, weights)
    simulation = simulate(setting(told, "scenario", str), setting(told, "seed", int), float(setting(told, "seconds", float)))
    info = simulation.describe()
    events = progress(simulation, f"making {drive.info.drive_id} again", total=len(simulation))
    run(events, [*stages_before_fusion(info, detector), BusFusion(MemoryBus(), info)], sink)


def timed(events: Iterable[Event], spent_ms: list[float]) -> Iterator[Event]:
    """The events; `spent_ms` gets what each sample of the ego, with all that came since the last, took to make."""
    from replay.drive import EGO_SAMPLES

    source, since_ms = iter(events), 0.0
    while True:
        started = time.perf_counter()
        event = next(source, None)
        if event is None:
            return
        since_ms += (time.perf_counter() - started) * 1e3
        if event.topic == EGO_SAMPLES:
            spent_ms.append(since_ms)
            since_ms = 0.0
        yield event


@contextmanager
def drive_in_the_making(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` when all went well, and is removed when not."""
    import shutil

    from replay.recorder import make_way

    make_way(out, overwrite=True, remove=False)
    aside = out.parent / f".{out.name}.making"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        yield aside
        make_way(out, overwrite=True)
        aside.rename(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def show_demo(out: Path, times: StageTimes, notes: list[str], as_json: bool) -> None:
    """Score the recorded drive and print who saw what."""
    from replay.console import print_json, print_table
    from replay.metrics.demo_scores import MATCH_M, RANGE_M, score_sources
    from replay.recorded import open_drive

    scores = score_sources(open_drive(out))
    if as_json:
        print_json({"drive": str(out), "sources": {name: source.to_json() for name, source in scores.items()},
                    "latency_ms": times.to_json()})
        return
    classes = sorted({cls for source in scores.values() for cls in source.ap})
    rows = [(name, source.mean_ap, *(source.ap.get(cls, float("nan")) for cls in classes),
             f"{source.hidden_recall:.3f} ({source.hidden_found} of {source.hidden})", f"{source.position_error_m:.2f} m")
            for name, source in scores.items()]
    columns = ["source", "mAP", *(cls.title for cls in classes), "hidden recall", "position error"]
    print_table(f"Who saw what within {RANGE_M:.0f} m of the ego: {out}", columns, rows, [
        "AP by class is the mean over 0.5, 1, 2 and 4 m. Hidden from the ego: no LiDAR return, under 25 pixels in every",
        f"camera, at least 5 returns at one roadside unit; recall within {MATCH_M:.0f} m, at each source's best-F1 score."])
    print_table("Time per event", ["stage", "p50 (ms)", "p99 (ms)", "events"], times.rows(), notes)


def serve_demo(out: Path, bus: str, port: int) -> None:
    """Serve the dashboard until stopped; on a broker the drive is played again and again, so that Live has something to show."""
    from dashboards.serve import free_port, serve
    from v2x.buses import MEMORY

    chosen = free_port(port=port)
    if bus == MEMORY:
        serve(out.parent, None, chosen, live_drive=out)
        return
    from v2x.looped import looped_on_bus

    with looped_on_bus(out, bus):
        serve(out.parent, bus, chosen, live_drive=out)


def main() -> None:
    """Run the command line: an error is one line on standard error and exit code 2; --debug shows where it came from."""
    debug = "--debug" in sys.argv[1:]
    if debug:
        sys.argv.remove("--debug")  # it may stand anywhere
    try:
        app()
    except (RoadweaveError, OSError, ModuleNotFoundError) as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError):
            if error.name not in EXTRA_OF:
                raise
            error = MissingExtra(f"the module {error.name}", EXTRA_OF[error.name])
        print(f"roadweave: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
