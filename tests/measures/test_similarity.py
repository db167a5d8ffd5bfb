"""PSNR, SSIM and sharpness against numbers worked out by hand, and against implementations that are not ours."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poke2vid.measures.frames import psnr, sharpness, ssim


def clip(*values: float, side: int = 6) -> Tensor:
    """Frames of one value each."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, side, side).clone()


# PSNR and sharpness


def test_psnr_is_ten_times_the_logarithm_of_the_range_squared_over_the_error() -> None:
    assert float(psnr(clip(0.2), clip(0.0))) == pytest.approx(20.0, abs=1e-3)  # 10 log10(2^2 / 0.2^2)


def test_psnr_is_averaged_over_frames_and_not_their_errors() -> None:
    assert float(psnr(clip(0.2, 0.02), clip(0.0, 0.0))) == pytest.approx((20 + 40) / 2, abs=1e-3)


def test_equal_frames_have_the_highest_psnr_and_not_an_infinite_one() -> None:
    assert psnr(clip(0.3, -1.0), clip(0.3, -1.0)) == 100.0


def test_what_is_brighter_than_white_counts_as_white() -> None:
    assert psnr(clip(7.0), clip(1.0)) == 100.0


def test_sharpness_is_the_gradient_energy_over_the_truths() -> None:
    truth = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(sharpness(truth, truth)) == pytest.approx(1.0)
    assert float(sharpness(truth / 2, truth)) == pytest.approx(0.25, rel=1e-5)
    assert float(sharpness(clip(0.4, 0.1, side=8), truth)) == 0.0


def test_sharpness_sees_edges_along_both_axes() -> None:
    stripes = clip(0.0, side=8)
    stripes[..., ::2] = 1.0
    assert float(sharpness(stripes, stripes.mT)) == pytest.approx(1.0)
    assert float(sharpness(stripes, (stripes + stripes.mT) / 2)) == pytest.approx(2.0)  # half as high, twice as many


def test_a_blurred_clip_is_less_sharp() -> None:
    truth = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert 0 < sharpness(nn.functional.avg_pool2d(truth, 3, 1, 1), truth) < 0.3


# SSIM


def naive_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Window by window, as the formula is written; pictures `h w` in [0, 1]."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            m, n = (window * p).sum(), (window * q).sum()
            v, w = (window * (p - m) ** 2).sum(), (window * (q - n) ** 2).sum()
            c = (window * (p - m) * (q - n)).sum()
            values.append((2 * m * n + 0.0001) * (2 * c + 0.0009) / ((m * m + n * n + 0.0001) * (v + w + 0.0009)))
    return float(np.mean(values))


def test_ssim_is_the_published_formula() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 1, (2, 3, 14, 17))
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1)
    expected = np.mean([naive_ssim(a[t, c], b[t, c]) for t in range(2) for c in range(3)])
    found = float(ssim(torch.from_numpy(b).float() * 2 - 1, torch.from_numpy(a).float() * 2 - 1))
    assert 0.5 < expected < 0.99
    assert found == pytest.approx(expected, abs=1e-4)


def test_equal_frames_are_perfectly_similar_and_inverted_ones_are_not() -> None:
    x = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert float(ssim(x, x)) == pytest.approx(1.0, abs=1e-5)
    assert ssim(-x, x) < 0
    black, grey = torch.full((1, 3, 12, 12), -1.0), torch.zeros(1, 3, 12, 12)
    assert float(ssim(grey, black)) == pytest.approx(0.0001 / (0.25 + 0.0001), rel=1e-3)  # only the luminance differs


def noisy_clips() -> tuple[Tensor, Tensor]:
    """Two batches of two clips of three frames, of structure and some noise."""
    generator = torch.Generator().manual_seed(3)
    smooth = nn.functional.avg_pool2d(torch.rand(6, 3, 40, 44, generator=generator), 5, 1, 2)
    x = ((smooth - 0.5) * 4).clamp(-1, 1)
    return (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(-1, 1).unflatten(0, (2, 3)), x.unflatten(
        0, (2, 3)
    )


def test_ssim_and_psnr_are_those_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is the independent implementation")
    x_hat, x = noisy_clips()
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    frames = [
        ((a + 1) / 2, (b + 1) / 2) for a, b in zip(x_hat.double().flatten(0, 1), x.double().flatten(0, 1), strict=True)
    ]
    ssims = [metrics.structural_similarity(a.numpy(), b.numpy(), channel_axis=0, **options) for a, b in frames]
    psnrs = [metrics.peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=1.0) for a, b in frames]
    assert ssim(x_hat, x).tolist() == pytest.approx(np.reshape(ssims, (2, 3)).mean(axis=1), abs=2e-5)
    assert psnr(x_hat, x).tolist() == pytest.approx(np.reshape(psnrs, (2, 3)).mean(axis=1), abs=1e-3)


def test_a_batch_of_clips_gives_what_each_clip_gives_alone() -> None:
    x_hat, x = noisy_clips()
    for measure in (psnr, ssim, sharpness):
        together = measure(x_hat, x)
        assert together.shape == (2,)
        assert together.tolist() == pytest.approx(
            [float(measure(a, b)) for a, b in zip(x_hat, x, strict=True)], rel=1e-5
        )
