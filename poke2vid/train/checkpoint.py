"""A training run on disk: everything that it needs to go on, in one safetensors file a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poke2vid.files import read_tensors, write_tensors
from poke2vid.model.files import CHECKPOINT_FORMAT, MODEL_PREFIX, VERSION, checkpoints_of, model_tensors
from poke2vid.model.poke_video import PokeVideo
from poke2vid.train.config import TrainConfig, to_json
from poke2vid.types import InputError

_OPTIMISER = "optimiser/"


def path_of(run: Path, step: int) -> Path:
    """The file of the checkpoint after `step` steps."""
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def save(
    run: Path,
    model: PokeVideo,
    optimiser: torch.optim.Optimizer,
    config: TrainConfig,
    step: int,
    origin: dict[str, Any],
) -> Path:
    """Writes the state after `step` steps and removes the oldest checkpoints beyond `keep_checkpoints`.

    Clips, pokes and augmentation are functions of (seed, step), so no generator's state needs to be kept.
    """
    about = {
        "format": CHECKPOINT_FORMAT,
        "version": VERSION,
        "model": to_json(config)["model"],
        "train": to_json(config),
        "step": step,
        **origin,
    }
    path = path_of(run, step)
    write_tensors(path, {**model_tensors(model), **_optimiser_tensors(optimiser)}, about)
    for old in checkpoints_of(run)[: -config.keep_checkpoints]:
        old.unlink()
    return path


def newest(run: Path) -> Path | None:
    """The newest checkpoint of a run, if it has one."""
    found = checkpoints_of(run)
    return found[-1] if found else None


def restore(path: Path, model: PokeVideo, optimiser: torch.optim.Optimizer | None) -> dict[str, Any]:
    """Loads weights and, if given, the optimiser's state; returns the checkpoint's own account of itself.

    Raises:
        InputError: if the file is damaged, foreign, or of another model.
    """
    tensors, about = read_tensors(path)
    if about.get("format") != CHECKPOINT_FORMAT:
        raise InputError(f"{path} is a model without its training state; resume from a run's checkpoint.")
    weights = {k.removeprefix(MODEL_PREFIX): v for k, v in tensors.items() if k.startswith(MODEL_PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{path} belongs to another model than the one that is trained here.") from error
    if optimiser is not None:
        _load_optimiser(optimiser, {k: v for k, v in tensors.items() if k.startswith(_OPTIMISER)})
    return about


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """ADAM's moments and step counts by the parameter's place."""
    state = optimiser.state_dict()["state"]
    return {f"{_OPTIMISER}{place}/{name}": torch.as_tensor(v) for place, s in state.items() for name, v in s.items()}


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        place, name = key.removeprefix(_OPTIMISER).split("/")
        state.setdefault(int(place), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
