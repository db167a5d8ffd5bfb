"""Every loss on numbers worked out by hand, and the same whatever the batch, the length or the resolution."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from poke2vid.losses import (
    flow_loss,
    perceptual_loss,
    pixel_loss,
    repaint_loss,
    trajectory_loss,
    weighted_sum,
)


def pair() -> tuple[Tensor, Tensor]:
    """Two clips `b t 3 h w` that differ everywhere."""
    generator = torch.Generator().manual_seed(0)
    x_hat, x = torch.rand(2, 2, 3, 3, 8, 8, generator=generator) * 2 - 1
    return x_hat, x


def features(x: Tensor) -> Sequence[Tensor]:
    """An extractor of which everything is known: twice the picture, and its red channel."""
    return 2 * x, x[:, :1]


def more_of_the_same(x: Tensor) -> list[Tensor]:
    """The same content as a larger batch, over more time, and at four times the pixels."""
    return [x.repeat(3, 1, 1, 1, 1), x.repeat(1, 2, 1, 1, 1), x.repeat_interleave(2, -1).repeat_interleave(2, -2)]


def uniform(dx: float, dy: float, height: int = 16, width: int = 16) -> Tensor:
    return torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, height, width)


# Pixels and features


def test_pixel_loss_is_the_mean_absolute_difference() -> None:
    x = torch.zeros(1, 1, 3, 2, 2)
    x_hat = x.clone()
    x_hat[0, 0, 0, 0] = torch.tensor([0.6, -1.2])
    assert pixel_loss(x_hat, x).item() == pytest.approx(1.8 / 12)


def test_perceptual_loss_sums_the_mean_absolute_differences_of_the_layers() -> None:
    x = torch.full((1, 2, 3, 4, 4), 0.1)
    x_hat = x.clone()
    x_hat[:, :, 0] += 0.3
    x_hat[:, :, 1] -= 0.6
    # layer 1: 2 (0.3 + 0.6 + 0) / 3 = 0.6; layer 2: 0.3
    assert perceptual_loss(x_hat, x, features).item() == pytest.approx(0.9)


def test_perceptual_loss_of_a_clip_with_itself_is_zero() -> None:
    x, _ = pair()
    assert perceptual_loss(x, x, features).item() == 0


def test_perceptual_loss_hands_the_extractor_single_frames_and_no_gradient_for_the_target() -> None:
    seen: list[tuple[tuple[int, ...], bool]] = []

    def watched(x: Tensor) -> Sequence[Tensor]:
        seen.append((tuple(x.shape), torch.is_grad_enabled()))
        return features(x)

    x_hat, x = (clip.requires_grad_() for clip in pair())
    perceptual_loss(x_hat, x, watched).backward()
    assert x.grad is None
    assert x_hat.grad is not None
    assert bool(x_hat.grad.any())
    assert sorted(seen) == [((6, 3, 8, 8), False), ((6, 3, 8, 8), True)]


# States


def test_trajectory_loss_is_the_mean_over_levels_of_the_mean_squared_difference() -> None:
    sigma = [torch.zeros(2, 3, 4, 2, 2), torch.zeros(2, 3, 2, 4, 4)]
    sigma_hat = [torch.full((2, 3, 4, 2, 2), -0.5), torch.full((2, 3, 2, 4, 4), 0.1)]
    assert trajectory_loss(sigma_hat, sigma).item() == pytest.approx((0.25 + 0.01) / 2)


def test_the_paper_s_trajectory_loss_sums_unsquared_norms_over_time_and_levels() -> None:
    sigma = [torch.zeros(2, 3, 4, 2, 2), torch.zeros(2, 3, 2, 4, 4)]
    sigma_hat = [torch.full((2, 3, 4, 2, 2), -0.5), torch.full((2, 3, 2, 4, 4), 0.1)]
    # 16 numbers of 0.5: norm 2; 32 of 0.1: norm 0.1 sqrt(32); three steps each, and the batch is a mean
    expected = 3 * (0.5 * 4 + 0.1 * math.sqrt(32))
    assert trajectory_loss(sigma_hat, sigma, squared=False).item() == pytest.approx(expected)


@pytest.mark.parametrize("squared", [True, False])
def test_the_true_trajectory_is_a_constant(squared: bool) -> None:
    sigma_hat, sigma = torch.ones(1, 2, 3, 2, 2, requires_grad=True), torch.zeros(1, 2, 3, 2, 2, requires_grad=True)
    trajectory_loss([sigma_hat], [sigma], squared=squared).backward()
    assert sigma.grad is None
    assert sigma_hat.grad is not None
    assert bool((sigma_hat.grad > 0).all())  # downhill leads to the true state


def test_a_missing_level_is_an_error() -> None:
    level = torch.zeros(1, 2, 3, 2, 2)
    with pytest.raises(ValueError, match="zip"):
        trajectory_loss([level, level], [level])


# Flow


def test_the_exact_inverse_of_a_flow_costs_nothing() -> None:
    assert flow_loss(uniform(-3.0, 2.0), uniform(3.0, -2.0)).item() == 0


@pytest.mark.parametrize("side", [1, 4, 8])
def test_object_and_background_count_half_each_however_small_the_object_is(side: int) -> None:
    displacement = uniform(0.25, 0.0).clone()  # a background that creeps is a background
    displacement[:, :, 6 : 6 + side, 4 : 4 + side] = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1)
    # The absolute errors of dx and dy are added, in shares of a side of 16.
    assert flow_loss(torch.zeros(1, 2, 16, 16), displacement).item() == pytest.approx((5 + 0.25) / 2 / 16)
    assert flow_loss(uniform(1.0, 0.0), displacement).item() == pytest.approx((6 + 1.25) / 2 / 16)
    assert flow_loss(uniform(-3.0, 2.5), displacement).item() == pytest.approx((0.5 + 5.25) / 2 / 16)


def test_backward_flow_is_compared_where_the_pixel_arrives() -> None:
    displacement = torch.zeros(1, 2, 16, 16)
    displacement[0, :, 4, 5] = torch.tensor([6.0, 3.0])
    displacement[0, :, 7, 11] = torch.tensor([50.0, 0.0])  # what was there makes room
    backward = torch.zeros(1, 2, 16, 16)
    backward[0, :, 7, 11] = torch.tensor([-6.0, -3.0])
    assert flow_loss(backward, displacement).item() == 0
    at_the_start = torch.zeros(1, 2, 16, 16)
    at_the_start[0, :, 4, 5] = torch.tensor([-6.0, -3.0])
    assert flow_loss(at_the_start, displacement).item() == pytest.approx(9 / 2 / 16)


def test_pixels_that_leave_the_frame_do_not_count() -> None:
    displacement = uniform(4.0, 0.0).clone()
    backward = uniform(-4.0, 0.0).clone()
    backward[..., :2] += 7.0  # nothing arrives at the left edge, so nothing can be known there
    assert flow_loss(backward, displacement).item() == 0
    displacement[..., -3:] = torch.tensor([0.0, 50.0]).view(1, 2, 1, 1)  # these leave by the bottom instead
    assert flow_loss(backward, displacement).item() == 0
    wrong_by_one = flow_loss(backward + torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), displacement)
    assert wrong_by_one.item() == pytest.approx(1 / 2 / 16)  # the mean over those that stay, which are all background


def test_a_frame_that_everything_leaves_costs_nothing_rather_than_nan() -> None:
    assert flow_loss(uniform(1.0, 1.0), uniform(90.0, 0.0)).item() == 0


def test_a_soft_flow_loss_is_a_square_below_its_softness_and_a_line_above() -> None:
    """Huber's loss by component, for errors of 4 and 1 pixels of 16 and a softness of 2 pixels."""
    displacement, softness = uniform(4.0, 1.0), 2 / 16
    line, square = 4 / 16 - softness / 2, (1 / 16) ** 2 / (2 * softness)
    expected = (line + square) / 2  # all of it moves alike, so none of it is foreground and the other half is empty
    assert flow_loss(uniform(0.0, 0.0), displacement, softness).item() == pytest.approx(expected)
    assert flow_loss(-displacement, displacement, softness).item() == 0
    slopes = []
    for softness in (0.0, 2 / 16):
        flow = uniform(-3.9, -1.0).requires_grad_()
        flow_loss(flow, displacement, softness).backward()
        assert flow.grad is not None
        slopes.append(flow.grad[:, 0].abs().sum().item())
    assert slopes[1] == pytest.approx(slopes[0] * 0.1 / 2, rel=1e-4), (
        "a tenth of a pixel pulls little, where the other pulls fully"
    )


