"""SAVP as one of the systems: a VAE and two GANs that share one generator (Lee et al., arXiv 1804.01523).

    z_t         ~ q(z_t | x_t, x_t+1), p(z_t) = N(0, 1)        what happens between two frames
    x_hat_t+1   = G(x_t, x_first, z_t)                         predicted frame, fed back; with z of q or of p
    L_G, L_q    = 100 |x - x_hat^q| + w KL(q || p)             reconstruction; w rises from 0 to 1
                  + 0.1 (1 - D_q(x_hat^q))^2 + 0.1 (1 - D_p(x_hat^p))^2 + 10 (1 - cos(features of D_q))
    L_D         = (1 - D(x))^2 + D(x_hat)^2                    of either critic, D_q and D_p

Choices where the paper and the settings that we know of are silent: the L1 term counts all predicted frames, x_1 too; KL is
summed over z_t and averaged over clips and steps; feature matching is a mean over layers, of critics that see the same part
of the true and of the made clip; both rollouts share the posterior's z in the context; the true frame is fed clip by clip and
step by step; the picture continues by its border value where a kernel reaches over it; weights start as PyTorch's do, those
that make kernels a hundred times smaller, and forget biases at 1.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator as Randomness
from torch import Tensor, nn

from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig, kl_of_normals, normal
from poke2vid.baselines.layers import picked, to_unit
from poke2vid.baselines.savp.config import SavpConfig
from poke2vid.baselines.savp.critics import VideoCritic, critic_loss, deceiving_loss, feature_distance
from poke2vid.baselines.savp.generator import Generator, Posterior
from poke2vid.types import InputError


class Rollouts(NamedTuple):
    """x_hat_1 ... x_hat_t-1 of training clips in [0, 1], and the KL divergence of every z_t.

    Attributes:
        posterior: made with z from q(z_t | x_t, x_t+1).
        prior: made with z from N(0, 1) after the context frames; None without critics, as nothing else reads it.
        kl: summed over the numbers of z_t.
    """

    posterior: Float[Tensor, "b s 3 h w"]
    prior: Float[Tensor, "b s 3 h w"] | None
    kl: Float[Tensor, "b s"]

    def detached(self) -> "Rollouts":
        prior = None if self.prior is None else self.prior.detach()
        return Rollouts(self.posterior.detach(), prior, self.kl.detach())


class Savp(Baseline):
    """SAVP: x_hat_t+1 = G(x_t, x_first, z_t), z_t from the posterior where x_t+1 is known and from N(0, 1) where it is not."""

    revision = 2

    def __init__(self, config: SavpConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.posterior = Posterior(config)
        self.critics = nn.ModuleDict()
        if config.critics:
            self.critics.update({name: VideoCritic(config) for name in ("posterior", "prior")})
        # Rollouts of a step's first call for its second one, with the clips that they belong to.
        self._made: tuple[BaselineClips, int, Rollouts] | None = None

    @classmethod
    def check(cls, config: BaselineConfig) -> None:
        network = config.network
        if network.critics and config.length <= network.judged:
            raise InputError(
                f"length is {config.length}, and the critics judge {network.judged} frames of those after the first; "
                "make length larger, or network.judged smaller."
            )

    def groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        groups = {"generator": [*self.generator.parameters(), *self.posterior.parameters()]}
        if self.config.critics:
            groups["critics"] = list(self.critics.parameters())
        return groups

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Randomness) -> dict[str, Tensor]:
        """Terms of either group. The critics' are of the generator's rollouts before its step, where that went before."""
        frames = to_unit(clips.frames)
        if group == "generator":
            rollouts = self.rollouts(frames, step, generator)
            self._made = (clips, step, rollouts.detached())
            return self._generator_terms(frames, rollouts, step, generator)
        assert group == "critics" and self.config.critics
        if self._made is not None and self._made[0] is clips and self._made[1] == step:
            rollouts = self._made[2]
        else:
            with torch.no_grad():
                rollouts = self.rollouts(frames, step, generator)
        self._made = None
        return self._critic_terms(frames, rollouts, generator)

    def rollouts(self, frames: Float[Tensor, "b t 3 h w"], step: int, generator: Randomness) -> Rollouts:
        """Both rollouts of clips in [0, 1]. They share weights, so they are one batch."""
        b, t = frames.shape[:2]
        mean, scale = self.posterior(frames)
        z = normal(mean, scale, generator)
        kl = kl_of_normals(mean, scale).sum(dim=-1)
        copies = 2 if self.config.critics else 1
        if self.config.critics:
            drawn = normal(torch.zeros_like(mean), torch.ones_like(scale), generator)
            context = self.seen - 1
            z = torch.cat((z, torch.cat((z[:, :context], drawn[:, context:]), dim=1)))
        fed = torch.rand(copies * b, t - 1, generator=generator) < self.config.truth_probability(step)
        made = self._roll(frames.repeat(copies, 1, 1, 1, 1), z, fed.to(frames.device))
        return Rollouts(made[:b], made[b:] if self.config.critics else None, kl)

    def _roll(
        self, frames: Float[Tensor, "b t 3 h w"], z: Float[Tensor, "b s n"], fed: Bool[Tensor, "b s"] | None
    ) -> Float[Tensor, "b s 3 h w"]:
        """One predicted frame for every z. Each is made from the one before it: the true one among the first `seen` frames
        and where `fed` says so, else the predicted one."""
        first = frames[:, 0]
        made: list[Tensor] = []
        state = self.generator.start(first)
        for t, z_t in enumerate(z.unbind(dim=1)):
            if t < self.seen:
                previous = frames[:, t]
            elif fed is None:
                previous = made[-1]
            else:
                previous = torch.where(fed[:, t, None, None, None], frames[:, t], made[-1])
            (frame, _, _), state = self.generator(previous, first, z_t, state)
            made.append(frame)
        return torch.stack(made, dim=1)

    def _generator_terms(
        self, frames: Float[Tensor, "b t 3 h w"], rollouts: Rollouts, step: int, generator: Randomness
    ) -> dict[str, Tensor]:
        config = self.config
        terms = {
            "pixel": config.pixel * (rollouts.posterior - frames[:, 1:]).abs().mean(),
            "kl": config.kl_weight(step) * rollouts.kl.mean(),
        }
        if rollouts.prior is not None:
            judged = self._judged_frames(frames, generator)
            with torch.no_grad():
                true = self.critics["posterior"](picked(frames[:, 1:], judged))
            posterior = self.critics["posterior"](picked(rollouts.posterior, judged))
            prior = self.critics["prior"](picked(rollouts.prior, judged))
            terms["posterior_adversarial"] = config.posterior_adversarial * deceiving_loss(posterior.logits)
            terms["prior_adversarial"] = config.prior_adversarial * deceiving_loss(prior.logits)
            terms["feature_matching"] = config.feature_matching * feature_distance(posterior.features, true.features)
        return terms

    def _critic_terms(
        self, frames: Float[Tensor, "b t 3 h w"], rollouts: Rollouts, generator: Randomness
    ) -> dict[str, Tensor]:
        """LSGAN losses of either critic, with weight 1: neither shares a parameter with anything else."""
        assert rollouts.prior is not None
        judged = self._judged_frames(frames, generator)
        terms, true = {}, picked(frames[:, 1:], judged)
        for name, made in (("posterior", rollouts.posterior), ("prior", rollouts.prior)):
            logits = self.critics[name](torch.cat((true, picked(made, judged)))).logits
            terms[f"{name}_critic"] = critic_loss(*logits.chunk(2))
        return terms

    def _judged_frames(self, frames: Float[Tensor, "b t 3 h w"], generator: Randomness) -> Int[Tensor, "b s"]:
        """Numbers of the frames that critics judge: `judged` in a row of x_1 ... x_t-1, from a random one on, clip by clip."""
        made, judged = frames.shape[1] - 1, self.config.judged
        first = torch.randint(made - judged + 1, (len(frames), 1), generator=generator)
        return first + torch.arange(judged)

    @torch.no_grad()
    def predict(
        self,
        frames: Float[Tensor, "b s 3 h w"],
        count: int,
        generator: Randomness,
        paths: Float[Tensor, "b k t 2"] | None = None,
    ) -> Float[Tensor, "b n 3 h w"]:
        """Frames after the context; z of the context is of the posterior, z after it of N(0, 1)."""
        given = to_unit(frames)
        mean, scale = self.posterior(given)
        z = normal(mean, scale, generator)
        unknown = z.new_zeros(len(z), count, self.config.latents)
        z = torch.cat((z, normal(unknown, torch.ones_like(unknown), generator)), dim=1)
        return (2 * self._roll(given, z, None)[:, -count:] - 1).clamp(-1, 1)
