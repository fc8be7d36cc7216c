from dataclasses import replace

import numpy as np
import pytest
import torch

from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from perception.assemble import build_detector
from perception.batch import collate
from perception.grid import BevGrid
from perception.memory import BevMemory, EarlierMap, LastMap, moved, planar
from tests.perception.scenes import TINY, sample_of, scene_with

GRID = BevGrid((-16.0, 16.0), (-8.0, 8.0), (-2.0, 4.0), 0.5)
REMEMBERS = replace(TINY, memory=True)
SECOND_NS = 1_000_000_000


def street(map_from_ego: SE3) -> torch.Tensor:
    """A smooth pattern that stands still in the map, as seen from the ego: [1, 2, ny, nx]."""
    x = GRID.low_m[0] + (np.arange(GRID.nx) + 0.5) * GRID.pillar_size_m
    y = GRID.low_m[1] + (np.arange(GRID.ny) + 0.5) * GRID.pillar_size_m
    ys, xs = np.meshgrid(y, x, indexing="ij")
    at_m = map_from_ego.apply(np.column_stack([xs.ravel(), ys.ravel(), np.zeros(xs.size)]))
    pattern = np.stack([np.sin(at_m[:, 0] / 3) * np.cos(at_m[:, 1] / 2), np.cos(at_m[:, 0] / 4 + at_m[:, 1] / 3)])
    return torch.from_numpy(pattern.reshape(1, 2, GRID.ny, GRID.nx)).float()


@pytest.mark.parametrize("yaw_rad, x_m, y_m", [(0.0, 3.0, 0.0), (0.0, 0.0, -2.0), (0.3, 0.0, 0.0), (-0.15, 4.0, 1.0)])
def test_what_stands_still_lies_on_itself_once_moved_with_the_ego(yaw_rad, x_m, y_m):
    then = SE3.from_yaw("map", "ego", 0.7, np.array([100.0, -50.0, 0.0]))
    now = then @ SE3.from_yaw("ego", "ego", yaw_rad, np.array([x_m, y_m, 0.0]))
    earlier = EarlierMap(street(then), planar(then.inverse() @ now)[None])
    reached = moved(EarlierMap(torch.ones(1, 1, GRID.ny, GRID.nx), earlier.then_from_now), GRID) > 0.999
    difference = (moved(earlier, GRID) - street(now)).abs() * reached
    assert float(difference.max()) < 0.02
    assert float((street(then) - street(now)).abs().max()) > 0.3, "a pattern that does not move proves nothing"
    assert 0.5 < float(reached.float().mean()) < 1.0


def test_a_move_by_whole_cells_moves_by_whole_cells():
    features = torch.rand(1, 3, GRID.ny, GRID.nx)
    ahead = planar(SE3.from_yaw("ego", "ego", 0.0, np.array([2.0, 0.0, 0.0])))[None]
    got = moved(EarlierMap(features, ahead), GRID)
    torch.testing.assert_close(got[..., :-4], features[..., 4:], atol=1e-4, rtol=0)
    assert not got[..., -3:].any()


def test_a_fresh_memory_changes_nothing_and_no_earlier_map_means_no_memory():
    merged, memory = torch.rand(1, 4, GRID.ny, GRID.nx), BevMemory(GRID, 4)
    earlier = EarlierMap(torch.rand(1, 4, GRID.ny, GRID.nx), torch.eye(3)[None])
    assert torch.equal(memory(merged, earlier), merged)
    assert torch.equal(memory(merged, None), merged)


def test_a_memory_learns_to_look_back():
    torch.manual_seed(0)
    network = build_detector(REMEMBERS).network.train()
    before, now = (collate([scene_with([(ObjectClass.CAR, x, 2.0, 0.4)], seed=i)] * 2) for i, x in enumerate((4.0, 5.0)))
    with torch.no_grad():
        features, _ = network.merged(before)
    earlier = EarlierMap(features, planar(SE3.from_yaw("ego", "ego", 0.0, np.array([1.0, 0.0, 0.0])))[None].repeat(2, 1, 1))
    assert network.memory is not None
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network.maps(now, earlier)[0].heatmap.square().mean().backward()
    optimizer.step()
    assert network.memory.recall.weight.abs().sum() > 0
    network.eval()
    with torch.inference_mode():
        assert not torch.equal(network.maps(now, earlier)[0].heatmap, network.maps(now)[0].heatmap)


def test_a_network_without_a_memory_has_no_weights_of_one():
    plain, remembers = (set(build_detector(config).state_dict()) for config in (TINY, REMEMBERS))
    assert remembers - plain == {"network.memory.recall.weight", "network.memory.recall.bias"}
    assert not plain - remembers


def test_the_last_map_comes_back_with_the_motion_since():
    last = LastMap()
    then = sample_of(np.zeros((1, 4)), 0, map_from_ego=SE3.from_yaw("map", "ego", np.pi / 2, np.array([10.0, 0.0, 0.0])))
    now = sample_of(np.zeros((1, 4)), SECOND_NS // 2,
                    map_from_ego=SE3.from_yaw("map", "ego", np.pi / 2, np.array([10.0, 3.0, 0.0])))
    features = torch.rand(1, 4, 2, 2)
    assert last.exchange(then, features) is None
    earlier = last.exchange(now, torch.zeros(1, 4, 2, 2))
    assert earlier is not None
    assert torch.equal(earlier.features, features)
    torch.testing.assert_close(earlier.then_from_now[0], torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("drive, taken_ns", [("other", SECOND_NS // 2), ("drive", SECOND_NS), ("drive", 0), ("drive", -5)])
def test_another_drive_or_a_jump_in_time_forgets(drive, taken_ns):
    last, sample = LastMap(), sample_of(np.zeros((1, 4)), 0)
    last.exchange(sample, torch.zeros(1, 4, 2, 2))
    assert last.exchange(replace(sample, drive_id=drive, taken_ns=taken_ns), torch.zeros(1, 4, 2, 2)) is None


def test_a_detector_with_a_memory_says_something_else_after_it_has_seen_the_sample_before():
    torch.manual_seed(0)
    detector = build_detector(REMEMBERS).eval()
    assert detector.network.memory is not None
    torch.nn.init.normal_(detector.network.memory.recall.weight, std=0.5)
    torch.nn.init.constant_(detector.network.head.heatmap[-1].get_parameter("bias"), 2.0)
    points = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4)]).points[:1080]
    first, second = sample_of(points, 0), sample_of(points, SECOND_NS // 5)
    fresh = detector.detect(second)
    detector.detect(first)
    after_first = detector.detect(second)
    alone = detector.detect(replace(second, drive_id="other"))
    assert len(fresh) > 0
    assert not np.array_equal(fresh.boxes.center_m, after_first.boxes.center_m)
    np.testing.assert_array_equal(fresh.boxes.center_m, alone.boxes.center_m)
