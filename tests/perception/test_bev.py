import pytest
import torch

from perception.bev import BevEncoder, ResidualBlock


@pytest.mark.parametrize("stages", [(8,), (8, 12, 16)])
def test_the_encoder_halves_the_canvas_whatever_its_depth(stages):
    features = BevEncoder(4, stages, 6).eval()(torch.zeros(2, 4, 32, 48))
    assert features.shape == (2, 6, 16, 24)


def test_every_weight_takes_part():
    encoder = BevEncoder(4, (8, 12), 6)
    encoder(torch.rand(2, 4, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_a_residual_block_that_adds_nothing_is_a_relu():
    block = ResidualBlock(3).eval()
    torch.nn.init.zeros_(block.second.weight)
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(block(x), x.relu())
