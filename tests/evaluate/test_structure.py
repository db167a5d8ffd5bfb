"""Motion correlation on simulated objects, whose true answer to every poke is known."""

import json

import numpy as np
import pytest
import torch
from simulated import pendulum  # skips where nothing can be simulated

from poke2vid.evaluate.structure import scene as scenes
from poke2vid.evaluate.structure.correlators import FrameCorrelator
from poke2vid.evaluate.structure.maps import Settings, map_of
from poke2vid.evaluate.structure.report import correlate_scenes, score, structure_report
from poke2vid.evaluate.structure.scene import (
    SIDE,
    choose_points,
    find_object,
    given_points,
    parse_scene,
    true_responses,
)
from poke2vid.measures.table import REPORTS
from poke2vid.model.poke_video import PokeVideo
from poke2vid.simulator.world import UnstableError
from poke2vid.train.presets import preset
from poke2vid.types import InputError


@pytest.fixture(scope="module")
def figure() -> scenes.TrueObject:
    return find_object("figures", 1)


@pytest.fixture(scope="module")
def tiny() -> PokeVideo:
    torch.manual_seed(0)
    return PokeVideo(preset("tiny").model).eval()


def test_the_nth_scene_is_the_nth_that_holds_together_and_the_same_every_time(figure):
    again = find_object("figures", 1)
    assert (again.seed, again.world.scene.digest) == (figure.seed, figure.world.scene.digest)
    assert np.array_equal(again.first, figure.first)
    assert find_object("figures", 2).seed > figure.seed


def test_points_lie_on_different_parts_that_move(figure):
    points = choose_points(figure, 3, seed=0)
    assert len({touch.part for _, touch in points}) == 3
    for (x, y), touch in points:
        assert figure.part_ids[int(y), int(x)] == touch.part
        assert figure.world.moves(touch)
    assert [at for at, _ in choose_points(figure, 3, seed=0)] == [at for at, _ in points]


def test_the_touched_point_does_exactly_as_the_poke_and_the_background_is_still(figure):
    (location, touch), *_ = choose_points(figure, 1, seed=0)
    truth = true_responses(figure, touch, 12, 0.1, 0, 10)
    x, y = (int(place) for place in location)
    assert truth.flows[:, :, y, x] == pytest.approx(
        truth.shifts, abs=0.3
    )  # the pixel's centre is a ray's, not the mesh's
    assert not truth.flows[:, :, ~figure.surface.mask].any()
    found = map_of(truth.flows, truth.shifts, location)
    assert found.heat[y, x] > 0.9
    assert found.heat[~figure.surface.mask].max() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("family", ["plants", "figures", "objects"])
def test_the_exact_map_knows_the_part_that_was_touched(family):
    scene = find_object(family, 1)
    scores = []
    for location, touch in choose_points(scene, 2, seed=0):
        truth = true_responses(scene, touch, 24, 0.1, 0, 10)
        found = map_of(truth.flows, truth.shifts, location)
        scores.append(score(found.disagreement, found, scene.part_ids, touch.part))
    assert np.mean([s["auc_object"] for s in scores]) > 0.75, scores
    assert np.mean([s["auc_all"] for s in scores]) > 0.9
    assert all(
        s["rank"] == pytest.approx(1) and s["together"] in (1.0, pytest.approx(np.nan, nan_ok=True)) for s in scores
    )


def test_pulls_that_tear_the_object_are_drawn_again_and_counted(figure, monkeypatch):
    (_, touch), *_ = choose_points(figure, 1, seed=0)
    record, calls = figure.world.record, []

    def tearing(*arguments, **named):
        calls.append(arguments)
        if len(calls) % 3 == 0:
            raise UnstableError("comes apart")
        return record(*arguments, **named)

    monkeypatch.setattr(figure.world, "record", tearing)
    truth = true_responses(figure, touch, 6, 0.1, 0, 10)
    assert len(truth.flows) == 6
    assert truth.failed["comes apart"] == 2
    monkeypatch.setattr(figure.world, "record", lambda *a, **k: (_ for _ in ()).throw(UnstableError("explodes")))
    with pytest.raises(InputError, match="only 0 of 6"):
        true_responses(figure, touch, 6, 0.1, 0, 10)


