"""Pokes: drawn from optical flow for training (Sec. 3.2, App. E.2, App. B.1), and drawn as the map that E_phi sees."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn import functional

from poke2vid.types import POKE_GAIN, InputError, Poke

IMPULSE_UNIT = 0.1  # an impulse of full magnitude is drawn and given as a shift of this share of the side
MAX_SHIFT = (
    1e6  # pixels, more than any picture's width; float32 ends at 1e38, and an infinite phi would stay in the state
)
MIN_MOTION = 0.005  # of the frame's side; a clip whose foreground moves less has no poke worth learning from


def patch_radius(resolution: int) -> int:
    """Radius of the square patch that a poke is drawn as: 3x3 up to 64 pixels, 5x5 at 128, 9x9 at 256."""
    return max(1, resolution // 64)


def rasterise(pokes: Sequence[Poke], resolution: int) -> Float[Tensor, "3 h w"]:
    """The poke map: (dx, dy) in units of the frame's side times `POKE_GAIN`, and a mask; zero except a patch at each l.

    Locations and shifts are in pixels of a square frame of `resolution`; a location is rounded to a pixel, a patch is
    cut off at the border. Several pokes are summed into one map.

    Raises:
        InputError: if a location lies outside the frame or a number is not finite; names the poke and the bounds.
    """
    poke_map = torch.zeros(3, resolution, resolution)
    r = patch_radius(resolution)
    for k, poke in enumerate(pokes):
        check(poke, resolution, resolution, f"poke {k + 1}")
        x, y = (min(max(round(c), 0), resolution - 1) for c in poke.location)
        patch = (slice(max(y - r, 0), y + r + 1), slice(max(x - r, 0), x + r + 1))
        value = (poke.shift[0] * POKE_GAIN / resolution, poke.shift[1] * POKE_GAIN / resolution, 1.0)
        poke_map[:, patch[0], patch[1]] += torch.tensor(value).view(3, 1, 1)
    return poke_map


def check(poke: Poke, width: int, height: int, name: str = "the poke") -> None:
    """Raises InputError unless the poke is within a picture of this size and its numbers within +-`MAX_SHIFT`."""
    (x, y), (dx, dy) = poke.location, poke.shift
    if not all(abs(value) <= MAX_SHIFT for value in (x, y, dx, dy)):  # also refuses NaN, which compares false
        raise InputError(
            f"{name} at ({x}, {y}) with shift ({dx}, {dy}) holds a number that is not finite or beyond {MAX_SHIFT:g}; "
            "give plain pixels."
        )
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        raise InputError(
            f"{name} at ({x:g}, {y:g}) lies outside the picture, which is {width} x {height} pixels; "
            f"choose x in 0 ... {width - 1} and y in 0 ... {height - 1}."
        )


def foreground_mask(flow: Float[Tensor, "2 h w"], num_stds: float = 0.0) -> Bool[Tensor, "h w"]:
    """Pixels that move more than the mean of the flow map (App. E.2) plus `num_stds` standard deviations.

    If no pixel does, the mean alone is the threshold.
    """
    magnitude = _magnitude(flow)
    mask = magnitude > magnitude.mean() + num_stds * magnitude.std()
    return mask if num_stds == 0 or mask.any() else foreground_mask(flow)


def eroded(mask: Bool[Tensor, "h w"], margin: float) -> Bool[Tensor, "h w"]:
    """Pixels of a mask with at least `margin` pixels of it in every direction; of thinner parts, their middles.

    A thing's rim is where estimated flow is smeared over what stands beside it. The border of the frame is no rim.
    """
    rounds = round(margin)
    depth = left = mask[None].float()
    for _ in range(rounds):  # pixels that are left after 0, 1 ... erosions by 3 x 3
        left = -functional.max_pool2d(-left, 3, stride=1, padding=1)
        depth = depth + left
    deepest = functional.max_pool2d(depth, 2 * rounds + 1, stride=1, padding=rounds)
    return mask & (depth == deepest)[0]


def foreground_motion(flow: Float[Tensor, "2 h w"]) -> float:
    """Mean motion of the foreground, in pixels; 0 where nothing moves."""
    mask = foreground_mask(flow)
    return float(_magnitude(flow)[mask].mean()) if mask.any() else 0.0


def _magnitude(flow: Float[Tensor, "2 h w"]) -> Float[Tensor, "h w"]:
    """Length of every vector, in pixels. `norm` over an axis of two takes a hundred times as long."""
    return torch.hypot(flow[0], flow[1])


def require_motion(moved: float, side: int, min_motion: float = MIN_MOTION) -> None:
    """Raises InputError for a clip in which nothing moves enough to be called a response to a poke.

    Args:
        moved: `foreground_motion` of its flow, or the largest of several, in pixels of a frame with this side.
        min_motion: smallest motion that is enough, as a share of the side.
    """
    if moved < min_motion * side:
        raise InputError(
            f"nothing moves: the foreground moves {moved:.2f} pixels at most, less than {min_motion * side:.2f} "
            f"({min_motion:.1%} of the frame); nothing can be learnt from it, choose a clip that moves."
        )


def sample_poke(
    flow: Float[Tensor, "2 h w"], generator: Generator, num_stds: float = 0.0, margin: float = 0.0,
    among: Bool[Tensor, "h w"] | None = None,
) -> Poke:  # fmt: skip
    """A simulated poke: l uniform over the foreground of D, p = D[l] (Sec. 3.2).

    Args:
        num_stds: standard deviations above the mean that a location must move; 0 in the paper, 2 in its released code.
        margin: distance from the foreground's rim, in pixels; 0 in the paper.
        among: the points that are asked for, as far as one of them would be drawn without it.
    """
    candidates = eroded(foreground_mask(flow, num_stds), margin)
    if among is not None and (candidates & among).any():
        candidates &= among
    x, y = _uniform_pixel(candidates, generator)
    return Poke((x, y), _vector(flow, x, y))


def sample_background_poke(flow: Float[Tensor, "2 h w"], generator: Generator, num_stds: float = 0.0) -> Poke:
    """A poke that must do nothing: l uniform over the background, p from a foreground poke (App. E.2)."""
    return moved_to_background(sample_poke(flow, generator, num_stds), flow, generator)


def moved_to_background(poke: Poke, flow: Float[Tensor, "2 h w"], generator: Generator) -> Poke:
    """A foreground poke, of either kind, moved to the background, where it must do nothing."""
    return replace(poke, location=_uniform_pixel(~foreground_mask(flow), generator))


def sample_impulse(
    flow: Float[Tensor, "2 h w"], motion: float, full_motion: float, generator: Generator, margin: float = 0.0
) -> Poke:
    """An impulse (App. B.1): location and direction from the foreground, magnitude M(X) / M_max in [0, 1].

    The paper draws "smaller pokes for sequences with smaller amounts of motion"; here the magnitude *is* the clip's share of
    the data set's motion (docs/decisions/006). It is returned as a shift in pixels: magnitude 1 is `IMPULSE_UNIT` of the side.

    Args:
        motion: M(X) of Eq. 10 for this clip, in pixels a frame.
        full_motion: M_max, the data set's motion that counts as magnitude 1; larger ones are clipped to it.
        margin: as of `sample_poke`.
    """
    x, y = _uniform_pixel(eroded(foreground_mask(flow), margin), generator)
    dx, dy = _vector(flow, x, y)
    length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
    magnitude = min(motion / full_motion, 1.0) if full_motion > 0 else 0.0
    scale = magnitude * IMPULSE_UNIT * flow.shape[-1] / length
    return Poke((x, y), (dx * scale, dy * scale), kind="impulse")


def _uniform_pixel(mask: Bool[Tensor, "h w"], generator: Generator) -> tuple[int, int]:
    """Random pixel (x, y) of the mask; if possible one whose patch lies inside the frame."""
    r = patch_radius(mask.shape[-1])
    inner = mask.clone()
    inner[:r], inner[-r:], inner[:, :r], inner[:, -r:] = False, False, False, False
    candidates = (inner if inner.any() else mask).nonzero()
    if len(candidates) == 0:
        raise InputError("the flow map is the same everywhere, so nothing in it can be told apart to be poked.")
    y, x = candidates[int(torch.randint(len(candidates), (), generator=generator))].tolist()
    return x, y


def _vector(flow: Float[Tensor, "2 h w"], x: int, y: int) -> tuple[float, float]:
    dx, dy = flow[:, y, x].tolist()
    return dx, dy
