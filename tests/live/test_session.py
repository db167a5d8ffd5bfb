"""A live session: poke, drag, hold, release, step, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from small_session import RESOLUTION, Slider, frames, model, moves, picture

from poke2vid.live.session import Session
from poke2vid.pokes import POKE_GAIN, rasterise
from poke2vid.types import InputError, Poke

# Looking


def test_an_untrained_model_shows_the_still_picture() -> None:
    session = Session(model(moving=False), picture())
    session.poke((20.0, 10.0), (8.0, 0.0))
    for frame in frames(session, 4):
        np.testing.assert_array_equal(frame, picture())


def test_steps_are_counted_and_the_frame_is_there_as_the_model_made_it() -> None:
    session = Session(model(), picture())
    assert (session.time, session.frame) == (0, None)
    frames(session, 3)
    assert session.time == 3
    assert session.frame is not None
    assert session.frame.x_hat.shape == (1, 3, RESOLUTION, RESOLUTION)


def test_a_painting_model_can_be_poked_too() -> None:
    poked, left_alone = (Session(model(decoder="rgb"), picture()) for _ in range(2))
    poked.poke((20.0, 10.0), (8.0, 0.0))
    first, second = poked.step(), left_alone.step()
    assert first.shape == picture().shape
    assert (first != second).any()


# Poking


def test_a_poke_changes_what_follows() -> None:
    poked, left_alone = (Session(model(), picture()) for _ in range(2))
    poked.poke((20.0, 10.0), (8.0, 0.0))
    assert moves(frames(left_alone, 3), frames(poked, 3))


def test_pokes_at_other_places_in_other_directions_have_other_effects() -> None:
    futures = []
    for location, shift in (((20.0, 10.0), (8.0, 0.0)), ((20.0, 10.0), (-8.0, 0.0)), ((50.0, 40.0), (8.0, 0.0))):
        session = Session(model(), picture())
        session.poke(location, shift)
        futures.append(frames(session, 3))
    assert moves(futures[0], futures[1])
    assert moves(futures[0], futures[2])


def test_the_picture_goes_where_it_is_pulled() -> None:
    session = Session(Slider(), picture(64, 64))
    session.poke((20.0, 30.0), (40.0, -20.0))
    inner = (slice(12, -12), slice(12, -12))
    for step in (1, 2, 3):  # a tenth of the way each: 4 to the right, 2 up
        expected = np.roll(picture(64, 64), (-2 * step, 4 * step), axis=(0, 1))
        np.testing.assert_array_equal(session.step()[inner], expected[inner])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (1200, 1200), (10, 10), (600, 1200), (1200, 600)])
def test_locations_and_shifts_are_in_pixels_of_the_picture_whatever_its_size(height: int, width: int) -> None:
    player, side = Slider(), max(height, width)
    session = Session(player, picture(height, width))
    session.poke(((width - 1) / 2 + side / 8, (height - 1) / 2), (side / 4, -side / 8))
    session.step()
    (phi,) = player.phis
    assert phi is not None
    ys, xs = phi[0, 2].nonzero(as_tuple=True)
    assert (xs.float().mean().item(), ys.float().mean().item()) == pytest.approx((19.5, 15.5), abs=0.51)
    assert phi[0, :2, ys[0], xs[0]].tolist() == pytest.approx([POKE_GAIN / 4, -POKE_GAIN / 8], rel=0.01)


def test_a_poke_is_encoded_once_and_held() -> None:
    player = Slider()
    session = Session(player, picture())
    session.poke((20.0, 10.0), (8.0, 0.0))
    frames(session, 5)
    assert player.encoded == 1
    for phi in player.phis:
        assert phi is player.phis[0] is not None


def test_without_a_poke_nothing_touches_the_object() -> None:
    player = Slider()
    frames(Session(player, picture()), 2)
    assert player.phis == [None, None]
    assert player.encoded == 0


def test_a_released_object_is_touched_by_nothing() -> None:
    player = Slider()
    session = Session(player, picture())
    pointer = session.poke((20.0, 10.0), (8.0, 0.0))
    session.step()
    session.release(pointer)
    frames(session, 2)
    assert [phi is None for phi in player.phis] == [False, True, True]
    assert session.held == {}


def test_releasing_one_of_two_pokes_leaves_the_other_and_releasing_all_leaves_none() -> None:
    player = Slider()
    session = Session(player, picture(32, 32))
    first = session.poke((20.0, 10.0), (8.0, 0.0))
    second = session.poke((5.0, 25.0), (0.0, 4.0))
    session.release(first)
    assert session.held == {second: Poke((5.0, 25.0), (0.0, 4.0))}
    session.step()
    torch.testing.assert_close(player.phis[0], rasterise([Poke((5.0, 25.0), (0.0, 4.0))], RESOLUTION)[None])
    session.poke((7.0, 7.0), (1.0, 0.0))
    session.release()
    session.step()
    assert session.held == {}
    assert player.phis[1] is None


def test_several_pokes_are_felt_as_one_summed_map() -> None:
    player = Slider()
    session = Session(player, picture(32, 32))
    pokes = [Poke((20.0, 10.0), (8.0, 0.0)), Poke((21.0, 11.0), (0.0, -4.0))]
    for poke in pokes:
        session.poke(poke.location, poke.shift)
    session.step()
    torch.testing.assert_close(player.phis[0], rasterise(pokes, RESOLUTION)[None])


def test_dragging_moves_the_target_and_not_the_point_that_was_grabbed() -> None:
    player = Slider()
    session = Session(player, picture(32, 32))
    pointer = session.poke((20.0, 10.0), (0.0, 0.0))
    session.step()
    session.drag(pointer, (29.0, 7.0))
    session.step()
    session.drag(pointer, (-50.0, 90.0))  # out of the picture: a target may lie there
    session.step()
    for phi, shift in zip(player.phis, ((0.0, 0.0), (9.0, -3.0), (-70.0, 80.0)), strict=True):
        torch.testing.assert_close(phi, rasterise([Poke((20.0, 10.0), shift)], RESOLUTION)[None])


def test_an_impulse_lasts_one_step() -> None:
    player = Slider("impulse")
    session = Session(player, picture(32, 32))
    session.step()
    session.poke((20.0, 10.0), (3.0, 0.0), "impulse")
    assert session.held == {}
    frames(session, 3)
    assert [phi is None for phi in player.phis] == [True, False, True, True]
    torch.testing.assert_close(player.phis[1], rasterise([Poke((20.0, 10.0), (3.0, 0.0))], RESOLUTION)[None])


def test_an_impulse_beside_a_held_poke_leaves_the_held_one_behind() -> None:
    player = Slider()
    session = Session(player, picture(32, 32))
    held, struck = Poke((20.0, 10.0), (8.0, 0.0)), Poke((5.0, 25.0), (0.0, 4.0), "impulse")
    session.poke(held.location, held.shift)
    session.poke(struck.location, struck.shift, "impulse")
    frames(session, 2)
    torch.testing.assert_close(player.phis[0], rasterise([held, struck], RESOLUTION)[None])
    torch.testing.assert_close(player.phis[1], rasterise([held], RESOLUTION)[None])


def test_a_new_poke_is_felt_while_the_object_still_moves() -> None:
    once, twice = (Session(model(), picture()) for _ in range(2))
    for session in (once, twice):
        session.poke((20.0, 10.0), (8.0, 0.0))
    np.testing.assert_array_equal(frames(once, 3), frames(twice, 3))
    twice.poke((50.0, 40.0), (0.0, -12.0))
    assert moves(frames(once, 2), frames(twice, 2))


def test_what_is_held_can_be_looked_at_but_not_changed_from_outside() -> None:
    session = Session(Slider(), picture())
    pointer = session.poke((20.0, 10.0), (8.0, 0.0))
    session.held.clear()
    assert pointer in session.held


def test_a_point_can_be_held_where_it_is_and_dragged_from_there_at_once() -> None:
    player = Slider()
    session = Session(player, picture(32, 32))
    held = session.hold((20.0, 10.0))
    assert session.held == {held: Poke((20.0, 10.0), (0.0, 0.0))}
    dragged = session.drag((5.0, 25.0), (8.0, 21.0))
    assert session.held[dragged] == Poke((5.0, 25.0), (3.0, -4.0))
    assert session.drag(dragged, (5.0, 25.0)) == dragged
    assert session.held[dragged].shift == (0.0, 0.0)


# What cannot be done


@pytest.mark.parametrize("location", [(64.0, 10.0), (-1.0, 10.0), (20.0, 48.0), (20.0, -1.0), (50.0, 60.0)])
def test_a_poke_outside_the_picture_is_refused_in_the_user_s_pixels(location: tuple[float, float]) -> None:
    session = Session(Slider(), picture())
    with pytest.raises(InputError, match=r"outside the picture, which is 64 x 48 pixels"):
        session.poke(location, (1.0, 0.0))
    assert session.held == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_poke_or_drag_that_is_not_finite_is_refused_and_changes_nothing(bad: float) -> None:
    session = Session(Slider(), picture())
    with pytest.raises(InputError, match="not finite"):
        session.poke((20.0, 10.0), (bad, 0.0))
    pointer = session.poke((20.0, 10.0), (8.0, 0.0))
    with pytest.raises(InputError, match="not finite"):
        session.drag(pointer, (0.0, bad))
    assert session.held == {pointer: Poke((20.0, 10.0), (8.0, 0.0))}


@pytest.mark.parametrize("corner", [(-0.5, -0.5), (199.5, 299.5), (-0.5, 299.5)])
def test_the_very_corner_of_a_picture_can_be_poked(corner: tuple[float, float]) -> None:
    session = Session(Slider(), picture(300, 200))
    pointer = session.poke(corner, (1.0, 0.0))
    session.step()
    side = session.player.resolution
    x, y = session.canvas.modelled(session.held[pointer]).location
    assert -0.5 <= x <= side - 0.5 and -0.5 <= y <= side - 0.5
    assert session.time == 1


def test_a_pointer_that_holds_nothing_cannot_be_dragged_or_released() -> None:
    session = Session(Slider(), picture())
    with pytest.raises(InputError, match="pointer 5 holds nothing"):
        session.drag(5, (1.0, 1.0))
    with pytest.raises(InputError, match="pointer 5 holds nothing"):
        session.release(5)
    pointer = session.poke((20.0, 10.0), (8.0, 0.0))
    session.release(pointer)
    with pytest.raises(InputError, match="holds nothing"):
        session.release(pointer)
    struck = session.poke((20.0, 10.0), (8.0, 0.0), "impulse")
    with pytest.raises(InputError, match="holds nothing"):
        session.drag(struck, (1.0, 1.0))


def test_a_model_of_impulses_refuses_a_shift_and_says_what_to_do() -> None:
    session = Session(model(poke_kind="impulse"), picture())
    with pytest.raises(InputError, match="poke with kind 'impulse'"):
        session.poke((20.0, 10.0), (8.0, 0.0))
    session.poke((20.0, 10.0), (8.0, 0.0), "impulse")
    assert session.step().shape == picture().shape
