"""Optical flow: signs and axes pinned by shifted pictures, accuracy by FlyingChairs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from poke2vid.flow.classical import DisFlow
from poke2vid.flow.estimator import FlowEstimator, build_estimator
from poke2vid.flow.raft import RaftFlow, RaftSmall
from poke2vid.geometry import resize_flow, warp
from poke2vid.pretrained import weights
from poke2vid.types import InputError

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]  # two frames and the true flow between them


@pytest.fixture(scope="module")
def raft(shared: Path) -> RaftFlow:
    return RaftFlow(shared / "weights")


@pytest.fixture(params=["dis", "raft"])
def estimator(request: pytest.FixtureRequest) -> FlowEstimator:
    return DisFlow() if request.param == "dis" else request.getfixturevalue("raft")


@pytest.fixture(scope="module")
def chairs(shared: Path) -> list[Pair]:
    folder = shared / "data" / "flow-truth"
    return [
        (*(np.array(Image.open(f"{folder}/{i:07d}-img{k}.png").convert("RGB")) for k in (0, 1)), read_flo(folder, i))
        for i in range(5)
    ]


def read_flo(folder: Path, number: int) -> np.ndarray:
    """Middlebury's format: a magic number, width, height, then (dx, dy) a pixel."""
    content = np.fromfile(folder / f"{number:07d}-gt.flo", np.float32)
    assert content[0] == 202021.25
    width, height = content[1:3].view(np.int32)
    return content[3:].reshape(height, width, 2).transpose(2, 0, 1).copy()


