"""A disc whose motion is known by formula, as a scene of PokeBench, and players and runs of it."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from poke2vid.evaluate.bench.measure import (
    Measurement,
    Timing,
)
from poke2vid.evaluate.bench.report import BenchReport
from poke2vid.evaluate.bench.roles import ALL_ROLES
from poke2vid.evaluate.bench.run import run_bench
from poke2vid.flow.classical import DisFlow
from poke2vid.model.poke_video import PokeVideo
from poke2vid.players.player import ALL_KINDS
from poke2vid.players.references import ShiftPatch
from poke2vid.pokebench.records import PokeRecord
from poke2vid.pokebench.scene import TrueScene
from poke2vid.train.presets import preset
from poke2vid.types import Poke

SIDE, RADIUS, CENTRE, T, LAST = 48, 12.0, 24.0, 4, 6

MOMENTS = Timing(T // 2, T, LAST)

ERRORS = {"poke_epe", "poke_epe_share", "halfway_epe", "hold_epe", "response_epe", "diff_epe", "impulse_epe"}


def poke(role: str, at: tuple[float, float] | None, shift: tuple[float, float], point: int = -1) -> PokeRecord:
    length = round(math.hypot(*shift) / SIDE, 3)
    values = {"role": role, "at": at, "shift": shift, "point": point, "length": length, "part": int(point >= 0)}
    return PokeRecord.model_validate(values)


POKES = (
    poke("shift", (20.0, 24.0), (1.0, 0.0), 0),
    poke("shift", (20.0, 24.0), (2.0, 0.0), 0),
    poke("shift", (20.0, 24.0), (6.0, 0.0), 0),
    poke("shift", (26.0, 30.0), (0.0, -1.0), 1),
    poke("shift", (26.0, 30.0), (0.0, -4.0), 1),
    poke("impulse", (20.0, 24.0), (4.0, 0.0), 0),
    poke("background", (4.0, 4.0), (3.0, 3.0)),
    poke("zero", (20.0, 24.0), (0.0, 0.0), 0),
    poke("none", None, (0.0, 0.0)),
)


SHIFTS = [number for number, record in enumerate(POKES) if record.role == "shift"]


@functools.cache
def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return np.clip((smooth - 127) * 2.5 + 127, 0, 255)


GRID = np.stack(np.mgrid[:SIDE, :SIDE][::-1]).astype(np.float64)  # (x, y) of every pixel


ON_DISC = np.hypot(*(GRID - CENTRE)) <= RADIUS


@functools.cache
def moved(turns: bool, dx: float, dy: float) -> np.ndarray:
    """Target of every pixel under the disc's motion; negative dx and dy undo it."""
    if not turns:
        return GRID + np.array([dx, dy]).reshape(2, 1, 1)
    angle = (dx + dy) * 0.06
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.einsum("ij,jhw->ihw", turn, GRID - CENTRE) + CENTRE


@functools.cache
def picture(seed: int, turns: bool, dx: float, dy: float) -> np.ndarray:
    places = moved(turns, -dx, -dy)
    inside = np.clip(RADIUS + 0.5 - np.hypot(*(places - CENTRE)), 0, 1)[..., None]
    disc = cv2.remap(texture(seed), *places.astype(np.float32), cv2.INTER_LINEAR)
    return np.rint(inside * disc + (1 - inside) * texture(seed + 1000)).astype(np.uint8)


