"""Features of clips for a Frechet distance: the right networks and the right pictures."""

import hashlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from films import film
from torch import Tensor, nn

from poke2vid.measures.extractors import VideoFeatures, find_extractors
from poke2vid.pretrained import i3d, movinet, weights
from poke2vid.pretrained.clips import eight_bit_levels
from poke2vid.pretrained.i3d import I3D, I3DFeatures
from poke2vid.pretrained.movinet import MoViNetFeatures, build_movinet
from poke2vid.pretrained.weights import WeightFile
from poke2vid.tracking.tracks import TrackFeatures
from poke2vid.types import InputError


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights of this machine are in reach."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)


# I3D: the network


@pytest.fixture(scope="module")
def net() -> I3D:
    """Random weights, of a size that lets signals through to the logits."""
    torch.manual_seed(0)
    net = I3D()
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
    return net


@pytest.fixture(scope="module")
def features(net: I3D) -> I3DFeatures:
    return I3DFeatures(net)


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of rgb_imagenet.pt, worked out from the table of Inception-v1 (Szegedy et al. 2015, Tab. 1)."""
    shapes: dict[str, tuple[int, ...]] = {}

    def unit(name: str, out_channels: int, in_channels: int, kernel: int) -> None:
        shapes[f"{name}.conv3d.weight"] = (out_channels, in_channels, kernel, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (out_channels,)
        shapes[f"{name}.bn.num_batches_tracked"] = ()

    unit("Conv3d_1a_7x7", 64, 3, 7)
    unit("Conv3d_2b_1x1", 64, 64, 1)
    unit("Conv3d_2c_3x3", 192, 64, 3)
    # name, in, 1x1, 3x3 reduced, 3x3, second 3x3 reduced, second 3x3, after the pooling, out
    table = """
        3b 192  64  96 128 16  32  32  256
        3c 256 128 128 192 32  96  64  480
        4b 480 192  96 208 16  48  64  512
        4c 512 160 112 224 24  64  64  512
        4d 512 128 128 256 24  64  64  512
        4e 512 112 144 288 32  64  64  528
        4f 528 256 160 320 32 128 128  832
        5b 832 256 160 320 32 128 128  832
        5c 832 384 192 384 48 128 128 1024
    """
    for row in table.split("\n"):
        if row.strip():
            name, *numbers = row.split()
            source, one, reduced, three, reduced2, three2, pooled, result = map(int, numbers)
            assert one + three + three2 + pooled == result
            unit(f"Mixed_{name}.b0", one, source, 1)
            unit(f"Mixed_{name}.b1a", reduced, source, 1)
            unit(f"Mixed_{name}.b1b", three, reduced, 3)
            unit(f"Mixed_{name}.b2a", reduced2, source, 1)
            unit(f"Mixed_{name}.b2b", three2, reduced2, 3)
            unit(f"Mixed_{name}.b3b", pooled, source, 1)
    return shapes | {"logits.conv3d.weight": (400, 1024, 1, 1, 1), "logits.conv3d.bias": (400,)}


def test_i3d_has_the_keys_and_shapes_of_the_public_checkpoint(net: I3D):
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == expected_shapes()


def test_i3d_has_as_many_parameters_as_published(net: I3D):
    counted = sum(math.prod(s) for key, s in expected_shapes().items() if "running" not in key and "num_" not in key)
    assert sum(parameter.numel() for parameter in net.parameters()) == counted == 12_697_264


def test_i3d_takes_a_checkpoint_older_than_torchs_counter_of_batches(net: I3D):
    old = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    other = I3D()
    other.load_state_dict(old)
    assert torch.equal(other.state_dict()["Mixed_5c.b3b.bn.running_var"], old["Mixed_5c.b3b.bn.running_var"])
    assert I3DFeatures(other).digest == I3DFeatures(net).digest


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [
        (224, 7, 2, 2, 3),  # 112 windows of 7 reach 229 far
        (9, 7, 2, 3, 3),  # five reach 15
        (10, 7, 2, 2, 3),
        (112, 3, 2, 0, 1),
        (5, 3, 2, 1, 1),
        (28, 3, 1, 1, 1),
        (14, 2, 2, 0, 0),
        (3, 2, 2, 0, 1),
        (7, 1, 1, 0, 0),
    ],
)
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int, before: int, after: int):
    assert i3d.same_padding(size, kernel, stride) == (before, after)
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)


def test_a_unit_pads_every_axis_by_its_own_size_and_norms_with_its_own_epsilon():
    unit = i3d.Unit(1, 1, 7, stride=2).eval()
    assert unit.bn is not None
    nn.init.zeros_(unit.conv3d.weight)
    kernel = torch.arange(1.0, 8.0)
    with torch.no_grad():
        for axis, size in ((0, 9), (1, 10), (2, 224)):
            weight = torch.zeros(7, 7, 7)
            middle = [3, 3, 3]
            middle[axis] = slice(None)
            weight[tuple(middle)] = kernel
            unit.conv3d.weight.copy_(weight)
            shape = [7, 7, 7]
            shape[axis] = size
            out = unit(torch.ones(1, 1, *shape)) * math.sqrt(1 + 1e-3)
            line = out[0, 0].movedim(axis, 0)[:, 1, 1]
            missing = 6 if size == 9 else 3  # the first window lacks three ones (1 + 2 + 3), or two (1 + 2)
            assert line[0] == pytest.approx(28 - missing, rel=1e-5)
            assert line[-1] == pytest.approx(28 - (5 + 6 + 7), rel=1e-5), "three are missing at the end of all of them"


def test_pooling_ignores_what_lies_outside():
    x = -torch.arange(1.0, 6.0).view(1, 1, 5, 1, 1)
    assert i3d.SamePool((3, 1, 1), (2, 1, 1))(x).flatten().tolist() == [-1, -2, -4]
    assert i3d.SamePool((2, 1, 1), (2, 1, 1))(x).flatten().tolist() == [-1, -3, -5], "the end is padded, not the start"


@pytest.mark.parametrize("t", [9, 10, 16])
def test_i3d_gives_one_vector_of_logits_a_clip(net: I3D, t: int):
    with torch.inference_mode():
        logits = net(noise(1, 3, t, 224, 224))
    assert logits.shape == (1, 400)
    assert logits.isfinite().all()
    assert logits.std() > 0.01, "a signal arrives"


def test_time_lasts_for_nine_frames_and_not_for_eight():
    def left(t: int) -> int:
        for _ in range(3):
            t = math.ceil(t / 2)
        return t - 1  # the last pooling takes two

    assert [left(t) for t in range(8, 18)] == [0, 1, 1, 1, 1, 1, 1, 1, 1, 2]
    assert I3DFeatures.shortest == 9


def test_logits_of_a_longer_clip_are_averaged_over_time(net: I3D):
    seen: list[Tensor] = []
    hook = net.get_submodule("logits").register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.inference_mode():
        logits = net(noise(1, 3, 17, 224, 224))
    hook.remove()
    assert seen[0].shape == (1, 400, 2, 1, 1)
    assert not torch.allclose(seen[0][:, :, 0], seen[0][:, :, 1])
    assert torch.allclose(logits, (seen[0][:, :, 0] + seen[0][:, :, 1])[..., 0, 0] / 2)


def test_i3d_is_frozen_and_never_trains(net: I3D):
    assert not any(parameter.requires_grad for parameter in net.parameters())
    net.train()
    assert not any(module.training for module in net.modules())


# I3D: its pictures


def tensorflow_1(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """resize_bilinear(align_corners=False) pixel by pixel, as its definition reads."""
    out = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            y, x = row * image.shape[0] / height, column * image.shape[1] / width
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            v, u = y - top, x - left
            upper = image[top, left] * (1 - u) + image[top, right] * u
            out[row, column] = upper * (1 - v) + (image[bottom, left] * (1 - u) + image[bottom, right] * u) * v
    return out


@pytest.mark.parametrize(("source", "target"), [((8, 6), (28, 21)), ((16, 9), (7, 11)), ((5, 5), (5, 5))])
def test_the_resize_is_tensorflow_1s(source: tuple[int, int], target: tuple[int, int]):
    image = np.random.default_rng(0).random(source)
    ours = i3d.resize_as_tensorflow_1(torch.from_numpy(image)[None, None], target)[0, 0]
    assert np.allclose(ours.numpy(), tensorflow_1(image, *target), atol=1e-12)


def test_the_resize_has_no_half_pixel_offset_which_torchs_has():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    ours = i3d.resize_as_tensorflow_1(ramp, (8, 8))
    assert ours[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    torchs = nn.functional.interpolate(ramp, (8, 8), mode="bilinear", align_corners=False)
    assert not torch.allclose(ours, torchs)


def test_frames_are_seen_in_eight_bits_rounded():
    step = 2 / 255
    frames = torch.tensor([-1.2, -1, -1 + 0.4 * step, -1 + 0.6 * step, 1 - 0.4 * step, 1, 1.2]).view(7, 1, 1, 1)
    levels = eight_bit_levels(frames.expand(7, 3, 1, 1))[:, 0, 0, 0]
    assert levels.tolist() == [0, 0, 0, 1, 255, 255, 255]


def test_clips_reach_i3d_in_its_order_of_axes_and_its_range():
    frames = torch.linspace(-1, 1, 9).view(1, 9, 1, 1, 1).repeat(1, 1, 3, 32, 32)
    frames[:, :, 2] *= -1
    x = i3d.preprocess(frames)
    assert x.shape == (1, 3, 9, 224, 224)
    assert (x.min(), x.max()) == (-1, 1)
    assert torch.allclose(x[0, 0, :, 5, 5], torch.linspace(-1, 1, 9), atol=1.1 / 255)
    assert torch.allclose(x[0, 2], -x[0, 0], atol=2.1 / 255), "colours are kept apart"


def test_a_clips_features_depend_neither_on_its_batch_nor_on_x_0(features: I3DFeatures):
    clips = torch.cat((noise(1, 9, 3, 64, 64, seed=1), noise(1, 9, 3, 64, 64, seed=2)))
    together = features(clips[:, 0], clips)
    alone = features(-clips[1:, 0], clips[1:])
    assert together.dtype == torch.float64
    spread = (together[0] - together[1]).abs().max()
    assert spread > 1e-2
    assert (together[1] - alone[0]).abs().max() < 1e-4 * spread
    assert torch.equal(alone, features(clips[1:, 0], clips[1:])), "and the same again the second time"


def test_the_digest_follows_the_weights(net: I3D, features: I3DFeatures):
    other = I3D()
    other.load_state_dict(net.state_dict())
    assert I3DFeatures(other).digest == features.digest
    with torch.no_grad():
        other.get_submodule("Mixed_4b.b0.bn").running_mean[3] += 1e-3
    assert I3DFeatures(other).digest != features.digest


# MoViNet


@pytest.fixture(scope="module")
def movinet_features(shared: Path) -> MoViNetFeatures:
    pytest.importorskip("ai_edge_litert", reason="needs the extra movinet")
    return build_movinet(shared / "weights")


def test_movinet_gives_its_logits_and_gives_them_again(movinet_features: MoViNetFeatures):
    clips = torch.cat((film(2, 0), film(0, -2, seed=1)))
    first = movinet_features(clips[:, 0], clips[:, 1:])
    assert first.shape == (2, 600)
    assert first.dtype == torch.float64
    assert torch.equal(first, movinet_features(clips[:, 0], clips[:, 1:]))
    assert first.norm(dim=1).min() > 10


def test_movinet_forgets_one_clip_before_the_next(movinet_features: MoViNetFeatures):
    clips = torch.cat((film(2, 0), film(0, -2, seed=1)))
    together = movinet_features(clips[:, 0], clips[:, 1:])
    for k in (1, 0):
        assert torch.equal(movinet_features(clips[k : k + 1, 0], clips[k : k + 1, 1:])[0], together[k])


def test_movinet_sees_the_order_of_frames_and_all_of_them(movinet_features: MoViNetFeatures):
    clip = film(2, 1)
    x = clip[:, 1:]
    forward, backward, frozen, cut = (
        movinet_features(clip[:, 0], y) for y in (x, x.flip(1), x[:, -1:].expand_as(x), x[:, 1:])
    )
    for other in (backward, frozen, cut):
        assert (forward - other).norm() > 1
    assert torch.equal(forward, movinet_features(-clip[:, 0], x)), "x_0 is not looked at"


def test_frames_reach_movinet_in_its_range_and_order_of_axes():
    frames = noise(2, 3, 64, 64)
    images = movinet.preprocess(frames)
    assert images.shape == (2, 172, 172, 3)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    # Centres of pixels are what is kept: the middle of the whole picture stays its middle, unlike in TF1's resize.
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    assert movinet.preprocess(ramp)[0, 5, :, 1].mean() == pytest.approx(0.5, abs=1e-3)
    shrunk = movinet.preprocess(noise(1, 3, 688, 688))
    assert shrunk.std() < 0.1, "many pixels of noise become one: they are averaged"


def test_movinet_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"pip install 'poke2vid\[movinet\]'") as error:
        MoViNetFeatures(tmp_path / "movinet_int8.tflite")
    assert "\n" not in str(error.value)


# All of them


def test_whatever_can_be_had_here_satisfies_the_protocol(shared: Path, monkeypatch: pytest.MonkeyPatch, nowhere: None):
    pytest.importorskip("ai_edge_litert", reason="needs the extra movinet")
    found, missing = find_extractors(shared / "weights")
    names = [extractor.name for extractor in found]
    assert names == ["FVD", "FVD-like (MoViNet-A0)", "track Frechet"]
    assert not missing
    clip = film(1, 0)
    for extractor in found:
        assert isinstance(extractor, VideoFeatures)
        values = extractor(clip[:, 0], clip[:, 1:])
        assert values.shape == (1, extractor.dimensions)
        assert values.dtype == torch.float64
        assert len(extractor.digest) == 64
        assert "compar" in extractor.family
    again, _ = find_extractors(shared / "weights")
    assert [e.digest for e in again] == [e.digest for e in found]
    assert len({e.digest for e in found}) == 3


def test_without_weights_only_the_tracks_are_left_and_the_others_say_why(tmp_path: Path, nowhere: None):
    found, missing = find_extractors(tmp_path)
    assert [extractor.name for extractor in found] == ["track Frechet"]
    assert missing["FVD"].startswith("no I3D weights: ")
    assert "i3d_kinetics_400.pth" in missing["FVD"]
    assert "movinet_int8.tflite" in missing["FVD-like (MoViNet-A0)"]
    assert all("\n" not in reason for reason in missing.values())


def test_fvd_comes_first_where_its_weights_are(
    tmp_path: Path, net: I3D, features: I3DFeatures, monkeypatch: pytest.MonkeyPatch, nowhere: None
):
    path = tmp_path / "i3d.pth"
    torch.save({k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}, path)
    monkeypatch.setitem(weights.KNOWN, "i3d", (WeightFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest()),))
    found, missing = find_extractors(tmp_path)
    assert found[0].name == "FVD"
    assert "FVD" not in missing
    assert found[0].digest == features.digest
    assert isinstance(found[0], VideoFeatures)
    assert (found[0].dimensions, found[0].shortest) == (400, 9)
    assert "without x_0" in found[0].family


@pytest.fixture(scope="module")
def track() -> TrackFeatures:
    return TrackFeatures()


@pytest.fixture(params=["i3d", "movinet", "tracks"])
def any_features(request: pytest.FixtureRequest) -> VideoFeatures:
    return request.getfixturevalue({"i3d": "features", "movinet": "movinet_features", "tracks": "track"}[request.param])


def spoilt(change: Callable[[Tensor], None]) -> Tensor:
    clips = noise(2, 12, 3, 32, 32)
    change(clips)
    return clips


@pytest.mark.parametrize("frame", [0, 4])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_frames_that_are_not_finite_are_refused(any_features: VideoFeatures, frame: int, value: float):
    clips = spoilt(lambda clips: clips[1, frame, 2, 3, 3].fill_(value))
    with pytest.raises(InputError, match="1 of 2 clips") as error:
        any_features(clips[:, 0], clips[:, 1:])
    assert any_features.name in str(error.value)


def test_frames_of_another_range_are_refused(any_features: VideoFeatures):
    clips = spoilt(lambda clips: clips.add_(1).mul_(127.5))
    with pytest.raises(InputError, match=r"\[-1, 1\]"):
        any_features(clips[:, 0], clips[:, 1:])


def test_clips_too_short_are_refused(any_features: VideoFeatures):
    clips = noise(1, any_features.shortest, 3, 32, 32)
    with pytest.raises(InputError, match=f"at least {any_features.shortest} frame"):
        any_features(clips[:, 0], clips[:, 1:])
