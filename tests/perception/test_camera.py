import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from perception.assemble import camera_branch
from perception.camera import CameraEncoder, DepthBins, FeaturePyramid, ResNet, lidar_depth_m
from tests.perception.scenes import CAMERA_YAWS_RAD, IMAGE_HW, TINY, TINY_CAMERA, pixels_from_ego

SIZES = {"resnet18": ((2, 2, 2, 2), False), "resnet34": ((3, 4, 6, 3), False), "resnet50": ((3, 4, 6, 3), True)}
MATRICES = torch.tensor(np.stack([pixels_from_ego(name) for name in CAMERA_YAWS_RAD]), dtype=torch.float32)


def test_depth_bins_are_spaced_by_equal_ratios_and_clip_what_lies_outside():
    bins = DepthBins(nearest_m=2.0, farthest_m=32.0, count=5)
    depth_m = torch.tensor([2.0, 4.0, 32.0, 2.0 * 2**0.5, 0.0, -3.0, 1e6])
    torch.testing.assert_close(bins.place(depth_m), torch.tensor([0.0, 1.0, 4.0, 0.5, 0.0, 0.0, 4.0]))


@pytest.mark.parametrize("name", SIZES)
def test_a_resnet_takes_torchvisions_weights_by_name_and_gives_its_outputs(name):
    blocks, bottleneck = SIZES[name]
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # fresh ones do nothing, and would hide a norm that was left out
            torch.nn.init.uniform_(module.get_buffer("running_mean"), -0.1, 0.1)
            torch.nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2.0)
    ours = ResNet(blocks, 64, bottleneck).eval()
    classifier = {"fc.weight", "fc.bias"}
    assert set(ours.state_dict()) == set(theirs.state_dict()) - classifier
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if key not in classifier})
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
        for stage, got in enumerate(ours(images)):
            x = getattr(theirs, f"layer{stage + 1}")(x)
            assert got.shape[-2:] == (64 // (4 * 2**stage), 96 // (4 * 2**stage))
            torch.testing.assert_close(got, x, rtol=1e-5, atol=1e-5 * float(x.abs().max()))


def test_a_pyramid_brings_maps_of_any_size_to_the_finest():
    maps = [torch.rand(1, c, h, w) for c, h, w in ((4, 9, 14), (8, 5, 7), (16, 3, 4))]
    pyramid = FeaturePyramid([4, 8, 16], 6)
    assert pyramid(maps).shape == (1, 6, 9, 14)
    pyramid(maps).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in pyramid.parameters())


def test_the_encoder_gives_features_and_depths_at_its_stride():
    encoder = CameraEncoder(ResNet((1, 1, 1), 4), 6, DepthBins(count=7), finest_stage=1).eval()
    features = encoder(torch.zeros(2, 3, 3, 32, 64, dtype=torch.uint8), torch.zeros(2, 3, 4, 8))
    assert encoder.stride == 8
    assert features.context.shape == (2, 3, 6, 4, 8)
    assert features.depth_logits.shape == (2, 3, 7, 4, 8)


def test_a_measured_depth_makes_its_bin_more_likely():
    encoder = camera_branch(TINY_CAMERA, TINY.grid).encoder.eval()
    measured = torch.zeros(1, 1, 8, 16)
    measured[0, 0, 3, 5] = 6.0
    images = torch.full((1, 1, 3, *IMAGE_HW), 90, dtype=torch.uint8)
    with torch.inference_mode():
        torch.nn.init.zeros_(encoder.depth.weight)  # what pictures say, left out
        before, after = (encoder(images, depth).depth_logits[0, 0].softmax(dim=0) for depth in (0 * measured, measured))
    low = int(encoder.bins.place(torch.tensor(6.0)))
    assert (after - before)[low:low + 2, 3, 5].min() > 0
    torch.testing.assert_close(before[:, 0, 0], after[:, 0, 0])


def nearest_by_loop(points, scene, matrices, stride):
    """The contract of lidar_depth_m, point after point."""
    h, w = IMAGE_HW[0] // stride, IMAGE_HW[1] // stride
    depths_m = np.zeros((*matrices.shape[:2], h, w), np.float32)
    for row, b in zip(points.astype(np.float64), scene):
        for c, matrix in enumerate(matrices[b].astype(np.float64)):
            u, v, depth_m = matrix @ [*row[:3], 1.0]
            if row[4] == 0.0 and depth_m > 0.5:
                column, line = int(np.floor(u / depth_m / stride)), int(np.floor(v / depth_m / stride))
                if 0 <= column < w and 0 <= line < h and not 0 < depths_m[b, c, line, column] <= depth_m:
                    depths_m[b, c, line, column] = depth_m
    return depths_m


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([4, 8]))
def test_depths_in_pictures_are_those_of_the_nearest_newest_points(seed, count, stride):
    rng = np.random.default_rng(seed)
    points = rng.uniform((-9, -9, -1, 0, 0), (9, 9, 3, 1, 0), (count, 5)).astype(np.float32)
    points[:, 4] = rng.choice([0.0, 0.0, 0.2], count)
    scene = np.sort(rng.integers(0, 2, count))
    matrices = np.stack([MATRICES[rng.permutation(4)[:2]].numpy() for _ in range(2)])
    got = lidar_depth_m(torch.from_numpy(points), torch.from_numpy(scene), torch.from_numpy(matrices), IMAGE_HW, stride)
    np.testing.assert_allclose(got, nearest_by_loop(points, scene, matrices, stride), atol=1e-4)


def test_a_cloud_without_points_measures_no_depth():
    nothing = lidar_depth_m(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), MATRICES[None], IMAGE_HW, 4)
    assert nothing.shape == (1, 4, 8, 16)
    assert not nothing.any()


def test_points_that_are_not_finite_measure_no_depth():
    points = torch.tensor([[torch.nan, 0.0, 1.5, 0.0, 0.0], [5.0, torch.inf, 1.5, 0.0, 0.0], [torch.inf, 0.0, 1.5, 0.0, 0.0]])
    assert not lidar_depth_m(points, torch.zeros(3, dtype=torch.int64), MATRICES[None], IMAGE_HW, 4).any()
