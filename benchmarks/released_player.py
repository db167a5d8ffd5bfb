"""The released model as a Player, so that `Session` can run it; its computations are unchanged."""

import torch
from jaxtyping import Float
from released_eager import ReleasedEager
from torch import Tensor

from poke2vid.pokes import POKE_GAIN
from poke2vid.types import Frame, PokeKind, State


class ReleasedPlayer:
    """`ReleasedEager`, frame by frame."""

    poke_kind: PokeKind = "shift"

    def __init__(self, model: ReleasedEager, resolution: int) -> None:
        self.model, self.resolution = model, resolution

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        return State(tuple(self.model.shape_enc(x_0)))

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        """phi of a poke map; the released map is (dx, dy) in pixels, without a mask."""
        return self.model.dynamics_enc(poke_map[:, :2] * (self.resolution / POKE_GAIN))

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        if phi is None:
            phi = torch.zeros_like(state.sigma[0])
        states = self.model.fusion_block(phi, list(state.sigma))
        return State(tuple(states)), Frame(self.model.dec(states))
