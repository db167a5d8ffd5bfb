"""The training loop: batches in, checkpoints out; may be stopped and resumed at any step."""

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from poke2vid import __version__
from poke2vid.features import build_features
from poke2vid.files import write_json
from poke2vid.losses import weighted_sum
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train import checkpoint, steps
from poke2vid.train.config import TrainConfig, from_json, to_json
from poke2vid.train.data import Batch, ClipBatches
from poke2vid.train.log import RunLog
from poke2vid.types import ClipSource, InputError, Rollout


class Interrupted(Exception):
    """SIGINT or SIGTERM came; the run is saved."""


def train(
    config: TrainConfig,
    store_path: Path,
    run: Path,
    *,
    resume: bool = False,
    workers: int = 1,
    weights_dir: Path | None = None,
    device: str = "cpu",
    max_minutes: float | None = None,
    quiet: bool = False,
) -> Path:
    """Trains both stages and returns the last checkpoint.

    Args:
        resume: go on from the run's newest checkpoint; its config must be the one given.
        workers: processes that prepare batches; the batches do not depend on their number.
        weights_dir: where the feature network's public weights lie (weights.py says where else they are looked for).
        max_minutes: stop, saved, after this long; the schedule stays that of the whole run.

    Raises:
        InputError: for a store, run folder or setting that does not fit, or a loss that is no longer finite.
        Interrupted: after SIGINT or SIGTERM, when the run is saved.
    """
    from poke2vid.store import (
        Store,  # here: it validates by pydantic, which a training node that is only imported may lack
    )

    if max_minutes is not None and not max_minutes >= 0:
        raise InputError(f"{max_minutes} minutes is no time; give a number from 0 up.")
    place = _device(device)
    store = Store.open(store_path)
    clips = ClipBatches(store, config.data, config.model, batch=config.batch, seed=config.seed)
    unseen = held_out(store, config)
    extractor = _extractor(config, weights_dir, place)
    torch.manual_seed(config.seed)
    model = PokeVideo(config.model).to(place)
    origin = {"code": __version__, "store": store.digest, "full_motion": clips.full_motion}
    step, optimiser = _begin(run, resume, config, model, origin)
    deadline = time.monotonic() + 60 * max_minutes if max_minutes is not None else math.inf

    with RunLog(run, first_step=step, num_steps=config.num_steps, quiet=quiet) as log, _Signals() as signals:
        log.say(json.dumps(to_json(config)))
        log.say(f"{clips.num_clips} usable starts in {len(clips.sources)} videos; {_count(model):,} parameters.")
        for batch in batches(clips, step, config.num_steps, workers):
            began = time.monotonic()
            stage = config.stage(step)
            if step == config.stage_1_steps and step > 0:  # a stage has its own parameters, so its own moments
                optimiser = make_optimiser(model, config, stage)
            _set_rate(optimiser, learning_rate(config, step))
            batch = batch.to(place)
            terms = steps.terms(model, batch, extractor, config, step)
            total = weighted_sum(terms, vars(config.weights))
            require_finite(terms, step)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_gradient or math.inf)
            if not torch.isfinite(norm):
                raise InputError(f"the gradient is not finite at step {step + 1}; resume with a lower learning_rate.")
            optimiser.step()
            step += 1

            values: dict[str, float | int] = {f"loss/{name}": float(term.detach()) for name, term in terms.items()}
            seconds = time.monotonic() - began
            log.numbers(
                step,
                {"stage": stage, **values, "gradient_norm": float(norm), "clips_per_second": config.batch / seconds},
            )
            if step % config.sample_every == 0 or step == config.num_steps:
                for name, shown in (("train", batch), ("held-out", unseen)):
                    if shown is not None:
                        log.samples(step, name, shown, predict(model, shown.to(place), stage))
            stop = signals.received or time.monotonic() > deadline
            if step % config.checkpoint_every == 0 or step == config.num_steps or stop:
                saved = checkpoint.save(run, model, optimiser, config, step, origin)
            if signals.received:
                raise Interrupted(f"stopped at step {step}; go on with --resume")
            if stop:
                break
    return saved


