"""A picture of any size and shape on a model's square: nothing cut off, locations there and back, motion to scale."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poke2vid.live.canvas import Canvas
from poke2vid.pokes import check, rasterise
from poke2vid.types import Frame, Poke

RESOLUTION = 32
SIZES = [
    (1, 1),
    (1, 500),
    (1, 4000),
    (500, 1),
    (4000, 30),
    (30, 4000),
    (3, 7),
    (48, 96),
    (96, 48),
    (64, 64),
    (700, 900),
]  # h, w
quick = settings(deadline=None, max_examples=60, derandomize=True)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@functools.cache
def canvas_of(size: tuple[int, int]) -> Canvas:
    return Canvas(noise(*size), RESOLUTION)


def still(dx: float = 0.0, dy: float = 0.0) -> Frame:
    """A frame whose every pixel comes from (dx, dy) beside it, in the model's pixels."""
    flow = torch.tensor([dx, dy]).view(1, 2, 1, 1).expand(1, 2, RESOLUTION, RESOLUTION)
    return Frame(torch.zeros(1, 3, RESOLUTION, RESOLUTION), flow, torch.zeros(1, 3, RESOLUTION, RESOLUTION))


def blob(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    """A bright spot on black."""
    ys, xs = np.mgrid[:height, :width]
    light = 255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))
    return np.repeat(np.rint(light).astype(np.uint8)[..., None], 3, axis=-1)


def middle_of_light(x_0: torch.Tensor) -> tuple[float, float]:
    light = (x_0[0].mean(dim=0) + 1).double()
    ys, xs = torch.meshgrid(*2 * (torch.arange(RESOLUTION, dtype=torch.float64),), indexing="ij")
    return float((light * xs).sum() / light.sum()), float((light * ys).sum() / light.sum())


# What the model sees and what is shown


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_any_size_is_shown_whole_and_seen_as_a_square(size: tuple[int, int]) -> None:
    canvas = Canvas(noise(*size), RESOLUTION)
    assert canvas.x_0.shape == (1, 3, RESOLUTION, RESOLUTION)
    assert canvas.x_0.abs().max() <= 1
    height, width = canvas.picture.shape[:2]
    scale = max(height, width) / max(size)
    assert height == max(1, round(size[0] * scale))
    assert width == max(1, round(size[1] * scale))
    assert RESOLUTION <= max(height, width) <= 512


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (64, 64)])
def test_a_picture_that_fits_is_shown_as_it_is(size: tuple[int, int]) -> None:
    picture = noise(*size)
    np.testing.assert_array_equal(Canvas(picture, RESOLUTION).picture, picture)


def test_the_longer_side_is_kept_between_the_model_s_and_the_largest_shown() -> None:
    assert Canvas(noise(8, 16), RESOLUTION).picture.shape == (16, 32, 3)
    assert Canvas(noise(600, 300), RESOLUTION).picture.shape == (512, 256, 3)
    assert Canvas(noise(600, 300), RESOLUTION, max_side=100).picture.shape == (100, 50, 3)
    assert Canvas(noise(600, 300), RESOLUTION, max_side=1).picture.shape == (32, 16, 3)


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (700, 900), (16, 8)])
@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_no_corner_is_cut_off(size: tuple[int, int], corner: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    h, w = size[0] // 4, size[1] // 4
    rows = slice(-h, None) if corner[0] else slice(h)
    columns = slice(-w, None) if corner[1] else slice(w)
    picture[rows, columns] = 255
    canvas = Canvas(picture, RESOLUTION)
    y, x = corner[0] * (size[0] - 1), corner[1] * (size[1] - 1)
    column, row = (round(c) for c in canvas.to_model.point(x, y))
    lit = canvas.x_0[0, 0] > 0.9
    assert lit[min(max(row, 0), 31), min(max(column, 0), 31)]
    assert canvas.picture[-corner[0], -corner[1], 0] == 255
    assert 0.03 < lit.float().mean() < 0.26


def test_the_padding_repeats_the_border_so_that_no_edge_appears() -> None:
    picture = np.zeros((16, 64, 3), np.uint8)
    picture[:8], picture[8:] = 255, 51
    x_0 = Canvas(picture, RESOLUTION).x_0[0, 0]
    assert x_0[:15].unique().tolist() == [1.0]
    assert x_0[17:].unique().tolist() == pytest.approx([-0.6])


# Locations


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (64, 64), (700, 900), (900, 300), (24, 12)])
@pytest.mark.parametrize("share", [(0.5, 0.5), (0.3, 0.6), (0.7, 0.3)])
def test_what_is_bright_at_a_location_is_bright_where_to_model_puts_it(
    size: tuple[int, int], share: tuple[float, float]
) -> None:
    x, y = share[0] * size[1] - 0.5, share[1] * size[0] - 0.5
    canvas = Canvas(blob(*size, x, y, radius=min(size) / 16), RESOLUTION)
    assert middle_of_light(canvas.x_0) == pytest.approx(canvas.to_model.point(x, y), abs=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_the_middle_of_any_picture_is_the_middle_of_the_model_s_frame(size: tuple[int, int]) -> None:
    x, y = Canvas(noise(*size), RESOLUTION).to_model.point((size[1] - 1) / 2, (size[0] - 1) / 2)
    assert (x, y) == pytest.approx((15.5, 15.5), abs=0.5)  # an odd pixel of padding lies on one side


@quick
@given(st.sampled_from(SIZES), st.floats(0, 1), st.floats(0, 1))
def test_locations_go_to_the_model_and_come_back(size: tuple[int, int], across: float, down: float) -> None:
    canvas = canvas_of(size)
    x, y = across * size[1] - 0.5, down * size[0] - 0.5
    there = canvas.to_model.point(x, y)
    assert -0.5001 <= there[0] <= RESOLUTION - 0.4999
    assert -0.5001 <= there[1] <= RESOLUTION - 0.4999
    assert canvas.to_model.inverse().point(*there) == pytest.approx((x, y), abs=1e-6)


@quick
@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_the_outermost_location_that_may_be_poked_may_be_poked_on_the_model_s_frame_too(
    height: int, width: int, top_left: bool
) -> None:
    poke = Poke((-0.5, -0.5) if top_left else (width - 0.5, height - 0.5), (1.0, 0.0))
    check(poke, width, height)
    canvas = Canvas(np.zeros((height, width, 3), np.uint8), RESOLUTION)
    assert rasterise([canvas.modelled(poke)], RESOLUTION)[2].any()


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (700, 900), (16, 8)])
def test_a_poke_of_the_whole_longer_side_is_the_whole_side_everywhere(size: tuple[int, int]) -> None:
    canvas = Canvas(noise(*size), RESOLUTION)
    poke = Poke((3.0, 2.0), (float(max(size)), max(size) / 2), "impulse")
    assert canvas.modelled(poke).shift == pytest.approx((32.0, 16.0), rel=0.01)
    shown = max(canvas.picture.shape[:2])
    assert canvas.shown(poke).shift == pytest.approx((shown, shown / 2), rel=0.01)
    assert canvas.modelled(poke).kind == canvas.shown(poke).kind == "impulse"


