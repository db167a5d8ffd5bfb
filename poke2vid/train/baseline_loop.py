"""Training of the systems that the paper compares with: one loop for all, which may be stopped and resumed at any step."""

import contextlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poke2vid import __version__
from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.baselines.files import MODEL_PREFIX, config_of, network_of
from poke2vid.files import write_json
from poke2vid.media import viz
from poke2vid.media.pictures import to_uint8
from poke2vid.model.files import BASELINE, CHECKPOINT_FORMAT, VERSION
from poke2vid.processes import alone_in
from poke2vid.train import checkpoint
from poke2vid.train.baseline_data import BaselineBatches
from poke2vid.train.batches import batches
from poke2vid.train.data import generator_for
from poke2vid.train.distributed import device_named, require_one_process
from poke2vid.train.log import RunLog
from poke2vid.train.stopping import Interrupted, Signals, deadline_of
from poke2vid.train.trainer import require_finite
from poke2vid.types import InputError

_SHOWN = 4  # clips of a grid
_FREE = ("learning_rate", "clip_gradient")  # settings that a resumed run may change


class BaselineTrainer:
    """A system, an ADAM for each of its groups of parameters, and the number of steps done."""

    def __init__(self, config: BaselineConfig, device: torch.device) -> None:
        self.config, self.device, self.step = config, device, 0
        torch.manual_seed(config.seed)
        self.network = network_of(config).to(device)
        self.groups = self.network.groups()
        self.optimisers = {
            name: torch.optim.Adam(group, lr=config.learning_rate, betas=config.betas)
            for name, group in self.groups.items()
        }

    def advance(self, clips: BaselineClips) -> dict[str, float]:
        """One step of every group in turn; returns the weighted terms and gradient norms to log.

        Raises:
            InputError: naming the terms that are not finite, or the gradient.
        """
        config, logged = self.config, dict[str, float]()
        clips = clips.to(self.device)
        self.network.train()
        for name, group in self.groups.items():
            self.network.requires_grad_(False)
            for parameter in group:
                parameter.requires_grad_(True)
            terms = self.network.terms(name, clips, self.step, generator_for(config.seed, "samples", name, self.step))
            require_finite(terms, self.step)
            optimiser = self.optimisers[name]
            for settings in optimiser.param_groups:
                settings["lr"] = config.rate(self.step)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            norm = float(nn.utils.clip_grad_norm_(group, config.clip_gradient or math.inf))
            if not math.isfinite(norm):
                raise InputError(
                    f"the gradient of the {name} is not finite at step {self.step + 1}; go on with --resume and a lower "
                    "learning_rate or clip_gradient."
                )
            optimiser.step()
            logged |= {f"loss/{term}": float(value.detach()) for term, value in terms.items()}
            logged[f"gradient_norm/{name}"] = norm
        self.step += 1
        return logged

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold to go on from here."""
        found = {MODEL_PREFIX + name: tensor for name, tensor in self.network.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            found |= checkpoint.optimiser_tensors(optimiser, f"{name}-optimiser/")
        return found

    def load(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Loads the output of `tensors` after `step` steps; raises RuntimeError if it is another network's."""
        checkpoint.load_module(self.network, dict(tensors), MODEL_PREFIX)
        for name, optimiser in self.optimisers.items():
            checkpoint.load_optimiser(optimiser, dict(tensors), f"{name}-optimiser/")
        self.step = step


