"""Commands of the perception floor: perceive, train, bench, export."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from perception.training_run import Run

app = typer.Typer(no_args_is_help=True)


@app.command()
def perceive(
    drive: Annotated[Path, typer.Argument(help="A drive with sensor data: a folder with a drive.json.")],
    weights: Annotated[Path | None, typer.Option(help="Weights: ours (.safetensors) or mmdetection3d's KITTI PointPillars "
                                                      "(.pth); the network follows. Default: those shipped.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Detect objects in a drive's sensor data and add them to it as vehicle.objects."""
    from perception.load import load_detector, shipped_weights
    from perception.perceive import perceive as perceived
    from replay.console import print_json, print_table

    file = weights or shipped_weights()
    result = perceived(drive, load_detector(file, device), file, device).to_json()
    if as_json:
        print_json(result)
        return
    spent = result["ms_per_sample"]
    print_table(f"{drive}: {result['detector']}", ["class", "objects"], result["objects"].items(),
                [f"{result['samples']} samples, {spent['p50']:.0f} ms a sample (p99 {spent['p99']:.0f} ms)"])


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="nano, nano-lidar, nano-camera, base, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="The weights to write (.safetensors); metrics and learning curve beside.")],
    drives: Annotated[list[Path] | None, typer.Option(help="A recorded drive or an info-v2 pickle to train on instead of "
                                                           "simulated drives; may be given many times.")] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so long; 0 only writes what the checkpoint holds.")] = 60.0,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the schedule instead of the configuration's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it; instead of the configuration's.")] = None,
    cache: Annotated[Path, typer.Option(help="Where scenes are kept.")] = Path(".cache/scenes"),
    checkpoint: Annotated[Path | None, typer.Option(help="Where a stopped run goes on; default: beside the cache.")] = None,
    start: Annotated[list[Path] | None, typer.Option(help="Weights that a new run begins with, as far as they fit; may be given "
                                                          "many times, a tensor comes from the first that has it.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: as many as there are cores.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Train a detector; started again, it goes on at the exact step. torchrun may start several of it, one to a GPU."""
    from dataclasses import replace

    from perception.config_file import read_recipe

    recipe = read_recipe(config)
    wanted = {"seed": seed, "steps": steps, "recorded": tuple(str(drive) for drive in drives) if drives else None}
    asked = replace(recipe.train, **{key: value for key, value in wanted.items() if value is not None})

    import torch

    from perception.device import chosen_device
    from perception.ranks import ranks_of_torchrun
    from perception.training_job import train_to_file

    if threads:
        torch.set_num_threads(threads)
    chosen, kept = chosen_device(device).name, checkpoint or cache.parent / f"{out.stem}.pt"
    with ranks_of_torchrun(chosen) as ranks:
        run = train_to_file(out, asked, recipe.network, minutes, cache, kept, chosen, ranks, start=start or ())
        if ranks.leads:
            _show_run(out, run, as_json)


def _show_run(out: Path, run: Run, as_json: bool) -> None:
    from replay.console import print_json, print_table

    if as_json:
        print_json({"out": str(out), "step": run.step, "seconds": run.seconds, "losses": run.rows[-1] if run.rows else {}})
        return
    columns = ["step", "samples", "seconds", "heatmap", "box", "depth"]
    rows = [[row.get(c, float("nan")) for c in columns] for row in run.rows[-5:]]
    print_table(f"{out}: step {run.step} of {run.config.steps}", columns, rows)


@app.command()
def bench(
    weights: Annotated[Path | None, typer.Option(help="Weights to measure; default: those shipped.")] = None,
    config: Annotated[str | None, typer.Option(help="Instead of weights: nano, base or a TOML file, with fresh weights.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, fp16 or bf16; auto is fp32 on a CPU and fp16 on a GPU.")] = "auto",
    seconds: Annotated[float, typer.Option(help="How long to measure.")] = 10.0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: as many as there are cores.")] = None,
    watts: Annotated[float | None, typer.Option(help="What the machine draws, where it has no counter of its own.")] = None,
    price_per_hour: Annotated[float | None, typer.Option(help="What the machine costs, in any currency.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Measure a detector on this machine: frames a second, milliseconds, memory, and joules and money a frame."""
    import torch

    from perception.bench import measure, show, simulated_moments
    from perception.device import chosen_device
    from perception.load import fresh_detector, load_detector, shipped_weights
    from replay.console import print_json

    torch.set_num_threads(threads or torch.get_num_threads())
    on = chosen_device(device, dtype)
    detector = fresh_detector(config, on) if config else load_detector(weights or shipped_weights(), device, dtype)
    speed = measure(detector, on, simulated_moments(), seconds, watts, price_per_hour)
    if as_json:
        print_json(speed.to_json())
    else:
        show(speed)


@app.command("export-network")
def export_network(
    out: Annotated[Path, typer.Option("--out", help="The file to write (.pt2).")],
    weights: Annotated[Path | None, typer.Option(help="Weights to export; default: those shipped.")] = None,
    points: Annotated[int, typer.Option(min=1, help="Rows of points that it takes; fewer are padded with NaN.")] = 100_000,
    cameras: Annotated[int, typer.Option(min=1, help="Cameras that it takes; fewer are marked as missing.")] = 6,
    compiled: Annotated[bool, typer.Option("--compile", help="Machine code for this kind of CPU; needs a C++ compiler.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Write a network as a file that torch runs without Roadweave, held against the network itself."""
    from perception.checkpoint import load_weights
    from perception.export import export
    from perception.load import shipped_weights
    from replay.console import print_json, print_table

    written = export(load_weights(weights or shipped_weights()), out, points, cameras, compiled)
    if as_json:
        print_json(written.to_json())
        return
    print_table(f"{out}: machine code" if compiled else f"{out}: torch.export", ["input", "shape"], written.inputs.items(),
                [f"largest difference from the network's own maps: {written.largest_difference:.1e}"])
