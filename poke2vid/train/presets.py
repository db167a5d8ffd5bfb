"""Presets, one row each: a row names the settings that differ from TrainConfig's defaults.

Model, losses, critics and optimiser of the defaults are the paper's. The training clips go beyond it: also
longer, untouched and augmented ones, so that a session can rest, be released and be poked again (decision 009).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.model.config import ModelConfig, released_config
from poke2vid.model.critics import CriticConfig
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.train.config import DataConfig, LossWeights, TrainConfig
from poke2vid.train.field_config import FieldConfig
from poke2vid.types import InputError

_NO_CRITICS = {"frame_critic": 0.0, "clip_critic": 0.0, "feature_matching": 0.0}
_MOTION = LossWeights(pixel=3.0, flow=10.0, poke=5.0, repaint=1.0, **_NO_CRITICS)
_PAPER = TrainConfig(data=DataConfig(max_pokes=1))


def _released(resolution: int, frame_patches: int, clip_patches: int) -> TrainConfig:
    """The released code's settings where it differs from the paper; patches are logits of a critic (decision 014)."""
    return TrainConfig(
        model=released_config(resolution),
        data=DataConfig(max_pokes=1, poke_stds=2.0, background_share=0.0),
        weights=LossWeights(
            pixel=5.0, perceptual=5.0, trajectory=0.1, frame_critic=1.0, clip_critic=5.0, feature_matching=10.0
        ),
        critics=CriticConfig(
            design="released", frame_penalty=1e-4 * frame_patches**2, clip_penalty=0.1 * clip_patches**2
        ),
        betas=(0.9, 0.999),
    )


def _paper(resolution: int, **model: object) -> TrainConfig:
    return replace(_PAPER, model=ModelConfig(resolution=resolution, **model))  # type: ignore[arg-type]


def _shaped(config: TrainConfig, **model: object) -> TrainConfig:
    return replace(config, model=replace(config.model, **model))  # type: ignore[arg-type]


def _painted(config: TrainConfig) -> TrainConfig:
    """The paper's G, which paints its frames, in place of a motion decoder; a quarter of the steps teach it to paint."""
    if config.model.decoder == "rgb":
        return config
    first = config.num_steps // 4
    return replace(
        _shaped(config, decoder="rgb"), weights=LossWeights(perceptual=1.6, **_NO_CRITICS),
        perceptual="squeeze" if config.perceptual == "none" else config.perceptual, perceptual_frames=2, flow_softness=0.0,
        stage_1_steps=first, stage_2_steps=config.num_steps - first,
    )  # fmt: skip


# Ablations of Tables 3 and 4, for a model of any size and budget; all make the same number of steps.
ABLATIONS: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "bottleneck_rnn": lambda c: _shaped(c, dynamics="bottleneck"),
    "no_trajectory_loss": lambda c: replace(c, weights=replace(c.weights, trajectory=0.0)),
    "single_stage": lambda c: replace(c, stage_1_steps=0, stage_2_steps=c.num_steps, freeze_object_encoder=False),
    "depth1": lambda c: _shaped(c, depth=1),
    "depth2": lambda c: _shaped(c, depth=2),
    "depth3": lambda c: _shaped(c, depth=3),  # at 64 pixels the full model, under its name in Table 4
    "painted": _painted,  # the full model where that has the paper's decoder
}

