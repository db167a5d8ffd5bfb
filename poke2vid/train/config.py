"""All settings of a training run; these, a store and the code determine it."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from poke2vid.data.augment import AugmentConfig
from poke2vid.model.config import ModelConfig
from poke2vid.model.critics import CriticConfig
from poke2vid.pokes import MIN_MOTION
from poke2vid.train import settings
from poke2vid.train.precision import Precision
from poke2vid.types import STRICT, InputError


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Contents of the training clips.

    Attributes:
        horizon: T, the frames that a poke takes to arrive (paper: 10). The store must hold flow at this lag.
        waypoints: earlier frames whose flow supervises the motion decoder beside x_T's; the store must hold these lags too.
        max_length: longest rollout in frames; longer than T, clips release, hold or repeat their poke.
        long_share: share of batches that are longer than T.
        background_share: share of clips poked in the background, whose target is the still x_0 (paper: a tenth).
        untouched_share: share of clips without any poke, whose target is the still x_0.
        max_pokes: up to this many pokes at once; half of the clips have one (paper: 1).
        poke_stds: a poke's location moves more than the flow's mean plus this many standard deviations (paper: 0).
        poke_margin: distance of a poke from the foreground's rim, as a share of the side (paper: 0).
        balance: a video is drawn in proportion to its usable starts to this power; 1 is uniform over frames (paper).
        min_motion: starts whose foreground moves less, as a share of the side, are not used.
        augment: augmentation of clips; None for none.
    """

    horizon: int = 10
    waypoints: tuple[int, ...] = ()
    max_length: int = 25
    long_share: float = 0.2
    background_share: float = 0.1
    untouched_share: float = 0.05
    max_pokes: int = 3
    poke_stds: float = 0.0
    poke_margin: float = 0.0
    balance: float = 1.0
    min_motion: float = MIN_MOTION
    augment: AugmentConfig | None = field(default_factory=AugmentConfig)

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= self.max_length:
            raise InputError(f"horizon {self.horizon} must lie in 1 ... max_length ({self.max_length}).")
        if not all(0 < w < self.horizon for w in self.waypoints):
            raise InputError(f"waypoints {list(self.waypoints)} must lie in 1 ... horizon - 1 ({self.horizon - 1}).")
        for name in ("balance", "min_motion", "poke_stds", "poke_margin"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it must be a number from 0 up.")
        if self.max_pokes < 1:
            raise InputError(f"max_pokes {self.max_pokes} must be at least 1.")
        for name in ("long_share", "background_share", "untouched_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} {getattr(self, name)} is a share and must lie in 0 ... 1.")
        if self.background_share + self.untouched_share > 1:
            raise InputError("background_share and untouched_share together exceed 1.")


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """The lambdas of Eq. 8; a network that only terms of weight 0 need is not built.

    `frame_critic` is lambda_S, `clip_critic` lambda_T, and `feature_matching` lambda_T times the factor of App. E.2. `flow`,
    `poke` and `repaint` exist for the motion decoder only.
    """

    pixel: float = 1.0
    perceptual: float = 1.0
    trajectory: float = 0.1
    frame_critic: float = 0.2
    clip_critic: float = 1.0
    feature_matching: float = 2.0
    flow: float = 0.0
    poke: float = 0.0
    repaint: float = 0.0

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"the loss weight {name} is {value}; it must be a number from 0 up.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One row of the presets table.

    Attributes:
        stage_1_steps: steps in which E_sigma and G learn to reconstruct frames (0: the ablation `single_stage`).
        stage_2_steps: steps in which F, E_phi, U learn to move and G is fine-tuned; E_sigma is frozen.
        freeze_object_encoder: False lets stage 2 train E_sigma too (the ablation `single_stage`).
        critics: D_S and D_T; absent where their weights are 0.
        perceptual: the network behind L_rec's feature terms.
        perceptual_frames: frames of each clip, drawn anew each step, that the feature terms use; None for all (paper).
        squared_trajectory: L_traj as a mean square; False is Eq. 7's unsquared norm.
        flow_softness: of `losses.flow_loss`, as a share of the side; 0 is the absolute error.
        learning_rate, betas: ADAM (paper: 1e-4, (0.9, 0.99)).
        decay: the learning rate at a stage's end as a share of its start, reached along a cosine; 1 is constant (paper).
        clip_gradient: largest gradient norm; None for no limit (paper).
        stage_1_frames: frames of each clip that a step of stage 1 reconstructs.
        precision: of the generator's and the feature network's convolutions; losses, critics and updates are fp32 always.
        seed: of weights, clips, pokes and augmentation alike.
        checkpoint_every, sample_every: in steps.
        keep_checkpoints: number of the newest kept on disk.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    critics: CriticConfig = field(default_factory=CriticConfig)
    stage_1_steps: int = 20_000
    stage_2_steps: int = 100_000
    freeze_object_encoder: bool = True
    perceptual: Literal["vgg19", "vgg16", "squeeze", "none"] = "vgg19"
    perceptual_frames: int | None = None
    squared_trajectory: bool = True
    flow_softness: float = 0.0
    batch: int = 10
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    decay: float = 1.0
    clip_gradient: float | None = None
    stage_1_frames: int = 4
    precision: Precision = "fp32"
    seed: int = 0
    checkpoint_every: int = 1000
    sample_every: int = 500
    keep_checkpoints: int = 3

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        for name in ("batch", "stage_1_frames", "checkpoint_every", "sample_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.perceptual_frames is not None and self.perceptual_frames < 1:
            raise InputError(
                f"perceptual_frames is {self.perceptual_frames}; it must be at least 1, or null for all frames."
            )
        if self.stage_1_steps < 0 or self.stage_2_steps < 0 or self.num_steps == 0:
            raise InputError("stage_1_steps and stage_2_steps must not be negative, and not both 0.")
        if self.has_critics and self.model.resolution < 32:
            raise InputError(
                f"the critics need frames of 32 pixels or more and the model makes {self.model.resolution}; set "
                "weights.frame_critic, weights.clip_critic and weights.feature_matching to 0."
            )
        if not 0 <= self.flow_softness <= 1:
            raise InputError(f"flow_softness {self.flow_softness} is a share of the side and must lie in 0 ... 1.")
        if not 0 < self.decay <= 1:
            raise InputError(f"decay {self.decay} must lie above 0 and not above 1, which is no decay.")
        if self.clip_gradient is not None and not self.clip_gradient > 0:
            raise InputError(f"clip_gradient {self.clip_gradient} must be above 0, or null for no limit.")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate {self.learning_rate} must lie between 0 and 1.")
        if not (len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas)):
            raise InputError(f"betas {self.betas} must be two numbers in 0 ... 1.")

    @property
    def num_steps(self) -> int:
        return self.stage_1_steps + self.stage_2_steps

    @property
    def has_critics(self) -> bool:
        return bool(self.weights.frame_critic or self.weights.clip_critic or self.weights.feature_matching)

    def stage(self, step: int) -> int:
        """Stage, 1 or 2, of the step with this number (from 0)."""
        return 1 if step < self.stage_1_steps else 2


def to_json(config: TrainConfig) -> dict[str, Any]:
    return asdict(config)


def from_json(value: dict[str, Any]) -> TrainConfig:
    """The config of a plain JSON object. Raises as `settings.read`."""
    return settings.read(TrainConfig, value)
