"""D_S and D_T: their shape, what they minimise, and that nothing leaks from one side of the game to the other."""

from dataclasses import replace

import pytest
import torch
from small_runs import FULL, TINY
from torch import Tensor, nn

from poke2vid.data.store import Store
from poke2vid.losses import (
    adversarial_loss,
    feature_matching_loss,
    gradient_penalty,
    hinge_loss_fake,
    hinge_loss_real,
)
from poke2vid.model.critics import ClipCritic, CriticConfig, FrameCritic
from poke2vid.train.adversary import Adversary
from poke2vid.train.config import TrainConfig
from poke2vid.train.data import Batch, ClipBatches
from poke2vid.train.distributed import Group
from poke2vid.train.presets import preset
from poke2vid.train.trainer import Trainer, decay
from poke2vid.types import InputError

CPU = torch.device("cpu")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def batch_of(store: Store, config: TrainConfig, step: int = 0) -> Batch:
    return ClipBatches(store, config.data, config.model, batch=config.batch, seed=config.seed)[step]


# Shape


@pytest.mark.parametrize(("side", "patches"), [(64, 6), (128, 14)])
def test_the_frame_critic_is_the_patch_critic_with_70_pixel_patches(side: int, patches: int) -> None:
    critic = FrameCritic(CriticConfig())
    assert parameters(critic) == 2_764_737
    x = torch.randn(1, 3, side, side, requires_grad=True)
    logits = critic(x)
    assert logits.shape == (1, 1, patches, patches)


def test_a_patch_of_the_frame_critic_reaches_70_pixels_without_its_norms() -> None:
    critic = FrameCritic(CriticConfig(channels=4))
    x = torch.randn(1, 3, 128, 128, requires_grad=True)
    h = critic.first(x)
    for layer in critic.middle:
        h = layer(h)
    critic.last(h)[0, 0, 7, 7].backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(0).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


@pytest.mark.parametrize(("side", "cells"), [(64, 4), (128, 8)])
def test_the_released_clip_critic_has_its_parameters_and_feature_maps(side: int, cells: int) -> None:
    critic = ClipCritic(CriticConfig(design="released"), resolution=side, length=10)
    assert parameters(critic) == 26_554_369
    logits, features = critic(torch.randn(1, 10, 3, side, side))
    assert logits.shape == (1, 1, 1, cells, cells)
    expected = [(32, 10, 4 * cells), (128, 5, 2 * cells), (256, 3, cells), (256, 2, cells), (256, 1, cells)]
    assert [(f.shape[1], f.shape[2], f.shape[3]) for f in features] == expected


@pytest.mark.parametrize("design", ["spectral", "literal"])
def test_the_papers_clip_critic_is_a_resnet_18(design: str) -> None:
    critic = ClipCritic(CriticConfig(design=design), resolution=64, length=10)
    convolutions = [m for m in critic.modules() if isinstance(m, nn.Conv3d) and m.kernel_size != (1, 1, 1)]
    assert len(convolutions) == 18  # stem, 4 x 2 x 2, and the last in place of the fully connected layer
    norms = [m for m in critic.modules() if isinstance(m, nn.InstanceNorm3d)]
    shortcuts = [m for m in critic.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (1, 1, 1)]
    assert len(norms) == (len(convolutions) - 1 + len(shortcuts) if design == "literal" else 0)
    assert not any(isinstance(m, nn.GroupNorm) for m in critic.modules())
    assert all(hasattr(m, "parametrizations") is (design == "spectral") for m in convolutions[:-1] + shortcuts)


def test_the_released_clip_critic_is_spectrally_normed_throughout() -> None:
    critic = ClipCritic(CriticConfig(design="released"), resolution=32, length=4)
    for _ in range(10):  # a power iteration a call
        critic(torch.randn(1, 4, 3, 32, 32))
    layers = [m for m in critic.modules() if isinstance(m, nn.Conv3d) and m is not critic.last]
    assert len(layers) == 1 + 3 * (4 + 1)  # the stem; three stages of two blocks of two, and a shortcut each
    for layer in layers:
        assert hasattr(layer, "parametrizations")
    for layer in layers[:4]:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("design", ["spectral", "literal", "released"])
