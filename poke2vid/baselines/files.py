"""Trained systems on disk: a run's checkpoint holds the config, whose `system` names the class."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from poke2vid.baselines.baseline import Baseline, BaselineConfig
from poke2vid.baselines.systems import SYSTEMS
from poke2vid.files import digest_of, read_tensors
from poke2vid.model.files import BASELINE, CHECKPOINT_FORMAT, resolve
from poke2vid.types import InputError

SAMPLE = 2  # raised where the same network draws other samples; 2: by the frames seen
MODEL_PREFIX = "model/"  # of the names of the network's tensors


@dataclass(frozen=True)
class LoadedBaseline:
    """A trained system, ready to run, and where it comes from."""

    network: Baseline
    config: BaselineConfig
    about: dict[str, Any]
    path: Path

    @property
    def digest(self) -> str:
        network = {"network": repr(self.config.network), "revision": self.network.revision, "sample": SAMPLE}
        return digest_of(self.network.state_dict(), network)


def network_of(config: BaselineConfig) -> Baseline:
    """The system of a config, with drawn weights. Raises InputError if its settings do not go together."""
    network = SYSTEMS[config.network.system].network
    network.check(config)
    return network(config.network)


def config_of(about: Mapping[str, Any], path: Path) -> BaselineConfig:
    """The config in a file's JSON object.

    Raises:
        InputError: if it is not one that this program knows.
    """
    try:
        values = dict(about["train"])
        network = dict(values.pop("network"))
        kind = SYSTEMS[network["system"]].config
        return BaselineConfig(network=kind(**_in_tuples(network)), **_in_tuples(values))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold a system that this program knows; install the poke2vid that wrote it."
        ) from error


def load_baseline(path: Path) -> LoadedBaseline:
    """Loads a trained system from a checkpoint or a run's newest.

    Raises:
        InputError: if there is none, or it is damaged, not ours, or from another version.
    """
    path = resolve(path)
    tensors, about = read_tensors(path)
    if about.get("format") != CHECKPOINT_FORMAT or about.get("kind") != BASELINE:
        raise InputError(f"{path} is not a run of one of {', '.join(SYSTEMS)}; give one that such a preset made.")
    config = config_of(about, path)
    network = network_of(config)
    weights = {name.removeprefix(MODEL_PREFIX): w for name, w in tensors.items() if name.startswith(MODEL_PREFIX)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights in {path} do not fit the system that the same file describes; it is damaged."
        ) from error
    if not all(bool(torch.isfinite(w).all()) for w in weights.values() if w.is_floating_point()):
        raise InputError(f"{path} holds weights that are not finite numbers; use an earlier checkpoint.")
    return LoadedBaseline(network.eval(), config, about, path)


def _in_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values from JSON, whose lists stand for tuples."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
