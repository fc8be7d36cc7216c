"""The ego's LiDAR and cameras, cast into one moment."""
import numpy as np
import pytest

pytest.importorskip("open3d")

from data_specs.boxes import Boxes3D
from replay.simulate.cameras import EGO_FROM_CAMERA, HEIGHT_PX, MODELS, WIDTH_PX, look, take_pictures
from replay.simulate.lidar import EGO_BEAMS, EGO_FROM_LIDAR, sweep
from replay.simulate.scenarios import SCENARIOS
from replay.simulate.scene import SceneBuilder
from replay.simulate.shading import Light
from replay.simulate.world import World


@pytest.fixture(scope="module")
def street():
    world = World(SCENARIOS["crossing"], 0)
    moment = world.moment(6.0)
    scene = SceneBuilder(world.street, world.cast).at(moment, without_ego=True)
    return world, moment, scene


@pytest.fixture(scope="module")
def swept(street):
    world, moment, scene = street
    return sweep(scene, EGO_BEAMS, moment.map_from_ego @ EGO_FROM_LIDAR, world.conditions, np.random.default_rng(0), 7)


def test_points_lie_in_the_box_of_whom_they_belong_to(street, swept):
    world, moment, _ = street
    boxes = Boxes3D("map", moment.center_m, world.cast.size_lwh_m + 0.2, moment.yaw_rad)  # range noise is up to 0.1 m here
    xyz_map_m = (moment.map_from_ego @ EGO_FROM_LIDAR).apply(swept.cloud.xyz_m.astype(float))
    inside = boxes.contains(xyz_map_m)
    owned = np.flatnonzero(swept.owner >= 0)
    assert len(owned) > 300
    assert inside[swept.owner[owned], owned].mean() > 0.995


def test_a_cloud_is_ring_by_ring_with_the_beams_elevations_and_intensities_from_zero_to_one(swept):
    cloud = swept.cloud
    assert 20_000 < len(cloud) < 34_688 and cloud.frame == "LIDAR_TOP"
    elevation = np.arctan2(cloud.xyz_m[:, 2], np.hypot(cloud.xyz_m[:, 0], cloud.xyz_m[:, 1]))
    np.testing.assert_allclose(elevation, EGO_BEAMS.elevation_rad[cloud.ring], atol=1e-3)
    assert cloud.intensity.min() >= 0.0 and cloud.intensity.max() <= 1.0
    assert not cloud.offset_ns.any()


def test_the_road_lies_at_height_zero_below_the_sensor(swept):
    near = np.hypot(swept.cloud.xyz_m[:, 0], swept.cloud.xyz_m[:, 1]) < 5.0
    heights = (swept.cloud.xyz_m[near & (swept.owner < 0), 2] + 1.84)
    assert np.median(heights) == pytest.approx(0.0, abs=0.02)


def test_pixels_see_what_the_camera_model_projects_onto_them(street):
    _, moment, scene = street
    view = look(scene, moment.map_from_ego)
    range_m = np.where(np.isfinite(view.hits.range_m), view.hits.range_m, 10.0)
    places_map_m = view.rays[:, :3] + view.rays[:, 3:] * range_m[:, None]
    per_camera = places_map_m.reshape(6, HEIGHT_PX, WIDTH_PX, 3)
    for model, places in zip(MODELS, per_camera):
        camera_from_map = (moment.map_from_ego @ EGO_FROM_CAMERA[model.frame]).inverse()
        picked = places[10::37, 5::53].reshape(-1, 3).astype(float)
        pixels, depth_m = model.project(camera_from_map.apply(picked))
        rows, columns = np.meshgrid(np.arange(10, HEIGHT_PX, 37), np.arange(5, WIDTH_PX, 53), indexing="ij")
        np.testing.assert_allclose(pixels, np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5, atol=0.05)
        assert (depth_m > 0).all()


def test_a_coarser_look_counts_about_as_many_pixels(street):
    _, moment, scene = street
    fine = look(scene, moment.map_from_ego).pixels_by_owner(scene)
    coarse = look(scene, moment.map_from_ego, every_px=2).pixels_by_owner(scene)
    large = fine > 150
    assert large.sum() >= 3
    np.testing.assert_allclose(coarse[large], fine[large], rtol=0.35)
    assert not coarse[fine == 0].any()


def test_six_pictures_show_sky_above_and_darker_road_below(street):
    world, moment, scene = street
    pictures = take_pictures(scene, look(scene, moment.map_from_ego), moment.map_from_ego, Light.of(world.conditions), 7,
                             np.random.default_rng(0))
    assert [picture.camera.frame for picture in pictures] == list(EGO_FROM_CAMERA)
    front = pictures[0].rgb.astype(int)
    assert front.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert front[:6, 150:200, 2].mean() > front[-6:, 150:200, 2].mean() + 30
    assert all(picture.rgb.std() > 15 for picture in pictures)