@pytest.mark.parametrize("side", [32, 64])
def test_the_clip_critic_sees_the_order_of_time(design: str, side: int) -> None:
    torch.manual_seed(0)
    critic = ClipCritic(CriticConfig(design=design), resolution=side, length=10).eval()
    x = torch.rand(1, 10, 3, side, side) * 2 - 1
    assert not torch.allclose(critic(x).logits, critic(x.flip(1)).logits, atol=1e-4)


@pytest.mark.parametrize("design", ["spectral", "literal", "released"])
def test_a_clip_is_judged_by_itself(design: str) -> None:
    critic = ClipCritic(CriticConfig(design=design), resolution=32, length=4).eval()
    x = torch.randn(3, 4, 3, 32, 32)
    torch.testing.assert_close(critic(x).logits[1:2], critic(x[1:2]).logits, rtol=1e-4, atol=1e-5)


# What is minimised


def test_hinge_losses_on_numbers_done_by_hand() -> None:
    logits = torch.tensor([[-2.0, 0.5], [1.0, 3.0]])
    assert hinge_loss_real(logits).item() == pytest.approx((3 + 0.5 + 0 + 0) / 4)
    assert hinge_loss_fake(logits).item() == pytest.approx((0 + 1.5 + 2 + 4) / 4)
    assert adversarial_loss(logits).item() == pytest.approx(-2.5 / 4)


def test_feature_matching_is_the_mean_over_layers_of_the_mean_difference() -> None:
    hat = [torch.zeros(2, 3), torch.full((2, 5), 1.0, requires_grad=True)]
    true = [torch.full((2, 3), 4.0), torch.full((2, 5), -1.0, requires_grad=True)]
    loss = feature_matching_loss(hat, true)
    assert loss.item() == pytest.approx((4 + 2) / 2)
    loss.backward()
    assert true[1].grad is None and hat[1].grad is not None


def test_the_gradient_penalty_of_a_linear_critic_is_the_square_of_its_weight() -> None:
    w = torch.tensor([0.5, -2.0, 1.0], requires_grad=True)
    x = torch.randn(7, 3, requires_grad=True)
    penalty = gradient_penalty((x @ w)[:, None], x)
    assert penalty.item() == pytest.approx(0.25 + 4 + 1)
    penalty.backward()
    torch.testing.assert_close(w.grad, 2 * w.detach())  # it can be minimised: d|w|^2 / dw


def test_the_gradient_penalty_averages_over_patches_and_over_clips() -> None:
    x = torch.tensor([[1.0], [3.0]], requires_grad=True)
    logits = torch.cat((x * x, 2 * x), dim=1)  # two patches: slope (2 x + 2) / 2
    assert gradient_penalty(logits, x).item() == pytest.approx((2**2 + 4**2) / 2)


def critic_answers(config: TrainConfig, store: Store) -> tuple[Adversary, Tensor, Tensor, int]:
    """An adversary, predictions and truth of a batch, and a step in which both critics play."""
    torch.manual_seed(0)
    adversary = Adversary(config)
    x = batch_of(store, config).frames[:, 1:]
    step = config.stage_1_steps + config.critics.start
    return adversary, x.flip(0).clone().requires_grad_(), x, step


def test_penalties_enter_the_critics_objective_by_their_weights(store: Store) -> None:
    config = replace(FULL, critics=replace(FULL.critics, frame_penalty=0.25, clip_penalty=3.0))
    adversary, x_hat, x, step = critic_answers(config, store)
    terms = adversary.critic_terms(x_hat, x, step, adversary.draw(step, x.shape[1], Group()))
    assert set(terms) == {"frame_real", "frame_fake", "frame_penalty", "clip_real", "clip_fake", "clip_penalty"}
    expected = sum(float(terms[n].detach()) for n in ("frame_real", "frame_fake", "clip_real", "clip_fake"))
    expected += 0.25 * float(terms["frame_penalty"].detach()) + 3.0 * float(terms["clip_penalty"].detach())
    assert float(adversary.total(terms).detach()) == pytest.approx(expected)
    without = replace(config, critics=replace(config.critics, frame_penalty=0.0, clip_penalty=0.0))
    adversary.config = without
    assert "clip_penalty" not in adversary.critic_terms(x_hat, x, step, adversary.draw(step, x.shape[1], Group()))


