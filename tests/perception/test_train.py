from dataclasses import replace

import numpy as np
import pytest
import torch

from data_specs.errors import InputError, SpecError
from data_specs.objects import ObjectClass
from perception.batch import Scene
from perception.config import TrainConfig
from perception.train import batch_of, learning_rate_at, losses_of, new_run, resume_run, save_run, step, train
from tests.perception.scenes import TINY, sample_of, scene_with

CONFIG = TrainConfig(steps=6, batch=2, drives=3, bf16=False)


class MadeUpScenes:
    """One car and one pedestrian, elsewhere in every scene."""

    scenes_of_drive = 2

    def load(self, seed: int, index: int) -> Scene:
        rng = np.random.default_rng([seed, index])
        (cx, cy, cyaw), (px, py, pyaw) = rng.uniform(-9.0, 9.0, (2, 3))
        return scene_with([(ObjectClass.CAR, cx, cy, cyaw), (ObjectClass.PEDESTRIAN, px, py, pyaw)])


def weights_after(run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in run.detector.parameters()])


def test_a_seed_gives_the_same_weights_twice():
    runs = [new_run(CONFIG, TINY) for _ in range(2)]
    for run in runs:
        train(run, MadeUpScenes(), seconds=60)
    assert torch.equal(weights_after(runs[0]), weights_after(runs[1]))
    assert not torch.equal(weights_after(runs[0]), weights_after(new_run(CONFIG, TINY)))


def test_a_stopped_run_goes_on_at_its_exact_step(tmp_path):
    whole, first, halves = (new_run(CONFIG, TINY) for _ in range(3))
    train(whole, MadeUpScenes(), seconds=60)
    for i in range(3):
        step(first, batch_of(CONFIG, i, MadeUpScenes()))
    save_run(first, tmp_path / "run.pt")
    resume_run(halves, tmp_path / "run.pt")
    assert halves.step == 3
    train(halves, MadeUpScenes(), seconds=60)
    assert torch.equal(weights_after(whole), weights_after(halves))
    torch.testing.assert_close(whole.average.state_dict(), halves.average.state_dict(), rtol=0, atol=0)


def test_a_settled_run_trains_what_will_detect():
    run = new_run(replace(CONFIG, steps=6, settle_from=0.5), TINY)
    for i in range(6):
        before = run.detector.state_dict()["bev.out.1.running_mean"].clone()
        averaged = run.average.state_dict()["bev.out.1.running_mean"].clone()
        step(run, batch_of(run.config, i, MadeUpScenes()))
        after = run.detector.state_dict()["bev.out.1.running_mean"]
        if i < 3:
            assert not torch.equal(after, before)
        else:
            torch.testing.assert_close(after, averaged if i == 3 else before, rtol=0, atol=0)


def test_no_time_means_no_step(tmp_path):
    run = new_run(CONFIG, TINY)
    train(run, MadeUpScenes(), seconds=0.0, checkpoint=tmp_path / "run.pt")
    assert run.step == 0
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_a_checkpoint_of_another_seed_is_refused(tmp_path):
    save_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    with pytest.raises(InputError, match=r"run\.pt: seed 0, expected 1 as asked for; another --out starts afresh"):
        resume_run(new_run(replace(CONFIG, seed=1), TINY), tmp_path / "run.pt")


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    save_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    with pytest.raises(InputError, match="expected"):
        resume_run(new_run(CONFIG, replace(TINY, feature_channels=12)), tmp_path / "run.pt")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="expected a training checkpoint"):
        resume_run(new_run(CONFIG, TINY), tmp_path / "run.pt")


def test_held_out_drives_cannot_be_trained_on():
    with pytest.raises(SpecError, match="first_drive: 5, expected 1000 or more"):
        TrainConfig(first_drive=5)


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    config = TrainConfig(steps=100, learning_rate=1.0, warm_up=0.2)
    rates = [learning_rate_at(s, config) for s in range(101)]
    assert max(rates) == rates[20] == pytest.approx(1.0)
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[100] == pytest.approx(1e-4)
    assert (np.diff(rates[:21]) > 0).all() and (np.diff(rates[20:]) < 0).all()


def test_a_batch_without_any_object_still_trains():
    run = new_run(CONFIG, TINY)
    losses = losses_of(run.detector, [scene_with([])] * 2, bf16=False)
    torch.stack(list(losses.values())).sum().backward()
    assert all(np.isfinite(float(loss.detach())) for loss in losses.values())


@pytest.mark.slow
def test_the_detector_learns_one_scene_by_heart():
    run = new_run(replace(CONFIG, steps=200, learning_rate=1e-2, ema_decay=0.9), TINY)
    scene = scene_with([(ObjectClass.CAR, 4.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)])
    for _ in range(200):
        step(run, [scene, scene])
    objects = run.average.detect(sample_of(scene.points))
    best = objects[objects.score > 0.3]
    assert sorted(best.label.tolist()) == [ObjectClass.CAR, ObjectClass.PEDESTRIAN]
    for label, center_m in zip(scene.label, scene.boxes.center_m):
        (found,) = best.boxes.center_m[best.label == label]
        assert np.linalg.norm(found - center_m) < 0.5
