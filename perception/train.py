"""The training loop: one step after the other, repeatable, with one checkpoint file.

Sources: Smith, Super-Convergence (2018) for the one-cycle rate; Loshchilov & Hutter, Decoupled Weight Decay (2019); Micikevicius
et al., Mixed Precision Training (ICLR 2018).
"""
from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from math import cos, isfinite, pi
from pathlib import Path

import torch

from data_specs.errors import TrainingDiverged
from perception.config import TrainConfig
from perception.detect import CalibratedDetector
from perception.scene import Scene
from perception.training_data import Scenes, batches
from perception.training_losses import LOSS_WEIGHTS, losses_of
from perception.training_run import Run, save_run
from replay.console import progress

ROW_STEPS = 50  # steps that one row of metrics is the mean of
SAVE_SECONDS = 120.0


def train(run: Run, scenes: Scenes, seconds: float, checkpoint: Path | None = None,
          on_row: Callable[[dict[str, float]], None] = lambda row: None) -> None:
    """Train until the run's last step or until `seconds` have gone by, keeping `checkpoint` at most two minutes old.

    Raises TrainingDiverged if a loss or the gradient is not finite; the checkpoint then stays that of before.
    """
    started = saved = time.monotonic()
    since_row: dict[str, list[float]] = defaultdict(list)
    steps = batches(run.config, run.step, scenes, run.ranks)
    for batch in progress(steps, "training", run.config.steps - run.step) if run.ranks.leads else steps:
        before = time.monotonic()
        if run.ranks.any(before - started > seconds):
            break
        for name, value in step(run, batch).items():
            since_row[name].append(value)
        run.seconds += time.monotonic() - before
        if run.step % ROW_STEPS == 0:
            means = {name: sum(values) / len(values) for name, values in since_row.items()}
            since_row.clear()
            run.rows.append({"step": run.step, "samples": run.step * run.config.batch, "seconds": run.seconds} | means)
            if run.ranks.leads:
                on_row(run.rows[-1])
            if time.monotonic() - saved > SAVE_SECONDS:
                keep(run, checkpoint)
                saved = time.monotonic()
    keep(run, checkpoint)


def step(run: Run, scenes: list[Scene]) -> dict[str, float]:
    """One step of AdamW on this process' scenes of a batch; the whole batch's losses, and the gradient's norm before clipping."""
    set_mode(run)
    rate = learning_rate_at(run.step, run.config)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    losses = losses_of(run.detector, scenes, run.config, run.step / run.config.steps, run.ranks)
    run.optimizer.zero_grad(set_to_none=True)
    run.scaler.scale(torch.stack([LOSS_WEIGHTS[name] * loss for name, loss in losses.items()]).sum()).backward()
    run.ranks.add_gradients(run.detector.parameters())
    run.scaler.unscale_(run.optimizer)
    norm = float(torch.nn.utils.clip_grad_norm_(run.detector.parameters(), run.config.clip_norm))
    told = told_losses(run, losses)
    require_finite(run, told if run.scaler.is_enabled() else told | {"gradient_norm": norm})
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.step += 1
    if not settled(run.config, run.step - 1):
        run.ranks.average(run.detector.buffers())
    follow(run.average, run.detector, min(run.config.ema_decay, (1 + run.step) / (10 + run.step)))
    return told | {"gradient_norm": norm, "rate": rate}


def told_losses(run: Run, losses: dict[str, torch.Tensor]) -> dict[str, float]:
    """Losses of the whole batch by name; every process has a part of each but `depth`, which one without pictures lacks."""
    device = next(run.detector.parameters()).device
    own = torch.stack([losses[name].detach() if name in losses else torch.zeros((), device=device) for name in LOSS_WEIGHTS])
    has = torch.tensor([float(name in losses) for name in LOSS_WEIGHTS], device=device)
    values, owners = run.ranks.total(torch.stack([own, has])).tolist()
    return {name: value for name, value, count in zip(LOSS_WEIGHTS, values, owners) if count}


def require_finite(run: Run, told: dict[str, float]) -> None:
    """Raise TrainingDiverged if a number of this step is NaN or infinite."""
    for name, value in told.items():
        if not isfinite(value):
            raise TrainingDiverged(run.step, name, value)


def keep(run: Run, checkpoint: Path | None) -> None:
    """Write the checkpoint if there is to be one; of several processes the first does."""
    if checkpoint is not None and run.ranks.leads:
        save_run(run, checkpoint)


def set_mode(run: Run) -> None:
    """Training mode; once the run settles, from its averaged weights on, with batch norms as they will be when detecting.

    Statistics of a few scenes are far from those of the street: a network that never trained without them detects badly.
    """
    if run.step == settle_step(run.config):
        run.detector.load_state_dict(run.average.state_dict())
    run.detector.train()
    if settled(run.config, run.step):
        for module in run.detector.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.eval()


def settle_step(config: TrainConfig) -> int:
    """The first step with the batch norms' averaged statistics."""
    return int(config.settle_from * config.steps)


def settled(config: TrainConfig, step: int) -> bool:
    """Whether batch norms keep their statistics at a step."""
    return step >= settle_step(config)


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
