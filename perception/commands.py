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
