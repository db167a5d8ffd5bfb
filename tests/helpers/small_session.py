"""An untrained model that moves things, pictures for it, and what a session of it shows."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poke2vid.geometry import warp
from poke2vid.live.session import Session
from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import POKE_GAIN
from poke2vid.types import Frame, PokeKind, State

RESOLUTION = 32


class Slider:
    """A Player without a network: the whole picture slides by a tenth of the pokes' shifts in every step, and stays."""

    resolution = RESOLUTION

    def __init__(self, poke_kind: PokeKind = "shift") -> None:
        self.poke_kind: PokeKind = poke_kind
        self.phis: list[Tensor | None] = []
        self.encoded = 0

    def start(self, x_0: Tensor) -> State:
        return State((torch.zeros(1, 2, 1, 1),), (x_0,))

    def encode_poke(self, poke_map: Tensor) -> Tensor:
        self.encoded += 1
        return poke_map

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        self.phis.append(phi)
        offset, (x_0,) = state.sigma[0], state.context
        if phi is not None:
            offset = offset + phi[:, :2].sum(dim=(-2, -1), keepdim=True) / 9 * RESOLUTION / POKE_GAIN / 10
        flow = (-offset).expand(1, 2, RESOLUTION, RESOLUTION)
        return State((offset,), (x_0,)), Frame(warp(x_0, flow), flow, torch.zeros_like(x_0))


def model(*, moving: bool = True, poke_kind: PokeKind = "shift", decoder: Any = "motion") -> PokeVideo:
    """Untrained; `moving`: with a last layer that is not zero, so that something happens."""
    torch.manual_seed(0)
    player = PokeVideo(ModelConfig(resolution=RESOLUTION, channels=4, decoder=decoder, poke_kind=poke_kind)).eval()
    if moving and decoder == "motion":
        nn.init.normal_(player.decoder.head.weight, std=0.3)
    return player


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, so that moving it a little changes it a little, and different everywhere."""
    ys, xs = np.mgrid[:height, :width] / 7
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 20)), axis=-1)
    return np.rint(127.5 * (1 + waves)).astype(np.uint8)


def frames(session: Session, count: int) -> np.ndarray:
    return np.stack([session.step() for _ in range(count)])


def moves(before: np.ndarray, after: np.ndarray) -> bool:
    return bool(np.abs(before.astype(int) - after).mean() > 0.05)
