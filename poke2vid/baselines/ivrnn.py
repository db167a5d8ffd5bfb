"""IVRNN: conditional variational RNNs with a hierarchy of latents (Castrejon, Ballas, Courville, ICCV 2019).

    e_t         = Emb(x_t)                                     maps on six scales, down to 1 x 1
    z_t^l       ~ q(z_t^l | z_t^<l, x_<=t), p(z_t^l | z_t^<l, x_<t)   latents at three of the scales, coarse to fine
    x_hat_t     = Ren(e_t-1, z_t^1, z_t^2, z_t^3)              predicted frame; one ConvLSTM a scale
    L           = sum_t |x_t - x_hat_t| + beta sum_t,l KL(q(z_t^l) || p(z_t^l))   the KL estimated by the sample

Written from facts alone: the released code is non-commercial, so none of it is here, and its hierarchical model lacks a
module and does not run. Frames are seen by the networks in [0, 1].
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.checks import require_counts, require_weights
from poke2vid.baselines.layers import ConvState, Normal, NormedConvLSTM, folded, from_unit, to_unit
from poke2vid.types import STRICT, InputError

NORM_GROUPS = 4  # of every GroupNorm between convolutions
LEAK = 0.2  # slope of every LeakyReLU below 0
RESIDUAL_SHARE = 0.1  # of a ResNet block's convolutions in its output
MIN_VARIANCE = 1e-6  # added to every variance; not in the paper, but a density needs it
LATENT_SCALES = (0, 2, 4)  # scales with a latent, of six, coarsest first: 1 x 1, 8 x 8 and 32 x 32 at 64 pixels


@dataclass(frozen=True, kw_only=True)
class IvrnnConfig:
    """Sizes and loss weights of IVRNN; the defaults are the published ones at 64 pixels.

    Attributes:
        resolution: side of the square frames in pixels; published for 64. The coarsest map but one has a sixteenth of it.
        channels: n_hid, width of the finest maps; doubles to eight times that.
        latent: n_z, channels of z^1, the coarsest latent; z^2 and z^3 have as many as their maps.
        dense_prior: True as in the paper: prior and posterior of a level both see the samples of the coarser levels.
            False as in the released code, where only the posterior does.
        beta: weight of the divergences.
        warm_up: steps in which that weight rises linearly from 0; 0 for none.
    """

    system: Literal["ivrnn"] = "ivrnn"
    resolution: int = 64
    channels: int = 64
    latent: int = 10
    dense_prior: bool = True
    beta: float = 1.0
    warm_up: int = 0

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.resolution not in (32, 64, 128):
            raise InputError(f"resolution {self.resolution} is not one of 32, 64, 128; choose one of these.")
        if self.channels < NORM_GROUPS or self.channels % NORM_GROUPS:
            raise InputError(f"channels is {self.channels}; it must be a multiple of {NORM_GROUPS}, for the norms.")
        require_counts(self, "latent")
        require_weights(self, "beta", "warm_up")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the six scales, coarsest first, of the embedding as of the renderer."""
        return tuple(factor * self.channels for factor in (8, 8, 8, 4, 2, 1))

    @property
    def latents(self) -> tuple[int, ...]:
        """Channels of z^1, z^2 and z^3."""
        return (self.latent, *(self.widths[scale] for scale in LATENT_SCALES[1:]))

    @property
    def bottom(self) -> int:
        """Side of the coarsest map but one, in cells."""
        return self.resolution // 16


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(NORM_GROUPS, width)


