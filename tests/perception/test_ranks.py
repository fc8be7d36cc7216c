import subprocess
import sys

import pytest
import torch

from data_specs.errors import InputError
from perception.ranks import ALONE, Ranks, ranks_of_torchrun
from perception.train import train
from perception.training_data import batch_of
from perception.training_losses import shared_losses
from perception.training_run import new_run, resume_run
from tests.perception.scenes import TINY
from tests.perception.training import CONFIG, MadeUpScenes, settled, weights_of

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python",
            sys.executable, "-m", "tests.perception.training"]


def test_a_process_alone_changes_nothing():
    with ranks_of_torchrun("cpu") as ranks:
        assert ranks is ALONE
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    ALONE.add_gradients([weight])
    assert weight.grad.tolist() == [1.0, 2.0] and ALONE.any(True) and not ALONE.any(False)


@pytest.mark.parametrize("places, size", [(4, 2), (3, 2), (5, 3)])
def test_shares_cover_a_batch_once(places, size):
    shares = [list(Ranks(rank, size).share(places)) for rank in range(size)]
    assert sorted(place for share in shares for place in share) == list(range(places))
    assert all(shares)


def test_the_scenes_of_a_batch_do_not_depend_on_who_loads_them():
    whole = batch_of(CONFIG, 3, MadeUpScenes())
    shared = [batch_of(CONFIG, 3, MadeUpScenes(), Ranks(rank, 2))[0] for rank in range(2)]
    assert all(torch.equal(torch.from_numpy(a.points.copy()), torch.from_numpy(b.points.copy())) for a, b in zip(whole, shared))


def test_a_loss_is_divided_by_what_all_processes_hold(monkeypatch):
    others = torch.tensor([6.0, 0.0, 3.0])
    monkeypatch.setattr(Ranks, "total", lambda self, values: values + others)
    losses = {"heatmap": torch.tensor(10.0), "depth": torch.tensor(2.0), "box": torch.tensor(4.0)}
    shared = shared_losses(losses, {"heatmap": 2, "depth": 5}, 1, Ranks(0, 2), torch.device("cpu"))
    assert {name: loss.item() for name, loss in shared.items()} == {"heatmap": 2.5, "depth": 2.0, "box": 1.0}


def test_half_an_environment_of_torchrun_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="environment: WORLD_SIZE 2 without RANK and MASTER_ADDR, expected all three"):
        with ranks_of_torchrun("cpu"):
            pass


@pytest.mark.slow
def test_two_processes_with_unequal_shares_learn_what_one_learns(tmp_path):
    config = settled(steps=4, batch=3)
    alone = new_run(config, TINY)
    train(alone, MadeUpScenes(), 60.0)
    subprocess.run([*TORCHRUN, str(tmp_path / "two.pt"), "4", "3"], check=True, timeout=120, capture_output=True)
    together = resume_run(new_run(config, TINY), tmp_path / "two.pt")
    torch.testing.assert_close(weights_of(together), weights_of(alone), rtol=0, atol=1e-6)
    assert len(together.rows) == 2
