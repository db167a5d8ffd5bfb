"""A live session: poke, drag, hold, release, step; animations and scripts are the same thing done at once."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poke2vid.files import read_tensors, write_tensors
from poke2vid.geometry import warp
from poke2vid.live.script import Script, read_script, recorded, replay
from poke2vid.live.session import Animator, Session, load
from poke2vid.model.config import ModelConfig
from poke2vid.model.files import save_model
from poke2vid.model.poke_video import PokeVideo
from poke2vid.pokes import POKE_GAIN, rasterise
from poke2vid.types import Frame, InputError, Poke, PokeKind, Rest, State

RESOLUTION = 32


class Slider:
    """A Player without a network: the whole picture slides by a tenth of the pokes' shifts in every step, and stays."""

    resolution = RESOLUTION

    def __init__(self, poke_kind: PokeKind = "shift") -> None:
        self.poke_kind: PokeKind = poke_kind
        self.phis: list[Tensor | None] = []
        self.encoded = 0

    def start(self, x_0: Tensor) -> State:
        return State((torch.zeros(1, 2, 1, 1),), (x_0,))

    def encode_poke(self, poke_map: Tensor) -> Tensor:
        self.encoded += 1
        return poke_map

    def step(self, state: State, phi: Tensor | None) -> tuple[State, Frame]:
        self.phis.append(phi)
        offset, (x_0,) = state.sigma[0], state.context
        if phi is not None:
            offset = offset + phi[:, :2].sum(dim=(-2, -1), keepdim=True) / 9 * RESOLUTION / POKE_GAIN / 10
        flow = (-offset).expand(1, 2, RESOLUTION, RESOLUTION)
        return State((offset,), (x_0,)), Frame(warp(x_0, flow), flow, torch.zeros_like(x_0))


