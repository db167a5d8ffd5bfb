"""G: the paper's decoder, which paints frames (App. E.1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poke2vid.model.blocks import ResBlock
from poke2vid.model.config import ModelConfig
from poke2vid.types import Frame

_SPREAD_FLOOR = 0.05  # a picture of one colour has no spread; its frames still need some range to move in
_MEAN_LIMIT = 0.98  # atanh grows without bound at 1


class Decoder(nn.Module):
    """x_hat = G(sigma): N ResNet blocks, each upsampling by a transposed convolution; sigma^n joins at its own scale.

    InstanceNorm, in E_sigma and here, removes a picture's contrast and most of its overall colour. So the last layer
    is given x_0's channel means m and spreads s: x_hat = tanh(s y + atanh(m)), with y its output (docs/decisions/003).
    With colour="literal" it is x_hat = tanh(y).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.level_channels
        outs = [*widths[1:], widths[-1]]
        skips = [c if 0 < n < config.num_skip_levels else 0 for n, c in enumerate(widths)]
        ins = [widths[0], *outs[:-1]]
        self.up = nn.ModuleList(
            ResBlock(c + c_skip, c_out, upsample=True) for c, c_skip, c_out in zip(ins, skips, outs, strict=True)
        )
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, 1, 1)
        self.literal_colour = config.colour == "literal"

    def context(self, x_0: Float[Tensor, "b 3 h w"], levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """(m, s) of x_0, each `b 3 1 1`; empty for the literal decoder."""
        if self.literal_colour:
            return ()
        spread, mean = torch.std_mean(x_0, dim=(-2, -1), keepdim=True)
        return mean.clamp(-_MEAN_LIMIT, _MEAN_LIMIT), spread.clamp_min(_SPREAD_FLOOR)

    def forward(self, levels: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Frame:
        """One frame from the levels of its state (those with a skip, coarsest first)."""
        h = levels[0]
        for n, block in enumerate(self.up):
            if 0 < n < len(levels):
                h = torch.cat((h, levels[n]), dim=1)
            h = block(h)
        y = self.to_rgb(h)
        if not self.literal_colour:
            mean, spread = context
            y = spread * y + torch.atanh(mean)
        return Frame(torch.tanh(y))
