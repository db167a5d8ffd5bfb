"""SRVP: its Euler steps, its divergences, the frames that it takes content and skips from, and its published sizes."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence

from poke2vid.baselines import srvp
from poke2vid.baselines.baseline import BaselineClips
from poke2vid.baselines.layers import Normal
from poke2vid.baselines.srvp import PRESETS, FrameDecoder, Srvp, SrvpConfig, negative_log_likelihood, random_frames
from poke2vid.types import InputError

TINY = SrvpConfig(
    resolution=32, channels=2, code=12, state=5, latent=4, inference_width=16, dynamics_width=16, euler_steps=2
)
SIDE = TINY.resolution


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(**changes: object) -> Srvp:
    torch.manual_seed(0)
    return Srvp(SrvpConfig(**{**vars(TINY), **changes}))  # type: ignore[arg-type]


def clips(batch: int = 3, length: int = 6, seed: int = 0) -> BaselineClips:
    return BaselineClips(torch.rand(batch, length, 3, SIDE, SIDE, generator=generator(seed)) * 2 - 1)


def of_training(model: Srvp, given: BaselineClips, seed: int = 0) -> dict[str, Tensor]:
    return model.terms("model", given, 0, generator(seed))


def settle(model: Srvp, given: BaselineClips) -> None:
    """Gives the batch norms the statistics of the clips; an untrained net paints every clip alike without."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    of_training(model, given)
    model.eval()


