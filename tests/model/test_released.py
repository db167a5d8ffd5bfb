"""The released architecture and its checkpoints: what it computes, and that a converted model computes the same.

The names and shapes of the published networks are written out here once more, and what they compute is compared with
benchmarks/released_eager.py, which shares no code with the model.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from programs import poke2vid
from released_eager import EagerVGG19, ReleasedEager, static_term, training_terms
from torch import Tensor, nn

from poke2vid import pokes
from poke2vid.model.config import ModelConfig
from poke2vid.model.conversion import convert_checkpoint, convert_released, read_released, released_model
from poke2vid.model.dynamics import HierarchicalDynamics
from poke2vid.model.files import load_model, save_model
from poke2vid.model.info import count_parameters, parts
from poke2vid.model.poke_video import NO_POKE, PokeVideo
from poke2vid.pretrained.features import VGG19Features
from poke2vid.types import InputError, Poke

RELEASED = ModelConfig(
    resolution=64, architecture="released", poke_encoder="literal", colour="literal", state_range="literal"
)
# (in, out) channels: convolutions of E_sigma and E_phi, (input, state) of the GRUs, blocks of G that double the side
SIZES: dict[int, dict[str, list[tuple[int, int]]]] = {
    32: {"sigma": [(3, 256)], "phi": [(2, 32)], "gru": [(512, 512), (512, 256)], "g": [(512, 256)]},
    64: {
        "sigma": [(3, 128), (128, 256)],
        "phi": [(2, 32), (32, 64)],
        "gru": [(512, 512), (512, 256), (256, 128)],
        "g": [(512, 128), (256, 128)],
    },
    128: {
        "sigma": [(3, 64), (64, 128), (128, 256)],
        "phi": [(2, 32), (32, 64), (64, 128)],
        "gru": [(512, 512), (512, 256), (256, 128), (128, 64)],
        "g": [(512, 128), (256, 64), (128, 64)],
    },
}
PARTS = {  # counted on the released code's own classes
    64: {"object_encoder": 5_018_880, "poke_encoder": 7_689_376, "dynamics": 21_384_064, "decoder": 5_018_499},
    128: {"object_encoder": 5_090_944, "poke_encoder": 8_353_056, "dynamics": 21_863_616, "decoder": 4_795_587},
}
TOTALS = {64: 39_110_819, 128: 40_103_203}


def released_layers(resolution: int) -> Iterator[tuple[str, int, int, bool]]:
    """(name, in, out, transposed) of every 3x3 layer of the published network."""
    sizes = SIZES[resolution]
    for k, (i, o) in enumerate(sizes["sigma"]):
        yield f"shape_enc.blocks.{k}.conv", i, o, False
    for k, (i, o) in enumerate(sizes["phi"]):
        yield f"dynamics_enc.model.{k}.conv", i, o, False
    for k, (i, o) in enumerate(sizes["gru"]):
        for gate in ("reset_gate", "update_gate", "out_gate"):
            yield f"fusion_block.cells.{k}.{gate}", i + o, o, False
        if k >= 2:
            yield f"fusion_block.cells.{k}.up_gate", i, i, True
    yield from res_block("shape_enc.bottleneck", 256, 512)
    yield from res_block("dynamics_enc.bottleneck.0", sizes["phi"][-1][1], 512)
    yield from list(res_block("dynamics_enc.bottleneck.1", 512, 512))[:2]
    yield from res_block("dec.in_block", 512, 256)
    for k, (i, o) in enumerate(sizes["g"]):
        yield from res_block(f"dec.blocks.{k}", i, o, transposed=True)
    yield "dec.out_conv.conv", sizes["g"][-1][1], 3, False


def res_block(name: str, i: int, o: int, transposed: bool = False) -> Iterator[tuple[str, int, int, bool]]:
    yield f"{name}.conv1.conv", i, o, transposed
    yield f"{name}.conv2.conv", o, o, False
    yield f"{name}.res_conv.conv", i, o, transposed


@cache
def published(resolution: int) -> dict[str, Tensor]:
    """Random weights of a size that neither dies out nor saturates, under the published names; not to be changed."""
    generator = torch.Generator().manual_seed(resolution)
    state = {}
    for name, i, o, transposed in released_layers(resolution):
        shape = (i, o, 3, 3) if transposed else (o, i, 3, 3)
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / (9 * i) ** 0.5
        state[f"{name}.bias"] = 0.3 * torch.randn(o, generator=generator)
    return state


def reference(resolution: int) -> ReleasedEager:
    with torch.device("meta"):
        net = ReleasedEager(resolution)
    net.load_state_dict(published(resolution), assign=True)
    return net.double().eval()


def converted(resolution: int) -> PokeVideo:
    return released_model(*convert_released(published(resolution))).double()


def pictures(resolution: int, count: int = 1) -> Tensor:
    return torch.rand(count, 3, resolution, resolution, generator=torch.Generator().manual_seed(1)).double() * 2 - 1


def both_maps(resolution: int, poke: Poke) -> tuple[Tensor, Tensor]:
    """A poke as our map, and as the released code paints it: in pixels, 3 x 3 at 64 and 5 x 5 at 128."""
    (x, y), half = poke.location, 2 if resolution == 128 else 1
    theirs = torch.zeros(1, 2, resolution, resolution)
    theirs[0, 0, int(y) - half : int(y) + half + 1, int(x) - half : int(x) + half + 1] = poke.shift[0]
    theirs[0, 1, int(y) - half : int(y) + half + 1, int(x) - half : int(x) + half + 1] = poke.shift[1]
    return pokes.rasterise([poke], resolution).double()[None], theirs.double()


def meta_model(config: ModelConfig) -> PokeVideo:
    with torch.device("meta"):
        return PokeVideo(config)


# Its shape


@pytest.mark.parametrize("resolution", [64, 128])
def test_every_part_has_the_released_number_of_parameters(resolution: int) -> None:
    model = meta_model(replace(RELEASED, resolution=resolution))
    assert {name: count_parameters(part) for name, part in parts(model).items()} == PARTS[resolution]
    assert count_parameters(model) == TOTALS[resolution]


@pytest.mark.parametrize(
    ("resolution", "channels", "sides"),
    [
        (32, (512, 256), (16, 16)),
        (64, (512, 256, 128), (16, 16, 32)),
        (128, (512, 256, 128, 64), (16, 16, 32, 64)),
        (256, (512, 256, 128, 64, 32), (16, 16, 32, 64, 128)),
    ],
)
def test_the_two_coarsest_levels_share_sixteen_cells(resolution: int, channels: tuple, sides: tuple) -> None:
    config = replace(RELEASED, resolution=resolution)
    assert (config.level_channels, config.level_sides) == (channels, sides)
    assert config.num_levels == config.num_dynamic_levels == config.num_skip_levels == len(sides)
    sigma = meta_model(config).start(torch.zeros(1, 3, resolution, resolution, device="meta")).sigma
    assert tuple(tuple(level.shape) for level in sigma) == tuple(
        (1, c, s, s) for c, s in zip(channels, sides, strict=True)
    )


def test_the_papers_levels_have_sides_too() -> None:
    config = ModelConfig(resolution=128)
    sigma = meta_model(config).start(torch.zeros(1, 3, 128, 128, device="meta")).sigma
    assert tuple(level.shape[-1] for level in sigma) == config.level_sides == (8, 16, 32, 64)


def test_update_gates_of_the_released_model_start_half_open() -> None:
    torch.manual_seed(0)
    dynamics = HierarchicalDynamics(replace(RELEASED, resolution=64))
    for cell in dynamics.cells:
        assert float(cell.from_input.bias.detach().abs().max()) == 0
    same, up = dynamics.upsamplers
    assert isinstance(same, nn.Identity)
    assert (up.in_channels, up.out_channels, up.kernel_size) == (256, 256, (3, 3))
    rows = up.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(256), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("choice", "needed"),
    [
        ({"decoder": "motion"}, "decoder='rgb'"),
        ({"dynamics": "bottleneck"}, "dynamics='hierarchy'"),
        ({"poke_encoder": "magnitude"}, "poke_encoder='literal'"),
        ({"colour": "statistics"}, "colour='literal'"),
        ({"state_range": "bounded"}, "state_range='literal'"),
        ({"depth": 2}, "depth=None"),
        ({"channels": 16}, "channels=32"),
        ({"resolution": 16}, "choose 32, 64, 128 or 256"),
    ],
)
def test_what_the_released_model_cannot_be_is_refused_with_what_to_set(choice: dict, needed: str) -> None:
    with pytest.raises(InputError, match="architecture='released'") as refusal:
        replace(RELEASED, **choice)
    assert needed in str(refusal.value)


# What it computes


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_the_reference_has_the_published_names_and_shapes(resolution: int) -> None:
    with torch.device("meta"):
        found = ReleasedEager(resolution).state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in published(resolution).items()}


@pytest.mark.parametrize(("resolution", "num_frames"), [(32, 2), (64, 3), (128, 2)])
@torch.no_grad()
def test_a_converted_model_computes_what_the_released_one_does(resolution: int, num_frames: int) -> None:
    poke = Poke((resolution * 0.375, resolution * 0.625), (5.0, -3.0))
    ours, theirs = both_maps(resolution, poke)
    x_0 = pictures(resolution)
    frames, states = reference(resolution)(x_0, theirs, num_frames)
    rollout = converted(resolution).rollout(x_0, ours[:, None], torch.zeros(1, num_frames).long())
    torch.testing.assert_close(rollout.frames, frames, rtol=0, atol=1e-9)
    for n, level in enumerate(rollout.sigma):
        torch.testing.assert_close(level, torch.stack([sigma[n] for sigma in states], dim=1), rtol=0, atol=1e-9)
    assert float((frames[:, -1] - frames[:, 0]).abs().mean()) > 0.05, "a still picture would prove little"


@torch.no_grad()
def test_steps_and_reconstructions_are_the_released_ones_too() -> None:
    ours, theirs = both_maps(32, Poke((20.0, 10.0), (-7.0, 2.0)))
    x, net, model = pictures(32, 2), reference(32), converted(32)
    torch.testing.assert_close(model.reconstruct(x[:, None], x).frames[:, 0], net.reconstruct(x)[0], rtol=0, atol=1e-9)
    frames, _ = net(x[:1], theirs, 2)
    state, phi = model.start(x[:1]), model.encode_poke(ours)
    for i in range(2):
        state, frame = model.step(state, phi)
        torch.testing.assert_close(frame.x_hat, frames[:, i], rtol=0, atol=1e-9)
    assert state.context == ()


@torch.no_grad()
def test_an_impulse_reaches_the_released_model_once() -> None:
    """After the first step its GRU reads a zero latent, as that code's variant for App. B does."""
    config, tensors = convert_released(published(32))
    model = released_model(replace(config, poke_kind="impulse"), tensors).double()
    ours, theirs = both_maps(32, Poke((10.0, 20.0), (4.0, 4.0)))
    x_0, net = pictures(32), reference(32)
    rollout = model.rollout(x_0, ours[:, None], torch.tensor([[0, NO_POKE, NO_POKE]]))
    phi, states = net.dynamics_enc(theirs), net.shape_enc(x_0)
    for i in range(3):
        states = net.fusion_block(phi if i == 0 else torch.zeros_like(phi), states)
        torch.testing.assert_close(rollout.frames[:, i], net.dec(states), rtol=0, atol=1e-9)
    held = model.rollout(x_0, ours[:, None], torch.zeros(1, 3).long())
    assert float((held.frames[:, 2] - rollout.frames[:, 2]).abs().max()) > 1e-2


