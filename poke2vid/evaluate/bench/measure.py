"""Measures one player on one scene: every future it plays against the true one.

The formulas take flows and frames of any source: tracked flows of a player's frames, tracked flows of the true frames,
or the exact flow itself, which must have no error.
"""

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from poke2vid.evaluate.bench.roles import ALL_ROLES
from poke2vid.flow.chain import FlowChain
from poke2vid.measures import frames as similarity
from poke2vid.measures import motion
from poke2vid.measures.statistics import rank_correlation
from poke2vid.measures.table import of_frames
from poke2vid.media.pictures import to_float
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.pokebench.scene import TrueScene
from poke2vid.pretrained.features import Lpips
from poke2vid.types import Pair

VERSION = 4  # of the formulas and of what players are told; results of another version are measured again
VARIES = 0.001  # of the side: if the true responses differ by less, there is nothing to rank
AFTER_ARRIVAL = 3  # step in frames: a held object moves little and need not be tracked in every frame


@dataclass(frozen=True)
class Timing:
    """The frames that are tracked: half way (T/2), T, and the last."""

    half: int
    arrive: int
    last: int

    def stations(self, moves: bool) -> list[int]:
        """Frames that a tracker visits: all to T and every third after it; only these three if nothing should move."""
        if not moves:
            return [*astuple(self)]
        held = range(self.last, self.arrive, -AFTER_ARRIVAL)
        return [*range(1, self.arrive + 1), *reversed(held)]


@dataclass(frozen=True)
class Scores:
    """Measurements of one poke, of a pair of pokes, or of all shifts at one point.

    Attributes:
        pokes: their numbers in the scene.
        role: of the pokes; "shift" for pairs and points.
        length: of a single poke, as a share of the side, from the scene's record; else 0.
        values: column -> value, without what cannot be measured.
    """

    pokes: tuple[int, ...]
    role: PokeRole
    length: float
    values: dict[str, float]


@runtime_checkable
class Played(Protocol):
    """Futures of a scene from one source: flows, and frames if there are any."""

    @property
    def roles(self) -> frozenset[PokeRole]: ...

    def flow(self, poke: int, frame: int) -> Float[Tensor, "2 h w"]:
        """Flow from frame 0 to `frame`, in pixels."""

    def frames(self, poke: int) -> Float[Tensor, "t 3 h w"] | None:
        """Frames 1 ... t in [-1, 1]; None if there are only flows."""


class ExactFlow:
    """The exact true flow, without a tracker."""

    roles = ALL_ROLES

    def __init__(self, scene: TrueScene) -> None:
        self._scene = scene

    def flow(self, poke: int, frame: int) -> Float[Tensor, "2 h w"]:
        return torch.from_numpy(self._scene.flow(poke, frame))

    def frames(self, poke: int) -> None:
        return None


class TrackedFrames:
    """Frames of a player or of the truth, with tracked flow. Keeps the frames and flows of one poke at a time.

    A scene of PokeBench takes 149 steps of the tracker; none is needed where a frame equals the one before.
    """

    def __init__(
        self, scene: TrueScene, future: Callable[[int], UInt8[np.ndarray, "t h w 3"]], tracker: FlowChain, timing: Timing,
        roles: frozenset[PokeRole] = ALL_ROLES,
    ) -> None:  # fmt: skip
        self.roles = roles
        self._scene, self._future, self._tracker, self._timing = scene, future, tracker, timing
        self._current: tuple[int, UInt8[np.ndarray, "t h w 3"]] | None = None
        self._flows: dict[int, Float[Tensor, "2 h w"]] = {}
        self._ahead: Iterator[tuple[int, Float32[np.ndarray, "2 h w"]]] = iter(())

    def flow(self, poke: int, frame: int) -> Float[Tensor, "2 h w"]:
        """Tracked flow from frame 0, only to frames among the tracker's stations."""
        self._pictures(poke)
        for station, flow in self._ahead if frame not in self._flows else ():
            self._flows[station] = torch.from_numpy(flow)
            if station == frame:
                break
        assert frame in self._flows, f"frame {frame} is not among the tracker's stations"
        return self._flows[frame]

    def frames(self, poke: int) -> Float[Tensor, "t 3 h w"]:
        return to_float(self._pictures(poke))

    def _pictures(self, poke: int) -> UInt8[np.ndarray, "t h w 3"]:
        if self._current is None or self._current[0] != poke:
            pictures = self._future(poke)
            stations = self._timing.stations(self._scene.pokes[poke].moves)
            seen = [self._scene.first, *(pictures[station - 1] for station in stations)]
            self._current, self._flows = (poke, pictures), {}
            self._ahead = zip(stations, self._tracker(seen), strict=True)
        return self._current[1]


