"""A real nuScenes key frame as a network gets it: six pictures brought to 128 x 352, and where things lie in them."""
import numpy as np
import pytest
import torch

from data_specs.arrays import Array
from data_specs.sensors import CameraImage, Sample
from perception.assemble import build_detector
from perception.batch import collate
from perception.camera import lidar_depth_m
from perception.config import DetectorConfig
from perception.scene import ego_points, scene_of
from replay.drive import EGO_SAMPLES, TRUTH
from replay.importers.nuscenes import NuScenesImporter

pytestmark = pytest.mark.sample_data
IMAGE_HW = DetectorConfig().image_hw
STRIDE = 4


@pytest.fixture(scope="module")
def key_frame(sample_data):
    events = {event.topic: event.payload for event in NuScenesImporter(sample_data / "nuscenes_keyframe")}
    sample, truth = events[EGO_SAMPLES], events[TRUTH]
    return sample, truth, scene_of(sample, (), truth, IMAGE_HW)


def places(matrix: Array, xyz_m: Array) -> tuple[Array, Array]:
    """Pixels [n, 2] and depths [n] of points [n, 3] by pixels_from_ego [3, 4]; pixels are NaN behind the lens."""
    u, v, depth_m = matrix.astype(np.float64) @ np.column_stack([xyz_m, np.ones(len(xyz_m))]).T
    safe_m = np.where(depth_m > 0.5, depth_m, np.nan)
    return np.column_stack([u / safe_m, v / safe_m]), depth_m


def original_places(sample: Sample, image: CameraImage, xyz_m: Array) -> tuple[Array, Array]:
    """The same in the picture as it was taken."""
    pixels, depth_m = image.camera.project(sample.ego_from_sensor[image.camera.frame].inverse().apply(xyz_m))
    return np.where((depth_m > 0.5)[:, None], pixels, np.nan), depth_m


def test_six_pictures_of_the_networks_size_without_a_black_row(key_frame):
    sample, _, scene = key_frame
    assert scene.images.shape == (6, *IMAGE_HW, 3) and scene.pixels_from_ego.shape == (6, 3, 4)
    assert {image.rgb.shape for image in sample.images} == {(900, 1600, 3)}
    assert (scene.images.max(axis=(2, 3)) > 0).all()


def test_box_centres_keep_their_place_across_and_their_distance_from_the_cut(key_frame):
    sample, truth, scene = key_frame
    center_m = sample.map_from_ego.inverse().apply(truth.objects.boxes.center_m)
    scale = IMAGE_HW[1] / 1600
    shown = inside = 0
    for image, matrix in zip(sample.images, scene.pixels_from_ego, strict=True):
        (was_px, was_m), (is_px, is_m) = original_places(sample, image, center_m), places(matrix, center_m)
        seen = image.camera.sees(was_px)
        np.testing.assert_allclose(is_m, was_m, atol=1e-4)
        np.testing.assert_allclose(is_px[seen, 0] / IMAGE_HW[1], was_px[seen, 0] / 1600, atol=1e-4)
        cut_px = was_px[seen, 1] * scale - is_px[seen, 1]
        assert np.ptp(cut_px) < 0.05 and 0 <= cut_px[0] <= 900 * scale - IMAGE_HW[0]
        shown += int(seen.sum())
        inside += int(((is_px[seen, 1] >= 0) & (is_px[seen, 1] < IMAGE_HW[0])).sum())
    assert inside == shown == 80  # the cut takes sky and road alone


def test_a_fitted_picture_shows_at_a_place_what_the_original_shows_there(key_frame):
    sample, _, scene = key_frame
    xyz_m = ego_points(sample)[:, :3].astype(np.float64)
    for image, rgb, matrix in zip(sample.images, scene.images, scene.pixels_from_ego, strict=True):
        (was_px, _), (is_px, _) = original_places(sample, image, xyz_m), places(matrix, xyz_m)
        kept = image.camera.sees(was_px) & (is_px >= 3).all(axis=1) & (is_px < np.array(IMAGE_HW[::-1]) - 3).all(axis=1)
        was = softened(image.rgb, 4)[tuple(was_px[kept].astype(int).T[::-1])]
        like = {shift: np.corrcoef(was, rgb.mean(axis=2)[tuple((is_px[kept] + shift).astype(int).T[::-1])])[0, 1]
                for shift in ((0, 0), (3, 0), (-3, 0), (0, 3), (0, -3))}
        assert max(like, key=like.__getitem__) == (0, 0) and like[0, 0] > 0.95


def softened(rgb: Array, size_px: int) -> Array:
    """Grey [h, w]: the mean of each block, as coarse as a fitted picture."""
    grey = rgb.mean(axis=2)
    h, w = grey.shape[0] // size_px, grey.shape[1] // size_px
    blocks = grey[:h * size_px, :w * size_px].reshape(h, size_px, w, size_px).mean(axis=(1, 3))
    return np.kron(blocks, np.ones((size_px, size_px)))


def test_the_lidar_measures_depth_in_every_picture(key_frame):
    """The nearest return of a cell is what the cell says, and a third of the cells below the horizon have one."""
    sample, _, scene = key_frame
    batch = collate([scene])
    depth_m = lidar_depth_m(batch.points, batch.scene, batch.pixels_from_ego, IMAGE_HW, STRIDE)[0].numpy()
    below = depth_m[:, round(0.45 * depth_m.shape[1]):]
    assert ((below > 0).mean(axis=(1, 2)) > 0.33).all()
    xyz_m = ego_points(sample)[:, :3].astype(np.float64)
    for measured_m, matrix in zip(depth_m, scene.pixels_from_ego, strict=True):
        pixels, ahead_m = places(matrix, xyz_m)
        inside = (pixels >= 0).all(axis=1) & (pixels < IMAGE_HW[::-1]).all(axis=1)
        column, row = (pixels[inside] // STRIDE).astype(int).T
        nearest_m = np.full(measured_m.shape, np.inf)
        np.minimum.at(nearest_m, (row, column), ahead_m[inside])
        off_m = np.abs(np.where(np.isfinite(nearest_m), nearest_m, 0.0) - measured_m)
        assert np.mean(off_m > 1e-3) < 0.01  # points on a cell's edge fall either way


def test_a_network_that_learnt_nothing_says_nothing_that_cannot_be(key_frame):
    sample, _, _ = key_frame
    torch.manual_seed(0)
    detector = build_detector(DetectorConfig()).eval()
    detector.network.head.heatmap[-1].get_parameter("bias").data.zero_()  # as likely as not, everywhere
    found = detector.detect(sample)
    assert len(found) > 20
    reach_m = detector.config.range_m + 1.0
    assert found.boxes.frame == "ego" and (np.abs(found.boxes.center_m[:, :2]) < reach_m).all()
    assert np.isfinite(found.velocity_mps).all() and (found.boxes.size_lwh_m > 0).all()
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()
