"""Means with honest intervals: clips of one video are not independent, so videos are what is resampled."""

from dataclasses import dataclass

import numpy as np

_DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over clips and its 95 % interval by cluster bootstrap."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def cluster_mean(values: list[float], clusters: list[str], seed: int = 0) -> Interval:
    """The mean of `values`, and its interval over resampled clusters (videos or scenes). NaN values are left out."""
    kept = [(v, c) for v, c in zip(values, clusters, strict=True) if v == v]
    if not kept:
        return Interval(float("nan"), float("nan"), float("nan"))
    groups: dict[str, list[float]] = {}
    for value, cluster in kept:
        groups.setdefault(cluster, []).append(value)
    sums = np.array([sum(g) for g in groups.values()])
    counts = np.array([len(g) for g in groups.values()])
    drawn = np.random.default_rng(seed).integers(len(sums), size=(_DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))
