"""Frechet distances of a row to real clips, each with its interval, its counts and its bias."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from poke2vid.evaluate.distribution.moments import FEWEST, Moments, bias_warning, frechet_bias, frechet_distance
from poke2vid.evaluate.rows import FOLDS, Measured
from poke2vid.evaluate.statistics import Interval, jackknife


@dataclass(frozen=True)
class Distance:
    """One cell of a column of distances.

    Attributes:
        interval: the distance, and its 95 % interval over tenths of the videos, left out of both sides in turn.
        without: the distance without each of these tenths.
        generated, real: clips on either side.
        bias: what two samples of these sizes from one and the same distribution are apart, on average.
        warning: one sentence where that is a part of the distance that matters; empty otherwise.
    """

    interval: Interval
    without: tuple[float, ...]
    generated: int
    real: int
    bias: float
    warning: str


def distances(row: Measured, real: Measured, seed: int = 0) -> dict[str, Distance]:
    """By extractor; one that has not seen two clips on both sides is left out."""
    found = {}
    for name, parts in row.moments.items():
        generated, true = merged(parts), merged(real.moments[name])
        if min(generated.count, true.count) < FEWEST:
            continue
        without = []
        for fold in range(FOLDS):
            if parts[fold].count or real.moments[name][fold].count:
                left = merged(parts, fold), merged(real.moments[name], fold)
                if min(side.count for side in left) >= FEWEST:
                    without.append(frechet_distance(*left))
        found[name] = Distance(
            jackknife(frechet_distance(generated, true), without), tuple(without), generated.count, true.count,
            frechet_bias(true, generated.count, true.count, seed), bias_warning(true, generated, seed) or "",
        )  # fmt: skip
    return found


def mean_interval(found: Sequence[Distance]) -> Interval:
    """The mean of the distances of several training seeds on the same clips, and its interval over videos."""
    return jackknife(
        float(np.mean([distance.interval.mean for distance in found])),
        np.mean([distance.without for distance in found], axis=0).tolist(),
    )


def merged(parts: list[Moments], without: int | None = None) -> Moments:
    """All parts together, but for one."""
    kept = [part for fold, part in enumerate(parts) if fold != without]
    return reduce(lambda a, b: a.merge(b), kept, Moments.empty(parts[0].dimensions))
