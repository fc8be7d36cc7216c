import numpy as np

from dashboards.packet import unpack
from dashboards.scene import BOX_COLUMNS, Layer, Picture, Scene, box_table, pack_scene, pixels_from_map
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from tests.dashboards.small_drive import START_NS, STEP_NS, crossing_car, sample


def test_a_point_of_the_map_falls_on_the_pixel_that_the_camera_model_says():
    taken = sample(START_NS, SE3.from_yaw("map", "ego", 0.4, np.array([3.0, -2.0, 0.1])), 0)
    image = taken.images[0]
    map_from_camera = taken.map_from_ego @ taken.ego_from_sensor["CAM_FRONT"]
    place_camera_m = np.array([[1.0, -0.5, 12.0]])
    pixels, depth_m = image.camera.project(place_camera_m)
    place_map_m = map_from_camera.apply(place_camera_m)[0]
    u, v, w = pixels_from_map(Picture("front", START_NS, image.camera, map_from_camera, b"")) @ np.append(place_map_m, 1.0)
    np.testing.assert_allclose([u / w, v / w, w], [*pixels[0], depth_m[0]], atol=1e-9)


def test_a_row_of_the_table_holds_the_box_its_layer_and_its_age():
    car = crossing_car(START_NS, 3, "vehicle", 0.0)
    table = box_table([Layer("vehicle", "vehicle", car[:0]), Layer("fused", "fused", car)], START_NS + STEP_NS)
    assert table.shape == (1, BOX_COLUMNS)
    np.testing.assert_allclose(table[0, :10], [5.0, -9.6, 0.8, 4.4, 1.9, 1.6, np.pi / 2, 0.0, 8.0, 0.9], rtol=1e-6)
    np.testing.assert_allclose(table[0, 10:13], [1, 1, 0.1], rtol=1e-6)
    assert np.isnan(table[0, 13])
    assert table[0, 14:].tolist() == [-1, -1]


def test_identities_survive_at_full_width():
    objects = ObjectList.build(Boxes3D("map", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1)), "x", START_NS,
                               np.zeros(1, np.uint8), track_id=np.array([2**62 + 1]))
    _, arrays = unpack(pack_scene(Scene(START_NS, (Layer("x", "fused", objects),)), START_NS))
    assert arrays["ids"].tolist() == [2**62 + 1]


def test_a_scene_without_anything_packs():
    meta, arrays = unpack(pack_scene(Scene(START_NS), START_NS, {"moment": 0}))
    assert (meta["time_ns"], meta["ego"], meta["layers"], meta["moment"]) == (0, None, [], 0)
    assert {name: array.shape for name, array in arrays.items()} == {
        "points": (0, 4), "roadside_points": (0, 4), "boxes": (0, 16), "ids": (0,), "trails": (0, 4)}