def train_baseline(
    config: BaselineConfig, store_path: Path, run: Path, *, resume: bool = False, workers: int = 1, device: str = "cpu",
    max_minutes: float | None = None, quiet: bool = False,
) -> Path:  # fmt: skip
    """Trains a system and returns the last checkpoint.

    Args:
        resume: go on from the run's newest checkpoint; its config must be the one given, except for `_FREE`.
        workers: processes that prepare batches; the batches do not depend on their number.
        max_minutes: stop, saved, after this long; the schedule stays that of the whole run.

    Raises:
        InputError: for a store, run folder or setting that does not fit, or a loss that is no longer finite.
        Interrupted: after SIGINT or SIGTERM, when the run is saved.
    """
    from poke2vid.data.store import Store  # imported here: it needs pydantic

    require_one_process(config.network.system)
    deadline_of(max_minutes)  # refuses less than no time before anything is read
    store = Store.open(store_path)
    trainer = BaselineTrainer(config, device_named(device))
    clips = BaselineBatches(store, config, type(trainer.network))
    origin = {"code": __version__, "store": store.digest, "kind": BASELINE}
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone_in(run))
        _begin(run, resume, trainer, origin)
        deadline, signals = deadline_of(max_minutes), stack.enter_context(Signals())
        log = stack.enter_context(RunLog(run, first_step=trainer.step, num_steps=config.num_steps, quiet=quiet))
        log.say(json.dumps(config.to_json()))
        parameters = sum(p.numel() for p in trainer.network.parameters())
        log.say(f"{clips.num_clips} usable starts in {len(clips.sources)} videos; {parameters:,} parameters.")
        unseen = _held_out(store, trainer)
        began, saved = time.monotonic(), checkpoint.newest(run)
        for batch in batches(clips, trainer.step, config.num_steps, workers):
            waited = time.monotonic() - began
            values = trainer.advance(batch)
            step, seconds = trainer.step, time.monotonic() - began
            log.numbers(step, {**values, "clips_per_second": config.batch / seconds, "data_share": waited / seconds})
            last = step == config.num_steps
            if unseen is not None and (step % config.sample_every == 0 or last):
                log.picture(step, "held-out", grid(trainer.network, unseen, config.seed))
            late, told = time.monotonic() > deadline, signals.received
            if step % config.checkpoint_every == 0 or last or late or told:
                about = {
                    "format": CHECKPOINT_FORMAT,
                    "version": VERSION,
                    "train": config.to_json(),
                    "step": step,
                    **origin,
                }
                saved = checkpoint.write(run, trainer.tensors(), about, step, config.keep_checkpoints)
            if late or told:
                break
            began = time.monotonic()
    if signals.received and trainer.step < config.num_steps:
        raise Interrupted(f"stopped at step {trainer.step}; go on with --resume")
    assert saved is not None
    return saved


def _begin(run: Path, resume: bool, trainer: BaselineTrainer, origin: dict[str, Any]) -> None:
    """Begins a new run, or loads the run's newest checkpoint into the trainer."""
    config, found = trainer.config, checkpoint.newest(run)
    if not resume:
        if found is not None:
            raise InputError(f"{run} already holds a run; continue it with --resume or choose another --out.")
        write_json(run / "config.json", config.to_json())
        return
    if found is None:
        raise InputError(f"{run} holds no checkpoint to resume from; start without --resume.")
    tensors, about = checkpoint.read(found)
    if about.get("kind") != BASELINE:
        raise InputError(f"{run} is another kind of run; choose its own preset.")
    free = {name: getattr(config, name) for name in _FREE}
    if replace(config_of(about, found), **free) != config:
        raise InputError(
            f"{run} was trained with other settings; repeat its preset and --set options, or choose another --out. "
            f"Only {' and '.join(_FREE)} may change on the way."
        )
    if about["store"] != origin["store"]:
        raise InputError(f"{run} was trained on another store than the one given; use the same --data.")
    trainer.load(tensors, int(about["step"]))
    write_json(run / "config.json", config.to_json())
    if trainer.step >= config.num_steps:
        raise InputError(f"{run} is complete: all {trainer.step} steps are done.")


def _held_out(store: Any, trainer: BaselineTrainer) -> BaselineClips | None:
    """The same few unseen clips for every grid of a run, if the store has any that move."""
    try:
        return BaselineBatches(store, trainer.config, type(trainer.network), "test")[0].to(trainer.device)
    except InputError:
        return None


@torch.no_grad()
def grid(network: Baseline, clips: BaselineClips, seed: int) -> viz.Picture:
    """Two rows a clip for a few clips: truth and prediction, after the frames that the system sees."""
    network.eval()
    frames, paths = clips.frames[:_SHOWN], None if clips.paths is None else clips.paths[:_SHOWN]
    seen, count = frames[:, : network.seen], frames.shape[1] - network.seen
    predicted = network.predict(seen, count, generator_for(seed, "grid"), paths)
    factor = max(1, 128 // frames.shape[-1])
    shown = np.unique(np.linspace(0, count - 1, min(count, 6)).round().astype(int))
    rows = []
    for k in range(len(frames)):
        for ahead in (frames[k, network.seen :], predicted[k]):
            row = torch.cat((seen[k], ahead[shown])).clamp(-1, 1)
            rows.append([viz.enlarge(frame, factor) for frame in to_uint8(row.cpu())])
    return viz.grid(rows)
