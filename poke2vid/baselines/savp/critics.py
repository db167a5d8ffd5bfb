"""SAVP's video critics and their losses: LSGAN, and feature matching by cosine distance (Lee et al., arXiv 1804.01523)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from poke2vid.baselines.savp.config import SavpConfig

_LEAK = 0.1  # slope of LeakyReLU below zero


class Judgement(NamedTuple):
    """Logit of every clip, large for true ones, and the features that it comes from, finest first."""

    logits: Float[Tensor, " b"]
    features: tuple[Tensor, ...]


class VideoCritic(nn.Module):
    """Critic of clips: seven 3-D convolutions and a dense layer, all with spectral norm (Miyato et al. 2018)."""

    def __init__(self, config: SavpConfig) -> None:
        super().__init__()
        c = config.critic_channels
        widths = (3, c, 2 * c, 2 * c, 4 * c, 4 * c, 8 * c, 8 * c)
        shapes = (
            (3, 1, 1),
            (4, 1, 2),
            (3, 1, 1),
            (4, 1, 2),
            (3, 1, 1),
            (4, 2, 2),
            (3, 1, 1),
        )  # kernel, stride: time, space
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv3d(c_in, c_out, kernel, (time, space, space), 1))
            for c_in, c_out, (kernel, time, space) in zip(widths[:-1], widths[1:], shapes, strict=True)
        )
        steps = config.judged
        for kernel, time, _ in shapes:
            steps = (steps + 2 - kernel) // time + 1
        self.head = spectral_norm(nn.Linear(8 * c * steps * (config.resolution // 8) ** 2, 1))

    def forward(self, x: Float[Tensor, "b t 3 h w"]) -> Judgement:
        """Judgement of clips of `judged` frames in [0, 1]."""
        h, features = x.transpose(1, 2), []
        for conv in self.convs:
            h = functional.leaky_relu(conv(h), _LEAK)
            features.append(h)
        return Judgement(self.head(h.flatten(1))[:, 0], tuple(features))


def critic_loss(true: Float[Tensor, " b"], predicted: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """mean (D(x) - 1)^2 + mean D(x_hat)^2: what a critic minimises (LSGAN, Mao et al. 2017)."""
    return (true - 1).square().mean() + predicted.square().mean()


def deceiving_loss(predicted: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """mean (D(x_hat) - 1)^2: what the generator minimises (LSGAN, Mao et al. 2017)."""
    return (predicted - 1).square().mean()


def feature_distance(predicted: Sequence[Tensor], true: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Mean over layers, clips and cells of 1 - cosine of a cell's features, axes `b c t h w`; no gradient on the true side."""
    distances = [
        (1 - functional.cosine_similarity(p, t.detach(), dim=1)).mean() for p, t in zip(predicted, true, strict=True)
    ]
    return torch.stack(distances).mean()
