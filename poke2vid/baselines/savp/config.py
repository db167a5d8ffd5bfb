"""Sizes, loss weights, schedules and presets of SAVP."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.checks import require_counts, require_scales, require_weights
from poke2vid.types import STRICT, InputError

FEWEST_JUDGED = 4  # frames; with fewer, the critics' strides leave no time step


@dataclass(frozen=True, kw_only=True)
class SavpConfig:
    """Sizes, loss weights and schedules of SAVP; the defaults are the authors' for BAIR (Lee et al., arXiv 1804.01523).

    Attributes:
        resolution: side of the frames in pixels: 64, or 128, which has one layer more on either side.
        channels: width of the generator's first layer; the others are multiples of it.
        latents: numbers in z_t, drawn anew for every frame (KTH: 32).
        kernels: number of CDNA kernels of a frame.
        posterior_channels, critic_channels: widths of the first layers of q(z) and of either critic.
        critics: False leaves out critics and prior rollouts; this ablation must be labelled as one, it is no SAVP.
        judged: frames that a critic sees: so many in a row, from a random one on, of those after the first.
        pixel, kl, prior_adversarial, posterior_adversarial, feature_matching: loss weights, for frames in [0, 1]. The critics
            learn from a loss of weight 1.
        kl_from, kl_to: steps between which the weight of the KL term rises linearly from 0 to `kl`.
        truth_scale: k, in steps, of scheduled sampling: a true frame is fed with probability k / (k + exp(step / k)).
        truth_pace: steps of that curve that one step is, so that a short training keeps its shape.
    """

    system: Literal["savp"] = "savp"
    resolution: int = 64
    channels: int = 32
    latents: int = 8
    kernels: int = 4
    posterior_channels: int = 64
    critics: bool = True
    critic_channels: int = 32
    judged: int = 10
    pixel: float = 100.0
    kl: float = 1.0
    prior_adversarial: float = 0.1
    posterior_adversarial: float = 0.1
    feature_matching: float = 10.0
    kl_from: int = 50_000
    kl_to: int = 100_000
    truth_scale: float = 900.0
    truth_pace: float = 1.0

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.system != "savp":
            raise InputError(f"system is {self.system!r}; these are the settings of 'savp'.")
        if self.resolution not in (64, 128):
            raise InputError(f"resolution is {self.resolution}; SAVP is defined for 64 and 128 pixels.")
        require_counts(self, "channels", "latents", "kernels", "posterior_channels", "critic_channels")
        if self.judged < FEWEST_JUDGED:
            raise InputError(f"judged is {self.judged}; the critics need at least {FEWEST_JUDGED} frames.")
        require_weights(self, "pixel", "kl", "prior_adversarial", "posterior_adversarial", "feature_matching")
        if not 0 <= self.kl_from <= self.kl_to:
            raise InputError(
                f"kl_from {self.kl_from} and kl_to {self.kl_to} must not be negative, nor the first the larger."
            )
        require_scales(self, "truth_scale", "truth_pace")

    def kl_weight(self, step: int) -> float:
        """Weight of the KL term after `step` steps."""
        if step >= self.kl_to:
            return self.kl
        return self.kl * max(0.0, (step - self.kl_from) / (self.kl_to - self.kl_from))

    def truth_probability(self, step: int) -> float:
        """Probability, after `step` steps, that a step of a rollout is fed the true frame and not the predicted one.

        k / (k + exp(pace step / k)), the inverse sigmoid decay of scheduled sampling (Bengio et al. 2015).
        """
        grown = math.exp(min(self.truth_pace * step / self.truth_scale, 700.0))  # a larger exponent overflows
        return self.truth_scale / (self.truth_scale + grown)


PRESETS: dict[str, BaselineConfig] = {
    # The authors' settings for BAIR, the only ones of theirs with two context frames.
    "savp64": BaselineConfig(
        network=SavpConfig(), length=12, hold=200_000, fall=100_000, batch=16, learning_rate=2e-4, betas=(0.5, 0.999),
    ),
    # For 45 minutes of one core (AMD EPYC without AVX-512), 3.6 s a step: a quarter of all widths but those of z, batch 4 for
    # 16, and 750 steps for 300,000, to which the schedules are scaled. 0.67 million parameters and 0.67 million of the critics,
    # for 7.4 and 10.3 million. The learning rate stays: at 1e-3 the generator learns faster, but a critic cannot tell a blurred
    # clip from a sharp one after 80 steps, and after 50 steps at 2e-4 it can. Nothing of this has converged by the end.
    "savp64-small": BaselineConfig(
        network=SavpConfig(
            channels=8, posterior_channels=16, critic_channels=8, kl_from=125, kl_to=250, truth_pace=300_000 / 750
        ),
        length=12, hold=500, fall=250, batch=4, learning_rate=2e-4, betas=(0.5, 0.999),
        checkpoint_every=100, sample_every=250,
    ),
}  # fmt: skip
