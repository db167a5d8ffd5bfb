"""Rendering of a response: the object's layer is moved, the background it uncovers is filled, all else stays as it is.

The field u is given at x_0's pixels and points forward; pictures are warped backward, so u is inverted. Against exact
flow on films (docs/experiments.md, 2026-11-28), a scatter in which the farthest mover wins, its gaps filled from their
surroundings, beats fixed-point iteration from any start; and moving a layer cut out of the still picture beats warping
the whole picture, which stretches the background.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poke2vid import geometry

STILL = 0.05  # squared pixels, added to |u|^2 as a weight: of two places that arrive at one the farther moved shows
ARRIVED = 0.3  # share of a pixel's area that must have arrived for its motion to be known
RIM, FARTHEST = 2, 20  # pixels: motion extends so far around arrived pixels, added to how far they went; at most
OBJECT = 0.1  # of o; the background is taken from pixels with less of the object


def backward(u: Float[Tensor, "b 2 h w"], mask: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 2 h w"]:
    """Backward flow in pixels: where in x_0 each pixel of the moved object comes from.

    Args:
        u: how far each pixel of x_0 goes.
        mask: o; pixels outside the object arrive nowhere.
    """
    weight = (u.square().sum(dim=1, keepdim=True) + STILL) * mask
    arrived = scatter(torch.cat((weight * u, weight, mask), dim=1), u)
    come = (arrived[:, 3:] > ARRIVED).to(u.dtype)
    values = arrived[:, :2] / arrived[:, 2:3].clamp_min(1e-6) * come
    # The uncovered area lies no farther from the object than it moved. Its motion is extended there, so that the
    # background is fetched. Beyond that nothing moves, or faint traces of o would be dragged along.
    reaches = [min(RIM + math.ceil(farthest), FARTHEST) for farthest in u.abs().amax(dim=(1, 2, 3)).tolist()]
    near = [functional.max_pool2d(one[None], 2 * r + 1, 1, r) for one, r in zip(come, reaches, strict=True)]
    still = (torch.cat(near) == 0).to(u.dtype)
    return -filled(values, torch.maximum(come, still))


def scatter(values: Float[Tensor, "b c h w"], u: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """Adds every pixel's values where it goes, shared among the four pixels around that place."""
    b, c, h, w = values.shape
    places = geometry.pixel_grid((h, w), u) + u.permute(0, 2, 3, 1)
    x, y = places.unbind(dim=-1)
    result = values.new_zeros(b, c, h * w)
    for right in (0, 1):
        for down in (0, 1):
            column, row = x.floor() + right, y.floor() + down
            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
            share = share * ((column >= 0) & (column < w) & (row >= 0) & (row < h))
            number = (row.clamp(0, h - 1) * w + column.clamp(0, w - 1)).long()
            result.scatter_add_(2, number.flatten(1)[:, None].expand(-1, c, -1), (values * share[:, None]).flatten(2))
    return result.unflatten(2, (h, w))


def filled(values: Float[Tensor, "b c h w"], known: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """Values where they are known, smooth interpolation elsewhere; zero if nothing is known anywhere."""
    h, w = values.shape[-2:]
    if min(h, w) < 2:
        return values
    down = functional.avg_pool2d(values * known, 2, ceil_mode=True, count_include_pad=False)
    share = functional.avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    coarse = filled(down / share.clamp_min(1e-6), (share > 0).to(known.dtype))
    smooth = functional.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=False)
    return torch.where(known > 0, values, smooth)


def background(x_0: Float[Tensor, "b c h w"], mask: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    """x_0 without its object: the picture that shows where the object has left."""
    known = (functional.max_pool2d(mask, 3, 1, 1) <= OBJECT).to(x_0.dtype)
    return filled(x_0 * known, known)


def layers(
    x_0: Float[Tensor, "b c h w"], mask: Float[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b c1 h w"], Float[Tensor, "b c h w"]]:
    """x_0 cut in two, once a picture: the object's layer (premultiplied, o as its last channel) and the background."""
    behind = background(x_0, mask)
    return torch.cat((x_0 - (1 - mask) * behind, mask), dim=1), behind


def composed(
    layer: Float[Tensor, "b c1 h w"], behind: Float[Tensor, "b c h w"], flow: Float[Tensor, "b 2 h w"]
) -> Float[Tensor, "b c h w"]:
    """The object's layer, moved, over its background; x_0 itself where the flow is zero."""
    moved = geometry.warp(layer, flow)
    return moved[:, :-1] + (1 - moved[:, -1:]) * behind
