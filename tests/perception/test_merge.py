import pytest
import torch

from perception.grid import BevGrid
from perception.merge import Merge

GRID = BevGrid((-4.0, 4.0), (-2.0, 2.0), (-1.0, 3.0), 0.5)
YES, NO = torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)


def merge(lidar: int = 3, camera: int = 5) -> Merge:
    torch.manual_seed(0)
    return Merge(GRID, lidar, camera, 4).eval()


def maps(channels: int) -> torch.Tensor:
    return torch.rand(2, channels, 8, 16)


def test_a_branch_that_did_not_run_is_as_one_that_saw_nothing():
    net, lidar, camera = merge(), maps(3), maps(5)
    torch.testing.assert_close(net(lidar, None, YES, NO), net(lidar, camera, YES, NO))
    torch.testing.assert_close(net(None, camera, NO, YES), net(lidar, camera, NO, YES))
    assert net(None, None, NO, NO).shape == (2, 4, 8, 16)


def test_sensors_fail_scene_by_scene():
    net, lidar, camera = merge(), maps(3), maps(5)
    mixed = net(lidar, camera, torch.tensor([True, False]), torch.tensor([False, True]))
    torch.testing.assert_close(mixed[:1], net(lidar, camera, YES, NO)[:1])
    torch.testing.assert_close(mixed[1:], net(lidar, camera, NO, YES)[1:])


def test_what_a_failed_branch_says_is_left_out_even_if_it_is_not_a_number():
    damaged = torch.full((2, 5, 8, 16), torch.nan)
    assert torch.isfinite(merge()(maps(3), damaged, YES, NO)).all()


@pytest.mark.parametrize("channels", [(3, 0), (0, 5)])
def test_a_network_of_one_branch_has_no_room_for_the_other(channels):
    net = merge(*channels)
    given = [maps(c) if c else None for c in channels]
    assert net.mix[0].get_parameter("weight").shape[1] == sum(channels)
    assert net(*given, YES, YES).shape == (2, 4, 8, 16)
