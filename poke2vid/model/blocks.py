"""Layers that the encoders and decoders share (App. E.1: kernel 3, ELU, InstanceNorm after every convolution)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def norm(kind: str, channels: int) -> nn.Module:
    """InstanceNorm without running statistics or affine parameters, or the identity."""
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def conv(in_channels: int, out_channels: int, *, stride: int = 1, normed: bool) -> nn.Conv2d:
    """3x3 convolution; no bias before a norm, which would subtract it again."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=not normed)


class ConvBlock(nn.Module):
    """Convolution, norm, ELU; stride 2 halves the picture. `keep_bias` has one even where a norm subtracts it again."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        norm_kind: str = "instance",
        keep_bias: bool = False,
    ) -> None:
        super().__init__()
        normed = norm_kind == "instance" and not keep_bias
        self.conv = conv(in_channels, out_channels, stride=stride, normed=normed)
        self.norm = norm(norm_kind, out_channels)

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return functional.elu(self.norm(self.conv(h)))


class ResBlock(nn.Module):
    """ResNet block: ELU(shortcut + conv, norm, ELU, conv, norm); `upsample` makes the first convolution a transposed one.

    The shortcut is the identity if the widths match, else a 1x1 convolution, repeated 2x2 where the block upsamples. It
    has no norm, so it passes on what the norms remove.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, upsample: bool = False, norm_kind: str = "instance"
    ) -> None:
        super().__init__()
        normed = norm_kind == "instance"
        self.upsample = upsample
        self.first: nn.Module
        if upsample:
            self.first = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=not normed)
        else:
            self.first = conv(in_channels, out_channels, normed=normed)
        self.second = conv(out_channels, out_channels, normed=normed)
        self.norm_1 = norm(norm_kind, out_channels)
        self.norm_2 = norm(norm_kind, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, h: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        shortcut = self.shortcut(h)
        if self.upsample:
            shortcut = functional.interpolate(shortcut, scale_factor=2, mode="nearest")
        h = functional.elu(self.norm_1(self.first(h)))
        return functional.elu(shortcut + self.norm_2(self.second(h)))
