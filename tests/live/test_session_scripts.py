"""Animations and scripts: what a session does when it is told all at once."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_session import RESOLUTION, Slider, frames, model, moves, picture

from poke2vid.live.animator import Animator
from poke2vid.live.script import Script, read_script, replay
from poke2vid.live.session import Session
from poke2vid.pokes import rasterise
from poke2vid.types import InputError, Poke

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
