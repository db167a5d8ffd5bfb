"""SRVP: stochastic latent residual video prediction (Franceschi, Delasalles et al., ICML 2020), written from the facts.

    h_t     = Enc(x_t)                              code of a frame
    w       = content of some frames                what does not move
    y_1     ~ q(y_1 | h_1 ... h_k)                  first state
    z_t     ~ q(z_t | h_1 ... h_t), p(z_t | y_t-1)  what happens in frame t
    y_t+dt  = y_t + dt f(y_t, z_t+1)                Euler steps, z being the same throughout a frame
    x_hat_t = D(w, y_t)                             predicted frame; none is ever fed back
    L       = - log N(x; x_hat, s) + beta_y KL(q(y_1) || N(0, 1)) + beta_z sum_t KL(q(z_t) || p(z_t)) + l2_res sum |dt f|

Frames are seen by the networks in [0, 1].
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.checks import require_counts, require_scales, require_weights
from poke2vid.baselines.layers import Normal, from_unit, mlp, picked, to_unit
from poke2vid.types import STRICT, InputError

LEAK = 0.2  # slope of every LeakyReLU below 0
MIN_SCALE = 1e-8  # added to every standard deviation


@dataclass(frozen=True, kw_only=True)
class SrvpConfig:
    """Sizes and loss weights of SRVP; the defaults are those published for BAIR, the data set with 2 context frames.

    Attributes:
        resolution: side of the square frames in pixels; published for 64 only. The coarsest map has a sixteenth of it.
        channels: width of the finest maps of Enc and D; doubles three times.
        code: numbers in h_t.
        state, latent: numbers in y_t and in z_t.
        inferred_from: k, number of frames from which w and y_1 are inferred.
        inference_width, inference_depth: of q(y_1 | ...); the width also of w and of the LSTM of q(z_t | ...).
        dynamics_width, dynamics_depth: of f and of p(z_t | y_t-1).
        euler_steps: steps a frame, 1 / dt; two, not one, for better results where a trained model is asked for more frames
            a second (Franceschi et al. 2020, App. F).
        residual_gain: of f's orthogonal first weights.
        obs_scale: standard deviation of a pixel around its prediction, frames being in [0, 1].
        beta_y, beta_z: weights of the divergences of y_1 and of all z_t.
        l2_res: weight of the norms of the residuals dt f.
    """

    system: Literal["srvp"] = "srvp"
    resolution: int = 64
    channels: int = 64
    code: int = 128
    state: int = 50
    latent: int = 50
    inferred_from: int = 2
    inference_width: int = 256
    inference_depth: int = 3
    dynamics_width: int = 512
    dynamics_depth: int = 4
    euler_steps: int = 2
    residual_gain: float = 1.41
    obs_scale: float = 0.71
    beta_y: float = 1.0
    beta_z: float = 1.0
    l2_res: float = 1.0

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.resolution not in (32, 64, 128):
            raise InputError(f"resolution {self.resolution} is not one of 32, 64, 128; choose one of these.")
        widths = ("channels", "code", "state", "latent", "inference_width", "dynamics_width", "euler_steps")
        require_counts(self, *widths)
        for name in ("inference_depth", "dynamics_depth"):
            if getattr(self, name) < 2:
                raise InputError(f"{name} is {getattr(self, name)}; a network of 2 layers is the smallest.")
        if not 1 <= self.inferred_from <= Srvp.seen:
            raise InputError(
                f"inferred_from is {self.inferred_from}; it must lie in 1 ... {Srvp.seen}, the frames seen."
            )
        require_scales(self, "residual_gain", "obs_scale")
        require_weights(self, "beta_y", "beta_z", "l2_res")

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four scales, finest first."""
        return (self.channels, 2 * self.channels, 4 * self.channels, 8 * self.channels)

    @property
    def bottom(self) -> int:
        """Side of the coarsest map in cells."""
        return self.resolution // 16


