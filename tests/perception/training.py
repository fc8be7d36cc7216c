"""What tests of training share: made-up scenes for training, and a process that trains on them.

As a program, `python -m tests.perception.training CHECKPOINT STEPS BATCH`: trains, saves every second step, says each one.
Under torchrun its processes share the batches.
"""
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import perception.train
from data_specs.objects import ObjectClass
from perception.config import TrainConfig
from perception.ranks import ranks_of_torchrun
from perception.scene import Scene
from perception.training_run import Run, new_run
from tests.perception.scenes import TINY, scene_with

CONFIG = TrainConfig(steps=6, batch=2, drives=3, drives_at_start=3, half=False)


class MadeUpScenes:
    """One car and one pedestrian, elsewhere in every scene; every second one has a camera more."""

    scenes_of_drive = 2

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene:
        rng = np.random.default_rng([seed, index])
        (cx, cy, cyaw), (px, py, pyaw) = rng.uniform(-9.0, 9.0, (2, 3))
        return scene_with([(ObjectClass.CAR, cx, cy, cyaw), (ObjectClass.PEDESTRIAN, px, py, pyaw)],
                          cameras=1 + index % 2 if pictures else 0)

    def rarity(self, seed: int, index: int) -> float:
        return 1.0 + index


def weights_of(run: Run) -> torch.Tensor:
    """All trained numbers in a row."""
    return torch.cat([parameter.detach().flatten() for parameter in run.detector.parameters()])


def settled(steps: int, batch: int) -> TrainConfig:
    """A run whose batch norms stand still from its first step."""
    return replace(CONFIG, steps=steps, batch=batch, settle_from=0.0)


def main(checkpoint: str, steps: str, batch: str) -> None:
    torch.set_num_threads(1)
    perception.train.ROW_STEPS, perception.train.SAVE_SECONDS = 2, 0.0
    with ranks_of_torchrun("cpu") as ranks:
        run = new_run(settled(int(steps), int(batch)), TINY, "cpu", ranks)
        perception.train.train(run, MadeUpScenes(), 60.0, Path(checkpoint), lambda row: print(row["step"], flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
