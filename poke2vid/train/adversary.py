"""Adversarial training: D_S and D_T learn to tell predictions from the truth, G to fool them (Sec. 3.2, App. E.2)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from poke2vid import losses
from poke2vid.model.critics import ClipCritic, FrameCritic
from poke2vid.train.config import TrainConfig
from poke2vid.train.data import generator_for
from poke2vid.train.distributed import Group

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Draw:
    """Frames that the critics see in one step, of this process's share of the batch.

    Attributes:
        real, fake: places (clip, frame) of the true and of the predicted frames that D_S sees; unpaired.
        first: first of the T frames that D_T sees of a longer clip.
        frame_weight: weight of a drawn frame, such that the mean over processes is the mean over all drawn frames.
    """

    real: Int[Tensor, "m 2"]
    fake: Int[Tensor, "n 2"]
    first: int
    frame_weight: float

    def share(self, places: Tensor) -> float:
        """The weight of the mean over these frames."""
        return self.frame_weight * len(places)


class Adversary(nn.Module):
    """D_S and D_T (either may be absent), and the steps in which each takes part."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        weights, resolution = config.weights, config.model.resolution
        self.frame_critic = FrameCritic(config.critics) if weights.frame_critic else None
        self.clip_critic = (
            ClipCritic(config.critics, resolution=resolution, length=config.data.horizon)
            if weights.clip_critic or weights.feature_matching
            else None
        )

    def playing(self, step: int) -> tuple[FrameCritic | None, ClipCritic | None]:
        """The critics that take part in this step: D_S in both stages, D_T in stage 2, none before `critics.start`."""
        config = self.config
        stage = config.stage(step)
        begun = step - (config.stage_1_steps if stage == 2 else 0) >= config.critics.start
        return (self.frame_critic if begun else None), (self.clip_critic if begun and stage == 2 else None)

    def draw(self, step: int, length: int, group: Group) -> Draw:
        """Frames and stretch of time for a step, from clips of `length` frames; all processes make the same draw."""
        generator = generator_for(self.config.seed, "critics", step)
        batch, frames = self.config.batch, self.config.critics.frames
        mine = group.share(batch)
        places = []
        for _ in ("real", "fake"):
            drawn = torch.randint(batch * length, (frames,), generator=generator)
            clip, frame = drawn // length, drawn % length
            here = (clip >= mine.start) & (clip < mine.stop)
            places.append(torch.stack((clip[here] - mine.start, frame[here]), dim=1))
        spare = max(0, length - self.config.data.horizon)
        first = int(torch.randint(spare + 1, (), generator=generator))
        return Draw(places[0], places[1], first, group.size / frames)

    def critic_terms(
        self, x_hat: Float[Tensor, "b t 3 h w"], x: Float[Tensor, "b t 3 h w"], step: int, draw: Draw
    ) -> Terms:
        """The critics' loss terms: hinge losses, and R1 on true pictures; no gradient reaches the prediction."""
        frame_critic, clip_critic = self.playing(step)
        x_hat, x, terms = x_hat.detach(), x.detach(), {}
        if frame_critic is not None:
            real = _frames(x, draw.real).requires_grad_(self.config.critics.frame_penalty > 0)
            logits_real, logits_fake = _judge(frame_critic, real), _judge(frame_critic, _frames(x_hat, draw.fake))
            share_real, share_fake = draw.share(draw.real), draw.share(draw.fake)
            terms["frame_real"] = share_real * losses.hinge_loss_real(logits_real)
            terms["frame_fake"] = share_fake * losses.hinge_loss_fake(logits_fake)
            if self.config.critics.frame_penalty:
                penalty = losses.gradient_penalty(logits_real, real) if len(real) else logits_real.sum()
                terms["frame_penalty"] = share_real * penalty
        if clip_critic is not None:
            real = self._clip(x, draw).requires_grad_(self.config.critics.clip_penalty > 0)
            logits_real = clip_critic(real).logits
            terms["clip_real"] = losses.hinge_loss_real(logits_real)
            terms["clip_fake"] = losses.hinge_loss_fake(clip_critic(self._clip(x_hat, draw)).logits)
            if self.config.critics.clip_penalty:
                terms["clip_penalty"] = losses.gradient_penalty(logits_real, real)
        return terms

    def generator_terms(
        self, x_hat: Float[Tensor, "b t 3 h w"], x: Float[Tensor, "b t 3 h w"], step: int, draw: Draw
    ) -> Terms:
        """The generator's adversarial terms: L_DS, L_DT and feature matching (Eq. 8)."""
        frame_critic, clip_critic = self.playing(step)
        weights, terms = self.config.weights, {}
        if frame_critic is not None:
            logits = _judge(frame_critic, _frames(x_hat, draw.fake))
            terms["frame_critic"] = draw.share(draw.fake) * losses.adversarial_loss(logits)
        if clip_critic is not None:
            fake = clip_critic(self._clip(x_hat, draw))
            if weights.clip_critic:
                terms["clip_critic"] = losses.adversarial_loss(fake.logits)
            if weights.feature_matching:
                with torch.no_grad():
                    real = clip_critic(self._clip(x, draw))
                terms["feature_matching"] = losses.feature_matching_loss(fake.features, real.features)
        return terms

    def total(self, terms: Terms) -> Float[Tensor, ""]:
        """The critics' objective: hinge losses unweighted, penalties by their weights."""
        critics = self.config.critics
        penalties = {"frame_penalty": critics.frame_penalty, "clip_penalty": critics.clip_penalty}
        return losses.weighted_sum(terms, dict.fromkeys(terms, 1.0) | penalties)

    def _clip(self, x: Float[Tensor, "b t 3 h w"], draw: Draw) -> Float[Tensor, "b t2 3 h w"]:
        return x[:, draw.first : draw.first + self.config.data.horizon]


def _frames(x: Float[Tensor, "b t 3 h w"], places: Int[Tensor, "m 2"]) -> Float[Tensor, "m 3 h w"]:
    clip, frame = places.to(x.device).unbind(dim=1)
    return x[clip, frame]


def _judge(critic: FrameCritic, frames: Float[Tensor, "m 3 h w"]) -> Float[Tensor, "m *patches"]:
    """A critic's logits; if this process drew no frames, a zero that still depends on frames and weights."""
    if len(frames):
        return critic(frames)
    nothing = frames.sum() + 0 * torch.stack([p.sum() for p in critic.parameters()]).sum()
    return nothing.expand(1, 1)