def test_every_parameter_of_a_released_model_learns() -> None:
    """But for biases that a norm subtracts again."""
    config, tensors = convert_released(published(32))
    model = released_model(config, {name: tensor.clone() for name, tensor in tensors.items()})
    maps, _ = both_maps(32, Poke((10.0, 20.0), (4.0, 4.0)))
    model.rollout(
        pictures(32).float(), maps[:, None].float(), torch.zeros(1, 2).long()
    ).frames.square().sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or float(p.grad.abs().max()) < 1e-2}
    assert all(name.endswith(".bias") for name in still)
    assert not any(name.startswith("dynamics") or "to_rgb" in name for name in still)


def test_training_terms_of_the_reference_are_means_over_frames_and_levels() -> None:
    torch.manual_seed(0)
    model, vgg = reference(32).float(), EagerVGG19(VGG19Features())
    clip = pictures(32, 3)[None].float().requires_grad_()
    _, poke = both_maps(32, Poke((10.0, 20.0), (4.0, 4.0)))
    terms = training_terms(model, vgg, clip, poke.float())
    frames, states = model(clip[:, 0], poke.float(), 2)
    similarity, distance = [], []
    for i in range(2):
        x_hat, wanted = model.reconstruct(clip[:, i + 1])
        assert torch.equal(terms.unread[:, i], x_hat)
        pairs = list(zip(vgg(frames[:, i]), vgg(clip[:, i + 1]), strict=True))
        similarity.append(sum((a - b).abs().mean().item() for a, b in pairs))
        distance += [(a - b).square().mean().item() for a, b in zip(states[i], wanted, strict=True)]
    assert len(pairs) == 6
    assert terms.perceptual.item() == pytest.approx(np.mean(similarity), rel=1e-4)
    assert terms.trajectory.item() == pytest.approx(np.mean(distance), rel=1e-4)
    assert terms.total.item() == pytest.approx(5 * terms.perceptual.item() + 0.1 * terms.trajectory.item())
    still = clip[:, 0]
    pairs = list(zip(vgg(model.reconstruct(still)[0]), vgg(still), strict=True))
    assert static_term(model, vgg, still).item() == pytest.approx(
        sum((a - b).abs().mean().item() for a, b in pairs), rel=1e-4
    )
    assert terms.unread.requires_grad
    for term in (terms.perceptual, terms.trajectory):  # also the targets have a graph
        (reached,) = torch.autograd.grad(term, clip, retain_graph=True)
        assert all(float(reached[:, i].abs().max()) > 0 for i in (1, 2))
    terms.total.backward()
    wasted = [*model.shape_enc.parameters(), *list(vgg.parameters())[:28]]
    assert all(p.grad is not None for p in wasted), "what that code computes in vain is part of what it costs"


