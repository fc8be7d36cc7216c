import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perception.losses import beta_nll, box_l1_loss, depth_loss, gaussian_nll, heatmap_focal_loss, quality_loss
from perception.uncertainty import covariance_of


def peaked_heatmap() -> torch.Tensor:
    heatmap = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.9
    heatmap[0, 1, 2, 3] = heatmap[1, 0, 0, 0] = 1.0
    return heatmap


def errors_and_spreads(seed: int, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, 9, dtype=torch.float64, generator=generator),
            torch.randn(rows, 10, dtype=torch.float64, generator=generator))


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
    none = torch.zeros(0, 10, requires_grad=True)
    total = (box_l1_loss(none, torch.zeros(0, 10), torch.ones(10)) + beta_nll(none[:, :9], none) + gaussian_nll(none[:, :9], none)
             + quality_loss(none[:, 0], torch.zeros(0)))
    total.backward()
    assert float(total.detach()) == 0.0


@pytest.mark.parametrize("scale, expected", [(1.0, 3.0), (2.0, 6.0)])
def test_the_box_loss_sums_numbers_and_averages_objects(scale, expected):
    loss = box_l1_loss(torch.zeros(2, 2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.full((2,), scale))
    assert float(loss) == expected


def test_an_unknown_velocity_teaches_a_box_nothing():
    predicted = torch.ones(1, 3, requires_grad=True)
    box_l1_loss(predicted, torch.tensor([[0.0, torch.nan, torch.nan]]), torch.ones(3)).backward()
    assert predicted.grad is not None and predicted.grad.tolist() == [[1.0, 0.0, 0.0]]


@given(st.integers(0, 2**31))
def test_without_beta_the_likelihood_is_torchs_gaussian_up_to_its_constant(seed):
    residual, spread = errors_and_spreads(seed)
    covariance = covariance_of(spread, torch.ones(len(spread), 9, dtype=torch.float64))
    moving = torch.cat([residual[:, :4], residual[:, 7:]], dim=1)
    joint = torch.distributions.MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance).log_prob(moving)
    sizes = torch.distributions.Normal(0.0, spread[:, 5:8].exp()).log_prob(residual[:, 4:7]).sum(dim=1)
    constant = 9 / 2 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    torch.testing.assert_close(beta_nll(residual, spread, beta=0.0), -(joint + sizes).mean() - constant)


def test_the_likelihood_has_the_gradient_of_its_formula():
    residual, spread = errors_and_spreads(0)
    assert torch.autograd.gradcheck(lambda r, s: beta_nll(r, s, beta=0.0), (residual.requires_grad_(), spread.requires_grad_()))


def test_beta_weighs_each_gradient_by_the_variance_to_its_power():
    residual, spread = errors_and_spreads(1, rows=1)
    spread[:, 2] = 0.0
    gradients = []
    for beta in (0.0, 0.5):
        moved = residual.clone().requires_grad_()
        beta_nll(moved, spread, beta).backward()
        gradients.append(moved.grad)
    sigma = torch.cat([spread[:, :2], spread[:, 3:]], dim=1).exp()
    torch.testing.assert_close(gradients[1], gradients[0] * sigma)


def test_the_likelihood_is_least_where_the_deviation_is_the_error():
    residual = torch.tensor([[0.5, -2.0, 0.1, 0.2, 0.1, 0.2, 0.3, 1.0, 2.0]])
    log_sigma = residual.abs().log()
    spread = torch.cat([log_sigma[:, :2], torch.zeros(1, 1), log_sigma[:, 2:]], dim=1).requires_grad_()
    gaussian_nll(residual, spread).backward()
    assert spread.grad is not None
    torch.testing.assert_close(torch.cat([spread.grad[:, :2], spread.grad[:, 3:]], dim=1), torch.zeros(1, 9), atol=1e-6, rtol=0)


def test_spreads_alone_never_move_the_box():
    residual, spread = (values.requires_grad_() for values in errors_and_spreads(2))
    gaussian_nll(residual, spread).backward()
    assert residual.grad is None and spread.grad is not None


def test_an_unknown_velocity_teaches_a_spread_nothing():
    residual, spread = errors_and_spreads(3)
    residual[:, 7:] = torch.nan
    spread.requires_grad_()
    loss = beta_nll(residual, spread)
    loss.backward()
    assert torch.isfinite(loss) and spread.grad is not None
    assert torch.isfinite(spread.grad).all() and not spread.grad[:, 8:].any() and spread.grad[:, :8].any()


def test_quality_is_learnt_best_as_the_overlap_itself():
    overlap = torch.tensor([0.2, 0.9])
    logits = torch.logit(overlap).requires_grad_()
    quality_loss(logits, overlap).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(2), atol=1e-6, rtol=0)


def test_depth_between_two_bins_is_shared_by_both():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0]).view(1, 4, 1, 1)
    log_p = logits[0, :, 0, 0].log_softmax(dim=0)
    loss = depth_loss(logits, torch.full((1, 1, 1), 1.25), torch.ones(1, 1, 1, dtype=torch.bool))
    torch.testing.assert_close(loss, -(0.75 * log_p[1] + 0.25 * log_p[2]))


def test_a_depth_at_the_last_bin_counts_and_an_unmeasured_one_does_not():
    logits = torch.zeros(1, 4, 1, 2, requires_grad=True)
    known = torch.tensor([[[True, False]]])
    loss = depth_loss(logits, torch.tensor([[[3.0, 1.0]]]), known)
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(4.0).log())
    assert logits.grad is not None and not logits.grad[..., 1].any()
    assert float(depth_loss(logits, torch.zeros(1, 1, 2), torch.zeros_like(known)).detach()) == 0.0
