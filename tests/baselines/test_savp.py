"""SAVP: its parts against values worked out by hand, and that nothing leaks from one side of the game to the other."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from poke2vid.baselines.baseline import BaselineClips, kl_of_normals
from poke2vid.baselines.savp.config import PRESETS, SavpConfig
from poke2vid.baselines.savp.critics import VideoCritic, critic_loss, deceiving_loss, feature_distance
from poke2vid.baselines.savp.generator import ConvLSTM, Generator, Layer, apply_kernels, cdna_kernels
from poke2vid.baselines.savp.system import Savp
from poke2vid.types import InputError

TINY = SavpConfig(
    channels=4, latents=3, posterior_channels=4, critic_channels=2, judged=4, kl_from=0, kl_to=0, truth_scale=1.0
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(side: int = 64, length: int = 5, batch: int = 2) -> BaselineClips:
    return BaselineClips(torch.rand(batch, length, 3, side, side, generator=seeded()) * 2 - 1)


def tiny(config: SavpConfig = TINY) -> Savp:
    torch.manual_seed(0)
    return Savp(config)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def only(model: Savp, group: str) -> None:
    """Freezes all parameters but a group's, as training does."""
    for name, members in model.groups().items():
        for parameter in members:
            parameter.requires_grad_(name == group)


