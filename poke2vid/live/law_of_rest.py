"""A trained model made fit for live sessions: untouched objects stay, released ones swing back, held ones come to rest.

Ours, not the paper's (docs/decisions/020): F was trained on clips of a second, and drifts away from a picture that is
left alone for a minute. For the first `STEADY` frames of a poke a step is the paper's, bit for bit.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.poke_video import PokeVideo
from poke2vid.types import AS_TRAINED, Frame, LivePlayer, Player, PokeKind, Rest, State

STEADY = 25  # frames in which a poke acts in full; longer than any clip of training or evaluation
FADING = 0.9  # factor of the pace per frame after that: adds up to nine more full frames
STOPPED = 1e-3  # a pace below it counts as 0

_REST: dict[PokeKind, Rest] = {  # an impulse's response is F's alone; only its drift at rest is removed
    "shift": Rest(),
    "impulse": Rest(stiffness=0.0, momentum=0.0),
}


class LiveModel(nn.Module):
    """A `LivePlayer`: PokeVideo with a law of rest. With d = sigma_i - sigma_0, while nothing touches the object,

        v_i+1     = rho v_i - k d                                          a damped spring in the space of states
        sigma_i+1 = F(sigma_i, 0) - (F(sigma_0, 0) - sigma_0) + v_i+1      sigma_0 is a fixed point, exactly

    and while something does, with n the frames since the pokes changed and lambda_n = `pace(n)`,

        sigma_i+1 = sigma_i + lambda_n (F(sigma_i, phi) - sigma_i)         F alone for n < STEADY, where lambda is 1
        v_i+1     = 0
    """

    def __init__(self, model: PokeVideo) -> None:
        super().__init__()
        self.model = model

    @property
    def resolution(self) -> int:
        return self.model.resolution

    @property
    def poke_kind(self) -> PokeKind:
        return self.model.poke_kind

    @property
    def default_rest(self) -> Rest:
        return _REST[self.model.poke_kind]

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        state = self.model.start(x_0)
        after = self.model.dynamics.advance(state.sigma, self.model.dynamics.rest_drive())
        drift = tuple(later - now for later, now in zip(after, state.sigma, strict=True))
        still = tuple(torch.zeros_like(level) for level in state.sigma)
        return replace(state, velocity=still, home=state.sigma, drift=drift)

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        return self.model.encode_poke(poke_map)

    def step(self, state: State, drive: Tensor | None) -> tuple[State, Frame]:
        """The paper's step, even if nothing touches the object."""
        return self.live_step(state, drive, AS_TRAINED)

    def live_step(self, state: State, drive: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        given = self.model.dynamics.rest_drive() if drive is None else drive
        after = self.model.dynamics.advance(state.sigma, given)
        if drive is None and rest.anchored:
            state = rested(state, after, rest.stiffness, rest.momentum)
        else:
            sigma = paced(state.sigma, after, pace(unchanged, rest))
            state = replace(state, sigma=sigma, velocity=tuple(torch.zeros_like(v) for v in state.velocity))
        return state, self.model.decode(self.model.dynamics.predicted(state.sigma), state.context)


def pace(unchanged: int, rest: Rest) -> float:
    """lambda_n: the share of F's step that is taken when the pokes have not changed for `unchanged` frames.

    F never learned to hold an object for longer than a clip, and goes on pulling at it for minutes.
    """
    faded = FADING ** max(0, unchanged - STEADY + 1)
    return 1.0 if not rest.anchored else faded if faded >= STOPPED else 0.0


def paced(sigma: tuple[Tensor, ...], after: tuple[Tensor, ...], share: float) -> tuple[Tensor, ...]:
    """A share of the way from a state to the next."""
    if share == 1:
        return after
    return tuple(now + share * (later - now) for now, later in zip(sigma, after, strict=True))


def rested(state: State, after: tuple[Tensor, ...], stiffness: float | Tensor, momentum: float | Tensor) -> State:
    """The next state of an object that nothing touches; F alone would give `after`."""
    velocity, sigma = [], []
    for now, later, v, home, drift in zip(state.sigma, after, state.velocity, state.home, state.drift, strict=True):
        velocity.append(momentum * v - stiffness * (now - home))
        sigma.append(now + ((later - now) - drift) + velocity[-1])  # in this order it cancels exactly at sigma_0
    return replace(state, sigma=tuple(sigma), velocity=tuple(velocity))


def live(player: Player) -> Player:
    """A `PokeVideo` with its law of rest; any other player as it is."""
    return LiveModel(player) if isinstance(player, PokeVideo) and not isinstance(player, LivePlayer) else player
