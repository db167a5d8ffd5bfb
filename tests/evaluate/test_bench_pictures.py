"""Pictures of a PokeBench report: grids, bars and curves."""

from pathlib import Path

import numpy as np
import pytest
from known_disc import LAST, POKES, SIDE, Disc, T, model

from poke2vid.evaluate.bench.grid import predictions, write_grid, write_grids
from poke2vid.evaluate.plots import bars, curves
from poke2vid.live.animator import Animator
from poke2vid.measures.statistics import Interval
from poke2vid.media.pictures import read_picture
from poke2vid.media.video import iterate_frames
from poke2vid.media.viz import ARROW
from poke2vid.players.references import Copy, ShiftPatch
from poke2vid.players.session_player import SessionPlayer

pytestmark = pytest.mark.usefixtures("no_public_weights")


def test_a_grid_shows_the_truth_above_the_predictions_with_arrow_and_target(tmp_path: Path) -> None:
    scene = Disc()
    shown = predictions(scene, {"copy": Copy(), "patch": ShiftPatch(T)}, 2)
    assert list(shown) == ["truth", "copy", "patch"]
    assert np.array_equal(shown["truth"], scene.frames(2))
    write_grid(scene, shown, 2, tmp_path / "grid.png")
    sheet, cell = read_picture(tmp_path / "grid.png"), 3 * SIDE + 2  # enlarged threefold, and a gap
    assert sheet.shape == (3 * cell - 2, 7 * cell - 2, 3)  # a name, the first frame, five later ones
    red = (np.abs(sheet.astype(int) - ARROW).sum(-1) < 60).astype(int)
    counts = [[red[cell * i : cell * (i + 1), cell * j : cell * (j + 1)].sum() for j in range(7)] for i in range(3)]
    for row in counts:
        assert row[0] == 0 and all(row[1:])
    found = sheet[cell : 2 * cell - 2, 2 * cell : 3 * cell - 2]
    y, x = np.nonzero(red[cell : 2 * cell - 2, 2 * cell : 3 * cell - 2])
    assert (x.mean(), y.mean()) == pytest.approx((3 * 26 + 1, 3 * 24 + 1), abs=1.0)  # the dot of (20 + 6, 24)
    assert found.shape == (3 * SIDE, 3 * SIDE, 3)


def test_each_family_has_a_grid_of_its_first_scene_and_longest_shift(tmp_path: Path) -> None:
    scenes = [Disc(name, name[0], records=POKES[:5]) for name in ("b-1", "a-2", "a-1")]
    write_grids(scenes, {"copy": Copy()}, T, tmp_path, 25.0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.mp4", "a-1.png", "b-1.mp4", "b-1.png"]
    write_grid(
        scenes[0], predictions(scenes[0], {"copy": Copy(), "shift-patch": ShiftPatch(T)}, 2), 2, tmp_path / "2.png"
    )
    assert (tmp_path / "2.png").read_bytes() == (tmp_path / "b-1.png").read_bytes()


def test_a_grid_can_move(tmp_path: Path) -> None:
    scene = Disc()
    write_grid(scene, predictions(scene, {"copy": Copy()}, 4), 4, tmp_path / "grid.mp4")
    frames = list(iterate_frames(tmp_path / "grid.mp4"))
    assert len(frames) == LAST
    half = frames[0].shape[0] // 2
    truth, copied = ([frame[rows] for frame in frames] for rows in (slice(0, half), slice(half, None)))
    assert np.abs(truth[0].astype(int) - truth[-1]).mean() > 4 * np.abs(copied[0].astype(int) - copied[-1]).mean()


def test_a_grid_leaves_out_who_was_not_trained_on_such_pokes() -> None:
    players = {"copy": Copy(), "shifts": SessionPlayer(Animator(model()))}
    assert list(predictions(Disc(), players, 5)) == ["truth", "copy"]


def test_bars_are_as_high_as_their_values() -> None:
    sheet = bars({"one": Interval(1.0, 1.0, 1.0), "two": Interval(2.0, 2.0, 2.0)}, "title")
    blue, orange = ((sheet == colour).all(-1).any(1).sum() for colour in ((0, 114, 178), (213, 94, 0)))
    assert orange == pytest.approx(2 * blue, abs=4)


def test_curves_go_through_their_points_and_rows_without_points_are_left_out() -> None:
    sheet = curves({"a": [(0.0, 0.0), (10.0, 5.0)], "b": [], "c": [(0.0, 10.0), (10.0, 0.0)]}, "x", "y")
    blue, orange = ((sheet == colour).all(-1) for colour in ((0, 114, 178), (213, 94, 0)))
    assert blue.any() and orange.any()
    assert np.nonzero(blue)[0].min() < np.nonzero(orange)[0].max()
