from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from perception.grid import BevGrid
from perception.head import HeadMaps, decode
from perception.targets import FEWEST_PIXELS, aligned_overlap, gaussian_radius_cells, make_targets, seen_by_sensors
from replay.metrics.overlap import upright_iou
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


def test_what_no_sensor_sees_is_neither_target_nor_punished():
    scene = scene_with([(CAR, 5.0, 2.0, 0.4)])
    hidden = replace(scene, points_in_box=np.zeros(1, np.int32), pixels_visible=np.full(1, FEWEST_PIXELS - 1, np.int32))
    targets = make_targets([hidden], CLASSES, GRID)
    assert targets.heatmap.max() == 0.0
    assert len(targets.cell) == 0
    assert targets.weight[0, 0, int((2.0 + 12.8) / 0.8), int((5.0 + 12.8) / 0.8)] == 0.0
    assert targets.weight[0, 0, 0, 0] == 1.0


@pytest.mark.parametrize("points, pixels, seen", [(1, 0, True), (0, FEWEST_PIXELS, True), (0, FEWEST_PIXELS - 1, False),
                                                  (-1, -1, True), (0, -1, False), (-1, 0, False), (3, -1, True)])
def test_seen_is_a_return_or_enough_pixels_or_what_nobody_counted(points, pixels, seen):
    scene = replace(scene_with([(CAR, 5.0, 2.0, 0.4)]), points_in_box=np.full(1, points, np.int32),
                    pixels_visible=np.full(1, pixels, np.int32))
    assert seen_by_sensors(scene).tolist() == [seen]
    assert len(make_targets([scene], CLASSES, GRID).cell) == seen


def test_velocities_are_targets_and_unknown_ones_stay_unknown():
    scene = scene_with([(CAR, 5.0, 2.0, 0.4), (CAR, -5.0, 2.0, 0.4)])
    moving = replace(scene, velocity_mps=np.array([[3.0, -1.0], [np.nan, np.nan]]))
    box = make_targets([moving], CLASSES, GRID).box
    assert box[0, 8:].tolist() == [3.0, -1.0] and box[1, 8:].isnan().all() and torch.isfinite(box[:, :8]).all()


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
    assert targets.box.shape == (0, 10)


@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.floats(-12.0, 12.0), st.floats(-12.0, 12.0), st.floats(-3.0, 3.0)),
                min_size=1, max_size=1))
def test_decoding_perfect_maps_gives_the_boxes_back(objects):
    scene = scene_with(objects)
    targets = make_targets([scene], CLASSES, GRID)
    box = torch.zeros(1, 10, GRID.ny, GRID.nx)
    (_, iy, ix), = targets.cell.tolist()
    box[0, :, iy, ix] = targets.box[0]
    maps = HeadMaps(torch.logit(targets.heatmap.clamp(1e-4, 1 - 1e-4)), box, torch.zeros(1, 1, GRID.ny, GRID.nx),
                    torch.zeros(1, 10, GRID.ny, GRID.nx))
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


def exact_overlap(box: torch.Tensor, target: torch.Tensor, cell_m: float) -> np.ndarray:
    """Intersection over union in space [k] of boxes [k, 10], BOX_NUMBERS in one cell, without approximation."""
    rows = []
    for numbers in (box.numpy(), target.numpy()):
        size_m = np.exp(numbers[:, 3:6])
        rows.append((np.column_stack([numbers[:, :2] * cell_m, size_m[:, :2], np.arctan2(numbers[:, 6], numbers[:, 7])]),
                     numbers[:, 2] - size_m[:, 2] / 2, numbers[:, 2] + size_m[:, 2] / 2))
    (a, low_a, high_a), (b, low_b, high_b) = rows
    return upright_iou(a, b, low_a, high_a, low_b, high_b)[1]


def boxes_and_errors(seed: int, most_turn_rad: float, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """200 pairs of boxes [200, 10] of cars whose errors are drawn up to a scale of their size."""
    rng = np.random.default_rng(seed)
    yaw, turn = rng.uniform(-np.pi, np.pi, 200), rng.uniform(-most_turn_rad, most_turn_rad, 200)
    place = rng.uniform(-1.0, 1.0, (200, 3))
    size = np.log([4.5, 1.9, 1.6]) + rng.uniform(-0.2, 0.2, (200, 3))
    moved = rng.uniform(-1.0, 1.0, (2, 200, 3)) * scale
    numbers = [np.column_stack([at, extent, np.sin(heading), np.cos(heading), np.zeros((200, 2))])
               for at, extent, heading in ((place, size, yaw), (place + moved[0], size + 0.3 * moved[1], yaw + turn))]
    return torch.from_numpy(numbers[1]), torch.from_numpy(numbers[0])


def test_the_overlap_of_aligned_boxes_is_exact():
    box, target = boxes_and_errors(0, most_turn_rad=0.0, scale=0.6)
    np.testing.assert_allclose(aligned_overlap(box, target, 0.8).numpy(), exact_overlap(box, target, 0.8), atol=1e-9)


def test_the_overlap_of_slightly_turned_boxes_is_close():
    box, target = boxes_and_errors(1, most_turn_rad=0.1, scale=0.2)
    np.testing.assert_allclose(aligned_overlap(box, target, 0.8).numpy(), exact_overlap(box, target, 0.8), atol=0.12)


def test_better_boxes_overlap_more_by_either_measure():
    box, target = boxes_and_errors(2, most_turn_rad=0.3, scale=0.5)
    ours, exact = aligned_overlap(box, target, 0.8).numpy(), exact_overlap(box, target, 0.8)
    assert np.corrcoef(ours, exact)[0, 1] > 0.95


def test_a_box_turned_half_round_is_worth_half():
    box, target = boxes_and_errors(3, most_turn_rad=0.0, scale=0.0)
    box[:, 6:8] *= -1.0
    torch.testing.assert_close(aligned_overlap(box, target, 0.8), torch.full((200,), 0.5, dtype=torch.float64))


def test_an_overlap_asks_not_for_numbers_of_length_one():
    box, target = boxes_and_errors(4, most_turn_rad=0.2, scale=0.2)
    stretched = box.clone()
    stretched[:, 6:8] *= 3.0
    torch.testing.assert_close(aligned_overlap(stretched, target, 0.8), aligned_overlap(box, target, 0.8))


def test_boxes_apart_do_not_overlap():
    box, target = boxes_and_errors(5, most_turn_rad=0.0, scale=0.0)
    box[:, 0] += 20.0
    assert not aligned_overlap(box, target, 0.8).any()