class ResidualBlock(nn.Module):
    """x + 0.1 dx, where dx is LeakyReLU, 3x3 convolution and norm, twice; x by a 1x1 convolution where the width changes.

    Between the two convolutions it has the smaller of both widths. The share of a tenth is that of the public code.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        inside = min(before, after)
        self.change = nn.Sequential(
            nn.LeakyReLU(LEAK), nn.Conv2d(before, inside, 3, 1, 1), _norm(inside),
            nn.LeakyReLU(LEAK), nn.Conv2d(inside, after, 3, 1, 1, bias=False), _norm(after),
        )  # fmt: skip
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
        return self.shortcut(x) + RESIDUAL_SHARE * self.change(x)


class Embedding(nn.Module):
    """Emb: six scales of ResNet blocks with max pooling between them, the last one down to a single cell."""

    def __init__(self, config: IvrnnConfig) -> None:
        super().__init__()
        *widths, last = reversed(config.widths)
        self.scales = nn.ModuleList([nn.Sequential(nn.Conv2d(3, widths[0], 1), ResidualBlock(widths[0], widths[0]))])
        pools = (2, 2, 2, 2, config.bottom)
        for pool, before, after in zip(pools, widths, [*widths[1:], last], strict=True):
            self.scales.append(
                nn.Sequential(nn.MaxPool2d(pool), ResidualBlock(before, after), ResidualBlock(after, after))
            )

    def forward(self, x: Float[Tensor, "b t 3 h w"]) -> list[Float[Tensor, "b t _c _h _w"]]:
        """e_t on six scales, coarsest first."""
        levels = []
        for scale in self.scales:
            x = folded(scale, x)
            levels.append(x)
        return levels[::-1]


class InitialState(nn.Module):
    """First (h, c) of a ConvLSTM from the embeddings of all frames seen, at its scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        seen = Ivrnn.seen * width
        self.layers = nn.Sequential(
            nn.Conv2d(seen, seen, 1), _norm(seen), nn.LeakyReLU(LEAK),
            nn.Conv2d(seen, 2 * width, 1), nn.GroupNorm(1, 2 * width),
        )  # fmt: skip

    def forward(self, seen: Float[Tensor, "b s c h w"]) -> ConvState:
        h, c = self.layers(seen.flatten(1, 2)).chunk(2, dim=1)
        return h, c


class LatentNet(nn.Module):
    """q or p of one level: 1x1 convolution, norm, ConvLSTM, and a normed 1x1 convolution that also sees coarser samples.

    Its last norm scales by zero at first, so that q and p begin nearly alike.
    """

    def __init__(self, width: int, coarser: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(width, width, 1), nn.GroupNorm(1, width))
        self.lstm = NormedConvLSTM(width, width)
        last = nn.GroupNorm(1, 2 * channels)
        nn.init.zeros_(last.weight)
        nn.init.normal_(last.bias, 0.0, 1e-3)
        self.leave = nn.Sequential(nn.Conv2d(width + coarser, 2 * channels, 1), last)

    def forward(
        self,
        embedding: Float[Tensor, "b t c h w"],
        coarser: list[Float[Tensor, "b t _c _h _w"]],
        state: ConvState,
    ) -> tuple[Normal, ConvState]:
        """Distributions of z_1^l ... z_t^l and the last state."""
        hidden, state = self.lstm(folded(self.enter, embedding), state)
        side = embedding.shape[-2:]
        enlarged = [folded(lambda z: functional.interpolate(z, size=side, mode="nearest"), z) for z in coarser]
        mean, raw = folded(self.leave, torch.cat((hidden, *enlarged), dim=2)).chunk(2, dim=2)
        return Normal(mean, (functional.softplus(raw) + MIN_VARIANCE).sqrt()), state


class RenderScale(nn.Module):
    """One scale of Ren: a ConvLSTM, then a transposed convolution to the next scale, or two convolutions to the frame."""

    def __init__(self, below: int, width: int, leave: nn.Module) -> None:
        super().__init__()
        self.lstm = NormedConvLSTM(below, width)
        self.leave = leave

    def forward(
        self, below: Float[Tensor, "b t c h w"], state: ConvState
    ) -> tuple[Float[Tensor, "b t c2 h2 w2"], ConvState]:
        hidden, state = self.lstm(below, state)
        return folded(self.leave, hidden), state


