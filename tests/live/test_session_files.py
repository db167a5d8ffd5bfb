"""Forks of a session, undo, and files from which one goes on bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_session import Slider, frames, model, moves, picture

from poke2vid.files import read_tensors, write_tensors
from poke2vid.live.animator import Animator, load
from poke2vid.live.brush import Stroke
from poke2vid.live.script import Script, recorded, replay
from poke2vid.live.session import Session
from poke2vid.model.files import save_model
from poke2vid.types import InputError, Rest


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


@pytest.mark.parametrize(
    "moves", [torch.full((1, 1, 32, 32), 2.0), torch.full((1, 1, 32, 32), torch.nan), torch.ones(3, 3)]
)
def test_a_map_of_what_moves_that_is_none_is_refused_in_one_sentence(tmp_path: Path, moves: torch.Tensor) -> None:
    path, player = tmp_path / "session.safetensors", model()
    session = Session(player, picture())
    session.brush(Stroke(((3.0, 4.0),), 5.0))
    session.save(path)
    tensors, about = read_tensors(path)
    assert tensors["moves"].shape == session.canvas.x_0[:, :1].shape
    write_tensors(path, {**tensors, "moves": moves}, about)
    with pytest.raises(InputError, match="save it anew"):
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
