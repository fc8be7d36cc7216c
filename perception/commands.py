"""Commands of the perception floor: perceive, train."""
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
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Detect objects in a drive's sensor data and add them to it as vehicle.objects."""
    from perception.load import load_detector, shipped_weights
    from perception.perceive import perceive as perceived
    from replay.console import print_json, print_table

    file = weights or shipped_weights()
    result = perceived(drive, load_detector(file, device), file).to_json()
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

    from perception.load import chosen_device
    from perception.ranks import ranks_of_torchrun
    from perception.training_job import train_to_file

    if threads:
        torch.set_num_threads(threads)
    chosen, kept = chosen_device(device), checkpoint or cache.parent / f"{out.stem}.pt"
    with ranks_of_torchrun(chosen) as ranks:
        run = train_to_file(out, asked, recipe.network, minutes, cache, kept, chosen, ranks)
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
