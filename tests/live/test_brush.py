"""Strokes of a brush: what they cover stays still or may move, in sessions, scripts and files, and undone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from knowing import Knows
from small_session import Slider, picture

from poke2vid.geometry import Affine
from poke2vid.live.brush import MAX_POINTS, Stroke, coverage, painted
from poke2vid.live.script import Script, recorded, replay
from poke2vid.live.session import Session
from poke2vid.types import InputError, Player

LEFT = Stroke(((0, 0), (0, 47)), 20)  # of a picture of 64 x 48


def players() -> list[Player]:
    return [Slider(), Knows(64)]


def pulled(session: Session, steps: int = 4) -> np.ndarray:
    session.poke((32, 24), (12, 6))
    for _ in range(steps):
        shown = session.step()
    return shown


def test_a_stroke_covers_what_lies_within_its_radius_with_a_rim_of_a_pixel() -> None:
    found = coverage(Stroke(((4, 8), (12, 8)), 3), Affine.identity(), torch.zeros(1, 1, 17, 17))
    assert found[8, 4:13].eq(1).all() and found[11, 8] == 0.5 and found[12, 8] == 0 and found[8, 1] == 0.5
    dot = coverage(Stroke(((8.0, 8.0),), 2), Affine.resize((17, 17), (34, 34)), torch.zeros(1, 1, 34, 34))
    assert dot.sum() == pytest.approx(np.pi * 4**2, rel=0.03)  # twice as wide there


def test_the_last_stroke_counts() -> None:
    seen = torch.full((1, 1, 16, 16), 0.3)
    wide, narrow = Stroke(((8, 8),), 5), Stroke(((8, 8),), 2, still=False)
    moves = painted(painted(seen, wide, Affine.identity()), narrow, Affine.identity())[0, 0]
    assert moves[8, 8] == 1 and moves[8, 12] == 0 and moves[0, 0] == 0.3


@pytest.mark.parametrize("player", players(), ids=["paper", "touch"])
def test_what_is_painted_still_stays_and_the_rest_moves(player: Player) -> None:
    session = Session(player, picture())
    session.brush(LEFT)
    shown = pulled(session)
    apart = np.abs(shown.astype(int) - session.canvas.picture).max(axis=-1)
    width = apart.shape[1]
    assert apart[:, : width // 4].max() <= 1 and apart[:, width // 2 :].mean() > 1


def test_a_touch_that_holds_is_asked_anew_after_a_stroke_and_after_undo_since_the_object_is_another() -> None:
    asked = list[float]()

    class Asks(Knows):
        def touch(self, state, location):
            asked.append(float(self.object_of(state).mean()))
            return super().touch(state, location)

    session = Session(Asks(64), picture())
    session.poke((32, 24), (12, 6))
    for deed in (session.advance, lambda: session.brush(Stroke(((10.0, 10.0),), 30, still=False)), session.undo):
        deed()
        session.advance()
    assert len(asked) == 3 and asked[0] == asked[2] < asked[1]


def test_what_is_painted_loose_moves_where_the_model_saw_nothing_to_move() -> None:
    player = Knows(64)
    session = Session(player, picture())
    session.brush(Stroke(((0, 0), (63, 47)), 80))
    assert np.array_equal(pulled(session.fork()), session.canvas.picture)
    session.brush(Stroke(((0, 0), (63, 47)), 80, still=False))
    assert (np.abs(pulled(session).astype(int) - session.canvas.picture) > 20).any()


@pytest.mark.parametrize("player", players(), ids=["paper", "touch"])
def test_a_script_a_file_and_undo_know_strokes(player: Player, tmp_path: Path) -> None:
    session = Session(player, picture())
    pulled(session, 2)
    session.brush(LEFT)
    session.step()
    session.save(tmp_path / "session.safetensors")
    there = Session.load(tmp_path / "session.safetensors", player)
    script = recorded(session)
    again = replay(Script.model_validate_json(script.model_dump_json()), Session(player, picture()))
    np.testing.assert_array_equal(again[-1].picture, session.picture)
    np.testing.assert_array_equal(there.step(), session.step())
    before = Session(player, picture())
    pulled(before, 2)
    assert there.done == session.done and session.undo()
    np.testing.assert_array_equal(session.picture, before.picture)
    np.testing.assert_array_equal(session.step(), before.step())


@pytest.mark.parametrize(
    ("stroke", "said"),
    [
        (Stroke((), 3), "has 0 points"),
        (Stroke(((0, 0),) * (MAX_POINTS + 1), 3), f"1 to {MAX_POINTS}"),
        (Stroke(((0, 0),), 0), "radius 0"),
        (Stroke(((0, float("nan")),), 2), "not finite"),
    ],
)
def test_an_impossible_stroke_is_refused_and_changes_nothing(stroke: Stroke, said: str) -> None:
    session = Session(Slider(), picture())
    with pytest.raises(InputError, match=said):
        session.brush(stroke)
    assert session.done == () and not session.undo()
