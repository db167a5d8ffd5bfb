"""The training loop: batches in, checkpoints out; may be stopped and resumed at any step."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from poke2vid import __version__
from poke2vid.files import digest_of, write_json
from poke2vid.model.files import load_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pretrained.features import build_features
from poke2vid.processes import alone_in
from poke2vid.train import checkpoint
from poke2vid.train.batches import batches
from poke2vid.train.config import TrainConfig, from_json, to_json
from poke2vid.train.data import Batch, ClipBatches
from poke2vid.train.distributed import Group, device_named, join, local_device
from poke2vid.train.log import RunLog
from poke2vid.train.precision import Precision, faster, kept
from poke2vid.train.stopping import Interrupted, Signals, deadline_of
from poke2vid.train.trainer import Trainer
from poke2vid.types import ClipSource, InputError, Rollout


def train(
    config: TrainConfig,
    store_path: Path,
    run: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    workers: int = 1,
    weights_dir: Path | None = None,
    device: str = "cpu",
    max_minutes: float | None = None,
    precision: str | None = None,
    quiet: bool = False,
) -> Path:
    """Trains both stages and returns the last checkpoint.

    Under torchrun every process calls this with the same arguments; `batch` stays the global one (docs/training.md).

    Args:
        resume: go on from the run's newest checkpoint; its config must be the one given.
        init: a model of the same shape, or a run, whose weights a new run starts from; None draws them. A resumed run
            keeps its own.
        workers: processes that prepare batches; the batches do not depend on their number.
        weights_dir: folder of the feature network's public weights (pretrained/weights.py names the other places).
        device: "cpu", "cuda" (under torchrun each process's own GPU), or one GPU by number.
        max_minutes: stop, saved, after this long; the schedule stays that of the whole run.
        precision: "fp32", "bf16" or "auto", which times both for a few steps; None takes the config's. A resumed run
            keeps its own.

    Raises:
        InputError: for a store, run folder or setting that does not fit, or a loss that is no longer finite.
        Interrupted: after SIGINT or SIGTERM, when the run is saved.
    """
    from poke2vid.data.store import (
        Store,  # imported here: it needs pydantic, which a node that only imports training may lack
    )

    deadline_of(max_minutes)  # refuses less than no time before anything is read
    place = device_named(local_device(device))
    store = Store.open(store_path)
    with Signals() as signals, join(place) as group, contextlib.ExitStack() as stack:
        # One training in a folder
        with group.together():
            if group.leads:
                stack.enter_context(alone_in(run))
        # Clips and networks
        share = group.share(config.batch)
        clips = ClipBatches(store, config.data, config.model, batch=config.batch, seed=config.seed, share=share)
        extractor = extractor_of(config, weights_dir, place)
        config = replace(
            config, precision=_precision(precision, config, clips, extractor, group, run if resume else None)
        )
        trainer = Trainer(config, extractor, place, group)
        origin = {"code": __version__, "store": store.digest, "full_motion": clips.full_motion, "init": None}
        # New run or newest checkpoint
        if init is not None and not resume:
            origin["init"] = _start_from(init, trainer)
        _begin(run, resume, trainer, origin)
        # Log and steps
        deadline = deadline_of(max_minutes)
        with RunLog(
            run, first_step=trainer.step, num_steps=config.num_steps, quiet=quiet, silent=not group.leads
        ) as log:
            log.say(json.dumps(to_json(config)))
            log.say(
                f"{clips.num_clips} usable starts in {len(clips.sources)} videos; {_count(trainer.model):,} parameters"
                + (f", critics {_count(trainer.adversary):,}." if trainer.adversary is not None else ".")
            )
            unseen = held_out(store, config) if group.leads else None
            saved, stopped = _run(trainer, clips, workers, log, unseen, origin, deadline, signals)
    if stopped:
        raise Interrupted(f"stopped at step {trainer.step}; go on with --resume")
    return saved


def _run(
    trainer: Trainer,
    clips: ClipBatches,
    workers: int,
    log: RunLog,
    unseen: Batch | None,
    origin: dict[str, Any],
    deadline: float,
    signals: Signals,
) -> tuple[Path, bool]:
    """Steps until the end, a signal or the deadline; returns the last checkpoint, and True if a signal stopped it."""
    config, group = trainer.config, trainer.group
    began = time.monotonic()
    for batch in batches(clips, trainer.step, config.num_steps, workers):
        batch = batch.to(group.device)
        waited = time.monotonic() - began
        stage, sampling = config.stage(trainer.step), _due(trainer.step + 1, config.sample_every, config)
        values = trainer.advance(batch, balance=sampling and group.leads)
        step, seconds = trainer.step, time.monotonic() - began
        # Numbers and sample grids
        with group.together():
            log.numbers(
                step,
                {"stage": stage, **values, "clips_per_second": config.batch / seconds, "data_share": waited / seconds},
            )
            if sampling and group.leads:
                for name, shown in (("train", batch), ("held-out", unseen)):
                    if shown is not None:
                        log.samples(step, name, shown, predict(trainer.model, shown.to(group.device), stage))
        # Checkpoint, when due or stopping
        told, late = group.any(signals.received, time.monotonic() > deadline)
        if _due(step, config.checkpoint_every, config) or told or late:
            saved = checkpoint.path_of(log.run, step)
            with group.together():
                if group.leads:
                    checkpoint.save(log.run, trainer.tensors(), config, step, origin)
        if told or late:
            return saved, told and step < config.num_steps
        began = time.monotonic()
    return saved, False


def _precision(
    asked: str | None,
    config: TrainConfig,
    clips: ClipBatches,
    extractor: nn.Module | None,
    group: Group,
    run: Path | None,
) -> Precision:
    """Precision of a run: its own if resumed, else the one asked for ("auto": the faster here), else the config's.

    Raises:
        InputError: for an unknown name, another one than the resumed run's, or "auto" for several processes.
    """
    found = checkpoint.newest(run) if run is not None else None
    if found is not None:
        try:
            about = checkpoint.read(found)[1]
        except InputError:  # `_begin` reports the fault and the fix
            return config.precision
        if about.get("kind") is not None:
            raise InputError(f"{run} is another kind of run; choose its own preset.")
        return kept(asked, from_json(about["train"]).precision)
    if asked is None:
        return config.precision
    if asked == "auto" and group.size > 1:
        raise InputError("processes could each find another precision faster; give them --precision fp32 or bf16.")

    def step(precision: Precision) -> Callable[[], object]:
        # Stage 2 is timed, if there is one: most of a run's time goes there
        first = 0 if config.stage_2_steps else config.stage_1_steps
        trial = Trainer(replace(config, precision=precision, stage_1_steps=first), extractor, group.device)
        batch = clips[0].to(group.device)
        return lambda: trial.advance(batch)

    return faster(asked, step)


def _due(step: int, every: int, config: TrainConfig) -> bool:
    return step % every == 0 or step == config.num_steps


def extractor_of(config: TrainConfig, weights_dir: Path | None, device: torch.device) -> nn.Module | None:
    """Phi of L_rec; public weights that are not found are downloaded, unless POKE2VID_OFFLINE forbids it."""
    if not config.weights.perceptual:
        return None
    try:
        extractor = build_features(
            config.perceptual, weights_dir, allow_download=not os.environ.get("POKE2VID_OFFLINE")
        )
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}; or choose another network by --perceptual none, squeeze, vgg16 or vgg19."
        ) from error
    return extractor if extractor is None else extractor.to(device)


def _start_from(init: Path, trainer: Trainer) -> str:
    """Gives a new run the weights of a trained model; returns their sha256, for the record."""
    start = load_model(init)
    wanted = trainer.config.model
    if replace(start.model.config, poke_kind=wanted.poke_kind) != wanted:  # the kind of poke does not change the shape
        raise InputError(f"{start.path} is a model of another shape than the one to be trained; choose its preset.")
    trainer.model.load_state_dict(start.model.state_dict())
    return digest_of(start.model.state_dict(), {})


def _begin(run: Path, resume: bool, trainer: Trainer, origin: dict[str, Any]) -> None:
    """Begins a new run, or loads the run's newest checkpoint into the trainer."""
    config, group = trainer.config, trainer.group
    found = checkpoint.newest(run)
    shared = "give every node the same --data and --out, on a shared file system"
    # All processes must agree
    group.require_same("settings", to_json(config), "start all of them with the same options")
    group.require_same("versions of this program", origin["code"], "install the same everywhere")
    group.require_same("stores", origin["store"], shared)
    group.require_same("checkpoints", found and found.name, shared)
    # A new run
    if not resume:
        if found is not None:
            raise InputError(f"{run} already holds a run; continue it with --resume or choose another --out.")
        with group.together():
            if group.leads:
                write_json(run / "config.json", to_json(config))
        group.copy_from_first(trainer.state())
        return
    # A resumed run
    if found is None:
        raise InputError(f"{run} holds no checkpoint to resume from; start without --resume.")
    try:
        tensors, about = checkpoint.read(found)
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}{_way_back(run)}.") from error
    if with_rates_of(from_json(about["train"]), config) != config:
        raise InputError(
            f"{run} was trained with other settings; repeat its preset and --set options, or choose another --out. "
            "Only learning rates and clip_gradient may change on the way."
        )
    if about["store"] != origin["store"]:
        raise InputError(f"{run} was trained on another store than the one given; use the same --data.")
    origin["init"] = about.get("init")
    step = int(about["step"])
    if step >= config.num_steps:
        raise InputError(f"{run} is complete: all {step} steps are done.")
    try:
        trainer.load(tensors, step)
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"{found} belongs to another model than the one that is trained here.") from error
    with group.together():
        if group.leads:
            write_json(run / "config.json", to_json(config))


def with_rates_of(config: TrainConfig, other: TrainConfig) -> TrainConfig:
    """The config with the settings that may change during a run (learning rates, clip_gradient) from another."""
    return replace(
        config,
        learning_rate=other.learning_rate,
        clip_gradient=other.clip_gradient,
        critics=replace(config.critics, learning_rate=other.critics.learning_rate),
    )


def _way_back(run: Path) -> str:
    """Advice for a newest checkpoint that cannot be read."""
    older = checkpoint.before_newest(run)
    return f"; delete it to go on from {older.name}" if older else "; the run has no other, so begin it anew"


def held_out(store: ClipSource, config: TrainConfig) -> Batch | None:
    """The same few unseen clips for every grid of a run, if the store has any that move."""
    try:
        clips = ClipBatches(store, config.data, config.model, batch=4, seed=config.seed, split="test")
    except InputError:
        return None
    return clips[0]


@torch.no_grad()
def predict(model: PokeVideo, batch: Batch, stage: int) -> Rollout:
    """Output of a stage for a batch: its frames reconstructed (1), or predicted from its pokes (2)."""
    if stage == 1:
        return model.reconstruct(batch.frames[:, 1:], batch.frames[:, 0])
    return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule)


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
