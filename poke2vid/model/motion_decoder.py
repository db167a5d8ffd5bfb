"""G beyond the paper: a decoder that moves x_0 instead of painting anew (docs/decisions/005)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poke2vid import geometry
from poke2vid.model.config import ModelConfig
from poke2vid.types import Frame

FLOW_UNIT = 0.1  # a head output of 1 is a flow of this share of the frame's side
_MASK_BIAS = -2.0  # starts by repainting little, but not so little that the mask gets no gradient


class MotionDecoder(nn.Module):
    """x_hat_i = warp(x_0, flow) + mask * repaint, all three read from (sigma_i, sigma_0).

    What the trunk says of (sigma_i, sigma_0) is taken relative to what it says of (sigma_0, sigma_0), so that the state of
    x_0 always decodes to x_0 exactly; the last layer starts at zero, so that an untrained model shows the still picture.
    No norm: it would subtract a motion that the whole picture shares.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.level_channels
        outs = [*widths[1:], widths[-1]]
        skips = [2 * c if n < config.num_skip_levels else 0 for n, c in enumerate(widths)]
        ins = [0, *outs[:-1]]
        self.up = nn.ModuleList(
            nn.Conv2d(c + c_skip, c_out, 3, 1, 1) for c, c_skip, c_out in zip(ins, skips, outs, strict=True)
        )
        self.refine = nn.Conv2d(widths[-1], widths[-1], 3, 1, 1)
        self.head = nn.Conv2d(widths[-1], 6, 3, 1, 1)  # flow 2, mask 1, repaint 3
        for layer in [*self.up, self.refine]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def context(self, x_0: Float[Tensor, "b 3 h w"], levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """x_0, what the trunk says of x_0 at rest, and the levels of sigma_0."""
        return x_0, self._read(levels, levels), *levels

    def _read(self, levels: tuple[Tensor, ...], levels_0: tuple[Tensor, ...]) -> Float[Tensor, "b 6 h w"]:
        h = torch.cat((levels[0], levels_0[0]), dim=1)
        for n, layer in enumerate(self.up):
            if 0 < n < len(levels):
                h = torch.cat((h, levels[n], levels_0[n]), dim=1)
            h = functional.elu(layer(functional.interpolate(h, scale_factor=2, mode="nearest")))
        return self.head(functional.elu(self.refine(h)))

    def forward(self, levels: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Frame:
        x_0, rest, *levels_0 = context
        said = self._read(levels, tuple(levels_0))
        change = said - rest
        flow = change[:, :2] * (FLOW_UNIT * x_0.shape[-1])
        mask = torch.sigmoid(said[:, 2:3] + _MASK_BIAS)
        repaint = mask * torch.tanh(change[:, 3:])
        return Frame(geometry.warp(x_0, flow) + repaint, flow, repaint)
