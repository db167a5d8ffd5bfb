"""Training runs behind the tables: one per row and seed, trained once, resumable, and found again by its settings."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from poke2vid.baselines.baseline import BaselineConfig
from poke2vid.baselines.files import LoadedBaseline
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.data.store import Store
from poke2vid.evaluate.heldout.sources import load_any
from poke2vid.evaluate.tables.kept import Kept
from poke2vid.files import digest_of
from poke2vid.model.files import checkpoints_of
from poke2vid.processes import Died, Tick, run_jobs
from poke2vid.train.baseline_data import BaselineBatches
from poke2vid.train.baseline_loop import train_baseline
from poke2vid.train.config import TrainConfig, to_json
from poke2vid.train.data import ClipBatches
from poke2vid.train.loop import Interrupted, extractor_of, train
from poke2vid.train.presets import ABLATIONS, BASELINE_PRESETS
from poke2vid.train.settings import override
from poke2vid.types import InputError

SHARED = ("horizon", "min_motion", "poke_stds", "poke_margin")  # settings of the data that systems of others take over
FULL = "full"  # the complete model


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        variant: the part taken away, a key of `presets.ABLATIONS`, "full", or a key of `SYSTEMS`.
        folder: named by variant, seed and a digest of settings and store, so other settings give another run.
        kept: its measurements, where they were made before; it then needs no training and no weights.
    """

    variant: str
    seed: int
    config: TrainConfig | BaselineConfig
    folder: Path
    kept: Kept | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f"{self.variant}-seed{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """Its config as plain JSON, with the revision of a network that had others before."""
        if not isinstance(self.config, BaselineConfig):
            return to_json(self.config)
        revision = SYSTEMS[self.config.network.system].network.revision
        return self.config.to_json() | ({"revision": revision} if revision > 1 else {})

    @property
    def is_complete(self) -> bool:
        if self.kept is not None:
            return True
        found = checkpoints_of(self.folder)
        return bool(found) and _step_of(found[-1]) == self.config.num_steps

    @cached_property
    def size(self) -> dict[str, Any]:
        """Parameters of a run's network, and the median seconds of its steps; None for these without its log."""
        if self.kept is not None:
            return {name: self.kept.about.get(name) for name in ("parameters", "step_s")}
        loaded = load_any(self.folder)
        network = loaded.network if isinstance(loaded, LoadedBaseline) else loaded.model
        assert isinstance(network, torch.nn.Module)
        try:
            lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            rates = [json.loads(line)["clips_per_second"] for line in lines]
        except (OSError, ValueError, KeyError):
            rates = []
        seconds = self.config.batch / float(np.median(rates)) if rates else None
        return {"parameters": sum(p.numel() for p in network.parameters()), "step_s": seconds}


def variant_config(base: TrainConfig, variant: str, seed: int) -> TrainConfig:
    """Settings of a row: the base with one thing taken away.

    Raises:
        InputError: if the model is too small for it, such as N = 3 at 32 pixels.
    """
    config = replace(base, seed=seed) if variant == FULL else ABLATIONS[variant](replace(base, seed=seed))
    if config.model.depth == config.model.num_levels:  # all levels: the same model as `None`
        config = replace(config, model=replace(config.model, depth=None))
    return config


def baseline_config(
    base: TrainConfig, system: str, seed: int, published: bool, settings: Sequence[str] = ()
) -> BaselineConfig:  # fmt: skip
    """Settings of a system of others on the clips of the base: the published ones, or those for two cores.

    Raises:
        InputError: if it has none at this size.
    """
    resolution = base.model.resolution
    name = f"{system}{resolution}{'' if published else '-small'}"
    if name not in BASELINE_PRESETS:
        raise InputError(f"there is no preset {name}: the system is not made for {resolution} pixels")
    data = base.data
    shared: dict[str, Any] = {name: getattr(data, name) for name in SHARED}
    return override(replace(BASELINE_PRESETS[name], **shared, seed=seed), settings)


def planned_run(
    base: TrainConfig, variant: str, seed: int, store_digest: str, out: Path, published: bool = False,
    system_settings: Sequence[str] = (),
) -> Run:  # fmt: skip
    """Run of a row and seed; rows with the same settings share one.

    Args:
        published: train systems of others with the published hyperparameters, not with those for two cores.
        system_settings: override those of a system of others.

    Raises:
        InputError: if the model or the frames are too small for the row, or a setting does not exist.
    """
    config: TrainConfig | BaselineConfig
    if variant in SYSTEMS:
        config = baseline_config(base, variant, seed, published, system_settings)
    else:
        config = variant_config(base, variant, seed)
        variant = FULL if config == variant_config(base, FULL, seed) else variant
    run = Run(variant, seed, config, out)
    digest = digest_of({}, {"train": run.settings, "store": store_digest})[:8]
    return replace(run, folder=out / f"{run.name}-{digest}")


