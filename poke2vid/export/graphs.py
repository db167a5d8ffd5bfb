"""The three graphs of a model outside PyTorch: a picture to a state, a poke to a drive, a state to the next and its frame.

Tensors have names and no structure; the drive of F_1 is named `phi` in the files, whose names are frozen. An exported
step is that of `live/law_of_rest.py`.
"""

from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.export.names import DRIVE, REST_DRIVE
from poke2vid.live.law_of_rest import LiveModel, rested
from poke2vid.types import State

STATE_INPUTS = ("sigma", "velocity", "home", "drift", "context")  # in the order of a step's inputs
STATE_OUTPUTS = ("next_sigma", "next_velocity")
BATCH = "b"


@dataclass(frozen=True)
class Signature:
    """Names of a model's tensors.

    Attributes:
        num_levels: of the state; its parts are numbered from 1, coarsest first.
        num_context: how many tensors the decoder keeps of x_0.
        warps: True if the decoder outputs a flow of x_0.
    """

    num_levels: int
    num_context: int
    warps: bool

    @property
    def image_outputs(self) -> tuple[str, ...]:
        return (*self._levels("sigma"), *self._levels("drift"), *self._context(), REST_DRIVE)

    @property
    def step_inputs(self) -> tuple[str, ...]:
        parts = chain.from_iterable(self._levels(part) for part in STATE_INPUTS[:-1])
        return (DRIVE, "touched", "pace", "stiffness", "momentum", *parts, *self._context())

    @property
    def step_outputs(self) -> tuple[str, ...]:
        parts = chain.from_iterable(self._levels(part) for part in STATE_OUTPUTS)
        return (*parts, "x_hat", *(("flow", "repaint") if self.warps else ()))

    def _levels(self, part: str) -> tuple[str, ...]:
        return tuple(f"{part}_{n}" for n in range(1, self.num_levels + 1))

    def _context(self) -> tuple[str, ...]:
        return tuple(f"context_{k}" for k in range(1, self.num_context + 1))


class EncodeImage(nn.Module):
    """`x_0` to everything that a session starts from; `home` is sigma, and velocity is zero."""

    def __init__(self, live: LiveModel) -> None:
        super().__init__()
        self.live = live

    def forward(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        state = self.live.start(x_0)
        side = state.sigma[0].shape[-1]
        rest_drive = self.live.model.dynamics.rest_drive().expand(x_0.shape[0], -1, side, side)
        # A graph's output may not be its input; the product makes a tensor of its own, and is optimised away elsewhere.
        return (*state.sigma, *state.drift, *(part * 1 for part in state.context), rest_drive.contiguous())


class EncodePoke(nn.Module):
    """`poke_map` to the drive of F_1."""

    def __init__(self, live: LiveModel) -> None:
        super().__init__()
        self.live = live

    def forward(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        return self.live.encode_poke(poke_map)


class Step(nn.Module):
    """One step of `LiveModel` for a batch; each member may be touched or untouched."""

    def __init__(self, live: LiveModel, signature: Signature) -> None:
        super().__init__()
        self.live, self.signature = live, signature

    def forward(
        self,
        drive: Float[Tensor, "b c h_1 w_1"],
        touched: Float[Tensor, "b 1 1 1"],
        pace: Float[Tensor, "b 1 1 1"],
        stiffness: Float[Tensor, " 1"],
        momentum: Float[Tensor, " 1"],
        *parts: Tensor,
    ) -> tuple[Tensor, ...]:
        count = self.signature.num_levels
        sigma, velocity, home, drift = (parts[i * count : (i + 1) * count] for i in range(4))
        context = parts[4 * count :]
        model = self.live.model
        after = model.dynamics.advance(sigma, drive)
        free = rested(State(sigma, context, velocity, home, drift), after, stiffness, momentum)
        held = touched > 0.5
        slow = tuple(now + pace * (later - now) for now, later in zip(sigma, after, strict=True))
        driven = tuple(torch.where(pace < 1, a, b) for a, b in zip(slow, after, strict=True))  # F alone, bit for bit
        next_sigma = tuple(torch.where(held, a, b) for a, b in zip(driven, free.sigma, strict=True))
        next_velocity = tuple(torch.where(held, 0.0, v) for v in free.velocity)
        frame = model.decode(model.dynamics.predicted(next_sigma), context)
        shown = (
            (frame.x_hat,) if frame.flow is None or frame.repaint is None else (frame.x_hat, frame.flow, frame.repaint)
        )
        return (*next_sigma, *next_velocity, *shown)
