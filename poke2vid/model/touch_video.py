"""A model that knows what it touches: E_phi sees the picture, every pixel of the object is an oscillator, layers are moved.

    o, features = E_phi(x_0)                     once a picture
    C           = E_phi(l, features)             once a touch
    u*          = the response to all shifts     on every drag; a small system, no network         (`response`)
    held        v' = rho_h v + k_h (u* - u)      the object lags behind the hand and arrives
    free        v' = rho v - k u                 let go of it swings and comes to rest
                u' = u + v'                      a release changes k and rho alone, so nothing jumps
    x_hat       = the object's layer, moved by u', before its background                          (`carry`)

u = v = 0 is a fixed point: an untouched picture stays as it is, to the bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from poke2vid import geometry
from poke2vid.geometry import Affine
from poke2vid.model.carry import backward, composed, layers
from poke2vid.model.response import gate, respond
from poke2vid.model.touch_encoder import FIELD_SIDE, PictureFeatures, TouchConfig, TouchEncoder
from poke2vid.types import STRICT, Frame, InputError, Pair, Poke, PokeKind, Rest, State

FPS = 25.0
GRASP = 1  # pixels of the field about l: a finger is no needle, and of a thin stem's place the mask is not so sure
FIRM = 0.2  # of o about l: less is nothing that can be held
FAINT = 0.1  # of o
NUM_CONTEXT = 4  # x_0, o, and the two layers; E_phi's levels follow


@dataclass(frozen=True, kw_only=True)
class TouchVideoConfig:
    """Shape of the model, and how objects swing that nothing is known of.

    Attributes:
        touch: E_phi.
        follow, glide: k_h and rho_h, of what is held.
        hertz, damping: of what was let go of; damping as a share of critical.
    """

    touch: TouchConfig = field(default_factory=TouchConfig)
    follow: float = 0.25
    glide: float = 0.45
    hertz: float = 1.3
    damping: float = 0.12

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name in ("follow", "glide"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} must lie in 0 ... 1, without 1.")
        if not 0 < self.hertz < FPS / 4 or not 0 < self.damping < 1:
            raise InputError(
                f"an oscillator of {self.hertz} Hz and damping {self.damping} cannot be; 0 ... {FPS / 4:g} and 0 ... 1."
            )

    @property
    def resolution(self) -> int:
        return self.touch.resolution


def oscillator(hertz: float, damping: float) -> Rest:
    """The law v' = rho v - k u, u' = u + v' of a frequency and a share of critical damping, at `FPS` frames a second.

    The roots of z^2 - (1 + rho - k) z + rho are e^(-damping omega +- i omega_d): so far a damped cosine goes in a frame.
    """
    omega = 2 * math.pi * hertz / FPS
    rho = math.exp(-2 * damping * omega)
    k = 1 + rho - 2 * math.sqrt(rho) * math.cos(omega * math.sqrt(1 - damping**2))
    return Rest(stiffness=k, momentum=min(rho, 0.99))


def peak(rest: Rest, frames: int = 200) -> float:
    """How far a free oscillator gets that starts with the velocity 1."""
    u, v, farthest = 0.0, 1.0, 0.0
    for _ in range(frames):
        u += v
        v = rest.momentum * v - rest.stiffness * u
        farthest = max(farthest, abs(u))
    return farthest


def grasp(mask: Float[Tensor, "b 1 s s"], at: Float[Tensor, "b t 2"]) -> Bool[Tensor, "b t"]:
    """The touches that find something to hold within a pixel or two; one of a wall is none, and pins nothing.

    Forces are solved for so that touched points arrive; beside an object they would grow until it comes along.
    """
    about = functional.max_pool2d(mask, 2 * GRASP + 1, 1, GRASP)
    return geometry.sample(about, at[:, None])[:, 0, 0] > FIRM


def opacity(mask: Tensor) -> Tensor:
    """Of the object's layer where o is so sure: none below `FAINT`, or traces of o on a wall would be dragged along."""
    return ((gate(mask) - 2 * FAINT) / (1 - 2 * FAINT)).clamp(min=0)


