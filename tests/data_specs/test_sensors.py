import numpy as np
import pytest

from data_specs.errors import FrameError, SpecError
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample

MATRIX_PX = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])


def camera(matrix_px=MATRIX_PX):
    return CameraModel("CAM", 100, 80, matrix_px, np.zeros(0))


def cloud(n=3):
    column = np.zeros(n, np.float32)
    return PointCloud("LIDAR", 5, np.zeros((n, 3), np.float32), column, np.zeros(n, np.uint8), np.zeros(n, np.int32))


def test_a_point_on_the_axis_falls_on_the_principal_point_and_one_behind_nowhere():
    pixels, depth_m = camera().project(np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 0.0, -2.0]]))
    np.testing.assert_allclose(pixels[:2], [[50.0, 40.0], [100.0, 40.0]])
    assert np.isnan(pixels[2]).all() and depth_m.tolist() == [2.0, 2.0, -2.0]
    assert camera().sees(pixels).tolist() == [True, False, False]


def test_intrinsics_that_are_nan_or_backward_are_refused():
    with pytest.raises(SpecError, match="matrix_px: nan"):
        camera(np.full((3, 3), np.nan))
    with pytest.raises(SpecError, match="expected all positive"):
        camera(np.diag([-1.0, 1.0, 1.0]))


def test_an_image_must_have_its_cameras_size():
    with pytest.raises(SpecError, match=r"rgb: \(10, 100\) pixels, expected \(80, 100\) as in camera CAM"):
        CameraImage(5, np.zeros((10, 100, 3), np.uint8), camera())


def test_a_sensor_without_a_pose_is_refused():
    map_from_ego = SE3.identity("map", "ego")
    with pytest.raises(FrameError, match="no pose of sensor 'LIDAR'"):
        Sample("drive", 5, (cloud(),), (), map_from_ego, {})
    with pytest.raises(FrameError, match="expected ego_from_LIDAR"):
        Sample("drive", 5, (cloud(),), (), map_from_ego, {"LIDAR": SE3.identity("rsu-1", "LIDAR")})


def test_a_sample_knows_its_platform():
    sample = Sample("drive", 5, (cloud(),), (), SE3.identity("map", "rsu-1"), {"LIDAR": SE3.identity("rsu-1", "LIDAR")})
    assert sample.platform == "rsu-1" and len(sample.clouds[0]) == 3
