"""Measures one player on one scene: every future it plays against the true one.

The formulas take flows and frames of any source: tracked flows of a player's frames, tracked flows of the true frames,
or the exact flow itself, which must have no error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from poke2vid.evaluate.bench.roles import ALL_ROLES
from poke2vid.flow.chain import FlowChain
from poke2vid.measures import counterfactual
from poke2vid.measures import frames as similarity
from poke2vid.media.pictures import to_float
from poke2vid.pokebench.records import PokeRecord, PokeRole
from poke2vid.pokebench.scene import TrueScene
from poke2vid.pretrained.features import Lpips

VERSION = 3  # of the formulas; results of another version are measured again
FAR = 0.1  # of the side: shifts of at least this asked length count for PCK
VARIES = 0.001  # of the side: if the true responses differ by less, there is nothing to rank
LONG_FRAMES = 1000
LONG_SCENES = 2  # of each family, the first by name: a thousand frames take long to play
AFTER_ARRIVAL = 3  # step in frames: a held object moves little and need not be tracked in every frame
COLUMNS = {  # column -> its meaning; lengths in pixels of the bench's frames
    "poke_epe": "px between where the poked point is at frame T and its target, which is the truth's own end point",
    "poke_epe_share": "the same in % of the poke's length, mean over pokes",
    "followed_epe": "poke_epe of the pokes that the tracker follows in the true frames to within a third of their length; "
    "`oracle` is selected by this and no floor",
    "pck": "share of the poked points that are within 5 % of the side from their targets at T; over shifts that were to go "
    "10 % of the side or farther, because after a shorter one standing still is near enough",
    "halfway_epe": "px between the poked point at T/2 and where the truth has it then",
    "hold_epe": "px between the poked point at the last frame and where the truth has it then: shifts are held",
    "response_epe": "px of error of the motion of the visible object at T, without what is within 15 % of the side of the "
    "poke, which a dragged patch of pixels gets right without knowing of objects",
    "response": "px that the same pixels move on average; the row `exact` has the true value",
    "poke_length": "px, the length of the shifts: the poke_epe of staying where one is",
    "diff_epe": "px of error of the difference between two shifts' futures at T, over all pairs, visible object",
    "rank": "Spearman's correlation of the response with the poke's length, along one direction at one point; 0: the "
    "response does not vary; the row `exact` has the truth's own value, which may be below 1: what is far "
    "from a poke need not move the more, the longer it is",
    "background": "px that the visible surroundings of the object move by T",
    "ignored_poke": "px that the whole picture moves by the last frame when its background is poked",
    "rest_drift": "px that the object moves by the last frame under a shift of no length and without any poke",
    "long_drift": f"px that the object moves by frame {LONG_FRAMES} without any poke; on the first {LONG_SCENES} scenes of "
    "each family, and only of who plays on by himself",
    "psnr": "PSNR after shifts, dB: mean over all frames, then pokes; data range of a frame; at most 100",
    "ssim": "SSIM after shifts: 11 x 11 Gaussian windows, sigma 1.5; mean over all frames, then pokes",
    "lpips": "LPIPS v0.1 (squeeze) after shifts: mean over the frames T/2, T and the last, then pokes",
    "impulse_epe": "px of error of the motion of the visible object after an impulse, mean of the frames T/2 and T",
    "impulse_psnr": "PSNR after impulses, as `psnr`",
}


@dataclass(frozen=True)
class Moments:
    """The frames that are tracked: half way (T/2), T, and the last."""

    half: int
    arrive: int
    last: int

    def stations(self, moves: bool) -> list[int]:
        """Frames that a tracker visits: all to T and every third after it; only the moments if nothing should move."""
        if not moves:
            return [self.half, self.arrive, self.last]
        held = range(self.last, self.arrive, -AFTER_ARRIVAL)
        return [*range(1, self.arrive + 1), *reversed(held)]


@dataclass(frozen=True)
class Sample:
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
        self, scene: TrueScene, future: Callable[[int], UInt8[np.ndarray, "t h w 3"]], tracker: FlowChain, moments: Moments,
        roles: frozenset[PokeRole] = ALL_ROLES,
    ) -> None:  # fmt: skip
        self.roles = roles
        self._scene, self._future, self._tracker, self._moments = scene, future, tracker, moments
        self._current: tuple[int, UInt8[np.ndarray, "t h w 3"]] | None = None
        self._flows: dict[int, Float[Tensor, "2 h w"]] = {}
        self._ahead: Iterator[tuple[int, Float32[np.ndarray, "2 h w"]]] = iter(())

    def flow(self, poke: int, frame: int) -> Float[Tensor, "2 h w"]:
        """Tracked flow from frame 0, only to frames among the tracker's stations."""
        self._pictures(poke)
        while frame not in self._flows:
            station, flow = next(self._ahead)
            self._flows[station] = torch.from_numpy(flow)
        return self._flows[frame]

    def frames(self, poke: int) -> Float[Tensor, "t 3 h w"]:
        return to_float(self._pictures(poke))

    def _pictures(self, poke: int) -> UInt8[np.ndarray, "t h w 3"]:
        if self._current is None or self._current[0] != poke:
            pictures = self._future(poke)
            stations = self._moments.stations(self._scene.pokes[poke].moves)
            seen = [self._scene.first, *(pictures[station - 1] for station in stations)]
            self._current, self._flows = (poke, pictures), {}
            self._ahead = zip(stations, self._tracker(seen), strict=True)
        return self._current[1]


