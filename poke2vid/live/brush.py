"""Brush strokes on a picture: what a person says must stay still, or may move, beside what a model sees as its object."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from poke2vid import geometry
from poke2vid.geometry import Affine
from poke2vid.pokes import MAX_SHIFT
from poke2vid.types import Frame, InputError, Pair

MAX_POINTS = 256  # of one stroke


@dataclass(frozen=True)
class Stroke:
    """One stroke of a round brush on the picture as it was given, whatever has moved since.

    Attributes:
        path: the points that the brush's centre passes, one or more, in pixels of the user's picture.
        radius: of the brush, in the same pixels.
        still: True keeps what is covered still; False lets it move.
    """

    path: tuple[Pair, ...]
    radius: float
    still: bool = True


def stroke_of(value: Mapping[str, Any]) -> Stroke:
    """A `Stroke` from the mapping that `asdict` made of it, read from a file."""
    path = tuple((float(x), float(y)) for x, y in value["path"])
    return Stroke(path, float(value["radius"]), bool(value["still"]))


def check(stroke: Stroke) -> None:
    """Raises InputError unless a stroke has 1 ... MAX_POINTS points and a radius, all finite and within MAX_SHIFT."""
    if not 1 <= len(stroke.path) <= MAX_POINTS:
        raise InputError(f"the stroke has {len(stroke.path)} points; a brush takes 1 to {MAX_POINTS}.")
    if not 0 < stroke.radius <= MAX_SHIFT:
        raise InputError(f"the brush's radius {stroke.radius} must be more than 0 and at most {MAX_SHIFT:g} pixels.")
    if not all(abs(c) <= MAX_SHIFT for point in stroke.path for c in point):  # also refuses NaN
        raise InputError(f"a point of the stroke is not finite or beyond {MAX_SHIFT:g} pixels.")


def coverage(stroke: Stroke, to_grid: Affine, like: Float[Tensor, "*b h w"]) -> Float[Tensor, "h w"]:
    """Share of every pixel that a stroke covers, with a soft rim of one pixel.

    Args:
        to_grid: from pixels of the user's picture to those of `like`.
    """
    grid = geometry.pixel_grid((like.shape[-2], like.shape[-1]), like)
    points = like.new_tensor([to_grid.point(*point) for point in stroke.path])
    nearest = grid.new_full(grid.shape[:2], math.inf)
    for start, end in zip(points, points[1:] if len(points) > 1 else points, strict=False):
        along, away = end - start, grid - start
        share = ((away @ along) / along.square().sum().clamp_min(1e-9)).clamp(0, 1)
        nearest = torch.minimum(nearest, (away - share[..., None] * along).norm(dim=-1))
    return (abs(to_grid.vector(stroke.radius, 0.0)[0]) - nearest + 0.5).clamp(0, 1)


def painted(mask: Float[Tensor, "b 1 h w"], stroke: Stroke, to_grid: Affine) -> Float[Tensor, "b 1 h w"]:
    """Map of what moves, 0 ... 1, after one stroke more: 0 where it keeps still, 1 where it lets move."""
    return torch.lerp(mask, torch.full_like(mask, float(not stroke.still)), coverage(stroke, to_grid, mask))


def gated(frame: Frame, x_0: Float[Tensor, "b 3 h w"], moves: Float[Tensor, "b 1 h w"]) -> Frame:
    """A frame of a model that moves the whole picture, where what does not move shows x_0."""
    parts = {name: part * moves for name in ("flow", "repaint") if (part := getattr(frame, name)) is not None}
    return replace(frame, x_hat=torch.lerp(x_0, frame.x_hat, moves), **parts)
