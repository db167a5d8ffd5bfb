"""Scores of several futures of one first frame: what else moves with a poke, and how one poke differs from another.

Pure functions of flows from frame 0, in pixels; the truth is exact flow from the simulator. Everything is 0 or perfect where
the truth is given for the prediction. What cannot be measured is NaN. Definitions: DESIGN.md section 7.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

# Of the frame's side; what is nearer to the poke is not "the rest of the object". Whoever drags a patch of pixels along gets
# what is near right without knowing of objects: at this distance the patch of `players.ShiftPatch` is down to a third.
TOUCHED_RADIUS = 0.15
CORRECT_WITHIN = 0.05  # of the frame's side: how near a point must come to count for PCK


def touched_error(
    flow: Float[Tensor, "2 h w"], truth: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"],
    location: tuple[float, float],
) -> float:  # fmt: skip
    """Poke-EPE: how far the touched point is from where the truth has it, in pixels.

    The median, by component, over those of the 3x3 pixels around the point that `where` holds, each against its own true
    motion: a touched part may be thinner than three pixels, and what lies beside it moves otherwise.

    Args:
        where: the touched part, as far as it shows; a point without one such pixel cannot be tracked, and gives NaN.
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
    """The object without what lies around the touched point: where response-EPE is taken."""
    height, width = mask.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = torch.hypot(x - float(location[0]), y - float(location[1]))
    return mask & (away > TOUCHED_RADIUS * max(height, width))


def difference_error(
    first: Float[Tensor, "2 h w"], second: Float[Tensor, "2 h w"], true_first: Float[Tensor, "2 h w"],
    true_second: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"],
) -> float:  # fmt: skip
    """diff-EPE: how far the difference between two futures of one frame is from the true difference, in pixels.

    What is common to both, such as drift, cancels out: only the effect of the poke is judged.
    """
    return endpoint_error(first - second, true_first - true_second, where)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rho, -1 ... 1: the correlation of ranks, ties sharing their mean.

    0 where only the first does not vary, because it does not follow the second; NaN where the second does not, or one of
    them holds NaN.
    """
    if np.isnan([*first, *second]).any():
        return float("nan")
    a, b = (_ranks(np.asarray(values, np.float64)) for values in (first, second))
    if len(b) < 2 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 else 0.0


def _ranks(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Ranks from 0; equal values share the mean of theirs."""
    order = values.argsort(kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    for value in np.unique(values):
        ranks[values == value] = ranks[values == value].mean()
    return ranks
