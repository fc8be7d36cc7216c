import pytest
import torch

from perception.losses import box_l1_loss, gaussian_nll, heatmap_focal_loss


def peaked_heatmap() -> torch.Tensor:
    heatmap = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.9
    heatmap[0, 1, 2, 3] = heatmap[1, 0, 0, 0] = 1.0
    return heatmap


def test_the_focal_loss_has_the_gradient_of_its_formula():
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weight = torch.ones(2, 1, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: heatmap_focal_loss(x, peaked_heatmap(), weight), (logits,))


def test_the_focal_loss_equals_the_papers_formula():
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y, p = peaked_heatmap(), logits.sigmoid()
    by_hand = torch.where(y == 1, (1 - p) ** 2 * p.log(), (1 - y) ** 4 * p**2 * (1 - p).log()).sum() / -2
    torch.testing.assert_close(heatmap_focal_loss(logits, y, torch.ones(2, 1, 4, 5)), by_hand)


def test_the_focal_loss_stays_finite_for_sure_and_wrong_logits():
    logits = torch.full((1, 1, 2, 2), 200.0, requires_grad=True)
    heatmap_focal_loss(logits, torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_a_false_peak_where_the_weight_is_zero_costs_nothing():
    logits = torch.full((1, 2, 3, 3), -30.0)
    logits[0, 1, 1, 1] = 5.0
    weight = torch.ones(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 0.0
    assert float(heatmap_focal_loss(logits, torch.zeros(1, 2, 3, 3), weight)) < 1e-9


def test_losses_over_no_object_are_zero_and_differentiable():
    none = torch.zeros(0, 8, requires_grad=True)
    total = box_l1_loss(none, torch.zeros(0, 8), torch.ones(8)) + gaussian_nll(torch.zeros(0, 8), none)
    total.backward()
    assert float(total.detach()) == 0.0


def test_the_likelihood_is_least_where_the_variance_is_the_squared_residual():
    residual = torch.tensor([[0.5, -2.0]])
    log_variance = torch.log(residual**2).requires_grad_()
    gaussian_nll(residual, log_variance).backward()
    torch.testing.assert_close(log_variance.grad, torch.zeros(1, 2))


def test_the_likelihood_never_moves_the_box():
    residual = torch.ones(3, 2, requires_grad=True)
    log_variance = torch.zeros(3, 2, requires_grad=True)
    gaussian_nll(residual, log_variance).backward()
    assert residual.grad is None


@pytest.mark.parametrize("scale, expected", [(1.0, 3.0), (2.0, 6.0)])
def test_the_box_loss_sums_numbers_and_averages_objects(scale, expected):
    loss = box_l1_loss(torch.zeros(2, 2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.full((2,), scale))
    assert float(loss) == expected
