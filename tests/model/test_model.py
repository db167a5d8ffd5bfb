"""The model as a whole: shapes, what reaches what, and what must not."""

import pytest
import torch

from poke2vid import pokes
from poke2vid.model.blocks import ResBlock
from poke2vid.model.config import ModelConfig
from poke2vid.model.decoder import Decoder
from poke2vid.model.encoders import ObjectEncoder, PokeEncoder
from poke2vid.model.poke_video import NO_POKE, PokeVideo
from poke2vid.types import InputError, Poke

VARIANTS = {
    "paper": {},
    "motion": {"decoder": "motion"},
    "bottleneck": {"dynamics": "bottleneck"},
    "bottleneck motion": {"dynamics": "bottleneck", "decoder": "motion"},
    "depth 1": {"depth": 1},
    "depth 2 motion": {"depth": 2, "decoder": "motion"},
    "literal": {"poke_encoder": "literal", "colour": "literal", "state_range": "literal"},
    "impulse": {"poke_kind": "impulse"},
}


def model(resolution: int = 64, channels: int = 4, seed: int = 0, **kwargs: object) -> PokeVideo:
    torch.manual_seed(seed)
    built = PokeVideo(ModelConfig(resolution=resolution, channels=channels, **kwargs))
    if built.config.decoder == "motion":  # an untrained one moves nothing
        torch.nn.init.normal_(built.decoder.head.weight, std=0.05)
    return built.eval()


def pictures(count: int, resolution: int = 64, seed: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def poke_map(shift: tuple[float, float], resolution: int = 64, at: tuple[float, float] | None = None) -> torch.Tensor:
    return pokes.rasterise([Poke(at or (resolution / 2, resolution / 2), shift)], resolution)


@pytest.mark.parametrize(("resolution", "levels"), [(16, 1), (32, 2), (64, 3), (128, 4), (256, 5)])
@pytest.mark.parametrize("decoder", ["rgb", "motion"])
def test_every_resolution_has_its_levels_down_to_eight_pixels(resolution: int, levels: int, decoder: str) -> None:
    built = model(resolution, channels=2, decoder=decoder)
    with torch.no_grad():
        result = built.rollout(
            pictures(1, resolution), torch.zeros(1, 1, 3, resolution, resolution), torch.zeros(1, 2).long()
        )
    assert built.config.num_levels == levels
    assert [s.shape[-1] for s in result.sigma] == [8 * 2**n for n in range(levels)]
    assert [s.shape[2] for s in result.sigma] == [2 * 2 ** (levels - 1 - n) for n in range(levels)]
    assert result.frames.shape == (1, 2, 3, resolution, resolution)


@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_ten_frame_model_runs_on_for_twenty_five(kwargs: dict) -> None:
    built = model(**kwargs)
    with torch.no_grad():
        result = built.rollout(pictures(2), poke_map((5, 3)).expand(2, 1, 3, 64, 64), torch.zeros(2, 25).long())
    assert result.frames.shape == (2, 25, 3, 64, 64)
    assert torch.isfinite(result.frames).all()


@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS.keys())
def test_samples_of_a_batch_do_not_mix(kwargs: dict) -> None:
    built = model(**kwargs)
    x_0 = pictures(3)
    maps = torch.stack([poke_map((5, 3)), poke_map((-4, 1), at=(10, 50)), poke_map((0, 9))])[:, None]
    schedule = torch.tensor([[0, 0, NO_POKE], [0, NO_POKE, 0], [NO_POKE, 0, 0]])
    with torch.no_grad():
        together = built.rollout(x_0, maps, schedule).frames
        for k in range(3):
            alone = built.rollout(x_0[k : k + 1], maps[k : k + 1], schedule[k : k + 1]).frames
            torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=2e-5)
    assert float((together[0] - together[1]).abs().max()) > 1e-2


@pytest.mark.parametrize(("depth", "joined"), [(1, 0), (2, 1), (3, 2)])
def test_a_level_has_a_skip_only_where_a_gru_runs(depth: int, joined: int) -> None:
    """A skip widens a block's input; a level beyond the depth must not reach the decoder at all."""
    built = model(depth=depth)
    widths = built.config.level_channels
    extra = [block.first.in_channels - c for block, c in zip(built.decoder.up, [widths[0], *widths[1:]], strict=True)]
    assert [e > 0 for e in extra] == [False, *[n <= joined for n in range(1, len(widths))]]
    with torch.no_grad():
        assert len(built.start(pictures(1)).sigma) == depth == len(built.levels_of(pictures(1)[None]))


def test_the_bottleneck_rnn_keeps_the_skips_of_the_first_frame() -> None:
    built = model(dynamics="bottleneck")
    state = built.start(pictures(1))
    levels = built.object_encoder(pictures(1))
    assert torch.equal(state.context[0], levels[1]) and torch.equal(state.context[1], levels[2])
    with torch.no_grad():
        later, _ = built.step(state, built.dynamics.drive(torch.ones_like(state.sigma[0])))
    assert all(a is b for a, b in zip(later.context, state.context, strict=True))
    assert not torch.equal(later.sigma[0], state.sigma[0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1.0, 4.0, 16.0])
