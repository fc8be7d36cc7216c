from collections import Counter
from dataclasses import replace

import numpy as np

from perception.config import TrainConfig
from perception.training_data import batch_of, batches, draw_moment, pool_at
from tests.perception.training import CONFIG, MadeUpScenes


class Told(MadeUpScenes):
    """Remembers what was loaded, and whether its pictures were asked for."""

    def __init__(self) -> None:
        self.loaded: list[tuple[int, int, bool]] = []

    def load(self, seed: int, index: int, pictures: bool = True):
        self.loaded.append((seed, index, pictures))
        return super().load(seed, index, pictures)


def test_the_pool_of_drives_grows_steadily_to_all_by_a_third_of_the_steps():
    config = TrainConfig(steps=300, drives=100, drives_at_start=10)
    pool = [pool_at(config, step) for step in range(300)]
    assert pool[0] == 10 and pool[50] == 55 and set(pool[100:]) == {100}
    assert (np.diff(pool) >= 0).all()


def test_a_pool_is_never_empty_nor_larger_than_all_drives():
    assert pool_at(TrainConfig(drives=5, drives_at_start=60), 0) == 5
    assert pool_at(TrainConfig(drives=5, drives_at_start=0), 0) == 1


def test_rare_scenes_are_drawn_more_often():
    rng = np.random.default_rng(0)
    drawn = Counter(draw_moment(CONFIG, MadeUpScenes(), 3, rng)[1] for _ in range(600))
    assert drawn[1] > 1.3 * drawn[0]
    alone = replace(CONFIG, candidates=1)
    drawn = Counter(draw_moment(alone, MadeUpScenes(), 3, rng)[1] for _ in range(600))
    assert 0.8 < drawn[1] / drawn[0] < 1.25


def test_drawn_drives_are_those_of_training_alone():
    rng = np.random.default_rng(0)
    assert {draw_moment(CONFIG, MadeUpScenes(), 3, rng)[0] for _ in range(100)} == {1000, 1001, 1002}


def test_the_batches_of_a_run_are_those_of_its_steps_and_end_with_it():
    ahead = list(batches(CONFIG, 4, MadeUpScenes()))
    assert len(ahead) == 2
    for number, batch in zip((4, 5), ahead):
        for got, want in zip(batch, batch_of(CONFIG, number, MadeUpScenes())):
            np.testing.assert_array_equal(got.points, want.points)


def test_pasting_fades_out_before_the_end():
    early, late = Told(), Told()
    lost = replace(CONFIG, steps=100, sensor_loss=replace(CONFIG.sensor_loss, no_lidar=0.0, no_cameras=1.0))
    batch_of(lost, 10, early)
    batch_of(lost, 90, late)
    assert [pictures for *_, pictures in early.loaded].count(False) == CONFIG.batch
    assert all(pictures for *_, pictures in late.loaded)
