"""Interface of the systems that the paper compares with (Sec. 4.3, Tab. 1 and 2, App. E.2): clips in, terms and frames out.

Training, evaluation and files know the systems by it alone.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from poke2vid.baselines.checks import require_counts, require_weights
from poke2vid.types import STRICT, InputError


@dataclass(frozen=True)
class BaselineClips:
    """A batch of training clips.

    Attributes:
        frames: consecutive frames in [-1, 1]; for a system with `pairs`, two frames that lie further apart.
        paths: positions (x, y), in pixels, of k points in every frame; NaN where a clip has fewer points. For systems that
            are told of any.
    """

    frames: Float[Tensor, "b t 3 h w"]
    paths: Float[Tensor, "b k t 2"] | None = None

    def to(self, device: torch.device) -> "BaselineClips":
        return BaselineClips(self.frames.to(device), None if self.paths is None else self.paths.to(device))


class Baseline(nn.Module, abc.ABC):
    """A system that the paper compares with. Subclasses take their config as the only argument.

    Attributes:
        seen: number of frames it must see before it predicts, the last being x_0.
        told: number of points whose true path through the predicted frames it is told.
        pairs: whether it trains on pairs of frames, not on consecutive ones.
        revision: raised where the same settings make another network, so that earlier runs are not taken for its own.
    """

    revision: ClassVar[int] = 1
    seen: ClassVar[int] = 2
    told: ClassVar[int] = 0
    pairs: ClassVar[bool] = False

    @classmethod
    def check(cls, config: "BaselineConfig") -> None:
        """Raises InputError if its network and the settings of its training do not go together."""

    def groups(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Parameters by optimiser, in the order in which the optimisers step."""
        return {"model": list(self.parameters())}

    @abc.abstractmethod
    def terms(self, group: str, clips: BaselineClips, step: int, generator: Generator) -> dict[str, Tensor]:
        """Weighted loss terms of an optimiser's parameters, whose sum it lowers; all others are frozen meanwhile.

        Args:
            step: number of steps done, for schedules.
            generator: on the CPU; everything random is drawn from it.
        """

    @abc.abstractmethod
    def predict(
        self,
        frames: Float[Tensor, "b s 3 h w"],
        count: int,
        generator: Generator,
        paths: Float[Tensor, "b k t 2"] | None = None,
    ) -> Float[Tensor, "b n 3 h w"]:
        """`count` frames in [-1, 1] after the `seen` given ones, one sample a clip.

        Args:
            generator: on the CPU; of all samples.
            paths: for systems that are told of points: their true positions in x_0 ... x_count; NaN where there are fewer.
        """


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Settings of a system's training.

    Attributes:
        network: its sizes and loss weights.
        length: frames of a training clip, seen and predicted ones together; of a pair, the largest distance in frames.
        hold, fall: steps with the full learning rate, then steps in which it falls linearly to 0. Together the run's length.
        learning_rate, betas: of ADAM, the same for all of its optimisers.
        clip_gradient: largest gradient norm; None for no limit.
        horizon: T; a clip is used if its foreground moves enough from x_0 to x_T (as for the paper's model).
        min_motion: least mean motion of such a foreground, as a share of the side.
        poke_stds, poke_margin: where the points lie that a system is told of, as those of pokes in `DataConfig`.
        seed: of weights, clips and samples alike.
        checkpoint_every, sample_every: in steps.
        keep_checkpoints: number of the newest kept on disk.
    """

    network: Any
    length: int = 12
    hold: int
    fall: int = 0
    batch: int = 16
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    clip_gradient: float | None = None
    horizon: int = 10
    min_motion: float = 0.015
    poke_stds: float = 0.0
    poke_margin: float = 0.0
    seed: int = 0
    checkpoint_every: int = 1000
    sample_every: int = 500
    keep_checkpoints: int = 3

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        require_counts(self, "batch", "horizon", "checkpoint_every", "sample_every", "keep_checkpoints")
        if self.length < 2:
            raise InputError(f"length is {self.length}; a clip must have at least 2 frames.")
        if self.hold < 0 or self.fall < 0 or self.num_steps == 0:
            raise InputError("hold and fall must not be negative, and not both 0.")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate {self.learning_rate} must lie between 0 and 1.")
        if not (len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas)):
            raise InputError(f"betas {self.betas} must be two numbers in 0 ... 1.")
        if self.clip_gradient is not None and not self.clip_gradient > 0:
            raise InputError(f"clip_gradient {self.clip_gradient} must be above 0, or null for no limit.")
        require_weights(self, "min_motion", "poke_stds", "poke_margin")

    @property
    def num_steps(self) -> int:
        return self.hold + self.fall

    def rate(self, step: int) -> float:
        """Learning rate of the step after `step` steps."""
        left = (self.num_steps - step) / max(1, self.fall)
        return self.learning_rate * min(1.0, left)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def kl_of_normals(
    mean: Tensor, scale: Tensor, prior_mean: Tensor | float = 0.0, prior_scale: Tensor | float = 1.0
) -> Tensor:
    """KL(N(mean, scale^2) || N(prior_mean, prior_scale^2)), element by element; scales are standard deviations."""
    prior_scale = torch.as_tensor(prior_scale, dtype=scale.dtype, device=scale.device)
    share = scale / prior_scale
    return prior_scale.log() - scale.log() + 0.5 * (share**2 + ((mean - prior_mean) / prior_scale) ** 2 - 1)


def normal(mean: Tensor, scale: Tensor, generator: Generator) -> Tensor:
    """A sample of N(mean, scale^2) through which gradients flow, drawn on the CPU so that every device draws the same."""
    return mean + scale * torch.randn(mean.shape, generator=generator).to(mean)
