"""Scores of a predicted clip's motion: pure functions of flows measured on its frames."""

from jaxtyping import Bool, Float
from torch import Tensor

from poke2vid.types import Poke


def arrival(flow: Float[Tensor, "2 h w"], poke: Poke) -> tuple[float, float]:
    """Arrival place of the poked point: l plus the median flow of the 3x3 pixels around l."""
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
