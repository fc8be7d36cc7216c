"""Commands of the perception floor: perceive, train."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    out: Annotated[Path, typer.Option("--out", help="The weights to write (.safetensors); their metrics come beside them.")],
    minutes: Annotated[float, typer.Option(help="Stop after so long; 0 only writes what the checkpoint holds.")] = 60.0,
    steps: Annotated[int, typer.Option(help="Length of the schedule; a finished run stops here.")] = 5000,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where simulated scenes are kept.")] = Path(".cache/scenes"),
    checkpoint: Annotated[Path | None, typer.Option(help="Where a stopped run goes on; default: beside the cache.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")] = False,
) -> None:
    """Train the LiDAR detector on simulated drives; started again, it goes on at the exact step."""
    from perception.config import DetectorConfig, TrainConfig
    from perception.training_job import train_to_file
    from replay.console import print_json, print_table

    run = train_to_file(out, TrainConfig(seed=seed, steps=steps), DetectorConfig(), minutes, cache,
                        checkpoint or cache.parent / f"{out.stem}.pt")
    if as_json:
        print_json({"out": str(out), "step": run.step, "seconds": run.seconds, "losses": run.rows[-1] if run.rows else {}})
        return
    columns = ["step", "seconds", "heatmap", "box", "spread"]
    print_table(f"{out}: step {run.step} of {steps}", columns, [[row[c] for c in columns] for row in run.rows[-5:]])
