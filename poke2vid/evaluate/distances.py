"""Frechet distances of a row to real clips, each with its interval, its counts, and what real clips are apart themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from poke2vid.evaluate.rows import FOLDS, Measured
from poke2vid.measures.moments import FEWEST, Moments, frechet_bias, frechet_distance
from poke2vid.measures.statistics import Interval, jackknife, shown

SPLITS = 6  # ways of parting the videos in halves


@dataclass(frozen=True)
class Distance:
    """One cell of a column of distances.

    Attributes:
        interval: the distance, and its 95 % interval over `FOLDS` parts of the videos, left out of both sides in turn.
        without: the distance without each of these parts, in their order.
        generated, real: clips on either side.
    """

    interval: Interval
    without: tuple[float, ...]
    generated: int
    real: int


@dataclass(frozen=True)
class Floor:
    """How large a column's distances are for want of clips alone.

    Attributes:
        halves: between the real clips of one half of the videos' parts and those of the other, on average over `SPLITS` ways;
            NaN where there are too few. Clips of one video are alike, so this is what other videos would be apart.
        half: clips of the smallest such half.
        independent: between two samples of `generated` and `real` *independent* clips of the Gaussian of the real ones.
        dimensions: of the features; with no more clips than that, a covariance has directions that nothing is known of.
    """

    halves: float
    half: int
    independent: float
    generated: int
    real: int
    dimensions: int

    def sentence(self) -> str:
        """For a report."""
        said = f"{self.generated} clips against {self.real} real ones"
        if not np.isnan(self.halves):
            said += (
                f"; real clips of half of the videos are {shown(self.halves)} from those of the other half (at least "
                f"{self.half} on either side)"
            )
        said += f", and as many independent clips of one distribution {shown(self.independent)} apart"
        if min(self.generated, self.real) <= self.dimensions:
            said += (
                f"; warning: these are no more clips than the features have dimensions ({self.dimensions}), by which alone "
                f"distances are too large by {shown(self.independent)} or more: compare with numbers of equal counts only"
            )
        return said


def distances(row: Measured, real: Measured) -> dict[str, Distance]:
    """By extractor; one that has not seen two clips on both sides is left out."""
    found = {}
    for name, parts in row.moments.items():
        generated, true = merged(parts), merged(real.moments[name])
        if min(generated.count, true.count) < FEWEST:
            continue
        without = []
        for fold in range(FOLDS):
            if parts[fold].count or real.moments[name][fold].count:
                left = merged(parts, {fold}), merged(real.moments[name], {fold})
                if min(side.count for side in left) >= FEWEST:
                    without.append(frechet_distance(*left))
        value = frechet_distance(generated, true)
        found[name] = Distance(_positive(jackknife(value, without)), tuple(without), generated.count, true.count)
    return found


def floors(real: Measured, generated: int, seed: int = 0) -> dict[str, Floor]:
    """By extractor, for rows of so many clips; columns with fewer than two real clips are left out."""
    found, rng = {}, np.random.default_rng(seed)
    for name, parts in real.moments.items():
        whole = merged(parts)
        if min(whole.count, generated) < FEWEST:
            continue
        filled = [fold for fold in range(FOLDS) if parts[fold].count]
        apart, counts = [], []
        for _ in range(SPLITS if len(filled) >= 2 else 0):
            chosen = set(rng.permutation(filled)[: len(filled) // 2].tolist())
            halves = merged(parts, chosen), merged(parts, set(range(FOLDS)) - chosen)
            if min(half.count for half in halves) >= FEWEST:
                apart.append(frechet_distance(*halves))
                counts.append(min(half.count for half in halves))
        found[name] = Floor(
            float(np.mean(apart)) if apart else float("nan"), min(counts) if counts else 0,
            frechet_bias(whole, generated, whole.count, seed), generated, whole.count, whole.dimensions,
        )  # fmt: skip
    return found


def mean_interval(found: Sequence[Distance]) -> Interval:
    """The mean of the distances of several training seeds on the same clips, and its interval over videos."""
    return _positive(
        jackknife(
            float(np.mean([distance.interval.mean for distance in found])),
            np.mean([distance.without for distance in found], axis=0).tolist(),
        )
    )


def difference(first: Sequence[Distance], second: Sequence[Distance]) -> Interval:
    """How much farther the first row is than the second, both means over training seeds; paired by parts of the videos."""
    (a, without_a), (b, without_b) = (
        (
            float(np.mean([distance.interval.mean for distance in row])),
            np.mean([distance.without for distance in row], axis=0),
        )
        for row in (first, second)
    )
    return jackknife(a - b, (without_a - without_b).tolist())


def merged(parts: list[Moments], without: frozenset[int] | set[int] = frozenset()) -> Moments:
    """All parts together, but for some."""
    kept = [part for fold, part in enumerate(parts) if fold not in without]
    return reduce(lambda a, b: a.merge(b), kept, Moments.empty(parts[0].dimensions))


def _positive(interval: Interval) -> Interval:
    """No distance is below 0, whatever Student's t says."""
    return interval if math.isinf(interval.high) else Interval(interval.mean, max(0.0, interval.low), interval.high)
