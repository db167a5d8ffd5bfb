"""Feature networks: the right architecture, the right numbers, and never trained by accident."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from poke2vid.pretrained import weights
from poke2vid.pretrained.features import (
    AlexFeatures,
    FeatureNet,
    Lpips,
    LpipsName,
    SqueezeFeatures,
    VGG16Features,
    VGG19Features,
    build_features,
    build_lpips,
    lpips_named,
)
from poke2vid.types import InputError

NETS = (VGG19Features, VGG16Features, SqueezeFeatures, AlexFeatures)
VGG_KEYS = [f"{i}.{part}" for i in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30) for part in ("weight", "bias")]


def frames(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def squeeze(shared: Path) -> FeatureNet:
    net = build_features("squeeze", shared / "weights")
    assert net is not None
    return net


@pytest.fixture(scope="module")
def lpips(shared: Path) -> Lpips:
    return build_lpips(shared / "weights")


def test_vgg19_taps_have_the_shapes_of_the_second_relu_of_each_block():
    shapes = [tuple(tap.shape) for tap in VGG19Features()(frames(2, 3, 64, 32))]
    assert shapes == [(2, 64, 64, 32), (2, 128, 32, 16), (2, 256, 16, 8), (2, 512, 8, 4), (2, 512, 4, 2)]


def test_vgg16_taps_have_the_shapes_of_the_last_relu_of_each_block_and_end_there():
    shapes = [tuple(tap.shape) for tap in VGG16Features()(frames(2, 3, 64, 32))]
    assert shapes == [(2, 64, 64, 32), (2, 128, 32, 16), (2, 256, 16, 8), (2, 512, 8, 4), (2, 512, 4, 2)]
    keys = [f"{i}.{part}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28) for part in ("weight", "bias")]
    assert list(VGG16Features().state_dict()) == keys
    assert sum(p.numel() for p in VGG16Features().parameters()) == 14_714_688


def test_alexnet_taps_have_the_shapes_that_lpips_reads():
    shapes = [tuple(tap.shape) for tap in AlexFeatures()(frames(2, 3, 64, 64))]
    assert shapes == [(2, 64, 15, 15), (2, 192, 7, 7), (2, 384, 3, 3), (2, 256, 3, 3), (2, 256, 3, 3)]
    assert tuple(tap.shape[1] for tap in AlexFeatures()(frames(1, 3, 32, 32))) == AlexFeatures.channels


def torchmetrics_frames() -> tuple[Tensor, Tensor]:
    torch.manual_seed(123)
    return torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1


@pytest.mark.parametrize(("name", "known"), [("alex", 0.1486), ("vgg", 0.3485), ("squeeze", 0.1008)])
def test_lpips_is_its_formula_with_the_published_weights(shared: Path, name: LpipsName, known: float):
    """squeeze: as torchmetrics documents; alex, vgg: ours, of nets that give LPIPS's own examples 0.7219, 0.1376 (alex)."""
    net = build_lpips(shared / "weights", name=name)
    x, y = torchmetrics_frames()
    assert net(x, y).mean().item() == pytest.approx(known, abs=5e-5)
    heads = weights.load(f"lpips_{name}", shared / "weights")
    expected = torch.zeros(2)
    for k, (a, b) in enumerate(zip(net.features(x[:2]), net.features(y[:2]), strict=True)):
        a, b = (f / f.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-12) for f in (a, b))
        expected += ((a - b).square() * heads[f"lin{k}.model.1.weight"]).sum(dim=1).mean(dim=(1, 2))
    assert torch.allclose(net(x[:2], y[:2]), expected, rtol=1e-4)
    assert net(x[:2], x[:2]).tolist() == [0, 0]


def test_an_lpips_that_does_not_exist_or_has_no_weights_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)
    assert (lpips_named(None), lpips_named("vgg"), lpips_named("vgg, alex")) == (None, ("vgg",), ("alex", "vgg"))
    for names in ("resnet", "vgg,resnet", ""):
        with pytest.raises(InputError, match=r"no LPIPS on '.*'; choose some of squeeze, alex, vgg"):
            lpips_named(names)
    for name, file in (("vgg", r"vgg16\.features\.pth"), ("alex", r"alexnet\.features\.pth")):
        with pytest.raises(InputError, match=file):
            build_lpips(tmp_path, name=name)


def test_squeezenet_taps_have_the_shapes_that_lpips_reads():
    shapes = [tuple(tap.shape) for tap in SqueezeFeatures()(frames(2, 3, 64, 64))]
    # Pooling rounds up: 31 -> 15 -> 7 -> 3.
    assert [shape[1] for shape in shapes] == list(SqueezeFeatures.channels)
    assert [shape[2] for shape in shapes] == [31, 15, 7, 3, 3, 3, 3]
    shapes = [tuple(tap.shape) for tap in SqueezeFeatures()(frames(1, 3, 66, 66))]
    assert [shape[2] for shape in shapes] == [32, 16, 8, 4, 4, 4, 4], "32 -> 16 needs the pooling to round up"


