"""Encoders and decoder of the authors' code, where it differs from App. E.1 (docs/decisions/001).

Its bottleneck is 16 x 16 and 512 channels wide. The encoders' ResNet blocks there only widen; the input of E_sigma's
block is a level of its own, of the same size. Convolutions have biases although a norm follows, which changes the
number of parameters but not the output. The dynamics are those of every model.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.blocks import ConvBlock, norm
from poke2vid.model.config import RELEASED_WIDTH, ModelConfig
from poke2vid.types import POKE_GAIN, Frame

_POKE_WIDTH = 32  # channels after the first convolution of E_phi, doubled by each next one; E_sigma's are its levels'


class ReleasedResBlock(nn.Module):
    """ResNet block: shortcut + norm(conv(activation(norm(conv)))), with nothing after the sum.

    The shortcut is the identity if shapes match, else a layer like the first: convolution, norm and activation. With
    `upsample` both are transposed convolutions and the activation is ReLU; it is ELU otherwise.
    """

    def __init__(self, in_channels: int, out_channels: int, *, upsample: bool = False) -> None:
        super().__init__()
        same = in_channels == out_channels and not upsample
        self.first = _layer(in_channels, out_channels, upsample=upsample)
        self.second = _layer(out_channels, out_channels)
        self.shortcut = None if same else _layer(in_channels, out_channels, upsample=upsample)
        self.norm = norm("instance", out_channels)
        self.activation = nn.ReLU() if upsample else nn.ELU()

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        shortcut = h if self.shortcut is None else self.activation(self.norm(self.shortcut(h)))
        h = self.activation(self.norm(self.first(h)))
        return shortcut + self.norm(self.second(h))


def _layer(in_channels: int, out_channels: int, *, upsample: bool = False) -> nn.Module:
    """A 3x3 convolution, or the transposed one that doubles the side."""
    if upsample:
        return nn.ConvTranspose2d(in_channels, out_channels, 3, 2, 1, 1)
    return nn.Conv2d(in_channels, out_channels, 3, 1, 1)


def _halving(in_channels: int, out_channels: int) -> ConvBlock:
    return ConvBlock(in_channels, out_channels, stride=2, keep_bias=True)


class ReleasedObjectEncoder(nn.Module):
    """E_sigma: stride-2 convolutions down to 16 x 16, each a level, and one more level from a ResNet block there."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        deepest, *others = config.level_channels
        widths = [3, *reversed(others)]  # finest first, as the picture shrinks
        self.down = nn.ModuleList(_halving(c, c2) for c, c2 in pairwise(widths))
        self.bottleneck = ReleasedResBlock(widths[-1], deepest)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        levels = []
        h = x
        for block in self.down:
            h = block(h)
            levels.append(h)
        levels.append(self.bottleneck(h))
        return tuple(reversed(levels))


class ReleasedPokeEncoder(nn.Module):
    """E_phi: the same number of stride-2 convolutions, and two ResNet blocks at 16 x 16.

    It sees (dx, dy) in pixels of the frame and no mask. The InstanceNorms remove most of the poke's length
    (docs/decisions/002).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [2, *(_POKE_WIDTH * 2**k for k in range(config.num_levels - 1))]
        self.down = nn.ModuleList(_halving(c, c2) for c, c2 in pairwise(widths))
        self.bottleneck = nn.Sequential(
            ReleasedResBlock(widths[-1], RELEASED_WIDTH), ReleasedResBlock(RELEASED_WIDTH, RELEASED_WIDTH)
        )

    def forward(self, poke_map: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c_phi h_1 w_1"]:
        h = poke_map[:, :2] * (poke_map.shape[-1] / POKE_GAIN)
        for block in self.down:
            h = block(h)
        return self.bottleneck(h)


class ReleasedDecoder(nn.Module):
    """G: a ResNet block at 16 x 16, then for each finer level a block that takes it in and doubles the side."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        deepest, *others = config.level_channels
        outs = [*others[1:], others[-1]]
        self.first = ReleasedResBlock(deepest, others[0])
        self.up = nn.ModuleList(ReleasedResBlock(2 * c, c2, upsample=True) for c, c2 in zip(others, outs, strict=True))
        self.to_rgb = nn.Conv2d(others[-1], 3, 3, 1, 1)

    def context(self, x_0: Float[Tensor, "b 3 h w"], levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Empty: the state is all that it needs of x_0."""
        return ()

    def forward(self, levels: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Frame:
        """One frame from all levels of its state, coarsest first."""
        h = self.first(levels[0])
        for block, level in zip(self.up, levels[1:], strict=True):
            h = block(torch.cat((h, level), dim=1))
        return Frame(torch.tanh(self.to_rgb(h)))
