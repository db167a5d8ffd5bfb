"""Hao et al.: sparse maps, weak shortcuts and blend against values worked out by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from poke2vid.baselines.baseline import BaselineClips
from poke2vid.baselines.hao import PRESETS, Hao, HaoConfig, WeakShortcutNet, blend, charbonnier, vector_maps
from poke2vid.types import InputError

TINY = HaoConfig(resolution=32, channels=2)
NAN = float("nan")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(config: HaoConfig = TINY) -> Hao:
    torch.manual_seed(0)
    return Hao(config)


def pair(batch: int = 4, side: int = 32, points: int = 3) -> BaselineClips:
    """A picture and the same shifted, with points that follow it; the last point of every clip is absent."""
    frames = torch.rand(batch, 1, 3, side, side, generator=seeded()) * 2 - 1
    start = torch.rand(batch, points, 2, generator=seeded(1)) * (side - 8)
    paths = torch.stack((start, start + torch.tensor([3.0, 2.0])), dim=2)
    paths[:, -1] = NAN
    return BaselineClips(torch.cat((frames, frames.roll((2, 3), (-2, -1))), dim=1), paths)


def marked(maps: Tensor) -> dict[tuple[int, ...], float]:
    """Cells of a map that are not zero."""
    return {tuple(at): maps[tuple(at)].item() for at in maps.nonzero().tolist()}


# Maps


def test_a_vector_shows_in_one_pixel_at_either_end() -> None:
    maps = vector_maps(torch.tensor([[[[3.2, 5.0], [7.9, 4.0]]]]), (10, 12))
    assert maps.shape == (1, 6, 10, 12)
    found = marked(maps[0])
    start = {(0, 5, 3): 1.0, (1, 5, 3): -1.0, (2, 5, 3): 4.7}  # 1, dy, dx
    end = {(3, 4, 8): 1.0, (4, 4, 8): 1.0, (5, 4, 8): -4.7}  # 1, -dy, -dx
    assert found == pytest.approx(start | end)


def test_absent_points_leave_nothing_and_each_clip_has_its_own() -> None:
    paths = torch.full((3, 2, 2, 2), NAN)
    paths[1, 1] = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    paths[2, 0, 0] = torch.tensor([1.0, 2.0])  # its end is not known
    maps = vector_maps(paths, (8, 8))
    assert marked(maps) == {(1, 0, 2, 1): 1.0, (1, 3, 2, 1): 1.0}


@pytest.mark.parametrize("end", [(-0.6, 3.0), (4.0, 7.6), (11.6, 3.0), (-50.0, 900.0)])
def test_a_point_that_leaves_the_picture_is_left_out_of_the_end_map(end: tuple[float, float]) -> None:
    maps = vector_maps(torch.tensor([[[[3.0, 5.0], end]]]), (8, 12))
    assert marked(maps[0]) == pytest.approx({(0, 5, 3): 1.0, (1, 5, 3): end[1] - 5, (2, 5, 3): end[0] - 3})


def test_a_point_that_begins_outside_leaves_nothing() -> None:
    assert marked(vector_maps(torch.tensor([[[[-3.0, 5.0], [2.0, 2.0]]]]), (8, 8))) == {}


def test_the_corners_of_the_picture_are_inside() -> None:
    maps = vector_maps(torch.tensor([[[[-0.4, -0.4], [11.4, 7.4]]]]), (8, 12))
    assert maps[0, 0, 0, 0] == 1 and maps[0, 3, 7, 11] == 1


def test_vectors_are_in_units_of_the_config_both_in_training_and_in_prediction() -> None:
    paths = torch.tensor([[[[3.0, 5.0], [7.0, 13.0]]]])
    assert vector_maps(paths, (16, 16), 16.0)[0, :, 5, 3].tolist() == [1, 0.5, 0.25, 0, 0, 0]
    assert HaoConfig().vector_unit == 1, "the training code's pixels"
    models = tiny(), tiny(replace(TINY, vector_unit=16.0))
    clips = pair()
    assert (
        models[0].terms("model", clips, 0, seeded())["pixel"] != models[1].terms("model", clips, 0, seeded())["pixel"]
    )
    for model in models:
        model.eval()
    predicted = [m.predict(clips.frames[:, :1], 1, seeded(), clips.paths) for m in models]
    assert not torch.equal(*predicted)


# Network


def test_the_decoder_gets_nothing_from_full_or_half_resolution() -> None:
    net = WeakShortcutNet(2)
    seen = {}
    for k, block in enumerate(net.up):
        block.register_forward_pre_hook(lambda _, given, k=k: seen.update({k: tuple(given[0].shape[1:])}))
    assert net(torch.rand(2, 9, 32, 48)).shape == (2, 6, 32, 48)
    # Widths of the shortcuts: 16 from conv4_3 at an eighth, 8 from conv3_3 at a quarter.
    assert seen == {0: (16, 2, 3), 1: (16 + 16, 4, 6), 2: (8 + 8, 8, 12), 3: (4, 16, 24), 4: (2, 32, 48)}


def test_only_the_two_shortcuts_and_the_smallest_map_reach_the_decoder() -> None:
    torch.manual_seed(0)
    net, levels = WeakShortcutNet(2).eval(), []

    def parted(block: nn.Module, given: tuple[Tensor], h: Tensor) -> Tensor:
        """Keeps a level's gradient from what the next levels make of it."""
        levels.append(h.detach().requires_grad_())
        return levels[-1]

    for block in net.down:
        block.register_forward_hook(parted)
    net(torch.rand(1, 9, 32, 32)).sum().backward()
    assert [h.shape[-1] for h in levels] == [32, 16, 8, 4, 2]
    assert [h.grad is not None and bool(h.grad.any()) for h in levels] == [False, False, True, True, True]