def _channels_last(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The same numbers with channels next to each other in memory: a third faster on one CPU core."""
    return x.contiguous(memory_format=torch.channels_last)


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(LEAK, inplace=True)
    )


def _normal_weights(module: nn.Module) -> None:
    """First weights of Enc and D: N(0, .02) for convolutions, N(1, .02) for batch norms."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class FrameEncoder(nn.Module):
    """Enc: a VGG with blocks of 2, 2, 3, 3 convolutions, then one over the whole coarsest map; ends in tanh."""

    def __init__(self, config: SrvpConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        before = 3
        for width, depth in zip(config.widths, (2, 2, 3, 3), strict=True):
            layers = [_convolution(before if i == 0 else width, width) for i in range(depth)]
            self.blocks.append(nn.Sequential(*layers))
            before = width
        self.last = nn.Sequential(
            nn.Conv2d(before, config.code, config.bottom, bias=False), nn.BatchNorm2d(config.code), nn.Tanh()
        )
        self.apply(_normal_weights)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n code"], list[Float[Tensor, "n _c _h _w"]]]:
        """h of every frame and the maps of the four scales, finest first."""
        x, levels = _channels_last(x), []
        for block in self.blocks:
            x = block(x)
            levels.append(x)
            x = functional.max_pool2d(x, 2)
        return self.last(x).flatten(1), levels


class SkipBlock(nn.Module):
    """One scale of D: doubles the side, sees the encoder's map of that scale, then convolves.

    The first convolution of the concatenation [up, skip] is held as its two halves, which is the same sum: the skip is
    the same for all frames of a clip, so its half is computed once a clip.
    """

    def __init__(self, width: int, skip_width: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.from_below = nn.Conv2d(width, widths[0], 3, 1, 1, bias=False)
        self.from_skip = nn.Conv2d(skip_width, widths[0], 3, 1, 1, bias=False)
        self.join = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.LeakyReLU(LEAK, inplace=True))
        self.rest = nn.Sequential(*(_convolution(a, b) for a, b in pairwise(widths)))

    def forward(self, below: Float[Tensor, "n c h w"], skip: Float[Tensor, "b s h2 w2"]) -> Float[Tensor, "n c2 h2 w2"]:
        """The map of this scale for n = b t frames, those of a clip lying together."""
        mine = self.from_below(functional.interpolate(below, scale_factor=2, mode="nearest"))
        both = mine.unflatten(0, (len(skip), -1)) + self.from_skip(skip)[:, None]
        return self.rest(self.join(_channels_last(both.flatten(0, 1))))


class FrameDecoder(nn.Module):
    """D: Enc turned round, with its maps of one frame as skips at all four scales; ends in a sigmoid."""

    def __init__(self, config: SrvpConfig) -> None:
        super().__init__()
        a, b, c, d = config.widths
        self.first = nn.Sequential(
            nn.ConvTranspose2d(config.inference_width + config.state, d, config.bottom, bias=False),
            nn.BatchNorm2d(d),
            nn.LeakyReLU(LEAK, inplace=True),
        )
        self.blocks = nn.ModuleList(
            [SkipBlock(d, d, (d, d, c)), SkipBlock(c, c, (c, c, b)), SkipBlock(b, b, (b, a)), SkipBlock(a, a, (a,))]
        )
        self.paint = nn.Sequential(nn.ConvTranspose2d(a, 3, 3, 1, 1), nn.Sigmoid())
        self.apply(_normal_weights)

    def forward(
        self,
        w: Float[Tensor, "b c_w"],
        y: Float[Tensor, "b t c_y"],
        skips: list[Float[Tensor, "b _c _h _w"]],
    ) -> Float[Tensor, "b t 3 h w"]:
        """x_hat in [0, 1] for every y_t; `skips` finest first."""
        seen = torch.cat((w[:, None].expand(-1, y.shape[1], -1), y), dim=-1).flatten(0, 1)
        level = _channels_last(self.first(seen[..., None, None]))
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            level = block(level, _channels_last(skip))
        return self.paint(level).unflatten(0, y.shape[:2])


class Content(nn.Module):
    """w from the codes of some frames, whatever their order: their sum goes through one more layer."""

    def __init__(self, config: SrvpConfig) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(config.code, config.inference_width), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(config.inference_width, config.inference_width), nn.Tanh())

    def forward(self, codes: Float[Tensor, "b k code"]) -> Float[Tensor, "b c_w"]:
        return self.all(self.each(codes).sum(dim=1))


def _distribution(numbers: Float[Tensor, "*b two_n"]) -> Normal:
    """A normal from its means and raw scales."""
    mean, raw = numbers.chunk(2, dim=-1)
    return Normal(mean, functional.softplus(raw) + MIN_SCALE)


class Srvp(Baseline):
    """SRVP with the VGG networks and skip connections, as published for all data sets but MNIST."""

    seen = 2

    def __init__(self, config: SrvpConfig) -> None:
        super().__init__()
        self.config = config
        code, width = config.code, config.inference_width
        self.encoder = FrameEncoder(config)
        self.decoder = FrameDecoder(config)
        self.content = Content(config)
        self.infer_state = mlp(config.inferred_from * code, width, 2 * config.state, config.inference_depth)
        self.memory = nn.LSTM(code, width, batch_first=True)
        self.infer_latent = nn.Linear(width, 2 * config.latent)
        self.prior = mlp(config.state, config.dynamics_width, 2 * config.latent, config.dynamics_depth)
        self.f = mlp(config.state + config.latent, config.dynamics_width, config.state, config.dynamics_depth)
        for module in self.f.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, config.residual_gain)

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        """-log p(x), the divergences of y_1 and z, and the residuals' norms; each the mean over clips of a sum.

        The content comes from k random frames and the skips from one, drawn for each clip: with the last or the same
        ones D would learn to copy them.
        """
        x = to_unit(clips.frames)
        b, t = x.shape[:2]
        codes, levels = self.encode(x)
        w = self.content(picked(codes, random_frames(b, t, self.config.inferred_from, generator)))
        which = random_frames(b, t, 1, generator)
        skips = [picked(level, which)[:, 0] for level in levels]
        q_y, q_z = self.first_state(codes), self.latents(codes)
        y_1, z = q_y.sample(generator), q_z.sample(generator)
        y, norms = self.unroll(y_1, z)
        p_z = _distribution(self.prior(y[:, :-1]))
        nll = negative_log_likelihood(self.decoder(w, y, skips), x, self.config.obs_scale)
        return {
            "nll": nll / b,
            "kl_y": self.config.beta_y * q_y.kl(Normal(torch.zeros_like(y_1), torch.ones_like(y_1))).sum() / b,
            "kl_z": self.config.beta_z * q_z.kl(p_z).sum() / b,
            "residual": self.config.l2_res * norms.sum() / b,
        }

    def predict(
        self,
        frames: Float[Tensor, "b s 3 h w"],
        count: int,
        generator: Generator,
        paths: Float[Tensor, "b k t 2"] | None = None,
    ) -> Float[Tensor, "b n 3 h w"]:
        """One sample a clip: q(z) up to the last frame seen, p(z) after it; w and skips from the last frames seen."""
        assert not self.training, "call eval() first: batch norms have another meaning in training"
        codes, levels = self.encode(to_unit(frames))
        w = self.content(codes[:, -self.config.inferred_from :])
        skips = [level[:, -1] for level in levels]
        y, _ = self.unroll(self.first_state(codes).sample(generator), self.latents(codes).sample(generator))
        last, predicted = y[:, -1], []
        for _ in range(count):
            z = _distribution(self.prior(last)).sample(generator)
            last, _ = self.advance(last, z)
            predicted.append(last)
        return from_unit(self.decoder(w, torch.stack(predicted, dim=1), skips))

    def encode(
        self, x: Float[Tensor, "b t 3 h w"]
    ) -> tuple[Float[Tensor, "b t code"], list[Float[Tensor, "b t _c _h _w"]]]:
        """h_1 ... h_t and Enc's maps of every frame, finest first."""
        codes, levels = self.encoder(x.flatten(0, 1))
        return codes.unflatten(0, x.shape[:2]), [level.unflatten(0, x.shape[:2]) for level in levels]

    def first_state(self, codes: Float[Tensor, "b t code"]) -> Normal:
        """q(y_1 | h_1 ... h_k)."""
        return _distribution(self.infer_state(codes[:, : self.config.inferred_from].flatten(1)))

    def latents(self, codes: Float[Tensor, "b t code"]) -> Normal:
        """q(z_t | h_1 ... h_t) for t = 2 ... T."""
        return _distribution(self.infer_latent(self.memory(codes)[0][:, 1:]))

    def unroll(
        self, y_1: Float[Tensor, "b c_y"], z: Float[Tensor, "b t c_z"]
    ) -> tuple[Float[Tensor, "b t1 c_y"], Float[Tensor, "b t n"]]:
        """y_1 ... y_T and the norms of all residuals, for z_2 ... z_T."""
        states, norms = [y_1], []
        for z_t in z.unbind(dim=1):
            y, norm = self.advance(states[-1], z_t)
            states.append(y)
            norms.append(norm)
        return torch.stack(states, dim=1), torch.stack(norms, dim=1)

    def advance(
        self, y: Float[Tensor, "b c_y"], z: Float[Tensor, "b c_z"]
    ) -> tuple[Float[Tensor, "b c_y"], Float[Tensor, "b n"]]:
        """y one frame later, in n Euler steps, and |dt f| of each of them."""
        norms = []
        for _ in range(self.config.euler_steps):
            residual = self.f(torch.cat((y, z), dim=-1)) / self.config.euler_steps
            y = y + residual
            norms.append(residual.norm(dim=-1))
        return y, torch.stack(norms, dim=-1)


