"""E_phi that sees the picture: what a touch at l would move, and how (beyond the paper; docs/decisions/021).

The paper's E_phi encodes the poke alone, at 8 x 8 cells, so the touched object can only be guessed. Here the picture is
encoded once, and every touch once; the shift p comes last, through a few numbers a pixel (`response`), so that a drag
needs no new encoding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from poke2vid import geometry
from poke2vid.model.response import BASIS, CELL
from poke2vid.model.swing import LAW, SWING, SWING_SIDE
from poke2vid.types import STRICT, InputError

FIELD_SIDE = 64  # pixels of the maps of a response, for any size of picture
SHARP, WIDE = 0.023, 0.094  # standard deviations of the Gaussians around l, as shares of the side
GROUPS = 8  # of every norm


@dataclass(frozen=True, kw_only=True)
class TouchConfig:
    """Shape of E_phi.

    Attributes:
        resolution: side of the pictures in pixels; 64, or 128 or 256, which a thin stem shrinks to 64.
        seeing: channels of the downward path at 1/2, 1/4, 1/8 and 1/16 of 64, run once a picture.
        touching: channels of the upward path at the same levels, run once a touch; few at fine levels, which cost most.
        compared: channels in which every place is compared with the touched one, at 1/8 and 1/16.
        stem: channels of each stage of the stem.
        swing: channels before the maps of motion in time; 0 for no such maps: the default law holds everywhere.
        stays: True for further maps, of what stays where it is put and of how pushed things ring.
    """

    resolution: int = 64
    seeing: tuple[int, int, int, int] = (16, 48, 128, 192)
    touching: tuple[int, int, int, int] = (8, 40, 128, 160)
    compared: tuple[int, int] = (32, 64)
    stem: int = 8
    swing: int = 0
    stays: bool = False

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if self.resolution not in (64, 128, 256):
            raise InputError(f"resolution {self.resolution} is not one of 64, 128, 256; choose one of these.")
        for name in ("seeing", "touching"):
            widths = getattr(self, name)
            if len(widths) != 4 or any(width < GROUPS or width % GROUPS for width in widths):
                raise InputError(f"{name} is {list(widths)}; give four multiples of {GROUPS}.")
        if self.stem < GROUPS or self.stem % GROUPS:
            raise InputError(f"stem is {self.stem}; give a multiple of {GROUPS}.")
        if self.swing < 0 or self.swing % GROUPS:
            raise InputError(f"swing is {self.swing}; give a multiple of {GROUPS}, or 0.")
        if min(self.compared) < 1:
            raise InputError(f"compared is {list(self.compared)}; give two numbers of at least 1.")


@dataclass(frozen=True)
class PictureFeatures:
    """E_phi's features of a picture, before any touch.

    Attributes:
        levels: `n c h w` at 32, 16, 8 and 4 cells a side.
        objectness: logits of o (where something movable shows), at `FIELD_SIDE`.
    """

    levels: tuple[Tensor, ...]
    objectness: Float[Tensor, "n 1 s s"]

    @property
    def mask(self) -> Float[Tensor, "n 1 s s"]:
        """o in 0 ... 1."""
        return torch.sigmoid(self.objectness)

    def repeated(self, owner: Int[Tensor, " b"]) -> "PictureFeatures":
        """Features for b touches: those of each touch's own picture."""
        return PictureFeatures(tuple(level[owner] for level in self.levels), self.objectness[owner])


@dataclass(frozen=True)
class Touched:
    """E_phi's output for b touches.

    Attributes:
        influence: for every pixel of the field, coefficients of the k basis functions of p, two each (`response`). The c = 8
            channels of one of 32 x 32 cells are dx and dy of its four pixels, as `functional.pixel_shuffle` reads them:
            so applying a shift costs a quarter of the memory traffic, and only the two channels of u* are shuffled.
        along: logits of what moves along, on cells; for training and for maps of parts. An absolute error is least for
            standing still wherever a thing moves in less than half of all cases, and from there teaches nothing about
            what hangs together; a probability does.
        swing: maps of motion in time, on cells (`swing`); zero where the network has none.
    """

    influence: Float[Tensor, "b k c h w"]
    along: Float[Tensor, "b 1 h2 w2"]
    swing: Float[Tensor, "b s h2 w2"]


