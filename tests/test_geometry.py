"""Vectors follow their pictures: what is moved, turned or scaled together stays true."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poke2vid.geometry import Affine, pixel_grid, resize_flow, sample, to_normalised, to_pixels, warp

SIDE = 48
SIZE = (SIDE, SIDE)
quick = settings(deadline=None, max_examples=40, derandomize=True)
coordinates = st.floats(-100, 100)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Flip, turn, scale and translate on SIZE, gently enough that the middle stays in view."""
    start = Affine.flip(SIZE) if draw(st.booleans()) else Affine.identity()
    turned = start.then(Affine.rotate(draw(st.floats(-180, 180)), SIZE, draw(st.floats(0.7, 1.4))))
    return turned.then(Affine.translate(draw(st.floats(-4, 4)), draw(st.floats(-4, 4))))


def texture(locations: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A smooth picture that is known everywhere, not only on a grid: `h w 2` to `1 3 h w`."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.rand(2, 12, generator=generator, dtype=torch.float64) * 0.6 - 0.3  # radians a pixel
    phases = torch.rand(12, generator=generator, dtype=torch.float64) * 2 * math.pi
    mix = torch.rand(12, 3, generator=generator, dtype=torch.float64) - 0.5
    return (torch.sin(locations.double() @ waves + phases) @ mix).movedim(-1, 0)[None] / 2


def ramp(size: tuple[int, int]) -> torch.Tensor:
    """The field whose value at a pixel is its location, `1 2 h w`."""
    return pixel_grid(size, torch.zeros((), dtype=torch.float64)).permute(2, 0, 1)[None]


def constant(dx: float, dy: float, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.tensor([dx, dy], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *size)


def middle(field: torch.Tensor, margin: int) -> torch.Tensor:
    return field[..., margin:-margin, margin:-margin]


# Coordinates


@quick
@given(coordinates, coordinates, sizes)
def test_to_pixels_undoes_to_normalised(x: float, y: float, size: tuple[int, int]) -> None:
    location = torch.tensor([x, y], dtype=torch.float64)
    torch.testing.assert_close(to_pixels(to_normalised(location, size), size), location, atol=1e-9, rtol=1e-9)


def test_reading_a_field_at_its_pixels_gives_the_field_and_outside_its_border() -> None:
    field = texture(pixel_grid((5, 8), torch.zeros(())))
    torch.testing.assert_close(sample(field, pixel_grid((5, 8), field)[None]), field)
    outside = sample(field, torch.tensor([[[[-7.0, 2.0], [90.0, 4.0], [3.0, -2.0]]]], dtype=torch.float64))
    expected = torch.stack((field[0, :, 2, 0], field[0, :, 4, 7], field[0, :, 0, 3]), dim=-1)
    torch.testing.assert_close(outside[0, :, 0], expected)


def test_reading_between_pixels_is_bilinear() -> None:
    field = ramp((6, 9))
    read = sample(field, torch.tensor([[[[2.25, 3.5]]]], dtype=torch.float64))
    assert read.flatten().tolist() == pytest.approx([2.25, 3.5])


# Affine maps of points and vectors


@quick
@given(affines(), affines(), coordinates, coordinates)
def test_then_applies_the_first_map_first(first: Affine, second: Affine, x: float, y: float) -> None:
    assert first.then(second).point(x, y) == pytest.approx(second.point(*first.point(x, y)), abs=1e-9)
    assert first.then(second).vector(x, y) == pytest.approx(second.vector(*first.vector(x, y)), abs=1e-9)


@quick
@given(affines(), coordinates, coordinates)
def test_the_inverse_undoes_the_map_from_both_sides(affine: Affine, x: float, y: float) -> None:
    assert affine.inverse().point(*affine.point(x, y)) == pytest.approx((x, y), abs=1e-9)
    assert affine.point(*affine.inverse().point(x, y)) == pytest.approx((x, y), abs=1e-9)
    assert affine.inverse().vector(*affine.vector(x, y)) == pytest.approx((x, y), abs=1e-9)


@quick
@given(affines(), coordinates, coordinates, coordinates, coordinates)
def test_a_vector_is_the_difference_of_two_points(affine: Affine, x: float, y: float, dx: float, dy: float) -> None:
    start, end = affine.point(x, y), affine.point(x + dx, y + dy)
    assert affine.vector(dx, dy) == pytest.approx((end[0] - start[0], end[1] - start[1]), abs=1e-9)


def test_flipping_exchanges_left_and_right_and_leaves_up_and_down() -> None:
    flip = Affine.flip((4, 10))
    assert flip.point(0.0, 3.0) == (9.0, 3.0)
    assert flip.vector(2.0, 1.0) == (-2.0, 1.0)


def test_a_positive_rotation_turns_right_towards_down_about_the_middle_of_the_picture() -> None:
    rotate = Affine.rotate(90.0, (21, 31))
    assert rotate.point(15.0, 10.0) == pytest.approx((15.0, 10.0))
    assert rotate.point(18.0, 10.0) == pytest.approx((15.0, 13.0))
    assert rotate.vector(1.0, 0.0) == pytest.approx((0.0, 1.0))
    assert rotate.vector(0.0, 1.0) == pytest.approx((-1.0, 0.0))


def test_the_scale_of_a_rotation_is_its_scale_about_the_same_middle() -> None:
    grow = Affine.rotate(0.0, (21, 31), 2.0)
    assert grow.point(15.0, 10.0) == pytest.approx((15.0, 10.0))
    assert grow.point(16.0, 11.0) == pytest.approx((17.0, 12.0))
    assert grow.vector(1.0, -3.0) == pytest.approx((2.0, -6.0))


@quick
@given(sizes, sizes, coordinates, coordinates)
def test_resizing_scales_vectors_by_the_ratio_of_sizes_axis_by_axis(
    source: tuple[int, int], target: tuple[int, int], dx: float, dy: float
) -> None:
    expected = (dx * target[1] / source[1], dy * target[0] / source[0])
    assert Affine.resize(source, target).vector(dx, dy) == pytest.approx(expected, abs=1e-9)


@quick
@given(sizes, sizes, coordinates, coordinates)
def test_a_resized_location_keeps_its_share_of_the_picture(
    source: tuple[int, int], target: tuple[int, int], x: float, y: float
) -> None:
    moved = Affine.resize(source, target).point(x, y)
    for before, after, old, new in zip((x, y), moved, source[::-1], target[::-1], strict=True):
        assert (after + 0.5) / new == pytest.approx((before + 0.5) / old, abs=1e-9)


# Affine maps of pictures and flow


def test_the_identity_and_two_flips_leave_frames_and_flow_as_they_are() -> None:
    x, flow = texture(pixel_grid((6, 9), torch.zeros(()))), ramp((6, 9))
    flip = Affine.flip((6, 9))
    torch.testing.assert_close(Affine.identity().frames(x, (6, 9)), x)
    torch.testing.assert_close(flip.frames(flip.frames(x, (6, 9)), (6, 9)), x)
    torch.testing.assert_close(flip.flow(flip.flow(flow, (6, 9)), (6, 9)), flow)
    assert flip.then(flip) == Affine.identity()


def test_a_flip_is_torch_s_flip_of_the_last_axis_with_dx_negated() -> None:
    x, flow = texture(pixel_grid((6, 9), torch.zeros(()))), ramp((6, 9))
    flip = Affine.flip((6, 9))
    torch.testing.assert_close(flip.frames(x, (6, 9)), x.flip(-1))
    torch.testing.assert_close(flip.flow(flow, (6, 9)), flow.flip(-1) * constant(-1.0, 1.0, (6, 9)))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_torch_s_rot90_clockwise_and_turn_the_vectors_too(quarters: int) -> None:
    x, flow = texture(pixel_grid((7, 7), torch.zeros(()))), ramp((7, 7)) + 1
    rotate = Affine.rotate(90.0 * quarters, (7, 7))
    torch.testing.assert_close(rotate.frames(x, (7, 7)), torch.rot90(x, -quarters, (-2, -1)))
    moved = torch.rot90(flow, -quarters, (-2, -1))
    dx, dy = moved[:, 0], moved[:, 1]
    turned = {1: (-dy, dx), 2: (-dx, -dy), 3: (dy, -dx)}[quarters]
    torch.testing.assert_close(rotate.flow(flow, (7, 7)), torch.stack(turned, dim=1))


@quick
@given(affines(), st.floats(18, 29), st.floats(18, 29))
def test_what_was_at_a_location_is_afterwards_where_the_location_went(affine: Affine, x: float, y: float) -> None:
    moved = affine.frames(ramp(SIZE), SIZE)
    there = torch.tensor(affine.point(x, y), dtype=torch.float64).view(1, 1, 1, 2)
    assume(bool(((there > 1) & (there < SIDE - 2)).all()))
    torch.testing.assert_close(
        sample(moved, there).flatten(), torch.tensor((x, y), dtype=torch.float64), atol=0.05, rtol=0
    )


@quick
@given(affines(), st.floats(18, 29), st.floats(18, 29))
def test_a_flow_vector_moves_with_its_location_and_turns_with_the_map(affine: Affine, x: float, y: float) -> None:
    moved = affine.flow(ramp(SIZE), SIZE)  # the vector at (x, y) is (x, y)
    there = torch.tensor(affine.point(x, y), dtype=torch.float64).view(1, 1, 1, 2)
    expected = torch.tensor(affine.vector(x, y), dtype=torch.float64)
    torch.testing.assert_close(sample(moved, there).flatten(), expected, atol=0.1, rtol=0)


@quick
@given(affines(), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 1000))
def test_a_flow_that_is_moved_with_its_two_frames_still_warps_one_onto_the_other(
    affine: Affine, dx: float, dy: float, seed: int
) -> None:
    assume(math.hypot(dx, dy) > 1.5)
    grid = pixel_grid(SIZE, torch.zeros((), dtype=torch.float64))
    x_0, flow = texture(grid, seed), constant(dx, dy)
    x_t = texture(grid - torch.tensor([dx, dy], dtype=torch.float64), seed)  # what was at l is now at l + (dx, dy)
    y_0, y_t, moved_flow = (affine.frames(x_0, SIZE), affine.frames(x_t, SIZE), affine.flow(flow, SIZE))
    error = middle(warp(y_t, moved_flow) - y_0, 17).abs().mean()
    unmoved_flow_error = middle(warp(y_t, -moved_flow) - y_0, 17).abs().mean()
    assert error < 0.02
    assert error < unmoved_flow_error / 4


def test_beyond_the_border_the_mirror_image_shows() -> None:
    x = texture(pixel_grid(SIZE, torch.zeros(())))
    moved = Affine.translate(10.0, 0.0).frames(x, SIZE)
    torch.testing.assert_close(moved[..., 10:], x[..., :-10])
    torch.testing.assert_close(moved[..., :10], x[..., :10].flip(-1))


def test_in_the_mirror_image_vectors_are_mirrored_too() -> None:
    flow = constant(3.0, 2.0)
    from_left = Affine.translate(10.0, 0.0).flow(flow, SIZE)
    torch.testing.assert_close(from_left[..., 10:], flow[..., 10:])
    torch.testing.assert_close(from_left[..., :10], constant(-3.0, 2.0)[..., :10])
    from_below = Affine.translate(0.0, -10.0).flow(flow, SIZE)
    torch.testing.assert_close(from_below[..., -10:, :], constant(3.0, -2.0)[..., -10:, :])


# Resizing flow, warping


@quick
@given(st.tuples(st.integers(2, 24), st.integers(2, 24)), st.tuples(st.integers(2, 24), st.integers(2, 24)))
def test_resizing_a_flow_scales_its_vectors_with_the_frames(source: tuple[int, int], target: tuple[int, int]) -> None:
    resized = resize_flow(constant(3.0, -2.0, source), target)
    expected = constant(3.0 * target[1] / source[1], -2.0 * target[0] / source[0], target)
    torch.testing.assert_close(resized, expected)


def test_resizing_a_flow_and_back_gives_the_flow() -> None:
    flow = ramp((10, 14))
    there_and_back = resize_flow(resize_flow(flow, (30, 42)), (10, 14))
    torch.testing.assert_close(middle(there_and_back, 2), middle(flow, 2), atol=0.02, rtol=0)


def test_shrinking_a_flow_averages_rather_than_picks() -> None:
    flow = torch.tensor([8.0, 0.0, 0.0, 8.0]).repeat(4).expand(1, 2, 16, 16)  # the nearest pixels all hold 0
    shrunk = resize_flow(flow, (4, 4))
    assert middle(shrunk, 1).flatten().tolist() == pytest.approx([4.0 / 4] * 8)


def test_warping_by_nothing_is_the_identity() -> None:
    x = texture(pixel_grid((6, 9), torch.zeros(())))
    torch.testing.assert_close(warp(x, torch.zeros(1, 2, 6, 9, dtype=torch.float64)), x)


@quick
@given(st.integers(-4, 4), st.integers(-4, 4))
def test_warping_by_whole_pixels_fetches_those_pixels(dx: int, dy: int) -> None:
    x = texture(pixel_grid((16, 20), torch.zeros(())))
    expected = torch.roll(x, shifts=(-dy, -dx), dims=(-2, -1))
    warped = warp(x, constant(dx, dy, (16, 20)))
    torch.testing.assert_close(middle(warped, 4), middle(expected, 4))


def test_every_sample_of_a_batch_is_warped_by_its_own_flow() -> None:
    x = texture(pixel_grid((8, 8), torch.zeros(()))).expand(2, -1, -1, -1)
    flow = torch.cat((constant(0, 0, (8, 8)), constant(1, 0, (8, 8))))
    warped = warp(x, flow)
    torch.testing.assert_close(warped[0], x[0])
    torch.testing.assert_close(warped[1, ..., :-1], x[1, ..., 1:])
