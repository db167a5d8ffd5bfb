"""Scores of motion: where the poked point goes, what moves along, and how one poke differs from another.

Pure functions of flows from frame 0, in pixels, measured on frames or exact. The truth itself scores 0 or perfect, and
what cannot be measured is NaN. Their names, units and definitions in reports: `measures.table`.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poke2vid.types import Pair, Poke

# Of the frame's side; pixels nearer to the poke do not count as "the rest of the object". Dragging a patch of pixels
# gets those right without knowing of objects: at this distance the patch of `players.ShiftPatch` is down to a third.
TOUCHED_RADIUS = 0.15
CORRECT_WITHIN = 0.05  # of the frame's side: how near a point must come to count for PCK
FOLLOWED_WITHIN = (
    1 / 3
)  # of a poke's length: a point that the tracker misses by more in the true frames is not followed
FAR = 0.1  # of the side: shifts of a bench of at least this asked length count for PCK


def arrival(flow: Float[Tensor, "2 h w"], poke: Poke) -> Pair:
    """Arrival place of the poked point: l plus the median flow, by component, of the 3x3 pixels around l."""
    rows, columns = _around(poke.location, flow)
    dx, dy = flow[:, rows, columns].flatten(1).median(dim=1).values.tolist()
    return poke.location[0] + dx, poke.location[1] + dy


def poke_error(flow: Float[Tensor, "2 h w"], poke: Poke) -> float:
    """Poke-EPE without a known truth: distance in pixels between where the poked point went and its target l + p."""
    x, y = arrival(flow, poke)
    (l_x, l_y), (dx, dy) = poke.location, poke.shift
    return ((x - l_x - dx) ** 2 + (y - l_y - dy) ** 2) ** 0.5


def touched_error(
    flow: Float[Tensor, "2 h w"], truth: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"], location: Pair
) -> float:
    """Poke-EPE beside a known truth: distance of the touched point from its true place, in pixels.

    The median, by component, over those of the 3x3 pixels around the point that lie in `where`, each against its own
    true motion: a touched part may be thinner than three pixels, and pixels beside it move differently.

    Args:
        where: visible pixels of the touched part; a point without any cannot be tracked, and gives NaN.
    """
    rows, columns = _around(location, flow)
    kept = (flow - truth)[:, rows, columns][:, where[rows, columns]]
    if kept.shape[1] == 0:
        return float("nan")
    return float(kept.quantile(0.5, dim=1).norm())


def nearest_pixel(location: Pair, height: int, width: int) -> tuple[int, int]:
    """Row and column of the pixel of a frame that is nearest to a location (x, y)."""
    x, y = (min(max(round(c), 0), limit - 1) for c, limit in zip(location, (width, height), strict=True))
    return y, x


def _around(location: Pair, flow: Float[Tensor, "2 h w"]) -> tuple[slice, slice]:
    """Rows and columns of the 3x3 pixels around a location, cut at the border of the frame."""
    row, column = nearest_pixel(location, *flow.shape[-2:])
    return slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)


def is_correct(error: float, side: int) -> float:
    """PCK of one point: 1 if it is within `CORRECT_WITHIN` of the side from where it should be, 0 if not."""
    return float("nan") if np.isnan(error) else float(error <= CORRECT_WITHIN * side)


def mean_motion(flow: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"]) -> float:
    """Mean length of the flow in pixels over the given pixels; NaN where there are none."""
    return float(torch.hypot(flow[0], flow[1])[where].mean()) if where.any() else float("nan")


def endpoint_error(flow: Float[Tensor, "2 h w"], truth: Float[Tensor, "2 h w"], where: Bool[Tensor, "h w"]) -> float:
    """Mean distance in pixels between measured and true motion over the given pixels; NaN where there are none."""
    return mean_motion(flow - truth, where)


def untouched(mask: Bool[Tensor, "h w"], location: Pair) -> Bool[Tensor, "h w"]:
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
