"""Model that sees what it touches: E_phi sees the picture, the object's pixels are oscillators, layers are moved.

    o, features = E_phi(x_0)                     once a picture
    C, maps     = E_phi(l, features)             once a touch
    u*          = the response to all shifts     on every drag; a small system, no network         (`response`)
    u'          = u one frame later              pulled or free, by the maps' oscillators          (`swing`)
    x_hat       = the object's layer, moved by u', over its background                             (`carry`)

u = v = 0 is a fixed point: an untouched picture stays as it is, to the bit.
"""

import abc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from poke2vid import geometry
from poke2vid.geometry import Affine
from poke2vid.model import mirror
from poke2vid.model.carry import backward, composed, layers
from poke2vid.model.response import BASIS, gate, respond, within_reach
from poke2vid.model.swing import (
    DAMPING,
    HERTZ,
    LAW,
    SWING,
    SWING_SIDE,
    causes_of,
    free_step,
    hand_share,
    held_step,
    home_of,
    law_of,
    maps_of,
    rest_of,
    stays_of,
)
from poke2vid.model.touch_encoder import FIELD_SIDE, TouchConfig, Touched, TouchEncoder, with_zeros
from poke2vid.types import STRICT, Frame, InputError, Pair, Poke, PokeKind, Rest, State

GRASP = 1  # pixels of the field around l: a finger is wide, and the mask places thin stems inexactly
FIRM = 0.2  # of o around l; with less there is nothing to hold
FAINT = 0.1  # of o; below it the object's layer is transparent
CELLS_SHUFFLED = FIELD_SIDE // 2 // SWING_SIDE
NUM_CONTEXT = 4  # x_0, o, and the two layers; E_phi's levels follow


@dataclass(frozen=True, kw_only=True)
class TouchVideoConfig:
    """Shape of the model: that of E_phi, as nothing else has parameters.

    Attributes:
        touch: the network.
        mirrored: True takes the mean of what E_phi says of the picture and of its mirror image (`mirror`): twice the cost
            of a picture and of a touch, and none of a frame.
    """

    touch: TouchConfig = field(default_factory=TouchConfig)
    mirrored: bool = False

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    @property
    def resolution(self) -> int:
        return self.touch.resolution

    def to_json(self) -> dict[str, Any]:
        """Settings as files have them; those that are off and that earlier programs do not know are left out."""
        found = asdict(self)
        if not self.mirrored:
            del found["mirrored"]
        return found


def grasp(mask: Float[Tensor, "b 1 s s"], at: Float[Tensor, "b t 2"]) -> Bool[Tensor, "b t"]:
    """Flags of the touches that find something to hold within a pixel or two; a touch of a wall pins nothing.

    Forces are solved for so that touched points arrive; for a touch beside an object they would grow until it followed.
    """
    about = functional.max_pool2d(mask, 2 * GRASP + 1, 1, GRASP)
    return geometry.sample(about, at[:, None])[:, 0, 0] > FIRM


def opacity(mask: Tensor) -> Tensor:
    """Opacity of the object's layer for o: zero below `FAINT`, or traces of o on a wall would be dragged along."""
    return ((gate(mask) - 2 * FAINT) / (1 - 2 * FAINT)).clamp(min=0)


def packed(touched: Touched) -> Float[Tensor, "b k1 c h w"]:
    """A touch as one tensor, which sessions keep and graphs return; maps on cells are shuffled into its last row."""
    coarse = torch.cat((touched.swing, touched.along), dim=1)
    room = touched.influence.shape[2] * CELLS_SHUFFLED**2
    shuffled = functional.pixel_shuffle(with_zeros(coarse, room), CELLS_SHUFFLED)
    return torch.cat((touched.influence, shuffled[:, None]), dim=1)


def on_cells(said: Float[Tensor, "b k1 c h w"]) -> Float[Tensor, "b s h2 w2"]:
    """The maps of time in the output of `packed`, and as the last map the logit of what moves along."""
    return functional.pixel_unshuffle(said[:, BASIS], CELLS_SHUFFLED)[:, : SWING + 1]


def reach(influence: Float[Tensor, "b t k c h w"]) -> Float[Tensor, "b t h2 w2"]:
    """Strength with which each touch moves a place, for any p."""
    size = influence.square().sum(dim=2).flatten(0, 1)  # over basis functions; then over dx and dy
    return functional.pixel_shuffle(size, 2).sum(dim=1).sqrt().clamp_min(1e-6).unflatten(0, influence.shape[:2])


