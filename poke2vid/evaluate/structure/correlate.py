"""Understanding object structure (Sec. 4.2, Fig. 5): many random pokes at one location show what moves with it.

Heat is 0 for a still pixel and 1 for one that moves as the poke, see `correlation`. Motion in predicted frames is
measured by a tracker that sees frames only, from x_0 by way of x_{T/2} to x_T. On true futures of simulated objects (11
touched points of 6 scenes, 8 pokes each of up to a tenth of the side, 128 pixels) its mean error on the object is 0.40
pixels; one jump to x_T has 0.49 in half the time, a chain through all ten frames 0.46 in 5 times the time, RAFT-small's
jump 0.60 in 12 times.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from tqdm import tqdm

from poke2vid import pokes as poking
from poke2vid.files import atomic, write_json
from poke2vid.flow.chain import FlowChain
from poke2vid.flow.classical import DisFlow
from poke2vid.flow.raft import RaftFlow
from poke2vid.live.canvas import Canvas
from poke2vid.measures import correlation
from poke2vid.media.pictures import write_picture
from poke2vid.media.viz import ARROW, grid
from poke2vid.model.files import sees
from poke2vid.players.batch import play_batch
from poke2vid.tracking.trackers import TRACKED_SIDE
from poke2vid.train.config import from_json
from poke2vid.types import Frame, InputError, Pair, Player, Poke

Picture = UInt8[np.ndarray, "h w 3"]
Measure = Literal["variance", "mean-square"]
TRACKERS = ("dis", "raft")
SUFFIXES = (".png", ".npz", ".json")
MAX_POKES = 1000  # their flows are all kept in memory, 0.5 MB each
SHORTEST = 0.1  # of the longest poke
LONGEST = 0.1  # of the picture's longer side: real clips' pokes go no farther (types.POKE_GAIN)
MAP_SIDE = 128  # pixels of tracked frames, unless the model's are larger; 256 is no better at three times the cost
SHOWN_SIDE = 384  # pixels of drawn maps
OPACITY = 0.62  # of the heat over the picture


@dataclass(frozen=True)
class Settings:
    """Settings of correlation maps: pokes, tracker and measure.

    Attributes:
        pokes: K, their number (paper: 100).
        longest: length of the longest one, as a share of the picture's longer side.
        frames: T; the paper's 10, as models are trained on unless their file says otherwise.
        seed: of the pokes; every location gets the same.
        tracker: `dis` or `raft`.
        measure: `variance` is the paper's; the mean square holds where motion is tracked (docs/decisions/017).
        batch: number of videos predicted at once; does not change the map.
        threads: number of tracking threads.
    """

    pokes: int = 100
    longest: float = LONGEST
    frames: int = 10
    seed: int = 0
    tracker: str = "dis"
    measure: Measure = "mean-square"
    batch: int = 25
    threads: int = 2

    def __post_init__(self) -> None:
        if not 2 <= self.pokes <= MAX_POKES:
            raise InputError(f"{self.pokes} pokes were asked for; choose 2 ... {MAX_POKES}: one alone has no variance.")
        if not 0 < self.longest <= 1:
            raise InputError(f"the longest poke is {self.longest:g} of the picture's side; choose above 0 and up to 1.")
        if self.frames < 1:
            raise InputError(f"{self.frames} frames were asked for; at least 1 must be.")
        if self.tracker not in TRACKERS:
            raise InputError(f"there is no tracker {self.tracker!r}; choose one of {', '.join(TRACKERS)}.")


@dataclass(frozen=True)
class CorrelationMap:
    """Correlation of every pixel's motion with pokes at one location.

    Attributes:
        poke_at: l, in pixels of the map.
        variance: of the difference to the poke, see `correlation.motion_variance`; 0 follows.
        mean_square: of the same difference; 0 follows.
        still_variance, still_mean_square: of a pixel that never moves, under the same pokes.
        measure: the one of the two that the heat shows.
    """

    poke_at: Pair
    variance: Float64[np.ndarray, "h w"]
    mean_square: Float64[np.ndarray, "h w"]
    still_variance: float
    still_mean_square: float
    measure: Measure = "variance"

    def by(self, measure: Measure) -> "CorrelationMap":
        """The same responses by the given measure."""
        return replace(self, measure=measure)

    @property
    def disagreement(self) -> Float64[np.ndarray, "h w"]:
        """Value of the measure: 0 for a pixel that follows and 1 for a still one; it may be more."""
        if self.measure == "variance":
            return self.variance / self.still_variance
        return self.mean_square / self.still_mean_square

    @property
    def heat(self) -> Float64[np.ndarray, "h w"]:
        """Correlation, 0 ... 1."""
        return correlation.heat(self.disagreement)


def map_of(
    flows: Float32[np.ndarray, "k 2 h w"], shifts: Float64[np.ndarray, "k 2"], location: Pair,
    measure: Measure = "variance",
) -> CorrelationMap:  # fmt: skip
    """Map of given responses, tracked in a model's frames or exact. All lengths in pixels of the flows."""
    away, still = correlation.difference(flows, shifts), correlation.still_difference(shifts)
    return CorrelationMap(
        location, away.var(axis=0), (away**2).mean(axis=0), float(still.var()), float((still**2).mean()), measure
    )