def model(*, moving: bool = True, poke_kind: PokeKind = "shift", decoder: Any = "motion") -> PokeVideo:
    """Untrained; `moving`: with a last layer that is not zero, so that something happens."""
    torch.manual_seed(0)
    player = PokeVideo(ModelConfig(resolution=RESOLUTION, channels=4, decoder=decoder, poke_kind=poke_kind)).eval()
    if moving and decoder == "motion":
        nn.init.normal_(player.decoder.head.weight, std=0.3)
    return player


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, so that moving it a little changes it a little, and different everywhere."""
    ys, xs = np.mgrid[:height, :width] / 7
    waves = np.stack((np.sin(xs + ys / 2), np.cos(xs / 2 - ys), np.sin(xs * ys / 20)), axis=-1)
    return np.rint(127.5 * (1 + waves)).astype(np.uint8)


def frames(session: Session, count: int) -> np.ndarray:
    return np.stack([session.step() for _ in range(count)])


def moves(before: np.ndarray, after: np.ndarray) -> bool:
    return bool(np.abs(before.astype(int) - after).mean() > 0.05)


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


# Forks, undo, files


def poked(history: int = 32) -> Session:
    """A session in the midst of things: one poke held, one let go, an impulse not yet felt."""
    session = Session(model(), picture(), history=history)
    held = session.poke((20.0, 10.0), (8.0, 0.0))
    other = session.poke((50.0, 40.0), (0.0, -6.0))
    frames(session, 2)
    session.drag(held, (30.0, 20.0))
    frames(session, 2)
    session.release(other)
    frames(session, 1)
    session.poke((12.0, 30.0), (5.0, 5.0), "impulse")
    return session


def test_a_fork_goes_on_alike_and_then_its_own_way() -> None:
    session = poked()
    fork = session.fork()
    np.testing.assert_array_equal(frames(session, 3), frames(fork, 3))
    fork.poke((40.0, 20.0), (0.0, 9.0))
    assert len(fork.held) == 2 and len(session.held) == 1
    assert moves(frames(session, 3), frames(fork, 3))
    assert fork.undo() and fork.time == session.time - 3


def test_undo_goes_back_to_before_the_last_poke_as_if_it_had_never_been() -> None:
    session, never = (Session(model(), picture()) for _ in range(2))
    for one in (session, never):
        one.poke((20.0, 10.0), (8.0, 0.0))
        frames(one, 3)
    second = session.poke((50.0, 40.0), (0.0, -6.0))
    frames(session, 2)
    session.drag(second, (50.0, 20.0))
    session.release(second)
    frames(session, 2)
    assert session.undo()
    assert (session.time, session.held, session.done) == (never.time, never.held, never.done)
    np.testing.assert_array_equal(session.picture, never.picture)
    np.testing.assert_array_equal(frames(session, 3), frames(never, 3))
    assert session.undo() and session.time == 0
    np.testing.assert_array_equal(session.picture, picture())
    assert not session.undo()


def test_only_so_many_pokes_can_be_undone() -> None:
    session = Session(Slider(), picture(), history=2)
    for _ in range(3):
        session.release(session.poke((20.0, 10.0), (8.0, 0.0)))
        session.step()
    assert [session.undo() for _ in range(3)] == [True, True, False]
    assert session.time == 1
    without = Session(Slider(), picture(), history=0)
    without.poke((20.0, 10.0), (8.0, 0.0))
    assert not without.undo()


@pytest.mark.parametrize("decoder", ["motion", "rgb"])
def test_a_saved_and_loaded_session_goes_on_bit_for_bit(tmp_path: Path, decoder: str) -> None:
    player = model(decoder=decoder)
    session = Session(player, picture(600, 300), max_side=256)
    session.rest = Rest(0.2, 0.5)
    pointer = session.poke((100.0, 110.0), (60.0, 0.0))
    frames(session, 3)
    session.poke((200.0, 500.0), (5.0, 50.0), "impulse")
    session.save(tmp_path / "session.safetensors")
    loaded = Session.load(tmp_path / "session.safetensors", player)
    assert (loaded.time, loaded.held, loaded.done, loaded.rest) == (
        session.time,
        session.held,
        session.done,
        session.rest,
    )
    np.testing.assert_array_equal(loaded.picture, session.picture)
    for one in (session, loaded):
        one.drag(pointer, (120.0, 90.0))
    np.testing.assert_array_equal(frames(loaded, 2), frames(session, 2))
    for one in (session, loaded):
        one.release(pointer)
    np.testing.assert_array_equal(frames(loaded, 4), frames(session, 4))
    assert recorded(loaded) == recorded(session)


def test_a_poke_that_has_been_held_for_long_goes_on_bit_for_bit_from_a_file(tmp_path: Path) -> None:
    animator = load("small64")
    session = animator.open(picture(300, 300))
    session.poke((150.0, 110.0), (25.0, 0.0))
    frames(session, 30)
    session.save(tmp_path / "session.safetensors")
    np.testing.assert_array_equal(frames(animator.resume(tmp_path / "session.safetensors"), 10), frames(session, 10))


def test_a_session_is_saved_before_its_first_step_too(tmp_path: Path) -> None:
    player = model()
    Session(player, picture()).save(tmp_path / "fresh.safetensors")
    loaded = Animator(player).resume(tmp_path / "fresh.safetensors")
    assert (loaded.time, loaded.frame) == (0, None)
    np.testing.assert_array_equal(loaded.step(), Session(player, picture()).step())


def test_a_session_of_another_model_a_damaged_one_and_what_is_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.safetensors"
    poked().save(path)
    with pytest.raises(InputError, match="another model"):
        Session.load(path, model(moving=False))
    with pytest.raises(InputError, match="there is no file"):
        Session.load(tmp_path / "none.safetensors", model())
    save_model(tmp_path / "model.safetensors", model(), {})
    with pytest.raises(InputError, match="no session"):
        Session.load(tmp_path / "model.safetensors", model())
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 255
    path.write_bytes(whole)
    with pytest.raises(InputError, match="damaged"):
        Session.load(path, model())


@pytest.mark.parametrize(
    "change",
    [
        {"max_side": "large"},
        {"held": [[0]]},
        {"rest": {"stiffness": 2, "momentum": 0}},
        {"rest": {"softness": 1}},
        {"done": [{"frame": 0}]},
        {"impulses": 3},
        {"time": None},
    ],
)
def test_a_session_file_that_says_nonsense_is_refused_in_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    path, player = tmp_path / "session.safetensors", model()
    Session(player, picture()).save(path)
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, {**about, "session": {**about["session"], **change}})
    with pytest.raises(InputError):
        Session.load(path, player)


def test_what_was_done_is_a_script_that_gives_the_same_frames() -> None:
    session = Session(model(), picture(), rest=Rest(0.3, 0.5))
    shown = [session.canvas.picture, *frames(session, 1)]
    first = session.poke((20.0, 10.0), (8.0, 0.0))
    session.drag(first, (25.0, 10.0))
    session.drag(first, (26.0, 14.0))  # the one that is felt
    shown += [*frames(session, 2)]
    session.poke((50.0, 40.0), (0.0, 6.0), "impulse")
    session.rest = Rest(0.0, 0.0)
    shown += [*frames(session, 2)]
    wrong = session.poke((5.0, 5.0), (9.0, 9.0))
    frames(session, 2)
    session.release(wrong)
    session.undo()
    session.release()
    shown += [*frames(session, 3)]
    session.poke((20.0, 10.0), (8.0, 0.0))  # shows in no frame
    written = recorded(session)
    assert [event.type for event in written.events] == ["rest", "poke", "drag", "poke", "rest", "release"]
    again = Script.model_validate_json(written.model_dump_json())
    replayed = [moment.picture for moment in replay(again, Session(model(), picture()))]
    np.testing.assert_array_equal(np.stack(replayed), np.stack(shown))


def test_a_session_without_a_step_or_without_records_has_no_script_to_speak_of() -> None:
    with pytest.raises(InputError, match="0 frames"):
        recorded(Session(Slider(), picture()))
    session = Session(Slider(), picture(), record=False)
    session.poke((20.0, 10.0), (8.0, 0.0))
    session.step()
    assert session.done == ()


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


# Animations


def test_an_animation_is_the_picture_and_then_as_many_frames_as_were_asked_for() -> None:
    animation = Animator(model()).animate(picture(), [Poke((20.0, 10.0), (8.0, 0.0))], frames=4)
    assert animation.frames.shape == (5, 48, 64, 3)
    assert animation.frames.dtype == np.uint8
    np.testing.assert_array_equal(animation.frames[0], picture())
    assert moves(animation.frames[0], animation.frames[1])


def test_an_animation_is_what_a_session_shows_step_by_step() -> None:
    pokes = [Poke((20.0, 10.0), (8.0, 0.0)), Poke((50.0, 40.0), (0.0, 6.0), "impulse")]
    animation = Animator(model()).animate(picture(), pokes, frames=4)
    session = Session(model(), picture())
    for poke in pokes:
        session.poke(poke.location, poke.shift, poke.kind)
    np.testing.assert_array_equal(animation.frames[1:], frames(session, 4))


def test_a_model_runs_as_long_as_it_is_asked_to() -> None:
    animation = Animator(model()).animate(picture(), [Poke((20.0, 10.0), (8.0, 0.0))])
    assert animation.frames.shape[0] == 26
    assert moves(animation.frames[10], animation.frames[0])


def test_an_animation_goes_on_from_its_state() -> None:
    poke, animator = Poke((20.0, 10.0), (8.0, 0.0)), Animator(model())
    whole = animator.animate(picture(), [poke], frames=6)
    part = animator.animate(picture(), [poke], frames=4)
    session = animator.open(picture())
    session.state = part.state
    session.poke(poke.location, poke.shift)
    np.testing.assert_array_equal(frames(session, 2), whole.frames[5:])


def test_the_same_pokes_give_the_same_animation_bit_for_bit() -> None:
    poke = Poke((20.0, 10.0), (8.0, 0.0))
    first, second = (Animator(model()).animate(picture(), [poke], frames=5) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    for a, b in zip(first.state.sigma, second.state.sigma, strict=True):
        assert torch.equal(a, b)


def test_an_animation_tells_its_pokes_in_pixels_of_what_it_shows() -> None:
    animation = Animator(Slider()).animate(picture(1024, 1024), [Poke((511.5, 255.5), (64.0, -32.0))], frames=1)
    assert animation.frames.shape[1:] == (512, 512, 3)
    (shown,) = animation.pokes
    assert shown.location == pytest.approx((255.5, 127.5))
    assert shown.shift == pytest.approx((32.0, -16.0))


def test_no_frames_are_refused() -> None:
    with pytest.raises(InputError, match="0 frames"):
        Animator(Slider()).animate(picture(), [], frames=0)


# Scripts


def script(*events: dict[str, Any], frames: int = 5) -> Script:
    return Script.model_validate({"version": 1, "frames": frames, "events": events})


POKE = {"type": "poke", "frame": 0, "at": [20, 10], "shift": [8, 0]}


def test_a_script_is_the_animation_with_the_same_pokes() -> None:
    other = {"type": "poke", "frame": 0, "at": [50, 40], "shift": [0, 6], "pointer": 1, "kind": "impulse"}
    pokes = [Poke((20.0, 10.0), (8.0, 0.0)), Poke((50.0, 40.0), (0.0, 6.0), "impulse")]
    replayed = [moment.picture for moment in replay(script(POKE, other), Session(model(), picture()))]
    animation = Animator(model()).animate(picture(), pokes, frames=5)
    np.testing.assert_array_equal(np.stack(replayed), animation.frames)


def test_events_happen_before_the_frame_after_theirs_is_predicted() -> None:
    player = Slider()
    events = (
        {**POKE, "frame": 1, "pointer": 7},
        {"type": "drag", "frame": 2, "at": [20, 10], "shift": [-2, 5], "pointer": 7},
        {"type": "release", "frame": 4, "pointer": 7},
    )
    replay(script(*events, frames=6), Session(player, picture(32, 32)))
    poked, dragged = (rasterise([Poke((20.0, 10.0), shift)], RESOLUTION)[None] for shift in ((8.0, 0.0), (-2.0, 5.0)))
    expected = [None, poked, dragged, dragged, None, None]
    assert [phi is None for phi in player.phis] == [phi is None for phi in expected]
    for phi, should_be in zip(player.phis, expected, strict=True):
        if should_be is not None:
            torch.testing.assert_close(phi, should_be)


def test_the_same_finger_lets_go_when_it_touches_anew_and_another_finger_does_not() -> None:
    player = Slider()
    again = {**POKE, "frame": 1, "at": [5, 25]}
    replay(
        script(POKE, again, {**again, "frame": 2, "at": [28, 28], "pointer": 1}, frames=3),
        Session(player, picture(32, 32)),
    )
    touched = [int(phi[0, 2].sum()) for phi in player.phis if phi is not None]
    assert touched == [9, 9, 18]


@pytest.mark.parametrize("kind", ["drag", "release"])
def test_an_event_for_a_finger_that_touches_nothing_is_named(kind: str) -> None:
    event = {"type": kind, "frame": 2, "pointer": 3} | ({"at": [1, 1], "shift": [1, 1]} if kind == "drag" else {})
    with pytest.raises(InputError, match=r"events.1 of the poke script: pointer 3 holds nothing at frame 2"):
        replay(script(POKE, event), Session(Slider(), picture()))


def test_an_event_outside_the_picture_is_named() -> None:
    with pytest.raises(InputError, match=r"events.0 of the poke script: .*outside the picture, which is 64 x 48"):
        replay(script({**POKE, "at": [64, 10]}), Session(Slider(), picture()))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": 2}, "version"),
        ({"frames": 0}, "frames"),
        ({"frames": 10_001}, "frames"),
        ({"speed": 3}, "speed"),
        ({"events": [{**POKE, "type": "stroke"}]}, r"events\.0"),
        ({"events": [POKE, {**POKE, "at": [1]}]}, r"events\.1\.poke\.at"),
        ({"events": [{**POKE, "frame": -1}]}, r"events\.0\.poke\.frame"),
        ({"events": [{**POKE, "shfit": [1, 1]}]}, r"events\.0\.poke\.shfit"),
        ({"events": [{**POKE, "kind": "tickle"}]}, r"events\.0\.poke\.kind"),
        ({"events": [{**POKE, "shift": [math.nan, 0]}]}, r"events\.0\.poke\.shift\.0"),
        ({"events": [{"type": "rest", "frame": 0, "stiffness": 2, "momentum": 0}]}, r"events\.0\.rest\.stiffness"),
    ],
)
def test_a_script_that_breaks_the_format_is_refused_by_the_name_of_the_field(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"version": 1, "frames": 5, "events": [POKE]} | change))
    with pytest.raises(InputError, match=rf"script\.json is wrong: {named}"):
        read_script(path)


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"version": 1, "frames": 0, "events": [{**POKE, "frame": -1}]}))
    with pytest.raises(InputError, match=r"frames: .*; events\.0\.poke\.frame: "):
        read_script(path)


def test_a_script_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"version": 1, "image": "plant.png", "frames": 5, "events": [POKE]}))
    read = read_script(path)
    assert (read.image, read.frames) == ("plant.png", 5)
    assert read.events == script(POKE).events
    (event,) = read.events
    assert (event.type, event.frame, event.pointer) == ("poke", 0, 0)


def test_a_missing_script_and_one_that_is_no_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no poke script .*none\.json"):
        read_script(tmp_path / "none.json")
    for content in (b"{", b"\xff\xfe\x00", b""):
        (tmp_path / "broken.json").write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.json is not a JSON file"):
            read_script(tmp_path / "broken.json")


def test_a_replay_tells_for_every_picture_what_begins_and_what_is_held() -> None:
    """A dot on a frame means that the poke was in force when the frame was made."""
    events = (
        {"type": "poke", "frame": 1, "pointer": 4, "at": [10, 10], "shift": [5, 0]},
        {"type": "drag", "frame": 2, "pointer": 4, "at": [10, 20], "shift": [0, 0]},
        {"type": "release", "frame": 3, "pointer": 4},
        {"type": "poke", "frame": 4, "pointer": 4, "at": [30, 20], "shift": [0, 5], "kind": "impulse"},
    )
    moments = replay(script(*events, frames=5), Session(Slider(), picture()))
    assert [[poke.location for _, poke in moment.begun] for moment in moments] == [
        [],
        [(10, 10)],
        [],
        [],
        [(30, 20)],
        [],
    ]
    assert [[poke.shift for poke in moment.held.values()] for moment in moments] == [
        [],
        [],
        [(5, 0)],
        [(0, 10)],
        [],
        [],
    ]
