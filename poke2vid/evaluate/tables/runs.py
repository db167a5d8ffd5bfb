"""The training runs behind the tables: one for every row and seed, made once, resumed, and found again by its settings."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from poke2vid.evaluate.clips import digest_of_key
from poke2vid.model.files import checkpoints_of
from poke2vid.processes import Died, Tick, run_jobs
from poke2vid.train.config import TrainConfig, to_json
from poke2vid.train.loop import Interrupted, train
from poke2vid.train.presets import ABLATIONS
from poke2vid.types import InputError

FULL = "full"  # the model itself


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        variant: what was taken away, a key of `presets.ABLATIONS` or "full".
        folder: named by variant, seed and a digest of settings and store, so that other settings are another run.
    """

    variant: str
    seed: int
    config: TrainConfig
    folder: Path

    @property
    def is_complete(self) -> bool:
        found = checkpoints_of(self.folder)
        return bool(found) and _step_of(found[-1]) == self.config.num_steps


def variant_config(base: TrainConfig, variant: str, seed: int) -> TrainConfig:
    """The settings of a row: the base, one thing taken away.

    Raises:
        InputError: if the model is too small for it, such as N = 3 at 32 pixels.
    """
    config = replace(base, seed=seed) if variant == FULL else ABLATIONS[variant](replace(base, seed=seed))
    if config.model.depth == config.model.num_levels:  # which is all of them: the same model by another name
        config = replace(config, model=replace(config.model, depth=None))
    return config


def planned_run(base: TrainConfig, variant: str, seed: int, store_digest: str, out: Path) -> Run:
    """A run of a row and seed; rows with the same settings share one."""
    config = variant_config(base, variant, seed)
    variant = FULL if config == variant_config(base, FULL, seed) else variant
    digest = digest_of_key({"train": to_json(config), "store": store_digest})[:8]
    return Run(variant, seed, config, out / f"{variant}-seed{seed}-{digest}")


def train_all(
    runs: Sequence[Run], store: Path, *, jobs: int = 1, device: str = "cpu", weights_dir: Path | None = None,
    quiet: bool = False,
) -> None:  # fmt: skip
    """Trains what is not complete yet, several runs at a time with one thread each.

    Raises:
        InputError: as `train`, naming the run.
        Interrupted: after SIGINT or SIGTERM, when everything is saved.
    """
    left = [run for run in {run.folder: run for run in runs}.values() if not run.is_complete]
    make = partial(_make, store, device, weights_dir, quiet or jobs > 1, jobs > 1)
    results = run_jobs(make, left, jobs if jobs > 1 else 0, lambda: None)
    # One run at a time shows its own steps.
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
    return partial(_train_one, store, device, weights_dir, quiet, 0 if alone else 1)  # a worker may have no workers


def _train_one(
    store: Path, device: str, weights_dir: Path | None, quiet: bool, workers: int, run: Run, tick: Tick
) -> str | None:  # fmt: skip
    """Empty when it is done, None if it was stopped, else what went wrong in one sentence."""
    try:
        train(
            run.config, store, run.folder, resume=bool(checkpoints_of(run.folder)), device=device, weights_dir=weights_dir,
            quiet=quiet, workers=workers,
        )  # fmt: skip
    except Interrupted:
        return None
    except InputError as error:
        return str(error)
    return ""


def _step_of(checkpoint: Path) -> int:
    found = re.search(r"(\d+)$", checkpoint.stem)
    return int(found[1]) if found else -1