def shrunk(pairs: list[Pair], height: int) -> list[Pair]:
    size = (height, height * 4 // 3)
    return [
        (
            *(np.array(Image.fromarray(frame).resize(size[::-1], Image.Resampling.LANCZOS)) for frame in (a, b)),
            resize_flow(torch.from_numpy(flow)[None], size)[0].numpy(),
        )
        for a, b, flow in pairs
    ]


def endpoint_error(estimator: FlowEstimator, pairs: list[Pair]) -> float:
    return float(np.mean([np.hypot(*(estimator(a, b) - flow)).mean() for a, b, flow in pairs]))


def textured(height: int, width: int, grain: int) -> np.ndarray:
    """Smooth coloured noise with blobs of `grain` pixels, at least 16 pixels wider than asked on every side."""
    cells = (height + 32) // grain + 1, (width + 32) // grain + 1
    coarse = np.random.default_rng(0).integers(0, 256, (*cells, 3), dtype=np.uint8)
    size = (cells[1] * grain, cells[0] * grain)
    return np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def shifted(height: int, width: int, dx: int, dy: int, grain: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A picture, and the same picture moved right by dx and down by dy."""
    # RAFT sees every eighth pixel of its features: blobs finer than that bias it by a few tenths of a pixel.
    canvas = textured(height, width, grain)
    first = canvas[16 : 16 + height, 16 : 16 + width]
    second = canvas[16 - dy : 16 - dy + height, 16 - dx : 16 - dx + width]
    return first, second


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (60, 100), (150, 132)])
def test_a_picture_moved_three_right_and_two_up_has_the_flow_3_minus_2(
    estimator: FlowEstimator, height: int, width: int
):
    flow = estimator(*shifted(height, width, dx=3, dy=-2))
    assert flow.shape == (2, height, width)
    assert flow.dtype == np.float32
    inner = flow[:, 8:-8, 8:-8]
    assert np.median(inner[0]) == pytest.approx(3, abs=0.15)
    assert np.median(inner[1]) == pytest.approx(-2, abs=0.15)
    assert np.abs(inner - np.array([3, -2]).reshape(2, 1, 1)).mean() < 0.3


@pytest.mark.parametrize(("height", "width"), [(11, 30), (16, 16), (20, 20), (24, 31)])
def test_tiny_frames_have_flow_too(estimator: FlowEstimator, height: int, width: int):
    flow = estimator(*shifted(height, width, dx=1, dy=-1, grain=4))
    assert flow.shape == (2, height, width)
    assert np.median(flow[0]) == pytest.approx(1, abs=0.35)
    assert np.median(flow[1]) == pytest.approx(-1, abs=0.35)


def test_frames_of_eight_pixels_do_not_break_an_estimator(estimator: FlowEstimator):
    flow = estimator(*shifted(8, 8, dx=1, dy=-1, grain=4))
    assert flow.shape == (2, 8, 8)
    assert np.isfinite(flow).all()


def test_equal_frames_have_no_flow(estimator: FlowEstimator):
    first, _ = shifted(64, 64, 0, 0)
    flow = np.abs(estimator(first, first))
    assert flow.mean() < 0.1
    assert flow.max() < 0.4, "RAFT's corners are its weakest spot"


def test_the_flow_read_backward_warps_the_second_frame_onto_the_first(estimator: FlowEstimator):
    first, second = shifted(96, 96, dx=3, dy=-2)
    x, y = (torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float() for frame in (first, second))
    restored = warp(y, torch.from_numpy(estimator(first, second))[None])
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (restored - x)[inside].abs().mean() < 0.25 * (y - x)[inside].abs().mean()


def test_an_estimate_does_not_depend_on_what_was_estimated_before(estimator: FlowEstimator):
    pair = shifted(64, 64, 3, -2)
    before = estimator(*pair)
    estimator(*shifted(160, 160, -6, 5))
    assert np.array_equal(estimator(*pair), before)


def test_frames_may_be_views_and_read_only(estimator: FlowEstimator):
    first, second = shifted(64, 64, 3, -2)
    mirrored = first[:, ::-1], second[:, ::-1]
    for frame in mirrored:
        frame.setflags(write=False)
    assert np.median(estimator(*mirrored)[0]) == pytest.approx(-3, abs=0.3)


def test_dis_is_within_four_pixels_of_the_truth_on_flying_chairs(chairs: list[Pair]):
    assert endpoint_error(DisFlow(), chairs) < 4


def test_raft_is_within_two_pixels_of_the_truth_on_flying_chairs(raft: RaftFlow, chairs: list[Pair]):
    assert endpoint_error(raft, chairs) < 2


@pytest.mark.parametrize(("height", "dis_bound", "raft_bound"), [(64, 0.7, 0.55), (128, 1.5, 1.2)])
def test_both_are_accurate_on_small_frames_and_raft_is_the_better(
    raft: RaftFlow, chairs: list[Pair], height: int, dis_bound: float, raft_bound: float
):
    pairs = shrunk(chairs, height)
    errors = {"dis": endpoint_error(DisFlow(), pairs), "raft": endpoint_error(raft, pairs)}
    assert errors["dis"] < dis_bound
    assert errors["raft"] < raft_bound
    assert errors["raft"] < errors["dis"]


def test_raft_has_exactly_the_keys_and_shapes_of_the_public_checkpoint(shared: Path):
    public = weights.load("raft_small", shared / "weights")
    assert {key: tensor.shape for key, tensor in RaftSmall().state_dict().items()} == {
        key: tensor.shape for key, tensor in public.items()
    }
    assert sum(tensor.numel() for tensor in public.values()) == 990_162


def test_a_batch_of_float_frames_gives_what_single_pictures_give(raft: RaftFlow):
    pairs = [shifted(64, 80, 3, -2), shifted(64, 80, -1, 4)]
    first, second = (
        torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 127.5 - 1 for frames in zip(*pairs, strict=True)
    )
    flow = raft.batch(first, second)
    assert flow.shape == (2, 2, 64, 80)
    assert not flow.requires_grad
    for i, pair in enumerate(pairs):
        assert np.allclose(flow[i].numpy(), raft(*pair), atol=1e-3)


def test_estimators_are_built_by_name(shared: Path):
    assert build_estimator("dis").name == "dis"
    assert build_estimator("raft", shared / "weights").name == "raft"


def test_raft_without_weights_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
    with pytest.raises(InputError, match=r"raft-small\.pth"):
        build_estimator("raft", tmp_path)
