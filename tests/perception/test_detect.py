from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from data_specs.errors import InputError, OutOfMemory, SpecError
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, Sample
from perception.assemble import build_detector
from perception.config import DetectorConfig
from perception.detect import LEAST_SCORE, CalibratedDetector
from perception.device_memory import out_of_memory_named
from perception.head import Peaks
from perception.stage import SampleMemory
from replay.importers.kitti_calibration import read_calibration
from tests.perception.scenes import CAMERA_YAWS_RAD, IMAGE_HW, TINY, TINY_LIDAR, ego_from_camera, sample_of, scene_with

SCENE = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)], cameras=4)
POINTS = SCENE.points[SCENE.points[:, 4] == 0]
PICTURES = dict(zip(CAMERA_YAWS_RAD, SCENE.images))
NO_POINTS = np.zeros((0, 4))
LIDAR_ALONE, CAMERAS_ALONE = replace(TINY, camera=None), replace(TINY, lidar=None)


def detector(config: DetectorConfig = TINY) -> CalibratedDetector:
    """A fresh detector that takes a good part of the map for objects."""
    torch.manual_seed(0)
    built = build_detector(config).eval()
    torch.nn.init.constant_(built.network.head.heatmap[-1].get_parameter("bias"), 0.0)
    return built


def assert_same(got: ObjectList, expected: ObjectList) -> None:
    assert len(expected) > 0, "nothing found proves nothing"
    np.testing.assert_array_equal(got.boxes.center_m, expected.boxes.center_m)
    np.testing.assert_array_equal(got.score, expected.score)


def assert_sane(objects: ObjectList) -> None:
    assert objects.boxes.frame == "ego"
    assert len(objects) > 0
    assert (np.abs(objects.boxes.center_m[:, :2]) < TINY.range_m + 5).all()
    assert ((objects.score >= LEAST_SCORE) & (objects.score <= 1)).all()
    assert np.isfinite(objects.velocity_mps).all()
    assert (np.linalg.eigvalsh(objects.covariance) > 0).all()


@pytest.mark.parametrize("points, pictures", [(POINTS, PICTURES), (POINTS, {}), (NO_POINTS, PICTURES),
                                              (NO_POINTS, {"CAM_BACK": PICTURES["CAM_BACK"]})])
def test_any_sensor_that_works_gives_sane_objects(points, pictures):
    assert_sane(detector().detect(sample_of(points, pictures=pictures)))


@pytest.mark.parametrize("points", [NO_POINTS, np.full((5, 4), np.nan)])
@pytest.mark.parametrize("config", [TINY, LIDAR_ALONE])
def test_a_cloud_without_a_usable_point_gives_an_empty_list_in_ego(config, points):
    objects = detector(config).detect(sample_of(points))
    assert (len(objects), objects.boxes.frame, objects.source) == (0, "ego", "tiny")


@pytest.mark.parametrize("config, points, pictures, wanted", [
    (TINY, None, {}, "0 point clouds, 0 images, expected a point cloud or a camera image for tiny"),
    (LIDAR_ALONE, None, PICTURES, "0 point clouds, 4 images, expected a point cloud for tiny"),
    (CAMERAS_ALONE, POINTS, {}, "1 point clouds, 0 images, expected a camera image for tiny"),
])
def test_a_sample_without_the_sensors_of_the_network_is_refused_with_its_time(config, points, pictures, wanted):
    sample = sample_of(POINTS if points is None else points, 9, pictures=pictures)
    with pytest.raises(SpecError, match=f"sample drive at 9 ns: {wanted}"):
        detector(config).detect(sample if points is not None else replace(sample, clouds=()))


def test_a_black_picture_is_as_none():
    covered = {**PICTURES, "CAM_LEFT": np.zeros((*IMAGE_HW, 3), np.uint8)}
    others = {name: rgb for name, rgb in PICTURES.items() if name != "CAM_LEFT"}
    built = detector()
    assert_same(built.detect(sample_of(POINTS, pictures=covered)), built.detect(sample_of(POINTS, pictures=others)))


def test_cameras_that_are_all_black_show_nothing():
    dark = {name: np.zeros_like(rgb) for name, rgb in PICTURES.items()}
    assert len(detector(CAMERAS_ALONE).detect(sample_of(POINTS, pictures=dark))) == 0


