import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import perception.train
from data_specs.errors import TrainingDiverged
from data_specs.objects import ObjectClass
from perception.augment import without_lidar
from perception.config import TrainConfig
from perception.config_file import read_recipe
from perception.train import learning_rate_at, step, train
from perception.training_data import batch_of
from perception.training_losses import LOSS_WEIGHTS, losses_of
from perception.training_run import new_run, resume_run, save_run
from tests.perception.scenes import TINY, scene_with
from tests.perception.training import CONFIG, MadeUpScenes, settled, weights_of

CAR, PEDESTRIAN = (ObjectClass.CAR, 4.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)


@pytest.mark.parametrize("network", [TINY, replace(TINY, camera=None)])
def test_a_seed_gives_the_same_weights_twice(network):
    runs = [new_run(CONFIG, network) for _ in range(2)]
    for run in runs:
        train(run, MadeUpScenes(), seconds=60)
    assert torch.equal(weights_of(runs[0]), weights_of(runs[1]))
    assert not torch.equal(weights_of(runs[0]), weights_of(new_run(CONFIG, network)))


def test_another_seed_gives_other_weights():
    assert not torch.equal(weights_of(new_run(CONFIG, TINY)), weights_of(new_run(replace(CONFIG, seed=1), TINY)))


def test_a_stopped_run_goes_on_at_its_exact_step(tmp_path):
    whole, first, halves = (new_run(CONFIG, TINY) for _ in range(3))
    train(whole, MadeUpScenes(), seconds=60)
    for i in range(3):
        step(first, batch_of(CONFIG, i, MadeUpScenes()))
    save_run(first, tmp_path / "run.pt")
    resume_run(halves, tmp_path / "run.pt")
    assert halves.step == 3
    train(halves, MadeUpScenes(), seconds=60)
    assert torch.equal(weights_of(whole), weights_of(halves))
    torch.testing.assert_close(whole.average.state_dict(), halves.average.state_dict(), rtol=0, atol=0)


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    config, checkpoint = settled(40, 2), tmp_path / "run.pt"
    command = [sys.executable, "-m", "tests.perception.training", str(checkpoint), "40", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("6", "7"):
            assert process.poll() is None
        process.kill()
    resumed = resume_run(new_run(config, TINY), checkpoint)
    assert 4 <= resumed.step < 40
    whole = new_run(config, TINY)
    for run in (resumed, whole):
        train(run, MadeUpScenes(), seconds=60)
    assert torch.equal(weights_of(resumed), weights_of(whole))


def test_a_settled_run_trains_what_will_detect():
    run = new_run(replace(CONFIG, settle_from=0.5), TINY)
    for i in range(6):
        before = run.detector.state_dict()["network.bev.out.1.running_mean"].clone()
        averaged = run.average.state_dict()["network.bev.out.1.running_mean"].clone()
        step(run, batch_of(run.config, i, MadeUpScenes()))
        after = run.detector.state_dict()["network.bev.out.1.running_mean"]
        if i < 3:
            assert not torch.equal(after, before)
        else:
            torch.testing.assert_close(after, averaged if i == 3 else before, rtol=0, atol=0)


def test_rows_are_means_and_count_the_samples(monkeypatch):
    monkeypatch.setattr(perception.train, "ROW_STEPS", 3)
    run, told = new_run(CONFIG, TINY), []
    train(run, MadeUpScenes(), seconds=60, on_row=told.append)
    assert [(row["step"], row["samples"]) for row in run.rows] == [(3, 6), (6, 12)]
    assert told == run.rows
    assert {"heatmap", "depth", "gradient_norm", "rate", "seconds"} <= set(run.rows[0])


def test_no_time_means_no_step(tmp_path):
    run = new_run(CONFIG, TINY)
    train(run, MadeUpScenes(), seconds=0.0, checkpoint=tmp_path / "run.pt")
    assert run.step == 0
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_a_run_that_diverges_stops_and_leaves_its_checkpoint_of_before(tmp_path):
    run = new_run(CONFIG, TINY)
    step(run, batch_of(CONFIG, 0, MadeUpScenes()))
    save_run(run, tmp_path / "run.pt")
    saved, before = (tmp_path / "run.pt").read_bytes(), weights_of(run)
    bias = run.detector.network.head.box.bias
    assert bias is not None
    with torch.no_grad():
        bias[0] = torch.nan
    with pytest.raises(TrainingDiverged, match="training step 1: box is nan, expected a finite number; the checkpoint of before"):
        train(run, MadeUpScenes(), seconds=60, checkpoint=tmp_path / "run.pt")
    assert (tmp_path / "run.pt").read_bytes() == saved
    assert int((weights_of(run) != before).sum()) == 1


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    config = TrainConfig(steps=100, learning_rate=1.0, warm_up=0.2)
    rates = [learning_rate_at(s, config) for s in range(101)]
    assert max(rates) == rates[20] == pytest.approx(1.0)
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[100] == pytest.approx(1e-4)
    assert (np.diff(rates[:21]) > 0).all() and (np.diff(rates[20:]) < 0).all()


def test_a_batch_without_any_object_still_trains():
    run = new_run(CONFIG, TINY)
    losses = losses_of(run.detector, [scene_with([])] * 2, CONFIG, 0.0)
    torch.stack(list(losses.values())).sum().backward()
    assert all(np.isfinite(float(loss.detach())) for loss in losses.values())


@pytest.mark.parametrize("part_done, names", [
    (0.1, {"heatmap", "box", "velocity", "spread", "quality", "depth"}),
    (0.9, {"heatmap", "box", "velocity", "likelihood", "quality", "depth"}),
])
def test_boxes_learn_by_l1_first_and_by_likelihood_later(part_done, names):
    losses = losses_of(new_run(CONFIG, TINY).detector, [scene_with([CAR, PEDESTRIAN])] * 2, CONFIG, part_done)
    assert set(losses) == names and names <= set(LOSS_WEIGHTS)


def test_pictures_learn_depth_from_points_that_the_network_did_not_get():
    detector = new_run(CONFIG, TINY).detector.train()
    lost = losses_of(detector, [without_lidar(scene_with([CAR]))], CONFIG, 0.0)["depth"]
    assert float(lost.detach()) > 0.0


def test_sixteen_bits_learn_about_the_same():
    runs = [new_run(replace(CONFIG, half=half), TINY) for half in (True, False)]
    told = [[step(run, batch_of(CONFIG, i, MadeUpScenes()))["heatmap"] for i in range(2)] for run in runs]
    assert told[0] == pytest.approx(told[1], rel=0.02)
    assert told[0] != told[1]


@pytest.mark.slow
def test_the_detector_learns_one_scene_by_heart():
    run = new_run(replace(CONFIG, steps=240, learning_rate=1e-2, ema_decay=0.9), TINY)
    scene = scene_with([CAR, PEDESTRIAN])
    for _ in range(240):
        step(run, [scene, scene])
    objects = run.average.objects(run.average.peaks(scene), 0)
    best = objects[objects.score > 0.3]
    assert sorted(best.label.tolist()) == [ObjectClass.CAR, ObjectClass.PEDESTRIAN]
    for label, center_m in zip(scene.label, scene.boxes.center_m):
        (found,) = best.boxes.center_m[best.label == label]
        assert np.linalg.norm(found - center_m) < 0.6


@pytest.mark.slow
def test_base_trains_a_step():
    recipe = read_recipe("base")
    run = new_run(replace(recipe.train, batch=1), recipe.network)
    scene = scene_with([CAR, PEDESTRIAN], cameras=2)
    large = np.repeat(np.repeat(scene.images, 8, axis=1), 11, axis=2)
    stretch = np.array([[11.0], [8.0], [1.0]])
    scene = replace(scene, images=large, pixels_from_ego=(scene.pixels_from_ego * stretch).astype(np.float32))
    before = weights_of(run)
    assert all(np.isfinite(value) for value in step(run, [scene]).values())
    assert not torch.equal(weights_of(run), before)
