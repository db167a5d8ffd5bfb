"""Colour and geometry augmentation, one draw per Clip; pictures and vectors are transformed by geometry.py alone."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from poke2vid.geometry import Affine
from poke2vid.types import STRICT, Clip, InputError


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Limits of augmentation. The paper mentions none; the released code turns 15 degrees and shifts 5 %.

    Attributes:
        flip: probability of a left-right flip.
        rotation: largest turn, in degrees, either way.
        scale: largest change of size, as a share (0.2: 1/1.2 ... 1.2).
        translation: largest shift, as a share of the side.
        brightness, contrast, saturation: largest change, as a share.
    """

    flip: float = 0.5
    rotation: float = 15.0
    scale: float = 0.2
    translation: float = 0.05
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"augment.{name} is {value}; it must be a number from 0 up.")

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT


def augment(clip: Clip, config: AugmentConfig, generator: Generator) -> Clip:
    """The clip with one random geometry and one random colouring for all frames; flows and motion are adjusted too."""
    return recolour(move(clip, random_affine(clip, config, generator)), config, generator)


def random_affine(clip: Clip, config: AugmentConfig, generator: Generator) -> Affine:
    """Random map: perhaps a flip, then rotation and scaling about the centre, then a translation."""
    height, width = clip.frames.shape[-2:]
    size = (height, width)
    flips = float(torch.rand((), generator=generator)) < config.flip
    scale = (1 + config.scale) ** _uniform(generator)
    result = Affine.flip(size) if flips else Affine.identity()
    result = result.then(Affine.rotate(config.rotation * _uniform(generator), size, scale))
    reach = config.translation * width
    return result.then(Affine.translate(reach * _uniform(generator), reach * _uniform(generator)))


def move(clip: Clip, affine: Affine) -> Clip:
    """The clip under an affine map, on a canvas of the same size."""
    size = (clip.frames.shape[-2], clip.frames.shape[-1])
    (a, b), (c, d) = affine.a
    scale = abs(a * d - b * c) ** 0.5
    flows = tuple(
        replace(known, flow=affine.flow(known.flow[None], size)[0], motion=scale * known.motion) for known in clip.flows
    )
    return replace(clip, frames=affine.frames(clip.frames, size), flows=flows)


def recolour(clip: Clip, config: AugmentConfig, generator: Generator) -> Clip:
    """Changes brightness, contrast about the clip's mean, and saturation about grey; the same for every frame."""
    x: Float[Tensor, "t 3 h w"] = clip.frames
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (1 + config.saturation * _uniform(generator))
    x = x.mean() + (x - x.mean()) * (1 + config.contrast * _uniform(generator))
    x = x + config.brightness * _uniform(generator)
    return replace(clip, frames=x.clamp(-1, 1))


def _uniform(generator: Generator) -> float:
    """A random number from -1 to 1."""
    return 2 * float(torch.rand((), generator=generator)) - 1
