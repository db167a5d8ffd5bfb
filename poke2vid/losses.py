"""Loss terms, one pure function each (Eq. 6-8). Every term is a mean, so that a weight means the same everywhere."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poke2vid import geometry

FeatureExtractor = Callable[[Tensor], Sequence[Tensor]]


def pixel_loss(x_hat: Float[Tensor, "*b 3 h w"], x: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute difference of frames in [-1, 1]."""
    return (x_hat - x).abs().mean()


def perceptual_loss(
    x_hat: Float[Tensor, "b t 3 h w"], x: Float[Tensor, "b t 3 h w"], extractor: FeatureExtractor
) -> Float[Tensor, ""]:
    """sum_k mean |Phi_k(x_i) - Phi_k(x_hat_i)|, over layers k (Eq. 6 with means for sums); no gradient on x's side."""
    with torch.no_grad():
        targets = extractor(x.flatten(0, 1))
    features = extractor(x_hat.flatten(0, 1))
    differences = [(f - g).abs().mean() for f, g in zip(features, targets, strict=True)]
    return torch.stack(differences).sum()


def trajectory_loss(
    sigma_hat: Sequence[Float[Tensor, "b t _c _h _w"]],
    sigma: Sequence[Float[Tensor, "b t _c _h _w"]],
    *,
    squared: bool = True,
) -> Float[Tensor, ""]:
    """Distance of the predicted states from those of the true frames (Eq. 7); no gradient on `sigma`'s side.

    Args:
        squared: mean over t and levels of the mean squared difference. False is the paper's formula: the unsquared
            L2 norm, summed over t and levels, averaged over the batch.
    """
    differences = [(s_hat - s.detach()) for s_hat, s in zip(sigma_hat, sigma, strict=True)]
    if squared:
        return torch.stack([d.square().mean() for d in differences]).mean()
    return torch.stack([d.flatten(2).norm(dim=-1).sum(dim=1).mean() for d in differences]).sum()


def flow_loss(
    flow: Float[Tensor, "b 2 h w"], displacement: Float[Tensor, "b 2 h w"], softness: float = 0.0
) -> Float[Tensor, ""]:
    """Predicted backward flow b of frame T against the estimated forward flow D from x_0 to x_T, in shares of the side.

    The pixel of x_T at l + D(l) must be fetched from l: b(l + D(l)) = -D(l). Foreground and background (above and up
    to the mean magnitude of D, as in pokes.py) count half each, however small the object is; pixels that leave the
    frame do not count. A mean over samples, so that a batch may be shared among processes. Motion decoder only; not in
    the paper.

    Args:
        softness: an error e below this share of the side counts as e^2 / (2 softness), one above it as e - softness / 2
            (Huber's loss, per component). 0 is the plain absolute error. Its optimum is the median: while directions
            are unknown that is no motion at all, and on varied clips a model may never get beyond it
            (docs/experiments.md, 2026-11-25).
    """
    height, width = flow.shape[-2:]
    arrival = geometry.pixel_grid((height, width), flow) + displacement.permute(0, 2, 3, 1)
    inside = (geometry.to_normalised(arrival, (height, width)).abs() <= 1).all(dim=-1)
    error = _softened((geometry.sample(flow, arrival) + displacement) / width, softness).sum(dim=1)
    magnitude = displacement.norm(dim=1)
    moves = magnitude > magnitude.mean(dim=(1, 2), keepdim=True)
    halves = [
        (error * where).sum(dim=(1, 2)) / where.sum(dim=(1, 2)).clamp_min(1)
        for where in (inside & moves, inside & ~moves)
    ]
    return (0.5 * (halves[0] + halves[1])).mean()


def _softened(error: Float[Tensor, "b 2 h w"], softness: float) -> Float[Tensor, "b 2 h w"]:
    """Huber's loss; its slope far from zero is 1 for any softness."""
    if softness == 0:
        return error.abs()
    return functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=softness)


def poke_loss(
    flow: Float[Tensor, "b 2 h w"],
    targets: Float[Tensor, "b k 2"],
    shifts: Float[Tensor, "b k 2"],
    given: Float[Tensor, "b k"],
) -> Float[Tensor, ""]:
    """Distance of touched points from where they should be, in shares of the side: mean over points, then over samples.

    A point that obeys is fetched from where it began: b(l + p) = -p; one in the background stays: b(l) = 0. Touched points
    are so few pixels that they hardly count in `flow_loss`. Motion decoder only; not in the paper.

    Args:
        targets: where each touched point should be, in pixels.
        shifts: how far it should have come: p, or 0 in the background.
        given: 1 for a point, 0 for padding.
    """
    reached = geometry.sample(flow, targets[:, None])[:, :, 0].transpose(1, 2)
    error = (reached + shifts).abs().sum(dim=-1) / flow.shape[-1]
    return ((error * given).sum(dim=1) / given.sum(dim=1).clamp_min(1)).mean()


def hinge_loss_real(logits: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
    """mean max(0, 1 - D(x)): what a critic minimises on true pictures (App. E.2)."""
    return (1 - logits).clamp_min(0).mean()


def hinge_loss_fake(logits: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
    """mean max(0, 1 + D(x_hat)): what a critic minimises on predicted pictures (App. E.2)."""
    return (1 + logits).clamp_min(0).mean()


def adversarial_loss(logits: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
    """-mean D(x_hat): what the generator minimises, L_DS and the first part of L_DT."""
    return -logits.mean()


def feature_matching_loss(features_hat: Sequence[Tensor], features: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Mean over a critic's layers of the mean absolute difference of its features; the true side is a constant (App. E.2)."""
    differences = [(f_hat - f.detach()).abs().mean() for f_hat, f in zip(features_hat, features, strict=True)]
    return torch.stack(differences).mean()


def gradient_penalty(logits: Float[Tensor, "m *patches"], x: Float[Tensor, "m ..."]) -> Float[Tensor, ""]:
    """R1: mean over samples of |d D(x) / d x|^2, where D(x) is the mean logit (Mescheder et al. 2018, there with a factor 1/2).

    A mean over patches, as in the hinge losses, so that a weight means the same for any number of patches; a weight of
    0.1 on their sum would outweigh the hinge a thousandfold at 64 pixels (docs/decisions/012).

    Args:
        x: true pictures that require a gradient and that `logits` was computed from.
    """
    (slope,) = torch.autograd.grad(logits.flatten(1).mean(dim=1).sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(dim=1).mean()


def repaint_loss(repaint: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute repaint, which makes G warp whatever can be warped. Motion decoder only; not in the paper."""
    return repaint.abs().mean()


def weighted_sum(terms: dict[str, Tensor], weights: dict[str, float]) -> Float[Tensor, ""]:
    """L of Eq. 8 over the terms that are present."""
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()
