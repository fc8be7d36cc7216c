"""Training of the LiDAR detector on simulated drives: one loop, one checkpoint file, every step repeatable.

What a step sees follows from (seed, step) alone, so a killed run goes on exactly where its checkpoint stands.
Sources: Smith, Super-Convergence (2018) for the one-cycle rate; Loshchilov & Hutter, Decoupled Weight Decay (2019).
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import cos, pi
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from data_specs.errors import InputError
from perception.batch import Scene, augment, collate
from perception.checkpoint import build_detector, require_fit
from perception.config import DetectorConfig, TrainConfig
from perception.detector import Detector
from perception.losses import box_l1_loss, gaussian_nll, heatmap_focal_loss
from perception.targets import make_targets

LOSS_WEIGHTS = {"heatmap": 1.0, "box": 0.5, "variance": 0.1}
ROW_STEPS = 50  # steps that one row of metrics is the mean of
SAVE_SECONDS = 120.0


class Scenes(Protocol):
    """Where training scenes come from: perception.dataset.DriveScenes, or a list in a test."""

    scenes_of_drive: int

    def load(self, seed: int, index: int) -> Scene: ...


@dataclass
class Run:
    """Everything a training run is at one step."""

    config: TrainConfig
    detector: Detector
    average: Detector  # exponential moving average of the weights: what is shipped
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


def train(run: Run, scenes: Scenes, seconds: float, checkpoint: Path | None = None,
          on_row: Callable[[dict[str, float]], None] = lambda row: None) -> None:
    """Train until the run's last step or until `seconds` have gone by, keeping `checkpoint` at most two minutes old."""
    started = saved = time.monotonic()
    sums: dict[str, float] = {}
    while run.step < run.config.steps and time.monotonic() - started < seconds:
        before = time.monotonic()
        losses = step(run, batch_of(run.config, run.step, scenes))
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


def step(run: Run, scenes: list[Scene]) -> dict[str, float]:
    """One step of AdamW on a batch of scenes; the losses and the gradient's norm before clipping."""
    set_mode(run)
    rate = learning_rate_at(run.step, run.config)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    losses = losses_of(run.detector, scenes, run.config.bf16)
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


def losses_of(detector: Detector, scenes: list[Scene], bf16: bool) -> dict[str, Tensor]:
    """Losses by name, scalars, of a batch of scenes."""
    canvas = detector.lidar(collate([scene.points for scene in scenes]))  # coordinates need all of float32
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        maps = detector.head(detector.bev(canvas))
    targets = make_targets(scenes, detector.head.classes, detector.grid)
    scene, iy, ix = targets.cell.unbind(1)
    box = maps.box[scene, :, iy, ix]
    return {
        "heatmap": heatmap_focal_loss(maps.heatmap, targets.heatmap, targets.weight),
        "box": box_l1_loss(box, targets.box, torch.ones(box.shape[1])),
        "variance": gaussian_nll(box_residual(box, targets.box, detector.grid.pillar_size_m),
                                 maps.log_variance[scene, :, iy, ix]),
    }


def box_residual(box: Tensor, target: Tensor, cell_m: float) -> Tensor:
    """What the head's variances are about, [k, 7]: errors of x, y, z (m), yaw (rad), log length, width and height."""
    yaw = torch.atan2(box[:, 6], box[:, 7]) - torch.atan2(target[:, 6], target[:, 7])
    error = box - target
    wrapped = torch.remainder(yaw + pi, 2 * pi) - pi
    return torch.cat([error[:, :2] * cell_m, error[:, 2:3], wrapped[:, None], error[:, 3:6]], dim=1)


def batch_of(config: TrainConfig, step: int, scenes: Scenes) -> list[Scene]:
    """The augmented scenes of one step; they follow from the seed and the step."""
    rng = np.random.default_rng([config.seed, step])
    seeds = config.first_drive + rng.integers(config.drives, size=config.batch)
    return [augment(scenes.load(int(seed), int(rng.integers(scenes.scenes_of_drive))), rng) for seed in seeds]


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """One cycle: up along a cosine from a 25th of the peak, then down to a 10,000th."""
    peak, top = config.learning_rate, config.warm_up * config.steps
    if step < top:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / top)) / 2)
    return peak * (1e-4 + (1 - 1e-4) * (1 + cos(pi * (step - top) / max(config.steps - top, 1))) / 2)


@torch.no_grad()
def follow(average: Detector, detector: Detector, decay: float) -> None:
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

    The schedule (steps, settle_from) may differ: the run then follows the new one from here on.
    """
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        was = saved["config"]
    except (RuntimeError, KeyError, EOFError, OSError, UnpicklingError) as error:
        raise InputError(path, str(error).splitlines()[0], "a training checkpoint") from error
    now = asdict(run.config)
    for key in sorted(set(now) - {"steps", "settle_from"}):
        if was.get(key) != now[key]:
            raise InputError(path, f"{key} {was.get(key)!r}", f"{now[key]!r} as asked for", "another --out starts afresh")
    require_fit(run.detector.state_dict(), saved["detector"], str(path))
    run.detector.load_state_dict(saved["detector"])
    run.average.load_state_dict(saved["average"])
    run.optimizer.load_state_dict(saved["optimizer"])
    run.step, run.seconds, run.rows = saved["step"], saved["seconds"], saved["rows"]
    return run