class Decay(nn.Module):
    """f(y, z) = rate y."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, y_and_z: Tensor) -> Tensor:
        return self.rate * y_and_z[:, : TINY.state]


# Dynamics


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_euler_steps_of_a_linear_law_have_the_closed_form(steps: int) -> None:
    model = build(euler_steps=steps)
    model.f = Decay(-0.6)
    y_1, z = torch.randn(3, TINY.state, generator=generator()), torch.zeros(3, 4, TINY.latent)
    y, norms = model.unroll(y_1, z)
    factor = 1 - 0.6 / steps
    expected = torch.stack([y_1 * factor ** (steps * t) for t in range(5)], dim=1)
    torch.testing.assert_close(y, expected)
    assert norms.shape == (3, 4, steps)
    lengths = y_1.norm(dim=-1) * 0.6 / steps
    torch.testing.assert_close(norms[:, 0, 0], lengths)
    torch.testing.assert_close(norms[:, 1, -1], lengths * factor ** (2 * steps - 1))


def test_z_drives_all_euler_steps_of_its_own_frame_and_no_other() -> None:
    model = build(euler_steps=3, latent=TINY.state)

    class Drive(nn.Module):
        def forward(self, y_and_z: Tensor) -> Tensor:
            return y_and_z[:, TINY.state :]

    model.f = Drive()
    z = torch.randn(2, 4, TINY.state, generator=generator())
    y, _ = model.unroll(torch.zeros(2, TINY.state), z)
    torch.testing.assert_close(y[:, 1:], z.cumsum(dim=1))


def test_residuals_are_weighed_by_their_norm_not_its_square() -> None:
    model, given = build(l2_res=1.0), clips()
    model.f = Decay(1e-2)
    before = of_training(model, given)["residual"]
    model.f = Decay(1e-5)
    after = of_training(model, given)["residual"]
    assert (before / after).item() == pytest.approx(1000, rel=0.1)  # a square would make it a million


# Divergences


def test_divergences_are_those_of_torch() -> None:
    mean, scale, prior_mean, prior_scale = torch.rand(4, 2, 7, generator=generator()) + 0.1
    kl = Normal(mean, scale).kl(Normal(prior_mean, prior_scale))
    torch.testing.assert_close(kl, kl_divergence(TorchNormal(mean, scale), TorchNormal(prior_mean, prior_scale)))


def test_terms_are_means_over_clips_of_closed_divergences(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = build(beta_y=2.0, beta_z=3.0), clips()
    found: list[Normal] = []
    real = srvp._distribution

    def watched(numbers: Tensor) -> Normal:
        found.append(real(numbers))
        return found[-1]

    monkeypatch.setattr(srvp, "_distribution", watched)
    terms = of_training(model, given)
    q_y, q_z, p_z = (TorchNormal(d.mean, d.scale) for d in found)
    standard = TorchNormal(torch.zeros(3, TINY.state), torch.ones(3, TINY.state))
    torch.testing.assert_close(terms["kl_y"], 2 * kl_divergence(q_y, standard).sum() / 3)
    torch.testing.assert_close(terms["kl_z"], 3 * kl_divergence(q_z, p_z).sum() / 3)
    assert q_z.mean.shape == (3, 5, TINY.latent)  # z_2 ... z_6


def test_likelihood_is_that_of_a_normal_whose_scale_is_a_standard_deviation() -> None:
    x_hat, x = torch.rand(2, 2, 3, 3, 8, 8, generator=generator())
    expected = -TorchNormal(x_hat, torch.tensor(0.71)).log_prob(x).sum()
    torch.testing.assert_close(negative_log_likelihood(x_hat, x, 0.71), expected)


def test_perfect_frames_have_the_likelihood_of_the_constant_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = build(), clips()
    monkeypatch.setattr(FrameDecoder, "forward", lambda self, w, y, skips: (given.frames + 1) / 2)
    constant = given.frames[0].numel() * (math.log(0.71) + 0.5 * math.log(2 * math.pi))
    assert of_training(model, given)["nll"].item() == pytest.approx(constant, rel=1e-5)


# Frames of content and skips


def sources(model: Srvp, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Tensor]]:
    """Codes that the content is made from, and finest skips, of all calls after this one."""
    seen: dict[str, list[Tensor]] = {"codes": [], "skips": []}
    content, decoder = type(model.content).forward, FrameDecoder.forward

    def watched_content(self: nn.Module, codes: Tensor) -> Tensor:
        seen["codes"].append(codes)
        return content(self, codes)  # type: ignore[arg-type]

    def watched_decoder(self: FrameDecoder, w: Tensor, y: Tensor, skips: list[Tensor]) -> Tensor:
        seen["skips"].append(skips[0])
        return decoder(self, w, y, skips)

    monkeypatch.setattr(type(model.content), "forward", watched_content)
    monkeypatch.setattr(FrameDecoder, "forward", watched_decoder)
    return seen


def frame_of(values: Tensor, among: Tensor) -> int:
    """Number of the frame that the values belong to."""
    distances = [(values - candidate).abs().max().item() for candidate in among]
    assert min(distances) < 1e-5
    return distances.index(min(distances))


def test_in_training_skips_and_content_come_from_random_frames_of_the_whole_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, given = build(), clips()
    with torch.no_grad():
        codes, levels = model.encode((given.frames + 1) / 2)
    seen = sources(model, monkeypatch)
    for seed in range(16):
        of_training(model, given, seed)
    skips = {frame_of(skip[0], levels[0][0]) for skip in seen["skips"]}
    pairs = [[frame_of(code, codes[0]) for code in drawn[0]] for drawn in seen["codes"]]
    assert skips == set(range(6))
    assert {i for pair in pairs for i in pair} == set(range(6))
    assert all(len(set(pair)) == len(pair) == 2 for pair in pairs)  # never the same frame twice
    of_both = [[frame_of(skip[b], levels[0][b]) for b in range(2)] for skip in seen["skips"]]
    assert any(one != other for one, other in of_both)  # drawn for each clip


def test_in_test_skips_come_from_the_last_frame_seen_and_content_from_the_last_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, frames = build().eval(), clips(length=2).frames
    with torch.no_grad():
        codes, levels = model.encode((frames + 1) / 2)
        seen = sources(model, monkeypatch)
        model.predict(frames, 3, generator())
    torch.testing.assert_close(seen["skips"], [levels[0][:, 1]])
    torch.testing.assert_close(seen["codes"], [codes])


def test_random_frames_are_different_ones_below_the_length() -> None:
    drawn = random_frames(200, 5, 2, generator())
    assert drawn.shape == (200, 2)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert set(drawn.flatten().tolist()) == set(range(5))


def test_content_does_not_depend_on_the_order_of_its_frames() -> None:
    model, codes = build(), torch.rand(2, 2, TINY.code, generator=generator())
    torch.testing.assert_close(model.content(codes), model.content(codes.flip(1)))


def test_posteriors_see_no_later_frame() -> None:
    model = build()
    codes = torch.rand(2, 5, TINY.code, generator=generator())
    other = codes.clone()
    other[:, 3:] = 0
    torch.testing.assert_close(model.latents(codes).mean[:, :2], model.latents(other).mean[:, :2])  # z_2, z_3
    assert not torch.allclose(model.latents(codes).mean[:, 2], model.latents(other).mean[:, 2])
    torch.testing.assert_close(model.first_state(codes).mean, model.first_state(other).mean)


def test_skips_are_added_as_if_concatenated() -> None:
    block = build().decoder.blocks[2].eval()
    below, skip = torch.rand(4, 4, 8, 8, generator=generator()), torch.rand(2, 4, 16, 16, generator=generator(1))
    whole = torch.cat((block.from_below.weight, block.from_skip.weight), dim=1)
    up = below.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    both = torch.cat((up, skip.repeat_interleave(2, dim=0)), dim=1)
    expected = block.rest(block.join(nn.functional.conv2d(both, whole, padding=1)))
    torch.testing.assert_close(block(below, skip), expected)


# The whole


def test_gradients_reach_every_parameter() -> None:
    model = build()
    torch.stack(list(of_training(model, clips()).values())).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_generator_alone_decides_losses_and_frames() -> None:
    model, given = build(), clips()
    first, again, other = (of_training(model, given, seed) for seed in (1, 1, 2))
    assert set(first) == {"nll", "kl_y", "kl_z", "residual"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["kl_z"] != other["kl_z"]
    settle(model, given)
    with torch.no_grad():
        a, b, c = (model.predict(given.frames[:, :2], 4, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.shape == (3, 4, 3, SIDE, SIDE)
    assert a.min() >= -1 and a.max() <= 1


def test_steps_on_one_batch_lower_the_loss() -> None:
    model, given = build(obs_scale=0.2), clips(batch=4, length=4)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(15):
        loss = torch.stack(list(of_training(model, given).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 100


# Settings


def shapes(modules: Iterator[nn.Module], kind: type) -> list[tuple[int, ...]]:
    return [tuple(m.weight.shape) for m in modules if isinstance(m, kind)]  # type: ignore[union-attr]


def test_the_published_preset_has_the_published_sizes() -> None:
    config = PRESETS["srvp64"].network
    model = Srvp(config)
    assert [s[:2] for s in shapes(model.encoder.modules(), nn.Conv2d)] == [
        (64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256),
        (512, 256), (512, 512), (512, 512), (128, 512),
    ]  # fmt: skip
    assert shapes(model.f.modules(), nn.Linear) == [(512, 100), (512, 512), (512, 512), (50, 512)]
    assert shapes(model.prior.modules(), nn.Linear) == [(512, 50), (512, 512), (512, 512), (100, 512)]
    assert shapes(model.infer_state.modules(), nn.Linear) == [(256, 256), (256, 256), (100, 256)]
    assert shapes(model.content.modules(), nn.Linear) == [(256, 128), (256, 256)]
    assert (model.memory.input_size, model.memory.hidden_size) == (128, 256)
    assert tuple(model.decoder.first[0].weight.shape) == (256 + 50, 512, 4, 4)
    assert (config.euler_steps, config.obs_scale, config.residual_gain, config.inferred_from) == (2, 0.71, 1.41, 2)
    schedule = PRESETS["srvp64"]
    assert (schedule.hold, schedule.fall, schedule.batch) == (1_000_000, 500_000, 192)
    for weight in (m.weight for m in model.f if isinstance(m, nn.Linear)):
        short = weight if len(weight) <= weight.shape[1] else weight.T
        torch.testing.assert_close(short @ short.T, 1.41**2 * torch.eye(len(short)), atol=1e-4, rtol=0)


def test_the_small_preset_keeps_batch_norms_something_to_average_and_the_shape_of_the_schedule() -> None:
    small = PRESETS["srvp64-small"]
    assert small.batch >= 16
    assert small.hold == 2 * small.fall
    assert small.network == replace(PRESETS["srvp64"].network, channels=small.network.channels)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": 48}, "32, 64, 128"),
        ({"channels": 0}, "at least 1"),
        ({"euler_steps": 0}, "at least 1"),
        ({"dynamics_depth": 1}, "2 layers"),
        ({"inferred_from": 3}, "the frames seen"),
        ({"obs_scale": 0.0}, "above 0"),
        ({"beta_z": float("nan")}, "from 0 up"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        SrvpConfig(**wrong)  # type: ignore[arg-type]