class TouchEncoder(nn.Module):
    """E_phi(l, x_0): a U-Net; its downward path sees only the picture, its upward path compares every place with l."""

    def __init__(self, config: TouchConfig) -> None:
        super().__init__()
        self.config = config
        c1, c2, c3, c4 = config.seeing
        d1, d2, d3, d4 = config.touching
        num_stages = (config.resolution // FIELD_SIDE).bit_length() - 1
        stem = [3, *[config.stem] * num_stages]
        self.stem = nn.ModuleList(_block(c, c_next, stride=2) for c, c_next in pairwise(stem))
        self.down = nn.ModuleList(
            [
                _block(3 + (config.stem if num_stages else 0), c1, stride=2),
                nn.Sequential(_block(c1, c2, stride=2), _Residual(c2)),
                nn.Sequential(_block(c2, c3, stride=2), _Residual(c3), _Residual(c3)),
                nn.Sequential(_block(c3, c4, stride=2), _Residual(c4), _Residual(c4)),
            ]
        )
        q3, q4 = config.compared
        self.compare = nn.ModuleList([nn.Conv2d(c3, q3, 1), nn.Conv2d(c4, q4, 1)])
        g = NUM_PLACE
        self.up = nn.ModuleList(
            [
                nn.Sequential(_block(c4 + q4 + g, d4), _Residual(d4)),
                nn.Sequential(_block(d4 + c3 + q3 + g, d3), _Residual(d3)),
                nn.Sequential(_block(d3 + c2 + g, d2), _Residual(d2)),
                nn.Sequential(_block(d2 + c1 + g, d1), _Residual(d1)),
            ]
        )
        self.head = nn.Conv2d(d1, BASIS * CELL, 3, 1, 1)
        self.along = nn.Conv2d(d2, 1, 3, 1, 1)
        if config.swing:
            self.swing = nn.Sequential(
                _block(d2, config.swing), nn.Conv2d(config.swing, SWING if config.stays else LAW, 3, 1, 1)
            )
        self.find = nn.ModuleList(
            [_block(c4 + c3, d2), _block(d2 + c2, d2), nn.Sequential(_block(d2 + c1, c1), nn.Conv2d(c1, 4, 3, 1, 1))]
        )
        for last in (self.head, *([self.swing[1]] if config.swing else [])):
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def encode(self, x_0: Float[Tensor, "n 3 h w"]) -> PictureFeatures:
        """Features of pictures in [-1, 1], computed once each."""
        small = functional.interpolate(x_0, size=(FIELD_SIDE, FIELD_SIDE), mode="area")
        h = x_0
        for stage in self.stem:
            h = stage(h)
        h = torch.cat((small, h), dim=1) if len(self.stem) else small
        levels = []
        for stage in self.down:
            h = stage(h)
            levels.append(h)
        h = levels[-1]
        for stage, level in zip(self.find, reversed(levels[:-1]), strict=True):
            h = stage(torch.cat((_twice(h), level), dim=1))
        return PictureFeatures(tuple(levels), functional.pixel_shuffle(h, 2).float())

    def forward(self, levels: Sequence[Tensor], at: Float[Tensor, "b 2"]) -> Touched:
        """Encodes what each of b touches would move, and how.

        Args:
            levels: of the picture of each of b touches (`PictureFeatures.repeated`).
            at: l, (x, y) in pixels of a picture of `FIELD_SIDE`.
        """
        h1, h2, h3, h4 = levels
        q3, q4 = (self._compared(layer(h), at) for layer, h in zip(self.compare, (h3, h4), strict=True))
        inputs: Sequence[tuple[Tensor, ...]] = ((h4, q4), (h3, q3), (h2,), (h1,))
        h = coarse = h4[:, :0]
        for stage, given in zip(self.up, inputs, strict=True):
            places = place_maps(at, given[0].shape[-1]).to(given[0].dtype)
            h = _twice(h) if h.shape[-1] < given[0].shape[-1] else h
            h = stage(torch.cat((h, *given, places), dim=1))
            coarse = h if h.shape[-1] == SWING_SIDE else coarse
        along = self.along(coarse).float()
        swing = self.swing(coarse).float() if self.config.swing else 0 * along
        return Touched(self.head(h).float().unflatten(1, (BASIS, CELL)), along, with_zeros(swing, SWING))

    @staticmethod
    def _compared(q: Float[Tensor, "b c h w"], at: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
        """Product of every place's features with those at l."""
        cells = (at + 0.5) * (q.shape[-1] / FIELD_SIDE) - 0.5
        touched = geometry.sample(q.float(), cells[:, None, None])
        return q * touched.to(q.dtype)


def with_zeros(maps: Float[Tensor, "b c h w"], channels: int) -> Float[Tensor, "b c2 h w"]:
    """Pads maps with zeros to that many channels, by operators that browsers have."""
    missing = channels - maps.shape[1]
    return torch.cat((maps, (0 * maps[:, :1]).expand(-1, missing, -1, -1)), dim=1) if missing else maps


NUM_PLACE = 4


def place_maps(at: Float[Tensor, "b 2"], side: int) -> Float[Tensor, "b 4 side side"]:
    """Offset from l in shares of the side, and two Gaussians around it, on a grid of `side` cells over the picture."""
    cells = (torch.arange(side, device=at.device, dtype=at.dtype) + 0.5) / side
    x, y = ((at + 0.5) / FIELD_SIDE).unbind(dim=-1)
    dx = (cells[None, None, :] - x[:, None, None]).expand(-1, side, -1)
    dy = (cells[None, :, None] - y[:, None, None]).expand(-1, -1, side)
    squared = dx.square() + dy.square()
    sharp = max(SHARP, 0.75 / side)  # a Gaussian narrower than a cell would miss it
    return torch.stack((dx, dy, *(torch.exp(-squared / (2 * s * s)) for s in (sharp, WIDE))), dim=1)


def _twice(h: Tensor) -> Tensor:
    return functional.interpolate(h, scale_factor=2, mode="nearest")


def _block(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.GroupNorm(GROUPS, out_channels), nn.ELU()
    )


class _Residual(nn.Module):
    """Two blocks with an identity shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _block(channels, channels), _block(channels, channels)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(self.first(h))