def _enlarged(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c s s"]:
    """Maps on cells, smoothly enlarged to the field's side."""
    return functional.interpolate(maps, size=(FIELD_SIDE, FIELD_SIDE), mode="bilinear", align_corners=False)


class TouchDynamics(abc.ABC):
    """Everything except E_phi: a `LivePlayer` and `TouchPlayer` for any implementation of E_phi.

    Its pokes are shifts; an impulse throws a place to the peak at which a shift would hold it.
    """

    @property
    @abc.abstractmethod
    def resolution(self) -> int:
        """Side of the square frames it takes and gives, in pixels."""

    @abc.abstractmethod
    def seen(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 1 s s"], tuple[Tensor, ...]]:
        """o, and E_phi's levels of a picture."""

    @abc.abstractmethod
    def touched(self, levels: tuple[Tensor, ...], at: Float[Tensor, "b 2"]) -> Float[Tensor, "b k1 c h2 w2"]:
        """E_phi's output for a touch at l in pixels of the field (`packed`)."""

    @property
    def _to_field(self) -> Affine:
        return Affine.resize((self.resolution,) * 2, (FIELD_SIDE,) * 2)

    @property
    def poke_kind(self) -> PokeKind:
        """Preferred kind of poke; impulses work as well."""
        return "shift"

    @property
    def default_rest(self) -> Rest:
        """Law of rest where nothing is known. Any other law is taken as the known hertz and damping of this object."""
        return rest_of(HERTZ, DAMPING)

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        """Encodes the picture once. sigma is u, the hand, the rest position, the maps of the law and the number of
        frames held; velocity is v; context is x_0, o, its two layers and E_phi's levels.
        """
        mask, levels = self.seen(x_0)
        still = x_0.new_zeros(len(x_0), 2, FIELD_SIDE, FIELD_SIDE)
        maps, frames = still.new_zeros(len(x_0), LAW, *still.shape[-2:]), still.new_zeros(len(x_0), 1, 1, 1)
        context = (x_0, mask, *layers(x_0, self._shown(mask)), *levels)
        return State((still, still.clone(), still.clone(), maps, frames), context, (still.clone(),))

    def _shown(self, mask: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 h w"]:
        """Opacity of the object's layer, at the model's size."""
        size = (self.resolution, self.resolution)
        large = functional.interpolate(mask, size=size, mode="bilinear", align_corners=False)
        return opacity(mask if mask.shape[-2:] == size else large)

    def object_of(self, state: State, location: Pair | None = None) -> Float[Tensor, "b 1 s s"]:
        """o of the picture, or as much of it as a touch at l, in pixels of the model's frames, may move."""
        return state.context[1]

    def with_object(self, state: State, mask: Float[Tensor, "b 1 s s"]) -> State:
        """The same state of a picture with another o, by which it is cut in layers anew."""
        x_0, levels = state.context[0], state.context[NUM_CONTEXT:]
        return replace(state, context=(x_0, mask, *layers(x_0, self._shown(mask)), *levels))

    def touch(self, state: State, location: Pair) -> Float[Tensor, "b k1 c h2 w2"]:
        """Influence of a touch at l, in pixels of the model's frames; its last row is the maps of time (`packed`)."""
        x, y = self._to_field.point(*location)
        mask, levels = state.context[1], state.context[NUM_CONTEXT:]
        return self.touched(levels, mask.new_tensor([[x, y]]).expand(len(mask), 2))

    def drive(self, state: State, pokes: Sequence[Poke], influences: Sequence[Tensor]) -> Float[Tensor, "b 15 s s"]:
        """u* of all shifts, the throw of all impulses, flags for held and for touched, the maps of the law, and A.

        With several touches, each one's maps of time are weighted by how much it moves a place.
        """
        pokes = [
            replace(poke, shift=within_reach(poke.shift, self.resolution)) if poke.kind == "shift" else poke
            for poke in pokes
        ]
        mask = state.context[1]
        shifts, moved = self._response(mask, pokes, influences, "shift")
        throws, thrown = self._response(mask, pokes, influences, "impulse")
        weight = torch.cat((moved, thrown), dim=1)
        chosen = [
            self._timing(maps, poke)
            for kind in ("shift", "impulse")
            for poke, maps in zip(pokes, influences, strict=True)
            if poke.kind == kind
        ]
        timing = (torch.stack(chosen, dim=1) * weight[:, :, None]).sum(dim=1)
        timing = timing / weight.sum(dim=1)[:, None].clamp_min(1e-6)
        flags = [
            part.flatten(1).amax(dim=1) > 0 if part.shape[1] else mask.new_zeros(len(mask)) > 0
            for part in (moved, weight)
        ]
        held, touched = (flag.to(mask.dtype)[:, None, None, None].expand_as(mask) for flag in flags)
        return torch.cat((shifts, throws, held, touched, timing), dim=1)

    def _timing(self, said: Float[Tensor, "b k1 c h w"], poke: Poke) -> Float[Tensor, "b 9 s s"]:
        """Maps of the law for what this poke moves, and A."""
        swing = _enlarged(on_cells(said)[:, :SWING])
        pushed = torch.full((len(swing),), poke.kind == "impulse", device=swing.device)
        p = swing.new_tensor([poke.shift]).expand(len(swing), 2)
        return torch.cat((maps_of(swing, pushed), stays_of(swing, p)), dim=1)

    def _response(
        self, mask: Tensor, pokes: Sequence[Poke], influences: Sequence[Tensor], kind: PokeKind
    ) -> tuple[Float[Tensor, "b 2 s s"], Float[Tensor, "b t s s"]]:
        """u* of the pokes of one kind, and the weight of each at every place; zero for a poke that holds nothing."""
        chosen = [(poke, maps) for poke, maps in zip(pokes, influences, strict=True) if poke.kind == kind]
        if not chosen:
            return mask.new_zeros(len(mask), 2, *mask.shape[-2:]), mask.new_zeros(len(mask), 0, *mask.shape[-2:])
        at = mask.new_tensor([self._to_field.point(*poke.location) for poke, _ in chosen]).expand(len(mask), -1, -1)
        p = mask.new_tensor([self._to_field.vector(*poke.shift) for poke, _ in chosen]).expand(len(mask), -1, -1)
        influence, given = torch.stack([maps[:, :BASIS] for _, maps in chosen], dim=1), grasp(mask, at)
        return respond(influence, mask, at, p, given), reach(influence) * given[..., None, None]

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Tensor:
        """Raises InputError: the effect of a poke depends on what it touches, so a map has no encoding."""
        raise InputError(
            "this model encodes touches of a picture, not poke maps; use a session, or `touch` and `drive`."
        )

    def step(self, state: State, drive: Tensor | None) -> tuple[State, Frame]:
        """The next state and its frame; the drive is None if nothing touches the object."""
        return self.live_step(state, drive, self.default_rest)

    def live_step(self, state: State, drive: Tensor | None, rest: Rest, unchanged: int = 0) -> tuple[State, Frame]:
        """Does a `step`, swinging by `rest` while nothing holds the object."""
        (u, hand, home, maps, frames), (v,) = state.sigma, state.velocity
        batch = len(u)
        told = rest.anchored and rest != self.default_rest  # AS_TRAINED also leaves it to the maps
        hertz, damping = causes_of(rest) if told else (HERTZ, DAMPING)
        causes = u.new_full((batch,), hertz), u.new_full((batch,), damping), torch.full((batch,), told, device=u.device)
        if drive is None:
            v, frames = free_step(u, v, home, law_of(maps, *causes)), torch.zeros_like(frames)
            hand = u + v
        else:
            target, throw, held, touched, new_maps, stays = drive.split((2, 2, 1, 1, LAW, 2), dim=1)
            maps = torch.where(touched > 0, new_maps, maps)
            law = law_of(maps, *causes)
            pulled = held > 0
            hand = torch.where(pulled, hand + hand_share(frames) * (target - hand), u)
            home = home + home_of(throw, stays)
            v = torch.where(pulled, held_step(u, v, hand, law), free_step(u, v, home, law)) + law.kick * throw
            home = torch.where(pulled, home_of(u + v, stays), home)
            hand = torch.where(pulled, hand, u + v)
            frames = torch.where(pulled[:, :, :1, :1], frames + 1, torch.zeros_like(frames))
        state = replace(state, sigma=(u + v, hand, home, maps, frames), velocity=(v,))
        return state, self.decode(state)

    def decode(self, state: State) -> Frame:
        """Frame of a state."""
        x_0, mask, layer, behind = state.context[:NUM_CONTEXT]
        flow = backward(state.sigma[0], opacity(mask))
        size = (self.resolution, self.resolution)
        flow = flow if flow.shape[-2:] == size else geometry.resize_flow(flow, size)
        return Frame(composed(layer, behind, flow), flow, torch.zeros_like(x_0), self._shown(mask))


class TouchVideo(TouchDynamics, nn.Module):
    """The model with its E_phi in PyTorch."""

    def __init__(self, config: TouchVideoConfig) -> None:
        super().__init__()
        self.config = config
        self.touch_encoder = TouchEncoder(config.touch)

    @property
    def resolution(self) -> int:
        return self.config.resolution

    def seen(self, x_0: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 1 s s"], tuple[Tensor, ...]]:
        """o, and E_phi's levels of a picture."""
        if self.config.mirrored:
            return mirror.see(self.touch_encoder, x_0)
        features = self.touch_encoder.encode(x_0)
        return features.mask, features.levels

    def touched(self, levels: tuple[Tensor, ...], at: Float[Tensor, "b 2"]) -> Float[Tensor, "b k1 c h2 w2"]:
        """E_phi's output for a touch at l in pixels of the field (`packed`)."""
        if self.config.mirrored:
            return packed(mirror.touch(self.touch_encoder, levels, at))
        return packed(self.touch_encoder(levels, at))
