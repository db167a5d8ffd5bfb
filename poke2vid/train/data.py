"""Prepared videos -> training batches. A batch is a pure function of (store, config, seed, step), in any process."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.utils.data import Dataset

from poke2vid import pokes
from poke2vid.data.augment import augment
from poke2vid.data.splits import require_videos
from poke2vid.media.pictures import to_float
from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import NO_POKE
from poke2vid.train.config import DataConfig
from poke2vid.types import Clip, ClipSource, ClipVideo, Displacement, InputError, Poke, Split

Kind = Literal["poke", "background", "untouched", "release", "hold", "repoke"]
_SMALLEST_MOTION = 1e-3  # pixels; without motion there is nothing to poke
_FULL_MOTION_QUANTILE = 0.99  # M(X) at this quantile of the training clips counts as an impulse of magnitude 1


@dataclass(frozen=True)
class Sample:
    """One training clip: x_0, the pokes on it, and the frames that must follow.

    Attributes:
        kind: "poke": x_0 is poked and its own future follows. "background": poked beside the object, stays still.
            "untouched": not poked, stays still. If longer than the horizon T: "release": the poke ends at T, the true
            future goes on. "hold": the poke goes on after arriving, x_T stays. "repoke": released at T, poked later.
        frames: x_0 and the targets x_1 ... x_L.
        poke_maps: the maps that `schedule` refers to; unused ones are empty.
        schedule: for every step the map in force, or NO_POKE.
        displacement: D from x_0 to target x_T where it is known (zero for a still clip).
        waypoints: the same to x_w for every w of `DataConfig.waypoints`.
        pokes: the pokes of the first map, in pixels of the frames; for pictures and scores.
        video: the source's name.
        earlier: frames before x_0, for systems that see more than it.
        paths: positions of points in x_0 ... x_L, for systems that are told of them.
    """

    kind: Kind
    frames: Float[Tensor, "t 3 h w"]
    poke_maps: Float[Tensor, "s 3 h w"]
    schedule: Int[Tensor, " l"]
    displacement: Float[Tensor, "2 h w"]
    waypoints: Float[Tensor, "k 2 h w"]
    pokes: tuple[Poke, ...]
    video: str
    earlier: Float[Tensor, "c 3 h w"] | None = None
    paths: Float[Tensor, "p t 2"] | None = None


@dataclass(frozen=True)
class Batch:
    """Samples of equal length, stacked; fields as in `Sample`."""

    kinds: tuple[Kind, ...]
    frames: Float[Tensor, "b t 3 h w"]
    poke_maps: Float[Tensor, "b s 3 h w"]
    schedule: Int[Tensor, "b l"]
    displacement: Float[Tensor, "b 2 h w"]
    waypoints: Float[Tensor, "b k 2 h w"]
    pokes: tuple[tuple[Poke, ...], ...]
    earlier: Float[Tensor, "b c 3 h w"] | None = None
    paths: Float[Tensor, "b p t 2"] | None = None

    def to(self, device: torch.device) -> "Batch":
        return replace(
            self,
            frames=self.frames.to(device),
            poke_maps=self.poke_maps.to(device),
            schedule=self.schedule.to(device),
            displacement=self.displacement.to(device),
            waypoints=self.waypoints.to(device),
            earlier=None if self.earlier is None else self.earlier.to(device),
            paths=None if self.paths is None else self.paths.to(device),
        )


@dataclass(frozen=True)
class Source:
    """A video and its usable starts: start frames of clips of T frames that move enough."""

    video: ClipVideo
    starts: np.ndarray


class ClipBatches(Dataset[Batch]):
    """Item `step` is the batch of that training step.

    Args:
        full_motion: M_max of the data that an impulse model was trained on; None takes that of this store's train split.
        share: samples of the global batch of `batch` samples that this process makes; None for all.

    Raises:
        InputError: at construction, if no clip of the split is long enough and moves enough; names the limits.
    """

    def __init__(
        self,
        store: ClipSource,
        config: DataConfig,
        model: ModelConfig,
        *,
        batch: int,
        seed: int,
        split: Split = "train",
        full_motion: float | None = None,
        share: range | None = None,
    ) -> None:
        # Check that store and model fit
        if store.resolution != model.resolution:
            raise InputError(
                f"the store holds frames of {store.resolution} pixels and the model takes {model.resolution}; "
                f"prepare the videos with --resolution {model.resolution} or choose another model or preset."
            )
        needed = (*config.waypoints, config.horizon)
        if not set(needed) <= set(store.lags):
            raise InputError(
                f"the store holds flow at lags {list(store.lags)} but {list(needed)} are needed; "
                f"prepare the videos with {' '.join(f'--lag {lag}' for lag in needed)}."
            )
        # Find the clips, and the unit of impulses
        self.config, self.seed, self.split = config, seed, split
        self.share = share if share is not None else range(batch)
        self.impulse = model.poke_kind == "impulse"
        self.least_motion = least_motion(config, store.resolution)
        require_videos(store, split)
        self.sources = find_sources(store, config, split)
        if not self.sources:
            raise InputError(
                f"no clip of the {split} split has {config.horizon + 1} frames and a foreground that moves "
                f"{config.min_motion * store.resolution:.2f} pixels; record more motion or lower data.min_motion."
            )
        self.full_motion = 0.0
        if self.impulse:  # the unit of an impulse is the training data's, for any split
            self.full_motion = full_motion or full_motion_of(find_sources(store, config, "train"), config.horizon)
            if self.full_motion == 0:
                raise InputError(
                    "the store's train split has no usable motion, so an impulse has no unit; prepare more videos."
                )

    @property
    def num_clips(self) -> int:
        """Number of usable start frames."""
        return sum(len(source.starts) for source in self.sources)

    def __len__(self) -> int:
        return 2**31 - 1  # batches are drawn by step number, not by epoch

    def __getitem__(self, step: int) -> Batch:
        length = self._length(step)
        return stack([self.sample(step, k, length) for k in self.share])

    def sample(self, step: int, k: int, length: int) -> Sample:
        """Sample k of a step, drawn with a generator of its own."""
        generator = generator_for(self.seed, self.split, step, k)
        kind = self._kind(length, generator)
        video, clip = self._clip(self._frames_needed(kind, length), generator)
        if self.config.augment is not None:
            clip = augment(clip, self.config.augment, generator)
        return self._arrange(kind, clip, length, video, generator)

    def clip_from(
        self, source: int, start: int, kind: Kind, generator: Generator, among: Bool[Tensor, "h w"] | None = None
    ) -> Sample:
        """The clip of T frames at a given start of `sources[source]`, not augmented; the generator draws its poke.

        Args:
            among: where pokes may lie, see `pokes.sample_poke`; anywhere if None.
        """
        T, video = self.config.horizon, self.sources[source].video
        return self._arrange(kind, read_clip(video, start, T, self.config), T, video.name, generator, among)

    def _length(self, step: int) -> int:
        """Length of a batch's clips: T, or for some batches anything up to the longest rollout."""
        generator = generator_for(self.seed, self.split, step, -1)
        if _chance(generator) >= self.config.long_share or self.config.max_length == self.config.horizon:
            return self.config.horizon
        longer = self.config.max_length - self.config.horizon
        return self.config.horizon + 1 + int(torch.randint(longer, (), generator=generator))

    def _kind(self, length: int, generator: Generator) -> Kind:
        chance = _chance(generator)
        if chance < self.config.background_share:
            return "background"
        if chance < self.config.background_share + self.config.untouched_share:
            return "untouched"
        T = self.config.horizon
        if length == T:
            return "poke"
        kinds: list[Kind] = ["release", "repoke"] if length >= 2 * T else ["release"]
        if not self.impulse:  # an impulse cannot be held
            kinds.append("hold")
        kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
        enough = any(len(self._starts(source, self._frames_needed(kind, length))) for source in self.sources)
        return kind if enough else ("untouched" if self.impulse else "hold")

    def _frames_needed(self, kind: Kind, length: int) -> int:
        """Number of frames after x_0 that must be real."""
        return length if kind in ("release", "repoke") else min(length, self.config.horizon)

    def _starts(self, source: Source, needed: int) -> np.ndarray:
        return source.starts[source.starts + needed < source.video.num_frames]

    def _clip(self, needed: int, generator: Generator) -> tuple[str, Clip]:
        """A video's name and a stretch of `needed` frames after x_0, or as many as it has."""
        choices = [(source, starts) for source in self.sources if len(starts := self._starts(source, needed))]
        if not choices:
            choices = [(source, source.starts) for source in self.sources]
        shares = torch.tensor([len(starts) for _, starts in choices], dtype=torch.float64) ** self.config.balance
        source, starts = choices[int(torch.multinomial(shares, 1, generator=generator))]
        start = int(starts[int(torch.randint(len(starts), (), generator=generator))])
        return source.video.name, read_clip(source.video, start, needed, self.config)

    def _arrange(
        self, kind: Kind, clip: Clip, length: int, video: str, generator: Generator, among: Tensor | None = None
    ) -> Sample:
        """The clip as a sample of `length` steps: targets, poke maps and their schedule."""
        T, side = self.config.horizon, clip.frames.shape[-1]
        D, *later = clip.flows
        known, later = later[: len(self.config.waypoints)], later[len(self.config.waypoints) :]
        waypoints = torch.stack([w.flow for w in known]) if known else torch.zeros(0, 2, side, side)
        schedule = torch.full((length,), NO_POKE)
        maps = torch.zeros(2, 3, side, side)
        first: tuple[Poke, ...] = ()
        if kind != "untouched":
            first = self._draw(D.flow, D.motion, kind == "background", generator, among)
            maps[0] = pokes.rasterise(first, side)
            held = 1 if self.impulse else (length if kind in ("hold", "background") else T)
            schedule[:held] = 0
        frames, displacement = clip.frames, D.flow
        if kind in ("background", "untouched"):
            frames, displacement, waypoints = frames[:1], torch.zeros_like(displacement), torch.zeros_like(waypoints)
        elif kind == "repoke":
            moving = [d for d in later if pokes.foreground_motion(d.flow) >= self.least_motion]
            if not moving:  # the object came to rest: no motion for a second poke
                kind = "release"
            else:
                again = moving[int(torch.randint(len(moving), (), generator=generator))]
                maps[1] = pokes.rasterise(self._draw(again.flow, again.motion, False, generator), side)
                schedule[again.start : again.start + (1 if self.impulse else T)] = 1
        elif kind == "hold":
            frames = frames[: T + 1]
        frames = torch.cat((frames, frames[-1:].expand(max(0, length + 1 - len(frames)), -1, -1, -1)))[: length + 1]
        return Sample(kind, frames, maps, schedule, displacement, waypoints, first, video)

    def _draw(
        self, D: Tensor, motion: float, background: bool, generator: Generator, among: Tensor | None = None
    ) -> tuple[Poke, ...]:
        """One poke, or in half of the clips two to `max_pokes` at once."""
        count = 1
        if self.config.max_pokes > 1 and _chance(generator) < 0.5:
            count = 2 + int(torch.randint(self.config.max_pokes - 1, (), generator=generator))
        drawn = [self._draw_one(D, motion, generator, among) for _ in range(count)]
        return tuple(pokes.moved_to_background(poke, D, generator) if background else poke for poke in drawn)

    def _draw_one(self, D: Tensor, motion: float, generator: Generator, among: Tensor | None = None) -> Poke:
        margin = self.config.poke_margin * D.shape[-1]
        if self.impulse:
            return pokes.sample_impulse(D, motion, self.full_motion, generator, margin)
        return pokes.sample_poke(D, generator, self.config.poke_stds, margin, among)