def test_phi_changes_by_a_tenth_when_the_poke_doubles(seed: int, length: float) -> None:
    torch.manual_seed(seed)
    encoder = PokeEncoder(ModelConfig(channels=8)).eval()
    with torch.no_grad():
        empty, once, twice = encoder(
            torch.stack([torch.zeros(3, 64, 64), poke_map((length, 0)), poke_map((2 * length, 0))])
        )
    assert float((twice - once).norm() / (once - empty).norm()) > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_literal_poke_encoder_is_blind_to_the_pokes_length(seed: int) -> None:
    """The paper's InstanceNorm divides it away: the reason for docs/decisions/002."""
    torch.manual_seed(seed)
    encoder = PokeEncoder(ModelConfig(channels=8, poke_encoder="literal")).eval()
    with torch.no_grad():
        once, twice = encoder(torch.stack([poke_map((8, 0)), poke_map((16, 0))]))
    assert float((twice - once).norm() / once.norm()) < 0.02


def test_a_poke_is_seen_where_it_is() -> None:
    torch.manual_seed(0)
    encoder = PokeEncoder(ModelConfig(channels=8)).eval()
    with torch.no_grad():
        empty = encoder(torch.zeros(1, 3, 64, 64))
        left = (encoder(poke_map((5, 0), at=(12, 32))[None]) - empty).norm(dim=1)[0]
    row, column = divmod(int(left.argmax()), 8)
    assert column in (1, 2) and row in (3, 4)


@pytest.mark.parametrize("gain", [0.5, 1.0])
@pytest.mark.parametrize("offset", [-0.4, 0.3])
def test_colour_and_contrast_of_the_picture_reach_the_frame(gain: float, offset: float) -> None:
    """E_sigma forgets them, so the decoder must follow them by its context alone; the literal one cannot."""
    x = 0.4 * pictures(2)
    changed = gain * x + offset
    means = {}
    for colour in ("statistics", "literal"):
        built = model(colour=colour)
        with torch.no_grad():
            frames = [built.reconstruct(p[:, None], p).frames for p in (x, changed)]
        means[colour] = float((frames[1].mean((0, 1, 3, 4)) - frames[0].mean((0, 1, 3, 4))).mean())
    assert abs(means["statistics"] - offset) < 0.1
    assert abs(means["literal"]) < 0.1 < abs(offset)


def test_object_states_lie_where_gru_states_can_go() -> None:
    for state_range, inside in (("bounded", True), ("literal", False)):
        torch.manual_seed(0)
        encoder = ObjectEncoder(ModelConfig(channels=8, state_range=state_range))
        largest = max(float(level.detach().abs().max()) for level in encoder(pictures(2)))
        assert (largest <= 1) is inside


@pytest.mark.parametrize("kwargs", [{}, {"depth": 2}, {"dynamics": "bottleneck"}])
def test_an_untrained_motion_model_shows_the_still_picture(kwargs: dict) -> None:
    torch.manual_seed(0)
    built = PokeVideo(ModelConfig(channels=4, decoder="motion", **kwargs))
    x_0 = pictures(2)
    result = built.rollout(x_0, poke_map((9, 9)).expand(2, 1, 3, 64, 64), torch.zeros(2, 12).long())
    torch.testing.assert_close(result.frames, x_0[:, None].expand_as(result.frames), rtol=0, atol=1e-6)


def test_the_state_of_the_first_frame_decodes_to_the_first_frame_however_the_motion_model_is_trained() -> None:
    built = model(decoder="motion")
    x_0 = pictures(2)
    with torch.no_grad():
        result = built.reconstruct(x_0[:, None], x_0)
    torch.testing.assert_close(result.frames[:, 0], x_0, rtol=0, atol=1e-5)
    assert float(result.flow.abs().max()) == 0


def test_step_changes_no_state_it_was_given() -> None:
    built = model()
    state = built.start(pictures(1))
    before = [s.clone() for s in (*state.sigma, *state.context)]
    with torch.no_grad():
        built.step(state, built.dynamics.drive(torch.ones_like(state.sigma[0])))
    assert all(torch.equal(a, b) for a, b in zip(before, (*state.sigma, *state.context), strict=True))


def test_no_poke_is_a_zero_phi() -> None:
    built = model()
    state = built.start(pictures(1))
    with torch.no_grad():
        _, none = built.step(state, None)
        _, zero = built.step(state, built.dynamics.drive(torch.zeros_like(state.sigma[0])))
    assert torch.equal(none.x_hat, zero.x_hat)


def test_no_convolution_has_a_bias_that_a_norm_would_subtract() -> None:
    built = model(poke_encoder="literal")
    for part in (built.object_encoder, built.poke_encoder, built.decoder):
        for block in part.modules():
            if isinstance(block, ResBlock):
                assert block.first.bias is None and block.second.bias is None
    assert all(block.conv.bias is None for block in built.object_encoder.down)
    assert isinstance(built.decoder, Decoder) and built.decoder.to_rgb.bias is not None


@pytest.mark.parametrize(
    "kwargs",
    [{"resolution": 65}, {"resolution": 512}, {"channels": 0}, {"depth": 0}, {"depth": 4},
     {"dynamics": "bottleneck", "depth": 2}],
)  # fmt: skip
def test_an_impossible_model_is_refused_by_name(kwargs: dict) -> None:
    with pytest.raises(InputError) as refusal:
        ModelConfig(**kwargs)
    assert str(next(iter(kwargs.values()))) in str(refusal.value) or "depth" in str(refusal.value)
