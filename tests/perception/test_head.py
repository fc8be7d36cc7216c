import pytest
import torch

from data_specs.objects import ObjectClass
from perception.grid import BevGrid
from perception.head import PRIOR, QUALITY_SHARE, CenterHead, HeadMaps, Peaks, decode, one_for_each_place, peaks_of

GRID = BevGrid((-4.0, 4.0), (-4.0, 4.0), (-1.0, 3.0), 1.0)


def flat_maps(scenes: int = 1, classes: int = 2) -> HeadMaps:
    return HeadMaps(torch.full((scenes, classes, 8, 8), -20.0), torch.zeros(scenes, 10, 8, 8), torch.zeros(scenes, 1, 8, 8),
                    torch.zeros(scenes, 10, 8, 8))


def cars_at(*x_y_score: tuple[float, float, float], label: int = 0) -> Peaks:
    table = torch.tensor(x_y_score).reshape(-1, 3)
    m = len(table)
    return Peaks(torch.zeros(m, dtype=torch.int64), torch.full((m,), label), table[:, 2],
                 torch.cat([table[:, :2], torch.full((m, 1), 0.8)], dim=1), torch.tensor([[4.5, 1.9, 1.6]]).repeat(m, 1),
                 torch.zeros(m), torch.zeros(m, 2), torch.zeros(m, 10))


def test_a_fresh_head_expects_few_objects():
    torch.manual_seed(0)
    maps = CenterHead((ObjectClass.CAR,), 8).eval()(torch.zeros(1, 8, 4, 4))
    torch.testing.assert_close(maps.heatmap.sigmoid(), torch.full((1, 1, 4, 4), PRIOR), atol=5e-3, rtol=0)


@pytest.mark.parametrize("part", ["quality", "spread"])
def test_quality_and_spread_never_move_the_boxes(part):
    features = torch.rand(1, 8, 4, 4, requires_grad=True)
    head = CenterHead((ObjectClass.CAR,), 8)
    getattr(head(features), part).sum().backward()
    assert features.grad is None or float(features.grad.abs().sum()) == 0.0
    assert all(p.grad is None for p in head.geometry.parameters())


def test_candidates_are_what_the_maps_hold_at_their_cells():
    torch.manual_seed(0)
    head = CenterHead((ObjectClass.CAR, ObjectClass.PEDESTRIAN), 8, 8).eval()
    features = torch.randn(2, 8, 8, 8)
    from_maps = decode(head(features), GRID, least_score=0.0, most=20)
    at_cells = peaks_of(head.candidates(features, most=20), GRID, 8, least_score=0.0)
    for name in ("scene", "label", "score", "center_m", "size_lwh_m", "velocity_mps", "spread"):
        torch.testing.assert_close(getattr(at_cells, name), getattr(from_maps, name), atol=1e-5, rtol=1e-4)


def test_a_peak_hides_its_neighbours_of_the_same_class_only():
    maps = flat_maps()
    maps.heatmap[0, 0, 3, 3], maps.heatmap[0, 0, 3, 4], maps.heatmap[0, 1, 3, 4] = 3.0, 2.0, 1.0
    peaks = decode(maps, GRID, least_score=0.1)
    assert peaks.label.tolist() == [0, 1]
    torch.testing.assert_close(peaks.center_m[:, :2], torch.tensor([[-0.5, -0.5], [0.5, -0.5]]))


def test_a_box_is_read_from_the_numbers_at_its_peak():
    maps = flat_maps()
    maps.heatmap[0, 1, 2, 5] = 3.0
    maps.box[0, :, 2, 5] = torch.tensor([0.25, -0.5, 0.7, 1.5, 0.5, 0.4, 1.0, 0.0, 3.0, -2.0])
    maps.spread[0, :, 2, 5] = torch.arange(10.0)
    peaks = decode(maps, GRID)
    torch.testing.assert_close(peaks.center_m, torch.tensor([[1.75, -2.0, 0.7]]))
    torch.testing.assert_close(peaks.size_lwh_m, torch.tensor([[1.5, 0.5, 0.4]]).exp())
    torch.testing.assert_close(peaks.yaw_rad, torch.tensor([torch.pi / 2]))
    assert peaks.velocity_mps.tolist() == [[3.0, -2.0]] and peaks.spread.tolist() == [list(range(10))]


def test_a_score_is_the_geometric_mean_of_heat_and_quality():
    maps = flat_maps()
    maps.heatmap[0, 0, 3, 3], maps.quality[0, 0, 3, 3] = 0.4, -1.2
    heat, quality = torch.tensor([0.4]).sigmoid(), torch.tensor([-1.2]).sigmoid()
    torch.testing.assert_close(decode(maps, GRID).score, heat ** (1 - QUALITY_SHARE) * quality**QUALITY_SHARE)


def test_of_two_peaks_as_hot_the_better_box_comes_first():
    maps = flat_maps()
    maps.heatmap[0, 0, 1, 1] = maps.heatmap[0, 0, 6, 6] = 1.0
    maps.quality[0, 0, 6, 6] = 2.0
    assert decode(maps, GRID).center_m[:, 0].tolist() == [2.5, -2.5]


def test_the_hottest_cells_are_kept_however_many_there_are():
    maps = flat_maps()
    for i, logit in enumerate((0.5, 2.0, 1.0)):
        maps.heatmap[0, 0, 2 * i, 2 * i] = logit
    assert decode(maps, GRID, most=2).center_m[:, 0].tolist() == [-1.5, 0.5]


def test_scenes_of_a_batch_stay_apart():
    maps = flat_maps(scenes=2)
    maps.heatmap[1, 0, 0, 0] = 2.0
    assert decode(maps, GRID).scene.tolist() == [1]


def test_empty_heatmaps_give_no_peaks():
    assert len(decode(flat_maps(), GRID).score) == 0


def test_a_size_stays_within_what_stands_on_a_street():
    maps = flat_maps()
    maps.heatmap[0, 0, 3, 3] = 3.0
    maps.box[0, 3, 3, 3], maps.box[0, 4, 3, 3] = 80.0, -80.0
    size_m = decode(maps, GRID).size_lwh_m[0]
    assert size_m[0] < 34.0 and size_m[1] > 0.04


def test_of_objects_in_one_place_the_best_stays_whatever_their_classes():
    van, car = cars_at((0.4, 0.0, 0.9), label=1), cars_at((0.0, 0.0, 0.5), (0.0, 3.0, 0.3))
    both = Peaks(*(torch.cat([getattr(van, name), getattr(car, name)]) for name in Peaks.__dataclass_fields__))
    assert one_for_each_place(both).score.tolist() == torch.tensor([0.9, 0.3]).tolist()
    assert len(one_for_each_place(both[torch.zeros(0, dtype=torch.int64)]).score) == 0
