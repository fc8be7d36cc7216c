import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perception.camera import CameraFeatures, DepthBins
from perception.grid import BevGrid
from perception.view import ViewTransform, best_view, voxel_centers_m
from tests.perception.scenes import CAMERA_YAWS_RAD, IMAGE_HW, pixels_from_ego

GRID = BevGrid((-8.0, 8.0), (-6.0, 6.0), (-2.0, 4.0), 0.5)
HEIGHTS_M = (0.5, 1.5)  # cameras stand 1.5 m high: their horizon looks along the second
BINS = DepthBins(nearest_m=1.0, farthest_m=16.0, count=9)
STRIDE = 2
MATRICES = torch.tensor(np.stack([pixels_from_ego(name) for name in CAMERA_YAWS_RAD]), dtype=torch.float32)
ALL_SEE = torch.ones(1, 4, dtype=torch.bool)


def view(channels: int = 3) -> ViewTransform:
    torch.manual_seed(0)
    return ViewTransform(GRID, HEIGHTS_M, BINS, channels, out_channels=4, stride=STRIDE).eval()


def features(cameras: int = 4, channels: int = 3, scenes: int = 1, seed: int = 0) -> CameraFeatures:
    generator = torch.Generator().manual_seed(seed)
    h, w = IMAGE_HW[0] // STRIDE, IMAGE_HW[1] // STRIDE
    return CameraFeatures(torch.rand(scenes, cameras, channels, h, w, generator=generator),
                          torch.randn(scenes, cameras, BINS.count, h, w, generator=generator), torch.zeros(scenes, cameras, h, w))


def at_depth(depth_m: float, column: int, row: int) -> CameraFeatures:
    """One camera whose picture is bright at one pixel alone, and which knows that all of it lies at one depth."""
    h, w = IMAGE_HW[0] // STRIDE, IMAGE_HW[1] // STRIDE
    context = torch.zeros(1, 1, 1, h, w)
    context[0, 0, 0, row, column] = 1.0
    bin_of_depth = int(BINS.place(torch.tensor(depth_m)).round())
    logits = torch.full((1, 1, BINS.count, h, w), -50.0)
    logits[:, :, bin_of_depth] = 50.0
    return CameraFeatures(context, logits, torch.zeros(1, 1, h, w))


def test_voxels_stand_at_the_centres_of_their_cells_and_heights():
    centers_m = voxel_centers_m(GRID, HEIGHTS_M).view(GRID.ny, GRID.nx, 2, 3)
    torch.testing.assert_close(centers_m[0, 0, 0], torch.tensor([-7.75, -5.75, 0.5]))
    torch.testing.assert_close(centers_m[5, 20, 1], torch.tensor([2.25, -3.25, 1.5]))


def test_a_bright_pixel_at_a_known_depth_lights_the_voxels_on_its_ray_at_that_depth_and_no_others():
    depth_m, column, row = 4.0, 20, 8
    lifted = view(1).lift(at_depth(depth_m, column, row), MATRICES[None, :1], ALL_SEE[:, :1])
    bright, likely = lifted[0].view(2, 2, GRID.ny, GRID.nx).unbind(1)
    centers_m = voxel_centers_m(GRID, HEIGHTS_M).view(GRID.ny, GRID.nx, 2, 3).permute(2, 0, 1, 3).numpy()
    u, v, z = np.moveaxis(centers_m @ MATRICES[0, :, :3].numpy().T + MATRICES[0, :, 3].numpy(), 3, 0)
    ahead = z > 0.5
    u, v = (np.where(ahead, axis / np.where(ahead, z, 1.0), -99.0) for axis in (u, v))
    step_m = depth_m * (16.0 ** (1 / 8) - 1)  # to the next bin
    near = (np.abs(u / STRIDE - 0.5 - column) < 1) & (np.abs(v / STRIDE - 0.5 - row) < 1) & (np.abs(z - depth_m) < step_m)
    lit = bright.numpy() > 1e-6
    assert lit.any()
    assert (~lit | near).all()
    assert lit[near & (np.abs(z - depth_m) < step_m / 2)].all()
    inside = ahead & (u >= 0) & (u < IMAGE_HW[1]) & (v >= 0) & (v < IMAGE_HW[0])
    assert not likely.numpy()[~inside].any()


