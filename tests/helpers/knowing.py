"""A model that sees what it touches, as an E_phi might have learnt it; and a picture for it."""

import numpy as np
import torch
from torch import Tensor

from poke2vid.model.carry import layers
from poke2vid.model.response import BASIS, CELL
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchVideo, TouchVideoConfig

SMALL = TouchConfig(seeing=(8, 8, 8, 8), touching=(8, 8, 8, 8), compared=(8, 8))


class Knows(TouchVideo):
    """Every pixel of a disc in the middle goes where the touched point goes: what an E_phi might have learnt."""

    def __init__(self, resolution: int = 64) -> None:
        torch.manual_seed(0)
        super().__init__(TouchVideoConfig(touch=TouchConfig(**{**vars(SMALL), "resolution": resolution})))
        y, x = torch.meshgrid(*2 * (torch.arange(64.0),), indexing="ij")
        self.disc = ((x - 31.5) ** 2 + (y - 31.5) ** 2 < 20**2).float()[None, None]

    def start(self, x_0: Tensor):
        state = super().start(x_0)
        context = (x_0, self.disc, *layers(x_0, self._shown(self.disc)), *state.context[4:])
        return type(state)(state.sigma, context, state.velocity)

    def touch(self, state, location):
        maps = torch.zeros(1, BASIS + 1, CELL, 32, 32)
        maps[:, 0, :4], maps[:, 1, 4:] = 1, 1
        return maps


def picture(height: int = 64, width: int = 64) -> np.ndarray:
    """A patterned disc on a grey wall."""
    y, x = np.mgrid[:height, :width]
    wall = np.full((height, width, 3), 120, np.uint8)
    inside = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2 < (0.3 * min(height, width)) ** 2
    wall[inside] = np.stack((200 + 40 * np.sin(x / 3), 60 + 40 * np.cos(y / 4), x * 0 + 30), -1)[inside].astype(
        np.uint8
    )
    return wall