def test_points_that_are_not_finite_change_nothing():
    damaged = np.concatenate([POINTS[:, :4], [[np.nan, 0, 0, 0], [0, np.inf, 0, 0], [0, 0, 0, np.nan]]])
    built = detector()
    assert_same(built.detect(sample_of(damaged, pictures=PICTURES)), built.detect(sample_of(POINTS, pictures=PICTURES)))


@pytest.mark.parametrize("where", [(0, 0), (1, 2)])
def test_intrinsics_that_are_not_finite_never_become_a_camera(where):
    matrix_px = np.diag([100.0, 100.0, 1.0])
    matrix_px[where] = np.nan
    with pytest.raises(SpecError, match=rf"matrix_px: nan at index \[{where[0]}, {where[1]}\], expected finite values"):
        CameraModel("CAM_FRONT", 64, 32, matrix_px, np.zeros(0))


def test_a_recording_whose_intrinsics_are_not_finite_is_refused_with_its_file(tmp_path):
    """KITTI's text is where a NaN can be written; the other importers build the same CameraModel."""
    (tmp_path / "000001.txt").write_text("P2: nan 0 600 0 0 700 200 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\n"
                                         "Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    with pytest.raises(InputError, match=r"000001\.txt:1: P2 is not finite, expected 12 finite numbers"):
        read_calibration(tmp_path / "000001.txt", (1242, 375))


def test_a_projection_that_is_not_finite_never_becomes_a_scene():
    matrices = SCENE.pixels_from_ego.copy()
    matrices[2, 0, 3] = np.inf
    with pytest.raises(SpecError, match=r"pixels_from_ego: inf at index \[2, 0, 3\], expected finite values"):
        replace(SCENE, pixels_from_ego=matrices)


@pytest.mark.parametrize("height, width", [(900, 1600), (480, 480), (200, 90), (16, 900), (1, 1)])
def test_pictures_of_any_size_and_aspect_are_taken(height, width):
    matrix_px = np.array([[width / 2, 0.0, width / 2], [0.0, width / 2, height / 2], [0.0, 0.0, 1.0]])
    model = CameraModel("CAM_FRONT", width, height, matrix_px, np.zeros(0))
    rgb = np.random.default_rng(0).integers(60, 200, (height, width, 3), dtype=np.uint8)
    sample = Sample("drive", 7, (), (CameraImage(7, rgb, model),), SE3.identity("map", "ego"),
                    {"CAM_FRONT": ego_from_camera("CAM_FRONT")})
    assert_sane(detector().detect(sample))


def stream(hz: float, seconds: float = 1.0) -> list[Sample]:
    """Samples of a street and an ego that stand still."""
    times_ns = np.arange(0, seconds * 1e9 + 1, 1e9 / hz).astype(np.int64)
    return [sample_of(POINTS, int(time_ns), pictures=PICTURES) for time_ns in times_ns]


def last_of(samples: Sequence[Sample]) -> ObjectList:
    """What is found in the last sample of a stream, with those before it as they are remembered."""
    memory, built = SampleMemory(), detector()
    for sample in samples[:-1]:
        memory.before(sample)
    return built.detect(samples[-1], memory.before(samples[-1]))


def test_streams_of_any_rate_give_sane_objects_and_those_that_hold_the_same_sweeps_give_the_same():
    for hz in (1.0, 2.0, 5.0, 10.0, 25.0):
        assert_sane(last_of(stream(hz)))
    assert_same(last_of(stream(20.0)), last_of(stream(10.0)))
    assert_same(last_of(stream(1.0)), detector().detect(stream(1.0)[0]))
    assert not np.array_equal(last_of(stream(2.0)).score, last_of(stream(1.0)).score), "a sweep of half a second ago is a sweep"


def test_detection_repeats_to_the_bit():
    built, sample = detector(), sample_of(POINTS, pictures=PICTURES)
    assert_same(built.detect(sample), built.detect(sample))


def test_objects_carry_their_class_time_velocity_and_uncertainty():
    log_sigma = torch.tensor([[0.2, 0.3, 0.0, 0.1, 0.5, 0.1, 0.2, 0.3, 1.0, 2.0]]).clamp(min=1e-9).log()
    log_sigma[0, 2] = 0.0  # x and y err apart
    peaks = Peaks(torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64), torch.tensor([0.7]),
                  torch.tensor([[3.0, 4.0, 0.9]]), torch.tensor([[0.7, 0.6, 1.7]]), torch.tensor([0.5]),
                  torch.tensor([[1.0, -2.0]]), log_sigma)
    objects = detector().objects(peaks, 7)
    assert (objects.label.tolist(), objects.measured_ns.tolist()) == ([ObjectClass.PEDESTRIAN], [7])
    np.testing.assert_allclose(objects.velocity_mps, [[1.0, -2.0]])
    np.testing.assert_allclose(np.sqrt(np.diag(objects.covariance[0])), [0.2, 0.3, 0.1, 0.5, 1.0, 2.0], rtol=1e-5)
    np.testing.assert_allclose(objects.size_sigma_m, [[0.07, 0.12, 0.51]], rtol=1e-5)
    np.testing.assert_allclose(objects.score, [0.7], rtol=1e-5)


