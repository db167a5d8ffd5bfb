"""The Frechet distance of Gaussians: known answers, streaming, and what it says where clips are few."""

import pytest
import torch
from torch import Tensor

from poke2vid.measures.moments import Moments, frechet_bias, frechet_distance
from poke2vid.types import InputError


def gaussian(mean: list[float], covariance: list[list[float]], count: int = 1000) -> Moments:
    """Moments that are exactly these."""
    s = torch.tensor(covariance, dtype=torch.float64)
    return Moments(count, torch.tensor(mean, dtype=torch.float64), s * (count - 1))


def normal(count: int, dimensions: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlated(count: int, dimensions: int, seed: int, scale: float = 1.0) -> Tensor:
    """Features with a covariance that is neither diagonal nor even, and a mean of their own."""
    mixing = normal(dimensions, dimensions, seed=99) * torch.linspace(0.1, 3, dimensions, dtype=torch.float64)
    return scale * normal(count, dimensions, seed) @ mixing + torch.arange(dimensions)


# Known answers


def test_on_a_line_it_is_the_difference_of_means_and_of_deviations():
    assert frechet_distance(gaussian([1.0], [[4.0]]), gaussian([4.0], [[25.0]])) == pytest.approx(3**2 + (5 - 2) ** 2)


def test_commuting_covariances_differ_by_their_deviations_on_each_axis():
    a, b = (
        gaussian([0, 0, 0], [[1, 0, 0], [0, 4, 0], [0, 0, 9]]),
        gaussian([1, 0, 2], [[4, 0, 0], [0, 4, 0], [0, 0, 1]]),
    )
    assert frechet_distance(a, b) == pytest.approx(5 + 1 + 0 + 4)


def test_covariances_that_do_not_commute_give_the_number_worked_out_by_hand():
    # For 2 x 2, tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det A det B)); here tr AB = 10, det A = 4, det B = 3.
    a, b = gaussian([0, 0], [[4, 0], [0, 1]]), gaussian([0, 3], [[2, 1], [1, 2]])
    assert torch.linalg.norm(a.covariance @ b.covariance - b.covariance @ a.covariance) > 1
    assert frechet_distance(a, b) == pytest.approx(9 + 5 + 4 - 2 * (10 + 2 * 12**0.5) ** 0.5, rel=1e-12)
    assert frechet_distance(a, b) == pytest.approx(9.7712204, abs=1e-6)


def test_it_agrees_with_the_root_of_the_product_found_by_newtons_iteration():
    a, b = Moments.of(correlated(300, 8, 1)), Moments.of(correlated(300, 8, 2, scale=1.5))
    product = a.covariance @ b.covariance
    y, z = product / product.norm(), torch.eye(8, dtype=torch.float64)
    for _ in range(60):  # Denman and Beavers: y goes to the root of the product, and nothing here is symmetric
        y, z = (y + z.inverse()) / 2, (z + y.inverse()) / 2
    root = y * product.norm().sqrt()
    assert torch.allclose(root @ root, product, rtol=1e-6, atol=1e-8), "the reference is a root"
    expected = (a.mean - b.mean).square().sum() + (a.covariance + b.covariance - 2 * root).trace()
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-8)


def test_it_is_the_distance_between_points_where_nothing_varies():
    a, b = (Moments.of(torch.full((5, 3), value)) for value in (1.0, 3.0))
    assert frechet_distance(a, b) == pytest.approx(3 * 4)


def test_equal_moments_are_at_distance_zero_and_never_below_also_without_full_rank():
    for count in (2, 5, 40, 400):
        moments = Moments.of(1e3 * correlated(count, 60, seed=count))
        distance = frechet_distance(moments, moments)
        assert 0 <= distance < 1e-11 * float(moments.covariance.trace())


def test_fewer_clips_than_dimensions_give_the_exact_distance():
    # Each varies along one axis of its own, so that the covariances share nothing: d^2 is the sum of both traces.
    a, b = torch.zeros(4, 50), torch.zeros(4, 50)
    a[:, 3], b[:, 7] = torch.tensor([-1.0, 1, -1, 1]), torch.tensor([-3.0, 3, -3, 3])
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(4 / 3 + 36 / 3, rel=1e-12)
    b = b.roll(-4, dims=1)  # along the same axis: the difference of the deviations
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx((12**0.5 - (4 / 3) ** 0.5) ** 2, rel=1e-12)


@pytest.mark.parametrize("counts", [(300, 200), (7, 200), (5, 6)])
def test_it_is_symmetric(counts: tuple[int, int]):
    a, b = (Moments.of(correlated(count, 30, seed, 1 + seed)) for seed, count in enumerate(counts))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert frechet_distance(a, b) > 1


def test_it_does_not_depend_on_where_and_how_the_axes_lie():
    turn = torch.linalg.qr(normal(10, 10, seed=5)).Q
    a, b = correlated(50, 10, 1), correlated(60, 10, 2, scale=2)
    moved = [Moments.of(features @ turn + 1e3) for features in (a, b)]
    assert frechet_distance(*moved) == pytest.approx(frechet_distance(Moments.of(a), Moments.of(b)), rel=1e-8)


# Streaming


def close(a: Moments, b: Moments) -> bool:
    same = torch.allclose(a.mean, b.mean, rtol=1e-12) and torch.allclose(a.scatter, b.scatter, rtol=1e-9, atol=1e-9)
    return a.count == b.count and same


