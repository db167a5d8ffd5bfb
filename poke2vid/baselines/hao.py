"""Controllable video generation with sparse trajectories (Hao, Huang, Belongie, CVPR 2018), from its paper and settings.

    F, m, c = Net(x_0, vectors)                     flow back to x_0, share of what is warped, painted picture
    x_hat_t = m warp(x_0, F) + (1 - m) clip(c)      blend, with m and clip(c) in [0, 1]
    L       = mean sqrt((x_hat_t - x_t)^2 + 1e-8) + 0.1 mean (c outside [0, 1])^2 + 0.01 mean (m - 1)^2

Every frame is made from x_0 and the points' positions in it alone; there is no memory of other frames. All frames in here
but those that come in and go out are in [0, 1].

Choices where the paper and the settings that we know of are silent: shortcuts are concatenated; a fetch from outside x_0 gets
its border value; of two points in one pixel the later shows. Their runs last up to 20 epochs over all pairs of frames, a number
of steps that depends on the data: 100,000 steps in the presets, 3.2 million pairs, are our choice.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from poke2vid import geometry
from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.checks import require_counts, require_scales, require_weights
from poke2vid.baselines.layers import from_unit, to_unit
from poke2vid.types import STRICT, InputError

_SOFTNESS = 1e-8  # of the Charbonnier loss, added to the squared error
_SMALLEST_SCALE = 16  # the smallest map is this many times smaller than the frame


@dataclass(frozen=True, kw_only=True)
class HaoConfig:
    """Sizes and loss weights of Hao et al. (CVPR 2018); the defaults are the authors' settings.

    Attributes:
        resolution: side of the frames in pixels (Blattmann et al. compare at 128).
        channels: width of the first layer; the others are multiples of it, as in VGG-16.
        vector_unit: pixels that are a vector of length 1 in the input. The authors' training code leaves pixels, 1, while
            the helper of their program for drawing trajectories divides by 16, so that their trained network saw other
            vectors than it was trained on. Training and prediction share this value here; it is that of the training
            code, which the published numbers come from.
        range_weight: of the mean squared distance of the painted picture from [0, 1], before it is clipped.
        mask_weight: of the mean squared distance of the mask from 1, which makes the network warp wherever it can.
    """

    system: Literal["hao"] = "hao"
    resolution: int = 128
    channels: int = 64
    vector_unit: float = 1.0
    range_weight: float = 0.1
    mask_weight: float = 0.01

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.system != "hao":
            raise InputError(f"system is {self.system!r}; these are the settings of 'hao'.")
        if self.resolution < 2 * _SMALLEST_SCALE or self.resolution % _SMALLEST_SCALE:
            raise InputError(
                f"resolution is {self.resolution}; it must be a multiple of {_SMALLEST_SCALE}, at least 32."
            )
        require_counts(self, "channels")
        require_scales(self, "vector_unit")
        require_weights(self, "range_weight", "mask_weight")


class Made(NamedTuple):
    """One frame and its parts.

    Attributes:
        frame: mask * warped + (1 - mask) * clipped completion, in [0, 1].
        flow: backward flow (dx, dy) in pixels: where in x_0 a pixel is fetched from, relative to itself.
        mask: share of the warped picture.
        completion: the painted picture before it is clipped to [0, 1].
    """

    frame: Float[Tensor, "b 3 h w"]
    flow: Float[Tensor, "b 2 h w"]
    mask: Float[Tensor, "b 1 h w"]
    completion: Float[Tensor, "b 3 h w"]


class Hao(Baseline):
    """x_hat = m warp(x_0, flow) + (1 - m) c; flow, mask m and completion c are read from x_0 and a sparse map of vectors."""

    revision = 2
    seen = 1
    told = 5
    pairs = True

    def __init__(self, config: HaoConfig) -> None:
        super().__init__()
        self.config = config
        self.network = WeakShortcutNet(config.channels)

    def make(self, x_0: Float[Tensor, "b 3 h w"], paths: Float[Tensor, "b k 2 2"]) -> Made:
        """The frame at the paths' ends, from x_0 in [0, 1]."""
        sparse = vector_maps(paths, (x_0.shape[-2], x_0.shape[-1]), self.config.vector_unit)
        flow, mask, completion = self.network(torch.cat((x_0, sparse), dim=1)).split((2, 1, 3), dim=1)
        mask = torch.sigmoid(mask)
        return Made(blend(x_0, flow, mask, completion), flow, mask, completion)

    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        assert group == "model" and clips.paths is not None
        x_0, x = to_unit(clips.frames).unbind(dim=1)
        made = self.make(x_0, clips.paths)
        outside = made.completion - made.completion.clamp(0, 1)
        return {
            "pixel": charbonnier(made.frame - x),
            "range": self.config.range_weight * outside.square().mean(),
            "mask": self.config.mask_weight * (made.mask - 1).square().mean(),
        }

    @torch.no_grad()
    def predict(
        self,
        frames: Float[Tensor, "b s 3 h w"],
        count: int,
        generator: Generator,
        paths: Float[Tensor, "b k t 2"] | None = None,
    ) -> Float[Tensor, "b n 3 h w"]:
        """Frames 1 ... `count`, each from x_0 and the points' positions in x_0 and in that frame; nothing is drawn."""
        assert paths is not None and paths.shape[2] > count
        x_0 = to_unit(frames[:, -1])
        made = [self.make(x_0, paths[:, :, [0, n]]).frame for n in range(1, count + 1)]
        return from_unit(torch.stack(made, dim=1)).clamp(-1, 1)


