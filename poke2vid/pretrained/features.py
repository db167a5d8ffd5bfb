"""Frozen image networks: the Phi_k of the perceptual loss (Eq. 6), and LPIPS.

Each is small, has the keys of its public checkpoint, is frozen and always in eval mode. Input frames are in [-1, 1];
the networks apply the ImageNet statistics themselves.
"""

from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poke2vid.pretrained import weights
from poke2vid.types import InputError

PerceptualName = Literal["vgg19", "vgg16", "squeeze", "none"]
LpipsName = Literal["squeeze", "alex", "vgg"]
PERCEPTUAL: tuple[str, ...] = get_args(PerceptualName)
# Factor on L_rec's feature terms, so that a weight means about the same gradient on every network: `python
# benchmarks/feature_scales.py` gives SqueezeNet 37.7 times VGG-16's (31 ... 48, 64 and 128 pixels). The next power of two is
# exact in floating point, so that presets of before keep their bits. VGG-19, the paper's, is 1 by definition (decision 024).
SCALES: dict[PerceptualName, float] = {"vgg19": 1.0, "vgg16": 1.0, "squeeze": 2.0**-5, "none": 1.0}
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
Features = tuple[Tensor, ...]  # one `b c_k h_k w_k` per tap, finest first


class FeatureNet(nn.Sequential):
    """A frozen ImageNet network, read at several depths: `forward` gives (Phi_1(x), ..., Phi_K(x)).

    It subclasses Sequential so that its keys are those of torchvision's `.features`.

    Attributes:
        taps: indices of the layers that are read, ascending; the net ends at the last.
        smallest: shortest side of a frame, in pixels, with a non-empty map at the last tap.
    """

    taps: tuple[int, ...]
    smallest: int
    mean: Tensor
    std: Tensor

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        # Not persistent, so that the keys stay those of the public checkpoint.
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FeatureNet":
        """Stays in eval mode for any `mode`, even if the loss that owns this net is switched to training."""
        return super().train(False)

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> Features:
        """Features of frames in [-1, 1] at every tap, after the non-linearity.

        Raises:
            InputError: if a side is shorter than `smallest`.
        """
        height, width = frames.shape[-2:]
        if min(height, width) < self.smallest:
            raise InputError(
                f"Frames of {width}x{height} pixels vanish inside {type(self).__name__}: use frames of at least "
                f"{self.smallest}x{self.smallest} pixels, or another perceptual network."
            )
        x = ((frames + 1) / 2 - self.mean) / self.std
        features = []
        for number, layer in enumerate(self):
            x = layer(x)
            if number in self.taps:
                features.append(x)
        return tuple(features)

    def load_public(self, tensors: dict[str, Tensor]) -> None:
        """Loads the weights of a public checkpoint, which may be deeper than this net."""
        self.load_state_dict({key: tensors[key] for key in self.state_dict()})


class VGGFeatures(FeatureNet):
    """VGG (Simonyan and Zisserman 2015); `blocks` lists (channels, convolutions) per block."""

    smallest = 16
    blocks: tuple[tuple[int, int], ...]

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        in_channels = 3
        for channels, num_convs in self.blocks:
            layers += [nn.MaxPool2d(2)] if layers else []
            for _ in range(num_convs):
                layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU()]
                in_channels = channels
        super().__init__(*layers)


class VGG19Features(VGGFeatures):
    """VGG-19 up to relu5_2, read after relu1_2, 2_2, 3_2, 4_2 and 5_2 (Eq. 6)."""

    taps = (3, 8, 13, 22, 31)
    blocks = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 2))


class VGG16Features(VGGFeatures):
    """VGG-16 up to relu5_3, read at LPIPS's layers: after relu1_2, 2_2, 3_3, 4_3 and 5_3."""

    taps = (3, 8, 15, 22, 29)
    blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    channels = (64, 128, 256, 512, 512)  # at the taps


class AlexFeatures(FeatureNet):
    """AlexNet (Krizhevsky 2014, "one weird trick"), read at LPIPS's layers: after each of its five convolutions."""

    taps = (1, 4, 7, 9, 11)
    smallest = 31
    channels = (64, 192, 384, 256, 256)  # at the taps

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        )


