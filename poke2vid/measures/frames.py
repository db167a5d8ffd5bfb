"""Similarity of predicted and true frames (App. F): PSNR, SSIM, sharpness; per frame, averaged over each clip's time.

LPIPS, which needs a network, is `features.Lpips`. Functions take clips of any batch shape and give one number per clip.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PSNR_LIMIT = 100.0  # dB; equal frames would give infinity, and no mean over clips
WINDOW = 11  # pixels, of SSIM
SIGMA = 1.5  # of the window's Gaussian, in pixels
K_1, K_2 = 0.01, 0.03


def psnr(x_hat: Float[Tensor, "*b t 3 h w"], x: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b"]:
    """Peak signal-to-noise ratio per frame, averaged over time, in dB; the data range is that of frames, [-1, 1]."""
    error = (x_hat.clamp(-1, 1) - x).square().mean(dim=(-3, -2, -1))
    return (10 * torch.log10(4 / error.clamp_min(1e-12))).clamp_max(PSNR_LIMIT).mean(dim=-1)


def sharpness(x_hat: Float[Tensor, "*b t 3 h w"], x: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b"]:
    """Gradient energy of the prediction over that of the truth: below 1 is blurred, 1 as sharp."""
    return _gradient_energy(x_hat.clamp(-1, 1)) / _gradient_energy(x).clamp_min(1e-12)


def _gradient_energy(x: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b"]:
    return sum(x.diff(dim=axis).square().mean(dim=(-4, -3, -2, -1)) for axis in (-1, -2))  # type: ignore[return-value]


def ssim(x_hat: Float[Tensor, "*b t 3 h w"], x: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b"]:
    """SSIM of frames in [-1, 1], averaged over pixels, colours and time: 1 for equal frames.

    Frames are taken to [0, 1] first, so the data range is 1. Local means, variances and the covariance are weighted by
    a Gaussian of 11 x 11 pixels (sigma 1.5) and not corrected for the sample's size; only windows that lie within the
    frame count, as in the authors' code and in scikit-image's `gaussian_weights=True, use_sample_covariance=False`.
    """
    assert min(x.shape[-2:]) >= WINDOW, "no window fits into the frame"
    a, b = (x_hat.clamp(-1, 1) + 1) / 2, (x + 1) / 2
    mean_a, mean_b, square_a, square_b, product = (_blurred(y) for y in (a, b, a * a, b * b, a * b))
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    covariance = product - mean_a * mean_b
    c_1, c_2 = K_1**2, K_2**2
    luminance = (2 * mean_a * mean_b + c_1) / (mean_a**2 + mean_b**2 + c_1)
    structure = (2 * covariance + c_2) / (variance_a + variance_b + c_2)
    return (luminance * structure).mean(dim=(-4, -3, -2, -1))


def _blurred(pictures: Float[Tensor, "*b t 3 h w"]) -> Float[Tensor, "*b t 3 h2 w2"]:
    """Gaussian means, first along rows, then along columns."""
    offsets = torch.arange(WINDOW, dtype=pictures.dtype, device=pictures.device) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    flat = pictures.reshape(1, -1, *pictures.shape[-2:])
    groups = flat.shape[1]  # pictures as channels of their own: a twentieth of the time on a CPU, the same to the bit
    rows, columns = (window.view(1, 1, *shape).repeat(groups, 1, 1, 1) for shape in ((1, -1), (-1, 1)))
    blurred = functional.conv2d(functional.conv2d(flat, rows, groups=groups), columns, groups=groups)
    return blurred.reshape(*pictures.shape[:-2], *blurred.shape[-2:])
