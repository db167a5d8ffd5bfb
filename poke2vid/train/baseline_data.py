"""Prepared videos -> training batches of a system that the paper compares with."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.utils.data import Dataset

from poke2vid import pokes
from poke2vid.baselines.baseline import Baseline, BaselineClips, BaselineConfig
from poke2vid.data.splits import require_videos
from poke2vid.media.pictures import to_float
from poke2vid.train.config import DataConfig
from poke2vid.train.data import Source, find_sources, generator_for
from poke2vid.types import ClipSource, ClipVideo, InputError, Split


class BaselineBatches(Dataset[BaselineClips]):
    """Item `step` is the batch of that training step, a pure function of (store, config, step).

    A clip is drawn uniformly over the starts that move (as those of the paper's model); x_0 is the last frame that the
    system sees. A system of pairs gets x_0, a later frame, and where the flow says that points of the foreground came.

    Raises:
        InputError: at construction, if no clip is long enough and moves enough, or the store has another resolution.
    """

    def __init__(
        self, store: ClipSource, config: BaselineConfig, network: type[Baseline], split: Split = "train"
    ) -> None:
        side = config.network.resolution
        if store.resolution != side:
            raise InputError(
                f"the store holds frames of {store.resolution} pixels and the system takes {side}; prepare the videos "
                f"with --resolution {side} or choose another preset."
            )
        require_videos(store, split)
        self.config, self.network, self.split = config, network, split
        self._before = network.seen - 1  # frames before x_0
        self._after = config.horizon if network.pairs else config.length - network.seen
        farthest = min(config.length, config.horizon)
        self.lags = tuple(lag for lag in store.lags if lag <= farthest) if network.pairs else ()
        if network.pairs and not self.lags:
            raise InputError(
                f"the store holds flow at lags {list(store.lags)}, all of them longer than {farthest}; prepare "
                "the videos with a shorter --lag."
            )
        data = DataConfig(horizon=config.horizon, max_length=config.horizon, min_motion=config.min_motion)
        if config.horizon not in store.lags:
            raise InputError(
                f"the store holds flow at lags {list(store.lags)}; clips that move are found by lag {config.horizon}, "
                f"prepare the videos with --lag {config.horizon}."
            )
        found = [(source, self._usable(source)) for source in find_sources(store, data, split)]
        self.sources = [(source.video, starts) for source, starts in found if len(starts)]
        if not self.sources:
            raise InputError(
                f"no clip of the {split} split has {self._before + self._after + 1} frames and a foreground that moves "
                f"{config.min_motion * side:.2f} pixels; record more motion or lower min_motion."
            )

    def _usable(self, source: Source) -> np.ndarray:
        starts = source.starts
        return starts[(starts >= self._before) & (starts + self._after < source.video.num_frames)]

    @property
    def num_clips(self) -> int:
        """Number of usable start frames."""
        return sum(len(starts) for _, starts in self.sources)

    def __len__(self) -> int:
        return 2**31 - 1  # batches are drawn by step number, not by epoch

    def __getitem__(self, step: int) -> BaselineClips:
        config = self.config
        samples = [
            self._sample(generator_for(config.seed, "baseline", self.split, step, k)) for k in range(config.batch)
        ]
        frames = torch.stack([frames for frames, _ in samples])
        return BaselineClips(frames, torch.stack([path for _, path in samples]) if self.network.told else None)

    def _sample(self, generator: Generator) -> tuple[Float[Tensor, "t 3 h w"], Float[Tensor, "k t 2"]]:
        shares = torch.tensor([len(starts) for _, starts in self.sources], dtype=torch.float64)
        video, starts = self.sources[int(torch.multinomial(shares, 1, generator=generator))]
        start = int(starts[int(torch.randint(len(starts), (), generator=generator))])
        if self.network.pairs:
            return self._pair(video, start, generator)
        frames = to_float(np.asarray(video.frames[start - self._before : start + self._after + 1]))
        return frames, torch.empty(0, len(frames), 2)

    def _pair(self, video: ClipVideo, start: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """x_0, a frame a random lag later, and where one to `told` points of the foreground lie in both."""
        lag = self.lags[int(torch.randint(len(self.lags), (), generator=generator))]
        frames = to_float(np.stack([video.frames[start], video.frames[start + lag]]))
        count = 1 + int(torch.randint(self.network.told, (), generator=generator))
        D = flow_of(video, self.config.horizon, start)
        points = points_of(D, count, generator, self.config.poke_stds, self.config.poke_margin)
        return frames, padded(path_of({lag: flow_of(video, lag, start)}, points, (lag,)), self.network.told)


def points_of(
    D: Float[Tensor, "2 h w"],
    count: int,
    generator: Generator,
    num_stds: float = 0.0,
    margin: float = 0.0,
    among: Bool[Tensor, "h w"] | None = None,
) -> Float[Tensor, "k 2"]:
    """Points (x, y) of x_0 drawn as pokes are (Sec. 3.2); the margin is a share of the side."""
    drawn = [pokes.sample_poke(D, generator, num_stds, margin * D.shape[-1], among) for _ in range(count)]
    return torch.tensor([poke.location for poke in drawn], dtype=torch.float32)


def flow_of(video: ClipVideo, lag: int, start: int) -> Float[Tensor, "2 h w"]:
    """D from a frame to `lag` frames later. Raises InputError if it is not finite."""
    flow = torch.from_numpy(np.array(video.flow(lag, start), dtype=np.float32))
    if not torch.isfinite(flow).all():
        raise InputError(
            f"the video {video.name} of the store holds numbers that are not finite in frame {start}; list the damage by "
            "`poke2vid verify STORE`, then make the store again."
        )
    return flow


def path_of(
    flows: Mapping[int, Float[Tensor, "2 h w"]], points: Float[Tensor, "k 2"], times: Sequence[int]
) -> Float[Tensor, "k t 2"]:
    """Positions of points of x_0 in x_0 and at `times`, straight between the times at which the flow is known.

    Args:
        flows: lag -> flow from x_0 to it; the longest lag must reach the last time.
    """
    x, y = points.round().long().unbind(dim=1)
    came = {0: torch.zeros(len(points), 2)} | {lag: flow[:, y, x].T for lag, flow in flows.items()}
    positions = [points]
    for time in times:
        before, after = max(lag for lag in came if lag <= time), min(lag for lag in came if lag >= time)
        positions.append(points + torch.lerp(came[before], came[after], (time - before) / max(1, after - before)))
    return torch.stack(positions, dim=1)


def padded(paths: Float[Tensor, "k t 2"], count: int) -> Float[Tensor, "{count} t 2"]:
    """The paths with NaN for points that are not there."""
    missing = torch.full((count - len(paths), *paths.shape[1:]), float("nan"))
    return torch.cat((paths, missing))
