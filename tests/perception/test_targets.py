from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from perception.grid import BevGrid
from perception.head import HeadMaps, decode
from perception.targets import gaussian_radius_cells, make_targets
from tests.perception.scenes import scene_with

GRID = BevGrid((-12.8, 12.8), (-12.8, 12.8), (-2.0, 4.0), 0.8)
CLASSES = (ObjectClass.CAR, ObjectClass.PEDESTRIAN)
CAR, PEDESTRIAN = CLASSES


def test_each_centre_is_a_peak_of_exactly_one_in_its_class():
    targets = make_targets([scene_with([(CAR, 5.0, 2.0, 0.4), (PEDESTRIAN, -3.0, -6.0, 2.0)])], CLASSES, GRID)
    assert (targets.heatmap == 1.0).sum() == 2
    for k, (scene, iy, ix) in enumerate(targets.cell.tolist()):
        assert targets.heatmap[scene, k, iy, ix] == 1.0
    assert targets.weight.min() == 1.0


def test_an_object_without_a_return_is_neither_target_nor_punished():
    scene = scene_with([(CAR, 5.0, 2.0, 0.4)])
    hidden = replace(scene, points_in_box=np.zeros(1, np.int32))
    targets = make_targets([hidden], CLASSES, GRID)
    assert targets.heatmap.max() == 0.0
    assert len(targets.cell) == 0
    assert targets.weight[0, 0, int((2.0 + 12.8) / 0.8), int((5.0 + 12.8) / 0.8)] == 0.0
    assert targets.weight[0, 0, 0, 0] == 1.0


def test_an_object_with_an_unknown_count_of_returns_is_a_target():
    scene = replace(scene_with([(CAR, 5.0, 2.0, 0.4)]), points_in_box=np.full(1, -1, np.int32))
    assert len(make_targets([scene], CLASSES, GRID).cell) == 1


def test_objects_of_other_classes_are_left_out_and_go_unpunished():
    targets = make_targets([scene_with([(CAR, 5.0, 2.0, 0.4)])], (PEDESTRIAN,), GRID)
    assert len(targets.cell) == 0
    assert targets.weight.min() == 0.0


def test_objects_beyond_the_grid_are_left_out():
    assert len(make_targets([scene_with([(CAR, 12.9, 0.0, 0.0)])], CLASSES, GRID).cell) == 0


def test_scenes_without_objects_give_empty_targets():
    targets = make_targets([scene_with([]), scene_with([])], CLASSES, GRID)
    assert targets.heatmap.shape == (2, 2, 32, 32)
    assert targets.heatmap.max() == 0.0
    assert targets.box.shape == (0, 8)


@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.floats(-12.0, 12.0), st.floats(-12.0, 12.0), st.floats(-3.0, 3.0)),
                min_size=1, max_size=1))
def test_decoding_perfect_maps_gives_the_boxes_back(objects):
    scene = scene_with(objects)
    targets = make_targets([scene], CLASSES, GRID)
    box = torch.zeros(1, 8, GRID.ny, GRID.nx)
    (_, iy, ix), = targets.cell.tolist()
    box[0, :, iy, ix] = targets.box[0]
    maps = HeadMaps(torch.logit(targets.heatmap.clamp(1e-4, 1 - 1e-4)), box, torch.zeros(1, 7, GRID.ny, GRID.nx))
    peaks = decode(maps, GRID, least_score=0.9)
    np.testing.assert_allclose(peaks.center_m.numpy(), scene.boxes.center_m, atol=1e-4)
    np.testing.assert_allclose(peaks.size_lwh_m.numpy(), scene.boxes.size_lwh_m, atol=1e-4)
    np.testing.assert_allclose(np.cos(peaks.yaw_rad.numpy() - scene.boxes.yaw_rad), 1.0, atol=1e-4)
    assert [CLASSES[i] for i in peaks.label.tolist()] == [objects[0][0]]


@given(st.floats(2.0, 30.0), st.floats(2.0, 30.0))
def test_a_box_shifted_by_the_radius_still_overlaps_as_asked(length, width):
    radius = float(gaussian_radius_cells(torch.tensor([[length, width]], dtype=torch.float64), overlap=0.5)[0])
    if radius > 2.0:  # the least radius of CenterPoint may break the promise for small boxes
        shared = max(length - radius, 0.0) * max(width - radius, 0.0)
        assert shared / (2 * length * width - shared) >= 0.5 - 1e-9
