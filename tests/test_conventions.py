"""The conventions that types.py states, each pinned by something that only this convention gets right."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from PIL import Image
from torch.nn import functional
from typechecker import begin_test

from poke2vid.geometry import Affine, pixel_grid, resize_flow, sample, to_normalised, to_pixels, warp
from poke2vid.live.canvas import Canvas
from poke2vid.losses import flow_loss
from poke2vid.media.video import iterate_frames, read_picture, to_float, to_uint8, write_video
from poke2vid.model.config import ModelConfig
from poke2vid.model.poke_video import NO_POKE, PokeVideo
from poke2vid.pokes import POKE_GAIN, rasterise
from poke2vid.types import InputError, Poke


def texture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def tiny_model() -> PokeVideo:
    torch.manual_seed(0)
    return PokeVideo(ModelConfig(resolution=32, channels=4, decoder="motion"))


# Frames


def test_frames_are_float32_between_minus_one_and_one_with_channels_before_rows() -> None:
    picture = np.zeros((2, 5, 3), np.uint8)
    picture[1, 4] = (255, 0, 51)
    frames = to_float(picture)
    assert frames.dtype == torch.float32
    assert frames.shape == (3, 2, 5)
    assert frames[:, 1, 4].tolist() == pytest.approx([1.0, -1.0, -0.6])
    assert frames[:, 0, 0].tolist() == [-1.0, -1.0, -1.0]


def test_every_uint8_value_survives_the_way_to_floats_and_back() -> None:
    picture = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(to_uint8(to_float(picture)), picture)


def test_pictures_are_read_as_rgb_rows_first(tmp_path: Path) -> None:
    picture = np.zeros((4, 7, 3), np.uint8)
    picture[0, 6] = (250, 120, 10)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "picture.png"), picture)


def test_videos_are_written_and_read_as_rgb_in_order(tmp_path: Path) -> None:
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    frames[:, :, :, 0] = np.array([30, 90, 150, 210])[:, None, None]
    frames[:, :16, :, 2] = 200
    write_video(tmp_path / "clip.mp4", list(frames), 10.0)
    read = np.stack(list(iterate_frames(tmp_path / "clip.mp4")))
    assert read.shape == frames.shape
    difference = np.abs(read.astype(int) - frames)[:, [4, 27]]  # the edge between the halves rings
    assert difference.max() < 25


# Locations


def test_zero_zero_is_the_centre_of_the_top_left_pixel() -> None:
    enlarge = Affine.resize((4, 6), (8, 12))
    assert enlarge.point(0.0, 0.0) == (0.5, 0.5)  # that pixel is now four, and their middle is between them
    assert enlarge.point(-0.5, -0.5) == (-0.5, -0.5)  # the picture's corner stays its corner
    assert enlarge.point(5.5, 3.5) == (11.5, 7.5)


def test_resizing_frames_is_the_resize_of_areas_that_torch_calls_align_corners_false() -> None:
    x = texture(6, 9)
    ours = Affine.resize((6, 9), (12, 27)).frames(x, (12, 27))
    torchs = functional.interpolate(x, size=(12, 27), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], torchs[..., 1:-1, 1:-1])


def test_normalised_coordinates_span_the_picture_s_area_and_have_an_inverse() -> None:
    corners = torch.tensor([[-0.5, -0.5], [9.5, 3.5], [4.5, 1.5], [0.0, 0.0]])
    normalised = to_normalised(corners, (4, 10))
    torch.testing.assert_close(normalised, torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [-0.9, -0.75]]))
    torch.testing.assert_close(to_pixels(normalised, (4, 10)), corners)


def test_normalised_coordinates_are_what_grid_sample_understands_without_aligned_corners() -> None:
    x = texture(4, 10)
    grid = to_normalised(pixel_grid((4, 10), x), (4, 10))[None]
    torch.testing.assert_close(functional.grid_sample(x, grid, align_corners=False), x)


def test_x_runs_right_and_y_runs_down() -> None:
    grid = pixel_grid((3, 5), torch.zeros(()))
    assert grid.shape == (3, 5, 2)
    assert grid[2, 4].tolist() == [4.0, 2.0]
    field = torch.arange(15.0).view(1, 1, 3, 5)
    assert sample(field, torch.tensor([[[[4.0, 1.0]]]])).item() == field[0, 0, 1, 4].item()
    poke_map = rasterise([Poke((20.0, 5.0), (1.0, 0.0))], 32)
    assert poke_map[2, 5, 20] == 1
    assert poke_map[2, 20, 5] == 0


# Flow and shifts


def test_flow_runs_from_the_earlier_to_the_later_frame() -> None:
    x_0 = texture(24, 32)
    x_t = torch.roll(x_0, shifts=(-2, 3), dims=(-2, -1))  # everything moves 3 to the right and 2 up
    displacement = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 24, 32)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(warp(x_t, displacement)[inner], x_0[inner], atol=1e-5, rtol=0)


def test_backward_flow_fetches_from_where_the_pixel_came() -> None:
    x_0 = texture(24, 32)
    x_t = torch.roll(x_0, shifts=(-2, 3), dims=(-2, -1))
    backward = torch.tensor([-3.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 24, 32)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(warp(x_0, backward)[inner], x_t[inner], atol=1e-5, rtol=0)
    assert flow_loss(backward, -backward).item() == 0.0
    assert flow_loss(-backward, -backward).item() > 0.1


def test_shifts_in_a_poke_map_are_x_then_y_in_shares_of_the_side_times_the_gain() -> None:
    poke_map = rasterise([Poke((20.0, 5.0), (6.4, -3.2))], 64)
    assert poke_map[:, 5, 20].tolist() == pytest.approx([0.1 * POKE_GAIN, -0.05 * POKE_GAIN, 1.0])


def test_pixels_are_those_of_the_picture_that_the_user_gave() -> None:
    canvas = Canvas(np.zeros((600, 1200, 3), np.uint8), 64, 512)
    poke = canvas.modelled(Poke((599.5, 299.5), (1200.0, 300.0)))
    assert poke.location == pytest.approx((31.5, 31.5))  # the middle stays the middle
    assert poke.shift == pytest.approx((64.0, 16.0))  # the whole width is the whole side, on both axes alike
    assert canvas.shown(Poke((599.5, 299.5), (1200.0, 300.0))).shift == pytest.approx((512.0, 128.0))


# Axes and order


def test_levels_are_coarsest_first() -> None:
    model = tiny_model()
    state = model.start(texture(32, 32))
    assert [tuple(level.shape[-2:]) for level in state.sigma] == [(8, 8), (16, 16)]
    assert [level.shape[1] for level in state.sigma] == [8, 4]


def test_batch_is_the_first_axis_and_time_the_second() -> None:
    model = tiny_model()
    rollout = model.rollout(
        torch.cat((texture(32, 32, 1), texture(32, 32, 2))),
        torch.zeros(2, 1, 3, 32, 32),
        torch.full((2, 5), NO_POKE),
    )
    assert rollout.frames.shape == (2, 5, 3, 32, 32)
    assert rollout.flow is not None
    assert rollout.flow.shape == (2, 5, 2, 32, 32)
    assert [tuple(level.shape[:2]) for level in rollout.sigma] == [(2, 5), (2, 5)]
    torch.testing.assert_close(rollout.frames[1, 4], texture(32, 32, 2)[0])


def test_what_a_user_can_cause_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("again", [False, True])
def test_shapes_are_checked_in_the_first_calls_of_every_test(again: bool) -> None:
    for _ in range(3):
        with pytest.raises(TypeCheckError, match="resize_flow"):
            resize_flow(torch.zeros(1, 3, 4, 4), (2, 2))  # three channels are no flow
        resize_flow(torch.zeros(1, 2, 4, 4), (2, 2))
    if again:
        begin_test()
        with pytest.raises(TypeCheckError):
            resize_flow(torch.zeros(1, 3, 4, 4), (2, 2))
