"""Building blocks of SRVP and IVRNN: normal distributions, perceptrons, a normed ConvLSTM."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from poke2vid.baselines.baseline import kl_of_normals, normal

ConvState = tuple[Tensor, Tensor]  # (h, c) of a ConvLSTM, each `b hidden h w`
CELL_GROUPS = 16  # of a ConvLSTM's GroupNorms, at most: a narrow one has fewer


@dataclass(frozen=True)
class Normal:
    """N(mean, scale^2), independent in every element; scale is the standard deviation."""

    mean: Float[Tensor, "*shape"]
    scale: Float[Tensor, "*shape"]

    def sample(self, generator: Generator) -> Tensor:
        """One sample through which gradients flow."""
        return normal(self.mean, self.scale, generator)

    def log_density(self, z: Float[Tensor, "*shape"]) -> Tensor:
        """Logarithm of the density at z without its constant -log(2 pi) / 2, element by element."""
        return -self.scale.log() - 0.5 * ((z - self.mean) / self.scale) ** 2

    def kl(self, prior: "Normal") -> Tensor:
        """KL(self || prior) in closed form, element by element."""
        return kl_of_normals(self.mean, self.scale, prior.mean, prior.scale)

    def sampled_kl(self, z: Float[Tensor, "*shape"], prior: "Normal") -> Tensor:
        """log q(z) - log p(z) for a sample z of q = self: an estimate of KL(q || p), element by element."""
        return self.log_density(z) - prior.log_density(z)


def to_unit(frames: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """Frames in [0, 1] from frames in [-1, 1]."""
    return (frames + 1) / 2


def from_unit(frames: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """Frames in [-1, 1] from frames in [0, 1]."""
    return 2 * frames - 1


def folded(module: Callable[[Tensor], Tensor], values: Float[Tensor, "b t *shape"]) -> Float[Tensor, "b t *_out"]:
    """`module` on every time step at once, as one large batch."""
    return module(values.flatten(0, 1)).unflatten(0, values.shape[:2])


def picked(values: Float[Tensor, "b t *shape"], steps: Int[Tensor, "b k"]) -> Float[Tensor, "b k *shape"]:
    """The values at k time steps of each sample."""
    return values[torch.arange(len(values), device=values.device)[:, None], steps.to(values.device)]


def mlp(in_width: int, width: int, out_width: int, depth: int) -> nn.Sequential:
    """`depth` linear layers, `width` wide between them, with a ReLU before each but the first."""
    widths = [in_width, *[width] * (depth - 1), out_width]
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for before, after in pairwise(widths[1:]):
        layers += [nn.ReLU(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


class NormedConvLSTM(nn.Module):
    """A ConvLSTM (Shi et al. 2015) that norms what comes from the input, what comes from its state, and its cell.

        i, f, o, g = N(U * u) + N(W * h)     c' = N(sigmoid(f) c + sigmoid(i) tanh(g))     h' = sigmoid(o) tanh(c')

    `*` is a 3x3 convolution, every N a GroupNorm of its own, as in the public code of IVRNN (Castrejon et al. 2019). The
    inputs of all time steps are convolved as one batch.
    """

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.from_input = self._gates(in_channels, hidden_channels)
        self.from_state = self._gates(hidden_channels, hidden_channels)
        self.cell_norm = nn.GroupNorm(gcd(CELL_GROUPS, hidden_channels), hidden_channels)

    @staticmethod
    def _gates(in_channels: int, hidden_channels: int) -> nn.Sequential:
        width = 4 * hidden_channels
        return nn.Sequential(nn.Conv2d(in_channels, width, 3, 1, 1), nn.GroupNorm(gcd(CELL_GROUPS, width), width))

    def forward(
        self, inputs: Float[Tensor, "b t c_u h w"], state: ConvState
    ) -> tuple[Float[Tensor, "b t c h w"], ConvState]:
        """h_1 ... h_t and the last state, (h_t, c_t)."""
        h, c = state
        outputs = []
        for drive in folded(self.from_input, inputs).unbind(dim=1):
            i, f, o, g = (drive + self.from_state(h)).chunk(4, dim=1)
            c = self.cell_norm(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, c)
