"""Scores of predicted clips: pure functions of frames and of flows measured on frames."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poke2vid.types import Poke

_PSNR_LIMIT = 100.0  # dB; two equal frames would have an infinite one, and no mean over clips


def psnr(x_hat: Float[Tensor, "t 3 h w"], x: Float[Tensor, "t 3 h w"]) -> float:
    """Peak signal-to-noise ratio per frame, averaged over time, in dB; the data range is that of frames, [-1, 1]."""
    error = (x_hat.clamp(-1, 1) - x).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / error.clamp_min(1e-12))).clamp_max(_PSNR_LIMIT).mean())


def sharpness(x_hat: Float[Tensor, "t 3 h w"], x: Float[Tensor, "t 3 h w"]) -> float:
    """Gradient energy of the prediction over that of the truth: below 1 is blurred, 1 as sharp."""
    return float(_gradient_energy(x_hat.clamp(-1, 1)) / _gradient_energy(x).clamp_min(1e-12))


def _gradient_energy(x: Float[Tensor, "t 3 h w"]) -> Float[Tensor, ""]:
    return x.diff(dim=-1).square().mean() + x.diff(dim=-2).square().mean()


def arrival(flow: Float[Tensor, "2 h w"], poke: Poke) -> tuple[float, float]:
    """Where the poked point went: l plus the median flow of the 3x3 pixels around l."""
    height, width = flow.shape[-2:]
    x, y = (min(max(round(c), 0), limit - 1) for c, limit in zip(poke.location, (width, height), strict=True))
    patch = flow[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].flatten(1)
    dx, dy = patch.median(dim=1).values.tolist()
    return poke.location[0] + dx, poke.location[1] + dy


def poke_error(flow: Float[Tensor, "2 h w"], poke: Poke) -> float:
    """Poke-EPE: distance in pixels between where the poked point went and its target l + p."""
    x, y = arrival(flow, poke)
    (l_x, l_y), (dx, dy) = poke.location, poke.shift
    return ((x - l_x - dx) ** 2 + (y - l_y - dy) ** 2) ** 0.5


def mean_motion(flow: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"]) -> float:
    """Mean flow magnitude over the given pixels, in pixels; 0 where there are none."""
    return float(flow.norm(dim=0)[where].mean()) if where.any() else 0.0