def test_weights_start_normal_by_the_number_of_outputs() -> None:
    torch.manual_seed(0)
    net = WeakShortcutNet(32)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13 + 3 + 3 + 3 + 2 + 1 + 1
    for layer in convolutions[:-1]:
        assert layer.weight.std().item() == pytest.approx((2 / (9 * layer.out_channels)) ** 0.5, rel=0.1)
    assert convolutions[-1] is net.head
    for part in net.head.weight.split((2, 1, 3)):  # flow, mask and completion are three layers side by side
        assert part.std().item() == pytest.approx((2 / (9 * len(part))) ** 0.5, rel=0.15)
    assert not net.head.bias.any()


def test_the_published_presets_have_the_published_widths() -> None:
    for name, side in (("hao64", 64), ("hao128", 128)):
        preset = PRESETS[name]
        assert (preset.network.resolution, preset.batch, preset.learning_rate, preset.length) == (side, 32, 1e-3, 10)
        small = PRESETS[f"{name}-small"]
        assert small.network == replace(preset.network, channels=preset.network.channels // (8 if side == 64 else 4))
        assert small.fall == preset.fall == 0
    net = WeakShortcutNet(PRESETS["hao128"].network.channels)
    widths = [[m.out_channels for m in block if isinstance(m, nn.Conv2d)] for block in (*net.down, *net.up)]
    assert widths == [
        [64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3,
        [512] * 3, [512, 512, 256], [256, 256, 128], [128, 64], [64],
    ]  # fmt: skip
    vgg = sum(p.numel() for block in net.down for m in block if isinstance(m, nn.Conv2d) for p in m.parameters())
    assert vgg == 14_710_464 + (9 - 3) * 9 * 64  # the weights of VGG-16's convolutions, with nine channels of input


# Output and losses


def test_a_frame_is_the_warped_picture_where_the_mask_says_so_and_the_painted_one_elsewhere() -> None:
    x_0 = torch.zeros(1, 3, 2, 4)
    x_0[0, :, 0] = torch.tensor([0.0, 0.2, 0.4, 1.0])
    flow = torch.zeros(1, 2, 2, 4)
    flow[0, 0, 0] = torch.tensor([1.0, 1.0, -0.5, -3.0])  # dx, where to fetch from; dy stays 0
    flow[0, 1, 1] = -1.0  # the second row fetches from the first
    mask = torch.tensor([[1.0, 0.5, 1.0, 0.25], [1.0, 1.0, 0.0, 0.0]]).view(1, 1, 2, 4)
    completion = torch.full((1, 3, 2, 4), 0.8)
    completion[0, :, 1, 2:] = torch.tensor([7.0, -7.0])  # clipped to 1 and 0
    expected = [[0.2, 0.5 * 0.4 + 0.5 * 0.8, 0.3, 0.75 * 0.8], [0.0, 0.2, 1.0, 0.0]]
    for channel in blend(x_0, flow, mask, completion)[0]:
        torch.testing.assert_close(channel, torch.tensor(expected))


def test_the_three_terms_on_numbers_worked_out_by_hand() -> None:
    assert charbonnier(torch.full((1, 3, 2, 2), 0.3)).item() == pytest.approx(0.3, abs=1e-6)
    assert charbonnier(torch.zeros(1, 3, 2, 2)).item() == pytest.approx(1e-4)
    model, clips = tiny(), pair()
    nn.init.zeros_(model.network.head.weight)
    with torch.no_grad():  # flow 0, mask 1/2, completion -1, 0.5 and 3: outside of [0, 1] by 1, 0 and 2
        model.network.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -1.0, 0.5, 3.0]))
    terms = {name: term.item() for name, term in model.terms("model", clips, 0, seeded()).items()}
    assert terms["range"] == pytest.approx(0.1 * (1 + 0 + 4) / 3)
    assert terms["mask"] == pytest.approx(0.01 * 0.25)
    x_0, x = ((clips.frames + 1) / 2).unbind(dim=1)
    painted = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1)
    assert terms["pixel"] == pytest.approx((0.5 * x_0 + 0.5 * painted - x).abs().mean().item(), abs=1e-5)