# Rendering


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_without_motion_is_exactly_the_picture(size: tuple[int, int]) -> None:
    canvas = Canvas(noise(*size), RESOLUTION)
    np.testing.assert_array_equal(canvas.render(still()), canvas.picture)


@pytest.mark.parametrize(("size", "scale"), [((128, 128), 4), ((64, 128), 4), ((128, 64), 4), ((64, 32), 2)])
def test_motion_in_the_model_s_pixels_moves_the_picture_by_as_much_of_its_own_size(
    size: tuple[int, int], scale: int
) -> None:
    canvas = Canvas(noise(*size), RESOLUTION)
    moved = canvas.render(still(-2.0, 1.0)).astype(
        int
    )  # everything comes from the left and below: right and up it goes
    dx, dy = 2 * scale, -1 * scale
    expected = np.roll(canvas.picture, (dy, dx), axis=(0, 1)).astype(int)
    inner = (slice(scale, -scale), slice(2 * scale, -2 * scale))
    np.testing.assert_array_equal(moved[inner], expected[inner])


def test_what_moves_into_view_is_the_border_repeated() -> None:
    picture = noise(64, 128)
    moved = Canvas(picture, RESOLUTION).render(still(-2.0, 0.0))
    np.testing.assert_array_equal(moved[:, :8], np.repeat(picture[:, :1], 8, axis=1))


def test_repainting_adds_light_in_units_of_the_frame() -> None:
    picture = np.full((64, 128, 3), 100, np.uint8)
    frame = still()
    assert frame.repaint is not None
    frame.repaint[0, 0, :, 20:] = 0.4  # a fifth of the range from -1 to 1; red only, right side only
    frame.repaint[0, 1] = -2.0
    shown = Canvas(picture, RESOLUTION).render(frame)
    assert shown[30, 100].tolist() == [151, 0, 100]
    assert shown[30, 20].tolist() == [100, 0, 100]


@pytest.mark.parametrize("size", SIZES)
def test_a_painted_frame_is_shown_at_the_picture_s_size(size: tuple[int, int]) -> None:
    canvas = Canvas(noise(*size), RESOLUTION)
    shown = canvas.render(Frame(torch.full((1, 3, RESOLUTION, RESOLUTION), 0.2)))
    assert shown.shape == canvas.picture.shape
    assert np.unique(shown).tolist() == [153]


@pytest.mark.parametrize("size", [(48, 96), (96, 48), (64, 64)])
def test_a_painted_copy_of_the_model_s_view_looks_like_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    canvas = Canvas(blob(height, width, width * 0.3, height * 0.7, min(size) / 6), RESOLUTION)
    shown = canvas.render(Frame(canvas.x_0))
    assert np.abs(shown.astype(int) - canvas.picture).max() < 20


def test_a_painted_frame_beyond_the_range_is_clamped_not_wrapped() -> None:
    x_hat = torch.full((1, 3, RESOLUTION, RESOLUTION), 1.7)
    x_hat[:, 1] = -1.7
    shown = Canvas(noise(64, 64), RESOLUTION).render(Frame(x_hat))
    assert shown[30, 30].tolist() == [255, 0, 255]
