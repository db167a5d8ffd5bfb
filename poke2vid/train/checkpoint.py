"""A training run on disk: each checkpoint is one safetensors file with everything needed to go on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from poke2vid.files import read_tensors, write_tensors
from poke2vid.model.files import CHECKPOINT_FORMAT, VERSION, checkpoints_of
from poke2vid.train.config import TrainConfig, to_json
from poke2vid.types import InputError


def path_of(run: Path, step: int) -> Path:
    """The file of the checkpoint after `step` steps."""
    return run / "checkpoints" / f"step-{step:08d}.safetensors"


def save(run: Path, tensors: dict[str, Tensor], config: TrainConfig, step: int, origin: dict[str, Any]) -> Path:
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
    return write(run, tensors, about, step, config.keep_checkpoints)


def write(run: Path, tensors: dict[str, Tensor], about: dict[str, Any], step: int, keep: int) -> Path:
    """Writes a checkpoint of any kind of training and removes the oldest beyond `keep`."""
    path = path_of(run, step)
    write_tensors(path, tensors, about)
    for old in checkpoints_of(run)[:-keep]:
        old.unlink()
    return path


def newest(run: Path) -> Path | None:
    """The newest checkpoint of a run, if it has one."""
    found = checkpoints_of(run)
    return found[-1] if found else None


def before_newest(run: Path) -> Path | None:
    """The checkpoint to fall back on when the newest is damaged, if there is one."""
    found = checkpoints_of(run)
    return found[-2] if len(found) > 1 else None


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and its JSON object.

    Raises:
        InputError: if the file is damaged, not ours, or a model without training state.
    """
    tensors, about = read_tensors(path)
    if about.get("format") != CHECKPOINT_FORMAT:
        raise InputError(f"{path} is a model without its training state; resume from a run's checkpoint.")
    return tensors, about


def load_module(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    """Loads the tensors with this prefix into a module; raises RuntimeError if they are another's."""
    module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """State of an optimiser (of ADAM: moments and step counts), named by the parameter's place."""
    state = optimiser.state_dict()["state"]
    return {f"{prefix}{place}/{name}": torch.as_tensor(v) for place, s in state.items() for name, v in s.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Loads the output of `optimiser_tensors` into an optimiser over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            place, name = key.removeprefix(prefix).split("/")
            state.setdefault(int(place), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