class Measurement:
    """Measures the futures that one player plays of one scene."""

    def __init__(self, scene: TrueScene, played: Played, timing: Timing, lpips: Lpips | None = None) -> None:
        self._scene, self._played, self._timing, self._lpips = scene, played, timing, lpips
        self._parts = torch.from_numpy(np.array(scene.part_ids))
        self._object = self._parts > 0

    def scores(self) -> list[Scores]:
        """Scores of every poke that the player knows, then of all pairs of shifts, then of every touched point."""
        found, arrived = [], dict[int, Float[Tensor, "2 h w"]]()
        for number, poke in enumerate(self._scene.pokes):
            if poke.role not in self._played.roles:
                continue
            match poke.role:
                case "shift":
                    arrived[number] = self._played.flow(number, self._timing.arrive)
                    values = self._after_shift(number, poke, arrived[number])
                case "impulse":
                    values = self._after_impulse(number)
                case "background":
                    values = {"ignored_poke": self._end_motion(number, torch.ones_like(self._object))}
                case "zero" | "none":
                    values = {"rest_drift": self._end_motion(number, self._object)}
            found.append(Scores((number,), poke.role, poke.length, values))
        found += self._differences(arrived) + self._ranks(arrived)
        return [replace(scores, values=_known(scores.values)) for scores in found]

    def _after_shift(self, number: int, poke: PokeRecord, flow: Float[Tensor, "2 h w"]) -> dict[str, float]:
        assert poke.at is not None
        at_t = self._timing.arrive
        truth, visible = self._truth(number, at_t), self._visible(number, at_t)
        rest = motion.untouched(self._object & visible, poke.at)
        error, length = self._touched_error(number, poke.at, at_t, flow), float(np.hypot(*poke.shift))
        values = {
            "poke_epe": error,
            "poke_epe_share": 100 * error / length if length > 0 else float("nan"),
            "poke_length": length,
            "pck": motion.is_correct(error, max(self._object.shape)) if poke.length >= motion.FAR else float("nan"),
            "response_epe": motion.endpoint_error(flow, truth, rest),
            "response": motion.mean_motion(flow, rest),
            "background": motion.mean_motion(flow, visible & ~self._object),
        }
        for column, frame in (("halfway_epe", self._timing.half), ("hold_epe", self._timing.last)):
            values[column] = self._touched_error(number, poke.at, frame, self._played.flow(number, frame))
        return values | self._of_frames(number)

    def _touched_error(self, number: int, at: Pair, frame: int, flow: Float[Tensor, "2 h w"]) -> float:
        part = self._parts == self._parts[motion.nearest_pixel(at, *self._parts.shape)]
        return motion.touched_error(flow, self._truth(number, frame), part & self._visible(number, frame), at)

    def _after_impulse(self, number: int) -> dict[str, float]:
        errors = []
        for frame in (self._timing.half, self._timing.arrive):
            flow, visible = self._played.flow(number, frame), self._object & self._visible(number, frame)
            errors.append(motion.endpoint_error(flow, self._truth(number, frame), visible))
        values = {"impulse_epe": float(np.mean(errors))}
        if (x_hat := self._played.frames(number)) is not None:
            values["impulse_psnr"] = float(similarity.psnr(x_hat, to_float(self._scene.frames(number))))
        return values

    def _of_frames(self, number: int) -> dict[str, float]:
        x_hat = self._played.frames(number)
        if x_hat is None:
            return {}
        x = to_float(self._scene.frames(number))
        values = {name: float(value) for name, value in of_frames("bench", x_hat, x).items()}
        if self._lpips is not None:
            kept = [frame - 1 for frame in astuple(self._timing)]
            with torch.inference_mode():
                values["lpips"] = float(self._lpips(x_hat[kept], x[kept]).mean())
        return values

    def _end_motion(self, number: int, where: Bool[Tensor, "h w"]) -> float:
        return motion.mean_motion(self._played.flow(number, self._timing.last), where)

    def _differences(self, arrived: dict[int, Float[Tensor, "2 h w"]]) -> list[Scores]:
        at_t = self._timing.arrive
        true = {number: self._truth(number, at_t) for number in arrived}
        seen = {number: self._object & self._visible(number, at_t) for number in arrived}
        found = []
        for a, b in combinations(arrived, 2):
            error = motion.difference_error(arrived[a], arrived[b], true[a], true[b], seen[a] & seen[b])
            found.append(Scores((a, b), "shift", 0.0, {"diff_epe": error}))
        return found

    def _ranks(self, arrived: dict[int, Float[Tensor, "2 h w"]]) -> list[Scores]:
        pokes, found = self._scene.pokes, []
        for point in sorted({pokes[number].point for number in arrived}):
            same = [number for number in arrived if pokes[number].point == point]
            location = pokes[same[0]].at
            assert location is not None
            rest = motion.untouched(self._object, location)
            for number in same:  # the same pixels for all, else noise of a still picture would be ranked
                rest = rest & self._visible(number, self._timing.arrive)
            responses = [motion.mean_motion(arrived[number], rest) for number in same]
            true = [motion.mean_motion(self._truth(number, self._timing.arrive), rest) for number in same]
            lengths = [float(np.hypot(*pokes[number].shift)) for number in same]
            varies = np.ptp(true) > VARIES * max(rest.shape)
            rank = rank_correlation(responses, lengths) if varies else float("nan")
            found.append(Scores(tuple(same), "shift", 0.0, {"rank": rank}))
        return found

    def _truth(self, number: int, frame: int) -> Float[Tensor, "2 h w"]:
        return torch.from_numpy(self._scene.flow(number, frame))

    def _visible(self, number: int, frame: int) -> Bool[Tensor, "h w"]:
        return torch.from_numpy(np.array(self._scene.visible(number, frame)))


def _known(values: dict[str, float]) -> dict[str, float]:
    """Values that could be measured: what is NaN, such as the motion of no pixels, is left out."""
    return {column: value for column, value in values.items() if value == value}


def long_drift(scene: TrueScene, poke: int, late: UInt8[np.ndarray, "h w 3"], tracker: FlowChain) -> Scores:
    """Drift of the object from its place by the frame `late`, long after the poke `poke`, of role "none"."""
    (flow,) = tracker([scene.first, late])  # skips the frames between
    drift = motion.mean_motion(torch.from_numpy(flow), torch.from_numpy(np.array(scene.part_ids)) > 0)
    return Scores((poke,), "none", 0.0, _known({"long_drift": drift}))
