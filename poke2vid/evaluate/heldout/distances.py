"""Frechet distances of a row to real clips, with intervals, clip counts and the floor that too few clips cause."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from poke2vid.evaluate.heldout.rows import FOLDS, Fewest, Measured
from poke2vid.measures.moments import FEWEST, Moments, frechet_bias, frechet_distance
from poke2vid.measures.statistics import Interval, jackknife, shown

SPLITS = 6  # random ways to split the videos into halves
SPAN = (0.0, math.inf)  # of distances


@dataclass(frozen=True)
class Distance:
    """One cell of a column of distances.

    Attributes:
        interval: the distance and its 95 % interval, leaving each of `FOLDS` parts of the videos out of both sides.
        without: the distance without each of these parts, in their order.
        shares: of the clips that each of these parts has, mean of both sides; hashed names make them unequal.
        generated, real: number of clips on either side.
    """

    interval: Interval
    without: tuple[float, ...]
    shares: tuple[float, ...]
    generated: int
    real: int

    def of_parts(self, shares: tuple[float, ...]) -> "Distance":
        """The same with parts of these sizes, and the interval that follows: what is kept of a row does not name them."""
        value = self.interval.mean
        return replace(self, shares=shares, interval=jackknife(value, self.without, shares).within(SPAN))


@dataclass(frozen=True)
class Floor:
    """Size of a column's distances that comes from too few clips alone.

    Attributes:
        halves: mean distance between the real clips of one half of the videos' parts and the other, over `SPLITS`
            splits; NaN if there are too few. Clips of one video are alike: this estimates the distance to other videos.
        half: number of clips in the smallest such half.
        independent: distance between samples of `generated` and `real` *independent* clips of the real ones' Gaussian.
        dimensions: of the features; with no more clips than that, a covariance has undetermined directions.
    """

    halves: float
    half: int
    independent: float
    generated: int
    real: int
    dimensions: int

    def sentence(self) -> str:
        """Summary for a report: counts, floors, and a warning if there are too few clips."""
        halves = few = ""
        if not np.isnan(self.halves):
            halves = (
                f"; real clips of half of the videos are {shown(self.halves)} from those of the other half (at least "
                f"{self.half} on either side)"
            )
        if min(self.generated, self.real) <= self.dimensions:
            few = (
                f"; warning: these are no more clips than the features have dimensions ({self.dimensions}): compare with "
                "numbers of equal counts only"
            )
        return (
            f"{self.generated} clips against {self.real} real ones{halves}, and as many independent clips of one "
            f"distribution {shown(self.independent)} apart{few}"
        )


def too_few(row: Measured, real: Measured, fewest: Fewest) -> dict[str, str]:
    """Reasons to give no distance, by extractor; those with enough clips and videos are left out."""
    found = {}
    for name, parts in row.moments.items():
        sides = merged(parts), merged(real.moments[name])
        # The first clips of a row are those that have features.
        videos = min(len(set(row.videos[: sides[0].count])), len(set(real.videos[: sides[1].count])))
        clips = max(FEWEST, fewest.clips(sides[0].dimensions))
        if min(side.count for side in sides) < clips:
            counts = " and ".join(str(side.count) for side in sides)
            found[name] = f"too few clips: {counts}, where {sides[0].dimensions} features need {clips}"
        elif videos < fewest.videos:
            found[name] = f"too few videos: clips of {videos}, where a distance and its interval need {fewest.videos}"
    return found


def distances(row: Measured, real: Measured, fewest: Fewest) -> dict[str, Distance]:
    """Distances by extractor, but for those of `too_few`."""
    found, reasons = {}, too_few(row, real, fewest)
    for name, parts in row.moments.items():
        generated, true = merged(parts), merged(real.moments[name])
        if name in reasons:
            continue
        filled = [fold for fold in range(FOLDS) if parts[fold].count or real.moments[name][fold].count]
        left = {fold: (merged(parts, {fold}), merged(real.moments[name], {fold})) for fold in filled}
        left = {fold: sides for fold, sides in left.items() if min(side.count for side in sides) >= FEWEST}
        without = tuple(frechet_distance(*sides) for sides in left.values())
        shares = tuple(1 - (a.count / generated.count + b.count / true.count) / 2 for a, b in left.values())
        value = Interval(frechet_distance(generated, true), 0.0, math.inf)
        found[name] = Distance(value, without, (), generated.count, true.count).of_parts(shares)
    return found


def floors(real: Measured, generated: int, seed: int = 0) -> dict[str, Floor]:
    """Floors by extractor, for rows of `generated` clips; fewer than two clips on either side give none."""
    found, rng = {}, np.random.default_rng(seed)
    for name, parts in real.moments.items():
        whole = merged(parts)
        if min(whole.count, generated) < FEWEST:
            continue
        filled = [fold for fold in range(FOLDS) if parts[fold].count]
        apart = list[tuple[float, int]]()
        for _ in range(SPLITS if len(filled) >= 2 else 0):
            chosen = set(rng.permutation(filled)[: len(filled) // 2].tolist())
            halves = merged(parts, chosen), merged(parts, set(range(FOLDS)) - chosen)
            if min(half.count for half in halves) >= FEWEST:
                apart.append((frechet_distance(*halves), min(half.count for half in halves)))
        distance = float(np.mean([d for d, _ in apart])) if apart else float("nan")
        half = min((n for _, n in apart), default=0)
        bias = frechet_bias(whole, generated, whole.count, seed)
        found[name] = Floor(distance, half, bias, generated, whole.count, whole.dimensions)
    return found


def mean_interval(found: Sequence[Distance]) -> Interval:
    """Mean distance of several training seeds on the same clips, with its interval over videos."""
    value, without = _averaged(found)
    return jackknife(value, without.tolist(), found[0].shares).within(SPAN)


def difference(first: Sequence[Distance], second: Sequence[Distance]) -> Interval:
    """Distance of the first row minus the second's, both means over training seeds; paired by parts of the videos."""
    (a, without_a), (b, without_b) = _averaged(first), _averaged(second)
    return jackknife(a - b, (without_a - without_b).tolist(), first[0].shares)


def _averaged(found: Sequence[Distance]) -> tuple[float, np.ndarray]:
    """Means over training seeds: of the distance, and of those without each part of the videos."""
    value = float(np.mean([distance.interval.mean for distance in found]))
    return value, np.mean([distance.without for distance in found], axis=0)


def merged(parts: list[Moments], without: Set[int] = frozenset()) -> Moments:
    """Moments of all parts except those in `without`."""
    kept = [part for fold, part in enumerate(parts) if fold not in without]
    return reduce(Moments.merge, kept, Moments.empty(parts[0].dimensions))