def test_batches_of_any_size_give_the_moments_of_the_whole():
    features = correlated(100, 6, seed=3)
    streamed = Moments.empty(6)
    for part in features.split((1, 2, 40, 57)):
        streamed = streamed.merge(Moments.of(part))
    assert close(streamed, Moments.of(features))
    assert torch.allclose(streamed.covariance, torch.cov(features.T), rtol=1e-10)
    assert torch.allclose(streamed.mean, features.mean(dim=0))


def test_a_large_offset_costs_no_digits():
    features = normal(1000, 3)
    streamed = Moments.empty(3)
    for part in (features + 1e6).split(10):
        streamed = streamed.merge(Moments.of(part))
    assert torch.allclose(streamed.covariance, torch.cov(features.T), rtol=1e-7, atol=1e-8)
    assert streamed.covariance.dtype == torch.float64


def test_features_of_single_precision_are_summed_in_double():
    features = normal(1000, 3).float() + 1000
    assert torch.allclose(Moments.of(features).covariance, torch.cov(features.double().T), rtol=1e-12)


def test_merging_counts_both_and_changes_neither():
    a, b = Moments.of(correlated(30, 4, 1)), Moments.of(correlated(50, 4, 2, scale=3))
    before = (a.count, a.mean.clone(), a.scatter.clone())
    both = torch.cat((correlated(30, 4, 1), correlated(50, 4, 2, scale=3)))
    assert close(a.merge(b), Moments.of(both))
    assert close(b.merge(a), Moments.of(both))
    assert close(Moments.empty(4).merge(a), a)
    assert close(a.merge(Moments.empty(4)), a)
    assert a.count == before[0]
    assert torch.equal(a.mean, before[1])
    assert torch.equal(a.scatter, before[2])


# Refusals


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused_and_counted(value: float):
    features = normal(10, 4)
    features[3, 1] = features[3, 2] = features[7, 0] = value
    moments = Moments.of(normal(5, 4))
    with pytest.raises(InputError, match="2 of 10 clips"):
        moments = moments.merge(Moments.of(features))
    assert close(moments, Moments.of(normal(5, 4))), "nothing of the batch was taken in"


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_clip_has_no_distribution(count: int):
    few, many = Moments.of(normal(count, 4)), Moments.of(normal(10, 4))
    for pair in ((few, many), (many, few)):
        with pytest.raises(InputError, match=f"{count} clip.* at least 2"):
            frechet_distance(*pair)
    with pytest.raises(InputError, match="at least 2"):
        frechet_bias(many, 10, count, seed=0)


def test_features_of_two_extractors_are_not_compared():
    with pytest.raises(InputError, match="400 and of 600"):
        frechet_distance(Moments.empty(400), Moments.empty(600))
    with pytest.raises(InputError, match="3 and of 4"):
        Moments.empty(3).merge(Moments.of(normal(5, 4)))


# Bias


def test_the_bias_shrinks_with_the_number_of_clips():
    real = Moments.of(correlated(5000, 20, 1))
    biases = [frechet_bias(real, n, n, seed=0, draws=8) for n in (50, 200, 800)]
    assert biases[0] > 2 * biases[1] > 4 * biases[2] > 0


def test_the_bias_equals_the_distance_between_samples_of_one_distribution():
    features = correlated(4000, 20, 7)
    parts = features.split(100)
    measured = [frechet_distance(Moments.of(a), Moments.of(b)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    simulated = frechet_bias(Moments.of(features), 100, 100, seed=1, draws=20)
    assert simulated == pytest.approx(sum(measured) / len(measured), rel=0.1)


def test_the_bias_matches_two_halves_of_the_sample_it_was_taken_from():
    features = correlated(2000, 10, 8)
    halves = frechet_distance(Moments.of(features[:1000]), Moments.of(features[1000:]))
    assert frechet_bias(Moments.of(features), 1000, 1000, seed=1, draws=20) == pytest.approx(halves, rel=0.5)


def test_the_bias_on_a_line_is_the_one_of_theory():
    # Means differ by 2 S / n on average; deviations by S / n, since the variance of a deviation is S / 2n.
    bias = frechet_bias(gaussian([5.0], [[9.0]]), 200, 200, seed=0, draws=2000)
    assert bias == pytest.approx(3 * 9 / 200, rel=0.1)


def test_the_bias_is_a_function_of_its_seed_and_grows_with_the_square_of_scale():
    real, twice = Moments.of(correlated(500, 10, 1)), Moments.of(correlated(500, 10, 1, scale=2))
    assert frechet_bias(real, 50, 60, seed=3) == frechet_bias(real, 50, 60, seed=3)
    assert frechet_bias(real, 50, 60, seed=3) != frechet_bias(real, 50, 60, seed=4)
    assert frechet_bias(twice, 50, 60, seed=3) == pytest.approx(4 * frechet_bias(real, 50, 60, seed=3), rel=0.05)


def test_without_variance_there_is_no_bias():
    assert frechet_bias(Moments.of(torch.ones(5, 3)), 5, 5, seed=0) == 0


def test_a_bias_simulated_from_too_few_clips_is_below_the_true_one():
    features = correlated(3000, 60, 9)
    true = frechet_bias(Moments.of(features), 40, 40, seed=0)
    assert frechet_bias(Moments.of(features[:40]), 40, 40, seed=0) < true
