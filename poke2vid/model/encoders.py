"""E_sigma, picture -> object state, and E_phi, poke map -> latent interaction (Sec. 3, App. E.1)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.blocks import ConvBlock, ResBlock
from poke2vid.model.config import ModelConfig

POKE_CHANNELS = 3  # dx, dy, mask (pokes.rasterise)


class ObjectEncoder(nn.Module):
    """E_sigma: sigma = [E_sigma(x)^1, ..., E_sigma(x)^N], coarsest first (Sec. 3.1).

    Stride-2 convolutions down to 8 x 8, then one ResNet block there; every level is returned. Bounded levels go through
    tanh on return (not on the way down), because a GRU state can never leave [-1, 1] (docs/decisions/004).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [3, *reversed(config.level_channels)]  # finest first, as the picture shrinks
        self.down = nn.ModuleList(ConvBlock(c, c2, stride=2) for c, c2 in pairwise(widths))
        self.bottleneck = ResBlock(widths[-1], widths[-1])
        self.bounded = config.state_range == "bounded"

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        levels = []
        h = x
        for block in self.down:
            h = block(h)
            levels.append(h)
        levels[-1] = self.bottleneck(h)
        return tuple(torch.tanh(level) if self.bounded else level for level in reversed(levels))


class PokeEncoder(nn.Module):
    """E_phi: phi = E_phi(p, l), the poke map encoded by a trunk of the same form, 8 x 8 and as wide as sigma^1.

    No InstanceNorm: on a map that is empty except for the poke it would divide the poke's length away. The `literal`
    ablation keeps it and sees no mask channel (docs/decisions/002).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.literal = config.poke_encoder == "literal"
        norm_kind = "instance" if self.literal else "none"
        widths = [2 if self.literal else POKE_CHANNELS, *reversed(config.level_channels)]
        self.down = nn.ModuleList(ConvBlock(c, c2, stride=2, norm_kind=norm_kind) for c, c2 in pairwise(widths))
        self.bottleneck = ResBlock(widths[-1], widths[-1], norm_kind=norm_kind)
        if not self.literal:  # without a norm the layers themselves must keep the signal's size
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)

    def forward(self, poke_map: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c_phi h_1 w_1"]:
        h = poke_map[:, :2] if self.literal else poke_map
        for block in self.down:
            h = block(h)
        return self.bottleneck(h)