def test_what_is_hardly_ever_right_is_left_out(monkeypatch):
    built, sample = detector(), sample_of(POINTS)
    found = built.peaks(scene_with([]))[torch.arange(2)]
    low = replace_field(found, "score", torch.tensor([0.7, LEAST_SCORE / 2]))
    monkeypatch.setattr(built, "peaks", lambda scene, sample: low)
    assert built.detect(sample).score.tolist() == pytest.approx([0.7])


def replace_field(peaks: Peaks, name: str, values: torch.Tensor) -> Peaks:
    return Peaks(*(values if field.name == name else getattr(peaks, field.name) for field in fields(Peaks)))


@pytest.mark.parametrize("damaged, number", [("head.heatmap.1.bias", "score"), ("head.box.bias", "center_m"),
                                             ("bev.out.0.weight", "score"), ("head.spread.2.weight", "spread")])
def test_numbers_that_are_not_finite_are_refused_and_never_become_objects_or_vanish(damaged, number):
    built = detector()
    torch.nn.init.constant_(built.network.get_parameter(damaged), torch.nan)
    complaint = rf"tiny: \d+ of \d+ numbers of {number} are NaN or infinite, expected all finite"
    with pytest.raises(SpecError, match=complaint):
        built.detect(sample_of(POINTS, pictures=PICTURES))


def test_a_grid_too_large_for_the_memory_is_told_with_the_size_it_needs():
    greedy = replace(TINY_LIDAR, pillar_channels=2**17, stem_channels=(1,))
    absurd = detector(replace(LIDAR_ALONE, range_m=6553.6, lidar=greedy))  # 2^30 cells, two slots, 2^17 channels, 4 bytes
    with pytest.raises(OutOfMemory, match=r"tiny: needs 1,048,576\.00 GiB at once, expected no more than the CPU has") as caught:
        absurd.detect(sample_of(POINTS))
    assert caught.value.needed_bytes == 2**50


@pytest.mark.parametrize("error, needed", [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has 79.19 GiB"), 3 * 2**29),
    (torch.OutOfMemoryError("HIP out of memory."), None),
    (MemoryError("Unable to allocate 2.00 TiB for an array with shape (549755813888,) and data type float32"), 2**41),
    (RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904, 1024]"), None),
])
def test_every_way_of_running_out_of_memory_is_one_error(error, needed):
    with pytest.raises(OutOfMemory, match="nano: needs") as caught, out_of_memory_named("nano"):
        raise error
    assert (caught.value.needed_bytes, caught.value.__cause__) == (needed, error)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), out_of_memory_named("nano"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_weights_that_have_not_learnt_velocity_leave_it_unmeasured():
    detector = build_detector(replace(TINY, tells_velocity=False)).eval()
    one = torch.zeros(1, dtype=torch.int64)
    peaks = Peaks(one, one, torch.full((1,), 0.9), torch.ones(1, 3), torch.ones(1, 3), torch.zeros(1), torch.ones(1, 2),
                  torch.zeros(1, 10))
    objects = detector.objects(peaks, 7)
    assert len(objects) and np.isnan(objects.velocity_mps).all()
    assert np.isnan(objects.covariance[:, 4:]).all() and np.isfinite(objects.covariance[:, :4, :4]).all()
