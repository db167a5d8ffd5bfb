"""Measurements of one table row: scores of every clip and moments of its features; kept in a file and resumable."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from poke2vid.files import digest_of, read_tensors, write_tensors
from poke2vid.measures.moments import Moments
from poke2vid.measures.motion import FOLLOWED_WITHIN
from poke2vid.train.data import Batch
from poke2vid.types import InputError

FOLDS = 10  # parts of the videos, each with its own moments: give a distance its interval without keeping features
_VALUES, _MOMENTS = "values/", "moments/"


@dataclass(frozen=True)
class Fewest:
    """Least data of a Frechet distance; with less it is left out.

    N clips give a covariance N - 1 directions. With fewer clips than half of the features' dimensions d, most directions
    have no variance on either side, and the distance is that of the samples, not of what they are samples of.

    Attributes:
        share: of d, that the clips on either side must reach.
        videos: on either side; each of the jackknife's parts then holds one on average.
    """

    share: float = 0.5
    videos: int = FOLDS

    def clips(self, dimensions: int) -> int:
        return math.ceil(self.share * dimensions)


@dataclass(frozen=True)
class Row:
    """One table row: a named, hashable source of predictions.

    Attributes:
        digest: hash; equal if the frames are.
        predict: gives x_hat_1 ... x_hat_T of a batch; None means the true frames, whose errors are the tracker's own.
        responds: whether a poke changes its predictions.
    """

    name: str
    digest: str
    predict: Callable[[Batch], Float[Tensor, "b t 3 h w"]] | None
    responds: bool = True


@dataclass(frozen=True)
class Batched:
    """Measurements of one batch of clips; features are by extractor, of its first clips."""

    videos: list[str]
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    features: Mapping[str, Float[Tensor, "b d"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Measurements of a row so far.

    Attributes:
        values: by column, one number per clip in clip order; NaN where a clip has none.
        videos: the video of each clip; clips of one video are not independent.
        moments: by extractor, feature moments of the first clips, in `FOLDS` parts given by `fold_of` each video.
    """

    values: dict[str, Float64[np.ndarray, " n"]] = field(default_factory=dict)
    videos: list[str] = field(default_factory=list)
    moments: dict[str, list[Moments]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.videos)

    def plus(self, batch: Batched) -> "Measured":
        """Returns a new object with one more batch, so an interrupt never leaves a half-added batch."""
        unknown, more = np.full(len(self), np.nan), np.full(len(batch.videos), np.nan)
        values = {
            column: np.concatenate((self.values.get(column, unknown), batch.values.get(column, more)), dtype=np.float64)
            for column in {**self.values, **batch.values}
        }
        moments = {name: list(parts) for name, parts in self.moments.items()}
        for name, features in batch.features.items():
            parts = moments.setdefault(name, [Moments.empty(features.shape[1]) for _ in range(FOLDS)])
            folds = torch.tensor([fold_of(video) for video in batch.videos[: len(features)]])
            for fold in folds.unique().tolist():
                parts[fold] = parts[fold].merge(Moments.of(features[folds == fold]))
        return Measured(values, [*self.videos, *batch.videos], moments)


def with_followed(row: Measured, truth: Measured) -> Measured:
    """Adds `followed_epe`: `poke_epe` of the clips whose poked point the tracker follows in the true frames; else NaN.

    On real clips two estimators of motion often disagree by as much as the point moves. The choice depends on truth, store
    and tracker alone, so it is the same for every row. Rows without `poke_epe` (impulses
    have no target) stay as they are, and so do all where nothing is followed.
    """
    followed = is_followed(truth)
    if "poke_epe" not in row.values or not followed.any():
        return row
    return replace(row, values={**row.values, "followed_epe": np.where(followed, row.values["poke_epe"], np.nan)})


def is_followed(truth: Measured) -> Bool[np.ndarray, " clips"]:
    """Mask of the clips whose poked point the tracker follows in the true frames to within a third of the poke's length."""
    if "poke_epe" not in truth.values:
        return np.zeros(len(truth), np.bool_)
    return np.asarray(truth.values["poke_epe"] <= FOLLOWED_WITHIN * truth.values["poke_length"])


def fold_of(video: str) -> int:
    """Part number of a video, the same in every run; with few videos the parts differ much in size."""
    return int(digest_of({}, {"video": video})[:8], 16) % FOLDS


def path_of(folder: Path, name: str, key: Mapping[str, Any]) -> Path:
    """File of a row: one per key, so that older results with other settings stay beside it."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[-60:] or "row"
    return folder / f"{readable}-{digest_of({}, key)[:12]}.safetensors"


def save(path: Path, measured: Measured, key: Mapping[str, Any], complete: bool) -> None:
    """Writes a row's measurements atomically."""
    tensors = {_VALUES + column: torch.from_numpy(values) for column, values in measured.values.items()}
    for extractor, parts in measured.moments.items():
        for fold, moments in enumerate(parts):
            tensors |= {f"{_MOMENTS}{extractor}/{fold}/{k}": torch.as_tensor(v) for k, v in vars(moments).items()}
    write_tensors(path, tensors, {"key": dict(key), "videos": measured.videos, "complete": complete})


def load(path: Path, key: Mapping[str, Any]) -> tuple[Measured, bool]:
    """Result of an earlier run and its completeness; empty if it is missing, damaged, or of other settings."""
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
        moments = dict[str, list[Moments]]()
        for extractor, parts in states.items():
            moments[extractor] = [Moments(int(part["count"]), part["mean"], part["scatter"]) for part in parts]
        return Measured(values, list(about["videos"]), moments), bool(about["complete"])
    except (InputError, KeyError, ValueError, TypeError, IndexError):  # damaged in any way: measure again
        return Measured(), False