class TouchVideo(nn.Module):
    """A `LivePlayer` and `TouchPlayer`. Its pokes are shifts; impulses reach their peak where a shift would have held them."""

    def __init__(self, config: TouchVideoConfig) -> None:
        super().__init__()
        self.config = config
        self.touch_encoder = TouchEncoder(config.touch)
        self._to_field = Affine.resize((config.resolution,) * 2, (FIELD_SIDE,) * 2)

    @property
    def resolution(self) -> int:
        return self.config.resolution

    @property
    def poke_kind(self) -> PokeKind:
        """What it prefers; it takes impulses as well."""
        return "shift"

    @property
    def default_rest(self) -> Rest:
        return oscillator(self.config.hertz, self.config.damping)

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        """The picture seen once: u = v = 0, and as context x_0, o, its two layers and E_phi's levels."""
        features = self.touch_encoder.encode(x_0)
        still = x_0.new_zeros(len(x_0), 2, FIELD_SIDE, FIELD_SIDE)
        context = (x_0, features.mask, *layers(x_0, self._shown(features.mask)), *features.levels)
        return State((still,), context, (still.clone(),))

    def _shown(self, mask: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 h w"]:
        """o as the object's layer has it, at the model's size."""
        size = (self.resolution, self.resolution)
        large = functional.interpolate(mask, size=size, mode="bilinear", align_corners=False)
        return opacity(mask if mask.shape[-2:] == size else large)

    def touch(self, state: State, location: Pair) -> Float[Tensor, "b k c h2 w2"]:
        """The influence of a touch at l, in pixels of the model's frames."""
        x, y = self._to_field.point(*location)
        mask = state.context[1]
        features = PictureFeatures(state.context[NUM_CONTEXT:], torch.logit(mask, eps=1e-6))
        at = mask.new_tensor([[x, y]]).expand(len(mask), 2)
        return self.touch_encoder(features, at)

    def drive(self, state: State, pokes: Sequence[Poke], influences: Sequence[Tensor]) -> Float[Tensor, "b 5 s s"]:
        """u* of all shifts, how far impulses shall throw, and whether anything is held."""
        mask = state.context[1]
        parts = [self._response(mask, pokes, influences, kind) for kind in ("shift", "impulse")]
        shifts = [self._to_field.point(*poke.location) for poke in pokes if poke.kind == "shift"]
        at = mask.new_tensor(shifts).reshape(1, -1, 2).expand(len(mask), -1, -1)
        held = grasp(mask, at).any(dim=1) if shifts else torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
        return torch.cat((*parts, held.to(mask.dtype)[:, None, None, None].expand_as(mask)), dim=1)

    def _response(
        self, mask: Tensor, pokes: Sequence[Poke], influences: Sequence[Tensor], kind: PokeKind
    ) -> Float[Tensor, "b 2 s s"]:
        """u* of the pokes of one kind."""
        chosen = [(poke, maps) for poke, maps in zip(pokes, influences, strict=True) if poke.kind == kind]
        if not chosen:
            return mask.new_zeros(len(mask), 2, *mask.shape[-2:])
        at = mask.new_tensor([self._to_field.point(*poke.location) for poke, _ in chosen]).expand(len(mask), -1, -1)
        p = mask.new_tensor([self._to_field.vector(*poke.shift) for poke, _ in chosen]).expand(len(mask), -1, -1)
        return respond(torch.stack([maps for _, maps in chosen], dim=1), mask, at, p, grasp(mask, at))

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        """Refused: what a poke does depends on what it touches."""
        raise InputError(
            "this model encodes touches of a picture, not poke maps; use a session, or `touch` and `drive`."
        )

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        """The next state and its frame; phi is what `drive` gave, None that nothing touches the object."""
        return self.live_step(state, phi, self.default_rest)

    def live_step(self, state: State, phi: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        """As `step`, swinging as `rest` says where nothing holds it."""
        (u,), (v,), config = state.sigma, state.velocity, self.config
        rest = rest if rest.anchored else self.default_rest  # this model has no other law than an oscillator
        free = rest.momentum * v - rest.stiffness * u
        if phi is None:
            v = free
        else:
            target, throw, held = phi.split((2, 2, 1), dim=1)
            v = torch.where(held > 0, config.glide * v + config.follow * (target - u), free) + throw / peak(rest)
        state = replace(state, sigma=(u + v,), velocity=(v,))
        return state, self.decode(state)

    def decode(self, state: State) -> Frame:
        """x_hat of a state."""
        x_0, mask, layer, behind = state.context[:NUM_CONTEXT]
        flow = backward(state.sigma[0], opacity(mask))
        size = (self.resolution, self.resolution)
        flow = flow if flow.shape[-2:] == size else geometry.resize_flow(flow, size)
        return Frame(composed(layer, behind, flow), flow, torch.zeros_like(x_0), self._shown(mask))
