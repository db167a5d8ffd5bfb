"""Pokes: what E_phi is shown, and what training draws from optical flow."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poke2vid.pokes import (
    POKE_GAIN,
    check,
    eroded,
    foreground_mask,
    foreground_motion,
    patch_radius,
    rasterise,
    require_motion,
    sample_background_poke,
    sample_impulse,
    sample_poke,
)
from poke2vid.types import InputError, Poke

quick = settings(deadline=None, max_examples=50, derandomize=True)
resolutions = st.sampled_from([16, 32, 64, 128])
shifts = st.tuples(st.floats(-60, 60), st.floats(-60, 60))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moving_block(side: int = 64, top: int = 20, left: int = 36, height: int = 6, width: int = 9) -> torch.Tensor:
    """A flow field whose block moves, every pixel by a vector of its own, before a background that creeps."""
    flow = torch.full((2, side, side), 0.01)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    flow[:, top : top + height, left : left + width] = torch.stack((4.0 + xs / 16, -3.0 - ys / 16))
    return flow


# The poke map


@quick
@given(resolutions, st.data(), shifts)
def test_a_poke_can_be_read_back_from_its_map(resolution: int, data: st.DataObject, shift: tuple[float, float]) -> None:
    r = patch_radius(resolution)
    x, y = (data.draw(st.integers(r, resolution - 1 - r)) for _ in "xy")
    off_x, off_y = (data.draw(st.floats(-0.49, 0.49)) for _ in "xy")
    poke_map = rasterise([Poke((x + off_x, y + off_y), shift)], resolution)
    ys, xs = poke_map[2].nonzero(as_tuple=True)
    assert len(ys) == (2 * r + 1) ** 2
    assert (xs.float().mean().item(), ys.float().mean().item()) == (x, y)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (x - r, x + r, y - r, y + r)
    patch = poke_map[:, ys, xs]
    assert patch[2].unique().tolist() == [1.0]
    torch.testing.assert_close(patch[0], torch.full_like(patch[0], shift[0] * POKE_GAIN / resolution))
    torch.testing.assert_close(patch[1], torch.full_like(patch[1], shift[1] * POKE_GAIN / resolution))
    poke_map[:, ys, xs] = 0
    assert not poke_map.any()


@pytest.mark.parametrize(
    ("location", "rows", "columns"),
    [((0.0, 0.0), 2, 2), ((-0.5, 31.5), 2, 2), ((31.0, 10.0), 3, 2), ((10.0, 0.3), 2, 3), ((31.5, -0.5), 2, 2)],
)
def test_a_patch_is_cut_off_at_the_border(location: tuple[float, float], rows: int, columns: int) -> None:
    mask = rasterise([Poke(location, (1.0, 1.0))], 32)[2]
    assert int(mask.any(dim=1).sum()) == rows
    assert int(mask.any(dim=0).sum()) == columns
    x, y = (min(max(int(c), 0), 31) for c in location)
    assert mask[y, x] == 1


@quick
@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 31), shifts), max_size=4))
def test_several_pokes_are_summed_wherever_they_lie(drawn: list[tuple[int, int, tuple[float, float]]]) -> None:
    pokes = [Poke((float(x), float(y)), shift) for x, y, shift in drawn]
    alone = sum((rasterise([poke], 32) for poke in pokes), torch.zeros(3, 32, 32))
    torch.testing.assert_close(rasterise(pokes, 32), alone)


def test_a_poke_without_a_shift_still_touches() -> None:
    poke_map = rasterise([Poke((10.0, 5.0), (0.0, 0.0))], 32)
    assert poke_map[2].sum() == 9
    assert not poke_map[:2].any()


def test_the_patch_grows_with_the_resolution() -> None:
    assert {r: patch_radius(r) for r in (16, 32, 64, 128, 256)} == {16: 1, 32: 1, 64: 1, 128: 2, 256: 4}


@pytest.mark.parametrize("location", [(-0.6, 5.0), (40.0, 5.0), (5.0, -1.0), (5.0, 30.0), (35.0, 10.0)])
def test_a_poke_outside_the_picture_is_refused_with_the_bounds(location: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"outside .* 35 x 20 pixels; choose x in 0 \.\.\. 34 and y in 0 \.\.\. 19"):
        check(Poke(location, (0.0, 0.0)), 35, 20)


def test_a_refused_poke_of_several_is_named() -> None:
    with pytest.raises(InputError, match=r"poke 2 at \(64, 3\) lies outside .* x in 0 \.\.\. 63"):
        rasterise([Poke((1.0, 3.0), (0.0, 0.0)), Poke((64.0, 3.0), (0.0, 0.0))], 64)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
def test_a_poke_with_a_number_that_is_not_finite_is_refused(bad: float, place: int) -> None:
    x, y, dx, dy = (bad if i == place else 3.0 for i in range(4))
    with pytest.raises(InputError, match="not finite"):
        rasterise([Poke((x, y), (dx, dy))], 64)


def test_a_shift_may_lead_out_of_the_picture() -> None:
    assert rasterise([Poke((60.0, 3.0), (640.0, -64.0))], 64)[:, 3, 60].tolist() == [10 * POKE_GAIN, -POKE_GAIN, 1.0]


@pytest.mark.parametrize("shift", [(1e39, 0.0), (0.0, -1e300)])
def test_a_shift_that_no_frame_can_hold_is_refused_rather_than_made_infinite(shift: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="poke 1"):
        rasterise([Poke((5.0, 5.0), shift)], 64)


# Foreground and motion


def test_the_foreground_is_what_moves_more_than_the_mean() -> None:
    mask = foreground_mask(moving_block())
    assert int(mask.sum()) == 6 * 9
    assert bool(mask[20:26, 36:45].all())
    length = torch.tensor([[0.0, 1.0], [2.0, 5.0]])  # mean 2: what moves just as much does not count
    assert foreground_mask(torch.stack((length, torch.zeros(2, 2)))).tolist() == [[False, False], [False, True]]


def fast_and_slow() -> torch.Tensor:
    """Nine pixels in a hundred move by 2, one by 10: the mean is 0.28, two standard deviations more are 2.57."""
    flow = torch.zeros(2, 10, 10)
    flow[1, 3:6, 4:7] = -2.0
    flow[0, 7, 2] = 10.0
    return flow


def test_standard_deviations_above_the_mean_narrow_the_foreground_to_what_moves_most() -> None:
    assert int(foreground_mask(fast_and_slow()).sum()) == 10
    assert foreground_mask(fast_and_slow(), 2.0).nonzero().tolist() == [[7, 2]]
    assert foreground_mask(fast_and_slow(), 1.0).sum() == 10  # 1.43 is below 2


def test_where_nothing_moves_so_much_the_mean_alone_counts() -> None:
    assert torch.equal(foreground_mask(fast_and_slow(), 50.0), foreground_mask(fast_and_slow()))


def test_length_counts_both_directions_of_a_vector() -> None:
    flow = torch.zeros(2, 4, 4)
    flow[:, 1, 2] = torch.tensor([-3.0, -4.0])
    assert foreground_motion(flow) == 5.0


def test_a_clip_that_stands_still_is_refused_with_what_it_moved_and_what_it_should() -> None:
    with pytest.raises(InputError, match=r"0\.00 pixels at most, less than 0\.32 \(0\.5%"):
        require_motion(foreground_motion(torch.zeros(2, 64, 64)), 64)


@pytest.mark.parametrize("min_motion", [0.05, 0.1])
def test_motion_is_required_as_a_share_of_the_side(min_motion: float) -> None:
    flow = torch.zeros(2, 40, 40)
    flow[1, 10:20, 5:9] = -40 * min_motion * 1.01
    require_motion(foreground_motion(flow), 40, min_motion)
    with pytest.raises(InputError, match="moves"):
        require_motion(foreground_motion(flow / 1.03), 40, min_motion)


# Drawing pokes


def test_pokes_lie_on_the_foreground_and_their_shift_is_the_flow_there() -> None:
    flow, generator = moving_block(), seeded()
    for _ in range(50):
        poke = sample_poke(flow, generator)
        x, y = (int(c) for c in poke.location)
        assert poke.location == (x, y)
        assert 36 <= x < 45
        assert 20 <= y < 26
        assert poke.shift == tuple(flow[:, y, x].tolist())
        assert poke.kind == "shift"


def test_pokes_are_uniform_over_the_foreground() -> None:
    flow, generator, draws = moving_block(), seeded(1), 1080
    counts = Counter(sample_poke(flow, generator).location for _ in range(draws))
    assert len(counts) == 6 * 9
    expected = draws / len(counts)
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_squared < 53 + 3 * math.sqrt(2 * 53)  # 53 degrees of freedom: mean 53, variance 106


def test_pokes_keep_their_patch_inside_the_frame_where_the_foreground_allows() -> None:
    corner = moving_block(side=128, top=0, left=124, height=6, width=4)
    generator = seeded()
    locations = {sample_poke(corner, generator).location for _ in range(100)}
    assert locations == {(x, y) for x in (124, 125) for y in (2, 3, 4, 5)}
    edge = moving_block(side=128, top=0, left=127, height=6, width=1)
    assert sample_poke(edge, generator).location[0] == 127


def test_background_pokes_lie_in_the_background_with_a_vector_of_the_foreground() -> None:
    flow, generator = moving_block(), seeded()
    foreground = foreground_mask(flow)
    vectors = {tuple(v) for v in flow[:, foreground].T.tolist()}
    locations = set()
    for _ in range(50):
        poke = sample_background_poke(flow, generator)
        x, y = (int(c) for c in poke.location)
        assert not foreground[y, x]
        assert poke.shift in vectors
        locations.add(poke.location)
    assert len(locations) > 40


def test_narrowed_pokes_take_the_fastest_and_leave_the_slow_out_of_the_background_too() -> None:
    flow, generator = fast_and_slow(), seeded()
    foreground = foreground_mask(flow)
    for _ in range(30):
        assert sample_poke(flow, generator, 2.0) == Poke((2, 7), (10.0, 0.0))
        poke = sample_background_poke(flow, generator, 2.0)
        x, y = (int(c) for c in poke.location)
        assert not foreground[y, x]
        assert poke.shift == (10.0, 0.0)


def test_an_impulse_is_as_long_as_the_clip_moves_and_points_where_its_pixel_went() -> None:
    flow, generator = moving_block(), seeded()
    for motion, magnitude in ((0.5, 0.25), (1.0, 0.5), (2.0, 1.0), (7.0, 1.0), (0.0, 0.0)):
        poke = sample_impulse(flow, motion, 2.0, generator)
        x, y = (int(c) for c in poke.location)
        dx, dy = flow[:, y, x].tolist()
        length = magnitude * 64 / 10  # magnitude 1 is a tenth of the side
        expected = (dx / math.hypot(dx, dy) * length, dy / math.hypot(dx, dy) * length)
        assert poke.shift == pytest.approx(expected)
        assert poke.kind == "impulse"
        assert 36 <= x < 45
        assert 20 <= y < 26


def test_the_same_seed_draws_the_same_pokes_and_another_seed_others() -> None:
    flow = moving_block()

    def draw(seed: int) -> list[Poke]:
        generator = seeded(seed)
        kinds = (
            sample_poke(flow, generator),
            sample_background_poke(flow, generator),
            sample_impulse(flow, 1.0, 2.0, generator),
        )
        return list(kinds)

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_a_flow_that_is_the_same_everywhere_has_nothing_to_poke() -> None:
    with pytest.raises(InputError, match="same everywhere"):
        sample_poke(torch.zeros(2, 32, 32), seeded())


# On the object, not on its rim


def disc(radius: float, side: int = 64, centre: tuple[float, float] = (31.5, 31.5)) -> torch.Tensor:
    y, x = torch.meshgrid(*2 * (torch.arange(float(side)),), indexing="ij")
    return torch.hypot(x - centre[0], y - centre[1]) < radius


def test_pokes_lie_among_the_points_that_are_asked_for_as_far_as_there_are_any() -> None:
    flow = torch.zeros(2, 64, 64)
    flow[0, disc(12)] = 3.0
    among = torch.zeros(64, 64, dtype=torch.bool)
    among[30:34, 30:34] = True
    generator = torch.Generator().manual_seed(0)
    drawn = {sample_poke(flow, generator, among=among).location for _ in range(60)}
    assert len(drawn) > 8 and all(among[int(y), int(x)] for x, y in drawn)
    nowhere = torch.zeros_like(among)
    nowhere[0, 0] = True  # not in the foreground
    one, other = (sample_poke(flow, torch.Generator().manual_seed(5), among=mask) for mask in (nowhere, None))
    assert one == other


def test_a_mask_without_margin_is_itself() -> None:
    assert torch.equal(eroded(disc(12), 0.0), disc(12))
    assert not eroded(torch.zeros(8, 8, dtype=torch.bool), 2.0).any()


def test_a_margin_takes_the_rim_away_and_not_the_border_of_the_frame() -> None:
    kept = eroded(disc(12), 3.0)
    assert torch.equal(kept & disc(12), kept)
    assert not (kept & ~disc(11)).any()
    assert 0.4 < kept.sum() / disc(12).sum() < 0.7
    cut_off = eroded(disc(12, centre=(0, 32)), 3.0)
    assert cut_off[32, 0]


def test_of_a_thin_part_the_middle_is_kept() -> None:
    stem = torch.zeros(64, 64, dtype=torch.bool)
    stem[10:60, 30:33] = True  # three wide, beside a disc that is deep
    both = eroded(stem | disc(9, centre=(12, 12)), 4.0)
    assert both[20:50, 31].all() and not both[20:50, 30].any() and not both[20:50, 32].any()
    assert both[12, 12] and not both[12, 4]


def test_pokes_keep_their_distance_from_the_rim() -> None:
    flow = torch.zeros(2, 64, 64)
    flow[0, disc(12)] = 3.0
    inner = eroded(disc(12), 4.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        x, y = sample_poke(flow, generator, margin=4.0).location
        assert inner[int(y), int(x)]
        x, y = sample_impulse(flow, 1.0, 1.0, generator, margin=4.0).location
        assert inner[int(y), int(x)]