def judged(adversary: Adversary, x: Tensor, places: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Logits of both critics for the drawn frames and the drawn window, asked one by one."""
    assert adversary.frame_critic is not None and adversary.clip_critic is not None
    frames = torch.stack([x[clip, frame] for clip, frame in places.tolist()])
    return adversary.frame_critic(frames), adversary.clip_critic(x[:, first : first + FULL.data.horizon]).logits


def long_clips(store: Store) -> tuple[Adversary, Tensor, Tensor, int]:
    """An adversary that does not change when asked, and clips longer than T of which it sees a later window."""
    torch.manual_seed(0)
    adversary = Adversary(FULL).eval()
    x = of_length(store, 6)
    step = next(s for s in range(6, 60) if adversary.draw(s, 6, Group()).first == 2)
    return adversary, (0.5 * x.flip(0)).requires_grad_(), x, step


def of_length(store: Store, length: int) -> Tensor:
    data = ClipBatches(store, FULL.data, FULL.model, batch=4, seed=0)
    return torch.stack([data.sample(step, 0, length).frames[1:] for step in range(4)])


def test_the_critics_terms_are_their_hinge_losses_on_what_was_drawn(store: Store) -> None:
    adversary, x_hat, x, step = long_clips(store)
    draw = adversary.draw(step, 6, Group())
    terms = adversary.critic_terms(x_hat, x, step, draw)
    real_s, real_t = judged(adversary, x, draw.real, draw.first)
    fake_s, fake_t = judged(adversary, x_hat, draw.fake, draw.first)
    for name, logits, sign in (
        ("frame_real", real_s, -1), ("clip_real", real_t, -1), ("frame_fake", fake_s, 1), ("clip_fake", fake_t, 1)
    ):  # fmt: skip
        expected = (1 + sign * logits).clamp_min(0).mean()
        torch.testing.assert_close(terms[name], expected, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_the_generators_terms_are_the_critics_verdicts_on_what_was_drawn(store: Store) -> None:
    adversary, x_hat, x, step = long_clips(store)
    draw = adversary.draw(step, 6, Group())
    terms = adversary.generator_terms(x_hat, x, step, draw)
    fake_s, fake_t = judged(adversary, x_hat, draw.fake, draw.first)
    torch.testing.assert_close(terms["frame_critic"], -fake_s.mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["clip_critic"], -fake_t.mean(), rtol=1e-4, atol=1e-5)
    assert adversary.clip_critic is not None
    window = slice(draw.first, draw.first + FULL.data.horizon)
    fake, real = (adversary.clip_critic(frames[:, window]).features for frames in (x_hat, x))
    expected = torch.stack([(f - r).abs().mean() for f, r in zip(fake, real, strict=True)]).mean()
    torch.testing.assert_close(terms["feature_matching"], expected, rtol=1e-4, atol=1e-5)


def test_their_objective_teaches_both_critics_to_rate_the_truth_above_the_prediction(store: Store) -> None:
    adversary, x_hat, x, step = critic_answers(FULL, store)
    x_hat = (0.3 * x).detach()  # predictions that are too flat
    places = torch.cartesian_prod(torch.arange(4), torch.arange(4))

    def gaps() -> list[float]:
        with torch.no_grad():
            pairs = zip(judged(adversary, x, places, 0), judged(adversary, x_hat, places, 0), strict=True)
            return [float(real.mean() - fake.mean()) for real, fake in pairs]

    before = gaps()
    optimiser = torch.optim.Adam(adversary.parameters(), lr=1e-3)
    for k in range(10):
        optimiser.zero_grad()
        adversary.total(
            adversary.critic_terms(x_hat, x, step, adversary.draw(step + k, x.shape[1], Group()))
        ).backward()
        optimiser.step()
    for then, now in zip(before, gaps(), strict=True):
        assert now > then + 0.02


@pytest.mark.parametrize(("name", "critic"), [("frame_critic", 0), ("clip_critic", 1)])
def test_a_step_against_a_generators_term_makes_its_critic_believe_more(store: Store, name: str, critic: int) -> None:
    adversary, x_hat, x, step = critic_answers(FULL, store)
    adversary.eval()
    draw = adversary.draw(step, x.shape[1], Group())
    (slope,) = torch.autograd.grad(adversary.generator_terms(x_hat, x, step, draw)[name], x_hat)
    better = (x_hat - 0.05 * slope / slope.norm()).detach()
    said = [float(judged(adversary, y, draw.fake, draw.first)[critic].detach().mean()) for y in (x_hat, better)]
    assert said[1] > said[0]


def test_a_trainers_critics_follow_its_schedule_and_stand_still_for_the_generator(store: Store) -> None:
    trainer = Trainer(FULL, None, CPU)
    assert trainer.adversary is not None and trainer.critic_optimiser is not None
    for step in range(FULL.num_steps):
        trainer.advance(batch_of(store, FULL, step))
    (group,) = trainer.critic_optimiser.param_groups
    assert group["lr"] == pytest.approx(FULL.critics.learning_rate * decay(FULL, FULL.num_steps - 1))
    assert group["lr"] < 0.2 * FULL.critics.learning_rate
    assert not any(p.requires_grad for p in trainer.adversary.parameters())


# Nothing leaks


def test_the_critics_step_sends_no_gradient_into_the_prediction(store: Store) -> None:
    adversary, x_hat, x, step = critic_answers(FULL, store)
    terms = adversary.critic_terms(x_hat, x, step, adversary.draw(step, x.shape[1], Group()))
    adversary.total(terms).backward()
    assert x_hat.grad is None and not x.requires_grad
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in adversary.parameters() if p.dim() > 1)


def test_the_generators_step_reaches_the_prediction_through_critics_that_stand_still(store: Store) -> None:
    adversary, x_hat, x, step = critic_answers(FULL, store)
    adversary.requires_grad_(False)
    terms = adversary.generator_terms(x_hat, x, step, adversary.draw(step, x.shape[1], Group()))
    for name in ("frame_critic", "clip_critic", "feature_matching"):
        (slope,) = torch.autograd.grad(terms[name], x_hat, retain_graph=True)
        assert float(slope.abs().max()) > 0, name
    assert all(p.grad is None for p in adversary.parameters())


def test_in_a_whole_step_each_side_is_moved_by_its_own_optimiser_alone(store: Store) -> None:
    """With the generator's rate at almost zero only critics move, and the other way round."""
    for still in ("generator", "critics"):
        rate = 1e-30
        config = (
            replace(FULL, learning_rate=rate)
            if still == "generator"
            else replace(FULL, critics=replace(FULL.critics, learning_rate=rate))
        )
        trainer = Trainer(config, None, CPU)
        assert trainer.adversary is not None
        for step in range(7):  # both stages, critics from the third step of each
            trainer.advance(batch_of(store, config, step))
        fresh = Trainer(config, None, CPU)
        assert fresh.adversary is not None
        for side, now, before in (
            ("generator", trainer.model, fresh.model), ("critics", trainer.adversary, fresh.adversary)
        ):  # fmt: skip
            pairs = zip(now.parameters(), before.parameters(), strict=True)
            moved = [not torch.allclose(a, b, rtol=0, atol=1e-20) for a, b in pairs]
            assert any(moved) is (side != still), f"{side} with {still} held still"


# When and on what they play


def test_critics_join_late_and_the_clip_critic_in_stage_two_only(store: Store) -> None:
    trainer = Trainer(FULL, None, CPU)
    seen = []
    for step in range(FULL.num_steps):
        values = trainer.advance(batch_of(store, FULL, step))
        seen.append(("critic/frame_real" in values, "critic/clip_real" in values, "loss/feature_matching" in values))
        assert ("loss/frame_critic" in values) is seen[-1][0] and ("loss/clip_critic" in values) is seen[-1][1]
    late = (True, False, False)
    assert seen == [(False,) * 3] * 2 + [late] * 2 + [(False,) * 3] * 2 + [(True, True, True)] * 6


def test_a_generator_trains_the_same_until_its_critics_join(store: Store) -> None:
    alone = replace(FULL, weights=TINY.weights)
    trainers = [Trainer(config, None, CPU) for config in (alone, FULL)]
    for step in range(2):
        values = [t.advance(batch_of(store, FULL, step)) for t in trainers]
        assert values[0] == values[1]
    for a, b in zip(trainers[0].model.parameters(), trainers[1].model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_critic_of_weight_zero_does_not_exist() -> None:
    only_frames = Adversary(replace(FULL, weights=replace(TINY.weights, frame_critic=1.0)))
    assert only_frames.clip_critic is None and only_frames.frame_critic is not None
    assert Trainer(TINY, None, CPU).adversary is None


@pytest.mark.parametrize("size", [2, 4])
def test_the_processes_draws_together_are_the_draw_of_one(size: int) -> None:
    config = replace(FULL, batch=8, critics=replace(FULL.critics, frames=16))
    adversary = Adversary(config)
    for step in range(5):
        whole = adversary.draw(step, 6, Group())
        parts = [adversary.draw(step, 6, Group(rank, size)) for rank in range(size)]
        each = config.batch // size
        for name in ("real", "fake"):
            offset = [getattr(p, name) + torch.tensor([rank * each, 0]) for rank, p in enumerate(parts)]
            together = sorted(map(tuple, torch.cat(offset).tolist()))
            assert together == sorted(map(tuple, getattr(whole, name).tolist()))
        assert len(whole.real) == len(whole.fake) == 16
        assert all(p.first == whole.first for p in parts)
        assert sum(p.share(p.fake) for p in parts) / size == pytest.approx(1) == whole.share(whole.fake)


def test_frames_and_windows_are_drawn_anew_in_every_step_and_windows_everywhere() -> None:
    adversary = Adversary(FULL)
    draws = [adversary.draw(step, 6, Group()) for step in range(40)]
    assert len({tuple(map(tuple, d.real.tolist())) for d in draws}) == 40
    assert {d.first for d in draws} == {0, 1, 2}  # T = 4 of six frames
    assert all(not torch.equal(d.real, d.fake) for d in draws)


def told_apart(design: str, batches: list[Batch], unseen: Batch) -> float:
    """Share of unseen clips that D_T, after a few steps, rates above the same clip stopped at its first frame."""
    torch.manual_seed(0)
    critic = ClipCritic(CriticConfig(design=design, channels=8), resolution=32, length=4)
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.9, 0.99))
    for batch in batches:
        moving, still = batch.frames[:, 1:], batch.frames[:, :1].expand(-1, 4, -1, -1, -1)
        optimiser.zero_grad()
        (hinge_loss_real(critic(moving).logits) + hinge_loss_fake(critic(still).logits)).backward()
        optimiser.step()
    with torch.no_grad():
        moving, still = unseen.frames[:, 1:], unseen.frames[:, :1].expand(-1, 4, -1, -1, -1)
        return float(
            (critic(moving).logits.flatten(1).mean(1) > critic(still).logits.flatten(1).mean(1)).float().mean()
        )


