import pytest
import torch

from perception.assemble import build_detector
from perception.batch import collate
from perception.camera import CameraFeatures
from tests.perception.scenes import TINY, scene_with


@pytest.mark.parametrize("threads", [1, 2])
def test_the_kernels_of_training_equal_autograd_forward_and_backward(threads):
    torch.manual_seed(0)
    network = build_detector(TINY).network
    assert network.camera is not None
    view, batch = network.camera.view, collate([scene_with([], cameras=count) for count in (4, 0, 2)])
    context = torch.randn(3, 4, 4, 8, 16, requires_grad=True)
    logits = torch.randn(3, 4, 8, 8, 16, requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    results = []
    for training in (True, False):
        view.train(training)
        lifted = view.lift(CameraFeatures(context, logits, torch.zeros(0)), batch.pixels_from_ego, batch.has_image)
        weight = torch.linspace(-1.0, 1.0, lifted.numel()).view(lifted.shape)
        results.append((lifted.detach(), *torch.autograd.grad((lifted * weight).sum(), [context, logits])))
    torch.set_num_threads(before)
    for fast, plain in zip(*results):
        assert plain.abs().max() > 0
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
