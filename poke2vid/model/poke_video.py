"""The method on one page: interactive image-to-video synthesis (Blattmann et al., CVPR 2021, Sec. 3).

    sigma_0   = E_sigma(x_0)                      state of the object, on N scales
    phi       = E_phi(p, l)                       encoding of the poke
    sigma_i+1 = F(sigma_i, phi_i)                 response of the object, coarse to fine            (Eq. 2-5)
    x_hat_i   = G(sigma_i)                        predicted frame

phi_i is phi while a "shift" poke is held (Eq. 1), phi at t = 0 and zero after for an "impulse" (Eq. 9), and zero wherever
nothing touches the object.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from poke2vid.model.config import ModelConfig
from poke2vid.model.decoder import Decoder
from poke2vid.model.dynamics import build_dynamics, stack_time
from poke2vid.model.encoders import ObjectEncoder, PokeEncoder
from poke2vid.model.motion_decoder import MotionDecoder
from poke2vid.model.released import ReleasedDecoder, ReleasedObjectEncoder, ReleasedPokeEncoder
from poke2vid.types import Frame, PokeKind, Rollout, State

NO_POKE = -1  # in a schedule: nothing touches the object in this step


def build_object_encoder(config: ModelConfig) -> ObjectEncoder | ReleasedObjectEncoder:
    match config.architecture:
        case "paper":
            return ObjectEncoder(config)
        case "released":
            return ReleasedObjectEncoder(config)


def build_poke_encoder(config: ModelConfig) -> PokeEncoder | ReleasedPokeEncoder:
    match config.architecture:
        case "paper":
            return PokeEncoder(config)
        case "released":
            return ReleasedPokeEncoder(config)


def build_decoder(config: ModelConfig) -> Decoder | MotionDecoder | ReleasedDecoder:
    match config.architecture:
        case "paper":
            return MotionDecoder(config) if config.decoder == "motion" else Decoder(config)
        case "released":
            return ReleasedDecoder(config)


class PokeVideo(nn.Module):
    """E_sigma, E_phi, F and G together; a `Player`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.object_encoder = build_object_encoder(config)
        self.poke_encoder = build_poke_encoder(config)
        self.dynamics = build_dynamics(config)
        self.decoder = build_decoder(config)

    @property
    def resolution(self) -> int:
        return self.config.resolution

    @property
    def poke_kind(self) -> PokeKind:
        return self.config.poke_kind

    def start(self, x_0: Float[Tensor, "b 3 h w"]) -> State:
        """sigma_0; as context the static levels (if the dynamics have any), then the decoder's own."""
        levels = self.object_encoder(x_0)[: self.config.num_skip_levels]
        static = levels[self.config.num_dynamic_levels :]
        return State(self.dynamics.initial(levels), (*static, *self.decoder.context(x_0, levels)))

    def encode_poke(self, poke_map: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c_drive h_1 w_1"]:
        """The drive of F_1, not phi itself: phi = E_phi(p, l) after F_1's input convolution, once for a held poke."""
        return self.dynamics.drive(self.poke_encoder(poke_map))

    def step(self, state: State, drive: Tensor | None) -> tuple[State, Frame]:
        """sigma_i+1 = F(sigma_i, phi_i), x_hat_i+1 = G(sigma_i+1); a drive of None stands for phi_i = 0."""
        drive = self.dynamics.rest_drive() if drive is None else drive
        state = State(self.dynamics.advance(state.sigma, drive), state.context)
        return state, self.decode(self.dynamics.predicted(state.sigma), state.context)

    def decode(self, levels: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Frame:
        """G for the predicted levels; static ones are taken from the context."""
        num_static = self.config.num_skip_levels - self.config.num_dynamic_levels
        return self.decoder((*levels, *context[:num_static]), context[num_static:])

    def reconstruct(self, x: Float[Tensor, "b t 3 h w"], x_0: Float[Tensor, "b 3 h w"]) -> Rollout:
        """Stage 1: G(E_sigma(x_i)) for given frames, with x_0's context as in a rollout; no dynamics."""
        levels = self.levels_of(x)
        state = self.start(x_0)
        return self._decode_all(levels, state)

    def levels_of(self, x: Float[Tensor, "b t 3 h w"]) -> tuple[Tensor, ...]:
        """E_sigma(x_i)^n of every frame, for the levels that the dynamics predict: the target of Eq. 7."""
        levels = self.object_encoder(x.flatten(0, 1))[: self.config.num_dynamic_levels]
        return tuple(level.unflatten(0, x.shape[:2]) for level in levels)

    def rollout(
        self,
        x_0: Float[Tensor, "b 3 h w"],
        poke_maps: Float[Tensor, "b s 3 h w"],
        schedule: Int[Tensor, "b t"],
    ) -> Rollout:
        """x_hat_1 ... x_hat_T under a schedule of pokes.

        Args:
            x_0: first frames in [-1, 1].
            poke_maps: s different poke maps for each sample (pokes.rasterise).
            schedule: for every step the index of the sample's map in force, or NO_POKE.
        """
        state = self.start(x_0)
        drives = self._drives(poke_maps)
        batch = torch.arange(len(x_0), device=x_0.device)
        sigma, predicted = state.sigma, []
        for which in schedule.unbind(dim=1):
            sigma = self.dynamics.advance(sigma, drives[batch, which])
            predicted.append(self.dynamics.predicted(sigma))
        return self._decode_all(stack_time(predicted), State(sigma, state.context))

    def _drives(self, poke_maps: Float[Tensor, "b s 3 h w"]) -> Float[Tensor, "b s1 c h_1 w_1"]:
        """Drives of F_1 for each map and, as the last entry (NO_POKE), for no poke: once a clip, not once a step."""
        drives = self.encode_poke(poke_maps.flatten(0, 1)).unflatten(0, poke_maps.shape[:2])
        return torch.cat((drives, self.dynamics.rest_drive().expand_as(drives[:, :1])), dim=1)

    def _decode_all(self, levels: tuple[Tensor, ...], state: State) -> Rollout:
        """G for all frames at once: the states are known, and one large batch is faster than T small ones."""
        b, t = levels[0].shape[:2]
        context = tuple(c.repeat_interleave(t, dim=0) for c in state.context)
        frame = self.decode(tuple(level.flatten(0, 1) for level in levels), context)
        flow = None if frame.flow is None else frame.flow.unflatten(0, (b, t))
        repaint = None if frame.repaint is None else frame.repaint.unflatten(0, (b, t))
        return Rollout(frame.x_hat.unflatten(0, (b, t)), levels, flow, repaint, state)