def test_a_rigid_paddle_moves_as_a_whole():
    from poke2vid.simulator.opened import open_scene

    with open_scene(pendulum(), SIDE) as opened:
        surface = opened.surface
        scene = scenes.TrueObject("paddle", 0, opened.world, surface, opened.first, {})
    ((location, touch),) = scene.candidates(np.random.default_rng(0))
    truth = true_responses(scene, touch, 20, 0.05, 0, 10)
    heat = map_of(truth.flows, truth.shifts, location).heat
    y = round(location[1])
    rows = [heat[row][surface.mask[row]].mean() for row in (y, y - 8)]
    assert rows[0] > rows[1]  # nearer to the hinge it takes less of the poke
    assert heat[~surface.mask].max() < rows[1]


def test_a_map_is_scored_by_hand_counted_numbers():
    part_ids = np.array([[0, 1, 1, 2, 2, 2]], np.int32)
    shifts = np.array([[4.0, 0.0], [0.0, 8.0], [-6.0, 0.0]])
    moving = (part_ids == 1)[None, None]
    exact = map_of(np.where(moving, shifts[:, :, None, None], 0).astype(np.float32), shifts, (1.0, 0.0))
    found = score(np.array([[1.0, 0.0, 0.4, 0.2, 0.9, 0.9]]), exact, part_ids, 1)
    assert found["auc_object"] == pytest.approx(5 / 6)
    assert found["auc_all"] == pytest.approx(7 / 8)
    assert found["iou_best"] == pytest.approx(2 / 3)
    assert found["iou_otsu"] == pytest.approx(2 / 3)
    assert found["together"] == pytest.approx(5 / 6)


def test_a_report_holds_every_row_and_point_and_a_picture(tiny, tmp_path):
    outputs = [tmp_path / "a.png", tmp_path / "a.md", tmp_path / "a.json"]
    settings = Settings(pokes=5, frames=4, batch=5)
    table = correlate_scenes(tiny, ["figures:1"], 2, (), outputs, settings, "random", quiet=True)
    report = json.loads(outputs[2].read_text())
    measures = REPORTS["maps"]
    apart = {f"model, {m} minus distance to l" for m in measures}
    assert (
        set(report["rows"]) == {f"{r}, {m}" for r in ("model", "exact") for m in measures} | {"distance to l"} | apart
    )
    ahead = [
        point["scores"]["model, variance"]["rank"] - point["scores"]["distance to l"]["rank"]
        for point in report["points"]
    ]
    assert report["rows"]["model, variance minus distance to l"]["rank"]["mean"] == pytest.approx(np.mean(ahead))
    assert len(report["points"]) == report["about"]["points"] == 2
    assert report["rows"]["exact, variance"]["rank"]["mean"] == pytest.approx(1)
    assert outputs[1].read_text() == table
    assert all(column in table for column in REPORTS["structure"])
    assert outputs[0].stat().st_size > 10_000


def test_the_same_seed_gives_the_same_report(tiny):
    def once(seed: int) -> list:
        correlator = FrameCorrelator(tiny, Settings(pokes=4, frames=3, seed=seed))
        return structure_report(correlator, ["figures:1"], 1, "random", quiet=True)[0].points

    assert once(0) == once(0)
    assert once(0) != once(1)


def test_what_names_no_scene_and_no_point_is_refused(figure, tiny, tmp_path):
    assert parse_scene("plants:3") == ("plants", 3)
    for wrong in ("plants", "plants:0", "plants:x", "plants:-1", "cars:1", ""):
        with pytest.raises(InputError):
            parse_scene(wrong)
    with pytest.raises(InputError, match="nothing that can be pulled"):
        given_points(figure, [(0.0, 0.0)])
    with pytest.raises(InputError, match="no known kind"):
        correlate_scenes(tiny, ["figures:1"], 1, (), [tmp_path / "a.npz"], Settings(), "random")


def test_a_model_of_impulses_is_not_asked_about_pulls(tiny, monkeypatch):
    monkeypatch.setattr(PokeVideo, "poke_kind", "impulse")
    with pytest.raises(InputError, match="impulses"):
        structure_report(FrameCorrelator(tiny, Settings(pokes=4)), ["figures:1"], 1, "random", quiet=True)
