"""E_phi asked twice: about a picture, and about its mirror image, whose answer is turned back; the mean of both counts.

A network that has learnt a thing and its mirror image as two things errs differently on them, so the mean errs less; and
a mirror image then moves as a mirror image, exactly. What it gains and costs: docs/decisions/025.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from poke2vid.model.response import CELL
from poke2vid.model.swing import STAYS
from poke2vid.model.touch_encoder import FIELD_SIDE, PictureFeatures, Touched, TouchEncoder

# Signs of psi (`response.basis`) for p with x negated: its angle a becomes pi - a.
BASIS_SIGNS = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0)
# Channels of a cell: dx of its four pixels, then dy. The two pixels of a row change places, and dx its sign.
CELL_SIGNS = (-1.0,) * (CELL // 2) + (1.0,) * (CELL // 2)
# Maps of time: those of laws keep theirs; A's are a scale and a turn, each always, along p_x and along p_y, of which a
# turn changes its sign, and so does p_x.
TIME_SIGNS = (1.0,) * STAYS.start + (1.0, -1.0, 1.0, -1.0, 1.0, -1.0)


def see(encoder: TouchEncoder, x_0: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n 1 s s"], tuple[Tensor, ...]]:
    """o of pictures, the mean of both; and E_phi's levels, those of the mirror image as further channels."""
    features = encoder.encode(torch.cat((x_0, x_0.flip(-1))))
    n = x_0.shape[0]
    o, mirrored = features.objectness[:n], features.objectness[n:].flip(-1)
    levels = tuple(torch.cat((level[:n], level[n:]), dim=1) for level in features.levels)
    return PictureFeatures(levels, (o + mirrored) / 2).mask, levels


def touch(encoder: TouchEncoder, levels: tuple[Tensor, ...], at: Float[Tensor, "b 2"]) -> Touched:
    """The mean of both answers to a touch at l, in pixels of the field."""
    b = at.shape[0]
    halves = [level.chunk(2, dim=1) for level in levels]
    there = torch.stack((FIELD_SIDE - 1 - at[:, 0], at[:, 1]), dim=1)
    both = encoder([torch.cat(half) for half in halves], torch.cat((at, there)))
    second = turned_back(Touched(both.influence[b:], both.along[b:], both.swing[b:]))
    return Touched(
        (both.influence[:b] + second.influence) / 2, (both.along[:b] + second.along) / 2, (both.swing[:b] + second.swing) / 2
    )  # fmt: skip


def turned_back(said: Touched) -> Touched:
    """The answer about a mirror image, as one about the picture itself."""
    influence = said.influence
    basis, cell, time = (influence.new_tensor(signs) for signs in (BASIS_SIGNS, CELL_SIGNS, TIME_SIGNS))
    swapped = influence.unflatten(2, (CELL // 2, 2)).flip(3, -1).flatten(2, 3)
    return Touched(
        swapped * basis[:, None, None, None] * cell[:, None, None],
        said.along.flip(-1),
        said.swing.flip(-1) * time[:, None, None],
    )
