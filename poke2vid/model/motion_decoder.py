"""G beyond the paper: a decoder that moves x_0 instead of painting every frame (docs/decisions/005)."""

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

    The trunk's output for (sigma_i, sigma_0) is taken relative to that for (sigma_0, sigma_0), so that the state of x_0
    always decodes to x_0 exactly; the last layer starts at zero, so that an untrained model shows the still picture.
    No norm: it would subtract a motion that the whole picture shares.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.level_channels
        outs = [*widths[1:], widths[-1]]
        skips = [c if n < config.num_skip_levels else 0 for n, c in enumerate(widths)]
        ins = [0, *outs[:-1]]
        self.up = nn.ModuleList(
            _upsampler(c + c_skip, c_out) for c, c_skip, c_out in zip(ins, skips, outs, strict=True)
        )
        # sigma_0's share of the same layers: constant, so it is convolved once a session and not once a frame.
        self.first = nn.ModuleList(_upsampler(c, c_out, bias=False) for c, c_out in zip(skips, outs, strict=True) if c)
        self.refine = nn.Conv2d(widths[-1], widths[-1], 3, 1, 1)
        self.head = nn.Conv2d(widths[-1], 6, 3, 1, 1)  # flow 2, mask 1, repaint 3
        nn.init.kaiming_normal_(self.refine.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def context(self, x_0: Float[Tensor, "b 3 h w"], levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """x_0, the trunk's output for x_0 at rest, and sigma_0's share of every layer."""
        shares = tuple(layer(level) for layer, level in zip(self.first, levels, strict=True))
        return x_0, self._read(levels, shares), *shares

    def _read(self, levels: tuple[Tensor, ...], shares: tuple[Tensor, ...]) -> Float[Tensor, "b 6 h w"]:
        h = levels[0]
        for n, layer in enumerate(self.up):
            if 0 < n < len(levels):
                h = torch.cat((h, levels[n]), dim=1)
            h = layer(h)
            h = functional.elu(h + shares[n] if n < len(shares) else h)
        return self.head(functional.elu(self.refine(h)))

    def forward(self, levels: tuple[Tensor, ...], context: tuple[Tensor, ...]) -> Frame:
        x_0, rest, *shares = context
        said = self._read(levels, tuple(shares))
        change = said - rest
        flow = change[:, :2] * (FLOW_UNIT * x_0.shape[-1])
        mask = torch.sigmoid(said[:, 2:3] + _MASK_BIAS)
        repaint = mask * torch.tanh(change[:, 3:])
        return Frame(geometry.warp(x_0, flow) + repaint, flow, repaint)


def _upsampler(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Doubles the side. A strided transposed convolution costs less than half of enlarging, then convolving."""
    layer = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=bias)
    nn.init.normal_(layer.weight, std=(2 / (4 * in_channels)) ** 0.5)  # 4 of the 16 weights reach a given output
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