# Conversion


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_the_resolution_is_read_off_the_shapes_and_every_number_is_kept_once(resolution: int) -> None:
    state = published(resolution)
    config, tensors = convert_released(state)
    assert config == replace(RELEASED, resolution=resolution)
    assert sum(t.numel() for t in tensors.values()) == sum(t.numel() for t in state.values())
    sums = (sum(float(t.double().square().sum()) for t in side.values()) for side in (tensors, state))
    assert next(sums) == pytest.approx(next(sums), rel=1e-12)
    assert {name: t.shape for name, t in tensors.items()} == {
        name: t.shape for name, t in meta_model(config).state_dict().items()
    }


def test_gates_are_split_and_stacked_without_a_mix_up() -> None:
    _, tensors = convert_released(published(64))
    for k, (u, c) in enumerate(SIZES[64]["gru"]):
        states = [
            *tensors[f"dynamics.cells.{k}.from_state.weight"].split(c),
            tensors[f"dynamics.cells.{k}.from_reset.weight"],
        ]
        inputs = tensors[f"dynamics.cells.{k}.from_input.weight"].split(c)
        biases = tensors[f"dynamics.cells.{k}.from_input.bias"].split(c)
        for gate, i, s, b in zip(("update_gate", "reset_gate", "out_gate"), inputs, states, biases, strict=True):
            whole = published(64)[f"fusion_block.cells.{k}.{gate}.weight"]
            assert i.shape[1] == u and torch.equal(torch.cat((i, s), dim=1), whole)
            assert torch.equal(b, published(64)[f"fusion_block.cells.{k}.{gate}.bias"])


