"""Training of the detector on simulated drives: one loop, one checkpoint file, every step repeatable.

What a step sees follows from (seed, step) alone, so a killed run goes on exactly where its checkpoint stands.
Sources: Smith, Super-Convergence (2018) for the one-cycle rate; Loshchilov & Hutter, Decoupled Weight Decay (2019).
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import cos, pi
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from data_specs.errors import InputError, SpecError
from perception.assemble import build_detector
from perception.augment import augment
from perception.batch import SensorBatch, collate
from perception.camera import CameraFeatures, lidar_depth_m
from perception.checkpoint import require_fit
from perception.config import DetectorConfig, TrainConfig
from perception.detect import CalibratedDetector
from perception.losses import beta_nll, box_l1_loss, depth_loss, gaussian_nll, heatmap_focal_loss, quality_loss
from perception.scene import Scene
from perception.targets import aligned_overlap, make_targets
from perception.uncertainty import box_residual

LOSS_WEIGHTS = {"heatmap": 1.0, "box": 0.5, "likelihood": 0.2, "spread": 0.1, "quality": 0.2, "depth": 0.1}
BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 0.25, 0.25)  # of BOX_NUMBERS; velocities are large numbers
ROW_STEPS = 50  # steps that one row of metrics is the mean of
SAVE_SECONDS = 120.0
SCHEDULE = {"steps", "settle_from", "beta_nll_from", "paste_until", "drives", "drives_at_start"}  # may change on resuming


class Scenes(Protocol):
    """Where training scenes come from: perception.dataset.DriveScenes, or a list in a test."""

    scenes_of_drive: int

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene: ...

    def rarity(self, seed: int, index: int) -> float: ...


@dataclass
class Run:
    """Everything a training run is at one step."""

    config: TrainConfig
    detector: CalibratedDetector
    average: CalibratedDetector  # exponential moving average of the weights: what is shipped
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


def train(run: Run, scenes: Scenes, seconds: float, checkpoint: Path | None = None,
          on_row: Callable[[dict[str, float]], None] = lambda row: None) -> None:
    """Train until the run's last step or until `seconds` have gone by, keeping `checkpoint` at most two minutes old."""
    started = saved = time.monotonic()
    sums: dict[str, float] = {}
    for batch in batches(run.config, run.step, scenes):
        before = time.monotonic()
        if before - started > seconds:
            break
        losses = step(run, batch)
        run.seconds += time.monotonic() - before
        sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
        if run.step % ROW_STEPS == 0:
            run.rows.append({"step": run.step, "seconds": run.seconds} | {n: s / ROW_STEPS for n, s in sums.items()})
            sums = {}
            on_row(run.rows[-1])
            if checkpoint is not None and time.monotonic() - saved > SAVE_SECONDS:
                save_run(run, checkpoint)
                saved = time.monotonic()
    if checkpoint is not None:
        save_run(run, checkpoint)


def batches(config: TrainConfig, first: int, scenes: Scenes) -> Iterator[list[Scene]]:
    """The batches of all steps from `first` on; each is made ready while the one before it is learnt from."""
    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(batch_of, config, first, scenes)
        for number in range(first, config.steps):
            batch = ahead.result()
            if number + 1 < config.steps:
                ahead = beside.submit(batch_of, config, number + 1, scenes)
            yield batch


def step(run: Run, scenes: list[Scene]) -> dict[str, float]:
    """One step of AdamW on a batch of scenes; the losses and the gradient's norm before clipping."""
    set_mode(run)
    rate = learning_rate_at(run.step, run.config)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    losses = losses_of(run.detector, scenes, run.config, run.step / run.config.steps)
    run.optimizer.zero_grad(set_to_none=True)
    torch.stack([LOSS_WEIGHTS[name] * loss for name, loss in losses.items()]).sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(run.detector.parameters(), run.config.clip_norm)
    run.optimizer.step()
    run.step += 1
    follow(run.average, run.detector, min(run.config.ema_decay, (1 + run.step) / (10 + run.step)))
    return {name: float(loss.detach()) for name, loss in losses.items()} | {"gradient_norm": float(norm), "rate": rate}


def set_mode(run: Run) -> None:
    """Training mode; once the run settles, from its averaged weights on, with batch norms as they will be when detecting.

    Statistics of two scenes are far from those of the street: a network that never trained without them detects badly.
    """
    settle_step = int(run.config.settle_from * run.config.steps)
    if run.step == settle_step:
        run.detector.load_state_dict(run.average.state_dict())
    run.detector.train()
    if run.step >= settle_step:
        for module in run.detector.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.eval()


def losses_of(detector: CalibratedDetector, scenes: list[Scene], config: TrainConfig, part_done: float) -> dict[str, Tensor]:
    """Losses by name, scalars, of a batch of scenes; `part_done` of the run decides what boxes learn by."""
    batch = collate(scenes)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        maps, features = detector.network.maps(batch)
    grid = detector.config.grid
    targets = make_targets(scenes, detector.network.head.classes, grid)
    scene, iy, ix = targets.cell.unbind(1)
    box, spread = maps.box[scene, :, iy, ix], maps.spread[scene, :, iy, ix]
    residual = box_residual(box, targets.box, grid.pillar_size_m)
    losses = {"heatmap": heatmap_focal_loss(maps.heatmap, targets.heatmap, targets.weight)}
    if part_done < config.beta_nll_from:
        losses["box"] = box_l1_loss(box, targets.box, box.new_tensor(BOX_WEIGHTS))
        losses["spread"] = gaussian_nll(residual, spread)
    else:
        # The heading is learnt by its sine and cosine: an angle's own error has no slope towards the other side.
        losses["box"] = box_l1_loss(box[:, 6:8], targets.box[:, 6:8], box.new_tensor(BOX_WEIGHTS[6:8]))
        losses["likelihood"] = beta_nll(residual, spread)
    overlap = aligned_overlap(box.detach(), targets.box, grid.pillar_size_m)
    losses["quality"] = quality_loss(maps.quality[scene, 0, iy, ix], overlap)
    if features is not None:
        losses["depth"] = camera_depth_loss(detector, scenes, batch, features)
    return losses