def find_sources(store: ClipSource, config: DataConfig, split: Split) -> list[Source]:
    """The videos of a split that have usable starts."""
    found = [Source(video, usable_starts(video, config, store.resolution)) for video in store.split(split)]
    return [source for source in found if len(source.starts)]


def full_motion_of(sources: Sequence[Source], horizon: int) -> float:
    """M_max: the motion M(X) of the liveliest training clips, in pixels a frame."""
    motions = [np.asarray(s.video.motion)[start : start + horizon].mean() for s in sources for start in s.starts]
    return float(np.quantile(motions, _FULL_MOTION_QUANTILE)) if motions else 0.0


def usable_starts(video: ClipVideo, config: DataConfig, resolution: int) -> np.ndarray:
    """Start frames from which T frames follow and whose foreground moves at least `min_motion` of the side."""
    return np.flatnonzero(np.asarray(video.activity(config.horizon)) >= least_motion(config, resolution))


def least_motion(config: DataConfig, resolution: int) -> float:
    """Least mean motion of a foreground that can be poked, in pixels."""
    return max(config.min_motion * resolution, _SMALLEST_MOTION)


def read_clip(video: ClipVideo, start: int, length: int, config: DataConfig) -> Clip:
    """x_0 ... x_length from the store; D from x_0 to x_T, then to the waypoints, then from later frames if known."""
    T = config.horizon
    frames = np.asarray(video.frames[start : start + length + 1])
    spans = [(0, T), *((0, w) for w in config.waypoints), *((k, k + T) for k in range(T, len(frames) - T))]
    motion = np.asarray(video.motion[start : start + length])
    flows = tuple(
        Displacement(
            first,
            last,
            torch.from_numpy(np.array(video.flow(last - first, start + first))),
            float(motion[first:last].mean()),
        )
        for first, last in spans
    )
    if not (np.isfinite(motion).all() and all(torch.isfinite(one.flow).all() for one in flows)):
        raise InputError(
            f"the video {video.name} of the store holds numbers that are not finite in frames {start} ... {start + length}; "
            "list the damage by `poke2vid verify STORE`, then make the store again."
        )
    return Clip(to_float(frames), video.fps, flows)


def stack(samples: Sequence[Sample]) -> Batch:
    schedule = torch.stack([s.schedule for s in samples])
    used = max(1, int(schedule.max()) + 1)  # most clips are poked once: no second map to encode
    return Batch(
        kinds=tuple(s.kind for s in samples),
        frames=torch.stack([s.frames for s in samples]),
        poke_maps=torch.stack([s.poke_maps[:used] for s in samples]),
        schedule=schedule,
        displacement=torch.stack([s.displacement for s in samples]),
        waypoints=torch.stack([s.waypoints for s in samples]),
        pokes=tuple(s.pokes for s in samples),
        earlier=_stacked([s.earlier for s in samples]),
        paths=_stacked([s.paths for s in samples]),
    )


def _stacked(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """The tensors stacked; None where training has none."""
    given = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(given) if given else None


def generator_for(seed: int, *key: object) -> Generator:
    """A generator that depends on the seed and the key alone."""
    text = "/".join(map(str, (seed, *key)))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
    return torch.Generator().manual_seed(number)


def _chance(generator: Generator) -> float:
    return float(torch.rand((), generator=generator))