class Measurement:
    """Measures the futures that one player plays of one scene."""

    def __init__(self, scene: TrueScene, played: Played, moments: Moments, lpips: Lpips | None = None) -> None:
        self._scene, self._played, self._moments, self._lpips = scene, played, moments, lpips
        self._parts = torch.from_numpy(np.array(scene.part_ids))
        self._object = self._parts > 0

    def samples(self) -> list[Sample]:
        """Samples of every poke that the player knows, then of all pairs of shifts, then of every touched point."""
        found, arrived = [], dict[int, Float[Tensor, "2 h w"]]()
        for number, poke in enumerate(self._scene.pokes):
            if poke.role not in self._played.roles:
                continue
            match poke.role:
                case "shift":
                    arrived[number] = self._played.flow(number, self._moments.arrive)
                    values = self._after_shift(number, poke, arrived[number])
                case "impulse":
                    values = self._after_impulse(number)
                case "background":
                    values = {"ignored_poke": self._end_motion(number, torch.ones_like(self._object))}
                case "zero" | "none":
                    values = {"rest_drift": self._end_motion(number, self._object)}
            found.append(Sample((number,), poke.role, poke.length, values))
        found += self._differences(arrived) + self._ranks(arrived)
        return [Sample(s.pokes, s.role, s.length, {k: v for k, v in s.values.items() if v == v}) for s in found]

    def _after_shift(self, number: int, poke: PokeRecord, flow: Float[Tensor, "2 h w"]) -> dict[str, float]:
        assert poke.at is not None
        at_t = self._moments.arrive
        truth, visible = self._truth(number, at_t), self._visible(number, at_t)
        rest = counterfactual.untouched(self._object & visible, poke.at)
        error, length = self._touched_error(number, at_t, flow), float(np.hypot(*poke.shift))
        values = {
            "poke_epe": error,
            "poke_epe_share": 100 * error / length if length > 0 else float("nan"),
            "poke_length": length,
            "pck": counterfactual.is_correct(error, max(self._object.shape)) if poke.length >= FAR else float("nan"),
            "response_epe": counterfactual.endpoint_error(flow, truth, rest),
            "response": counterfactual.motion(flow, rest),
            "background": counterfactual.motion(flow, visible & ~self._object),
        }
        for column, frame in (("halfway_epe", self._moments.half), ("hold_epe", self._moments.last)):
            values[column] = self._touched_error(number, frame, self._played.flow(number, frame))
        return values | self._of_frames(number)

    def _touched_error(self, number: int, frame: int, flow: Float[Tensor, "2 h w"]) -> float:
        location = self._scene.pokes[number].at
        assert location is not None
        height, width = self._parts.shape
        x, y = (min(max(round(c), 0), limit - 1) for c, limit in zip(location, (width, height), strict=True))
        part = self._parts == self._parts[y, x]
        where = part & self._visible(number, frame)
        return counterfactual.touched_error(flow, self._truth(number, frame), where, location)

    def _after_impulse(self, number: int) -> dict[str, float]:
        errors = [
            counterfactual.endpoint_error(
                self._played.flow(number, frame),
                self._truth(number, frame),
                self._object & self._visible(number, frame),
            )
            for frame in (self._moments.half, self._moments.arrive)
        ]
        values = {"impulse_epe": float(np.mean(errors))}
        x_hat = self._played.frames(number)
        if x_hat is not None:
            values["impulse_psnr"] = float(similarity.psnr(x_hat, to_float(self._scene.frames(number))))
        return values

    def _of_frames(self, number: int) -> dict[str, float]:
        x_hat = self._played.frames(number)
        if x_hat is None:
            return {}
        x = to_float(self._scene.frames(number))
        values = {"psnr": float(similarity.psnr(x_hat, x)), "ssim": float(similarity.ssim(x_hat, x))}
        if self._lpips is not None:
            kept = [self._moments.half - 1, self._moments.arrive - 1, self._moments.last - 1]
            with torch.inference_mode():
                values["lpips"] = float(self._lpips(x_hat[kept], x[kept]).mean())
        return values

    def _end_motion(self, number: int, where: Bool[Tensor, "h w"]) -> float:
        return counterfactual.motion(self._played.flow(number, self._moments.last), where)

    def _differences(self, arrived: dict[int, Float[Tensor, "2 h w"]]) -> list[Sample]:
        at_t = self._moments.arrive
        true = {number: self._truth(number, at_t) for number in arrived}
        seen = {number: self._object & self._visible(number, at_t) for number in arrived}
        return [
            Sample((a, b), "shift", 0.0, {"diff_epe": counterfactual.difference_error(
                arrived[a], arrived[b], true[a], true[b], seen[a] & seen[b]
            )})
            for a, b in combinations(arrived, 2)
        ]  # fmt: skip

    def _ranks(self, arrived: dict[int, Float[Tensor, "2 h w"]]) -> list[Sample]:
        pokes, found = self._scene.pokes, []
        for point in sorted({pokes[number].point for number in arrived}):
            same = [number for number in arrived if pokes[number].point == point]
            location = pokes[same[0]].at
            assert location is not None
            rest = counterfactual.untouched(self._object, location)
            for number in same:  # the same pixels for all, else noise of a still picture would be ranked
                rest = rest & self._visible(number, self._moments.arrive)
            responses = [counterfactual.motion(arrived[number], rest) for number in same]
            true = [counterfactual.motion(self._truth(number, self._moments.arrive), rest) for number in same]
            lengths = [float(np.hypot(*pokes[number].shift)) for number in same]
            varies = np.ptp(true) > VARIES * max(rest.shape)
            rank = counterfactual.rank_correlation(responses, lengths) if varies else float("nan")
            found.append(Sample(tuple(same), "shift", 0.0, {"rank": rank}))
        return found

    def _truth(self, number: int, frame: int) -> Float[Tensor, "2 h w"]:
        return torch.from_numpy(self._scene.flow(number, frame))

    def _visible(self, number: int, frame: int) -> Bool[Tensor, "h w"]:
        return torch.from_numpy(np.array(self._scene.visible(number, frame)))


def long_drift(scene: TrueScene, poke: int, late: UInt8[np.ndarray, "h w 3"], tracker: FlowChain) -> Sample:
    """Drift of the object from its place by the frame `late`, long after the poke `poke`, of role "none"."""
    (flow,) = tracker([scene.first, late])  # skips the frames between
    drift = counterfactual.motion(torch.from_numpy(flow), torch.from_numpy(np.array(scene.part_ids)) > 0)
    return Sample((poke,), "none", 0.0, {"long_drift": drift})