def camera_depth_loss(detector: CalibratedDetector, scenes: list[Scene], batch: SensorBatch,
                      features: CameraFeatures) -> Tensor:
    """How well pictures tell the depths that the LiDAR measured, also in scenes whose points the network did not get."""
    camera = detector.network.camera
    if camera is None:
        raise SpecError("a detector without cameras has no depths to learn")
    full = collate([replace(scene, lidar_lost=False) for scene in scenes])
    image_hw = (batch.images.shape[-2], batch.images.shape[-1])
    depth_m = lidar_depth_m(full.points, full.scene, full.pixels_from_ego, image_hw, camera.encoder.stride)
    known = (depth_m > 0) & batch.has_image[:, :, None, None]
    return depth_loss(features.depth_logits.flatten(0, 1), camera.encoder.bins.place(depth_m).flatten(0, 1), known.flatten(0, 1))


def batch_of(config: TrainConfig, step: int, scenes: Scenes) -> list[Scene]:
    """The augmented scenes of one step; they follow from the seed and the step."""
    rng = np.random.default_rng([config.seed, step])
    grown = min(1.0, 3 * step / config.steps)
    drives = round(config.drives_at_start + (config.drives - config.drives_at_start) * grown)
    drives = min(max(drives, 1), config.drives)
    pastes = step < config.paste_until * config.steps
    views = []
    for _ in range(config.batch):
        scene, donor = (draw_scene(config, scenes, drives, rng) for _ in range(2))
        paste = partial(scenes.load, *donor, pictures=False) if pastes else None
        views.append(augment(scenes.load(*scene), paste, rng, config.sensor_loss))
    return views


def draw_scene(config: TrainConfig, scenes: Scenes, drives: int, rng: np.random.Generator) -> tuple[int, int]:
    """Seed and index of one scene of the first `drives`: one of a few candidates, by how rare what they show is."""
    seeds = config.first_drive + rng.integers(drives, size=config.candidates)
    moments = [(int(seed), int(rng.integers(scenes.scenes_of_drive))) for seed in seeds]
    worth = np.array([scenes.rarity(*moment) for moment in moments])
    return moments[int(rng.choice(len(moments), p=worth / worth.sum()))]


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """One cycle: up along a cosine from a 25th of the peak, then down to a 10,000th."""
    peak, top = config.learning_rate, config.warm_up * config.steps
    if step < top:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / top)) / 2)
    return peak * (1e-4 + (1 - 1e-4) * (1 + cos(pi * (step - top) / max(config.steps - top, 1))) / 2)


@torch.no_grad()
def follow(average: CalibratedDetector, detector: CalibratedDetector, decay: float) -> None:
    """Move the averaged weights and statistics towards the detector's by 1 - decay; counters are copied."""
    for mean, new in zip(average.state_dict().values(), detector.state_dict().values()):
        if mean.is_floating_point():
            mean.lerp_(new, 1 - decay)
        else:
            mean.copy_(new)


def write_rows(rows: list[dict[str, float]], path: Path) -> None:
    """The rows of metrics as Parquet, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), part)
    part.replace(path)


def new_run(config: TrainConfig, network: DetectorConfig) -> Run:
    """A run at step 0."""
    torch.manual_seed(config.seed)
    detector, average = build_detector(network), build_detector(network)
    average.load_state_dict(detector.state_dict())
    optimizer = torch.optim.AdamW(detector.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return Run(config, detector, average.eval(), optimizer)


def save_run(run: Run, path: Path) -> None:
    """Write the run's checkpoint, whole or not at all: the old one stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save({"config": asdict(run.config), "detector": run.detector.state_dict(), "average": run.average.state_dict(),
                "optimizer": run.optimizer.state_dict(), "step": run.step, "seconds": run.seconds, "rows": run.rows}, part)
    part.replace(path)


def resume_run(run: Run, path: Path) -> Run:
    """The run at its checkpoint; InputError if the checkpoint is of another network, batch, seed or set of drives.

    The schedule (SCHEDULE) may differ: the run then follows the new one from here on.
    """
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        was = saved["config"]
    except (RuntimeError, KeyError, EOFError, OSError, UnpicklingError) as error:
        raise InputError(path, str(error).splitlines()[0], "a training checkpoint") from error
    now = asdict(run.config)
    for key in sorted(set(now) - SCHEDULE):
        if was.get(key) != now[key]:
            raise InputError(path, f"{key} {was.get(key)!r}", f"{now[key]!r} as asked for", "another --out starts afresh")
    require_fit(run.detector.state_dict(), saved["detector"], str(path))
    run.detector.load_state_dict(saved["detector"])
    run.average.load_state_dict(saved["average"])
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step, run.seconds, run.rows = saved["step"], saved["seconds"], saved["rows"]
    return run