# The whole


def test_gradients_reach_every_parameter() -> None:
    model = tiny()
    assert list(model.groups()) == ["model"]
    torch.stack(list(model.terms("model", pair(), 0, seeded()).values())).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_every_frame_is_made_of_the_first_one_and_its_own_positions_alone() -> None:
    model, clips = tiny().eval(), pair()
    assert clips.paths is not None
    paths = torch.cat((clips.paths, clips.paths[:, :, 1:] + 4), dim=2)
    predicted = model.predict(clips.frames[:, :1], 2, seeded(), paths)
    assert predicted.shape == (4, 2, 3, 32, 32)
    assert float(predicted.min()) >= -1 and float(predicted.max()) <= 1
    assert torch.equal(predicted, model.predict(clips.frames[:, :1], 2, seeded(7), paths))
    other = paths.clone()
    other[:, :, 1] += 2
    moved = model.predict(clips.frames[:, :1], 2, seeded(), other)
    assert torch.equal(moved[:, 1], predicted[:, 1]) and not torch.equal(moved[:, 0], predicted[:, 0])


def test_a_seed_of_the_weights_gives_the_same_losses() -> None:
    first, second = (tiny().terms("model", pair(), 0, seeded()) for _ in range(2))
    assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in second.items()}


def test_a_few_steps_on_one_batch_lower_the_loss() -> None:
    model, clips = tiny(), pair()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for number in range(30):
        loss = torch.stack(list(model.terms("model", clips, number, seeded()).values())).sum()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": 72}, "resolution is 72; it must be a multiple of 16"),
        ({"resolution": 16}, "resolution is 16"),
        ({"channels": 0}, "channels is 0"),
        ({"vector_unit": 0.0}, "vector_unit is 0.0"),
        ({"mask_weight": -1.0}, "mask_weight is -1.0"),
        ({"range_weight": NAN}, "range_weight is nan"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        HaoConfig(**wrong)  # type: ignore[arg-type]
