"""Models on disk: weights, shape and origin in one file."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from poke2vid.files import is_sealed, read_about, read_tensors, write_tensors
from poke2vid.model.config import ModelConfig
from poke2vid.model.eight_bits import from_eight_bits, in_eight_bits
from poke2vid.model.poke_video import PokeVideo
from poke2vid.model.touch_encoder import TouchConfig
from poke2vid.model.touch_video import TouchDynamics, TouchVideo, TouchVideoConfig
from poke2vid.types import InputError

MODEL_FORMAT, CHECKPOINT_FORMAT, VERSION = "poke2vid-model", "poke2vid-checkpoint", 2
# Keys that a model description of an older version lacks, with the values they had then.
_SINCE: dict[int, dict[str, Any]] = {1: {"architecture": "paper"}}
TOUCH_FORMAT, TOUCH_VERSIONS = "poke2vid-touch", (1, 2)  # in version 1 all weights are halves
_TOUCH_FORMERLY = ("follow", "glide", "hertz", "damping")  # keys of the one law for every place, before maps of time
FIELDS = "fields"  # `kind` of a checkpoint of E_phi's training on pokes
BASELINE = "baseline"  # `kind` of a checkpoint of a system that the paper compares with
MODEL_PREFIX = "model/"  # of the names of the model's tensors in both kinds of file
SMALL = 2_000_000  # parameters; a smaller model runs on one thread
ASSETS = Path(__file__).parent.parent / "assets"
BASE = ASSETS / "touch128.safetensors"  # the default model
SMALLER = ASSETS / "touch64.safetensors"  # as the base, for pictures of 64 pixels
PAPER_BASE = ASSETS / "small64.safetensors"  # default where a model of the paper's form is needed
NAMED = {path.stem: path for path in (BASE, SMALLER, PAPER_BASE)}  # the models in the package, by name


@dataclass(frozen=True)
class LoadedModel:
    """A model, ready to run, and where it comes from.

    Attributes:
        about: the file's JSON object: format, config, training step, data, code version.
    """

    model: PokeVideo
    about: dict[str, Any]
    path: Path


def use_suitable_threads(model: object) -> None:
    """Uses one thread for a model whose frame is too little work to share; for programs that own their process.

    Two threads wait for each other at every layer: with another process on the machine, small64 made 27 to 39 frames a
    second on two threads and 170 to 220 on one (docs/experiments.md, 2026-11-22).
    """
    small = isinstance(model, PokeVideo) and sum(p.numel() for p in model.parameters()) < SMALL
    if small or isinstance(model, TouchDynamics):  # whose frames run no network
        torch.set_num_threads(1)


@contextlib.contextmanager
def suitable_threads(model: object) -> Iterator[None]:
    """`use_suitable_threads` for the duration of a block, in a program that also runs larger networks."""
    before = torch.get_num_threads()
    use_suitable_threads(model)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def model_tensors(model: PokeVideo) -> dict[str, Tensor]:
    return {MODEL_PREFIX + name: tensor for name, tensor in model.state_dict().items()}


def save_model(path: Path, model: PokeVideo, origin: Mapping[str, Any]) -> None:
    """Writes the model without training state, for use; `origin` says what it was trained on and how."""
    about = {"format": MODEL_FORMAT, "version": VERSION, "model": asdict(model.config), **origin}
    write_tensors(path, model_tensors(model), about)


def save_touch_video(path: Path, model: TouchVideo, origin: Mapping[str, Any]) -> None:
    """Writes a model that sees what it touches, its weights in a byte each (`eight_bits`)."""
    about = {"format": TOUCH_FORMAT, "version": TOUCH_VERSIONS[-1], "model": model.config.to_json(), **origin}
    tensors = {MODEL_PREFIX + name: tensor for name, tensor in model.state_dict().items()}
    write_tensors(path, in_eight_bits(tensors), about)


def sees(about: Mapping[str, Any]) -> bool:
    """Tells whether a file holds a model that sees what it touches, finished or in training."""
    return about.get("format") == TOUCH_FORMAT or about.get("kind") == FIELDS


@dataclass(frozen=True)
class LoadedPlayer:
    """A model of either kind that a session can drive, and where it comes from; as `LoadedModel`."""

    model: PokeVideo | TouchVideo
    about: dict[str, Any]
    path: Path


def load_player(path: Path | None = None) -> LoadedPlayer:
    """Loads a model or training run of either kind; None gives the base, which sees what it touches.

    Raises:
        InputError: as `load_model`.
    """
    path = resolve(path)
    about = read_about(path)
    if not sees(about):
        loaded = load_model(path)
        return LoadedPlayer(loaded.model, loaded.about, path)
    tensors, about = read_tensors(path)
    if about.get("version") not in ((VERSION,) if about.get("kind") == FIELDS else TOUCH_VERSIONS):
        raise InputError(f"{path} has format version {about.get('version')}; install the poke2vid that wrote it.")
    try:
        if about.get("kind") == FIELDS:  # E_phi in training: other names for its config and weights
            config = {"touch": about["train"]["touch"], "mirrored": True}
            tensors = {
                MODEL_PREFIX + name.replace("touch/", "touch_encoder."): tensor
                for name, tensor in tensors.items()
                if name.startswith("touch/")
            }
        else:
            config = about["model"]
        model = TouchVideo(_touch_config(config))
        weights = from_eight_bits(tensors)
        model.load_state_dict({name.removeprefix(MODEL_PREFIX): tensor for name, tensor in weights.items()})
    except (TypeError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path} does not hold a model that this program knows; install the poke2vid that wrote it."
        ) from error
    if not all(bool(torch.isfinite(w).all()) for w in model.state_dict().values()):
        raise InputError(f"{path} holds weights that are not finite numbers; use an earlier checkpoint.")
    return LoadedPlayer(model.eval(), about, path)


def _touch_config(values: Mapping[str, Any]) -> TouchVideoConfig:
    """Config from a file's JSON object; raises TypeError for an unknown key."""
    values = {name: value for name, value in values.items() if name not in _TOUCH_FORMERLY}
    touch = {name: tuple(v) if isinstance(v, list) else v for name, v in values.pop("touch").items()}
    return TouchVideoConfig(touch=TouchConfig(**touch), **values)  # type: ignore[arg-type]


