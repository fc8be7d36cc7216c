import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.camera import CameraEncoder, DepthBins, ResNet, lidar_depth_m
from perception.ops.cameras_cpu import add_lidar_logits_cpu, lidar_depth_cpu
from tests.perception.scenes import CAMERA_YAWS_RAD, IMAGE_HW, pixels_from_ego

MATRICES = torch.from_numpy(np.stack([pixels_from_ego(name) for name in CAMERA_YAWS_RAD]).astype(np.float32))
STRIDE = 4
CELLS_HW = (IMAGE_HW[0] // STRIDE, IMAGE_HW[1] // STRIDE)


def cloud(points: int, seed: int) -> torch.Tensor:
    """Points f32[n, 5] all around, every other one of an older sweep."""
    rng = np.random.default_rng(seed)
    xyz_m = rng.uniform([-20, -20, -1], [20, 20, 4], (points, 3))
    return torch.from_numpy(np.column_stack([xyz_m, rng.random(points), np.arange(points) % 2 * 0.2]).astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 600), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_depths_in_the_pictures_are_those_of_the_plain_way(points, scenes, seed):
    rows = cloud(points, seed)
    scene = torch.sort(torch.from_numpy(np.random.default_rng(seed).integers(0, scenes, points))).values
    matrices = MATRICES.expand(scenes, -1, -1, -1).contiguous()
    got = lidar_depth_cpu(rows, scene, matrices, CELLS_HW, STRIDE)
    expected = lidar_depth_m(rows, scene, matrices, IMAGE_HW, STRIDE)
    # A point on a border of two cells may fall to either: the plain way adds products in another order.
    assert (torch.isclose(got, expected, rtol=1e-5, atol=1e-5)).float().mean() > 0.999


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_measured_depths_raise_the_bins_around_them_as_the_encoder_does(seed):
    torch.manual_seed(seed)
    encoder = CameraEncoder(ResNet((1,), 4), 4, DepthBins(count=8))
    torch.nn.init.normal_(encoder.spread.weight)
    depth_m = torch.where(torch.rand(2, 8, 16) < 0.3, torch.rand(2, 8, 16) * 90 + 0.6, 0.0)
    known = (depth_m > 0).float()[:, None]
    with torch.no_grad():
        expected = encoder.spread(encoder._two_hot(depth_m[:, None], known))
        got = torch.zeros(2, 8, 16, 8)
        add_lidar_logits_cpu(got, depth_m, encoder.bins.place(depth_m), encoder.spread.weight)
    torch.testing.assert_close(got.permute(0, 3, 1, 2), expected, rtol=1e-5, atol=1e-5)
