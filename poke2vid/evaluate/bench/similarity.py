"""SSIM, the structural similarity of two pictures (Wang et al. 2004)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

WINDOW = 11  # pixels
SIGMA = 1.5  # of the window's Gaussian, in pixels
K_1, K_2 = 0.01, 0.03


def ssim(x_hat: Float[Tensor, "t 3 h w"], x: Float[Tensor, "t 3 h w"]) -> float:
    """SSIM of frames in [-1, 1], averaged over pixels, colours and frames: 1 for equal frames.

    Frames are taken to [0, 1] first, so the data range is 1. Local means, variances and the covariance are weighted by a
    Gaussian of 11 x 11 pixels (sigma 1.5) and not corrected for the sample's size; only windows that lie within the frame
    count, as in the authors' code and in scikit-image's `gaussian_weights=True, use_sample_covariance=False`.
    """
    assert min(x.shape[-2:]) >= WINDOW, "no window fits into the frame"
    a, b = (x_hat.clamp(-1, 1) + 1) / 2, (x + 1) / 2
    mean_a, mean_b, square_a, square_b, product = _blurred(torch.stack((a, b, a * a, b * b, a * b)).flatten(1, 2))
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c_1, c_2 = K_1**2, K_2**2
    luminance = (2 * mean_a * mean_b + c_1) / (mean_a**2 + mean_b**2 + c_1)
    structure = (2 * covariance + c_2) / (variance_a + variance_b + c_2)
    return float((luminance * structure).mean())


def _blurred(pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Gaussian means, first along rows, then along columns."""
    offsets = torch.arange(WINDOW, dtype=pictures.dtype, device=pictures.device) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    flat = pictures.flatten(0, 1)[:, None]
    blurred = functional.conv2d(functional.conv2d(flat, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1))
    return blurred[:, 0].unflatten(0, pictures.shape[:2])
