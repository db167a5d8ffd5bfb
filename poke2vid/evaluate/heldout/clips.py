"""The clips of a store that a model is judged on, and the poke of each."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from poke2vid.data.manifest import film_of
from poke2vid.flow.back import FlowBack
from poke2vid.media.pictures import to_float
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import LoadedModel
from poke2vid.train.baseline_data import flow_of, path_of, points_of
from poke2vid.train.config import DataConfig, from_json
from poke2vid.train.data import ClipBatches, Kind, Sample, generator_for
from poke2vid.types import ClipSource, ClipVideo, InputError, Poke, PokeKind, Split

Clip = tuple[int, int]  # number of a video and first frame


@dataclass(frozen=True)
class ClipSettings:
    """Settings that decide the clips, beside store and seed; equal for all rows of a table.

    Attributes:
        horizon: T, the frames after x_0; the store must hold flow at this lag.
        poke_stds, poke_margin, min_motion: where pokes lie and which clips count as moving, as in `DataConfig`.
        poke_kind: shift or impulse.
        full_motion: unit of impulses; None takes that of the store's train split.
        earlier: frames before x_0 that clips must have, for systems that see more than x_0.
        told: points of which systems are told the true path; the poked one is the first.
        evenly: False draws every clip with equal chance, so long videos give most; True takes one of every film, then a
            second of each that has one, and so on.
        confirmed: draws pokes of shifts where DIS's flow back confirms the store's, in clips that have such points.
    """

    horizon: int = 10
    poke_stds: float = 0.0
    poke_margin: float = 0.0
    min_motion: float = DataConfig.min_motion
    poke_kind: PokeKind = "shift"
    full_motion: float | None = None
    split: Split = "test"
    earlier: int = 0
    told: int = 0
    evenly: bool = False
    confirmed: bool = False

    @staticmethod
    def of_training(data: DataConfig, poke_kind: PokeKind, full_motion: float | None, split: Split) -> "ClipSettings":
        """Clips like those a model was trained on."""
        return ClipSettings(
            data.horizon, data.poke_stds, data.poke_margin, data.min_motion, poke_kind, full_motion, split
        )


class EvaluationClips:
    """Clips of a split in a seeded random order: no start frame repeats, and the first n clips are always the same.

    Raises:
        InputError: at construction, if the store has another resolution, lacks the lag, or nothing in the split moves or is
            long enough.
    """

    def __init__(self, store: ClipSource, resolution: int, settings: ClipSettings, seed: int) -> None:
        data = DataConfig(
            horizon=settings.horizon, max_length=settings.horizon, long_share=0.0, background_share=0.0, untouched_share=0.0,
            max_pokes=1, poke_stds=settings.poke_stds, poke_margin=settings.poke_margin, min_motion=settings.min_motion,
            augment=None,
        )  # fmt: skip
        model = ModelConfig(resolution=resolution, poke_kind=settings.poke_kind)  # only these two are read
        self._back = FlowBack()
        self.settings, self.seed, self.resolution, self._store = settings, seed, resolution, store
        self._clips = ClipBatches(
            store, data, model, batch=1, seed=seed, split=settings.split, full_motion=settings.full_motion
        )
        starts = [
            (k, int(start))
            for k, source in enumerate(self._clips.sources)
            for start in source.starts
            if start >= settings.earlier
        ]
        if not starts:
            raise InputError(
                f"no clip of the {settings.split} split has {settings.earlier} frames before its first one that moves; the "
                "videos are too short for systems that see more than one frame."
            )
        rng = np.random.default_rng(seed)
        self._order = [starts[k] for k in rng.permutation(len(starts))]
        if settings.evenly:
            films = defaultdict[str, list[Clip]](list)
            for clip in self._order:
                films[self._film(clip)].append(clip)
            self._order = in_turns(list(films.values()), rng)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> Sample:
        """A clip with a poke drawn from its own flow (Sec. 3.2)."""
        return self._clip(number, "poke", "evaluated")

    def others(self, count: int) -> list[int]:
        """Numbers of as many clips as the first `count`, at most all, and different ones as far as there are enough.

        They are the last of a random order. Of one in turns they are as many of every film as the first have, those that are
        farthest in time from them.
        """
        if not self.settings.evenly:
            return list(range(len(self) - 1, len(self) - 1 - count, -1))
        films = defaultdict[str, list[int]](list)
        for number in range(len(self)):
            films[self.video_of(number)].append(number)
        found = []
        for numbers in films.values():
            first = [number for number in numbers if number < count]
            farthest = sorted(numbers, key=lambda number: (number in first, -self._apart(number, first)))
            found += farthest[: len(first)]
        return sorted(found)

    def sharing_frames(self, numbers: Sequence[int], count: int) -> int:
        """Number of those clips that share frames with one of the first `count`."""
        return sum(self._apart(number, range(count)) <= self.settings.horizon for number in numbers)

    def _apart(self, number: int, others: Sequence[int]) -> float:
        """Frames between the starts of a clip and of the nearest other one of its video; infinity if there is none."""
        video, start = self._order[number]
        return min((abs(s - start) for v, s in (self._order[k] for k in others) if v == video), default=math.inf)

    def video_of(self, number: int) -> str:
        """Name of the film that a clip is of: shots of one film are alike, so an interval counts them as one."""
        return self._film(self._order[number])

    def _film(self, clip: Clip) -> str:
        return film_of(self._clips.sources[clip[0]].video.name)

    def beside(self, number: int) -> Sample:
        """The same clip poked on its background, so its first frame should stay as it is (App. E.2)."""
        return self._clip(number, "background", "ignored")

    def _clip(self, number: int, kind: Kind, purpose: str) -> Sample:
        generator = generator_for(self.seed, purpose, self.settings.split, number)
        source, start = self._order[number]
        video, settings = self._clips.sources[source].video, self.settings
        among = self._confirmed(video, start) if settings.confirmed else None
        sample = self._clips.clip_from(source, start, kind, generator, among)
        if settings.earlier:
            before = np.asarray(video.frames[start - settings.earlier : start])
            sample = replace(sample, earlier=to_float(before))
        if settings.told:
            sample = replace(sample, paths=self._paths(video, start, sample.pokes[0], generator, among))
        return sample

    def _confirmed(self, video: ClipVideo, start: int) -> Tensor:
        T = self.settings.horizon
        first, last = (np.asarray(video.frames[k]) for k in (start, start + T))
        return self._back.confirms(flow_of(video, T, start), first, last)

    def _paths(self, video: ClipVideo, start: int, poke: Poke, generator: Generator, among: Tensor | None) -> Tensor:
        """True path of the poked point and of others, drawn as it was; straight between the lags of the store's flow."""
        T = self.settings.horizon
        flows = {lag: flow_of(video, lag, start) for lag in self.lags}
        settings = self.settings
        others = points_of(flows[T], settings.told - 1, generator, settings.poke_stds, settings.poke_margin, among)
        points = torch.cat((torch.tensor([poke.location], dtype=torch.float32), others))
        return path_of(flows, points, range(1, T + 1))

    @property
    def lags(self) -> tuple[int, ...]:
        """Lags of the store's flow within T."""
        return tuple(lag for lag in self._store.lags if lag <= self.settings.horizon)

    @property
    def fps(self) -> float:
        """Frame rate of the first of its videos."""
        return self._clips.sources[0].video.fps

    @property
    def key(self) -> dict[str, Any]:
        """Key of the clips: equal keys mean equal clips. Settings that an older version lacks do not change it."""
        # Settings of later versions, with what held before
        added = {"poke_margin": 0.0, "earlier": 0, "told": 0, "evenly": False, "confirmed": False}
        settings = {name: value for name, value in asdict(self.settings).items() if added.get(name) != value}
        if any(film_of(source.video.name) != source.video.name for source in self._clips.sources):
            settings["videos"] = "films"  # an older version took each shot for a video
        return {"store": self._store.digest, "seed": self.seed, "resolution": self.resolution, **settings}


def in_turns(groups: Sequence[Sequence[Clip]], rng: np.random.Generator) -> list[Clip]:
    """One of every group, then a second of each that has one, and so on; groups come in another random order in each turn."""
    turns = range(max(map(len, groups)))
    return [groups[k][turn] for turn in turns for k in rng.permutation(len(groups)) if turn < len(groups[k])]


def split_named(split: str) -> Split:
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; choose one of {', '.join(get_args(Split))}.")
    return "test" if split == "test" else "train"


def trained_data(loaded: LoadedModel) -> DataConfig:
    """Data settings that the model was trained with, if its file has them; the paper's otherwise."""
    train = loaded.about.get("train")
    return from_json(train).data if train is not None else DataConfig()
