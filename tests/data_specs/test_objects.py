import numpy as np
import pytest
from hypothesis import given

from data_specs.boxes import Boxes3D
from data_specs.errors import FrameError, SpecError, UnknownFormat
from data_specs.objects import KITTI_CLASSES, ObjectClass, ObjectList, Truth, class_of, concatenate
from data_specs.pose import SE3
from tests.data_specs.strategies import level_poses, random_objects


def test_a_mask_an_index_and_a_slice_select_the_same_rows():
    objects = random_objects(6)
    mask = np.array([False, True, False, True, False, False])
    for rows in (mask, np.array([1, 3]), slice(1, 4, 2)):
        np.testing.assert_array_equal(objects[rows].covariance, objects.covariance[[1, 3]])
        np.testing.assert_array_equal(objects[rows].boxes.center_m, objects.boxes.center_m[[1, 3]])


@given(level_poses("map", "ego"))
def test_turning_objects_turns_velocities_and_keeps_covariances_as_wide(map_from_ego):
    objects = random_objects(4, "ego")
    moved = objects.transformed(map_from_ego)
    np.testing.assert_allclose(np.linalg.norm(moved.velocity_mps, axis=1), np.linalg.norm(objects.velocity_mps, axis=1))
    np.testing.assert_allclose(np.linalg.eigvalsh(moved.covariance), np.linalg.eigvalsh(objects.covariance), atol=1e-7)
    np.testing.assert_allclose(moved.transformed(map_from_ego.inverse()).covariance, objects.covariance, atol=1e-7)


def test_an_unmeasured_velocity_does_not_spoil_a_measured_position():
    covariance = np.full((1, 6, 6), np.nan)
    covariance[0, :4, :4] = np.diag([1.0, 4.0, 1.0, 0.1])
    boxes = Boxes3D("ego", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1))
    objects = ObjectList.build(boxes, "s", 0, np.array([1]), covariance=covariance)
    turned = objects.transformed(SE3.from_yaw("map", "ego", np.pi / 2, np.zeros(3))).covariance[0]
    np.testing.assert_allclose(turned[:2, :2], np.diag([4.0, 1.0]), atol=1e-12)
    assert np.isnan(turned[4:]).all()


@pytest.mark.parametrize("name", ["score", "existence"])
@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5])
def test_a_probability_is_one(name, wrong):
    boxes = Boxes3D("ego", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1))
    with pytest.raises(SpecError, match=f"{name}: .* at row 0, expected 0 to 1"):
        ObjectList.build(boxes, "s", 0, np.array([1]), **{name: np.array([wrong])})


def test_a_class_that_is_not_known_is_refused_by_number_and_by_name():
    boxes = Boxes3D("ego", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1))
    with pytest.raises(SpecError, match="label: 99, expected an ObjectClass of 0 to 15"):
        ObjectList.build(boxes, "s", 0, np.array([99]))
    with pytest.raises(UnknownFormat, match=r"label_2/000001.txt:3: class 'Spaceship', expected one of Car, Van"):
        class_of("Spaceship", KITTI_CLASSES, "label_2/000001.txt:3")


def test_truth_and_its_objects_have_as_many_rows():
    truth = Truth.build(random_objects(3), attribute=("vehicle.moving", "", ""))
    assert truth[np.array([True, False, False])].attribute == ("vehicle.moving",)
    with pytest.raises(SpecError, match="attribute: 1 rows, expected 3 as in objects"):
        Truth.build(random_objects(3), attribute=("vehicle.moving",))


def test_lists_of_one_frame_join_in_order():
    a, b = random_objects(2, seed=1), random_objects(3, seed=2)
    joined = concatenate([a, b], "both")
    np.testing.assert_array_equal(joined.track_id, np.concatenate([a.track_id, b.track_id]))
    with pytest.raises(FrameError, match="expected one frame"):
        concatenate([a, random_objects(1, "ego")], "both")


def test_class_numbers_never_change():
    first = ["unknown", "car", "truck", "bus", "trailer", "construction_vehicle", "pedestrian"]
    assert [c.title for c in ObjectClass][:7] == first
