"""Shape of a model: one dial (`resolution`), the width, and the paper's choices with their ablations."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from poke2vid.types import STRICT, InputError, PokeKind

Architecture = Literal["paper", "released"]
DynamicsKind = Literal["hierarchy", "bottleneck"]
DecoderKind = Literal["rgb", "motion"]
PokeEncoderKind = Literal["magnitude", "literal"]
ColourKind = Literal["statistics", "literal"]
StateRange = Literal["bounded", "literal"]
_CHOICES: dict[str, tuple[str, ...]] = {  # checked here too: a model file is read without pydantic
    "architecture": get_args(Architecture),
    "dynamics": get_args(DynamicsKind),
    "decoder": get_args(DecoderKind),
    "poke_encoder": get_args(PokeEncoderKind),
    "colour": get_args(ColourKind),
    "state_range": get_args(StateRange),
    "poke_kind": get_args(PokeKind),
}
BOTTLENECK = 8  # side of the coarsest level, in cells (App. E.1)
RELEASED_BOTTLENECK = 16  # the same in the authors' code, where the two coarsest levels share it
RELEASED_WIDTH = 512  # channels of the coarsest level there


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The model's shape. The defaults are the paper's at 64 pixels.

    Attributes:
        resolution: side of the square frames in pixels, a power of two from 16 to 256; gives N = log2(resolution / 8).
        architecture: "paper" is App. E.1; "released" is the wider generator of the authors' code, whose checkpoints
            `poke2vid convert` reads. It is one fixed network per resolution from 32 up: of the choices below only
            `poke_kind` stays free, and the "literal" ones are required.
        channels: width of the finest state level; doubles with every coarser level (paper: 32).
        depth: number of levels with a GRU, coarsest first; None for all N (Tab. 4 varies it). Others have no skip.
        dynamics: "hierarchy" is Eq. 3-5; "bottleneck" is Tab. 3's "Ours RNN", three cells at 8 x 8 and static skips.
        decoder: "rgb" paints frames (App. E.1); "motion" warps x_0 and repaints little (docs/decisions/005).
        poke_encoder: "magnitude" keeps the poke's length; "literal" is App. E.1 to the letter (docs/decisions/002).
        colour: "statistics" hands x_0's channel mean and spread to G; "literal" does not (docs/decisions/003).
        state_range: "bounded" puts E_sigma's levels in (-1, 1), as GRU states are; "literal" does not (decision 004).
        poke_kind: "shift" feeds phi at every step (Eq. 1), "impulse" at t = 0 only (Eq. 9).
    """

    resolution: int = 64
    architecture: Architecture = "paper"
    channels: int = 32
    depth: int | None = None
    dynamics: DynamicsKind = "hierarchy"
    decoder: DecoderKind = "rgb"
    poke_encoder: PokeEncoderKind = "magnitude"
    colour: ColourKind = "statistics"
    state_range: StateRange = "bounded"
    poke_kind: PokeKind = "shift"

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} {getattr(self, name)!r} is not one of {', '.join(choices)}; choose one of these."
                )
        if self.resolution not in (16, 32, 64, 128, 256):
            raise InputError(f"resolution {self.resolution} is not one of 16, 32, 64, 128, 256; choose one of these.")
        if not 1 <= self.channels <= 512:
            raise InputError(f"channels {self.channels} is outside 1 ... 512; the paper uses 32.")
        if self.depth is not None and not 1 <= self.depth <= self.num_levels:
            raise InputError(
                f"depth {self.depth} is outside 1 ... {self.num_levels}, the levels of a {self.resolution}-pixel model."
            )
        if self.dynamics == "bottleneck" and self.depth is not None:
            raise InputError("depth belongs to the hierarchy; leave it unset with dynamics='bottleneck'.")
        if self.architecture == "released":
            self._require_released()

    def _require_released(self) -> None:
        """Raises InputError unless every choice is that of the authors' generator."""
        needed: dict[str, object] = {
            "decoder": "rgb",
            "dynamics": "hierarchy",
            "poke_encoder": "literal",
            "colour": "literal",
            "state_range": "literal",
            "depth": None,
            "channels": ModelConfig.channels,
        }
        wrong = [f"{name}={value!r}" for name, value in needed.items() if getattr(self, name) != value]
        if wrong:
            raise InputError(f"architecture='released' is one fixed network; set {', '.join(wrong)} with it.")
        if self.resolution < 2 * RELEASED_BOTTLENECK:
            raise InputError(
                f"resolution {self.resolution} is below {2 * RELEASED_BOTTLENECK}, where architecture='released' starts; "
                "choose 32, 64, 128 or 256."
            )

    @property
    def num_levels(self) -> int:
        """N: log2(resolution / 8), the paper's stride-2 convolutions down to 8 x 8.

        The released model has one convolution fewer, down to 16 x 16, and one more level there: the same number.
        """
        return int(math.log2(self.resolution // BOTTLENECK))

    @property
    def level_channels(self) -> tuple[int, ...]:
        """c_n of every level, coarsest first."""
        if self.architecture == "released":
            return tuple(RELEASED_WIDTH // 2**n for n in range(self.num_levels))
        return tuple(self.channels * 2**k for k in reversed(range(self.num_levels)))

    @property
    def level_sides(self) -> tuple[int, ...]:
        """Side of every level in cells, coarsest first."""
        least = RELEASED_BOTTLENECK if self.architecture == "released" else BOTTLENECK
        return tuple(max(least, BOTTLENECK * 2**n) for n in range(self.num_levels))

    @property
    def num_dynamic_levels(self) -> int:
        """Number of levels that the dynamics predict, coarsest first."""
        return 1 if self.dynamics == "bottleneck" else (self.depth or self.num_levels)

    @property
    def num_skip_levels(self) -> int:
        """Number of levels that the decoder reads: those with a GRU, or all of them where the skips are static."""
        return self.num_levels if self.dynamics == "bottleneck" else self.num_dynamic_levels


def released_config(resolution: int, poke_kind: PokeKind = "shift") -> ModelConfig:
    """The authors' generator, with the choices that go with it."""
    return ModelConfig(
        resolution=resolution,
        architecture="released",
        poke_encoder="literal",
        colour="literal",
        state_range="literal",
        poke_kind=poke_kind,
    )