@pytest.mark.slow
def test_the_clip_critic_learns_to_tell_a_moving_clip_from_a_still_one(store: Store) -> None:
    data = replace(FULL.data, long_share=0.0, background_share=0.0, untouched_share=0.0)
    clips = ClipBatches(store, data, FULL.model, batch=8, seed=0)
    unseen = ClipBatches(store, data, FULL.model, batch=24, seed=7, split="test")[0]
    assert told_apart("spectral", [clips[step % 20] for step in range(60)], unseen) > 0.8


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [("channels", 6), ("frames", 0), ("start", -1), ("clip_penalty", -0.1), ("clip_penalty", float("nan")),
     ("learning_rate", 0.0)],
)  # fmt: skip
def test_a_wrong_setting_of_the_critics_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"critics.{name}"):
        CriticConfig(**{name: value})


def test_critics_refuse_frames_too_small_for_their_patches() -> None:
    with pytest.raises(InputError, match="32 pixels"):
        replace(FULL, model=replace(FULL.model, resolution=16))


def test_the_paper_presets_play_by_the_papers_weights() -> None:
    config = preset("paper64")
    assert (config.weights.frame_critic, config.weights.clip_critic, config.weights.feature_matching) == (0.2, 1.0, 2.0)
    assert (config.critics.frames, config.critics.frame_penalty, config.critics.design) == (16, 0.0, "spectral")