class Fire(nn.Module):
    """SqueezeNet's fire module: a 1x1 squeeze, then parallel 1x1 and 3x3 expansions."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat((self.expand1x1(x), self.expand3x3(x)), dim=1))


class SqueezeFeatures(FeatureNet):
    """SqueezeNet 1.1 (Iandola et al. 2016), read at LPIPS's layers: after modules 1, 4, 7, 9, 10, 11 and 12."""

    taps = (1, 4, 7, 9, 10, 11, 12)
    smallest = 17
    channels = (64, 128, 256, 384, 384, 512, 512)  # at the taps

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),
            _ceil_pool(),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            _ceil_pool(),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            _ceil_pool(),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )


def _ceil_pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def build_features(
    name: PerceptualName, weights_dir: str | Path | None = None, allow_download: bool = False
) -> FeatureNet | None:
    """Builds a perceptual network by name, with its public weights; None for "none".

    Raises:
        InputError: if the name is unknown or the weights cannot be found (see `weights.load`).
    """
    net: FeatureNet
    match name:
        case "none":
            return None
        case "vgg19":
            net, source = VGG19Features(), "vgg19"
        case "vgg16":
            net, source = VGG16Features(), "vgg16"
        case "squeeze":
            net, source = SqueezeFeatures(), "squeezenet1_1"
        case _:
            raise InputError(f"There is no perceptual network called {name!r}; choose one of {', '.join(PERCEPTUAL)}.")
    net.load_public(weights.load(source, weights_dir, allow_download))
    return net


class Head(nn.Module):
    """One linear head of LPIPS: a non-negative weight per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Stands in for the published heads' dropout before the convolution, which only matters in training.
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, squared: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        return self.model(squared).mean(dim=(1, 2, 3))


LPIPS_NETS: dict[
    LpipsName, tuple[type[SqueezeFeatures | AlexFeatures | VGG16Features], str]
] = {  # network, its weights
    "squeeze": (SqueezeFeatures, "squeezenet1_1"),
    "alex": (AlexFeatures, "alexnet"),
    "vgg": (VGG16Features, "vgg16"),
}


class Lpips(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018) on SqueezeNet 1.1, AlexNet or VGG-16; report it with its network's name.

    d(x, y) = sum_k mean_hw w_k . (Phi_k(x) / |Phi_k(x)| - Phi_k(y) / |Phi_k(y)|)^2

    LPIPS's own shift and scale of the input equal the ImageNet mean and deviation for [0, 1], so the networks' features
    are used unchanged. The heads have the keys of the published files.
    """

    def __init__(self, name: LpipsName = "squeeze") -> None:
        super().__init__()
        self.name: LpipsName = name
        self.features = LPIPS_NETS[name][0]()
        for k, channels in enumerate(self.features.channels):
            self.add_module(f"lin{k}", Head(channels))
        self.requires_grad_(False)
        self.eval()

    @property
    def measure(self) -> str:
        """Name of its measure; SqueezeNet's is the plain one."""
        return "lpips" if self.name == "squeeze" else f"lpips_{self.name}"

    def forward(self, x: Float[Tensor, "b 3 h w"], y: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
        """Distance of each pair of frames in [-1, 1]: 0 if equal, differentiable in both."""
        distances = []
        for k, (phi_x, phi_y) in enumerate(zip(self.features(x), self.features(y), strict=True)):
            # `normalize` is safe for zero feature vectors, in value and in gradient.
            difference = functional.normalize(phi_x, dim=1) - functional.normalize(phi_y, dim=1)
            distances.append(self.get_submodule(f"lin{k}")(difference.square()))
        return torch.stack(distances).sum(dim=0)


def lpips_named(names: str | None) -> tuple[LpipsName, ...] | None:
    """Checks a user's choice of LPIPS networks, joined with commas; None means no preference.

    Raises:
        InputError: if there is no such LPIPS.
    """
    if names is None:
        return None
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in LPIPS_NETS:
            raise InputError(f"There is no LPIPS on {name!r}; choose some of {', '.join(LPIPS_NETS)}, with commas.")
    return tuple(name for name in LPIPS_NETS if name in wanted)


def build_lpips(
    weights_dir: str | Path | None = None, allow_download: bool = False, name: LpipsName = "squeeze"
) -> Lpips:  # fmt: skip
    """Builds LPIPS with its public weights.

    Raises:
        InputError: if the weights of backbone or heads cannot be found (see `weights.load`).
    """
    lpips = Lpips(name)
    lpips.features.load_public(weights.load(LPIPS_NETS[name][1], weights_dir, allow_download))
    heads = weights.load(f"lpips_{name}", weights_dir, allow_download)
    lpips.load_state_dict(heads | lpips.features.state_dict(prefix="features."))
    return lpips
