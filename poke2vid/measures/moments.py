"""Frechet distance between two sets of features, as Gaussians, and its bias above zero from too few clips.

Nothing here depends on the kind of features; the FVD of the paper (App. F) is this distance over I3D's logits.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from poke2vid.types import InputError

FEWEST = 2  # clips; a single one has no covariance
_RANK_TOLERANCE = 1e-12  # of the largest variance; smaller ones are rounding errors


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of features seen so far, in float64; d x d numbers for any number of clips.

    Batches are added by the update of Chan, Golub and LeVeque (1983), which never subtracts two large sums. The order
    of batches changes the result by rounding alone.

    Attributes:
        count: clips seen, n.
        mean: mu over all clips; zero before the first.
        scatter: sum over clips of (f - mu) (f - mu)^T.
    """

    count: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    @classmethod
    def empty(cls, dimensions: int) -> "Moments":
        """Moments before the first clip."""
        return cls(0, torch.zeros(dimensions, dtype=torch.float64), torch.zeros(2 * (dimensions,), dtype=torch.float64))

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> "Moments":
        """Moments of one batch.

        Raises:
            InputError: if a feature is NaN or infinite.
        """
        if not features.isfinite().all():
            bad = int((~features.isfinite()).any(dim=1).sum())
            raise InputError(
                f"{bad} of {len(features)} clips have features that are NaN or infinite, and only finite ones have moments: "
                "look for frames that are not finite, and leave out such clips."
            )
        if len(features) == 0:
            return cls.empty(features.shape[1])
        values = features.detach().to("cpu", torch.float64)
        mean = values.mean(dim=0)
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    @property
    def dimensions(self) -> int:
        return self.mean.shape[0]

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets of clips together; raises InputError if their features differ in dimensions."""
        _same_dimensions(self.dimensions, other.dimensions)
        if not self.count or not other.count:
            return other if not self.count else self
        total = self.count + other.count
        step = other.mean - self.mean
        apart = torch.outer(step, step) * (self.count * other.count / total)
        return Moments(total, self.mean + step * (other.count / total), self.scatter + other.scatter + apart)

    @property
    def covariance(self) -> Float64[Tensor, "d d"]:
        """S, the unbiased estimate: scatter / (n - 1), as the public implementations of FVD take it.

        Raises:
            InputError: if there are fewer than two clips.
        """
        if self.count < FEWEST:
            raise InputError(
                f"{self.count} clip{'' if self.count == 1 else 's'} cannot be compared with a distribution: give at least "
                f"{FEWEST}, and better more than the {self.dimensions} dimensions of the features."
            )
        return self.scatter / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared Frechet distance of two Gaussians, which is what FID and FVD report.

    d^2 = |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

    The root's trace is computed as the sum of the singular values of S_a^(1/2) S_b^(1/2), each factor from a symmetric
    eigendecomposition. This is the same number without roots of rounding errors, so covariances without full rank
    (fewer clips than dimensions) are exact too. Symmetric, and never below 0.

    Raises:
        InputError: if one of them has seen fewer than two clips, or their features differ in dimensions.
    """
    _same_dimensions(a.dimensions, b.dimensions)
    s_a, s_b = a.covariance, b.covariance
    shared = torch.linalg.svdvals(_factor(s_a).T @ _factor(s_b)).sum()
    distance = (a.mean - b.mean).square().sum() + s_a.trace() + s_b.trace() - 2 * shared
    return max(float(distance), 0.0)


def frechet_bias(real: Moments, count_a: int, count_b: int, seed: int, draws: int = 4) -> float:
    """Mean `frechet_distance` between `count_a` and `count_b` clips of the *same* distribution; 0 for infinitely many.

    Simulated with the Gaussian of the real features. If these are fewer than their dimensions, their covariance covers
    only some directions, and the true bias is larger than the result.

    Args:
        count_a, count_b: at least two each.
        seed: of the simulation; the result is a function of it.
        draws: pairs of samples to average.

    Raises:
        InputError: if a side, or the real features, have fewer than two clips.
    """
    for count in (count_a, count_b):
        if count < FEWEST:
            raise InputError(f"{count} clips have no distribution: give at least {FEWEST} on either side.")
    # Rotations change no distance, so samples are drawn as independent numbers along the axes of S.
    variances = torch.linalg.eigvalsh(real.covariance)
    deviations = variances[variances > _RANK_TOLERANCE * variances[-1].clamp_min(0)].sqrt()
    if len(deviations) == 0:
        return 0.0
    generator = torch.Generator().manual_seed(seed)

    def sample(count: int) -> Moments:
        normal = torch.randn(count, len(deviations), generator=generator, dtype=torch.float64)
        return Moments.of(normal * deviations)

    return sum(frechet_distance(sample(count_a), sample(count_b)) for _ in range(draws)) / draws


def _factor(covariance: Float64[Tensor, "d d"]) -> Float64[Tensor, "d r"]:
    """L with S = L L^T; its columns lie along the axes of S, without those of zero variance."""
    variances, axes = torch.linalg.eigh(covariance)
    kept = variances > _RANK_TOLERANCE * variances[-1].clamp_min(0)
    return axes[:, kept] * variances[kept].sqrt()


def _same_dimensions(a: int, b: int) -> None:
    if a != b:
        raise InputError(f"Features of {a} and of {b} dimensions cannot be compared: take both from one extractor.")
