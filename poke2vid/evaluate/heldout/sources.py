"""Table rows by what predicts: the references, models of the paper's form, those that see what they touch, others' systems."""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from poke2vid.baselines.files import LoadedBaseline, load_baseline
from poke2vid.evaluate.heldout.clips import ClipSettings, trained_data
from poke2vid.evaluate.heldout.rows import Row
from poke2vid.files import digest_of, read_about
from poke2vid.live.animator import Animator
from poke2vid.media.pictures import to_float, to_uint8
from poke2vid.model.files import (
    BASELINE,
    LoadedModel,
    LoadedPlayer,
    load_model,
    load_player,
    resolve,
    sees,
    suitable_threads,
)
from poke2vid.model.poke_video import PokeVideo
from poke2vid.players.player import PokePlayer
from poke2vid.players.session_player import SessionPlayer
from poke2vid.train.config import DataConfig
from poke2vid.train.data import Batch
from poke2vid.types import InputError, Split

Loaded = (
    LoadedModel | LoadedPlayer | LoadedBaseline
)  # of the paper's form, one that sees what it touches, a system of others


def load_any(path: Path) -> Loaded:
    """Model or system in a file or run, of any kind that can be a row. Raises InputError as its own loader does."""
    about = read_about(resolve(path))
    if about.get("kind") == BASELINE:
        return load_baseline(path)
    return load_player(path) if sees(about) else load_model(path)


def settings_for(loaded: Loaded, split: Split) -> ClipSettings:
    """Clips like those that it was trained on; for one that was trained on no clips, the paper's."""
    if isinstance(loaded, LoadedBaseline):
        config, network = loaded.config, loaded.network
        return ClipSettings(
            config.horizon, config.poke_stds, config.poke_margin, config.min_motion, split=split,
            earlier=network.seen - 1, told=network.told,
        )  # fmt: skip
    if isinstance(loaded, LoadedModel):
        about = loaded.about
        return ClipSettings.of_training(trained_data(loaded), loaded.model.poke_kind, about.get("full_motion"), split)
    return ClipSettings.of_training(DataConfig(), "shift", None, split)


def row_of(name: str, loaded: Loaded, device: torch.device) -> Row:
    """Its row."""
    if isinstance(loaded, LoadedBaseline):
        return baseline_row(name, loaded, device)
    if isinstance(loaded, LoadedModel):
        return model_row(name, loaded.model, device)
    return player_row(name, SessionPlayer(Animator(loaded.model, loaded.about)))


def side_of(loaded: Loaded, side: int) -> int:
    """Side of the frames that it takes, of a store's `side`: a model that sees what it touches takes any."""
    if isinstance(loaded, LoadedBaseline):
        return int(loaded.config.network.resolution)
    return loaded.model.resolution if isinstance(loaded, LoadedModel) else side


def reference_rows() -> tuple[Row, Row]:
    """Reference rows: the truth, and the first frame repeated."""
    still = Row("copy", "copy 1", lambda batch: batch.frames[:, :1].expand_as(batch.frames[:, 1:]), responds=False)
    return Row("truth", "truth 1", None), still


# Raised where the same weights, pictures and pokes make other frames, so that older measurements are not taken for theirs.
ROLLOUT = 1


def model_row(name: str, model: PokeVideo, device: torch.device | None = None) -> Row:
    """Row of a model of the paper's form; moves the model to the device."""
    digest = digest_of(model.state_dict(), {"config": repr(model.config), "rollout": ROLLOUT})
    place = device or torch.device("cpu")
    return Row(name, digest, partial(_rollout, model.to(place), place))


def _rollout(model: PokeVideo, device: torch.device, batch: Batch) -> Tensor:
    batch = batch.to(device)
    with suitable_threads(model):
        return model.rollout(batch.frames[:, 0], batch.poke_maps, batch.schedule).frames


def player_row(name: str, player: PokePlayer) -> Row:
    """Row of anything that plays a poke of a picture, clip by clip."""
    return Row(name, player.digest, partial(_play, player))


def _play(player: PokePlayer, batch: Batch) -> Tensor:
    clips = []
    for x_0, given in zip(batch.frames[:, 0], batch.pokes, strict=True):
        poke = given[0] if given else None
        clips.append(to_float(player.play(to_uint8(x_0[None])[0], poke, batch.frames.shape[1] - 1)))
    return torch.stack(clips)


def baseline_row(name: str, loaded: LoadedBaseline, device: torch.device | None = None) -> Row:
    """Row of a system that the paper compares with; one sample a clip. No poke changes what it predicts."""
    place = device or torch.device("cpu")
    loaded.network.to(place)
    return Row(name, loaded.digest, partial(_predict, loaded, place), responds=False)


def _predict(loaded: LoadedBaseline, device: torch.device, batch: Batch) -> Tensor:
    """Frames of a system that sees the last `seen` frames, x_0 the last of them.

    A clip's sample is drawn by the frames seen, so that it is the same in every batch and run.
    """
    network, x_0 = loaded.network, batch.frames[:, :1]
    seen = x_0 if batch.earlier is None else torch.cat((batch.earlier, x_0), dim=1)
    if seen.shape[1] < network.seen or (network.told and batch.paths is None):
        raise InputError(
            f"{loaded.config.network.system} sees {network.seen} frames and is told of {network.told} points; these clips "
            "have fewer."
        )
    seen, made = seen[:, -network.seen :], []
    for k in range(len(seen)):
        number = hashlib.sha256(np.ascontiguousarray(to_uint8(seen[k])).tobytes()).digest()[:8]
        generator = torch.Generator().manual_seed(int.from_bytes(number, "little") >> 1)
        paths = None if batch.paths is None or not network.told else batch.paths[k : k + 1].to(device)
        made.append(network.predict(seen[k : k + 1].to(device), batch.frames.shape[1] - 1, generator, paths))
    return torch.cat(made)