def step(model: Savp, config: SavpConfig = TINY) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step of the generator from random frames: frame, masks, kernels, and the frame before."""
    x = torch.rand(2, 3, config.resolution, config.resolution, generator=seeded(1))
    z = torch.randn(2, config.latents, generator=seeded(2))
    (frame, masks, kernels), _ = model.generator(x, x.flip(-1), z, model.generator.start(x))
    return frame, masks, kernels, x


# CDNA and blend


def test_cdna_kernels_sum_to_one_without_negative_weights() -> None:
    kernels = cdna_kernels(torch.randn(3, 4, 5, 5, generator=seeded()))
    assert float(kernels.min()) >= 0
    torch.testing.assert_close(kernels.sum(dim=(-2, -1)), torch.ones(3, 4))


def test_kernels_begin_near_the_identity_and_every_weight_can_be_learnt() -> None:
    model = tiny(SavpConfig())
    _, _, kernels, x = step(model, SavpConfig())
    assert float(kernels[..., 2, 2].detach().min()) > 0.85
    moved = apply_kernels(x, kernels).detach()
    torch.testing.assert_close(moved, x[:, None].expand(-1, 4, -1, -1, -1), rtol=0, atol=0.15)
    kernels[..., 0, 0].sum().backward()
    assert bool(model.generator.kernel_head.weight.grad.any())


def test_a_kernel_head_of_zeros_leaves_the_frame_as_it_is() -> None:
    model = tiny()
    nn.init.zeros_(model.generator.kernel_head.weight)
    nn.init.zeros_(model.generator.kernel_head.bias)
    _, _, kernels, x = step(model)
    identity = torch.zeros(5, 5)
    identity[2, 2] = 1
    torch.testing.assert_close(kernels, identity.expand(2, 4, 5, 5), rtol=0, atol=1e-10)
    torch.testing.assert_close(apply_kernels(x, kernels), x[:, None].expand(-1, 4, -1, -1, -1), rtol=0, atol=1e-6)


def test_every_clip_is_moved_by_its_own_kernels() -> None:
    x = torch.rand(2, 3, 8, 9, generator=seeded())
    kernels = torch.zeros(2, 2, 5, 5)
    kernels[0, 0, 2, 3] = 1  # fetches from one pixel to the right
    kernels[0, 1, 0, 2] = 1  # from two pixels above
    kernels[1, 0, 2, 2] = 1
    kernels[1, 1, 2, 1] = 1  # from one pixel to the left
    moved = apply_kernels(x, kernels)
    assert moved.shape == (2, 2, 3, 8, 9)
    torch.testing.assert_close(moved[0, 0, :, :, :-1], x[0, :, :, 1:])
    torch.testing.assert_close(moved[0, 0, :, :, -1], x[0, :, :, -1], msg="the border value continues outside")
    torch.testing.assert_close(moved[0, 1, :, 2:], x[0, :, :-2])
    torch.testing.assert_close(moved[1, 0], x[1])
    torch.testing.assert_close(moved[1, 1, :, :, 1:], x[1, :, :, :-1])


def test_masks_share_every_pixel_among_seven_candidates() -> None:
    frame, masks, _, _ = step(tiny())
    assert masks.shape == (2, 7, 64, 64)
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(2, 64, 64))
    assert float(masks.detach().min()) > 0
    assert float(frame.detach().min()) >= 0 and float(frame.detach().max()) <= 1


@pytest.mark.parametrize(("candidate", "flipped"), [(4, False), (5, True)])
def test_a_mask_of_one_candidate_shows_it(candidate: int, flipped: bool) -> None:
    """The previous frame is the fifth candidate, the first frame of the clip the sixth."""
    model = tiny()
    nn.init.zeros_(model.generator.mask.weight)
    with torch.no_grad():
        model.generator.mask.bias.fill_(0).index_fill_(0, torch.tensor([candidate]), 100.0)
    frame, _, _, x = step(model)
    torch.testing.assert_close(frame, x.flip(-1) if flipped else x)


# Recurrent cells


def test_a_conv_lstm_on_one_pixel_is_the_scalar_equations() -> None:
    torch.manual_seed(0)
    cell = ConvLSTM(1, 1, 1).double()
    cell.norm = cell.cell_norm = nn.Identity()  # over one pixel they would leave nothing
    u, z, h, c = (torch.full((1, 1, 1, 1), v, dtype=torch.double) for v in (0.7, -0.3, 0.4, 0.9))
    found_h, found_c = cell(u, z[..., 0, 0], (h, c))
    w = cell.gates.weight[:, :, 2, 2].tolist()
    i, f, o, g = (row[0] * 0.7 + row[1] * 0.4 + row[2] * -0.3 for row in w)
    sigmoid = [1 / (1 + math.exp(-v)) for v in (i, f, o)]
    expected_c = sigmoid[1] * 0.9 + sigmoid[0] * math.tanh(g)
    assert found_c.item() == pytest.approx(expected_c, abs=1e-12)
    assert found_h.item() == pytest.approx(sigmoid[2] * math.tanh(expected_c), abs=1e-12)


def test_the_norm_is_an_instance_norm_and_forgetting_starts_small() -> None:
    cell = ConvLSTM(2, 3, 1)
    x = torch.randn(2, 12, 6, 6, generator=seeded())
    with torch.no_grad():
        found = cell.norm(x)
    expected = nn.functional.instance_norm(x)
    expected[:, 3:6] += 1
    torch.testing.assert_close(found, expected)


def test_the_cell_is_normed_and_carried_on_so() -> None:
    cell = ConvLSTM(2, 3, 1)
    u, h, c = torch.randn(3, 2, 3, 6, 6, generator=seeded()).unbind()
    with torch.no_grad():
        after_h, after_c = cell(u[:, :2], torch.zeros(2, 1), (h, c))
        i, f, o, g = cell.norm(cell.gates(torch.cat((u[:, :2], h, torch.zeros(2, 1, 6, 6)), dim=1))).chunk(4, dim=1)
    expected = nn.functional.instance_norm(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
    torch.testing.assert_close(after_c, expected)
    torch.testing.assert_close(after_h, torch.sigmoid(o) * torch.tanh(after_c))


def test_z_reaches_every_layer_and_every_cell() -> None:
    model = tiny()
    layers = [m for m in model.generator.modules() if isinstance(m, Layer | ConvLSTM)]
    assert len(layers) == 6 + 5
    for layer in layers:
        inside = layer.gates if isinstance(layer, ConvLSTM) else layer.conv
        without = inside.in_channels - TINY.latents
        if isinstance(layer, ConvLSTM):
            assert without == 2 * layer.hidden_channels
    z = torch.zeros(1, 3, requires_grad=True)
    x = torch.rand(1, 3, 64, 64)
    model.generator(x, x, z, model.generator.start(x))[0].frame.sum().backward()
    assert z.grad is not None and float(z.grad.abs().min()) > 0


@pytest.mark.parametrize("resolution", [64, 128])
def test_memories_have_the_sizes_of_their_maps(resolution: int) -> None:
    config = replace(TINY, resolution=resolution, channels=2)
    generator = Generator(config)
    x = torch.rand(1, 3, resolution, resolution)
    state = generator.start(x)
    made, after = generator(x, x, torch.zeros(1, 3), state)
    assert made.frame.shape == (1, 3, resolution, resolution)
    assert [h.shape for h, _ in after.maps] == [h.shape for h, _ in state.maps]
    assert [h.shape[-1] for h, _ in after.maps] == [32, 16, 8, 16, 32]
    made.frame.sum().backward()


# Posterior, schedules, losses


def test_the_kl_of_the_standard_normal_from_itself_is_zero_and_of_a_shifted_one_half_its_square() -> None:
    one = torch.ones(())
    assert kl_of_normals(torch.zeros(()), one).item() == 0
    assert kl_of_normals(torch.tensor(3.0), one).item() == pytest.approx(4.5)
    assert kl_of_normals(torch.zeros(()), 2 * one).item() == pytest.approx(1.5 - math.log(2))


def test_the_posterior_reads_each_pair_of_neighbouring_frames() -> None:
    model, frames = tiny(), torch.rand(2, 5, 3, 64, 64, generator=seeded())
    mean, scale = model.posterior(frames)
    assert mean.shape == scale.shape == (2, 4, 3)
    torch.testing.assert_close(model.posterior(frames[:, 2:4])[0][:, 0], mean[:, 2])
    nn.init.constant_(model.posterior.head.bias, 1e4)
    nn.init.zeros_(model.posterior.head.weight)
    assert model.posterior(frames)[1].max().item() == pytest.approx(math.exp(5)), "the log variance is clipped at 10"


def test_the_kl_term_is_of_all_numbers_of_z_and_its_weight_rises_linearly() -> None:
    config = replace(TINY, kl=2.0, kl_from=100, kl_to=300)
    assert [config.kl_weight(n) for n in (0, 100, 150, 300, 10**9)] == [0, 0, 0.5, 2, 2]
    assert [PRESETS["savp64"].network.kl_weight(n) for n in (50_000, 75_000, 100_000)] == [0, 0.5, 1]
    model = tiny(replace(TINY, kl=2.0))
    nn.init.zeros_(model.posterior.head.weight)
    with torch.no_grad():
        model.posterior.head.bias.copy_(torch.tensor([3.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    terms = model.terms("generator", clips(), 0, seeded())
    assert terms["kl"].item() == pytest.approx(2.0 * (4.5 + 0.5), rel=1e-5)


def test_the_true_frame_is_fed_with_the_probability_of_the_inverse_sigmoid() -> None:
    config = SavpConfig()
    assert config.truth_probability(0) == pytest.approx(900 / 901)
    assert config.truth_probability(900) == pytest.approx(900 / (900 + math.e))
    assert config.truth_probability(6000) == pytest.approx(900 / (900 + math.exp(6000 / 900)))
    assert config.truth_probability(6122) == pytest.approx(0.5, abs=1e-3)
    assert config.truth_probability(10**7) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("step_number", "differs"), [(0, False), (10**6, True)])
def test_a_rollout_that_is_fed_the_truth_does_not_read_its_own_frames(step_number: int, differs: bool) -> None:
    """With k huge, step 0 always feeds the truth; late steps never do."""
    model = tiny(replace(TINY, truth_scale=1e9 if step_number == 0 else 1.0))
    frames = (clips().frames + 1) / 2
    altered = frames.clone()
    altered[:, 2] = 1 - altered[:, 2]
    for posterior in (model.posterior.head.weight, model.posterior.head.bias):
        nn.init.zeros_(posterior)  # else z would tell of the altered frame
    before, after = (model.rollouts(f, step_number, seeded()).posterior.detach() for f in (frames, altered))
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert torch.equal(before[:, 2], after[:, 2]) == differs


def test_lsgan_and_feature_losses_on_numbers_worked_out_by_hand() -> None:
    assert critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([0.5, -0.5])).item() == pytest.approx(2.0 + 0.25)
    assert critic_loss(torch.ones(2), torch.zeros(2)).item() == 0
    assert deceiving_loss(torch.tensor([1.0, -1.0])).item() == pytest.approx(2.0)
    a = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1)
    b = torch.tensor([4.0, 3.0]).view(1, 2, 1, 1, 1)
    assert feature_distance((a,), (5 * b,)).item() == pytest.approx(1 - 24 / 25)
    assert feature_distance((a, a), (a, -a)).item() == pytest.approx(1.0)  # mean of 0 and 2


# Critics


def test_critics_judge_frames_in_a_row_from_a_random_one_on_the_same_of_what_is_true_and_made() -> None:
    model = tiny()  # judges 4 of the 6 frames after the first
    frames = clips(length=7).frames
    found = torch.cat([model._judged_frames(frames, seeded(s)) for s in range(40)])
    assert set(found[:, 0].tolist()) == {0, 1, 2}
    assert torch.equal(found - found[:, :1], torch.arange(4).expand(80, 4))
    seen = []
    for critic in model.critics.values():
        critic.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    true = BaselineClips(frames)
    rollouts = model.rollouts((frames + 1) / 2, 0, seeded())._replace(posterior=(frames[:, 1:] + 1) / 2)
    model._generator_terms((frames + 1) / 2, rollouts, 0, seeded(3))
    torch.testing.assert_close(seen[0], seen[1])  # where the made frames are the true ones, so is what is judged
    model._critic_terms((true.frames + 1) / 2, rollouts, seeded(3))
    torch.testing.assert_close(*seen[3].chunk(2))


def test_a_critic_has_spectral_norm_on_all_layers_and_judges_clips_of_ten_frames() -> None:
    torch.manual_seed(0)
    config = SavpConfig(critic_channels=2)
    critic = VideoCritic(config)
    judgement = critic(torch.rand(2, 10, 3, 64, 64))
    assert judgement.logits.shape == (2,)
    assert [tuple(f.shape[1:]) for f in judgement.features] == [
        (2, 10, 64, 64), (4, 9, 32, 32), (4, 9, 32, 32), (8, 8, 16, 16), (8, 8, 16, 16), (16, 4, 8, 8), (16, 4, 8, 8)
    ]  # fmt: skip
    for _ in range(30):
        critic(torch.rand(1, 10, 3, 64, 64))
    for layer in (*critic.convs, critic.head):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_gradients_reach_all_of_a_group_and_none_of_the_other() -> None:
    model, batch = tiny(), clips()
    groups = model.groups()
    assert sum(len(members) for members in groups.values()) == len(list(model.parameters()))
    for group in ("generator", "critics"):
        model.zero_grad(set_to_none=True)
        only(model, group)
        torch.stack(list(model.terms(group, batch, 9, seeded()).values())).sum().backward()
        for name, members in groups.items():
            reached = [p.grad is not None and bool(p.grad.any()) for p in members]
            assert all(reached) if name == group else not any(p.grad is not None for p in members), name


def test_a_step_makes_its_rollouts_once_and_not_for_the_clips_of_another() -> None:
    model, batch = tiny(), clips()
    made = []
    model.generator.register_forward_hook(lambda *_: made.append(1))
    model.terms("generator", batch, 3, seeded())
    model.terms("critics", batch, 3, seeded(1))
    assert len(made) == 4  # both rollouts are one batch; five frames have four to predict
    model.terms("critics", batch, 3, seeded(1))
    assert len(made) == 8, "kept for one call only"
    model.terms("generator", batch, 3, seeded())
    model.terms("critics", clips(), 3, seeded(1))
    assert len(made) == 16


def test_rollouts_share_weights_and_the_context_and_part_after_it() -> None:
    model = tiny()
    frames = (clips().frames + 1) / 2
    rollouts = model.rollouts(frames, 10**6, seeded())
    assert rollouts.prior is not None
    torch.testing.assert_close(rollouts.prior[:, 0], rollouts.posterior[:, 0])
    assert float((rollouts.prior[:, 1] - rollouts.posterior[:, 1]).detach().abs().max()) > 1e-5
    for rollout in (rollouts.posterior, rollouts.prior):
        gradient = torch.autograd.grad(rollout.sum(), model.generator.kernel_head.weight, retain_graph=True)
        assert bool(gradient[0].any())


def test_no_term_of_one_group_has_the_name_of_one_of_the_other() -> None:
    model = tiny()
    names = [set(model.terms(group, clips(), 0, seeded())) for group in ("generator", "critics")]
    assert names[0] == {"pixel", "kl", "posterior_adversarial", "prior_adversarial", "feature_matching"}
    assert names[1] == {"posterior_critic", "prior_critic"}


def test_without_critics_nothing_is_left_but_the_vae() -> None:
    model = tiny(replace(TINY, critics=False))
    assert list(model.groups()) == ["generator"]
    assert model.rollouts((clips().frames + 1) / 2, 0, seeded()).prior is None
    assert set(model.terms("generator", clips(), 0, seeded())) == {"pixel", "kl"}


def test_the_pixel_term_is_the_mean_absolute_error_of_frames_in_0_1() -> None:
    model, batch = tiny(), clips()
    rollouts = model.rollouts((batch.frames + 1) / 2, 5, seeded())
    error = (2 * rollouts.posterior - 1 - batch.frames[:, 1:]).abs().mean() / 2
    assert model.terms("generator", batch, 5, seeded())["pixel"].item() == pytest.approx(100 * error.item(), rel=1e-5)


# The whole


@pytest.mark.parametrize("group", ["generator", "critics"])
def test_a_seed_gives_the_same_losses(group: str) -> None:
    first, second, other = (tiny().terms(group, clips(), 5, seeded(s)) for s in (3, 3, 4))
    assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in second.items()}
    assert all(v.isfinite() for v in first.values())
    assert {k: v.item() for k, v in first.items()} != {k: v.item() for k, v in other.items()}


def test_predicted_frames_are_as_many_as_asked_in_range_and_follow_the_seed() -> None:
    model = tiny().eval()
    given = clips(length=2).frames
    first, second, other = (model.predict(given, 4, seeded(s)) for s in (3, 3, 4))
    assert first.shape == (2, 4, 3, 64, 64)
    assert float(first.min()) >= -1 and float(first.max()) <= 1
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_few_steps_on_one_batch_lower_the_loss() -> None:
    model, batch = tiny(replace(TINY, critics=False)), clips(length=3)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3, betas=(0.5, 0.999))
    losses = []
    for number in range(10):
        terms = model.terms("generator", batch, number, seeded())
        losses.append(terms["pixel"].item())
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
    assert losses[-1] < 0.97 * losses[0]


def test_the_published_preset_has_the_published_widths() -> None:
    preset = PRESETS["savp64"]
    model = Savp(preset.network)
    generator = model.generator
    assert [layer.conv.out_channels for layer in (*generator.down, *generator.up)] == [32, 64, 128, 64, 32, 32]
    assert [layer.lstm is not None for layer in (*generator.down, *generator.up)] == [True] * 5 + [False]
    assert generator.kernel_head.weight.shape == (4 * 25, 8 * 8 * 128)
    assert [conv.out_channels for conv in model.posterior.convs] == [64, 128, 256]
    assert [conv.out_channels for conv in model.critics["prior"].convs] == [32, 64, 64, 128, 128, 256, 256]
    assert (preset.hold, preset.fall, preset.batch, preset.length) == (200_000, 100_000, 16, 12)
    wide = Generator(SavpConfig(resolution=128))
    assert [layer.conv.out_channels for layer in (*wide.down, *wide.up)] == [32, 64, 128, 256, 256, 128, 64, 32]
    assert [layer.lstm is not None for layer in (*wide.down, *wide.up)] == [False, *[True] * 5, False, False]


def test_the_small_preset_keeps_the_shape_of_the_schedules() -> None:
    small, published = PRESETS["savp64-small"], PRESETS["savp64"]
    share = small.num_steps / published.num_steps
    assert small.fall * 2 == small.hold
    assert small.network.kl_from == pytest.approx(share * published.network.kl_from)
    assert small.network.kl_to == pytest.approx(share * published.network.kl_to)
    for done in (0.0, 0.01, 0.0204, 0.03):  # shares of the run; the published curve is at a half after 0.0204 of it
        told = small.network.truth_probability(round(done * small.num_steps))
        assert told == pytest.approx(published.network.truth_probability(round(done * published.num_steps)), abs=0.1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": 96}, "resolution is 96; SAVP is defined for 64 and 128"),
        ({"channels": 0}, "channels is 0"),
        ({"judged": 3}, "judged is 3"),
        ({"kl": -1.0}, "kl is -1.0"),
        ({"pixel": float("nan")}, "pixel is nan"),
        ({"kl_from": 5, "kl_to": 4}, "kl_from 5 and kl_to 4"),
        ({"truth_scale": 0.0}, "truth_scale is 0.0"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        SavpConfig(**wrong)  # type: ignore[arg-type]