def _device(name: str) -> torch.device:
    """The device of that name, tried out before anything is written."""
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {name!r} cannot be used here; choose cpu, or cuda where there is a GPU."
        ) from error
    return place


def _extractor(config: TrainConfig, weights_dir: Path | None, device: torch.device) -> nn.Module | None:
    """Phi of L_rec; its public weights are downloaded where nothing forbids it (POKE2VID_OFFLINE) and none are found."""
    try:
        extractor = build_features(
            config.perceptual, weights_dir, allow_download=not os.environ.get("POKE2VID_OFFLINE")
        )
    except InputError as error:
        raise InputError(
            f"{str(error).rstrip('.')}; or choose another network by --perceptual none, squeeze or vgg19."
        ) from error
    return extractor if extractor is None else extractor.to(device)


def _begin(
    run: Path, resume: bool, config: TrainConfig, model: PokeVideo, origin: dict[str, Any]
) -> tuple[int, torch.optim.Optimizer]:
    """The step to go on from, with the model and optimiser as they were after it."""
    found = checkpoint.newest(run)
    if not resume:
        if found is not None:
            raise InputError(f"{run} already holds a run; continue it with --resume or choose another --out.")
        write_json(run / "config.json", to_json(config))
        return 0, make_optimiser(model, config, config.stage(0))
    if found is None:
        raise InputError(f"{run} holds no checkpoint to resume from; start without --resume.")
    about = checkpoint.restore(found, model, None)
    if from_json(about["train"]) != config:
        raise InputError(
            f"{run} was trained with other settings; repeat its preset and --set options, or choose another --out."
        )
    if about["store"] != origin["store"]:
        raise InputError(f"{run} was trained on another store than the one given; use the same --data.")
    step = int(about["step"])
    if step >= config.num_steps:
        raise InputError(f"{run} is complete: all {step} steps are done.")
    optimiser = make_optimiser(model, config, config.stage(step - 1))
    checkpoint.restore(found, model, optimiser)
    return step, optimiser


def batches(clips: ClipBatches, first: int, last: int, workers: int) -> Iterator[Batch]:
    """The batches of steps first ... last - 1, in order."""
    yield from DataLoader(
        clips,
        sampler=range(first, last),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_single_thread,
    )


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the loop decides when to stop


def held_out(store: ClipSource, config: TrainConfig) -> Batch | None:
    """The same few unseen clips for every grid of a run, if the store has any that move."""
    try:
        clips = ClipBatches(store, config.data, config.model, batch=4, seed=config.seed, split="test")
    except InputError:
        return None
    return clips[0]


@torch.no_grad()
def predict(model: PokeVideo, batch: Batch, stage: int) -> Rollout:
    """What a stage shows of a batch: its frames reconstructed, or its pokes answered."""
    if stage == 1:
        return model.reconstruct(batch.frames[:, 1:], batch.frames[:, 0])
    return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule)


def make_optimiser(model: PokeVideo, config: TrainConfig, stage: int) -> torch.optim.Adam:
    """ADAM over the parameters of a stage, all others frozen."""
    parts = steps.trainable(model, config, stage)
    steps.freeze_others(model, parts)
    return torch.optim.Adam(
        (p for part in parts for p in part.parameters()), lr=config.learning_rate, betas=config.betas
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """A half cosine over the stage, from `learning_rate` to `decay` times it."""
    first, length = (
        (0, config.stage_1_steps) if config.stage(step) == 1 else (config.stage_1_steps, config.stage_2_steps)
    )
    done = (step - first) / max(1, length)
    return config.learning_rate * (config.decay + (1 - config.decay) * 0.5 * (1 + math.cos(math.pi * done)))


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def require_finite(terms: dict[str, Tensor], step: int) -> None:
    """Raises InputError naming the terms that are not finite, before they reach a weight."""
    broken = [name for name, term in terms.items() if not torch.isfinite(term)]
    if broken:
        raise InputError(
            f"the loss term {', '.join(broken)} is not finite at step {step + 1}; "
            "the last checkpoint is good: resume from it with a lower learning_rate."
        )


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


class _Signals:
    """While it is entered, SIGINT and SIGTERM only take note, so that the step in work is finished and saved."""

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "_Signals":
        self.before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
