"""IVRNN: its densely connected latents, its divergence, what each of its parts sees, and its published sizes."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence

from poke2vid.baselines.baseline import BaselineClips
from poke2vid.baselines.ivrnn import LATENT_SCALES, PRESETS, Ivrnn, IvrnnConfig, ResidualBlock
from poke2vid.baselines.layers import Normal, NormedConvLSTM
from poke2vid.types import InputError

TINY = IvrnnConfig(resolution=32, channels=4, latent=3)
SIDE = TINY.resolution


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(**changes: object) -> Ivrnn:
    torch.manual_seed(0)
    return Ivrnn(IvrnnConfig(**{**vars(TINY), **changes}))  # type: ignore[arg-type]


def stirred(model: Ivrnn) -> Ivrnn:
    """Gives the last norms of p and q weights, which are zero at first, so that they see something."""
    for net in (*model.prior, *model.posterior):
        nn.init.normal_(net.leave[1].weight, 0.0, 0.3, generator=generator(5))
    return model


def clips(batch: int = 2, length: int = 5, seed: int = 0) -> BaselineClips:
    return BaselineClips(torch.rand(batch, length, 3, SIDE, SIDE, generator=generator(seed)) * 2 - 1)


def total(model: Ivrnn, given: BaselineClips, seed: int = 0, step: int = 0) -> Tensor:
    return torch.stack(list(model.terms("model", given, step, generator(seed)).values())).sum()


def levels(model: Ivrnn, given: BaselineClips, seed: int = 0) -> list[tuple[Normal, Normal, Tensor]]:
    """q, p and z of every latent for all predicted frames."""
    with torch.no_grad():
        e = model.embedding((given.frames + 1) / 2)
        before, now = [level[:, 1:-1] for level in e], [level[:, 2:] for level in e]
        return model.distributions(before, now, model.first_states(e), generator(seed))


# Latents


def test_latents_lie_on_the_first_third_and_fifth_scale() -> None:
    found = levels(build(), clips())
    assert [tuple(z.shape) for _, _, z in found] == [(2, 3, 3, 1, 1), (2, 3, 32, 4, 4), (2, 3, 8, 16, 16)]


@pytest.mark.parametrize(("dense_prior", "prior_sees"), [(True, True), (False, False)])
def test_posterior_sees_coarser_samples_and_the_prior_does_in_the_papers_form(
    dense_prior: bool, prior_sees: bool
) -> None:
    model, given = stirred(build(dense_prior=dense_prior)), clips()
    one, other = levels(model, given, seed=1), levels(model, given, seed=2)
    assert torch.equal(one[0][0].mean, other[0][0].mean) and torch.equal(one[0][1].mean, other[0][1].mean)
    for (q, p, _), (q_other, p_other, _) in zip(one[1:], other[1:], strict=True):
        assert not torch.allclose(q.mean, q_other.mean)
        assert torch.equal(p.mean, p_other.mean) != prior_sees


def test_every_coarser_level_is_seen_not_just_the_next() -> None:
    model = stirred(build())
    assert [net.leave[0].in_channels for net in model.posterior] == [32, 32 + 3, 8 + 3 + 32]
    assert [net.leave[0].in_channels for net in model.prior] == [32, 32 + 3, 8 + 3 + 32]
    assert [net.leave[0].in_channels for net in build(dense_prior=False).prior] == [32, 32, 8]


def test_coarser_samples_are_enlarged_to_their_nearest_cells() -> None:
    net = stirred(build()).posterior[1]
    last, norm = net.leave
    nn.init.zeros_(last.weight[:, :32])
    state = (torch.zeros(1, 32, 4, 4), torch.zeros(1, 32, 4, 4))
    coarse = torch.arange(12.0).view(1, 1, 3, 2, 2)
    with torch.no_grad():
        q, _ = net(torch.zeros(1, 1, 32, 4, 4), [coarse], state)
        enlarged = coarse[0].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        expected = norm(nn.functional.conv2d(enlarged, last.weight[:, 32:], last.bias))[:, :32]
    torch.testing.assert_close(q.mean[0], expected)


def test_the_prior_never_sees_the_frame_that_it_predicts_and_the_posterior_does() -> None:
    model, given = stirred(build()), clips()
    changed = BaselineClips(given.frames.clone())
    changed.frames[:, 3] = -changed.frames[:, 3]  # the second of three predicted frames
    (q, p, _), (q_changed, p_changed, _) = levels(model, given)[0], levels(model, changed)[0]
    torch.testing.assert_close(p.mean[:, :2], p_changed.mean[:, :2])
    torch.testing.assert_close(q.mean[:, :1], q_changed.mean[:, :1])
    assert not torch.allclose(p.mean[:, 2], p_changed.mean[:, 2])
    assert not torch.allclose(q.mean[:, 1], q_changed.mean[:, 1])


def test_an_untrained_latent_is_near_the_same_normal_everywhere() -> None:
    for q, p, _ in levels(build(), clips()):
        for d in (q, p):
            assert d.mean.abs().max() < 0.01
            torch.testing.assert_close(d.scale**2, torch.full_like(d.scale, 0.6931), atol=0.01, rtol=0)


# Divergence


def test_estimate_of_the_divergence_is_right_on_average_and_is_not_the_closed_form() -> None:
    q = Normal(torch.tensor([0.3, -0.7]), torch.tensor([0.8, 1.5]))
    p = Normal(torch.tensor([0.0, 0.4]), torch.tensor([1.0, 0.9]))
    closed = kl_divergence(TorchNormal(q.mean, q.scale), TorchNormal(p.mean, p.scale))
    many = Normal(q.mean.expand(200_000, 2), q.scale.expand(200_000, 2))
    estimates = many.sampled_kl(many.sample(generator()), p)
    torch.testing.assert_close(estimates.mean(dim=0), closed, atol=0.02, rtol=0)
    torch.testing.assert_close(q.kl(p), closed)
    assert estimates.std() > 0.1
    assert estimates.min() < 0  # as no closed form is


def test_the_models_divergence_is_right_on_average_over_its_samples() -> None:
    model, given = stirred(build(dense_prior=False)), clips()
    with torch.no_grad():
        closed = levels(model, given)[0]  # the coarsest level, whose distributions do not depend on samples
        expected = closed[0].kl(closed[1]).sum()
        drawn = torch.stack(
            [q.sampled_kl(z, p).sum() for s in range(60) for q, p, z in levels(model, given, seed=s)[:1]]
        )
    assert (drawn.mean() - expected).abs() < 4 * drawn.std() / 60**0.5


def test_terms_are_means_over_clips_of_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = stirred(build(beta=0.5)), clips()
    found = levels(model, given, seed=3)
    target = (given.frames[:, 2:] + 1) / 2
    monkeypatch.setattr(Ivrnn, "render", lambda self, last, samples, states: (target - 0.25, states))
    terms = model.terms("model", given, 0, generator(3))
    assert terms["l1"].item() == pytest.approx(0.25 * target[0].numel(), rel=1e-5)  # three frames, not the two seen
    estimate = sum(q.sampled_kl(z, p).sum() for q, p, z in found)
    torch.testing.assert_close(terms["kl"], 0.5 * estimate / 2)


def test_the_divergence_grows_in_while_warming_up() -> None:
    model, given = stirred(build(warm_up=10)), clips()
    divergences = [model.terms("model", given, step, generator())["kl"].item() for step in (0, 5, 10, 20)]
    assert divergences[0] == 0
    assert divergences[1] == pytest.approx(divergences[2] / 2)
    assert divergences[2] == divergences[3] != 0


# Layers


def test_a_residual_block_adds_a_tenth() -> None:
    block, x = ResidualBlock(4, 4), torch.rand(1, 4, 8, 8, generator=generator())
    with torch.no_grad():
        torch.testing.assert_close(block(x) - x, 0.1 * block.change(x), atol=1e-6, rtol=0)


def test_a_conv_lstm_norms_what_comes_in_its_state_and_its_cell_each_for_itself() -> None:
    torch.manual_seed(1)
    lstm = NormedConvLSTM(2, 8)
    inputs = torch.randn(1, 1, 2, 8, 8, generator=generator())
    before = torch.randn(2, 1, 8, 8, 8, generator=generator(1)).unbind()
    with torch.no_grad():
        outputs, (h, c) = lstm(inputs, (before[0], before[1]))
        halves = [
            nn.functional.group_norm(nn.functional.conv2d(x, conv.weight, conv.bias, padding=1), 16)
            for x, (conv, _) in ((inputs[0], lstm.from_input), (before[0], lstm.from_state))
        ]
    i, f, o, g = sum(halves).chunk(4, dim=1)
    expected = nn.functional.group_norm(torch.sigmoid(f) * before[1] + torch.sigmoid(i) * torch.tanh(g), 8)
    torch.testing.assert_close(c, expected)
    torch.testing.assert_close(h, torch.sigmoid(o) * torch.tanh(c))
    torch.testing.assert_close(outputs[:, 0], h)


def test_a_block_that_changes_the_width_has_the_smaller_one_inside() -> None:
    for before, after in ((4, 8), (8, 4)):
        first, second = (layer for layer in ResidualBlock(before, after).change if isinstance(layer, nn.Conv2d))
        assert first.out_channels == second.in_channels == 4


def test_steps_at_once_are_those_one_by_one() -> None:
    model, given = stirred(build()), clips()
    with torch.no_grad():
        e = model.embedding((given.frames + 1) / 2)
        states = model.first_states(e)
        samples = [z for _, _, z in levels(model, given)]
        at_once, last = model.render(e[0][:, 1:-1], samples, states.render)
        state, frames = states.render, []
        for t in range(3):
            frame, state = model.render(e[0][:, 1 + t : 2 + t], [z[:, t : t + 1] for z in samples], state)
            frames.append(frame)
    torch.testing.assert_close(torch.cat(frames, dim=1), at_once, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(state[5][1], last[5][1], atol=1e-5, rtol=1e-4)


def test_first_states_come_from_all_frames_seen_and_no_other() -> None:
    model, given = build(), clips()
    for frame, matters in ((0, True), (1, True), (2, False)):
        changed = given.frames.clone()
        changed[:, frame] = -changed[:, frame]
        with torch.no_grad():
            before, after = (model.first_states(model.embedding((x + 1) / 2)) for x in (given.frames, changed))
        for kind in range(3):
            for (h, c), (h_other, c_other) in zip(before[kind], after[kind], strict=True):
                assert torch.allclose(h, h_other) != matters
                assert torch.allclose(c, c_other) != matters


# The whole


def test_predictions_are_fed_back() -> None:
    model, given = stirred(build()), clips()
    inputs: list[Tensor] = []
    handle = model.embedding.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    with torch.no_grad():
        frames = model.predict(given.frames[:, :2], 3, generator())
    handle.remove()
    assert len(inputs) == 3
    torch.testing.assert_close(inputs[0], (given.frames[:, :2] + 1) / 2)
    for t in range(2):
        torch.testing.assert_close(inputs[1 + t][:, 0], (frames[:, t] + 1) / 2)


def test_latents_in_test_are_samples_of_the_prior_alone() -> None:
    model, given = stirred(build()), clips()
    for net in (*model.posterior, *model.posterior_initial):
        for parameter in net.parameters():
            nn.init.constant_(parameter, float("nan"))
    with torch.no_grad():
        assert model.predict(given.frames[:, :2], 2, generator()).isfinite().all()


def test_gradients_reach_every_parameter() -> None:
    model = stirred(build())
    total(model, clips()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_generator_alone_decides_losses_and_frames() -> None:
    model, given = stirred(build()), clips()
    first, again, other = (model.terms("model", given, 0, generator(seed)) for seed in (1, 1, 2))
    assert set(first) == {"l1", "kl"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["kl"] != other["kl"]
    with torch.no_grad():
        a, b, c = (model.predict(given.frames[:, :2], 3, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.shape == (2, 3, 3, SIDE, SIDE)
    assert a.min() >= -1 and a.max() <= 1


def test_steps_on_one_batch_lower_the_loss() -> None:
    model, given = build(), clips()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(8):
        loss = total(model, given)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]


# Settings


def test_the_published_preset_has_the_published_sizes() -> None:
    config = PRESETS["ivrnn64"].network
    with torch.device("meta"):
        model = Ivrnn(config)
    assert config.widths == (512, 512, 512, 256, 128, 64)
    assert LATENT_SCALES == (0, 2, 4)
    assert config.latents == (10, 512, 128)
    lstms = [scale.lstm for scale in model.render_scales]
    assert [lstm.from_state[0].in_channels for lstm in lstms] == [512, 512, 512, 256, 128, 64]
    assert [lstm.from_input[0].in_channels for lstm in lstms] == [522, 512, 1024, 256, 256, 64]
    with torch.device("meta"):
        e = model.embedding(torch.zeros(1, 2, 3, 64, 64))
    assert [tuple(level.shape[2:]) for level in e] == [
        (512, 1, 1), (512, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64),
    ]  # fmt: skip
    assert 150e6 < sum(p.numel() for p in model.parameters()) < 250e6
    schedule = PRESETS["ivrnn64"]
    assert (schedule.fall, schedule.batch, schedule.learning_rate) == (0, 16, 1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": 48}, "32, 64, 128"),
        ({"channels": 6}, "multiple of 4"),
        ({"latent": 0}, "at least 1"),
        ({"beta": -1.0}, "from 0 up"),
        ({"warm_up": -1}, "warm_up is -1"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        IvrnnConfig(**wrong)  # type: ignore[arg-type]
