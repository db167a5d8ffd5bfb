"""Shards of pokes -> films for the time part of E_phi. A batch is a pure function of (shards, config, seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from poke2vid.data.shards import CAUSES, PokeShard
from poke2vid.model.swing import ARRIVAL
from poke2vid.model.touch_encoder import FIELD_SIDE
from poke2vid.train.data import generator_for
from poke2vid.train.field_config import FieldConfig
from poke2vid.train.field_data import FieldBatch, read_pokes, varied
from poke2vid.types import Split

PULL, PUSH = CAUSES.index("pull"), CAUSES.index("push")
EARLIEST = 6  # first frame in which a film's hand may arrive
AT_TARGET = 1e-3  # pixels; a nearer hand has arrived


@dataclass(frozen=True)
class FilmBatch:
    """Pictures, one touch of each, and the motion that follows; lengths in pixels of the field (`FIELD_SIDE`).

    Attributes:
        x_0, parts: as in `FieldBatch`.
        at, p: l and the shift; of a push, that of its point at the farthest.
        u: from x_0 to x_1 ... x_F; zero beyond a film's end.
        frames: number of frames of each film.
        arrive: the frame in which the hand arrives; 0 for a push.
        release: the last frame that is held; 0 for a push.
        hertz, damping: of the scene; 0 Hz where gravity decides.
        weight: 0 for a film whose touched point an augmentation has moved out of the picture.
    """

    x_0: Float[Tensor, "n 3 h w"]
    parts: Int[Tensor, "n s s"]
    at: Float[Tensor, "n 2"]
    p: Float[Tensor, "n 2"]
    u: Float[Tensor, "n f 2 s s"]
    frames: Int[Tensor, " n"]
    arrive: Int[Tensor, " n"]
    release: Int[Tensor, " n"]
    hertz: Float[Tensor, " n"]
    damping: Float[Tensor, " n"]
    weight: Float[Tensor, " n"]


@dataclass(frozen=True)
class _Film:
    """Place of a film: its shard, and the numbers of its poke and of its frames there."""

    shard: PokeShard
    poke: int
    row: int


class FilmBatches:
    """Item `step` is the batch of that training step: single pulls and pushes. May be empty."""

    def __init__(self, shards: Sequence[PokeShard], config: FieldConfig, split: Split = "train") -> None:
        self.config, self.split = config, split
        self.films = [film for shard in shards if shard.split == split for film in _films(shard)]

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, step: int) -> FilmBatch:
        config, found = self.config, []
        for k in range(config.films):
            generator = generator_for(config.seed, "films", self.split, step, k)
            film = self.films[int(torch.randint(len(self.films), (), generator=generator))]
            one = _read(film, config.touch.resolution)
            found.append((film, one if config.looks is None else varied(one, config.looks, generator)))
        return _joined(found)

    def every(self, size: int = 16) -> list[FilmBatch]:
        """All films, not augmented, for scores."""
        resolution = self.config.touch.resolution
        read = [(film, _read(film, resolution)) for film in self.films]
        return [_joined(read[first : first + size]) for first in range(0, len(read), size)]


def _films(shard: PokeShard) -> list[_Film]:
    if not len(shard.array("film_flow")):
        return []
    row, kind = shard.array("film"), shard.array("kind")
    found = np.flatnonzero((row >= 0) & np.isin(kind, (PULL, PUSH)))
    return [_Film(shard, int(poke), int(row[poke])) for poke in found]


def _read(film: _Film, resolution: int) -> FieldBatch:
    """A film as a batch of one picture whose pokes are its frames."""
    shard = film.shard
    scene = int(shard.array("owner")[film.poke])
    frames = shard.array("film_flow").shape[1]
    one = read_pokes(shard, scene, np.full(frames, film.poke), resolution)
    unit = FIELD_SIDE / shard.resolution
    flow = torch.from_numpy(np.array(shard.array("film_flow")[film.row])).float() * unit
    if flow.shape[-1] != FIELD_SIDE:
        flow = torch.nn.functional.interpolate(flow, size=(FIELD_SIDE, FIELD_SIDE), mode="nearest-exact")
    return FieldBatch(one.x_0, one.parts, one.owner, one.at, one.p, one.given, flow, one.weight, one.kinds)


def _joined(films: Sequence[tuple[_Film, FieldBatch]]) -> FilmBatch:
    told = [_timing(film) for film, _ in films]
    modes = torch.stack([torch.from_numpy(np.array(film.shard.array("modes")[_owner(film)])) for film, _ in films])
    ones = [one for _, one in films]
    frames = [len(one.flow) for one in ones]
    u = torch.zeros(len(ones), max(frames), *ones[0].flow.shape[1:])
    for k, one in enumerate(ones):
        u[k, : frames[k]] = one.flow
    return FilmBatch(
        torch.cat([one.x_0 for one in ones]), torch.cat([one.parts for one in ones]),
        torch.stack([one.at[0, 0] for one in ones]), torch.stack([one.p[0, 0] for one in ones]),
        u, torch.tensor(frames), torch.tensor([arrive for arrive, _ in told]),
        torch.tensor([release for _, release in told]), modes[:, 0], modes[:, 1],
        torch.stack([one.weight[0] for one in ones]),
    )  # fmt: skip


def _owner(film: _Film) -> int:
    return int(film.shard.array("owner")[film.poke])


def _timing(film: _Film) -> tuple[int, int]:
    """Frame in which the hand arrives, and the last frame that it holds; both 0 for a push."""
    if film.shard.array("kind")[film.poke] == PUSH:
        return 0, 0
    path, shift = film.shard.array("film_path")[film.row, :, 0], film.shard.array("shift")[film.poke, 0]
    at_target = np.flatnonzero(np.abs(path[EARLIEST : ARRIVAL + 1] - path[0] - shift).max(axis=1) < AT_TARGET)
    arrive = EARLIEST + int(at_target[0]) if len(at_target) else ARRIVAL
    return arrive, int(film.shard.array("film_held")[film.row, :, 0].sum())