@dataclass(frozen=True)
class Disc:
    """A textured disc on a still ground: it goes where a shift wants it, out and back after an impulse, as a whole.

    `turns`: instead of going there it turns about its centre; shifts are then the true way of the poked pixel.
    """

    name: str = "disc"
    family: str = "discs"
    seed: int = 0
    turns: bool = False
    records: tuple[PokeRecord, ...] = POKES

    @property
    def digest(self) -> str:
        return f"{self.name} {self.seed} {self.turns} {self.records}"

    @property
    def pokes(self) -> tuple[PokeRecord, ...]:
        return tuple(self._true(number, record) for number, record in enumerate(self.records))

    @property
    def first(self) -> np.ndarray:
        return picture(self.seed, self.turns, 0.0, 0.0)

    @property
    def part_ids(self) -> np.ndarray:
        return ON_DISC.astype(np.int32)

    def frames(self, poke: int) -> np.ndarray:
        return np.stack([picture(self.seed, self.turns, *self._gone(poke, frame)) for frame in range(1, LAST + 1)])

    def flow(self, poke: int, frame: int) -> np.ndarray:
        return ((moved(self.turns, *self._gone(poke, frame)) - GRID) * ON_DISC).astype(np.float32)

    def visible(self, poke: int, frame: int) -> np.ndarray:
        dx, dy = self._gone(poke, frame)
        return ON_DISC | (np.hypot(*(moved(self.turns, -dx, -dy) - CENTRE)) > RADIUS)

    def _gone(self, number: int, frame: int) -> tuple[float, float]:
        record, share = self.records[number], min(frame / T, 1.0)
        share = {"shift": share, "impulse": 1 - abs(2 * share - 1)}.get(record.role, 0.0)
        return share * record.shift[0], share * record.shift[1]

    def _true(self, number: int, record: PokeRecord) -> PokeRecord:
        if not self.turns or record.role != "shift":
            return record
        x, y = (int(c) for c in record.at)
        return record.model_copy(update={"shift": tuple(self.flow(number, T)[:, y, x].tolist())})


@dataclass
class Flows:
    """Futures made of flows alone: `of(truth, poke number, frame)`."""

    of: Callable[[Tensor, int, int], Tensor]
    roles: frozenset[Any] = ALL_ROLES
    scene: TrueScene = field(default_factory=Disc)

    def flow(self, poke: int, frame: int) -> Tensor:
        return self.of(torch.from_numpy(self.scene.flow(poke, frame)), poke, frame)

    def frames(self, poke: int) -> None:
        return None


def measured(played: Any, scene: TrueScene | None = None) -> dict[str, dict[tuple[int, ...], float]]:
    """column -> pokes -> value."""
    found: dict[str, dict[tuple[int, ...], float]] = {}
    for sample in Measurement(Disc() if scene is None else scene, played, MOMENTS).scores():
        for column, value in sample.values.items():
            found.setdefault(column, {})[sample.pokes] = value
    return found


def length(number: int) -> float:
    return math.hypot(*POKES[number].shift)


TINY = replace(preset("tiny").model, channels=4)


def model(*, moving: bool = True, **changes: Any) -> PokeVideo:
    torch.manual_seed(0)
    made = PokeVideo(replace(TINY, **changes)).eval()
    if moving:
        nn.init.normal_(made.decoder.head.weight, std=0.5)
    return made


class Counting:
    """Plays the shift patch, and remembers what it was asked."""

    def __init__(self, digest: str = "counting") -> None:
        self.digest, self.kinds, self.asked = digest, ALL_KINDS, 0

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> np.ndarray:
        self.asked += 1
        return ShiftPatch(T).play(first, poke, frames)


FEW = tuple(POKES[number] for number in (1, 4, 7))


BRIEF = [Disc("a-1", "a", 1, records=FEW), Disc("a-2", "a", 2, records=FEW)]


class CountingTracker:
    name = "dis"

    def __init__(self) -> None:
        self.calls, self._dis = 0, DisFlow()

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        self.calls += 1
        return self._dis(first, second)


SCENES = [Disc("a-1", "a", 1), Disc("a-2", "a", 2), Disc("b-1", "b", 3, turns=True)]


def run(out: Path, players: dict[str, Any] | None = None, **changes: Any) -> BenchReport:
    given = {"bench": "discs 0123", "arrive": T, "fps": 25.0, "quiet": True, "scenes": SCENES, **changes}
    return run_bench(given.pop("scenes"), {} if players is None else players, out=out, **given)


def mean(report: BenchReport, player: str, column: str, scope: str = "all") -> float:
    return report.rows[scope][player][column].mean


# Unpickled in other processes, which cannot import a test


class Wrong:
    """Gives something else than it should."""

    digest, kinds = "wrong", ALL_KINDS

    def __init__(self, made: Callable[[np.ndarray], Any]) -> None:
        self._made = made

    def play(self, first: np.ndarray, poke: Poke | None, frames: int) -> Any:
        return self._made(np.repeat(first[None], frames, axis=0))


def shorter(clip: np.ndarray) -> np.ndarray:
    return clip[:-1]
