import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from perception.grid import BevGrid
from perception.lidar import LidarEncoder, PillarEncoder, describe
from perception.ops.voxelize import dynamic_pillars

GRID = BevGrid((-4.0, 4.0), (-2.0, 2.0), (-1.0, 3.0), 0.5)
CHANNELS = 6


def encoder() -> PillarEncoder:
    torch.manual_seed(0)
    return PillarEncoder(GRID, CHANNELS).eval()


def cloud(n: int, seed: int = 0, age_s: float = 0.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform((-4.0, -2.0, -1.0, 0.0, age_s), (4.0, 2.0, 3.0, 1.0, age_s), (n, 5)).astype(np.float32))


def canvas_of(points: torch.Tensor, net: PillarEncoder | None = None) -> torch.Tensor:
    """Canvas of one scene."""
    return (net or encoder())(points, torch.zeros(len(points), dtype=torch.int64), 1)


def test_a_point_lights_its_own_cell_in_its_own_slot_of_time_alone():
    newest, earlier = torch.tensor([[1.2, -0.3, 0.5, 0.4, 0.0]]), torch.tensor([[-3.9, 1.9, 0.5, 0.4, 0.2]])
    lit = canvas_of(torch.cat([newest, earlier])).unflatten(1, (2, CHANNELS)).abs().sum(dim=2)
    assert lit.shape == (1, 2, 8, 16)
    assert torch.nonzero(lit).tolist() == [[0, 0, 3, 10], [0, 1, 7, 0]]


def test_the_eleven_numbers_of_a_point_are_those_of_the_definition():
    points = torch.tensor([[1.2, -0.3, 0.5, 0.4, 0.0], [1.4, -0.1, 1.5, 0.2, 0.2]])  # both in the cell around 1.25, -0.25
    numbers = describe(points, dynamic_pillars(points, GRID), GRID)
    expected = [1.2 / 4, -0.3 / 4, 0.25, 0.4, 0.0, -0.1, -0.1, -0.5, -0.2, -0.2, 0.25]
    torch.testing.assert_close(numbers[0], torch.tensor(expected))


def test_the_order_of_points_does_not_matter():
    points = cloud(200)
    torch.testing.assert_close(canvas_of(points), canvas_of(points.flip(0)))


def test_each_scene_of_a_batch_is_seen_as_if_alone_and_scenes_without_points_count():
    first, second = cloud(100, 1), cloud(150, 2, age_s=0.5)
    scene = torch.cat([torch.zeros(100, dtype=torch.int64), torch.full((150,), 2)])
    together = encoder()(torch.cat([first, second]), scene, 3)
    torch.testing.assert_close(together, torch.cat([canvas_of(first), canvas_of(first[:0]), canvas_of(second)]))


def test_no_points_and_points_outside_give_an_empty_canvas():
    for points in (torch.zeros(0, 5), torch.tensor([[100.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 9.0, 1.0, 0.0]])):
        assert not canvas_of(points).any()


@given(st.integers(0, 2**32 - 1), st.sampled_from([torch.nan, torch.inf, -torch.inf, 3e38]))
def test_points_that_are_not_finite_are_dropped(seed, wrong):
    points = cloud(60, seed)
    damaged = points[:20].clone()
    damaged[torch.arange(20), torch.arange(20) % 3] = wrong
    together = torch.cat([damaged, points[20:]])
    torch.testing.assert_close(canvas_of(together), canvas_of(points[20:]))


def test_the_stem_halves_the_canvas_at_each_of_its_stages():
    lidar = LidarEncoder(encoder(), (8, 12)).eval()
    assert (lidar.stride, lidar.out_channels) == (4, 12)
    assert lidar(lidar.pillars(cloud(50), torch.zeros(50, dtype=torch.int64), 1)).shape == (1, 12, 2, 4)


def test_the_gradient_reaches_every_weight():
    torch.manual_seed(0)
    lidar = LidarEncoder(encoder(), (8,)).train()
    points = torch.cat([cloud(300), cloud(300, 1, age_s=0.2)])
    lidar(lidar.pillars(points, torch.zeros(600, dtype=torch.int64), 1)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in lidar.parameters())


def test_training_survives_points_that_are_not_finite():
    points = cloud(300)
    points[7, 1] = torch.nan
    net = encoder().train()
    canvas_of(points, net).square().sum().backward()
    assert torch.isfinite(net.norm.get_buffer("running_mean")).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
