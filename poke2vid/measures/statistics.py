"""Means with intervals over clusters, since clips of one video are not independent; ranks.

A percentile bootstrap of few clusters promises too much: of 95 % it covers 81, 84, 92 and 93 % for 4, 6, 12 and 20 normal
clusters. So resamples are studentised (bootstrap-t; Efron & Tibshirani, An Introduction to the Bootstrap, section 12.5) from
four clusters on, and three have Student's t. `benchmarks/coverage.py` measures what is covered.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

FEWEST_CLUSTERS = 3  # fewer have no interval
_FEWEST_RESAMPLED = 4
_DRAWS = 2000
_WITHOUT_SPREAD = 0.05  # of resamples at most: more, as of values that are nearly all the same, and Student's t is used
# Student's t at 97.5 %, for 1, 2, ... 9 degrees of freedom; of more, the last.
_T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Interval:
    """A mean over clips and its 95 % interval over clusters, by bootstrap-t, Student's t or jackknife.

    The bounds of fewer than `FEWEST_CLUSTERS` clusters are infinite, since they tell too little about others.
    """

    mean: float
    low: float
    high: float

    def within(self, span: tuple[float, float]) -> "Interval":
        """The same with bounds inside the values that are possible, which Student's t does not know."""
        if math.isinf(self.low) or math.isinf(self.high):
            return self
        return Interval(self.mean, max(self.low, span[0]), min(self.high, span[1]))

    def __str__(self) -> str:
        if math.isinf(self.low) or math.isinf(self.high):
            return shown(self.mean)
        return f"{shown(self.mean)} [{shown(self.low)}, {shown(self.high)}]"


def shown(value: float) -> str:
    """Formats a number for people: three digits, and no exponent for thousands."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def cluster_mean(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> Interval:
    """The mean of `values`, and its interval over clusters (videos or scenes). NaN values are left out."""
    return cluster_ratio(values, [1.0] * len(values), clusters, seed)


def cluster_ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str], seed: int = 0
) -> Interval:  # fmt: skip
    """Ratio of two sums, such as errors as shares of lengths, with its interval; clips with a NaN are left out.

    A mean of ratios would be dominated by the few clips with the smallest denominators.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for a, b, cluster in zip(numerators, denominators, clusters, strict=True):
        if not math.isnan(a + b):
            groups.setdefault(cluster, []).append((a, b))
    if not groups:
        return Interval(float("nan"), float("nan"), float("nan"))
    sums = np.array([np.sum(group, axis=0) for group in groups.values()], np.float64)
    ratio, error = (float(value[0]) for value in _ratios(sums[None]))
    if len(sums) < FEWEST_CLUSTERS:
        return Interval(ratio, -math.inf, math.inf)
    half = _T_QUANTILES[min(len(sums) - 1, len(_T_QUANTILES)) - 1] * error
    if len(sums) < _FEWEST_RESAMPLED:
        return Interval(ratio, ratio - half, ratio + half)

    drawn = np.random.default_rng(seed).integers(len(sums), size=(_DRAWS, len(sums)))
    ratios, errors = _ratios(sums[drawn])
    spread = errors > 1e-9 * max(error, 1e-300)
    if np.mean(~spread) > _WITHOUT_SPREAD:
        return Interval(ratio, ratio - half, ratio + half)
    low, high = np.quantile((ratios - ratio)[spread] / errors[spread], (0.025, 0.975))
    return Interval(ratio, ratio - float(high) * error, ratio - float(low) * error)


def _ratios(
    sums: Float64[np.ndarray, "draws n 2"],
) -> tuple[Float64[np.ndarray, " draws"], Float64[np.ndarray, " draws"]]:
    """Ratios of sums over n clusters, and their standard errors by linearisation; 0 of one cluster."""
    count = sums.shape[1]
    above, below = sums.sum(axis=1).T
    ratios = above / below
    apart = sums[..., 0] - ratios[:, None] * sums[..., 1]
    return ratios, np.sqrt(count / max(count - 1, 1) * np.square(apart).sum(axis=1)) / np.abs(below)


def jackknife(value: float, without: Sequence[float], shares: Sequence[float] | None = None) -> Interval:
    """A statistic and its 95 % interval, from its values without each of several groups.

    For statistics that a bootstrap cannot resample without keeping all data (delete-a-group jackknife, Student's t; for groups
    of unequal size Busing, Meijer and van der Leeden 1999, "Delete-m jackknife for unequal m", eq. 4). Fewer than
    `FEWEST_CLUSTERS` groups give no interval.

    Args:
        shares: of all data that each group has, in (0, 1); equal ones if None.
    """
    groups = len(without)
    if groups < FEWEST_CLUSTERS:
        return Interval(value, -math.inf, math.inf)
    h = 1 / np.asarray(shares if shares is not None else [1 / groups] * groups, np.float64)
    left = np.asarray(without, np.float64)
    pseudo = h * value - (h - 1) * left
    centre = groups * value - float(((1 - 1 / h) * left).sum())
    spread = math.sqrt(float((np.square(pseudo - centre) / (h - 1)).mean()))
    half = _T_QUANTILES[min(groups - 1, len(_T_QUANTILES)) - 1] * spread
    return Interval(value, value - half, value + half)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rho, -1 ... 1: the correlation of ranks, ties sharing their mean.

    0 if only the first does not vary, since it does not follow the second; NaN if the second does not vary, or either
    holds NaN.
    """
    if np.isnan([*first, *second]).any():
        return float("nan")
    a, b = (ranks(np.asarray(values, np.float64)) for values in (first, second))
    if len(b) < 2 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 else 0.0


def ranks(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[inverse]
