"""A network as one file that runs without Roadweave: torch.export's .pt2, or machine code where a compiler is at hand.

What is exported is all that happens between a sensor's numbers and the head's maps, with fixed shapes:

    points f32 [n, 5]                  x, y, z (m, ego), intensity, age (s); rows of NaN are padding
    images u8 [1, c, 3, h, w]          pictures at the network's size
    pixels_from_ego f32 [1, c, 3, 4]   K [R | t], pixels times depth
    has_image bool [1, c]              False: no such camera
    -> heatmap [1, k, ny, nx] logits, box [1, 10, ny, nx], quality [1, 1, ny, nx] logits, spread [1, 10, ny, nx]

    maps = torch.export.load("nano.pt2").module()(points, images, pixels_from_ego, has_image)
"""
from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_specs.errors import InputError, RoadweaveError
from perception.batch import SensorBatch
from perception.config import DetectorConfig
from perception.detect import CalibratedDetector
from perception.detector import Detector
from perception.fold import folded, with_pillars
from perception.ops.canvas_static import pillar_canvas_static
from perception.static import LEAST_CAMERAS, POINT_STEP

INPUTS = ("points", "images", "pixels_from_ego", "has_image")
OUTPUTS = ("heatmap", "box", "quality", "spread")
TOLERANCE = 1e-3  # of the maps' numbers, which are about one to ten: the same sums in another order
NEAREST_M, FARTHEST_M = 2.0, 40.0  # of the made-up points that both are tried on


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and by how much its maps differ from the network's own."""

    path: Path
    compiled: bool
    inputs: dict[str, list[int]]
    largest_difference: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


class MapsOfTensors(nn.Module):
    """A folded Detector as a function of tensors with fixed shapes."""

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = with_pillars(folded(network), pillar_canvas_static)
        for parameter in self.network.parameters():
            parameter.data = parameter.data.contiguous()  # torch.export.save warns of any other order in memory

    def forward(self, points: Tensor, images: Tensor, pixels_from_ego: Tensor, has_image: Tensor) -> tuple[Tensor, ...]:
        """Maps of one scene, in the order of OUTPUTS."""
        has_points = torch.isfinite(points[:, :3]).all(dim=1).any()[None]
        scene = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        maps = self.network(SensorBatch(points, scene, images, pixels_from_ego, has_image, has_points))
        return tuple(getattr(maps, name) for name in OUTPUTS)


def export(detector: CalibratedDetector, out: Path, points: int = POINT_STEP, cameras: int = LEAST_CAMERAS,
           compiled: bool = False) -> Exported:
    """Write the detector's network to `out`, and hold what the file gives against the network itself.

    With `compiled` the file holds machine code for this kind of CPU, made by the C++ compiler found here. Raises InputError for
    a name that does not end in .pt2, RoadweaveError without a compiler, or if the maps differ.
    """
    if out.suffix != ".pt2":
        raise InputError(out, f"ending {out.suffix or 'none'!r}", "a file that ends in .pt2")
    if compiled and shutil.which("g++") is None and shutil.which("clang++") is None:
        raise RoadweaveError("no C++ compiler (g++, clang++) found, expected one; without --compile none is needed")
    example = made_up_inputs(detector.config, points, cameras)
    network = MapsOfTensors(detector.network)
    with torch.no_grad():
        program = torch.export.export(network, example, strict=False)
    part = out.with_name(f".{out.stem}.part.pt2")  # torch looks at the ending
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        difference = _written(program, part, compiled, detector, example)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return Exported(out, compiled, {name: list(tensor.shape) for name, tensor in zip(INPUTS, example)}, difference)


def _written(program: torch.export.ExportedProgram, part: Path, compiled: bool, detector: CalibratedDetector,
             example: tuple[Tensor, ...]) -> float:
    """Write the program, read it back, and give by how much its maps differ from those of the network before it was folded."""
    if compiled:
        torch._inductor.aoti_compile_and_package(program, package_path=str(part))
        read = torch._inductor.aoti_load_package(str(part))
    else:
        torch.export.save(program, part, extra_files={"roadweave.json": json.dumps({
            "name": detector.name, "config": json.loads(detector.config.to_json()), "inputs": INPUTS, "outputs": OUTPUTS})})
        read = torch.export.load(part).module()
    points, images, pixels_from_ego, has_image = example
    kept = torch.isfinite(points).all(dim=1)
    batch = SensorBatch(points[kept], torch.zeros(int(kept.sum()), dtype=torch.int64), images, pixels_from_ego, has_image,
                        torch.ones(1, dtype=torch.bool))
    with torch.no_grad():
        own = detector.eval().network(batch)
        difference = max(float((got - getattr(own, name)).abs().max()) for name, got in zip(OUTPUTS, read(*example)))
    if not difference <= TOLERANCE:
        raise RoadweaveError(f"the exported maps differ by {difference:.2g} from the network's, expected at most {TOLERANCE:g}")
    return difference


def made_up_inputs(config: DetectorConfig, points: int, cameras: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs of the shapes to export, in the order of INPUTS: points all around, a quarter of them padding; noisy pictures."""
    random = torch.Generator().manual_seed(seed)
    count = cameras if config.camera is not None else 0
    angle = torch.rand(points, generator=random) * 2 * torch.pi
    reach_m = NEAREST_M + (FARTHEST_M - NEAREST_M) * torch.rand(points, generator=random)
    z_m, intensity = torch.rand(points, generator=random) * 3 - 1, torch.rand(points, generator=random)
    age_s = torch.where(torch.rand(points, generator=random) < 0.5, 0.0, 0.2)
    rows = torch.stack([reach_m * angle.cos(), reach_m * angle.sin(), z_m, intensity, age_s], dim=1)
    rows[points - points // 4:] = torch.nan
    h, w = config.image_hw
    images = torch.randint(0, 256, (1, count, 3, h, w), dtype=torch.uint8, generator=random)
    return rows, images, cameras_around(count, h, w), torch.ones(1, count, dtype=torch.bool)


def cameras_around(count: int, h: int, w: int) -> Tensor:
    """pixels_from_ego f32 [1, count, 3, 4] of level cameras 1.6 m above the ground that look all around, 90 degrees wide."""
    yaw = torch.arange(count) * (2 * torch.pi / max(count, 1))
    cos, sin, zero, one = yaw.cos(), yaw.sin(), torch.zeros(count), torch.ones(count)
    turn = torch.stack([torch.stack([sin, -cos, zero, zero], dim=1),  # right, down and ahead of a camera, in ego
                        torch.stack([zero, zero, -one, 1.6 * one], dim=1),
                        torch.stack([cos, sin, zero, zero], dim=1)], dim=1)
    lens = torch.tensor([[w / 2, 0.0, w / 2], [0.0, w / 2, h / 2], [0.0, 0.0, 1.0]])
    return (lens @ turn)[None]
