"""All settings of E_phi's training on pokes with known causes."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.train.precision import Precision
from poke2vid.types import STRICT, InputError


@dataclass(frozen=True, kw_only=True)
class LooksConfig:
    """Augmentation of first frames, so that what is learnt from drawings carries over to photographs.

    Attributes:
        flip: probability of exchanging left and right.
        moved: probability of a change of geometry: at most `rotation` degrees, a change of size by `scale` as a share (0.3:
            1/1.3 ... 1.3), and a shift of `translation` of the side.
        brightness, contrast, saturation: largest change, as a share.
        channels: probability of reordering the colour channels.
        noise: largest standard deviation of Gaussian noise, in grey levels of [-1, 1].
        blur: probability of a 3 x 3 blur.
        jpeg: probability of JPEG's artefacts.
    """

    flip: float = 0.5
    moved: float = 0.5
    rotation: float = 10.0
    scale: float = 0.3
    translation: float = 0.1
    brightness: float = 0.35
    contrast: float = 0.35
    saturation: float = 0.5
    channels: float = 0.2
    noise: float = 0.08
    blur: float = 0.2
    jpeg: float = 0.2

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"looks.{name} is {value}; it must be a number from 0 up.")


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """Settings of a training of E_phi on fields.

    Attributes:
        touch: the network.
        steps: number of steps.
        scenes, pokes: first frames of a batch, and pokes of each; an encoded picture is shared by its pokes.
        learning_rate: of AdamW (norms, biases and the head), after `warmup` steps; falls along a half cosine to `decay`
            of it.
        matrix_rate: of Muon (all other convolutions).
        weight_decay: of AdamW.
        average: share of a running mean of the weights that is kept in every step; the mean is the model.
        background: weight of pixels beside the object.
        films: films a step, which teach motion in time; 0 if the network has no maps of it.
        stills: pictures a step in which only the object's place is known (`train/still_data.py`).
        mask: weight of finding the object.
        found: weight of finding the object in stills.
        along: weight of telling what moves along.
        swing: weight of moving in time as films do.
        lively: weight, within it, of how far things swing; with less, what rocks on for a second dies away in half of one,
            and with more from the start the phases are not found.
        motion: weight, within it, of how much moves after a release and how far a push throws, for the laws alone.
        time_alone: True trains only the maps of time, from films; all that says where things go stays fixed.
        softness: in pixels of the field; a smaller error counts by its square.
        clip_gradient: largest gradient norm.
        precision: of the network's convolutions; losses, the solve and updates are fp32 always.
        looks: augmentation of pictures; None for none.
    """

    touch: TouchConfig = field(default_factory=TouchConfig)
    steps: int = 60_000
    scenes: int = 16
    pokes: int = 4
    films: int = 0
    stills: int = 0
    learning_rate: float = 2e-3
    matrix_rate: float = 0.03
    warmup: int = 200
    decay: float = 0.02
    weight_decay: float = 1e-4
    average: float = 0.999
    background: float = 0.5
    mask: float = 0.2
    found: float = 0.2
    along: float = 0.2
    swing: float = 0.5
    lively: float = 1.0
    motion: float = 0.3
    time_alone: bool = False
    softness: float = 0.1
    clip_gradient: float = 1.0
    precision: Precision = "fp32"
    looks: LooksConfig | None = field(default_factory=LooksConfig)
    seed: int = 0
    checkpoint_every: int = 500
    sample_every: int = 2000
    keep_checkpoints: int = 2

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name in ("steps", "scenes", "pokes", "checkpoint_every", "sample_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in (
            "background",
            "mask",
            "found",
            "along",
            "swing",
            "lively",
            "motion",
            "films",
            "stills",
            "weight_decay",
            "warmup",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it must be a number from 0 up.")
        for name in ("softness", "clip_gradient"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        for name in ("learning_rate", "matrix_rate"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} must lie between 0 and 1.")
        if self.films and not self.touch.swing:
            raise InputError(
                "films teach maps of time, and this network has none; set touch.swing to 40, or films to 0."
            )
        if self.time_alone and self.stills:
            raise InputError("stills teach what an object is, and time alone leaves that as it is; set stills to 0.")
        if self.time_alone and not self.films:
            raise InputError("time is learnt from films; set films to 24, or time_alone to false.")
        if not 0 < self.decay <= 1:
            raise InputError(f"decay {self.decay} must lie above 0 and not above 1, which is no decay.")
        if not 0 <= self.average < 1:
            raise InputError(f"average {self.average} must lie in 0 ... 1, without 1.")

    def pace(self, step: int) -> float:
        """Factor on the learning rates in the step with this number (from 0)."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return min(1.0, (step + 1) / max(1, self.warmup)) * (self.decay + (1 - self.decay) * cosine)


def to_json(config: FieldConfig) -> dict[str, Any]:
    return asdict(config)