def test_names_from_several_devices_and_half_precision_are_taken() -> None:
    state = {f"module.{name}": tensor.half() for name, tensor in published(32).items()}
    config, tensors = convert_released(state)
    assert config.resolution == 32
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    whole = published(32)["dec.out_conv.conv.weight"]
    torch.testing.assert_close(tensors["decoder.to_rgb.weight"], whole, rtol=1e-3, atol=1e-3)


def test_everything_that_is_wrong_is_named_in_one_sentence() -> None:
    state = dict(published(64))
    del state["dec.out_conv.conv.bias"], state["shape_enc.blocks.0.conv.weight"]
    state["dynamics_enc.make_mu.beta"] = torch.zeros(1)
    up = state["fusion_block.cells.2.up_gate.weight"]
    state["fusion_block.cells.2.up_gate.weight"] = up[:, :, :1]
    with pytest.raises(InputError) as refusal:
        convert_released(state)
    sentence = str(refusal.value)
    assert "missing: dec.out_conv.conv.bias, shape_enc.blocks.0.conv.weight;" in sentence
    assert "unexpected: dynamics_enc.make_mu.beta;" in sentence
    assert "fusion_block.cells.2.up_gate.weight (256 x 256 x 1 x 3 instead of 256 x 256 x 3 x 3)" in sentence
    assert "at 64 pixels" in sentence and "\n" not in sentence


