import pytest
import torch

from perception.bev import BevEncoder, ResidualBlock


@pytest.mark.parametrize("stages, blocks", [((8,), (1,)), ((8, 12, 16), (1, 2, 1))])
def test_the_encoder_keeps_the_size_of_the_map_whatever_its_depth(stages, blocks):
    features = BevEncoder(stages, blocks, 6).eval()(torch.zeros(2, 8, 32, 48))
    assert features.shape == (2, 6, 32, 48)


def test_every_weight_takes_part():
    encoder = BevEncoder((8, 12), (1, 1), 6)
    encoder(torch.rand(2, 8, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_scenes_of_a_batch_do_not_touch_each_other():
    encoder, maps = BevEncoder((4, 8), (1, 1), 6).eval(), torch.rand(3, 4, 8, 8)
    torch.testing.assert_close(encoder(maps)[1:2], encoder(maps[1:2]))


def test_a_residual_block_that_adds_nothing_is_a_relu():
    block = ResidualBlock(3).eval()
    torch.nn.init.zeros_(block.second.weight)
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(block(x), x.relu())
