"""D_S and D_T: critics that tell predicted frames and clips from true ones in training (Sec. 3.2, App. E.1).

Used in training only; no model file holds one. For the choice of norms see docs/decisions/012.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from poke2vid.types import STRICT, InputError

Design = Literal["spectral", "literal", "released"]
_LEAK = 0.2  # slope of LeakyReLU below zero (Isola et al. 2017)
_GROUPS = 16
_SMALLEST_SIDE = 4  # cells; with fewer, the literal design's InstanceNorm has no deviation to compute
_RELEASED_STEM, _RELEASED_FIRST, _RELEASED_WIDEST = 64, 32, 256


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """Shape and training of the critics. The weights of their terms in the generator's loss are in LossWeights.

    Attributes:
        design: of D_T. "spectral" is the paper's 3-D ResNet-18 with spectral norm on its weights and no norm on its
            features; "literal" has InstanceNorm instead, as the paper says; "released" is the released code's, ten
            blocks with spectral norm and GroupNorm. D_S is the same in all three.
        channels: width of the first layer of D_S and of D_T (paper's ResNet-18: 64).
        frames: number of true, and of predicted, frames of a batch that D_S sees (paper: 16).
        start: the step of each stage in which the critics join (released code: 4000 iterations; the paper is silent).
        frame_penalty, clip_penalty: weights of R1 for D_S and D_T (paper: D_T only, no value; released code: 1e-4 and 0.1
            on sums over patches, where ours are means: for P patches a sum's penalty is P^2 times a mean's).
        learning_rate: of the critics' ADAM, whose betas are the generator's.
    """

    design: Design = "spectral"
    channels: int = 64
    frames: int = 16
    start: int = 4000
    frame_penalty: float = 0.0
    clip_penalty: float = 0.1
    learning_rate: float = 1e-4

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.design not in get_args(Design):
            raise InputError(f"critics.design {self.design!r} is not one of spectral, literal, released; choose one.")
        if self.channels < 4 or self.channels % 4:
            raise InputError(f"critics.channels is {self.channels}; it must be a multiple of 4 (paper: 64).")
        if self.design == "released" and self.channels != _RELEASED_STEM:
            raise InputError(f"critics.channels is {self.channels}; the released design is {_RELEASED_STEM} wide.")
        if self.frames < 1:
            raise InputError(f"critics.frames is {self.frames}; it must be at least 1 (paper: 16).")
        if self.start < 0:
            raise InputError(f"critics.start is {self.start}; it must be 0 or more.")
        for name in ("frame_penalty", "clip_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"critics.{name} is {getattr(self, name)}; it must be a number from 0 up.")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"critics.learning_rate {self.learning_rate} must lie between 0 and 1.")


class FrameCritic(nn.Module):
    """D_S: a patch critic (Isola et al. 2017); one logit for every overlapping patch of 70 x 70 pixels.

    Five convolutions of kernel 4, three of them with stride 2; InstanceNorm on all but the first and the last.
    """

    def __init__(self, config: CriticConfig) -> None:
        super().__init__()
        c = config.channels
        self.first = nn.Conv2d(3, c, 4, 2, 1)
        self.middle = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 4, stride, 1)
            for c_in, c_out, stride in ((c, 2 * c, 2), (2 * c, 4 * c, 2), (4 * c, 8 * c, 1))
        )
        self.last = nn.Conv2d(8 * c, 1, 4, 1, 1)

    def forward(self, x: Float[Tensor, "m 3 h w"]) -> Float[Tensor, "m 1 h2 w2"]:
        """Logits of frames in [-1, 1], at least 32 pixels high and wide; large for true ones."""
        h = functional.leaky_relu(self.first(x), _LEAK)
        for layer in self.middle:
            h = functional.leaky_relu(functional.instance_norm(layer(h)), _LEAK)
        return self.last(h)


class Judgement(NamedTuple):
    """D_T's logits of clips, and the features they come from (for feature matching), finest first."""

    logits: Tensor
    features: tuple[Tensor, ...]


class ClipCritic(nn.Module):
    """D_T: a 3-D ResNet on clips without x_0; one logit for every overlapping region of the last layer's few cells.

    The "spectral" design has no norm on its features: one over a clip's own cells would scale its motion away.
    """

    def __init__(self, config: CriticConfig, *, resolution: int, length: int) -> None:
        """`resolution` is the side of the frames in pixels, `length` the number of frames in a clip."""
        super().__init__()
        design, released = config.design, config.design == "released"
        c = config.channels
        self.stem = _conv3d(3, c, design, kernel=(3, 7, 7), stride=(1, 2, 2))
        self.stem_norm = _norm(c, design)
        self.pool = nn.MaxPool3d(3, (1, 2, 2), 1)
        stages = _released_stages(resolution, length) if released else _resnet18_stages(c, resolution)
        blocks, c_in = [], c
        for c_out, stride in stages:
            stage = nn.Sequential(
                Block3d(c_in, c_out, design, stride=stride),
                Block3d(c_out, c_out, design, stride=(1, 1, 1)),
            )
            blocks.append(stage)
            c_in = c_out
        self.stages = nn.ModuleList(blocks)
        self.last = nn.Conv3d(c_in, 1, (1, 3, 3), 1, (0, 1, 1))

    def forward(self, x: Float[Tensor, "b t 3 h w"]) -> Judgement:
        """Logits `b 1 t2 h2 w2` of clips in [-1, 1], large for true ones, and the features of every stage."""
        h = self.pool(functional.relu(self.stem_norm(self.stem(x.transpose(1, 2)))))
        features = []
        for stage in self.stages:
            h = stage(h)
            features.append(h)
        return Judgement(self.last(h), tuple(features))


class Block3d(nn.Module):
    """ReLU(shortcut + conv, norm, ReLU, conv, norm) in space and time (He et al. 2016, Hara et al. 2018)."""

    def __init__(self, c_in: int, c_out: int, design: Design, *, stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.first = _conv3d(c_in, c_out, design, stride=stride)
        self.second = _conv3d(c_out, c_out, design)
        self.norm_1, self.norm_2 = _norm(c_out, design), _norm(c_out, design)
        self.shortcut: nn.Module = nn.Identity()
        if c_in != c_out or stride != (1, 1, 1):
            kernel = (3, 3, 3) if design == "released" else (1, 1, 1)
            project = _conv3d(c_in, c_out, design, kernel=kernel, stride=stride)
            self.shortcut = nn.Sequential(project, _norm(c_out, design))

    def forward(self, h: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c2 t2 h2 w2"]:
        inner = functional.relu(self.norm_1(self.first(h)))
        return functional.relu(self.shortcut(h) + self.norm_2(self.second(inner)))


Stage = tuple[int, tuple[int, int, int]]  # channels out, stride of the first block over (t, h, w)


def _resnet18_stages(channels: int, resolution: int) -> list[Stage]:
    """Four stages of doubling width; each but the first halves time, and space while at least 4 x 4 cells are left."""
    side = resolution // 4  # after the stem and the pool
    stages: list[Stage] = [(channels, (1, 1, 1))]
    for k in (1, 2, 3):
        halves = side >= 2 * _SMALLEST_SIDE
        side //= 2 if halves else 1
        space = 2 if halves else 1
        stages.append((channels * 2**k, (2, space, space)))
    return stages


def _released_stages(resolution: int, length: int) -> list[Stage]:
    """One stage of 32 channels, then stages until one time step is left, halving space down to a sixteenth of the side."""
    stages: list[Stage] = [(_RELEASED_FIRST, (1, 1, 1))]
    side, channels = resolution // 2, _RELEASED_STEM
    while length > 1:
        channels = min(2 * channels, _RELEASED_WIDEST)
        space = 2 if side > resolution // 8 else 1
        side //= space
        length = (length + 1) // 2
        stages.append((channels, (2, space, space)))
    return stages


def _conv3d(
    c_in: int,
    c_out: int,
    design: Design,
    *,
    kernel: tuple[int, int, int] = (3, 3, 3),
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Module:
    """3-D convolution, with a bias only where no norm follows, which would subtract or repeat it."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    layer = nn.Conv3d(c_in, c_out, kernel, stride, padding, bias=design == "spectral")
    if design == "literal":
        return layer
    nn.init.orthogonal_(layer.weight)
    return spectral_norm(layer)


def _norm(channels: int, design: Design) -> nn.Module:
    match design:
        case "spectral":
            return nn.Identity()
        case "literal":
            return nn.InstanceNorm3d(channels)
        case "released":
            return nn.GroupNorm(_GROUPS, channels)
