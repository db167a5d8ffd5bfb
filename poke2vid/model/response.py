"""The response to touches: from influence maps and shifts p to u*, how far every pixel of x_0 goes (docs/decisions/021).

u*(x) = min(1, 2 o(x)) sum_k sum_j c_jk(x; l_k, x_0) psi_j(f_k). The functions psi_j are homogeneous of degree one: no
poke moves nothing and twice the poke moves twice as far. Two of them are p itself, a 2 x 2 matrix C per pixel; the
others depend on p's direction as well, since a pulled arm stretches and a pushed one folds. The responses to forces f
add up, so with several touches a small system is solved for the forces under which every touched point arrives. A touch
with p = 0 pins its point.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from poke2vid.types import Pair

BASIS = 7  # psi: p_x, p_y, |p|, and |p| times cos 2a, sin 2a, cos 3a, sin 3a for p's angle a
RIDGE = (
    0.01  # of the system, where influences are about 1; keeps points that the model hardly moves from being torn away
)
CELL = 8  # channels of an influence map: dx and dy of the four pixels of a cell
ROUNDS = 4  # of Newton's method with the linear part's inverse, for the nonlinear functions
LARGEST = (
    4.0  # limit of a force, in lengths of the longest p; bounds how far two conflicting touches of one spot tear it
)
EASY, FARTHEST = 0.18, 0.3  # of the frame's side: as far as training pulls, and how far a pull of any length gets


def within_reach(p: Pair, side: int) -> Pair:
    """p as far as an object follows (docs/decisions/028): up to EASY as it is, beyond it less and less, never to FARTHEST.

    Args:
        p, side: in the same pixels.
    """
    length = math.hypot(*p) / side
    if length <= EASY:
        return p
    room = FARTHEST - EASY
    scale = (EASY + room * (1 - math.exp((EASY - length) / room))) / length
    return scale * p[0], scale * p[1]


def basis(p: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b k"]:
    """psi(p); continuous, zero at p = 0, homogeneous of degree one."""
    x, y = p.unbind(dim=-1)
    length = (x * x + y * y + 1e-12).sqrt()  # its gradient is finite at zero
    c, s, r = x / length, y / length, length - 1e-6
    turns = (torch.ones_like(r), c * c - s * s, 2 * c * s, c * (4 * c * c - 3), s * (3 - 4 * s * s))
    return torch.stack((x, y, *(r * turn for turn in turns)), dim=-1)


def displacement(influence: Float[Tensor, "b t k c h w"], force: Float[Tensor, "b t 2"]) -> Float[Tensor, "b 2 h2 w2"]:
    """Displacement of every pixel of the field: the sum over touches and basis functions."""
    psi = basis(force)[..., None, None, None]
    total = sum((psi[:, :, k] * influence[:, :, k]).sum(dim=1) for k in range(BASIS))
    assert isinstance(total, Tensor)
    return functional.pixel_shuffle(total, 2)


def coupling(influence: Float[Tensor, "b t k c h w"], at: Float[Tensor, "b t 2"]) -> Float[Tensor, "b t t 2 k"]:
    """Influence of touch i on the point of touch j at [b, j, i], bilinear between the field's pixels."""
    b, t, _, _, h, w = influence.shape
    x, y = (at[..., n, None].clamp(0, 2 * size - 1) for n, size in ((0, w), (1, h)))
    corner = torch.arange(4, device=at.device)
    column, row = x.floor().long() + corner % 2, y.floor().long() + corner // 2  # b j 4
    weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
    column, row = column.clamp(max=2 * w - 1)[:, :, None], row.clamp(max=2 * h - 1)[:, :, None]
    batch = torch.arange(b, device=at.device)[:, None, None, None]
    touch = torch.arange(t, device=at.device)[:, None]
    there = influence.unflatten(3, (2, 4))[batch, touch, :, :, 2 * (row % 2) + column % 2, row // 2, column // 2]
    return torch.einsum("bjn,bjinkd->bjidk", weight, there)


def forces(
    influence: Float[Tensor, "b t k c h w"], at: Float[Tensor, "b t 2"], p: Float[Tensor, "b t 2"],
    given: Bool[Tensor, "b t"],
) -> Float[Tensor, "b t 2"]:  # fmt: skip
    """The forces f under which every touched point reaches its target.

    Args:
        influence: of every touch on every pixel.
        at, p: of every touch, in pixels of the field.
        given: True for the touches that exist; the force of the others is zero.
    """
    b, t = at.shape[:2]
    there = coupling(influence, at)
    here = given.to(p.dtype)
    linear = there[..., :2] * (here[:, :, None] * here[:, None, :])[..., None, None]
    system = linear.permute(0, 1, 3, 2, 4).reshape(b, 2 * t, 2 * t)
    ridge = torch.diag_embed((RIDGE + (1 - here)).repeat_interleave(2, dim=1))
    # Least squares with a ridge: stable even if two touches coincide or nothing would move.
    normal = system.transpose(1, 2) @ system + ridge
    inverse = torch.linalg.solve(normal, system.transpose(1, 2))
    p = p * here[..., None]
    most = LARGEST * p.norm(dim=-1).amax(dim=1).clamp_min(1e-6)[:, None, None]
    force = p
    for _ in range(ROUNDS):
        reached = torch.einsum("bjidk,bik->bjd", there, basis(force) * here[..., None])
        missing = (p - reached) * here[..., None]
        force = force + (inverse @ missing.reshape(b, 2 * t, 1)).reshape(b, t, 2)
        force = force * (most / force.norm(dim=-1, keepdim=True).clamp_min(1e-6)).clamp_max(1)
    return force * here[..., None]


def respond(
    influence: Float[Tensor, "b t k c h w"], mask: Float[Tensor, "b 1 h2 w2"], at: Float[Tensor, "b t 2"],
    p: Float[Tensor, "b t 2"], given: Bool[Tensor, "b t"],
) -> Float[Tensor, "b 2 h2 w2"]:  # fmt: skip
    """u*: displacement of every pixel of the field, in field pixels. Arguments as in `forces`; `mask` is o."""
    return gate(mask) * displacement(influence, forces(influence, at, p, given))


def gate(mask: Tensor) -> Tensor:
    """Share of a response that a pixel follows: all of it where o is at least a half.

    With o itself, thin things, of which it is never sure, would follow by half: plants missed their targets by 2.1 of
    4 pixels.
    """
    return (2 * mask).clamp(max=1)