PRESETS: dict[str, TrainConfig] = {
    # The paper's model, at three sizes.
    "paper64": _paper(64),
    "paper128": _paper(128),
    "paper256": _paper(256),
    # The authors' code: its generator, critics, weights and pokes, in our two stages (docs/decisions/014).
    "released64": _released(64, frame_patches=36, clip_patches=16),
    "released128": _released(128, frame_patches=196, clip_patches=64),
    # For a CPU and a browser: the motion decoder at small width, and clips chosen so that an hour on one core shows motion:
    # pokes on what clearly moves, few feature frames, flow along the way as well as at T (docs/experiments.md, 2026-11-23).
    "small64": TrainConfig(
        model=ModelConfig(resolution=64, channels=16, decoder="motion"),
        data=DataConfig(balance=0.5, poke_stds=2.0, min_motion=0.015, long_share=0.15, waypoints=(3, 6)),
        weights=replace(_MOTION, perceptual=0.16),
        perceptual="squeeze", perceptual_frames=3, batch=8, learning_rate=1.5e-3, decay=0.05, clip_gradient=1.0,
        stage_1_steps=100, stage_2_steps=5000, sample_every=200, checkpoint_every=100,
    ),
    "small128": TrainConfig(
        model=ModelConfig(resolution=128, channels=16, decoder="motion"),
        data=DataConfig(balance=0.5, poke_stds=2.0, min_motion=0.015, long_share=0.15, waypoints=(3, 6)),
        weights=replace(_MOTION, perceptual=0.16),
        perceptual="squeeze", perceptual_frames=2, batch=8, learning_rate=1e-3, decay=0.05, clip_gradient=1.0,
        stage_1_steps=100, stage_2_steps=5000, sample_every=200, checkpoint_every=100,
    ),
    # small64 for clips of the simulator, started from the shipped model (`--init base`): from random weights, its many
    # scenes taught little within an hour, and nothing with an absolute flow error (docs/experiments.md, 2026-11-25).
    "simulated64": TrainConfig(
        model=ModelConfig(resolution=64, channels=16, decoder="motion"),
        data=DataConfig(poke_stds=1.0, min_motion=0.015, long_share=0.15, waypoints=(3, 6)),
        weights=replace(_MOTION, pixel=1.0, perceptual=0.0, flow=30.0),
        perceptual="none", flow_softness=0.05, batch=8, learning_rate=1e-3, decay=0.05, clip_gradient=1.0,
        stage_1_steps=0, stage_2_steps=5500, freeze_object_encoder=False, sample_every=500, checkpoint_every=250,
    ),
    # For tests; takes seconds.
    "tiny": TrainConfig(
        model=ModelConfig(resolution=32, channels=8, decoder="motion"),
        data=DataConfig(horizon=4, max_length=6, max_pokes=1, augment=None),
        weights=_MOTION, perceptual="none", batch=4, learning_rate=3e-3, clip_gradient=1.0,
        stage_1_steps=20, stage_2_steps=40, sample_every=30, checkpoint_every=20,
    ),
    # Table 3 and 4, at 64 pixels.
    **{name: ablated(_PAPER) for name, ablated in ABLATIONS.items() if ablated is not _painted},
    # The paper's model at a quarter of its width, without critics, for the same tables where there is no GPU: ten minutes of
    # one core a row. It has not converged by then; say so wherever its numbers are shown.
    "ablation64": TrainConfig(
        model=ModelConfig(resolution=64, channels=8),
        data=DataConfig(max_pokes=1, poke_stds=1.0, min_motion=0.015, max_length=10, long_share=0.0, untouched_share=0.0),
        weights=LossWeights(perceptual=1.6, **_NO_CRITICS),
        perceptual="squeeze", perceptual_frames=2, batch=5, learning_rate=1e-3, decay=0.1, clip_gradient=1.0,
        stage_1_steps=500, stage_2_steps=2000, sample_every=500, checkpoint_every=250, keep_checkpoints=1,
    ),
    # The same tables where rows must obey: the motion decoder, whose flow and pokes are taught, in simulated64's way but from
    # drawn weights and with E_sigma frozen in stage 2, as the paper has it. L_traj's gradient on F is that of flow and poke
    # together (at weight 1 it is that of the pixels; docs/experiments.md, 2026-11-30). 45 minutes of one core a row.
    "ablation_motion64": TrainConfig(
        model=ModelConfig(resolution=64, channels=16, decoder="motion"),
        data=DataConfig(
            max_pokes=1, poke_stds=1.0, min_motion=0.015, max_length=10, long_share=0.0, waypoints=(3, 6), augment=None
        ),
        weights=replace(_MOTION, pixel=1.0, perceptual=0.0, flow=30.0, trajectory=10.0),
        perceptual="none", flow_softness=0.05, batch=8, learning_rate=1e-3, decay=0.05, clip_gradient=1.0,
        stage_1_steps=160, stage_2_steps=2000, sample_every=500, checkpoint_every=100, keep_checkpoints=1,
    ),
    # Appendix B.
    "impulse64": _paper(64, poke_kind="impulse"),
    # simulated64 for impulses, started from the shipped model. One poke, so that three do not share one clip's motion;
    # waypoints, or it jumps to x_T at once (docs/experiments.md, 2026-11-25). An impulse names no target: no poke term.
    "impulse_small64": TrainConfig(
        model=ModelConfig(resolution=64, channels=16, decoder="motion", poke_kind="impulse"),
        data=DataConfig(max_pokes=1, long_share=0.15, waypoints=(3, 6)),
        weights=replace(_MOTION, pixel=1.0, perceptual=0.0, flow=30.0, poke=0.0),
        perceptual="none", flow_softness=0.05, batch=8, learning_rate=1e-3, decay=0.05, clip_gradient=1.0,
        stage_1_steps=0, stage_2_steps=5500, freeze_object_encoder=False, sample_every=500, checkpoint_every=250,
    ),
    # The paper to the letter, where our defaults depart from it (docs/decisions).
    "literal_poke_encoder": _paper(64, poke_encoder="literal"),
    "literal_clip_critic": replace(_paper(64), critics=CriticConfig(design="literal")),
    "literal_colour": _paper(64, colour="literal"),
    "literal_state_range": _paper(64, state_range="literal"),
    # A sum over states is some 10^4 times their mean square: this weight makes both start equally strong.
    "literal_trajectory_loss": replace(_paper(64), squared_trajectory=False, weights=LossWeights(trajectory=1e-5)),
}  # fmt: skip


# E_phi that sees the picture, on pokes with known causes (docs/decisions/021); the stage before the two of the paper.
_TOUCH = TouchConfig(swing=40, stays=True)
_TOUCH_128 = replace(_TOUCH, resolution=128, stem=16)
_TIME_ALONE: dict[str, Any] = {
    "time_alone": True,
    "scenes": 1,
    "pokes": 1,
    "films": 24,
    "steps": 1000,
    "average": 0.99,
    "lively": 25.0,
    "motion": 2.0,
}
FIELD_PRESETS: dict[str, FieldConfig] = {
    "fields64": FieldConfig(touch=_TOUCH, films=4),
    "fields128": FieldConfig(touch=_TOUCH_128, films=4, matrix_rate=0.02),
    # Last stage: motion in time, from many films a step; where things go stays the same to the bit.
    "time64": FieldConfig(touch=_TOUCH, **_TIME_ALONE),
    "time128": FieldConfig(touch=_TOUCH_128, matrix_rate=0.02, **_TIME_ALONE),
}


# The systems that the paper compares with: the published hyperparameters, and `-small` for two cores.
BASELINE_PRESETS: dict[str, BaselineConfig] = {
    name: config for system in SYSTEMS.values() for name, config in system.presets.items()
}


def preset(name: str) -> TrainConfig:
    """A preset of the paper's two stages. Raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(
            f"there is no preset {name!r}; choose one of {', '.join((*PRESETS, *FIELD_PRESETS, *BASELINE_PRESETS))}."
        )
    return PRESETS[name]
