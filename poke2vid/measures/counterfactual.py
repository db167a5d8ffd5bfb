"""Scores of several futures of one first frame: what else moves with a poke, and how one poke differs from another.

Pure functions of flows from frame 0, in pixels; the truth is exact flow from the simulator. The truth itself
scores 0 or perfect. What cannot be measured is NaN. Definitions: DESIGN.md section 7.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

# Of the frame's side; pixels nearer to the poke do not count as "the rest of the object". Dragging a patch of pixels
# gets those right without knowing of objects: at this distance the patch of `players.ShiftPatch` is down to a third.
TOUCHED_RADIUS = 0.15
CORRECT_WITHIN = 0.05  # of the frame's side: how near a point must come to count for PCK


def touched_error(
    flow: Float[Tensor, "2 h w"], truth: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"],
    location: tuple[float, float],
) -> float:  # fmt: skip
    """Poke-EPE: distance of the touched point from its true place, in pixels.

    The median, by component, over those of the 3x3 pixels around the point that lie in `where`, each against its own
    true motion: a touched part may be thinner than three pixels, and pixels beside it move differently.

    Args:
        where: visible pixels of the touched part; a point without any cannot be tracked, and gives NaN.
    """
    height, width = where.shape
    x, y = (min(max(round(c), 0), limit - 1) for c, limit in zip(location, (width, height), strict=True))
    patch = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
    kept = (flow - truth)[:, patch[0], patch[1]][:, where[patch]]
    if kept.shape[1] == 0:
        return float("nan")
    return float(kept.quantile(0.5, dim=1).norm())


def is_correct(error: float, side: int) -> float:
    """PCK of one point: 1 if it is within `CORRECT_WITHIN` of the side from where it should be, 0 if not."""
    return float("nan") if np.isnan(error) else float(error <= CORRECT_WITHIN * side)


def endpoint_error(flow: Float[Tensor, "2 h w"], truth: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"]) -> float:
    """Mean distance in pixels between measured and true motion over the given pixels; NaN where there are none."""
    return motion(flow - truth, where)


def motion(flow: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"]) -> float:
    """Mean length of the flow in pixels over the given pixels; NaN where there are none."""
    return float(torch.hypot(flow[0], flow[1])[where].mean()) if where.any() else float("nan")


def untouched(mask: Bool[Tensor, "h w"], location: tuple[float, float]) -> Bool[Tensor, "h w"]:
    """Pixels of the object away from the touched point, over which response-EPE is taken."""
    height, width = mask.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = torch.hypot(x - float(location[0]), y - float(location[1]))
    return mask & (away > TOUCHED_RADIUS * max(height, width))


def difference_error(
    first: Float[Tensor, "2 h w"], second: Float[Tensor, "2 h w"], true_first: Float[Tensor, "2 h w"],
    true_second: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"],
) -> float:  # fmt: skip
    """diff-EPE: error of the difference between two futures of one frame, in pixels.

    Motion common to both, such as drift, cancels out, so only the effect of the poke is judged.
    """
    return endpoint_error(first - second, true_first - true_second, where)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rho, -1 ... 1: the correlation of ranks, ties sharing their mean.

    0 if only the first does not vary, since it does not follow the second; NaN if the second does not vary, or either
    holds NaN.
    """
    if np.isnan([*first, *second]).any():
        return float("nan")
    a, b = (_ranks(np.asarray(values, np.float64)) for values in (first, second))
    if len(b) < 2 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 else 0.0


def _ranks(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Ranks from 0; equal values share their mean rank."""
    order = values.argsort(kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    for value in np.unique(values):
        ranks[values == value] = ranks[values == value].mean()
    return ranks
