import copy

import pytest
import torch

from perception.grid import BevGrid
from perception.lidar import PillarEncoder
from perception.ops.pillars_training import highest_products
from perception.ops.voxelize import pillar_max

GRID = BevGrid((-6.4, 6.4), (-6.4, 6.4), (-2.0, 4.0), 0.4)


def cloud(points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [n, 5] in two slots of time, some outside of the grid, and their scenes of two."""
    generator = torch.Generator().manual_seed(1)
    span, low = torch.tensor([14.0, 14.0, 4.0, 1.0, 1.0]), torch.tensor([-7.0, -7.0, -2.0, 0.0, 0.0])
    rows = low + span * torch.rand(points, 5, generator=generator)
    rows[:, 4] = torch.where(rows[:, 4] > 0.5, 0.2, 0.0)
    return rows, (torch.arange(points) * 2 // points).long()


def plain(encoder: PillarEncoder, numbers: torch.Tensor, pillars) -> torch.Tensor:
    return pillar_max(torch.relu(encoder.norm(encoder.linear(numbers))), pillars)


@pytest.mark.parametrize("settled", [False, True])
def test_learning_from_winners_alone_equals_learning_from_all_points(settled, monkeypatch):
    torch.manual_seed(0)
    fast = PillarEncoder(GRID, 6).train()
    with torch.no_grad():
        fast.norm.weight[0] = -0.7  # a norm that turns the order round
    if settled:
        fast.norm.eval()
    slow, (points, scene) = copy.deepcopy(fast), cloud(4000)
    results = []
    for encoder in (fast, slow):
        if encoder is slow:
            monkeypatch.setattr(slow, "_highest", lambda numbers, pillars: plain(slow, numbers, pillars))
        canvas = encoder(points, scene, 2)
        weight = torch.linspace(0.2, 1.0, canvas.numel()).view(canvas.shape)
        gradients = torch.autograd.grad((canvas * weight).sum(), list(encoder.parameters()))
        results.append((canvas.detach(), *gradients, encoder.norm.running_mean, encoder.norm.running_var,
                        encoder.norm.num_batches_tracked))
    for got, want in zip(*results):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)


def test_of_equal_points_the_first_is_learnt_from_and_points_of_no_pillar_are_not():
    numbers = torch.tensor([[1.0, 5.0], [2.0, 1.0], [2.0, 9.0], [7.0, 7.0]])
    weight = torch.tensor([[1.0, 0.0]], requires_grad=True)
    highest = highest_products(numbers, weight, torch.tensor([0, 0, 0, -1]), 1)
    assert highest.tolist() == [[2.0]]
    highest.sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [[2.0, 1.0]]


def test_the_gradient_is_that_of_differences():
    points, _ = cloud(60)
    pillar = torch.arange(60) % 7

    def total(weight: torch.Tensor) -> torch.Tensor:
        return (highest_products(points, weight, pillar, 7) * torch.linspace(0.5, 1.5, 7)[:, None]).sum()

    weight = torch.randn(3, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    total(weight).backward()
    assert weight.grad is not None
    step = torch.zeros(3, 5)
    step[1, 2] = 1e-3
    with torch.no_grad():
        slope = float(total(weight + step) - total(weight - step)) / 2e-3
    assert float(weight.grad[1, 2]) == pytest.approx(slope, rel=0.01, abs=0.01)
