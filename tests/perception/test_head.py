import torch

from data_specs.objects import ObjectClass
from perception.grid import BevGrid
from perception.head import PRIOR, CenterHead, HeadMaps, Peaks, decode, one_for_each_place

GRID = BevGrid((-4.0, 4.0), (-4.0, 4.0), (-1.0, 3.0), 1.0)


def flat_maps(scenes: int = 1, classes: int = 2) -> HeadMaps:
    return HeadMaps(torch.full((scenes, classes, 8, 8), -20.0), torch.zeros(scenes, 8, 8, 8), torch.zeros(scenes, 7, 8, 8))


def test_a_fresh_head_expects_few_objects():
    torch.manual_seed(0)
    maps = CenterHead((ObjectClass.CAR,), 8).eval()(torch.zeros(1, 8, 4, 4))
    torch.testing.assert_close(maps.heatmap.sigmoid(), torch.full((1, 1, 4, 4), PRIOR), atol=5e-3, rtol=0)


def test_the_variances_never_move_the_features():
    features = torch.rand(1, 8, 4, 4, requires_grad=True)
    head = CenterHead((ObjectClass.CAR,), 8)
    head(features).log_variance.sum().backward()
    assert features.grad is None or float(features.grad.abs().sum()) == 0.0


def test_a_peak_hides_its_neighbours_of_the_same_class_only():
    maps = flat_maps()
    maps.heatmap[0, 0, 3, 3], maps.heatmap[0, 0, 3, 4], maps.heatmap[0, 1, 3, 4] = 3.0, 2.0, 1.0
    peaks = decode(maps, GRID, least_score=0.1)
    assert peaks.label.tolist() == [0, 1]
    torch.testing.assert_close(peaks.center_m[:, :2], torch.tensor([[-0.5, -0.5], [0.5, -0.5]]))


def test_peaks_come_best_first_and_no_more_than_asked():
    maps = flat_maps()
    for i, logit in enumerate((0.5, 2.0, 1.0)):
        maps.heatmap[0, 0, 2 * i, 2 * i] = logit
    assert decode(maps, GRID, most=2).score.tolist() == torch.tensor([2.0, 1.0]).sigmoid().tolist()


def test_scenes_of_a_batch_stay_apart():
    maps = flat_maps(scenes=2)
    maps.heatmap[1, 0, 0, 0] = 2.0
    assert decode(maps, GRID).scene.tolist() == [1]


def test_empty_heatmaps_give_no_peaks():
    assert len(decode(flat_maps(), GRID).score) == 0


def test_of_objects_in_one_place_the_best_stays_whatever_their_classes():
    peaks = Peaks(torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 0]), torch.tensor([0.5, 0.9, 0.3]),
                  torch.tensor([[0.0, 0.0, 0.8], [0.4, 0.0, 0.8], [0.0, 3.0, 0.8]]), torch.tensor([[4.5, 1.9, 1.6]]).repeat(3, 1),
                  torch.zeros(3), torch.zeros(3, 7))
    assert one_for_each_place(peaks).score.tolist() == torch.tensor([0.9, 0.3]).tolist()
    assert len(one_for_each_place(peaks[torch.zeros(0, dtype=torch.int64)]).score) == 0
