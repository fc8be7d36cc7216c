"""Which scenes each step of training sees: drawn by rarity from a growing pool of drives, augmented, ready one step ahead.

What a step sees follows from (seed, step, place in the batch) alone, so a killed run goes on exactly where it stood and
several processes can share one batch.
"""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np

from perception.augment import augment
from perception.config import TrainConfig
from perception.ranks import ALONE, Ranks
from perception.scene import Scene

ALL_DRIVES_AT = 1 / 3  # of the steps: from here on the pool is whole


class Scenes(Protocol):
    """Where training scenes come from: perception.dataset.DriveScenes, RecordedScenes, or a list in a test."""

    scenes_of_drive: int

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene: ...

    def rarity(self, seed: int, index: int) -> float: ...


def batches(config: TrainConfig, first: int, scenes: Scenes, ranks: Ranks = ALONE) -> Iterator[list[Scene]]:
    """This process' share of the batches of all steps from `first` on; each is made ready while the one before is learnt from."""
    with ThreadPoolExecutor(1) as beside:
        ahead = beside.submit(batch_of, config, first, scenes, ranks)
        for number in range(first, config.steps):
            batch = ahead.result()
            if number + 1 < config.steps:
                ahead = beside.submit(batch_of, config, number + 1, scenes, ranks)
            yield batch


def batch_of(config: TrainConfig, step: int, scenes: Scenes, ranks: Ranks = ALONE) -> list[Scene]:
    """This process' share of the augmented scenes of one step."""
    return [scene_at(config, step, place, scenes) for place in ranks.share(config.batch)]


def scene_at(config: TrainConfig, step: int, place: int, scenes: Scenes) -> Scene:
    """The augmented scene at one place in the batch of a step."""
    rng = np.random.default_rng([config.seed, step, place])
    pool = pool_at(config, step)
    moment, donor = (draw_moment(config, scenes, pool, rng) for _ in range(2))
    pastes = step < config.paste_until * config.steps
    paste = partial(scenes.load, *donor, pictures=False) if pastes else None
    return augment(scenes.load(*moment), paste, rng, config.sensor_loss)


def pool_at(config: TrainConfig, step: int) -> int:
    """How many drives a step draws from: from drives_at_start steadily up to all."""
    grown = min(1.0, step / (ALL_DRIVES_AT * config.steps))
    drives = round(config.drives_at_start + (config.drives - config.drives_at_start) * grown)
    return min(max(drives, 1), config.drives)


def draw_moment(config: TrainConfig, scenes: Scenes, pool: int, rng: np.random.Generator) -> tuple[int, int]:
    """Seed and index of one scene of the first `pool` drives: one of a few candidates, by how rare what they show is."""
    seeds = config.first_drive + rng.integers(pool, size=config.candidates)
    moments = [(int(seed), int(rng.integers(scenes.scenes_of_drive))) for seed in seeds]
    worth = np.array([scenes.rarity(*moment) for moment in moments])
    return moments[int(rng.choice(len(moments), p=worth / worth.sum()))]
