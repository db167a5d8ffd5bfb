"""Correlation maps from responses to many pokes of one location, tracked or exact (Sec. 4.2, Fig. 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from poke2vid.measures import correlation
from poke2vid.measures.table import MEASURES, REPORTS
from poke2vid.model.files import sees
from poke2vid.train.config import from_json
from poke2vid.types import InputError, Pair

MEASURE = "mean-square"  # it holds where motion is tracked (docs/decisions/017); `variance` is the paper's
TRACKERS = ("dis", "farneback", "raft")
MAX_POKES = 1000  # their flows are all kept in memory, 0.5 MB each
SHORTEST = 0.1  # of the longest poke
LONGEST = 0.1  # of the picture's longer side: real clips' pokes go no farther (types.POKE_GAIN)


@dataclass(frozen=True)
class Settings:
    """Settings of correlation maps: pokes, tracker and measure.

    Attributes:
        pokes: K, their number (paper: 100).
        longest: length of the longest one, as a share of the picture's longer side.
        frames: T; the paper's 10, as models are trained on unless their file says otherwise.
        seed: of the pokes; every location gets the same.
        tracker: one of `TRACKERS`.
        measure: the one that heat shows, of the table's maps.
        batch: number of videos predicted at once; does not change the map.
        threads: number of tracking threads.
    """

    pokes: int = 100
    longest: float = LONGEST
    frames: int = 10
    seed: int = 0
    tracker: str = "dis"
    measure: str = MEASURE
    batch: int = 25
    threads: int = 2

    def __post_init__(self) -> None:
        if not 2 <= self.pokes <= MAX_POKES:
            raise InputError(f"{self.pokes} pokes were asked for; choose 2 ... {MAX_POKES}: one alone has no variance.")
        if not 0 < self.longest <= 1:
            raise InputError(f"the longest poke is {self.longest:g} of the picture's side; choose above 0 and up to 1.")
        if self.frames < 1:
            raise InputError(f"{self.frames} frames were asked for; at least 1 must be.")
        for kind, name, known in (("tracker", self.tracker, TRACKERS), ("measure", self.measure, REPORTS["maps"])):
            if name not in known:
                raise InputError(f"there is no {kind} {name!r}; choose one of {', '.join(known)}.")


def with_frames(settings: Settings, frames: int | None, about: Mapping[str, Any]) -> Settings:
    """Settings with T as asked for, else as in the model's training settings, else unchanged."""
    if frames is None:
        trained = None if sees(about) else about.get("train")  # seeing models were trained on fields at T = 10
        frames = settings.frames if trained is None else from_json(trained).data.horizon
    return replace(settings, frames=frames)


@dataclass(frozen=True)
class CorrelationMap:
    """Correlation of every pixel's motion with pokes at one location.

    Attributes:
        poke_at: l, in pixels of the map.
        values: measure -> its map; the measures are the table's maps.
        still: measure -> the value of a pixel that never moves, under the same pokes.
        measure: the one that the heat shows.
    """

    poke_at: Pair
    values: Mapping[str, Float64[np.ndarray, "h w"]]
    still: Mapping[str, float]
    measure: str = MEASURE

    def by(self, measure: str) -> "CorrelationMap":
        """The same responses by the given measure."""
        return replace(self, measure=measure)

    @property
    def disagreement(self) -> Float64[np.ndarray, "h w"]:
        """Value of the measure, scaled: 0 for a pixel that follows and 1 for a still one; it may be more."""
        follows = MEASURES[self.measure].follows
        return (self.values[self.measure] - follows) / (self.still[self.measure] - follows)

    @property
    def heat(self) -> Float64[np.ndarray, "h w"]:
        """Correlation, 0 ... 1."""
        return correlation.heat(self.disagreement)


def map_of(
    flows: Float32[np.ndarray, "k 2 h w"], shifts: Float64[np.ndarray, "k 2"], location: Pair, measure: str = MEASURE
) -> CorrelationMap:
    """Map of given responses, tracked in a model's frames or exact. All lengths in pixels of the flows.

    Raises:
        InputError: if the pokes are too few, too short or all alike.
    """
    correlation.still_difference(shifts)  # checks them
    values, still = {}, {}
    for name in REPORTS["maps"]:
        function = MEASURES[name].function
        assert function is not None
        values[name] = function(flows, shifts)
        still[name] = float(function(np.zeros((len(shifts), 2, 1, 1)), shifts)[0, 0])
    return CorrelationMap(location, values, still, measure)


def random_shifts(count: int, longest: float, seed: int) -> Float64[np.ndarray, "k 2"]:
    """K random pokes: lengths uniform over `SHORTEST` ... 1 times the longest, directions uniform over the circle.

    Both are drawn in strata (a Latin square), one poke each, so a still pixel's variance hardly depends on the seed.
    """
    rng = np.random.default_rng(seed)
    length, turn = ((rng.permutation(count) + rng.random(count)) / count for _ in range(2))
    length, angle = longest * (SHORTEST + (1 - SHORTEST) * length), 2 * np.pi * turn
    return length[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