def test_flow_loss_draws_the_flow_towards_the_inverse() -> None:
    backward = torch.zeros(1, 2, 16, 16, requires_grad=True)
    flow_loss(backward, uniform(2.0, -2.0)).backward()
    assert backward.grad is not None
    inner = backward.grad[..., 4:-4, 4:-4]
    assert bool((inner[:, 0] > 0).all())  # dx must fall to -2
    assert bool((inner[:, 1] < 0).all())  # dy must rise to 2


# Repainting and sums


def test_repaint_loss_is_the_mean_of_what_is_added_or_taken() -> None:
    repaint = torch.zeros(1, 2, 3, 2, 2)
    repaint[0, 0, 0, 0] = torch.tensor([0.6, -1.8])
    assert repaint_loss(repaint).item() == pytest.approx(2.4 / 24)


def test_the_weighted_sum_takes_the_terms_that_there_are() -> None:
    terms = {"pixel": torch.tensor(0.5), "trajectory": torch.tensor(2.0)}
    weights = {"pixel": 1.0, "trajectory": 0.1, "clip_critic": 7.0}
    assert weighted_sum(terms, weights).item() == pytest.approx(0.7)


def test_a_term_without_a_weight_is_an_error() -> None:
    with pytest.raises(KeyError, match="pixel"):
        weighted_sum({"pixel": torch.tensor(0.5)}, {"trajectory": 0.1})


# A weight means the same everywhere


@pytest.mark.parametrize(
    "loss",
    [
        pixel_loss,
        lambda x_hat, x: perceptual_loss(x_hat, x, features),
        lambda x_hat, x: trajectory_loss([x_hat], [x]),
        lambda x_hat, x: repaint_loss(x_hat - x),
    ],
    ids=["pixel", "perceptual", "trajectory", "repaint"],
)
def test_more_samples_more_time_and_more_pixels_of_the_same_change_no_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    x_hat, x = pair()
    expected = loss(x_hat, x).item()
    assert expected > 0.1
    for larger_hat, larger in zip(more_of_the_same(x_hat), more_of_the_same(x), strict=True):
        assert loss(larger_hat, larger).item() == pytest.approx(expected)


def test_the_flow_loss_is_the_same_for_a_larger_batch_and_at_twice_the_size() -> None:
    backward, displacement = uniform(-2.0, 1.5), uniform(3.0, -2.0)
    expected = flow_loss(backward, displacement).item()
    assert flow_loss(backward.repeat(3, 1, 1, 1), displacement.repeat(3, 1, 1, 1)).item() == pytest.approx(expected)
    assert flow_loss(uniform(-4.0, 3.0, 32, 32), uniform(6.0, -4.0, 32, 32)).item() == pytest.approx(expected)
