"""Rows that were measured before, here or on another machine, in small files: they need no weights again.

Training all rows takes longer than most machines are free; each may train some, and one puts the tables together.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poke2vid.evaluate.heldout.distances import Distance
from poke2vid.evaluate.heldout.rows import Measured
from poke2vid.files import atomic, digest_of, fault_of, read_json, without_nan
from poke2vid.measures.statistics import Interval
from poke2vid.media.pictures import write_picture
from poke2vid.types import InputError

DIGITS = 6  # of a clip's numbers
Frames = UInt8[np.ndarray, "clips frames h w 3"]


@dataclass(frozen=True)
class Kept:
    """Measurements of a row.

    Attributes:
        measured: as `score_row` gives them, without the moments, which are large.
        about: seed, digest and size of the model, its training settings, and the stores that it was trained and scored on.
        shown: its first clips, x_0 first; None if their picture is gone.
        elsewhere: True if it was made with other stores than those at hand.
    """

    measured: Measured
    distances: dict[str, Distance]
    about: dict[str, Any]
    shown: Frames | None = None
    elsewhere: bool = False


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Distance(_Strict):
    interval: tuple[float, float | None, float | None]
    without: tuple[float, ...]
    generated: int = Field(ge=2)
    real: int = Field(ge=2)


class _Stores(_Strict):
    train: str
    test: str


class _About(_Strict):
    seed: int
    digest: str
    train: dict[str, Any]
    parameters: int
    step_s: float | None
    stores: _Stores
    shown: tuple[int, int] | None = None


class _File(_Strict):
    format: Literal["poke2vid-row"] = "poke2vid-row"
    version: Literal[1] = 1
    conditions: dict[str, Any]
    about: _About
    videos: tuple[str, ...]
    clips: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]
    distances: dict[str, _Distance]


@dataclass(frozen=True)
class Shelf:
    """A folder of such files, named by run, settings and conditions.

    Attributes:
        conditions: all but the model that decides a row's numbers.
        stores: digests of the stores for training and for scoring.
        videos: of the scored clips, in their order.
        strict: False takes rows of other stores as well, if their clips are of the same videos: two machines' stores may
            differ in a flow's last digit.
    """

    folder: Path
    conditions: Mapping[str, Any]
    stores: Mapping[str, str]
    videos: Sequence[str]
    strict: bool = True

    def path(self, name: str, settings: Mapping[str, Any]) -> Path:
        """File of a run by its name and its training settings."""
        decides = {"train": dict(settings), "conditions": dict(self.conditions)}
        decides |= {"stores": dict(self.stores)} if self.strict else {}
        return self.folder / f"{name}-{digest_of({}, decides)[:8]}.json"

    def find(self, name: str, settings: Mapping[str, Any]) -> Kept | None:
        """A run's measurements; None if there are none.

        Raises:
            InputError: if its file is damaged, or its clips are of other videos.
        """
        path = self.path(name, settings)
        if not path.exists():
            return None
        found = _read(path)
        if [found.videos[k] for k in found.clips] != list(self.videos):
            raise InputError(
                f"{path} was measured on other clips than these; keep the rows of these in another folder (--kept), or "
                "remove it, and its row is made anew."
            )
        elsewhere = found.about.stores.model_dump() != dict(self.stores)
        if elsewhere:
            print(f"{path} was made with other stores than these; the tables say so.", file=sys.stderr)
        values = {column: np.array([math.nan if v is None else v for v in row]) for column, row in found.values.items()}
        distances = {
            name: Distance(_interval(*one.interval), one.without, (), one.generated, one.real)
            for name, one in found.distances.items()
        }
        shown = found.about.shown and _pictures(path.with_suffix(".webp"), *found.about.shown)
        return Kept(Measured(values, list(self.videos)), distances, found.about.model_dump(), shown, elsewhere)

    def keep(self, name: str, kept: Kept) -> None:
        """Writes a run's measurements and pictures. Raises InputError if they cannot be written."""
        path, measured = self.path(name, kept.about["train"]), kept.measured
        videos = sorted(set(measured.videos))
        number = {video: k for k, video in enumerate(videos)}
        about = {**kept.about, "stores": dict(self.stores)}
        if kept.shown is not None:
            about["shown"] = list(kept.shown.shape[:2])
            rows = kept.shown.transpose(0, 2, 1, 3, 4)  # clips below each other, frames from left to right
            picture = np.ascontiguousarray(rows.reshape(rows.shape[0] * rows.shape[1], -1, 3))
            write_picture(path.with_suffix(".webp"), picture)
        file = _File(
            conditions=_plain(self.conditions), about=_About.model_validate(_plain(about)), videos=tuple(videos),
            clips=tuple(number[video] for video in measured.videos),
            values={c: tuple(_rounded(v) for v in row) for c, row in measured.values.items()},
            distances={
                name: _Distance(
                    interval=(one.interval.mean, _finite(one.interval.low), _finite(one.interval.high)),
                    without=one.without, generated=one.generated, real=one.real,
                )
                for name, one in kept.distances.items()
            },
        )  # fmt: skip
        with atomic(path) as temporary:  # without line breaks: a thousand numbers a column
            temporary.write_text(json.dumps(without_nan(file.model_dump())) + "\n", encoding="utf-8")


def _read(path: Path) -> _File:
    try:
        found = _File.model_validate(read_json(path))
        if {len(row) for row in found.values.values()} != {len(found.clips)}:
            raise ValueError("its columns are not of one length")
        if not all(0 <= k < len(found.videos) for k in found.clips):
            raise ValueError("a clip's video is not named in it")
    except ValidationError as error:
        raise InputError(
            f"{path} is no measured row ({fault_of(error.errors()[0])}); remove it, and it is made anew."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as a measured row ({error}); remove it, and it is made anew."
        ) from None
    return found


def _pictures(path: Path, clips: int, frames: int) -> Frames | None:
    try:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
        height, width = picture.shape[0] // clips, picture.shape[1] // frames
        return picture.reshape(clips, height, frames, width, 3).transpose(0, 2, 1, 3, 4).copy()
    except (OSError, ValueError, ZeroDivisionError, Image.DecompressionBombError):
        return None  # the numbers stand without them


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value that comes back from JSON, which knows no tuples."""
    return dict(json.loads(json.dumps(dict(value))))


def _interval(mean: float, low: float | None, high: float | None) -> Interval:
    return Interval(mean, -math.inf if low is None else low, math.inf if high is None else high)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
