"""What is measured of one row of a table: scores of every clip, and the moments of its features; kept in a file and resumed."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from poke2vid.evaluate.clips import digest_of_key
from poke2vid.files import read_tensors, write_tensors
from poke2vid.measures.moments import Moments
from poke2vid.train.data import Batch
from poke2vid.types import InputError

FOLDS = (
    10  # the videos in tenths, each with moments of its own: for the interval of a distance, without keeping features
)
_VALUES, _MOMENTS = "values/", "moments/"


@dataclass(frozen=True)
class Row:
    """Who makes the frames.

    Attributes:
        digest: equal where the frames are.
        predict: x_hat_1 ... x_hat_T of a batch; None gives the true frames, whose errors are the tracker's own.
        responds: whether a poke changes what it predicts.
    """

    name: str
    digest: str
    predict: Callable[[Batch], Float[Tensor, "b t 3 h w"]] | None
    responds: bool = True


@dataclass(frozen=True)
class Batched:
    """What was measured of one batch of clips.

    Attributes:
        features: by extractor, of the first clips of the batch.
    """

    videos: list[str]
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    features: Mapping[str, Float[Tensor, "b d"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What is known of a row so far.

    Attributes:
        values: by column, a number a clip in the order of the clips; NaN where a clip has none.
        videos: the video of each clip: clips of one video are not independent.
        moments: by extractor, of the features of the first clips; in `FOLDS` parts, by `fold_of` of their videos.
    """

    values: dict[str, Float64[np.ndarray, " n"]] = field(default_factory=dict)
    videos: list[str] = field(default_factory=list)
    moments: dict[str, list[Moments]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.videos)

    def plus(self, batch: Batched) -> "Measured":
        """With one batch more; this one stays as it is, so that whoever is interrupted has either the one or the other."""
        unknown, more = np.full(len(self), np.nan), np.full(len(batch.videos), np.nan)
        values = {
            column: np.concatenate(
                (self.values.get(column, unknown), np.asarray(batch.values.get(column, more), np.float64))
            )
            for column in {**self.values, **batch.values}
        }
        moments = {name: list(parts) for name, parts in self.moments.items()}
        for name, features in batch.features.items():
            parts = moments.setdefault(name, [Moments.empty(features.shape[1]) for _ in range(FOLDS)])
            folds = torch.tensor([fold_of(video) for video in batch.videos[: len(features)]])
            for fold in folds.unique().tolist():
                parts[fold] = parts[fold].merge(Moments.of(features[folds == fold]))
        return Measured(values, [*self.videos, *batch.videos], moments)


def fold_of(video: str) -> int:
    """Which part a video belongs to, wherever it is read; parts of few videos are of very different sizes."""
    return int(digest_of_key({"video": video})[:8], 16) % FOLDS


def path_of(folder: Path, name: str, key: Mapping[str, Any]) -> Path:
    """Where a row is kept: one file for every key, so that an older result with other settings stays beside it."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[-60:] or "row"
    return folder / f"{readable}-{digest_of_key(dict(key))[:12]}.safetensors"


def save(path: Path, measured: Measured, key: Mapping[str, Any], complete: bool) -> None:
    """Atomically."""
    tensors = {_VALUES + column: torch.from_numpy(values) for column, values in measured.values.items()}
    for extractor, parts in measured.moments.items():
        for fold, moments in enumerate(parts):
            tensors |= {f"{_MOMENTS}{extractor}/{fold}/{name}": t for name, t in moments.state().items()}
    write_tensors(path, tensors, {"key": dict(key), "videos": measured.videos, "complete": complete})


def load(path: Path, key: Mapping[str, Any]) -> tuple[Measured, bool]:
    """What an earlier run measured, and whether that is all; nothing if there is none, it is damaged, or of other settings."""
    try:
        tensors, about = read_tensors(path)
        if about["key"] != dict(key):
            return Measured(), False
        values: dict[str, np.ndarray] = {}
        states: dict[str, list[dict[str, Tensor]]] = {}
        for name, tensor in tensors.items():
            if name.startswith(_VALUES):
                values[name.removeprefix(_VALUES)] = tensor.numpy()
                continue
            extractor, fold, part = name.removeprefix(_MOMENTS).rsplit("/", 2)
            states.setdefault(extractor, [{} for _ in range(FOLDS)])[int(fold)][part] = tensor
        moments = {name: [Moments.from_state(s) for s in parts] for name, parts in states.items()}
        return Measured(values, list(about["videos"]), moments), bool(about["complete"])
    except (
        InputError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
    ):  # whatever is wrong with it, measuring again mends it
        return Measured(), False
