"""F: the object state's dynamics under an interaction (Sec. 3.1), and the ablation to compare them with (Tab. 3)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.config import ModelConfig
from poke2vid.model.gru import CLOSED_GATE, OPEN_GATE, ConvGRUCell

NUM_BOTTLENECK_CELLS = 3  # Sec. 4.4


class HierarchicalDynamics(nn.Module):
    """F = (F_1, ..., F_N), one ConvGRU a level, coarsest first; U_n brings level n to the size of level n + 1.

    sigma^1_{i+1} = F_1(sigma^1_i, phi_i)                                (Eq. 4)
    sigma^n_{i+1} = F_n(sigma^n_i, U_{n-1}(sigma^{n-1}_{i+1}))           (Eq. 5: the predecessor's *new* state)

    The paper's U_n also changes the width to the next level's. The released U_n keeps its width and is absent between
    the two levels of one size; the released update gates start half open.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.cells, self.upsamplers = self._networks(config)

    def _networks(self, config: ModelConfig) -> tuple[nn.ModuleList, nn.ModuleList]:
        """F_1 ... F_N, and U_1 ... U_{N-1}; their order of creation is that of the random numbers."""
        widths = config.level_channels[: config.num_dynamic_levels]
        upsamplers: list[nn.Module]
        match config.architecture:
            case "paper":
                inputs, update_bias = widths[1:], CLOSED_GATE
                upsamplers = [_upsampler(c, c2) for c, c2 in pairwise(widths)]
            case "released":
                inputs, update_bias = widths[:-1], OPEN_GATE
                sides = pairwise(config.level_sides)
                upsamplers = [_released_upsampler(c, s2 // s) for c, (s, s2) in zip(inputs, sides, strict=True)]
        cells = [
            ConvGRUCell(c_u, c, update_bias=update_bias) for c_u, c in zip((widths[0], *inputs), widths, strict=True)
        ]
        return nn.ModuleList(cells), nn.ModuleList(upsamplers)

    def initial(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """sigma_0^n = E_sigma(x_0)^n, for the levels that have a GRU."""
        return levels[: len(self.cells)]

    def predicted(self, sigma: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The levels of a frame's state that this state predicts: all of them."""
        return sigma

    def drive(self, phi: Float[Tensor, "b c_phi h_1 w_1"]) -> Float[Tensor, "b c_drive h_1 w_1"]:
        """The drive of F_1: phi's share of its gates, after its input convolution; constant while the poke is."""
        return self._first.drive(phi)

    def rest_drive(self) -> Float[Tensor, "1 c_drive 1 1"]:
        """The drive where nothing touches the object: phi = 0."""
        return self._first.rest_drive()

    def advance(self, sigma: tuple[Tensor, ...], drive: Tensor) -> tuple[Tensor, ...]:
        """sigma_i+1, given the drive of F_1."""
        sigma_next = [self._first.advance(drive, sigma[0])]
        for F_n, U_n, sigma_n in zip(self.cells[1:], self.upsamplers, sigma[1:], strict=True):
            sigma_next.append(F_n(U_n(sigma_next[-1]), sigma_n))
        return tuple(sigma_next)

    def forward(self, sigma: tuple[Tensor, ...], phi: Float[Tensor, "b c_phi h_1 w_1"]) -> tuple[Tensor, ...]:
        return self.advance(sigma, self.drive(phi))

    @property
    def _first(self) -> ConvGRUCell:
        cell = self.cells[0]
        assert isinstance(cell, ConvGRUCell)
        return cell


class BottleneckDynamics(HierarchicalDynamics):
    """ "Ours RNN" of Tab. 3: the hierarchy without U, as one GRU of three stacked cells, all at 8 x 8.

    The decoder's skips stay those of x_0.
    """

    def _networks(self, config: ModelConfig) -> tuple[nn.ModuleList, nn.ModuleList]:
        """The cells, and U_n = 1 in between, which has no parameters."""
        width = config.level_channels[0]
        cells = [ConvGRUCell(width, width) for _ in range(NUM_BOTTLENECK_CELLS)]
        return nn.ModuleList(cells), nn.ModuleList(nn.Identity() for _ in cells[1:])

    def initial(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Every cell starts from E_sigma(x_0)^1."""
        return (levels[0],) * len(self.cells)

    def predicted(self, sigma: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The topmost cell's state stands for sigma^1; the states of the cells below are internal."""
        return sigma[-1:]


def _upsampler(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """U_n (App. E.1)."""
    return _orthogonal(nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1))


def _released_upsampler(channels: int, factor: int) -> nn.Module:
    """U_n of the released code; `factor` is 1 between levels of one size."""
    return _orthogonal(nn.ConvTranspose2d(channels, channels, 3, 2, 1, 1)) if factor == 2 else nn.Identity()


def _orthogonal(layer: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """Initialises a layer like the gates: orthogonal weights, no bias."""
    nn.init.orthogonal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def build_dynamics(config: ModelConfig) -> HierarchicalDynamics:
    """F in the form that the config names."""
    match config.dynamics:
        case "hierarchy":
            return HierarchicalDynamics(config)
        case "bottleneck":
            return BottleneckDynamics(config)


def stack_time(states: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Stacks a list of states over time into one tensor `b t c h w` a level."""
    return tuple(torch.stack(level, dim=1) for level in zip(*states, strict=True))