def without_weights(planned: dict[str, list[Run]], weights_dir: Path | None, device: torch.device) -> dict[str, str]:
    """Takes out the rows of another feature network than the full model's whose weights are not found; the reason of each."""
    common = {run.config.perceptual for run in planned.get(FULL, []) if isinstance(run.config, TrainConfig)}
    found = dict[str, str]()
    for variant, runs in planned.items():
        config = runs[0].config
        if (
            isinstance(config, TrainConfig)
            and config.perceptual not in common
            and not all(run.is_complete for run in runs)
        ):
            try:
                extractor_of(config, weights_dir, device)
            except InputError as error:
                found[variant] = str(error)
    for variant in found:
        del planned[variant]
    return found


def check_all(runs: Sequence[Run], store: Store, weights_dir: Path | None, device: torch.device) -> None:
    """Finds what would stop one of the runs that are not complete, before hours go into those before it.

    Raises:
        InputError: if settings do not go together, the store does not fit, or a feature network has no weights.
    """
    left = [run for run in runs if not run.is_complete]
    for config in {repr(replace(run.config, seed=0)): run.config for run in left}.values():
        if isinstance(config, BaselineConfig):
            network = SYSTEMS[config.network.system].network
            network.check(config)
            BaselineBatches(store, config, network)
        else:
            ClipBatches(store, config.data, config.model, batch=config.batch, seed=config.seed)
    for config in {run.config.perceptual: run.config for run in left if isinstance(run.config, TrainConfig)}.values():
        extractor_of(config, weights_dir, device)


def train_all(
    runs: Sequence[Run], store: Path, *, jobs: int = 1, device: str = "cpu", weights_dir: Path | None = None,
    quiet: bool = False,
) -> None:  # fmt: skip
    """Trains the runs that are not complete yet, several runs at a time with one thread each.

    Raises:
        InputError: as `train`, naming the run.
        Interrupted: after SIGINT or SIGTERM, when everything is saved.
    """
    left = [run for run in {run.folder: run for run in runs}.values() if not run.is_complete]
    make = partial(_make, store, device, weights_dir, quiet or jobs > 1, jobs > 1)
    results = run_jobs(make, left, jobs if jobs > 1 else 0, lambda: None)
    # A single job at a time shows its own progress bar.
    for run, result in tqdm(results, total=len(left), unit="run", disable=True if quiet or jobs == 1 else None):
        if isinstance(result, Died):
            raise InputError(
                f"the process that trained {run.folder} died (exit code {result.code}); run again to go on."
            )
        if result is None:
            raise Interrupted(f"stopped while {run.folder} was trained; the same command goes on")
        if result:
            raise InputError(f"{run.folder}: {result}")


def _make(
    store: Path, device: str, weights_dir: Path | None, quiet: bool, alone: bool
) -> Callable[[Run, Tick], str | None]:  # fmt: skip
    if alone:  # one of several processes
        torch.set_num_threads(1)
    return partial(_train_one, store, device, weights_dir, quiet, 0 if alone else 1)  # a worker may not start others


def _train_one(
    store: Path, device: str, weights_dir: Path | None, quiet: bool, workers: int, run: Run, tick: Tick
) -> str | None:  # fmt: skip
    """Trains one run; returns "" when it is done, None if it was stopped, else an error in one sentence."""
    resume = bool(checkpoints_of(run.folder))
    try:
        if isinstance(run.config, BaselineConfig):
            train_baseline(
                run.config, store, run.folder, resume=resume, device=device, quiet=quiet, workers=workers
            )  # fmt: skip
        else:
            train(
                run.config, store, run.folder, resume=resume, device=device, weights_dir=weights_dir, quiet=quiet,
                workers=workers,
            )  # fmt: skip
    except Interrupted:
        return None
    except InputError as error:
        return str(error)
    return ""


def _step_of(checkpoint: Path) -> int:
    found = re.search(r"(\d+)$", checkpoint.stem)
    return int(found[1]) if found else -1