def random_shifts(count: int, longest: float, seed: int) -> Float64[np.ndarray, "k 2"]:
    """K random pokes: lengths uniform over `SHORTEST` ... 1 times the longest, directions uniform over the circle.

    Both are drawn in strata (a Latin square), one poke each, so a still pixel's variance hardly depends on the seed.
    """
    rng = np.random.default_rng(seed)
    length, turn = ((rng.permutation(count) + rng.random(count)) / count for _ in range(2))
    length, angle = longest * (SHORTEST + (1 - SHORTEST) * length), 2 * np.pi * turn
    return length[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)


def build_tracker(name: str, weights_dir: Path | None = None) -> FlowChain:
    """Tracker from x_0 to x_{T/2} to x_T: DIS on frames of `MAP_SIDE` and more, or RAFT-small. One per thread."""
    if name == "dis":
        return FlowChain(DisFlow(), smallest_side=MAP_SIDE)
    return FlowChain(RaftFlow(weights_dir, smallest_side=TRACKED_SIDE))


class Correlator:
    """Makes correlation maps of a model by tracking its predicted frames."""

    def __init__(self, player: Player, settings: Settings, weights_dir: Path | None = None) -> None:
        """Builds one tracker per thread; raises InputError if its weights are not found."""
        self.player, self.settings = player, settings
        self._idle: SimpleQueue[FlowChain] = SimpleQueue()
        trackers = [build_tracker(settings.tracker, weights_dir) for _ in range(settings.threads)]
        self.tracker = trackers[0].name
        for tracker in trackers:
            self._idle.put(tracker)

    def canvas(self, picture: Picture) -> Canvas:
        """Canvas of the picture at the size that is tracked."""
        return Canvas(picture, self.player.resolution, MAP_SIDE)

    def ask(
        self, canvas: Canvas, location: Pair, shifts: Float64[np.ndarray, "k 2"] | None = None,
        bar: tqdm | None = None,
    ) -> CorrelationMap:  # fmt: skip
        """The map of one location, at the canvas's shown size.

        Args:
            location: l, in pixels of the user's picture.
            shifts: the pokes, in the same pixels; None draws them as the settings say.
            bar: moves on by one per poke.

        Raises:
            InputError: if l lies outside the picture, or the model gives numbers that are not finite.
        """
        if shifts is None:
            shifts = random_shifts(self.settings.pokes, self.settings.longest * max(canvas.size), self.settings.seed)
        kind = self.player.poke_kind
        pokes = [Poke(location, (float(dx), float(dy)), kind) for dx, dy in shifts]
        for poke in pokes:
            poking.check(poke, canvas.size[1], canvas.size[0])
        flows = list[Float32[np.ndarray, "2 h w"]]()
        with ThreadPoolExecutor(self.settings.threads) as pool:
            for start in range(0, len(pokes), self.settings.batch):
                clips = self._respond(canvas, pokes[start : start + self.settings.batch])
                for flow in pool.map(self._track, clips):
                    flows.append(flow)
                    if bar is not None:
                        bar.update()
        shown = [canvas.shown(poke) for poke in pokes]
        return map_of(
            np.stack(flows), np.array([poke.shift for poke in shown]), shown[0].location, self.settings.measure
        )

    @torch.inference_mode()
    def _respond(self, canvas: Canvas, pokes: Sequence[Poke]) -> Iterator[list[Picture]]:
        """Yields x_0, x_{T/2}, x_T per poke, at the shown size."""
        last = self.settings.frames
        played = play_batch(self.player, canvas.x_0, [canvas.modelled(poke) for poke in pokes], last)
        kept = [frame for number, frame in enumerate(played, 1) if number in (last // 2, last)]
        if not all(bool(frame.x_hat.isfinite().all()) for frame in kept):
            raise InputError("the model's frames hold numbers that are not finite; use another model.")
        for k in range(len(pokes)):
            yield [canvas.picture, *(canvas.render(_one(frame, k)) for frame in kept)]

    def _track(self, clip: list[Picture]) -> Float32[np.ndarray, "2 h w"]:
        """Flow from the clip's first picture to its last."""
        tracker = self._idle.get()
        try:
            *_, flow = tracker(clip)
            return flow
        finally:
            self._idle.put(tracker)


def _one(frame: Frame, k: int) -> Frame:
    flow, repaint = (None if part is None else part[k : k + 1] for part in (frame.flow, frame.repaint))
    return Frame(frame.x_hat[k : k + 1], flow, repaint)


@runtime_checkable
class Questioner(Protocol):
    """Source of a player's maps: from its frames (`Correlator`), or from its own field (`seeing`)."""

    tracker: str

    @property
    def player(self) -> Player: ...
    @property
    def settings(self) -> Settings: ...

    def canvas(self, picture: Picture) -> Canvas:
        """Canvas of the picture at the size of the maps."""

    def ask(
        self, canvas: Canvas, location: Pair, shifts: Float64[np.ndarray, "k 2"] | None = None, bar: tqdm | None = None
    ) -> CorrelationMap:
        """The map of one location, at the canvas's shown size."""


def correlate(
    correlator: Questioner, picture: Picture, at: Sequence[Pair], outputs: Sequence[Path], model: str,
    quiet: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Maps every location and writes every output by its suffix: .png the maps, .npz their numbers, .json the rest.

    Args:
        at: locations, in pixels of the picture.
        model: its name in the .json.

    Returns:
        The contents of the .json.

    Raises:
        InputError: before anything is computed if a suffix is unknown or a location lies outside the picture.
    """
    # Check all inputs first
    check_suffixes(outputs, SUFFIXES)
    for location in at:
        poking.check(Poke(location, (0.0, 0.0)), picture.shape[1], picture.shape[0], "the location")
    settings, canvas, began = correlator.settings, correlator.canvas(picture), time.perf_counter()
    with tqdm(total=settings.pokes * len(at), unit="poke", desc="correlate", disable=True if quiet else None) as bar:
        maps = [correlator.ask(canvas, location, bar=bar) for location in at]
    seconds = time.perf_counter() - began
    numbers: dict[str, Any] = {
        "picture": [picture.shape[1], picture.shape[0]],
        "map": [canvas.picture.shape[1], canvas.picture.shape[0]],
        "model": model,
        "tracker": correlator.tracker,
        "pokes": settings.pokes,
        "lengths": [round(SHORTEST * settings.longest, 6), settings.longest],
        "frames": settings.frames,
        "seed": settings.seed,
        "measure": settings.measure,
        "seconds": round(seconds, 2),
        "locations": [_numbers(location, found) for location, found in zip(at, maps, strict=True)],
    }
    # Write every output
    for path in outputs:
        match path.suffix.lower():
            case ".json":
                write_json(path, numbers)
            case ".npz":
                _write_arrays(path, maps)
            case _:
                write_picture(path, sheet(Canvas(picture, correlator.player.resolution, SHOWN_SIDE).picture, maps))
    return numbers


def check_suffixes(outputs: Sequence[Path], known: Sequence[str]) -> None:
    """Raises InputError for the first path with another suffix."""
    for path in outputs:
        if path.suffix.lower() not in known:
            raise InputError(f"{path} has no known kind; let the name end in {', '.join(known)}.")


def _numbers(location: Pair, found: CorrelationMap) -> dict[str, Any]:
    x, y = (round(place) for place in found.poke_at)
    height, width = found.variance.shape
    inside = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    return {
        "at": list(location),
        "still_variance": round(found.still_variance, 5),
        "variance_at_l": round(float(found.variance[inside]), 5),
        "heat_at_l": round(float(found.heat[inside]), 3),
        "share_above_half": round(float((found.heat > 0.5).mean()), 4),
    }


def _write_arrays(path: Path, maps: Sequence[CorrelationMap]) -> None:
    """Writes `variance`, `mean_square` and `heat`, each `n h w`, and `at`, `n 2`, in pixels of the maps."""
    with atomic(path) as temporary:
        np.savez_compressed(
            temporary,
            variance=np.stack([m.variance for m in maps]).astype(np.float32),
            mean_square=np.stack([m.mean_square for m in maps]).astype(np.float32),
            heat=np.stack([m.heat for m in maps]).astype(np.float32),
            at=np.array([m.poke_at for m in maps]),
        )


def sheet(picture: Picture, maps: Sequence[CorrelationMap]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The picture, one panel per location, and the colour bar, side by side (Fig. 5)."""
    panels = [larger(picture), *(overlay(picture, found) for found in maps)]
    return np.concatenate((grid([panels], gap=6), colour_bar(panels[0].shape[0])), axis=1)


def larger(picture: Picture) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Enlarges a picture to the size that is drawn."""
    factor = max(1.0, SHOWN_SIDE / max(picture.shape[:2]))
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return picture if factor == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def overlay(picture: Picture, found: CorrelationMap) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The picture, of any size, in grey under the heat's colours, with a ring around l."""
    below = larger(picture)
    size = (below.shape[1], below.shape[0])
    grey = cv2.cvtColor(below, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    above = colours(cv2.resize(found.heat.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)).astype(np.float32)
    drawn = np.rint((1 - OPACITY) * grey + OPACITY * above).astype(np.uint8)
    return marked(drawn, found.poke_at, found.heat.shape[1])


def marked(drawn: Picture, location: Pair, width: int) -> Picture:
    """Draws a ring around l, which is in pixels of the same picture at `width` pixels wide."""
    factor = drawn.shape[1] / width
    centre = (round(factor * (location[0] + 0.5) - 0.5), round(factor * (location[1] + 0.5) - 0.5))
    radius = max(4, round(max(drawn.shape[:2]) / 64))
    drawn = drawn.copy()
    for colour, thickness in (((255, 255, 255), 4), (ARROW, 2)):
        cv2.circle(drawn, centre, radius, colour, thickness, cv2.LINE_AA)
    return drawn


def colours(heat: Float32[np.ndarray, "h w"]) -> Picture:
    """Colours of the heat: dark is 0, bright is 1."""
    levels = np.rint(heat.clip(0, 1) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def colour_bar(height: int) -> Picture:
    """Legend of the colours: 1, moves as the poke, at the top; 0, no closer than a still pixel, at the bottom."""
    bar = np.full((height, 96, 3), 255, np.uint8)
    ramp = np.linspace(1, 0, height - 40, dtype=np.float32)[:, None].repeat(18, axis=1)
    grey = np.full((*ramp.shape, 3), 128.0)  # as over a picture
    bar[20:-20, 10:28] = np.rint((1 - OPACITY) * grey + OPACITY * colours(ramp)).astype(np.uint8)
    for text, y in (("1 follows", 26), ("0 still", height - 16)):
        cv2.putText(bar, text, (32, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (40, 40, 40), 1, cv2.LINE_AA)
    return bar


def with_frames(settings: Settings, frames: int | None, about: Mapping[str, Any]) -> Settings:
    """Settings with T as asked for, else as in the model's training settings, else unchanged."""
    if frames is None:
        trained = None if sees(about) else about.get("train")  # seeing models were trained on fields at T = 10
        frames = settings.frames if trained is None else from_json(trained).data.horizon
    return replace(settings, frames=frames)


def parse_measure(text: str) -> Measure:
    """Parses a measure's name; raises InputError for an unknown one."""
    for known in get_args(Measure):
        if text == known:
            return known
    raise InputError(f"there is no measure {text!r}; choose one of {', '.join(get_args(Measure))}.")