@pytest.mark.parametrize("state", [{}, {"features.0.weight": torch.zeros(3)}, {"module.x": torch.zeros(())}])
def test_another_network_is_refused_as_such(state: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=f"none of the {len(state)} tensors has a name of the released generator"):
        convert_released(state)


def test_a_network_that_diverged_is_refused() -> None:
    bias = published(32)["dec.out_conv.conv.bias"].clone()
    bias[1] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        convert_released({**published(32), "dec.out_conv.conv.bias": bias})


# Checkpoints


def checkpoint(path: Path, resolution: int = 32) -> Path:
    """As the released code's saves one: the network beside the states of two optimisers."""
    optimiser = torch.optim.Adam([nn.Parameter(torch.ones(2))])
    optimiser.param_groups[0]["params"][0].grad = torch.ones(2)
    optimiser.step()
    optimisers = {"optimizer_dis": optimiser.state_dict(), "optimizer_dyn": optimiser.state_dict()}
    torch.save({"model": published(resolution), **optimisers}, path)
    return path


def test_a_network_is_read_with_and_without_the_optimisers_beside_it(tmp_path: Path) -> None:
    torch.save(published(32), tmp_path / "bare.pt")
    torch.save({"model": published(32)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for path in (checkpoint(tmp_path / "reg_ckpt_checkpoint_147000.pt"), tmp_path / "bare.pt", tmp_path / "old.pt"):
        found = read_released(path)
        assert found.keys() == published(32).keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in published(32).items())


class Payload:
    """An object whose unpickling runs code."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.trace,))


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    torch.save(
        {"model": published(32)["dec.out_conv.conv.bias"], "extra": Payload(tmp_path / "trace")}, tmp_path / "a.pt"
    )
    with pytest.raises(InputError, match="would run code"):
        read_released(tmp_path / "a.pt")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "contents", [b"", b"not a checkpoint", b"PK\x03\x04 cut", b"\x80\x02}q\x00", bytes(range(256))]
)
def test_a_file_that_torch_did_not_write_is_refused_in_a_sentence(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(contents)
    with pytest.raises(InputError, match=r"a\.pt cannot be read as a checkpoint of plain tensors") as refusal:
        read_released(tmp_path / "a.pt")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [torch.zeros(2), [1, 2], {"model": 3}, {"model": {"a": 1}}, {1: torch.zeros(1)}])
def test_a_checkpoint_without_a_network_is_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "a.pt")
    with pytest.raises(InputError, match="holds no network by names"):
        read_released(tmp_path / "a.pt")


def test_a_missing_checkpoint_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(InputError, match="there is no file"):
            read_released(path)


# Model files and the command line


@pytest.mark.slow
def test_a_converted_checkpoint_animates_a_picture(tmp_path: Path) -> None:
    source, model = checkpoint(tmp_path / "reg_ckpt_checkpoint_147000.pt"), tmp_path / "released.safetensors"
    done = poke2vid("convert", source, "-o", model)
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 pixels, 37,476,451 parameters" in done.stdout and str(model) in done.stdout
    loaded = load_model(model)
    assert loaded.about["converted_from"] == source.name and len(loaded.about["converted_from_sha256"]) == 64
    assert loaded.model.config == replace(RELEASED, resolution=32)
    expected = converted(32).float().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.model.state_dict().items())
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    done = poke2vid(
        "animate", tmp_path / "picture.png", "-o", tmp_path / "out.mp4", "--model", model, "--at", "20,20",
        "--shift", "6,0", "--frames", "3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_a_bad_checkpoint_ends_the_command_with_two_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("no")
    done = poke2vid("convert", tmp_path / "a.pt", "-o", tmp_path / "b.safetensors")
    assert done.returncode == 2
    assert done.stderr.startswith("poke2vid: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "b.safetensors").exists()


def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        convert_checkpoint(checkpoint(tmp_path / "a.pt"), tmp_path / "file" / "b.safetensors")


def test_a_released_model_of_our_own_training_is_saved_and_loaded(tmp_path: Path) -> None:
    config, tensors = convert_released(published(32))
    config = replace(config, poke_kind="impulse")
    save_model(tmp_path / "a.safetensors", released_model(config, tensors), {})
    loaded = load_model(tmp_path / "a.safetensors").model
    assert loaded.config == config
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.state_dict().items())