def random_frames(batch: int, length: int, count: int, generator: Generator) -> Int[Tensor, "b k"]:
    """`count` different frame numbers below `length` for each clip, in random order."""
    return torch.rand(batch, length, generator=generator).argsort(dim=1)[:, :count]


def negative_log_likelihood(
    x_hat: Float[Tensor, "b t 3 h w"], x: Float[Tensor, "b t 3 h w"], scale: float
) -> Float[Tensor, ""]:
    """-log N(x; x_hat, scale^2), summed over clips, frames and pixels."""
    return 0.5 * ((x - x_hat) / scale).square().sum() + x.numel() * (math.log(scale) + 0.5 * math.log(2 * math.pi))


PRESETS: dict[str, BaselineConfig] = {
    # The BAIR row of the published hyperparameters; trained there in mixed precision.
    "srvp64": BaselineConfig(
        network=SrvpConfig(), hold=1_000_000, fall=500_000, batch=192, learning_rate=3e-4, length=12
    ),
    # For 45 minutes on one core of a CPU, at 3.2 s a step: less than a fifth of the convolutions' width, all else as
    # published but the batch; it is not below 16, so that batch norms have something to average.
    "srvp64-small": BaselineConfig(
        network=SrvpConfig(channels=12),
        hold=560,
        fall=280,
        batch=16,
        learning_rate=3e-4,
        length=12,
        checkpoint_every=100,
    ),
}
