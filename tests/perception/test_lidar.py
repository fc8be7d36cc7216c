import numpy as np
import torch

from perception.batch import collate
from perception.grid import BevGrid
from perception.lidar import PillarEncoder

GRID = BevGrid((-4.0, 4.0), (-2.0, 2.0), (-1.0, 3.0), 0.5)


def encoder() -> PillarEncoder:
    torch.manual_seed(0)
    return PillarEncoder(GRID, channels=6).eval()


def cloud(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform((-4.0, -2.0, -1.0, 0.0), (4.0, 2.0, 3.0, 1.0), (n, 4)).astype(np.float32)


def test_a_point_lights_its_own_cell_alone():
    canvas = encoder()(collate([np.array([[1.2, -0.3, 0.5, 0.4]], np.float32)]))
    assert canvas.shape == (1, 6, 8, 16)
    assert torch.nonzero(canvas.abs().sum(dim=1)).tolist() == [[0, 3, 10]]


def test_the_order_of_points_does_not_matter():
    points = cloud(200)
    torch.testing.assert_close(encoder()(collate([points])), encoder()(collate([points[::-1].copy()])))


def test_each_scene_of_a_batch_is_seen_as_if_alone():
    first, second = cloud(100, 1), cloud(150, 2)
    together = encoder()(collate([first, second]))
    torch.testing.assert_close(together[1:], encoder()(collate([second])))


def test_no_points_and_points_outside_give_an_empty_canvas():
    far = np.array([[100.0, 0.0, 0.0, 1.0], [0.0, 0.0, 9.0, 1.0]], np.float32)
    for points in (np.zeros((0, 4), np.float32), far):
        assert float(encoder()(collate([points])).abs().sum()) == 0.0


def test_the_gradient_reaches_both_networks():
    net = encoder().train()
    net(collate([cloud(300)])).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