def load_model(path: Path | None = None) -> LoadedModel:
    """Loads a model of the paper's form: a file, a checkpoint, a run's newest checkpoint, or (None) the package's own.

    Raises:
        InputError: if there is none, or it is damaged, not ours, or from a newer version.
    """
    path = resolve(path, PAPER_BASE)
    tensors, about = read_tensors(path)
    if sees(about):
        raise InputError(
            f"{path} is a model that sees what it touches, and this needs one of the paper's form; give another here, and "
            "play this one with `animate` or `bench run`."
        )
    config = config_of(about, path)
    weights = {k.removeprefix(MODEL_PREFIX): v.float() for k, v in tensors.items() if k.startswith(MODEL_PREFIX)}
    with torch.device("meta"):  # draws no weights, as they are replaced at once: saves seconds for a large model
        model = PokeVideo(config)
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"the weights in {path} do not fit the model that the same file describes; it is damaged."
        ) from error
    if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
        raise InputError(f"{path} holds weights that are not finite numbers; use an earlier checkpoint.")
    return LoadedModel(model.eval(), about, path)


def resolve(path: Path | None, base: Path | None = None) -> Path:
    """File for a user's --model; None gives `base`, or `BASE` without one."""
    if path is None:
        return base or BASE
    if str(path) in NAMED and not path.exists():
        return NAMED[str(path)]
    if path.is_dir():
        checkpoints = checkpoints_of(path)
        if not checkpoints and is_sealed(path):
            raise InputError(
                f"{path} is a store or a benchmark, not a model; name a .safetensors file or a run's folder."
            )
        if not checkpoints:
            raise InputError(f"{path} holds no checkpoint yet; train first, or name a .safetensors file.")
        return checkpoints[-1]
    return path


def called(path: Path) -> str:
    """Display name of a model: its name if it is in the package, else its path."""
    return path.stem if path in NAMED.values() else str(path)


def checkpoints_of(run: Path) -> list[Path]:
    """A training run's checkpoints, oldest first."""
    return sorted((run / "checkpoints").glob("step-*.safetensors"))


def describe(path: Path | None) -> tuple[ModelConfig, dict[str, Any], Path]:
    """Config, JSON object and path of a model file, read without its weights."""
    path = resolve(path, PAPER_BASE)
    about = read_about(path)
    return config_of(about, path), about, path


def config_of(about: Mapping[str, Any], path: Path) -> ModelConfig:
    if about.get("kind") == BASELINE:
        raise InputError(
            f"{path} is a system that the paper compares with, which cannot be poked live; score it by `poke2vid tables` "
            "(Hao et al. by `poke2vid bench run` too), and give a model here."
        )
    if about.get("format") not in (MODEL_FORMAT, CHECKPOINT_FORMAT):
        raise InputError(f"{path} is a poke2vid file but not a model; use a model or a checkpoint.")
    version = about.get("version")
    if version not in (*_SINCE, VERSION):
        raise InputError(
            f"{path} has format version {version}, this program reads {min(_SINCE)} to {VERSION}; "
            "install the matching poke2vid."
        )
    since = _SINCE.get(version, {})
    described = about.get("model")
    known = {field.name for field in fields(ModelConfig)} - since.keys()
    differing = sorted(known ^ described.keys()) if isinstance(described, dict) else ["model"]
    if not isinstance(described, dict) or differing:
        raise InputError(
            f"the model description in {path} is not one this program knows (differing: {', '.join(differing)}); "
            "install the poke2vid that wrote it."
        )
    try:
        return ModelConfig(**described, **since)
    except InputError as error:
        raise InputError(f"{path} describes an impossible model: {error}") from error