@pytest.mark.parametrize("camera, x_m, y_m", [(0, 5.0, 1.0), (1, -1.0, 4.0), (2, -6.0, -2.0), (3, 0.5, -5.0)])
def test_the_camera_that_looks_at_a_voxel_is_chosen(camera, x_m, y_m):
    best, u, v, depth_m, seen = best_view(torch.tensor([[x_m, y_m, 1.5]]), MATRICES[None], ALL_SEE, IMAGE_HW)
    assert (best.item(), seen.item()) == (camera, True)
    assert depth_m.item() == pytest.approx(max(abs(x_m), abs(y_m)))
    assert v.item() == pytest.approx(IMAGE_HW[0] / 2)
    ray = MATRICES[camera] @ torch.tensor([x_m, y_m, 1.5, 1.0])
    assert u.item() == pytest.approx(float(ray[0] / ray[2]), rel=1e-5)


def test_where_two_cameras_overlap_the_one_that_sees_it_nearer_to_its_middle_is_chosen():
    turned = torch.tensor(pixels_from_ego("CAM_FRONT"), dtype=torch.float32).clone()
    turned[0] += 10.0 * turned[2]  # the same camera with its middle 10 px to the side
    best, *_ = best_view(torch.tensor([[5.0, 1.5, 1.5], [5.0, -1.5, 1.5]]), torch.stack([MATRICES[0], turned])[None],
                         ALL_SEE[:, :2], IMAGE_HW)
    assert best.tolist() == [[1, 0]]


def test_what_no_camera_sees_has_no_likelihood_and_finite_numbers():
    behind = torch.tensor([[-5.0, 0.0, 1.5], [0.0, 0.0, 1.5], [1.0, 0.0, 9.0]])
    _, u, v, depth_m, seen = best_view(behind, MATRICES[None, :1], ALL_SEE[:, :1], IMAGE_HW)
    assert not seen.any()
    assert all(torch.isfinite(values).all() for values in (u, v, depth_m))
    lifted = view().lift(features(1), MATRICES[None, :1], ALL_SEE[:, :1])
    assert not lifted[..., :GRID.nx // 2].any()
    assert lifted[..., GRID.nx // 2:].any()


@given(st.permutations(range(4)))
def test_the_order_of_cameras_does_not_matter(order):
    seen, transform = features(), view()
    shuffled = CameraFeatures(seen.context[:, order], seen.depth_logits[:, order], seen.lidar_depth_m[:, order])
    torch.testing.assert_close(transform.lift(shuffled, MATRICES[None, order], ALL_SEE),
                               transform.lift(seen, MATRICES[None], ALL_SEE))


@pytest.mark.parametrize("lost", range(4))
def test_a_camera_without_a_picture_is_as_if_it_were_not_there(lost):
    seen, transform, kept = features(), view(), [c for c in range(4) if c != lost]
    has_image = ALL_SEE.clone()
    has_image[0, lost] = False
    fewer = CameraFeatures(seen.context[:, kept], seen.depth_logits[:, kept], seen.lidar_depth_m[:, kept])
    expected = transform(fewer, MATRICES[None, kept], ALL_SEE[:, kept])
    torch.testing.assert_close(transform(seen, MATRICES[None], has_image), expected)


def test_scenes_of_a_batch_are_lifted_as_if_alone():
    both, transform = features(scenes=2), view()
    matrices = torch.stack([MATRICES, MATRICES[[1, 0, 3, 2]]])
    has_image = torch.tensor([[True] * 4, [True, False, True, True]])
    together = transform.lift(both, matrices, has_image)
    for i in range(2):
        alone = CameraFeatures(both.context[i:i + 1], both.depth_logits[i:i + 1], both.lidar_depth_m[i:i + 1])
        torch.testing.assert_close(together[i:i + 1], transform.lift(alone, matrices[i:i + 1], has_image[i:i + 1]))


def test_features_and_depths_both_learn_from_what_is_lifted():
    seen = features()
    context, logits = seen.context.requires_grad_(), seen.depth_logits.requires_grad_()
    view().lift(CameraFeatures(context, logits, seen.lidar_depth_m), MATRICES[None], ALL_SEE)[:, 0].sum().backward()
    assert context.grad is not None and context.grad.abs().sum() > 0
    assert logits.grad is not None and logits.grad.abs().sum() > 0