class States(NamedTuple):
    """(h, c) of every ConvLSTM between two frames: of Ren's six, and of the three levels of p and q."""

    render: list[ConvState]
    prior: list[ConvState]
    posterior: list[ConvState]


class Ivrnn(Baseline):
    """IVRNN with its hierarchy of three latents, densely connected."""

    revision = 2
    seen = 2

    def __init__(self, config: IvrnnConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.embedding = Embedding(config)
        latents = dict(zip(LATENT_SCALES, config.latents, strict=True))
        coarser = [sum(config.latents[:level]) for level in range(len(latents))]
        at_latents = [widths[scale] for scale in LATENT_SCALES]
        sizes = list(zip(at_latents, coarser, config.latents, strict=True))
        self.posterior = nn.ModuleList(LatentNet(*size) for size in sizes)
        self.prior = nn.ModuleList(LatentNet(w, c if config.dense_prior else 0, z) for w, c, z in sizes)
        self.render_scales = nn.ModuleList(
            RenderScale(width + latents.get(scale, 0), width, self._leave(scale)) for scale, width in enumerate(widths)
        )
        self.render_initial = nn.ModuleList(InitialState(width) for width in widths)
        self.prior_initial = nn.ModuleList(InitialState(width) for width in at_latents)
        self.posterior_initial = nn.ModuleList(InitialState(width) for width in at_latents)

    def _leave(self, scale: int) -> nn.Module:
        """Last layers of a scale of Ren: from 1 x 1 to the next scale, twice the side, or to the frame."""
        widths = self.config.widths
        if scale == len(widths) - 1:
            width = widths[scale]
            fine = (nn.Conv2d(width, width, 3, 1, 1), _norm(width), nn.LeakyReLU(LEAK))
            return nn.Sequential(*fine, nn.Conv2d(width, 3, 3, 1, 1), nn.Sigmoid())
        kernel, stride, padding = (self.config.bottom, 1, 0) if scale == 0 else (4, 2, 1)
        after = widths[scale + 1]
        up = nn.ConvTranspose2d(widths[scale], after, kernel, stride, padding)
        return nn.Sequential(up, _norm(after), nn.LeakyReLU(LEAK))

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        """|x - x_hat| and the divergence of the latents, estimated by the sample; means over clips of sums.

        The frames seen only give the first states; all others are predicted from the true frame before them. As no
        sample depends on a prediction, every layer works on all frames at once and only the ConvLSTMs go step by step.
        """
        x = to_unit(clips.frames)
        embeddings = self.embedding(x)
        states = self.first_states(embeddings)
        before, now = [e[:, self.seen - 1 : -1] for e in embeddings], [e[:, self.seen :] for e in embeddings]
        levels = self.distributions(before, now, states, generator)
        divergence = torch.stack([q.sampled_kl(z, p).sum() for q, p, z in levels]).sum()
        x_hat, _ = self.render(before[0], [z for _, _, z in levels], states.render)
        target = x[:, self.seen :]
        beta = self.config.beta * min(1.0, step / self.config.warm_up if self.config.warm_up else 1.0)
        return {"l1": (target - x_hat).abs().sum() / len(x), "kl": beta * divergence / len(x)}

    def predict(
        self,
        frames: Float[Tensor, "b s 3 h w"],
        count: int,
        generator: Generator,
        paths: Float[Tensor, "b k t 2"] | None = None,
    ) -> Float[Tensor, "b n 3 h w"]:
        """One sample a clip: latents from the prior, every predicted frame being the next one's input."""
        embeddings = self.embedding(to_unit(frames))
        render, prior, _ = self.first_states(embeddings)
        before, predicted = [e[:, -1:] for e in embeddings], list[Tensor]()
        for _ in range(count):
            if predicted:
                before = self.embedding(predicted[-1])
            samples, prior = self.imagine(before, prior, generator)
            x_hat, render = self.render(before[0], samples, render)
            predicted.append(x_hat)
        return from_unit(torch.cat(predicted, dim=1))

    def first_states(self, embeddings: list[Float[Tensor, "b t _c _h _w"]]) -> States:
        """States after the frames seen."""
        seen = [e[:, : self.seen] for e in embeddings]
        at_latents = [seen[scale] for scale in LATENT_SCALES]
        render = [net(e) for net, e in zip(self.render_initial, seen, strict=True)]
        prior = [net(e) for net, e in zip(self.prior_initial, at_latents, strict=True)]
        posterior = [net(e) for net, e in zip(self.posterior_initial, at_latents, strict=True)]
        return States(render, prior, posterior)

    def distributions(
        self,
        before: list[Float[Tensor, "b t _c _h _w"]],
        now: list[Float[Tensor, "b t _c _h _w"]],
        states: States,
        generator: Generator,
    ) -> list[tuple[Normal, Normal, Tensor]]:
        """q, p and q's sample z for each level, coarsest first; both see the coarser samples of q.

        Args:
            before: embeddings of x_t-1, which p reads.
            now: embeddings of x_t, which q reads.
        """
        levels: list[tuple[Normal, Normal, Tensor]] = []
        for level, scale in enumerate(LATENT_SCALES):
            coarser = [z for _, _, z in levels]
            q, _ = self.posterior[level](now[scale], coarser, states.posterior[level])
            p, _ = self.prior[level](before[scale], self._to_prior(coarser), states.prior[level])
            levels.append((q, p, q.sample(generator)))
        return levels

    def imagine(
        self, before: list[Float[Tensor, "b t _c _h _w"]], states: list[ConvState], generator: Generator
    ) -> tuple[list[Float[Tensor, "b t _c _h _w"]], list[ConvState]]:
        """Samples of p, each level seeing those of the coarser ones, and p's states after them."""
        samples: list[Tensor] = []
        after = []
        for net, scale, state in zip(self.prior, LATENT_SCALES, states, strict=True):
            p, state = net(before[scale], self._to_prior(samples), state)
            samples.append(p.sample(generator))
            after.append(state)
        return samples, after

    def _to_prior(self, coarser: list[Tensor]) -> list[Tensor]:
        """The coarser samples as the prior sees them: not at all in the released form."""
        return list(coarser) if self.config.dense_prior else []

    def render(
        self,
        last: Float[Tensor, "b t c 1 1"],
        samples: list[Float[Tensor, "b t _c _h _w"]],
        states: list[ConvState],
    ) -> tuple[Float[Tensor, "b t 3 h w"], list[ConvState]]:
        """x_hat in [0, 1] from the coarsest embeddings of the frames before, and Ren's states after them."""
        latents = dict(zip(LATENT_SCALES, samples, strict=True))
        level, after = last, []
        for number, (scale, state) in enumerate(zip(self.render_scales, states, strict=True)):
            if number in latents:
                level = torch.cat((level, latents[number]), dim=2)
            level, state = scale(level, state)
            after.append(state)
        return level, after


PRESETS: dict[str, BaselineConfig] = {
    # Published for up to 500 epochs, here those of BAIR's 43 264 clips.
    "ivrnn64": BaselineConfig(network=IvrnnConfig(), hold=1_352_000, batch=16, learning_rate=1e-4, length=12),
    # For 45 minutes on one core of a CPU, at 1.7 s a step: an eighth of the width, a quarter of the batch, ten times the
    # learning rate, as the published one is slow for so few steps. On bouncing discs (64 pixels, clips of 12 frames, batch
    # 4, one seed, means of steps 131 ... 150) |x - x_hat| was 11 774 a clip at 1e-4 and 6 008 at 1e-3, both still falling.
    "ivrnn64-small": BaselineConfig(
        network=IvrnnConfig(channels=8), hold=1600, batch=4, learning_rate=1e-3, length=12, checkpoint_every=100
    ),
}