class WeakShortcutNet(nn.Module):
    """VGG-16's convolutions, then their mirror image, with shortcuts at a quarter and an eighth of the side only.

    The decoder gets nothing from full or half resolution ("weak shortcut"): what is fine in x_0 can reach the frame only by
    being warped, not by being painted again.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.down = nn.ModuleList(
            _convolutions(c_in, widths)
            for c_in, widths in (
                (9, (c, c)),
                (c, (2 * c, 2 * c)),
                (2 * c, (4 * c, 4 * c, 4 * c)),
                (4 * c, (8 * c, 8 * c, 8 * c)),
                (8 * c, (8 * c, 8 * c, 8 * c)),
            )
        )
        self.up = nn.ModuleList(
            _convolutions(c_in, widths)
            for c_in, widths in (
                (8 * c, (8 * c, 8 * c, 8 * c)),
                (16 * c, (8 * c, 8 * c, 4 * c)),  # with conv4_3
                (8 * c, (4 * c, 4 * c, 2 * c)),  # with conv3_3
                (2 * c, (2 * c, c)),
                (c, (c,)),
            )
        )
        # Flow 2, mask 1, completion 3: three layers that read the same map, each of whose first weights go by its own outputs
        parts = [_initialise(nn.Conv2d(c, width, 3, 1, 1)) for width in (2, 1, 3)]
        self.head = nn.Conv2d(c, 6, 3, 1, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([part.weight for part in parts]))
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, given: Float[Tensor, "b 9 h w"]) -> Float[Tensor, "b 6 h w"]:
        h, levels = given, []
        for k, block in enumerate(self.down):
            h = block(h if k == 0 else functional.max_pool2d(h, 2))
            levels.append(h)
        shortcuts = {1: levels[3], 2: levels[2]}
        for k, block in enumerate(self.up):
            if k > 0:
                h = functional.interpolate(h, scale_factor=2, mode="nearest")
            h = block(torch.cat((h, shortcuts[k]), dim=1) if k in shortcuts else h)
        return self.head(h)


def vector_maps(paths: Float[Tensor, "b k 2 2"], size: geometry.Size, unit: float = 1.0) -> Float[Tensor, "b 6 h w"]:
    """Sparse maps of the points: (1, dy, dx) in the pixel where each begins, and (1, -dy, -dx) in the one where it ends.

    A point that is NaN or begins outside the picture leaves nothing; one that ends outside it, nothing in the end map. Of
    two points in one pixel the later shows.

    Args:
        paths: positions (x, y) in pixels, of the beginning and of the end.
        unit: pixels that are a vector of length 1.
    """
    b, (height, width) = len(paths), size
    maps = paths.new_zeros(b, 2, 3, height, width)
    nearest = paths.round()
    inside = ((nearest >= 0) & (nearest <= paths.new_tensor((width - 1, height - 1)))).all(dim=-1)  # false for NaN
    known = inside[:, :, 0] & paths.isfinite().all(dim=-1).all(dim=-1)
    vector = (paths[:, :, 1] - paths[:, :, 0]).flip(-1) / unit  # (dy, dx)
    for k in range(paths.shape[1]):
        for end, shows, sign in ((0, known[:, k], 1), (1, known[:, k] & inside[:, k, 1], -1)):
            rows = shows.nonzero()[:, 0]
            x, y = nearest[rows, k, end].long().unbind(dim=-1)
            maps[rows, end, 0, y, x] = 1
            maps[rows, end, 1:, y, x] = sign * vector[rows, k]
    return maps.flatten(1, 2)


def blend(
    x_0: Float[Tensor, "b 3 h w"],
    flow: Float[Tensor, "b 2 h w"],
    mask: Float[Tensor, "b 1 h w"],
    completion: Float[Tensor, "b 3 h w"],
) -> Float[Tensor, "b 3 h w"]:
    """m warp(x_0, flow) + (1 - m) c, where c is the completion clipped to [0, 1]."""
    return mask * geometry.warp(x_0, flow) + (1 - mask) * completion.clamp(0, 1)


def charbonnier(error: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """mean sqrt(d^2 + 1e-8)."""
    return (error.square() + _SOFTNESS).sqrt().mean()


def _convolutions(c_in: int, widths: tuple[int, ...]) -> nn.Sequential:
    """3x3 convolution, BatchNorm and ReLU, once for every width."""
    layers: list[nn.Module] = []
    for c_out in widths:
        layers += [
            _initialise(nn.Conv2d(c_in, c_out, 3, 1, 1, bias=False)),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
        ]
        c_in = c_out
    return nn.Sequential(*layers)


def _initialise(layer: nn.Conv2d) -> nn.Conv2d:
    """Normal weights by the number of a layer's outputs (He et al. 2015); no bias."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


PRESETS: dict[str, BaselineConfig] = {
    # The authors' settings at two sizes. 32.4 million parameters; 7 and 25 s a step on one core.
    "hao64": BaselineConfig(network=HaoConfig(resolution=64), length=10, hold=100_000, batch=32),
    "hao128": BaselineConfig(network=HaoConfig(), length=10, hold=100_000, batch=32),
    # For 45 minutes of one core: an eighth of all widths at 64 pixels (0.5 million parameters, 0.14 s a step of a core with
    # AVX-512) and a quarter at 128, batches of 16 and 8 for 32. Fewer pairs a step learn faster, but their norms do not hold
    # on unfamiliar pictures: trained with 4, the network bent dark ones by up to 72 pixels (docs/experiments.md, 2026-11-30).
    "hao64-small": BaselineConfig(
        network=HaoConfig(resolution=64, channels=8), length=10, hold=13_000, batch=16,
        checkpoint_every=100, sample_every=1000,
    ),
    "hao128-small": BaselineConfig(
        network=HaoConfig(channels=16), length=10, hold=2600, batch=8, checkpoint_every=100, sample_every=500,
    ),
}  # fmt: skip