def test_vgg19_has_the_keys_of_torchvisions_features():
    assert list(VGG19Features().state_dict()) == VGG_KEYS


def test_vgg19_takes_a_checkpoint_that_reaches_deeper():
    deeper = VGG19Features().state_dict() | {"32.weight": torch.zeros(1), "34.bias": torch.zeros(1)}
    net = VGG19Features()
    net.load_public(deeper)
    assert torch.equal(net.state_dict()["30.weight"], deeper["30.weight"])


@pytest.mark.parametrize("kind", NETS)
def test_features_are_taken_after_the_non_linearity(kind: type[FeatureNet]):
    assert all(tap.min() >= 0 for tap in kind()(frames(1, 3, 32, 32)))


@pytest.mark.parametrize("kind", NETS)
def test_frames_are_normalised_by_the_statistics_of_imagenet(kind: type[FeatureNet]):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    net = kind()
    seen: list[Tensor] = []
    net[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net((mean + std) * 2 - 1 + torch.zeros(1, 3, 32, 32))
    assert torch.allclose(seen[0], torch.ones(1, 3, 32, 32), atol=1e-5), "one deviation above the mean is 1"


@pytest.mark.parametrize("kind", NETS)
def test_features_are_frozen_and_stay_in_eval_mode_inside_a_training_module(kind: type[FeatureNet]):
    owner = nn.ModuleList([kind()])
    owner.train()
    assert not any(module.training for module in owner[0].modules())
    assert not any(parameter.requires_grad for parameter in owner.parameters())


@pytest.mark.parametrize("kind", NETS)
def test_the_gradient_reaches_the_frame_and_not_the_weights(kind: type[FeatureNet]):
    net, x = kind(), frames(1, 3, 32, 32).requires_grad_()
    torch.stack([tap.mean() for tap in net(x)]).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("kind", NETS)
def test_the_smallest_frame_is_as_small_as_the_layers_allow_and_smaller_ones_are_refused(kind: type[FeatureNet]):
    net = kind()
    assert all(tap.numel() > 0 for tap in net(frames(1, 3, net.smallest, net.smallest)))
    too_small = frames(1, 3, 40, net.smallest - 1)
    with pytest.raises(InputError, match=f"at least {net.smallest}x{net.smallest}"):
        net(too_small)
    with pytest.raises(RuntimeError):
        nn.Sequential.forward(net, too_small)


def test_frames_of_32_pixels_are_large_enough_for_every_network():
    assert all(kind.smallest <= 32 for kind in NETS)


def test_no_perceptual_network_is_a_choice():
    assert build_features("none") is None


def test_missing_weights_of_a_perceptual_network_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("POKE2VID_WEIGHTS", raising=False)
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d\.pth"):
        build_features("vgg19", tmp_path)


def test_squeezenet_loads_its_public_weights_and_is_zero_between_equal_frames(squeeze: FeatureNet):
    x, y = frames(2, 3, 48, 48, seed=1), frames(2, 3, 48, 48, seed=2)
    perceptual = [
        sum((a - b).abs().mean() for a, b in zip(squeeze(x), squeeze(other), strict=True)) for other in (x, y)
    ]
    assert perceptual[0] == 0
    assert perceptual[1] > 1


def test_lpips_is_zero_between_equal_frames_and_grows_with_blur(lpips: Lpips, shared: Path):
    x = frames(2, 3, 64, 64)
    blurred = [nn.functional.avg_pool2d(x, size, stride=1, padding=size // 2) for size in (3, 7)]
    assert lpips(x, x).tolist() == [0, 0]
    assert (lpips(x, blurred[0]) < lpips(x, blurred[1])).all()


def test_lpips_has_a_finite_gradient_even_where_frames_are_black_or_equal(lpips: Lpips):
    x = torch.full((1, 3, 32, 32), -1.0, requires_grad=True)
    lpips(x, x.detach()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_lpips_is_frozen(lpips: Lpips):
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


@pytest.mark.parametrize(
    ("kind", "twin"),
    [(VGG19Features, "vgg19"), (VGG16Features, "vgg16"), (SqueezeFeatures, "squeezenet1_1"), (AlexFeatures, "alexnet")],
)
def test_networks_equal_those_of_torchvision(kind: type[FeatureNet], twin: str):
    try:
        from torchvision import models
    except Exception as error:  # beside a CPU build of torch it fails in other ways than by ImportError
        pytest.skip(f"torchvision does not import: {error}")
    reference = getattr(models, twin)(weights=None).features.eval()
    net = kind()
    net.load_public(reference.state_dict())
    x = frames(1, 3, 64, 64)
    deepest = reference[: net.taps[-1] + 1](((x + 1) / 2 - net.mean) / net.std)
    assert torch.allclose(net(x)[-1], deepest, atol=1e-6)
